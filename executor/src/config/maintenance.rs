//! `[[maintenance]]`: windows in which nothing is restarted, as written and as
//! meant. When they are open is worked out by [`crate::calendar`].

use jiff::Timestamp;
use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::calendar::{Planned, When};

/// The key, and what is wrong with its value.
type Fault = (String, String);

/// Most windows in one configuration.
const WINDOWS_MAX: usize = 100;
/// Most patterns of one window.
const TARGETS_MAX: usize = 100;
/// Longest name, reason or pattern, bytes.
const TEXT_BYTES_MAX: usize = 255;

/// One window as written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MaintenanceSection {
    pub(super) name: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) targets: Option<Vec<String>>,
    pub(super) days: Option<Vec<String>>,
    pub(super) start: Option<String>,
    pub(super) end: Option<String>,
    pub(super) timezone: Option<String>,
    #[serde(deserialize_with = "moment")]
    pub(super) from: Option<String>,
    #[serde(deserialize_with = "moment")]
    pub(super) until: Option<String>,
}

/// RFC 3339, as a string or as TOML's own kind of value.
fn moment<'de, D: serde::Deserializer<'de>>(de: D) -> Result<Option<String>, D::Error> {
    match toml::Value::deserialize(de)? {
        toml::Value::String(text) => Ok(Some(text)),
        toml::Value::Datetime(at) => Ok(Some(at.to_string())),
        other => Err(serde::de::Error::custom(format!(
            "{other} is no time such as 2026-12-24T20:00:00Z"
        ))),
    }
}

/// All windows, in the file's order, and what is allowed but hardly meant.
pub(super) fn resolve(
    written: &[MaintenanceSection],
    warnings: &mut Vec<String>,
) -> Result<Vec<Planned>, Fault> {
    if written.len() > WINDOWS_MAX {
        return fault(
            "maintenance",
            format!("{} windows; {WINDOWS_MAX} are allowed", written.len()),
        );
    }
    let mut planned: Vec<Planned> = Vec::new();
    for (n, section) in written.iter().enumerate() {
        let window = window(&format!("maintenance[{n}]"), section)?;
        if planned.iter().any(|other| other.name == window.name) {
            let why = format!("there are two of the name {:?}", window.name);
            return fault(&format!("maintenance[{n}].name"), why);
        }
        warnings.extend(odd(&window));
        planned.push(window);
    }
    Ok(planned)
}

/// A window that is allowed and hardly meant.
fn odd(window: &Planned) -> Option<String> {
    let name = &window.name;
    match &window.when {
        When::Once { until_ms, .. } => {
            let is_over = Timestamp::now().as_millisecond() >= i64::try_from(*until_ms).ok()?;
            is_over.then(|| format!("maintenance window {name:?} is over and never comes again"))
        }
        When::Weekly {
            days, start, end, ..
        } => {
            let is_always = days.len() == 7 && start == end;
            is_always.then(|| {
                format!(
                    "maintenance window {name:?} is always open: nothing of its targets is ever \
                     restarted"
                )
            })
        }
    }
}

fn window(key: &str, section: &MaintenanceSection) -> Result<Planned, Fault> {
    let name = section.name.clone().unwrap_or_default();
    if name.trim().is_empty() {
        return fault(
            &format!("{key}.name"),
            "is missing: history and status go by it",
        );
    }
    short(&format!("{key}.name"), &name)?;
    let reason = section.reason.clone().unwrap_or_default();
    short(&format!("{key}.reason"), &reason)?;
    let zone_key = format!("{key}.timezone");
    let zone = zone(&zone_key, section.timezone.as_deref().unwrap_or("UTC"))?;
    let weekly = [section.start.is_some(), section.end.is_some()];
    let is_weekly = weekly.contains(&true) || section.days.is_some();
    let is_once = section.from.is_some() || section.until.is_some();
    let when = match (is_weekly, is_once) {
        (true, false) => self::weekly(key, section, zone)?,
        (false, true) => once(key, section, &zone)?,
        _ => {
            return fault(
                key,
                "has to say either start and end (and days), or from and until",
            );
        }
    };
    Ok(Planned {
        name,
        reason,
        targets: targets(&format!("{key}.targets"), section.targets.as_deref())?,
        when,
    })
}

fn weekly(key: &str, section: &MaintenanceSection, zone: TimeZone) -> Result<When, Fault> {
    let at = |name: &str, text: &Option<String>| {
        let key = format!("{key}.{name}");
        match text {
            Some(text) => time(&key, text, name == "end"),
            None => fault(&key, "is missing, as in \"02:00\""),
        }
    };
    let (start, end) = (at("start", &section.start)?, at("end", &section.end)?);
    if start == end && section.end.as_deref() != Some("24:00") {
        let why = "is the same as start; a whole day is from \"00:00\" to \"24:00\"";
        return fault(&format!("{key}.end"), why);
    }
    Ok(When::Weekly {
        days: days(&format!("{key}.days"), section.days.as_deref())?,
        start,
        end,
        zone,
    })
}

fn once(key: &str, section: &MaintenanceSection, zone: &TimeZone) -> Result<When, Fault> {
    let at = |name: &str, text: &Option<String>| {
        let key = format!("{key}.{name}");
        match text {
            Some(text) => instant(&key, text, zone),
            None => fault(&key, "is missing, as in \"2026-12-24T20:00:00Z\""),
        }
    };
    let (from_ms, until_ms) = (at("from", &section.from)?, at("until", &section.until)?);
    if until_ms <= from_ms {
        let why = "is not after from: this window would never be open";
        return fault(&format!("{key}.until"), why);
    }
    Ok(When::Once { from_ms, until_ms })
}

/// With an offset, or by the window's own clock: the first where it comes twice.
fn instant(key: &str, text: &str, zone: &TimeZone) -> Result<u64, Fault> {
    let at = text.parse::<Timestamp>().or_else(|_| {
        let local: DateTime = text.parse()?;
        Ok::<_, jiff::Error>(zone.to_ambiguous_zoned(local).compatible()?.timestamp())
    });
    match at
        .ok()
        .and_then(|at| u64::try_from(at.as_millisecond()).ok())
    {
        Some(ms) => Ok(ms),
        None => fault(
            key,
            format!("{text:?} is no time such as 2026-12-24T20:00:00Z"),
        ),
    }
}

fn time(key: &str, text: &str, is_end: bool) -> Result<Time, Fault> {
    // The end of a day is the beginning of the next.
    if is_end && text == "24:00" {
        return Ok(Time::midnight());
    }
    let is_short = text.len() == 5 || text.len() == 8;
    match text.parse::<Time>() {
        Ok(time) if is_short => Ok(time),
        _ => fault(
            key,
            format!("{text:?} is no time of the day such as \"02:00\""),
        ),
    }
}

fn zone(key: &str, name: &str) -> Result<TimeZone, Fault> {
    let zone = match name {
        "local" => TimeZone::try_system(),
        name => TimeZone::get(name),
    };
    zone.map_err(|e| {
        let why = format!(
            "{name:?} is no time zone that is known here ({e}); \"UTC\", \"local\" or a name such \
             as \"Europe/Berlin\""
        );
        (key.to_owned(), why)
    })
}

fn days(key: &str, names: Option<&[String]>) -> Result<Vec<Weekday>, Fault> {
    let all = [
        (Weekday::Monday, "monday"),
        (Weekday::Tuesday, "tuesday"),
        (Weekday::Wednesday, "wednesday"),
        (Weekday::Thursday, "thursday"),
        (Weekday::Friday, "friday"),
        (Weekday::Saturday, "saturday"),
        (Weekday::Sunday, "sunday"),
    ];
    let Some(names) = names else {
        return Ok(all.map(|(day, _)| day).to_vec());
    };
    let mut days = Vec::new();
    for name in names {
        let word = name.to_ascii_lowercase();
        let day = all
            .iter()
            .find(|(_, full)| *full == word || full[..3] == word);
        match day {
            Some((day, _)) if days.contains(day) => {
                return fault(key, format!("names {name} twice"));
            }
            Some((day, _)) => days.push(*day),
            None => {
                let why = format!("{name:?} is none of mon, tue, wed, thu, fri, sat, sun");
                return fault(key, why);
            }
        }
    }
    if days.is_empty() {
        return fault(key, "names no day: this window would never be open");
    }
    Ok(days)
}

/// Names as the engine allows them, with `*` and `?`.
fn targets(key: &str, patterns: Option<&[String]>) -> Result<Vec<String>, Fault> {
    let Some(patterns) = patterns else {
        return Ok(Vec::new());
    };
    if patterns.is_empty() {
        return fault(key, "names no container; without this key all are meant");
    }
    if patterns.len() > TARGETS_MAX {
        let why = format!("{} patterns; {TARGETS_MAX} are allowed", patterns.len());
        return fault(key, why);
    }
    for pattern in patterns {
        short(key, pattern)?;
        let is_meant = |b: u8| b.is_ascii_alphanumeric() || b"_.-*?".contains(&b);
        if pattern.is_empty() || !pattern.bytes().all(is_meant) {
            let why = format!(
                "{pattern:?} is no pattern of container names (letters, digits, _ . -, and * for \
                 any text, ? for one character)"
            );
            return fault(key, why);
        }
    }
    Ok(patterns.to_vec())
}

fn short(key: &str, text: &str) -> Result<(), Fault> {
    if text.len() > TEXT_BYTES_MAX {
        let why = format!("has {} bytes; {TEXT_BYTES_MAX} are allowed", text.len());
        return fault(key, why);
    }
    if text.chars().any(char::is_control) {
        return fault(key, "has a control character");
    }
    Ok(())
}

fn fault<T>(key: &str, why: impl Into<String>) -> Result<T, Fault> {
    Err((key.to_owned(), why.into()))
}

#[cfg(test)]
mod tests;
