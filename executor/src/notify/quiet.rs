//! Quiet hours: a span of the day in which only what is critical is sent. Pure
//! but for the time zone's rules, which are read when the configuration is.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A daily span; over midnight where it ends before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    from: Time,
    to: Time,
    zone: TimeZone,
}

impl Quiet {
    /// `span` as in `22:00-07:00`; `zone` as in `UTC`, `local`, `Europe/Berlin`
    /// or `+02:00`.
    ///
    /// # Errors
    /// What is wrong, and what is right.
    pub(crate) fn parse(span: &str, zone: &TimeZone) -> Result<Self, String> {
        let wrong = || format!("\"{span}\" is not a span of the day such as 22:00-07:00");
        let (from, to) = span.split_once('-').ok_or_else(wrong)?;
        let time = |text: &str| clock_time(text.trim()).ok_or_else(wrong);
        let (from, to) = (time(from)?, time(to)?);
        if from == to {
            return Err(format!(
                "\"{span}\" is empty; leave it out for no quiet hours"
            ));
        }
        let zone = zone.clone();
        Ok(Self { from, to, zone })
    }

    /// How long it is on a day whose clock is not set, ms.
    pub(crate) fn span_ms(&self) -> u64 {
        let minutes = |time: Time| {
            u64::from(time.hour().unsigned_abs()) * 60 + u64::from(time.minute().unsigned_abs())
        };
        let day = 24 * 60;
        (minutes(self.to) + day - minutes(self.from)) % day * 60_000
    }

    /// When the quiet that is on at this time ends, ms since the epoch; none
    /// where none is on.
    pub(super) fn until_ms(&self, wall_ms: u64) -> Option<u64> {
        let at = timestamp(wall_ms)?;
        let local = at.to_zoned(self.zone.clone());
        let time = local.time();
        let is_on = match self.from < self.to {
            true => self.from <= time && time < self.to,
            false => self.from <= time || time < self.to,
        };
        if !is_on {
            return None;
        }
        let date = match time < self.to {
            true => local.date(),
            false => local.date().tomorrow().ok()?,
        };
        let end = date.to_datetime(self.to).to_zoned(self.zone.clone()).ok()?;
        let end_ms = u64::try_from(end.timestamp().as_millisecond()).ok()?;
        // A zone's clock can be set back over the end: the next look decides.
        Some(end_ms.max(wall_ms + 1))
    }
}

/// A zone's name; see [`Quiet::parse`].
///
/// # Errors
/// What is wrong, and what is right.
pub(crate) fn zone(name: &str) -> Result<TimeZone, String> {
    match name.trim() {
        "UTC" | "utc" => return Ok(TimeZone::UTC),
        "local" => return Ok(TimeZone::system()),
        _ => {}
    }
    if let Some(offset) = fixed(name.trim()) {
        return Ok(offset);
    }
    TimeZone::get(name.trim()).map_err(|_| {
        format!("\"{name}\" is no time zone such as UTC, local, Europe/Berlin or +02:00")
    })
}

fn fixed(text: &str) -> Option<TimeZone> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let time = clock_time(rest)?;
    let seconds = (i32::from(time.hour()) * 60 + i32::from(time.minute())) * 60;
    let offset = jiff::tz::Offset::from_seconds(sign * seconds).ok()?;
    Some(TimeZone::fixed(offset))
}

/// `HH:MM`.
fn clock_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

fn timestamp(wall_ms: u64) -> Option<Timestamp> {
    Timestamp::UNIX_EPOCH
        .checked_add(SignedDuration::from_millis(i64::try_from(wall_ms).ok()?))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    fn until(span: &str, zone_name: &str, at: &str) -> Option<String> {
        let quiet = Quiet::parse(span, &zone(zone_name).unwrap()).unwrap();
        let until = quiet.until_ms(ms(at))?;
        Some(
            Timestamp::from_millisecond(until as i64)
                .unwrap()
                .to_string(),
        )
    }

    #[test]
    fn quiet_hours_begin_and_end_at_their_minute() {
        let night = "22:00-07:00";
        for (span, zone, at, expected) in [
            (night, "UTC", "2026-01-10T21:59:59.999Z", None),
            (
                night,
                "UTC",
                "2026-01-10T22:00:00Z",
                Some("2026-01-11T07:00:00Z"),
            ),
            (
                night,
                "UTC",
                "2026-01-11T00:00:00Z",
                Some("2026-01-11T07:00:00Z"),
            ),
            (
                night,
                "UTC",
                "2026-01-11T06:59:59.999Z",
                Some("2026-01-11T07:00:00Z"),
            ),
            (night, "UTC", "2026-01-11T07:00:00Z", None),
            ("12:00-13:30", "UTC", "2026-01-11T11:59:59Z", None),
            (
                "12:00-13:30",
                "UTC",
                "2026-01-11T12:00:00Z",
                Some("2026-01-11T13:30:00Z"),
            ),
            ("12:00-13:30", "UTC", "2026-01-11T13:30:00Z", None),
            (
                night,
                "+02:00",
                "2026-01-10T20:00:00Z",
                Some("2026-01-11T05:00:00Z"),
            ),
            (
                night,
                "-05:30",
                "2026-01-11T03:30:00Z",
                Some("2026-01-11T12:30:00Z"),
            ),
            (night, "Europe/Berlin", "2026-07-01T19:59:00Z", None),
            (
                night,
                "Europe/Berlin",
                "2026-07-01T20:00:00Z",
                Some("2026-07-02T05:00:00Z"),
            ),
            // The night in which summer time ends is an hour longer,
            (
                night,
                "Europe/Berlin",
                "2026-10-24T20:00:00Z",
                Some("2026-10-25T06:00:00Z"),
            ),
            // and an end that does not exist is the moment after the gap.
            (
                "01:00-02:30",
                "Europe/Berlin",
                "2026-03-29T00:30:00Z",
                Some("2026-03-29T01:30:00Z"),
            ),
        ] {
            assert_eq!(
                until(span, zone, at).as_deref(),
                expected,
                "{span} {zone} {at}"
            );
        }
    }

    #[test]
    fn what_is_no_span_or_zone_is_refused() {
        for span in [
            "22:00",
            "22-07",
            "24:00-07:00",
            "22:60-07:00",
            "07:00-07:00",
            "2:00-07:00",
            "",
        ] {
            assert!(Quiet::parse(span, &TimeZone::UTC).is_err(), "{span}");
        }
        for name in ["", "Mars/Olympus", "+2:00", "+25:00"] {
            assert!(zone(name).is_err(), "{name}");
        }
        assert!(zone("local").is_ok());
    }
}
