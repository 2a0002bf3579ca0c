//! What every part of the configuration is held to: ranges, names, paths; and how a fault is
//! told. Pure.

use std::path::PathBuf;

use super::values::{Millis, show_duration_ms};

/// The key, and what is wrong with its value.
pub(super) type Fault = (String, String);

pub(super) const SECOND: u64 = 1000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// Longest container name that the engine would take on any file system.
const NAME_BYTES_MAX: usize = 255;

pub(super) fn fault<T>(key: &str, why: impl Into<String>) -> Result<T, Fault> {
    Err((key.to_owned(), why.into()))
}

/// The engine's own rule for names: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub(super) fn check_name(key: &str, name: &str) -> Result<(), Fault> {
    let valid = name.len() >= 2
        && name.len() <= NAME_BYTES_MAX
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if valid {
        return Ok(());
    }
    fault(
        key,
        format!(
            "{name:?} is no container name (a letter or digit, then at least one of letters, digits, _ . -; without the leading /)"
        ),
    )
}

pub(super) fn path(key: &str, value: &Option<PathBuf>, default: &str) -> Result<PathBuf, Fault> {
    let path = value.clone().unwrap_or_else(|| default.into());
    if path.is_absolute() {
        return Ok(path);
    }
    fault(
        key,
        format!("\"{}\" is not an absolute path", path.display()),
    )
}

pub(super) fn duration(
    key: &str,
    value: Option<Millis>,
    default_ms: u64,
    allowed: std::ops::RangeInclusive<u64>,
) -> Result<u64, Fault> {
    let ms = value.map_or(default_ms, |millis| millis.0);
    if allowed.contains(&ms) {
        return Ok(ms);
    }
    let [value, min, max] = [ms, *allowed.start(), *allowed.end()].map(show_duration_ms);
    fault(key, format!("{value} is not between {min} and {max}"))
}

pub(super) fn number<T>(
    key: &str,
    value: Option<T>,
    default: T,
    allowed: std::ops::RangeInclusive<T>,
) -> Result<T, Fault>
where
    T: PartialOrd + std::fmt::Display,
{
    let number = value.unwrap_or(default);
    if allowed.contains(&number) {
        return Ok(number);
    }
    let (min, max) = allowed.into_inner();
    fault(key, format!("{number} is not between {min} and {max}"))
}
