//! Two kinds of time, never mixed.

use serde::{Deserialize, Serialize};

/// Milliseconds on the policy's own clock: never goes back, runs through
/// suspend, continues over restarts of the executor and the machine. Budgets
/// and waits use only this. (The executor derives it from boot time and boot
/// id; at the very first start it equals the wall clock's epoch milliseconds.)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// `self + ms`, saturating.
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`, 0 where that is in the future.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A point on the wall clock, as a log line or Docker states it.
/// `nanos` is none where the source has whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WallTime {
    /// Since the epoch, UTC.
    pub secs: u64,
    /// 0 to 999,999,999.
    pub nanos: Option<u32>,
}

impl WallTime {
    /// From milliseconds since the epoch.
    pub fn from_ms(ms: u64) -> Self {
        Self {
            secs: ms / 1_000,
            nanos: u32::try_from(ms % 1_000 * 1_000_000).ok(),
        }
    }

    /// Whether `self` is before `other`: by nanoseconds where both have them,
    /// else by whole seconds (then an equal second is not before).
    pub fn is_before(self, other: Self) -> bool {
        match (self.nanos, other.nanos) {
            (Some(a), Some(b)) => (self.secs, a) < (other.secs, b),
            _ => self.secs < other.secs,
        }
    }
}

/// Both clocks, read together at the top of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The policy's clock.
    pub at: Timestamp,
    /// The wall clock in milliseconds since the epoch; may jump. Compared with
    /// the times in log lines and shown to people, nothing else.
    pub wall_ms: u64,
}

impl Now {
    /// The wall clock's time.
    pub fn wall(self) -> WallTime {
        WallTime::from_ms(self.wall_ms)
    }
}
