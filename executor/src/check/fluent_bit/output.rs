//! `[OUTPUT]` of the plugin: its keys, their values, and Fluent Bit's own keys
//! on which it depends.

use std::path::Path;

use rules::RuleSet;

use super::super::finding::Findings;
use super::model::{FluentBit, Property, Section, Value};
use crate::config::{Config, nearest};

/// The plugin's own keys.
const OWN: [&str; 9] = [
    "name",
    "socket",
    "rules",
    "log_key",
    "target",
    "path_key",
    "ack_timeout",
    "dry_run",
    "progress",
];

/// Keys that Fluent Bit takes for every output, and that work for this one.
const GENERIC: [&str; 8] = [
    "match",
    "match_regex",
    "alias",
    "log_level",
    "log_suppress_interval",
    "retry_limit",
    "workers",
    "storage.total_limit_size",
];

/// Keys that Fluent Bit takes for outputs with a network connection of their own.
const NETWORK: [&str; 3] = ["host", "port", "ipv6"];
const NETWORK_PREFIXES: [&str; 4] = ["net.", "tls.", "oauth2", "_debug.http."];

/// Longest path of a Unix socket.
const SOCKET_BYTES_MAX: usize = 107;
/// Range of `Ack_Timeout`, milliseconds.
const ACK_TIMEOUT_MS: std::ops::RangeInclusive<u64> = 1..=30_000;
/// As the plugin: most names in `Log_Key`.
const LOG_KEYS_MAX: usize = 32;

pub(super) fn check(read: &FluentBit, output: &Section, config: &Config, findings: &mut Findings) {
    keys(output, findings);
    for property in &output.properties {
        match read.expand(&property.value) {
            Value::Known(value) if property.key == "progress" => {
                let is_kernel = read.word(output, "target").as_deref() == Some("kernel");
                if let Some(why) = super::progress::fault(&value, is_kernel) {
                    let text = format!("{} {value:?} {why}", property.written);
                    findings.fail(&property.place, text, "Fluent Bit does not start with it");
                }
            }
            Value::Known(value) => own_value(property, &value, config, findings),
            Value::Depends(variable) if OWN.contains(&&*property.key) => findings.warn(
                &property.place,
                format!(
                    "{} depends on ${{{variable}}} of Fluent Bit's environment and was not checked",
                    property.written
                ),
                "",
            ),
            Value::Depends(_) => {}
        }
    }
    delivery(read, output, findings);
}

/// Every key is known, and given once.
fn keys(output: &Section, findings: &mut Findings) {
    for (index, property) in output.properties.iter().enumerate() {
        let key = &*property.key;
        let about = &property.place;
        if OWN.contains(&key) || GENERIC.contains(&key) {
            if output.properties[..index].iter().any(|p| p.key == key) {
                let text = format!("{} is given twice", property.written);
                findings.warn(
                    about,
                    text,
                    "keep one; Fluent Bit does not say which of them counts",
                );
            }
        } else if key == "tls" {
            if super::service::is_on(&property.value.to_ascii_lowercase()) {
                findings.fail(
                    about,
                    "tls is on, and Fluent Bit does not start",
                    "take it out: the plugin speaks to a Unix socket only",
                );
            }
        } else if NETWORK.contains(&key) || NETWORK_PREFIXES.iter().any(|p| key.starts_with(p)) {
            let text = format!("{} has no effect on this output", property.written);
            findings.warn(about, text, "take it out");
        } else {
            let known = OWN.into_iter().chain(GENERIC);
            let advice = match nearest(key, known) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("the plugin's keys are {}", OWN.join(", ")),
            };
            let text = format!("unknown key {}, which has no effect", property.written);
            findings.fail(about, text, &advice);
        }
    }
}

fn own_value(property: &Property, value: &str, config: &Config, findings: &mut Findings) {
    let about = &property.place;
    let mut wrong = |why: &str, advice: &str| {
        findings.fail(
            about,
            format!("{} {value:?} {why}", property.written),
            advice,
        );
    };
    match &*property.key {
        "socket" => socket(property, value, config, findings),
        "rules" => rules(property, value, config, findings),
        "log_key" => {
            let names: Vec<_> = value.split(',').map(str::trim).collect();
            if names.iter().any(|name| name.is_empty()) {
                wrong("has an empty name between commas", "take one comma out");
            } else if names.contains(&"*") && names.len() > 1 {
                wrong("has * beside names", "give * alone, for every string");
            } else if names.len() > LOG_KEYS_MAX {
                wrong("has too many names", "give *, for every string");
            }
        }
        "target" if !is_target(value) => wrong(
            "is neither auto, record or kernel nor a container's name",
            "letters, digits, _ . and -, beginning with a letter or digit",
        ),
        "ack_timeout" => match ack_timeout_ms(value) {
            Some(ms) if ACK_TIMEOUT_MS.contains(&ms) => {}
            Some(_) => wrong("is not between 1ms and 30s", "250ms is the default"),
            None => wrong("is not a duration", "write one such as 250ms or 2s"),
        },
        "dry_run" => match value.to_ascii_lowercase().as_str() {
            "off" | "false" | "no" | "0" => {}
            "on" | "true" | "yes" | "1" => {
                findings.warn(
                    about,
                    "Dry_Run is on: nothing is sent",
                    "set it off to heal",
                );
            }
            _ => wrong("is neither on nor off", "write on or off"),
        },
        _ => {}
    }
}

/// As the plugin reads it, which is less than the executor's own settings take.
fn ack_timeout_ms(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit.trim().to_ascii_lowercase().as_str() {
        "ms" => Some(number),
        "" | "s" => Some(number.saturating_mul(1_000)),
        _ => None,
    }
}

fn is_target(value: &str) -> bool {
    let value = value.strip_prefix('/').unwrap_or(value);
    value.starts_with(|c: char| c.is_ascii_alphanumeric())
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn socket(property: &Property, value: &str, config: &Config, findings: &mut Findings) {
    let about = &property.place;
    if !Path::new(value).is_absolute() {
        let text = format!("Socket {value:?} is not an absolute path");
        findings.fail(about, text, "Fluent Bit may be started in any directory");
    } else if value.len() > SOCKET_BYTES_MAX {
        let text = format!(
            "Socket has {} bytes; a Unix socket's path holds {SOCKET_BYTES_MAX}",
            value.len()
        );
        findings.fail(about, text, "choose a shorter directory");
    } else if Path::new(value) == config.sockets.admin {
        findings.fail(
            about,
            format!("Socket {value} is the executor's admin socket"),
            &format!("set it to {}", config.sockets.intents.display()),
        );
    } else if Path::new(value) != config.sockets.intents {
        findings.warn(
            about,
            format!(
                "Socket {value} is not the executor's {}",
                config.sockets.intents.display()
            ),
            "they have to be the same file, which across containers may have two paths",
        );
    }
}

fn rules(property: &Property, value: &str, config: &Config, findings: &mut Findings) {
    let about = &property.place;
    if let Err(e) = RuleSet::load(value) {
        findings.fail(
            about,
            format!("Rules: {e}"),
            "as seen from here; in Fluent Bit's container the path may lead elsewhere",
        );
    }
    if value.trim() != config.rules.trim() {
        findings.warn(
            about,
            format!(
                "Rules {value:?} differ from the executor's {:?}",
                config.rules
            ),
            "a rule that the executor does not have restarts nothing (gate unknown-rule)",
        );
    }
}

/// That no intent is lost while the executor is away, and nobody is held up.
fn delivery(read: &FluentBit, output: &Section, findings: &mut Findings) {
    let about = &output.place;
    if output.get("match").is_none() && output.get("match_regex").is_none() {
        findings.fail(
            about,
            "no Match: no record ever gets here",
            "set Match to the tags of the container logs, such as docker.*",
        );
    }
    let retry = "set Retry_Limit no_limits: the plugin holds back one chunk per container and rule";
    match read.word(output, "retry_limit").as_deref() {
        None if output.get("retry_limit").is_none() => findings.warn(
            about,
            "no Retry_Limit: after one retry a match is lost, while the executor restarts",
            retry,
        ),
        Some("no_limits" | "false" | "off") | None => {}
        Some("no_retries") => findings.warn(
            about,
            "Retry_Limit no_retries: a match is lost whenever the executor is away",
            retry,
        ),
        Some(number) => match number.parse::<u32>() {
            Ok(n) if n > 0 => findings.warn(
                about,
                format!("Retry_Limit {n}: after {n} retries a match is lost"),
                retry,
            ),
            _ => {
                let text = format!("Retry_Limit {number:?} is read as 1 by Fluent Bit");
                findings.fail(about, text, retry);
            }
        },
    }
    if output.get("storage.total_limit_size").is_none() {
        findings.warn(
            about,
            "no storage.total_limit_size: nothing bounds what waits on disk",
            "set storage.total_limit_size 64M",
        );
    }
    if let Some(number) = read.word(output, "workers")
        && number.parse::<u32>().is_ok_and(|n| n > 0)
    {
        let text = format!(
            "Workers {number}: Fluent Bit starts each of them twice, and the one that is left \
             over crashes it after a hot reload"
        );
        findings.warn(
            about,
            text,
            "leave Workers out, or restart it in place of hot reloads",
        );
    }
}
