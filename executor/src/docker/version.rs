//! Which API version is spoken: pure.
//!
//! The engine says in `/_ping` how new a version it speaks; spoken is the
//! lower of that and [`ApiVersion::NEWEST`]. Engines also have an oldest
//! version, which `/_ping` does not tell; it shows in a refusal (status 400)
//! whose words name the bound.

use std::fmt;

/// A version of the Engine API, such as 1.41.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// 1 so far.
    pub major: u16,
    /// What is counted up.
    pub minor: u16,
}

impl ApiVersion {
    /// Engine 20.10. Older engines are not supported.
    pub const OLDEST: Self = Self::new(1, 41);
    /// Engine 29.0. Newer engines still speak it.
    pub const NEWEST: Self = Self::new(1, 52);

    /// `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Reads `1.41`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        let part = |digits: &str| {
            let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            all_digits.then(|| digits.parse().ok()).flatten()
        };
        Some(Self::new(part(major)?, part(minor)?))
    }

    /// The version to speak with an engine that speaks up to `engine_newest`;
    /// none where that is older than all that we speak.
    pub(super) fn agree(engine_newest: Self) -> Option<Self> {
        (engine_newest >= Self::OLDEST).then(|| engine_newest.min(Self::NEWEST))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The engine will not speak the version that it was addressed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Ours is below the engine's oldest.
    TooOld { engine_oldest: ApiVersion },
    /// Ours is above the engine's newest.
    TooNew { engine_newest: ApiVersion },
}

impl Refusal {
    /// Reads the refusal out of the engine's words (status 400):
    /// `client version 1.41 is too old. Minimum supported API version is 1.44, …`
    /// `client version 1.52 is too new. Maximum supported API version is 1.41`
    pub(super) fn read(message: &str) -> Option<Self> {
        let rest = message.split_once("client version ")?.1;
        let bound = |marker: &str| {
            let after = rest.split_once(marker)?.1;
            let end = after
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(after.len());
            ApiVersion::parse(after[..end].trim_end_matches('.'))
        };
        if rest.contains(" is too old") {
            let engine_oldest = bound("Minimum supported API version is ")?;
            return Some(Self::TooOld { engine_oldest });
        }
        if rest.contains(" is too new") {
            let engine_newest = bound("Maximum supported API version is ")?;
            return Some(Self::TooNew { engine_newest });
        }
        None
    }

    /// A version that this engine and we both speak, as far as the refusal
    /// tells; none where there is none.
    pub(super) fn agree(self) -> Option<ApiVersion> {
        match self {
            Self::TooOld { engine_oldest } => {
                (engine_oldest <= ApiVersion::NEWEST).then(|| engine_oldest.max(ApiVersion::OLDEST))
            }
            Self::TooNew { engine_newest } => ApiVersion::agree(engine_newest),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld { engine_oldest } => write!(f, "{engine_oldest} or newer"),
            Self::TooNew { engine_newest } => write!(f, "{engine_newest} or older"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn v(minor: u16) -> ApiVersion {
        ApiVersion::new(1, minor)
    }

    #[test]
    fn versions_are_read_strictly_and_compared_by_number() {
        for (text, expected) in [
            ("1.41", Some(v(41))),
            ("1.9", Some(v(9))),
            ("2.0", Some(ApiVersion::new(2, 0))),
            ("1", None),
            ("1.", None),
            (".41", None),
            ("1.+41", None),
            ("1.41.0", None),
            ("1.65536", None),
            ("v1.41", None),
            ("", None),
        ] {
            assert_eq!(ApiVersion::parse(text), expected, "{text}");
        }
        assert!(v(9) < v(41) && v(100) > v(52) && ApiVersion::new(2, 0) > v(100));
        assert_eq!(v(41).to_string(), "1.41");
    }

    #[test]
    fn the_lower_of_both_newest_versions_is_spoken() {
        for (engine_newest, expected) in [
            (v(40), None),
            (v(41), Some(v(41))),
            (v(44), Some(v(44))),
            (v(52), Some(v(52))),
            (v(53), Some(v(52))),
            (ApiVersion::new(2, 0), Some(v(52))),
        ] {
            assert_eq!(
                ApiVersion::agree(engine_newest),
                expected,
                "{engine_newest}"
            );
        }
    }

    #[test]
    fn refusals_are_read_from_the_engines_words_and_name_a_way_on() {
        let too_old = "client version 1.41 is too old. Minimum supported API version is 1.44, \
                       please upgrade your client to a newer version";
        let too_new = "client version 1.52 is too new. Maximum supported API version is 1.41";
        let wrapped = format!("Error response from daemon: {too_new}.");
        let beyond = "client version 1.52 is too old. Minimum supported API version is 1.60";
        let before = "client version 1.41 is too new. Maximum supported API version is 1.40";
        let low = "client version 1.9 is too old. Minimum supported API version is 1.12, please";
        for (message, agreed) in [
            (too_old, Some(Some(v(44)))),
            (too_new, Some(Some(v(41)))),
            (&wrapped, Some(Some(v(41)))),
            (beyond, Some(None)),
            (before, Some(None)),
            (low, Some(Some(v(41)))),
            ("client version 1.52 is too new. Maximum is a secret", None),
            ("invalid restart policy", None),
            ("", None),
        ] {
            assert_eq!(
                Refusal::read(message).map(Refusal::agree),
                agreed,
                "{message}"
            );
        }
    }
}
