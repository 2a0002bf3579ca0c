//! The only place that asks the system for time.
//!
//! Budgets and waits run on the policy's clock ([`Timestamp`]), which never
//! goes back, runs through suspend and goes on over restarts of the executor
//! and of the machine. It is derived from `CLOCK_BOOTTIME` and the kernel's
//! boot id, anchored by what the journal holds ([`anchor`]); setting the wall
//! clock moves it only where nothing better exists: over a reboot, and then
//! only forward.
//!
//! Deliberately not here: timers and sleeps (the runtime's), and any opinion
//! about what the time means.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use policy::{Now, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) mod virtual_time;

/// Where the kernel says which boot this is.
const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";

/// A boot id is a UUID of 36 characters; anything much longer is not one.
const BOOT_ID_BYTES_MAX: usize = 64;

/// The system's clocks, read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The kernel's boot id.
    pub boot_id: String,
    /// `CLOCK_BOOTTIME`, milliseconds since that boot, suspend included.
    pub boot_ms: u64,
    /// The wall clock, milliseconds since the epoch.
    pub wall_ms: u64,
}

/// A reading together with what the policy's clock showed then. The journal
/// writes one at each open and each compaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The kernel's boot id.
    pub boot_id: String,
    /// `CLOCK_BOOTTIME` in milliseconds.
    pub boot_ms: u64,
    /// The wall clock, milliseconds since the epoch.
    pub wall_ms: u64,
    /// The policy's clock at that instant.
    pub at: Timestamp,
}

/// What the policy's clock shows at `reading`, given the newest anchor of the
/// journal and its newest entry (`last`, the anchor itself where there is none
/// newer).
///
/// - same boot: the anchor plus the boot time passed since;
/// - another boot: the newest entry plus the wall time passed since, which
///   counts as none where the wall clock went back;
/// - no journal: the wall clock.
///
/// Never before `last`.
pub fn anchor(newest: Option<(&Anchor, Now)>, reading: &Reading) -> Timestamp {
    let Some((anchor, last)) = newest else {
        return Timestamp(reading.wall_ms);
    };
    let passed_on = if is_same_boot(anchor, reading) {
        anchor.at.plus(reading.boot_ms - anchor.boot_ms)
    } else {
        last.at.plus(reading.wall_ms.saturating_sub(last.wall_ms))
    };
    passed_on.max(last.at)
}

/// Whether boot time can be compared. The same id with an earlier boot time is
/// not the same clock (a time namespace, say), whatever the id claims.
pub(crate) fn is_same_boot(anchor: &Anchor, reading: &Reading) -> bool {
    anchor.boot_id == reading.boot_id && reading.boot_ms >= anchor.boot_ms
}

/// The wall clock's milliseconds for a point on the policy's clock, for people:
/// as far from `now` as the point is.
pub fn wall_ms_of(now: Now, at: Timestamp) -> u64 {
    if at >= now.at {
        now.wall_ms.saturating_add(at.since(now.at))
    } else {
        now.wall_ms.saturating_sub(now.at.since(at))
    }
}

/// The point on the policy's clock for a wall time in the past; one in the
/// future counts as now.
pub fn timestamp_of(now: Now, wall_ms: u64) -> Timestamp {
    Timestamp(now.at.0.saturating_sub(now.wall_ms.saturating_sub(wall_ms)))
}

/// Both clocks, cheap to clone; all clones agree.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
    /// `at` at `start_boot_ms`.
    start_at: Timestamp,
    start_boot_ms: u64,
    /// The latest `at` given out by any clone.
    latest: Arc<AtomicU64>,
}

#[derive(Debug, Clone)]
enum Source {
    System { boot_id: Arc<str> },
    Manual(Arc<Mutex<Reading>>),
}

impl Clock {
    /// The system's clocks, anchored by the journal's newest anchor and entry.
    pub(crate) fn system(newest: Option<(&Anchor, Now)>, reading: &Reading) -> Self {
        let boot_id = Arc::from(reading.boot_id.as_str());
        Self::starting(
            Source::System { boot_id },
            anchor(newest, reading),
            reading.boot_ms,
        )
    }

    /// A clock that stands still until moved by its [`ManualTime`]; for tests
    /// and replays.
    pub fn manual(now: Now) -> (Self, ManualTime) {
        let reading = Reading {
            boot_id: "manual".into(),
            boot_ms: 0,
            wall_ms: now.wall_ms,
        };
        let shared = Arc::new(Mutex::new(reading));
        let clock = Self::starting(Source::Manual(Arc::clone(&shared)), now.at, 0);
        (clock, ManualTime(shared))
    }

    fn starting(source: Source, start_at: Timestamp, start_boot_ms: u64) -> Self {
        let latest = Arc::new(AtomicU64::new(start_at.0));
        Self {
            source,
            start_at,
            start_boot_ms,
            latest,
        }
    }

    /// Both clocks now.
    pub fn now(&self) -> Now {
        let (boot_ms, wall_ms) = match &self.source {
            Source::System { .. } => (boot_ms(), wall_ms()),
            Source::Manual(reading) => {
                let reading = reading.lock();
                (reading.boot_ms, reading.wall_ms)
            }
        };
        let at = self
            .start_at
            .plus(boot_ms.saturating_sub(self.start_boot_ms));
        let before = self.latest.fetch_max(at.0, Ordering::Relaxed);
        Now {
            at: Timestamp(before.max(at.0)),
            wall_ms,
        }
    }

    /// The present instant as the journal's next anchor.
    pub(crate) fn anchor(&self) -> Anchor {
        let (boot_id, boot_ms) = match &self.source {
            Source::System { boot_id } => (boot_id.to_string(), boot_ms()),
            Source::Manual(reading) => {
                let reading = reading.lock();
                (reading.boot_id.clone(), reading.boot_ms)
            }
        };
        let now = self.now();
        Anchor {
            boot_id,
            boot_ms,
            wall_ms: now.wall_ms,
            at: now.at,
        }
    }
}

/// Moves a [`Clock::manual`].
#[derive(Debug, Clone)]
pub struct ManualTime(Arc<Mutex<Reading>>);

impl ManualTime {
    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let mut reading = self.0.lock();
        reading.boot_ms = reading.boot_ms.saturating_add(ms);
        reading.wall_ms = reading.wall_ms.saturating_add(ms);
    }

    /// Sets the wall clock alone, as a person or NTP would.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.0.lock().wall_ms = wall_ms;
    }
}

/// Reads the system's clocks.
///
/// # Errors
/// Where the boot id cannot be read: without it a reboot could not be told
/// from time passing.
pub(crate) fn read_system() -> io::Result<Reading> {
    #[cfg(test)]
    if let Some(now) = virtual_time::reading() {
        return Ok(now);
    }
    let text = fs::read_to_string(BOOT_ID_PATH).map_err(|error| {
        let what = format!("{BOOT_ID_PATH}: {error} (is /proc mounted?)");
        io::Error::new(error.kind(), what)
    })?;
    let boot_id = text.trim();
    if boot_id.is_empty() || boot_id.len() > BOOT_ID_BYTES_MAX {
        let what = format!("{BOOT_ID_PATH} holds no boot id");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(Reading {
        boot_id: boot_id.to_owned(),
        boot_ms: boot_ms(),
        wall_ms: wall_ms(),
    })
}

fn boot_ms() -> u64 {
    #[cfg(test)]
    if let Some(now) = virtual_time::reading() {
        return now.boot_ms;
    }
    let time = clock_gettime(ClockId::Boottime);
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    secs * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

fn wall_ms() -> u64 {
    #[cfg(test)]
    if let Some(now) = virtual_time::reading() {
        return now.wall_ms;
    }
    // A wall clock before 1970 counts as 1970: it is compared and shown, never trusted.
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;
    const T0: u64 = 1_760_978_852_000;

    fn reading(boot_id: &str, boot_ms: u64, wall_ms: u64) -> Reading {
        Reading {
            boot_id: boot_id.into(),
            boot_ms,
            wall_ms,
        }
    }

    /// An anchor on boot `a` at boot time 1 h, and a newest entry 10 s later.
    fn journal() -> (Anchor, Now) {
        let anchor = Anchor {
            boot_id: "a".into(),
            boot_ms: HOUR,
            wall_ms: T0,
            at: Timestamp(T0 + 7),
        };
        (
            anchor,
            Now {
                at: Timestamp(T0 + 10_007),
                wall_ms: T0 + 10_000,
            },
        )
    }

    #[test]
    fn anchoring_follows_boot_time_and_only_over_a_reboot_the_wall_clock() {
        let at = |ms: u64| Timestamp(T0 + 7 + ms);
        let cases = [
            (
                "restart of the executor",
                reading("a", HOUR + 60_000, T0 + 60_000),
                at(60_000),
            ),
            (
                "wall an hour back",
                reading("a", HOUR + 60_000, T0 - HOUR),
                at(60_000),
            ),
            (
                "wall a day forward",
                reading("a", HOUR + 60_000, T0 + DAY),
                at(60_000),
            ),
            (
                "suspended for a day",
                reading("a", HOUR + DAY, T0 + DAY),
                at(DAY),
            ),
            (
                "reboot, off for a day",
                reading("b", 20_000, T0 + DAY),
                at(DAY),
            ),
            (
                "reboot, wall back an hour",
                reading("b", 20_000, T0 - HOUR),
                at(10_000),
            ),
            (
                "reboot, wall at 1970",
                reading("b", 20_000, 5_000),
                at(10_000),
            ),
            (
                "same instant as the newest entry",
                reading("a", HOUR, T0),
                at(10_000),
            ),
            (
                "same id, boot time behind",
                reading("a", 5, T0 + 12_000),
                at(12_000),
            ),
        ];
        let (newest, last) = journal();
        for (name, reading, expected) in cases {
            assert_eq!(anchor(Some((&newest, last)), &reading), expected, "{name}");
        }
    }

    #[test]
    fn an_empty_journal_starts_at_the_wall_clock() {
        assert_eq!(anchor(None, &reading("a", 5, T0)), Timestamp(T0));
    }

    #[test]
    fn the_clock_never_goes_back_and_ignores_the_wall_clock() {
        let (clock, time) = Clock::manual(Now {
            at: Timestamp(5_000),
            wall_ms: T0,
        });
        time.advance(Duration::from_secs(2));
        assert_eq!(
            clock.now(),
            Now {
                at: Timestamp(7_000),
                wall_ms: T0 + 2_000
            }
        );
        time.set_wall_ms(T0 - DAY);
        assert_eq!(
            clock.now(),
            Now {
                at: Timestamp(7_000),
                wall_ms: T0 - DAY
            }
        );
        time.0.lock().boot_ms = 0;
        assert_eq!(clock.clone().now().at, Timestamp(7_000));
    }

    #[test]
    fn the_system_clock_moves_on_and_anchors_itself() {
        let reading = read_system().expect("this machine has /proc");
        let clock = Clock::system(None, &reading);
        let first = clock.now();
        std::thread::sleep(Duration::from_millis(3));
        let second = clock.now();
        assert!(second.at.since(first.at) >= 2, "{first:?} {second:?}");
        let anchored = clock.anchor();
        assert_eq!(anchored.boot_id, reading.boot_id);
        assert!(anchored.at >= second.at && anchored.boot_ms >= reading.boot_ms);
    }

    #[test]
    fn people_see_wall_times_as_far_from_now_as_the_policy_means() {
        let now = Now {
            at: Timestamp(1_000_000),
            wall_ms: T0,
        };
        assert_eq!(wall_ms_of(now, Timestamp(1_000_500)), T0 + 500);
        assert_eq!(wall_ms_of(now, Timestamp(999_000)), T0 - 1_000);
        assert_eq!(timestamp_of(now, T0 - 1_000), Timestamp(999_000));
        assert_eq!(timestamp_of(now, T0 + 1_000), Timestamp(1_000_000));
        assert_eq!(timestamp_of(now, 0), Timestamp(0));
    }
}
