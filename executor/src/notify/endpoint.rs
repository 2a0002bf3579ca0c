//! A URL to send to, taken apart: what of it may be shown, and what may not.

use std::fmt;

use hyper::Uri;

/// Where to.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) is_tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query; may hold a token.
    path: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Endpoint {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url
            .parse()
            .map_err(|_| "is no URL such as https://host/path".to_owned())?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("does not begin with https:// or http://".to_owned()),
        };
        let authority = uri.authority().map_or("", |a| a.as_str());
        if authority.contains('@') {
            return Err("has a user name in it; give a token instead".to_owned());
        }
        let host = uri.host().unwrap_or_default();
        if host.is_empty() {
            return Err("names no host".to_owned());
        }
        let default = if is_tls { 443 } else { 80 };
        let port = match authority.len() == host.len() {
            true => default,
            // What follows a host is its port; 0 is none.
            false => uri
                .port_u16()
                .filter(|port| *port > 0)
                .ok_or_else(|| "has a port that is none; there are 1 to 65535".to_owned())?,
        };
        Ok(Self {
            is_tls,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            path: uri.path_and_query().map_or("/", |p| p.as_str()).to_owned(),
        })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn with_path(mut self, path: String) -> Self {
        self.path = path;
        self
    }

    /// Scheme, host and port: what may be shown.
    pub(super) fn shown(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    pub(super) fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// Host and port, as the header Host has it.
    pub(super) fn authority(&self) -> String {
        let default = if self.is_tls { 443 } else { 80 };
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match self.port == default {
            true => host,
            false => format!("{host}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_never_repeated() {
        let shown = |url: &str| Endpoint::parse(url).map(|e| e.shown());
        assert_eq!(shown("https://h/a?b").unwrap(), "https://h");
        assert_eq!(shown("http://h:81").unwrap(), "http://h:81");
        assert_eq!(shown("http://[::1]:8080/x").unwrap(), "http://[::1]:8080");
        let endpoint = Endpoint::parse("https://h/secret?token").unwrap();
        assert_eq!(endpoint.path(), "/secret?token");
        assert_eq!(format!("{endpoint:?}"), "https://h");
        for url in [
            "",
            "h",
            "ftp://h",
            "/x",
            "https://",
            "https://u:secret@h/",
            "https://h /secret",
            "https://h:99999/secret",
            "https://h:/secret",
            "https://h:0/secret",
            "https://[::1]:99999/secret",
        ] {
            let why = Endpoint::parse(url).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
