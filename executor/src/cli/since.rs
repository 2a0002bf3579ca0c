//! `--since`: how far back to look.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use crate::config::parse_duration_ms;

/// A duration before now, or a time; seconds since the epoch.
pub(super) fn since(text: &str) -> Result<u64, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    since_at(text, now.map_or(0, |now| now.as_secs()))
}

fn since_at(text: &str, now_s: u64) -> Result<u64, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return u64::try_from(time.as_second()).map_err(|_| format!("\"{text}\" is before 1970"));
    }
    let ago_ms = parse_duration_ms(text).map_err(|_| {
        format!(
            "\"{text}\" is neither a duration such as 24h nor a time such as 2026-11-22T08:00:00Z"
        )
    })?;
    Ok(now_s.saturating_sub(ago_ms / 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_how_long_ago() {
        for (text, want) in [
            ("1h", 999_996_400),
            ("90", 999_999_910),
            ("100000d", 0),
            ("1970-01-01T00:01:00Z", 60),
            ("1970-01-01T01:01:00+01:00", 60),
        ] {
            assert_eq!(since_at(text, 1_000_000_000), Ok(want), "{text}");
        }
        for text in ["yesterday", "1960-01-01T00:00:00Z", "2026-11-22"] {
            assert!(since_at(text, 0).is_err(), "{text}");
        }
    }
}
