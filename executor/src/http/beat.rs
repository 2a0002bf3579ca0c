//! `POST /beat/TARGET`: a sign of life over HTTP, with a token.
//!
//! Keeps true: who has no token learns nothing, not even which targets there are; the token
//! is compared in constant time and never shown; nothing of a body is read.

use std::cell::RefCell;
use std::fmt;

use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Method, Response, StatusCode};
use policy::Timestamp;

use super::{Body, Site, TEXT, not_allowed, page};
use crate::sockets::nobody_waits;

/// Where beats go, before the target's name.
pub(super) const PATH: &str = "/beat/";
/// Most bytes of a body; it is not looked at.
const BODY_BYTES_MAX: u64 = 1_024;
/// Shortest token, bytes: `openssl rand -hex 16` gives 32.
const TOKEN_BYTES_MIN: usize = 16;
/// Longest token, bytes.
const TOKEN_BYTES_MAX: usize = 512;

/// What a sender has to know. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Vec<u8>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Without the white space around it; says what is wrong with it, and never itself.
    pub fn new(text: &str) -> Result<Self, String> {
        let token = text.trim();
        if !(TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.len()) {
            let bytes = token.len();
            return Err(format!(
                "the token has {bytes} bytes, and not {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX}; \
                 make one with `openssl rand -hex 16`"
            ));
        }
        match token.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Self(token.as_bytes().to_vec())),
            false => Err("the token has white space or other than ASCII in it".to_owned()),
        }
    }

    /// Takes as long wherever the two differ.
    fn is(&self, other: &[u8]) -> bool {
        let pairs = self.0.iter().zip(other.iter().chain(std::iter::repeat(&0)));
        let differ = pairs.fold(0, |differ, (a, b)| std::hint::black_box(differ | (a ^ b)));
        (differ == 0) & (self.0.len() == other.len())
    }
}

/// The token in force; none = beats over HTTP are off.
#[derive(Debug, Default)]
pub struct Door {
    token: RefCell<Option<Token>>,
}

impl Door {
    /// This one is in force from now on.
    pub fn set(&self, token: Option<Token>) {
        self.token.replace(token);
    }
}

/// Answers a request whose path begins with [`PATH`].
pub(super) fn respond(
    method: &Method,
    target: &str,
    headers: &HeaderMap,
    site: &Site,
    now: Timestamp,
) -> Response<Body> {
    let Some(token) = site.door.token.borrow().clone() else {
        let why = "beats over HTTP are off: set beats.token_file or beats.token_env\n";
        return page(StatusCode::NOT_FOUND, TEXT, why);
    };
    if *method != Method::POST {
        return not_allowed("POST");
    }
    if !is_authorized(headers, &token) {
        let mut response = page(StatusCode::UNAUTHORIZED, TEXT, "a bearer token is needed\n");
        let scheme = "Bearer".parse().expect("a plain header value");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        return response;
    }
    if has_large_body(headers) {
        let why = format!("a body of more than {BODY_BYTES_MAX} bytes; none is needed\n");
        return page(StatusCode::PAYLOAD_TOO_LARGE, TEXT, why);
    }
    if site.board.beat(target, now) {
        site.metrics.checks().beat();
        return page(StatusCode::OK, TEXT, "noted\n");
    }
    // Only what can be a name is repeated.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let shown = match target.len() <= 255 && target.bytes().all(is_name) {
        true => target,
        false => "?",
    };
    page(StatusCode::NOT_FOUND, TEXT, nobody_waits(shown) + "\n")
}

fn is_authorized(headers: &HeaderMap, token: &Token) -> bool {
    let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
    let (scheme, given) = match given.and_then(|given| given.split_at_checked(7)) {
        Some(both) => both,
        None => return false,
    };
    scheme.eq_ignore_ascii_case(b"bearer ") && token.is(given.trim_ascii())
}

/// A body of unknown length is one.
fn has_large_body(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|bytes| bytes > BODY_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn site(token: Option<&str>) -> Site {
        let site = Site::default();
        site.board.expect_beats(["job".to_owned()].into_iter());
        site.door.set(token.map(|token| Token::new(token).unwrap()));
        site
    }

    fn status(site: &Site, method: Method, target: &str, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().unwrap();
            map.insert(name, value.parse().unwrap());
        }
        let response = respond(&method, target, &map, site, Timestamp(7));
        response.status().as_u16()
    }

    #[test]
    fn only_who_has_the_token_is_heard_and_told() {
        let site = site(Some(TOKEN));
        let right = format!("Bearer {TOKEN}");
        let auth = |value: &'static str| [("authorization", value)];
        for (target, headers, expected) in [
            ("job", &[("authorization", &*right)][..], 200),
            ("job", &[("authorization", "bearer 0123456789abcdef ")], 200),
            ("other", &[("authorization", &*right)], 404),
            ("%3Cscript%3E", &[("authorization", &*right)], 404),
            ("other", &[], 401),
            ("job", &[], 401),
            ("job", &auth("Bearer"), 401),
            ("job", &auth("Basic 0123456789abcdef"), 401),
            ("job", &auth("Bearer 0123456789abcde"), 401),
            ("job", &auth("Bearer 0123456789abcdefg"), 401),
            ("job", &auth("Bearer 0123456789abcdeg"), 401),
            ("job", &auth("Bearer "), 401),
        ] {
            assert_eq!(
                status(&site, Method::POST, target, headers),
                expected,
                "{headers:?}"
            );
        }
        assert_eq!(site.board.last_beat("job"), Some(Timestamp(7)));
    }

    #[test]
    fn methods_bodies_and_being_off_are_answered() {
        let site = site(Some(TOKEN));
        let right = format!("Bearer {TOKEN}");
        assert_eq!(status(&site, Method::GET, "job", &[]), 405);
        for (name, value, expected) in [
            ("content-length", "1024", 200),
            ("content-length", "1025", 413),
            ("transfer-encoding", "chunked", 413),
        ] {
            let headers = [("authorization", &*right), (name, value)];
            assert_eq!(status(&site, Method::POST, "job", &headers), expected);
        }
        let off = self::site(None);
        assert_eq!(
            status(&off, Method::POST, "job", &[("authorization", &right)]),
            404
        );
    }

    #[test]
    fn tokens_are_of_a_length_and_never_shown() {
        assert!(Token::new(&format!(" {TOKEN}\n")).is_ok());
        assert!(Token::new(&"x".repeat(TOKEN_BYTES_MAX)).is_ok());
        for bad in [
            "short-secret",
            "0123456789 abcdef",
            &"x".repeat(TOKEN_BYTES_MAX + 1),
        ] {
            let why = Token::new(bad).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
        assert_eq!(format!("{:?}", Token::new(TOKEN).unwrap()), "Token(..)");
    }
}
