//! Maintenance windows of the configuration: which moments of the coming days
//! they mean. Local times become ranges in UTC here, so that nothing behind this
//! has to know of time zones.
//!
//! Where a clock is put forward or back, maintenance holds in doubt: a time that
//! comes twice begins a window the first time and ends it the second; a time that
//! is left out counts from the hour before, so that no window is lost.
//!
//! Not here: reading settings (`config`), and what a window holds back (`policy`).

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use policy::Window;

/// How far ahead windows are worked out, days.
pub const AHEAD_DAYS: i32 = 8;
/// How far back: a window of yesterday may be open still, and its zone a day behind.
const BACK_DAYS: i32 = 2;
/// Worked out anew after this, ms: a day.
const ANEW_AFTER_MS: u64 = 86_400_000;

/// One window as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// For people.
    pub name: String,
    /// For people; may be empty.
    pub reason: String,
    /// Patterns of container names; none = all.
    pub targets: Vec<String>,
    /// See [`When`].
    pub when: When,
}

/// When a window is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// On these days of each week, by a local clock.
    Weekly {
        /// The days on which it begins; at least one.
        days: Vec<Weekday>,
        /// Its beginning.
        start: Time,
        /// Its end, on the next day where it is not after the beginning.
        end: Time,
        /// Whose clock.
        zone: TimeZone,
    },
    /// Once; milliseconds since the epoch.
    Once {
        /// Its beginning.
        from_ms: u64,
        /// Its end.
        until_ms: u64,
    },
}

/// All of them, and when they were last worked out.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    planned: Vec<Planned>,
    worked_out_ms: Option<u64>,
}

impl Calendar {
    /// Not worked out yet.
    pub fn new(planned: Vec<Planned>) -> Self {
        Self {
            planned,
            worked_out_ms: None,
        }
    }

    /// The windows from this moment of wall time on, where it is time to work
    /// them out: at first, each day, and when the clock has gone back.
    pub fn news(&mut self, wall_ms: u64) -> Option<Vec<Window>> {
        let is_current = |at: u64| (at..at.saturating_add(ANEW_AFTER_MS)).contains(&wall_ms);
        if self.worked_out_ms.is_some_and(is_current) {
            return None;
        }
        let is_first = self.worked_out_ms.is_none();
        self.worked_out_ms = Some(wall_ms);
        (is_first || !self.planned.is_empty()).then(|| self.windows(wall_ms))
    }

    /// When [`Self::news`] has something to say next, ms of wall time; none before the
    /// first, and where nothing is planned.
    pub fn anew_at(&self) -> Option<u64> {
        let worked_out_ms = self.worked_out_ms.filter(|_| !self.planned.is_empty())?;
        Some(worked_out_ms.saturating_add(ANEW_AFTER_MS))
    }

    fn windows(&self, wall_ms: u64) -> Vec<Window> {
        let windows = self.planned.iter().map(|planned| Window {
            name: planned.name.clone(),
            reason: planned.reason.clone(),
            targets: planned.targets.clone(),
            open: open(&planned.when, wall_ms),
        });
        windows.collect()
    }
}

/// When it is open from this moment on, for some days.
pub fn open(when: &When, wall_ms: u64) -> Vec<(u64, u64)> {
    match when {
        When::Once { from_ms, until_ms } => {
            let once = Some((*from_ms, *until_ms));
            once.filter(|(_, until)| *until > wall_ms)
                .into_iter()
                .collect()
        }
        When::Weekly {
            days,
            start,
            end,
            zone,
        } => {
            let Some(today) = date_of(wall_ms, zone) else {
                return Vec::new();
            };
            let dates = (-BACK_DAYS..=AHEAD_DAYS).filter_map(|n| today.checked_add(n.days()).ok());
            dates
                .filter(|date| days.contains(&date.weekday()))
                .filter_map(|date| range(date, *start, *end, zone))
                .filter(|(_, until)| *until > wall_ms)
                .collect()
        }
    }
}

fn date_of(wall_ms: u64, zone: &TimeZone) -> Option<Date> {
    let now = Timestamp::from_millisecond(i64::try_from(wall_ms).ok()?).ok()?;
    Some(zone.to_datetime(now).date())
}

/// The window that begins on this date. None only at the ends of time.
fn range(date: Date, start: Time, end: Time, zone: &TimeZone) -> Option<(u64, u64)> {
    let last = match end > start {
        true => date,
        false => date.tomorrow().ok()?,
    };
    let (begins, ends) = (date.to_datetime(start), last.to_datetime(end));
    let from = instant(begins, zone, Twice::First)?;
    let until = instant(ends, zone, Twice::Second)?;
    if until > from {
        return Some((from, until));
    }
    // The clock was put forward over its beginning: it keeps its length.
    let length = ends.duration_since(begins).as_millis();
    Some((from, from.checked_add(u64::try_from(length).ok()?)?))
}

/// Which of two, where a local time comes twice.
enum Twice {
    First,
    Second,
}

fn instant(at: DateTime, zone: &TimeZone, twice: Twice) -> Option<u64> {
    let local = zone.to_ambiguous_zoned(at);
    let zoned = match twice {
        Twice::First => local.compatible(),
        Twice::Second => local.later(),
    };
    u64::try_from(zoned.ok()?.timestamp().as_millisecond()).ok()
}

#[cfg(test)]
mod tests;
