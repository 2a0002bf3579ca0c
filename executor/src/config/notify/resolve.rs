//! From what was written to what is meant: what all types share.

use std::collections::BTreeMap;

use super::super::bounds::{DAY, Fault, HOUR, MINUTE, SECOND, duration, fault, number};
use super::super::values::Millis;
use super::file::NotifierSection;
use super::kinds::kind;
use super::{Notifier, Rate, Route};
use crate::notify::{self, Quiet, Severity, Step};

/// Most notifiers in one configuration: each has a queue and a connection.
const NOTIFIERS_MAX: usize = 16;
/// Longest name: it is a directory's and a label's.
const NAME_BYTES_MAX: usize = 32;
/// Most patterns of one notifier.
const PATTERNS_MAX: usize = 100;

/// By name, and the names of those that are switched off.
pub(in crate::config) fn resolve(
    sections: &BTreeMap<String, NotifierSection>,
) -> Result<(Vec<Notifier>, Vec<String>), Fault> {
    if sections.len() > NOTIFIERS_MAX {
        let why = format!("{} are listed; {NOTIFIERS_MAX} are allowed", sections.len());
        return fault("notify", why);
    }
    let (mut notifiers, mut off) = (Vec::new(), Vec::new());
    for (name, section) in sections {
        check_name(name)?;
        let notifier = notifier(name, section)?;
        // A fault in one that is off is a fault all the same.
        match section.enabled.unwrap_or(true) {
            true => notifiers.push(notifier),
            false => off.push(notifier.name),
        }
    }
    Ok((notifiers, off))
}

fn notifier(name: &str, section: &NotifierSection) -> Result<Notifier, Fault> {
    let place = format!("notify.{name}");
    let key = |key: &str| format!("{place}.{key}");
    let time = |name: &str, value: Option<Millis>, default, allowed| {
        duration(&key(name), value, default, allowed)
    };
    Ok(Notifier {
        name: name.to_owned(),
        kind: kind(&place, section)?,
        route: route(&place, section)?,
        cooldown_ms: time("cooldown", section.cooldown, 5 * MINUTE, 0..=7 * DAY)?,
        quiet: quiet(&place, section)?,
        rate: Rate {
            per_hour: number(&key("max_per_hour"), section.max_per_hour, 60, 1..=3_600)?,
            burst: number(&key("burst"), section.burst, 20, 1..=1_000)?,
        },
        timeout_ms: time("timeout", section.timeout, 15 * SECOND, SECOND..=2 * MINUTE)?,
        max_age_ms: time("max_age", section.max_age, 24 * HOUR, MINUTE..=30 * DAY)?,
        queue_max: number(&key("queue_max"), section.queue_max, 500, 1..=10_000)?,
    })
}

fn route(place: &str, section: &NotifierSection) -> Result<Route, Fault> {
    let steps = section.steps.as_ref().map(|names| {
        let steps = names.iter().map(|name| step(place, name));
        steps.collect::<Result<Vec<Step>, Fault>>()
    });
    let targets = section.targets.as_ref().map(|patterns| {
        let patterns = patterns.iter().map(|text| pattern(place, text));
        patterns.collect::<Result<Vec<glob::Pattern>, Fault>>()
    });
    let (steps, targets) = (steps.transpose()?, targets.transpose()?);
    if steps.as_ref().is_some_and(Vec::is_empty) {
        return fault(&format!("{place}.steps"), "is empty; leave it out for all");
    }
    if targets
        .as_ref()
        .is_some_and(|t| t.is_empty() || t.len() > PATTERNS_MAX)
    {
        let why = format!("has to have 1 to {PATTERNS_MAX} patterns; leave it out for all");
        return fault(&format!("{place}.targets"), why);
    }
    Ok(Route {
        min_severity: section.min_severity.unwrap_or(Severity::Info),
        steps,
        targets,
        sample: section.sample.unwrap_or(false),
    })
}

fn step(place: &str, name: &str) -> Result<Step, Fault> {
    let known = || Step::ROUTED.iter().map(|step| step.as_str());
    let step = Step::ROUTED.into_iter().find(|step| step.as_str() == name);
    step.ok_or_else(|| {
        let hint = match super::super::nearest(name, known()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
        };
        (
            format!("{place}.steps"),
            format!("\"{name}\" is no step; {hint}"),
        )
    })
}

fn pattern(place: &str, text: &str) -> Result<glob::Pattern, Fault> {
    glob::Pattern::new(text).map_err(|e| {
        let why = format!("\"{text}\" is no pattern such as gpu-*: {}", e.msg);
        (format!("{place}.targets"), why)
    })
}

fn quiet(place: &str, section: &NotifierSection) -> Result<Option<Quiet>, Fault> {
    let name = section.timezone.as_deref().unwrap_or("UTC");
    let zone = notify::zone(name).map_err(|why| (format!("{place}.timezone"), why))?;
    let Some(span) = &section.quiet else {
        return Ok(None);
    };
    Quiet::parse(span, &zone)
        .map(Some)
        .map_err(|why| (format!("{place}.quiet"), why))
}

fn check_name(name: &str) -> Result<(), Fault> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let valid = name.len() <= NAME_BYTES_MAX
        && name.bytes().next().is_some_and(is_plain)
        && name.bytes().all(|b| is_plain(b) || b"_-".contains(&b));
    if valid {
        return Ok(());
    }
    let why = format!(
        "{name:?} is no name for a notifier: up to {NAME_BYTES_MAX} small letters, digits, _ and \
         -, the first a letter or digit"
    );
    fault(&format!("notify.{name}"), why)
}
