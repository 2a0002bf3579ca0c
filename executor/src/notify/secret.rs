//! Where secrets come from, and the type that holds one: it shows `***`.
//!
//! Read anew for each message, so that one that is exchanged is picked up, and
//! none is kept in the configuration. Never in errors: what is shown to people
//! goes through [`scrub`].

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::files;

/// Longest secret: a URL with a token in it is a few hundred bytes.
const SECRET_BYTES_MAX: usize = 8 * 1_024;
/// Shorter ones are not looked for in errors: they would occur in words.
const SCRUB_BYTES_MIN: usize = 6;
/// Stands where a secret stood.
const HIDDEN: &str = "***";

/// A token, a password, or a URL that has one in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[cfg(test)]
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What a variable of our own environment holds, for [`scrub`].
    pub(super) fn of_env(name: &String) -> Option<Self> {
        let value = std::env::var_os(name)?;
        Some(Self(value.to_string_lossy().into_owned()))
    }

    /// A password as it is sent to a mail server, for [`scrub`].
    pub(super) fn as_login(&self, user: &str) -> [Self; 2] {
        let plain = format!("\0{user}\0{}", self.0);
        [plain, self.0.clone()].map(|text| Self(BASE64.encode(text)))
    }

    /// The secret itself: for the one who sends it, or looks whether it is one.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Where one is to be had.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In the configuration: only for what need not be secret.
    Inline(String),
    /// A file: its content without white space around it.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl SecretSource {
    /// Where it is, never what it is.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Inline(_) => "the configuration".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Env(name) => format!("the variable {name}"),
        }
    }

    /// In the configuration, and so no secret.
    pub(crate) fn is_inline(&self) -> bool {
        matches!(self, Self::Inline(_))
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with its place, in words that hold nothing of it.
    pub(crate) fn read(&self) -> Result<Secret, String> {
        let text = match self {
            Self::Inline(text) => text.clone(),
            Self::File(path) => files::read(path, SECRET_BYTES_MAX + 1)
                .and_then(|text| String::from_utf8(text).map_err(|_| "is not UTF-8".to_owned()))
                .map_err(|e| format!("{}: {e}", path.display()))?,
            Self::Env(name) => match std::env::var(name) {
                Ok(text) => text,
                Err(std::env::VarError::NotPresent) => {
                    return Err(format!(
                        "the variable {name} is not set for this process; set it, or give a file"
                    ));
                }
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(format!("the variable {name} is not UTF-8"));
                }
            },
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(format!("{} is empty", self.place()));
        }
        if text.len() > SECRET_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(format!(
                "{} holds more than one line, or more than {SECRET_BYTES_MAX} bytes",
                self.place()
            ));
        }
        Ok(Secret(text.to_owned()))
    }

    /// That others can read its file; none where all is well, or nothing is known.
    pub(crate) fn exposure(&self) -> Option<String> {
        let Self::File(path) = self else { return None };
        let mode = std::fs::metadata(path).ok()?.mode() & 0o7777;
        (mode & 0o007 != 0).then(|| {
            let path = path.display();
            format!("{path} has mode 0{mode:o}: every user of this host can read it")
        })
    }
}

/// `text` without any of these, however it came in, nor with the beginning of one
/// at its end, where it was cut.
pub(super) fn scrub(text: &str, secrets: &[Secret]) -> String {
    let mut parts: Vec<String> = secrets.iter().flat_map(|s| parts(s.expose())).collect();
    // A whole one before what is in it.
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut clean = text.to_owned();
    let begun = parts.iter().filter_map(|part| begun_at_end(text, part));
    if let Some(bytes) = begun.max() {
        clean.truncate(text.len() - bytes);
        clean.push_str(HIDDEN);
    }
    for part in &parts {
        clean = clean.replace(part, HIDDEN);
    }
    clean
}

/// How many bytes at the end of a text are the beginning of this, if some are.
fn begun_at_end(text: &str, part: &str) -> Option<usize> {
    let mut lengths = (SCRUB_BYTES_MIN..part.len()).rev();
    lengths.find(|&len| part.get(..len).is_some_and(|begun| text.ends_with(begun)))
}

/// A secret as it may occur: whole, and of a URL its path too, which is where
/// the token is, with each piece of it and each value of its query; and each as
/// some programs write it in JSON. A URL without a path is a host's name, and no
/// secret.
fn parts(secret: &str) -> Vec<String> {
    let path = secret.split_once("://").map(|(_, rest)| {
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        &rest[at..]
    });
    let whole = Some(secret).filter(|_| path.is_none_or(|path| path.len() > 1));
    let mut parts: Vec<&str> = whole.into_iter().chain(path).collect();
    if let Some(path) = path {
        parts.push(path.trim_matches('/'));
        parts.extend(path.split(['/', '?', '&', '=']));
    }
    parts.retain(|part| part.len() >= SCRUB_BYTES_MIN);
    let in_json = parts.iter().filter(|part| part.contains('/'));
    let in_json: Vec<String> = in_json.map(|part| part.replace('/', "\\/")).collect();
    parts
        .into_iter()
        .map(str::to_owned)
        .chain(in_json)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_shows_nothing() {
        let secret = Secret::new("hunter2-hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        let inline = SecretSource::Inline("https://h/secret".into());
        assert!(!format!("{inline:?}").contains("secret"));
        let url = Secret::new("https://hooks.slack.com/services/T0/B0/abcdef");
        let said = scrub(
            "POST https://hooks.slack.com/services/T0/B0/abcdef: services/T0/B0/abcdef is gone",
            &[url],
        );
        assert_eq!(said, "POST ***: *** is gone");
        let url = Secret::new("https://h/hooks/room/abc-def?key=geheim&v=1234567");
        for (said, clean) in [
            ("no hook abc-def here", "no hook *** here"),
            ("key geheim of v 1234567", "key *** of v ***"),
            (
                r#"{"path":"\/hooks\/room\/abc-def"}"#,
                r#"{"path":"\/hooks\/room\/***"}"#,
            ),
            (
                r"https:\/\/h\/hooks\/room\/abc-def?key=geheim&v=1234567 x",
                "*** x",
            ),
            // Cut off in the middle.
            ("see /hooks/room/abc-def?key=geh", "see ***"),
        ] {
            assert_eq!(scrub(said, std::slice::from_ref(&url)), clean);
        }
        let login = Secret::new("pass word").as_login("healer");
        assert_eq!(
            scrub("AUTH PLAIN AGhlYWxlcgBwYXNzIHdvcmQ=", &login),
            "AUTH PLAIN ***"
        );
        let host = Secret::new("https://api.telegram.org/");
        let said = "https://api.telegram.org answers 500";
        assert_eq!(scrub(said, &[host]), said);
    }

    #[test]
    fn files_are_read_within_limits_and_errors_name_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let source = SecretSource::File(path.clone());
        let why = source.read().unwrap_err();
        assert!(why.contains("token: cannot be opened"), "{why}");
        std::fs::write(&path, " tk_123\n").unwrap();
        assert_eq!(source.read().unwrap().expose(), "tk_123");
        std::fs::write(&path, "\n").unwrap();
        assert!(source.read().unwrap_err().ends_with("is empty"));
        std::fs::write(&path, "a\nb").unwrap();
        assert!(source.read().unwrap_err().contains("more than one line"));
        std::fs::write(&path, "x".repeat(SECRET_BYTES_MAX)).unwrap();
        assert!(source.read().is_ok());
        std::fs::write(&path, "x".repeat(SECRET_BYTES_MAX + 1)).unwrap();
        assert!(source.read().is_err());
        for (mode, is_exposed) in [(0o600, false), (0o640, false), (0o644, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(source.exposure().is_some(), is_exposed, "{mode:o}");
        }
        let env = SecretSource::Env("HEALER_TEST_NO_SUCH_VARIABLE".into());
        assert!(env.read().unwrap_err().contains("is not set"));
    }
}
