//! `[SERVICE]`: how soon lines come, how soon they are sent again, and where
//! they wait.

use std::path::Path;

use super::super::finding::Findings;
use super::model::{FluentBit, Kind, Section, Value};

/// A line waits this many seconds at most before anyone looks at it.
const FLUSH_S_MAX: f64 = 1.0;
/// The executor may be back in a second; longer waits only delay healing.
const BASE_S_MAX: f64 = 2.0;
const CAP_S_MAX: f64 = 30.0;

pub(super) fn check(read: &FluentBit, path: &Path, findings: &mut Findings) {
    let Some(service) = read.of_kind(Kind::Service).next() else {
        findings.warn(
            path.display(),
            "no [SERVICE]: with the defaults a line waits for a second, a retry for minutes",
            "take [SERVICE] from conf/fluent-bit.conf",
        );
        return;
    };
    let before = findings.0.len();
    seconds(
        read,
        service,
        ("flush", FLUSH_S_MAX, 1.0),
        "each line waits for as long before it is looked at; Flush 0.01 costs 0.6 % of a core",
        findings,
    );
    seconds(
        read,
        service,
        ("scheduler.base", BASE_S_MAX, 5.0),
        "the first retry comes after 6 to 11 s at 5; set scheduler.base 1",
        findings,
    );
    seconds(
        read,
        service,
        ("scheduler.cap", CAP_S_MAX, 2000.0),
        "a later retry may wait for as long, while a hung container waits; set scheduler.cap 5",
        findings,
    );
    let filesystem = |section| read.word(section, "storage.type").as_deref() == Some("filesystem");
    if read.of_kind(Kind::Input).any(filesystem) && service.get("storage.path").is_none() {
        findings.fail(
            &service.place,
            "an input has storage.type filesystem, but there is no storage.path",
            "set storage.path to a directory that outlives Fluent Bit",
        );
    }
    for (key, advice) in [
        (
            "http_server",
            "set HTTP_Server On, so that health and metrics can be asked for",
        ),
        (
            "health_check",
            "set Health_Check On, so that /api/v1/health answers",
        ),
    ] {
        if !read.word(service, key).is_some_and(|word| is_on(&word)) {
            findings.warn(&service.place, format!("{key} is not on"), advice);
        }
    }
    if findings.0.len() == before {
        findings.ok(&service.place, "[SERVICE] is as it should be");
    }
}

pub(super) fn is_on(word: &str) -> bool {
    matches!(word, "on" | "true" | "yes")
}

/// Warns of a number of seconds beyond `max`, which the default may be.
fn seconds(
    read: &FluentBit,
    service: &Section,
    (key, max, default): (&str, f64, f64),
    advice: &str,
    findings: &mut Findings,
) {
    let value = match read.value(service, key) {
        Some(Value::Depends(_)) => return,
        Some(Value::Known(text)) => match text.parse::<f64>() {
            Ok(value) => Some(value),
            Err(_) => {
                findings.fail(
                    &service.place,
                    format!("{key} {text:?} is not a number of seconds"),
                    advice,
                );
                return;
            }
        },
        None => None,
    };
    match value {
        Some(value) if value > max => {
            findings.warn(&service.place, format!("{key} is {value} s"), advice);
        }
        None if default > max => {
            let text = format!("{key} is not set, and {default} s by default");
            findings.warn(&service.place, text, advice);
        }
        _ => {}
    }
}
