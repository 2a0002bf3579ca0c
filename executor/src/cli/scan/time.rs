//! A record's own time, as its source wrote it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use executor_api::LastMatch;

/// Seconds since the epoch, and nanoseconds where the source has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) struct RecordTime {
    pub(in crate::cli) secs: u64,
    pub(in crate::cli) nanos: Option<u32>,
}

impl RecordTime {
    /// The wall clock's.
    pub(in crate::cli) fn now() -> Self {
        // A clock before 1970 tells nothing; 0 makes such a match stale.
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            secs: now.as_secs(),
            nanos: Some(now.subsec_nanos()),
        }
    }

    /// RFC 3339 with `Z`, an offset or neither (then UTC), or seconds since the
    /// epoch with or without a fraction.
    pub(in crate::cli) fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return from_epoch(text);
        }
        let (base, offset_s) = split_offset(text)?;
        let time = humantime::parse_rfc3339_weak(base).ok()?;
        let since = time.duration_since(UNIX_EPOCH).ok()?;
        let since = if offset_s < 0 {
            since.checked_add(Duration::from_secs(offset_s.unsigned_abs()))?
        } else {
            since.checked_sub(Duration::from_secs(offset_s.unsigned_abs()))?
        };
        Some(Self {
            secs: since.as_secs(),
            nanos: base.contains('.').then_some(since.subsec_nanos()),
        })
    }

    pub(in crate::cli) fn to_last(self) -> LastMatch {
        LastMatch(self.secs, self.nanos)
    }
}

/// A fraction of nothing but zeros counts as whole seconds: that is how Fluent
/// Bit writes times that a parser read without one.
fn from_epoch(text: &str) -> Option<RecordTime> {
    let (secs, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = &fraction[..fraction.len().min(9)];
    let nanos = match digits.parse::<u32>() {
        Ok(value) => value * 10_u32.pow(9 - digits.len() as u32),
        Err(_) if digits.is_empty() => 0,
        Err(_) => return None,
    };
    Some(RecordTime {
        secs: secs.parse().ok()?,
        nanos: (nanos != 0).then_some(nanos),
    })
}

/// Cuts off `+02:00`, `-0700` and the like; seconds east of UTC.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    let Some(at) = text.rfind(['+', '-']).filter(|&at| at > "2025-10-20".len()) else {
        return Some((text, 0));
    };
    let digits: String = text[at + 1..].chars().filter(|&c| c != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let [hours, minutes]: [i64; 2] = [digits[..2].parse().ok()?, digits[2..].parse().ok()?];
    let sign = if text.as_bytes()[at] == b'-' { -1 } else { 1 };
    Some((&text[..at], sign * (hours * 3600 + minutes * 60)))
}

#[cfg(test)]
mod tests {
    use super::RecordTime;

    #[test]
    fn times_are_read_as_their_sources_write_them() {
        let at = |secs, nanos| Some(RecordTime { secs, nanos });
        for (text, expected) in [
            (
                "2025-10-20T16:47:31.912345678Z",
                at(1_760_978_851, Some(912_345_678)),
            ),
            ("2025-10-20T16:47:31Z", at(1_760_978_851, None)),
            ("2025-10-20 16:47:31", at(1_760_978_851, None)),
            ("2025-10-20T18:47:31+02:00", at(1_760_978_851, None)),
            ("2025-10-20 09:47:31.5 -0700", None),
            (
                "2025-10-20 09:47:31.5-0700",
                at(1_760_978_851, Some(500_000_000)),
            ),
            ("1760978851", at(1_760_978_851, None)),
            ("1760978851.0", at(1_760_978_851, None)),
            ("1760978851.9", at(1_760_978_851, Some(900_000_000))),
            (
                "1760978851.91234567891",
                at(1_760_978_851, Some(912_345_678)),
            ),
            ("1760978851.", at(1_760_978_851, None)),
            ("", None),
            ("yesterday", None),
            ("1.2.3", None),
            ("99999999999999999999999", None),
            ("2025-13-40T99:00:00Z", None),
        ] {
            assert_eq!(RecordTime::from_text(text), expected, "{text}");
        }
    }
}
