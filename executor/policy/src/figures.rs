//! Figures for people, rounded so that what is printed is true.

use crate::{Timestamp, WallTime};

/// `45s < 300s`, given `less < more`: whole seconds where the limit has them
/// (the elapsed time rounded down), else milliseconds.
pub(crate) fn less_than(less_ms: u64, more_ms: u64) -> String {
    if more_ms.is_multiple_of(1_000) {
        format!("{}s < {}s", less_ms / 1_000, more_ms / 1_000)
    } else {
        format!("{}ms < {}ms", less_ms, more_ms)
    }
}

/// A limit: `600s`, or `1500ms` where it has no whole seconds.
pub(crate) fn limit(ms: u64) -> String {
    if ms.is_multiple_of(1_000) {
        format!("{}s", ms / 1_000)
    } else {
        format!("{ms}ms")
    }
}

/// Time gone by, rounded down.
pub(crate) fn gone(ms: u64) -> String {
    format!("{}s", ms / 1_000)
}

/// Time to wait, rounded up, so that nobody comes back too early.
pub(crate) fn left(until: Timestamp, now: Timestamp) -> String {
    format!("{}s", until.since(now).div_ceil(1_000))
}

/// `what: reason`, where there is one.
pub(crate) fn with_reason(what: String, reason: &str) -> String {
    match reason {
        "" => what,
        reason => format!("{what}: {reason}"),
    }
}

/// Milliseconds since the epoch of a point in time; whole seconds count from
/// their beginning.
pub(crate) fn wall_ms(time: WallTime) -> u64 {
    time.secs
        .saturating_mul(1_000)
        .saturating_add(u64::from(time.nanos.unwrap_or(0)) / 1_000_000)
}

/// How long before `b` `a` was, for people.
pub(crate) fn before(a: WallTime, b: WallTime) -> String {
    match (a.nanos, b.nanos) {
        (Some(_), Some(_)) => {
            let ms = wall_ms(b).saturating_sub(wall_ms(a));
            format!("{}.{:03}s", ms / 1_000, ms % 1_000)
        }
        _ => format!("{}s", b.secs.saturating_sub(a.secs)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_inequalities_are_true() {
        assert_eq!(less_than(45_999, 300_000), "45s < 300s");
        assert_eq!(less_than(299_999, 300_000), "299s < 300s");
        assert_eq!(less_than(0, 1_000), "0s < 1s");
        assert_eq!(less_than(499, 500), "499ms < 500ms");
        assert_eq!(less_than(1_200, 1_500), "1200ms < 1500ms");
    }

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(left(Timestamp(1_001), Timestamp(0)), "2s");
        assert_eq!(left(Timestamp(0), Timestamp(5)), "0s");
    }
}
