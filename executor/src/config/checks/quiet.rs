//! What is missed when it does not come: progress and beats.

use executor_api::STRING_BYTES_MAX;

use super::probe::{long, pattern, remedy};
use super::written::{ActivitySection, SilenceSection};
use super::{Activity, OutputSource, Silence};
use crate::config::bounds::{Fault, HOUR, MINUTE, fault};
use crate::config::values::show_duration_ms;

/// Shortest silence that a plugin can tell of, milliseconds: a Fluent Bit that starts anew is not
/// missed for 15 s, and has to catch up then.
const PLUGIN_MS_MIN: u64 = 20_000;

pub(super) fn silence(
    target: &str,
    section: Option<&SilenceSection>,
) -> Result<Option<Silence>, Fault> {
    let Some(section) = section else {
        return Ok(None);
    };
    let place = format!("{target}.silence");
    let key = |name: &str| format!("{place}.{name}");
    let pattern = pattern(&place, "pattern", section.pattern.as_deref())?;
    if pattern.is_some() == section.any.unwrap_or(false) {
        let why = "needs either a pattern of what counts as progress, or any = true";
        return fault(&place, why);
    }
    let source = match section.source.as_deref() {
        None | Some("engine") => OutputSource::Engine,
        Some("plugin") => OutputSource::Plugin,
        Some(other) => {
            let why = format!("\"{other}\" is none of engine, plugin");
            return fault(&key("source"), why);
        }
    };
    let limit = |name: &str, value, default_ms| {
        let ms = long(&key(name), value, default_ms)?;
        match source {
            OutputSource::Plugin if ms < PLUGIN_MS_MIN => {
                let least = show_duration_ms(PLUGIN_MS_MIN);
                let why = format!("must be at least {least} where a plugin is to tell of progress");
                fault(&key(name), why)
            }
            OutputSource::Plugin | OutputSource::Engine => Ok(ms),
        }
    };
    if source == OutputSource::Plugin
        && let Some(why) = pattern.as_ref().and_then(|one| unlisted(&one.to_string()))
    {
        return fault(&key("pattern"), why);
    }
    Ok(Some(Silence {
        pattern,
        first_ms: limit("first", section.first, 20 * MINUTE)?,
        then_ms: limit("then", section.then, 5 * MINUTE)?,
        source,
        remedy: remedy(&place, section.remedy.as_deref())?,
    }))
}

/// Why the plugin's `Progress`, a list with commas, cannot hold this text.
fn unlisted(text: &str) -> Option<String> {
    let why = match text {
        _ if text.contains(',') => "holds a comma",
        _ if text.trim() != text => "begins or ends with white space",
        _ if text.len() > STRING_BYTES_MAX => "is too long",
        _ => return None,
    };
    Some(format!(
        "{why}: with source = \"plugin\" Progress has to list it, in which texts are separated by \
         commas and have at most {STRING_BYTES_MAX} bytes; take a part of it"
    ))
}

pub(super) fn activity(
    target: &str,
    section: Option<&ActivitySection>,
) -> Result<Option<Activity>, Fault> {
    let Some(section) = section else {
        return Ok(None);
    };
    let place = format!("{target}.activity");
    let key = |name: &str| format!("{place}.{name}");
    let within_ms = long(&key("within"), section.within, HOUR)?;
    Ok(Some(Activity {
        within_ms,
        start_period_ms: long(&key("start_period"), section.start_period, within_ms)?,
        remedy: remedy(&place, section.remedy.as_deref())?,
    }))
}
