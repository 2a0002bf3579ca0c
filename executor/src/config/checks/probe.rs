//! What a probe may be.

use std::ops::RangeInclusive;

use hyper::Uri;
use policy::RuleRemedy;

use super::written::ProbeSection;
use super::{Endpoint, HttpProbe, Outside, PROBES_MAX, Pace, Probe, ProbeKind};
use crate::config::bounds::{DAY, Fault, HOUR, MINUTE, SECOND, duration, fault, number};
use crate::config::keys::nearest;
use crate::config::values::Millis;
use crate::pattern::Pattern;

/// Longest name of a probe, bytes.
const NAME_BYTES_MAX: usize = 32;
/// Longest path, host or single argument, bytes.
const TEXT_BYTES_MAX: usize = 2_048;
/// Most arguments of a command.
const ARGUMENTS_MAX: usize = 64;
/// Most redirects that may be followed.
const REDIRECTS_MAX: u32 = 5;
const KINDS: [&str; 4] = ["http", "tcp", "process", "exec"];
const REMEDIES: [&str; 3] = ["restart", "escalate", "note"];

pub(super) fn resolve(target: &str, written: &[ProbeSection]) -> Result<Vec<Probe>, Fault> {
    let key = format!("{target}.probes");
    if written.len() > PROBES_MAX {
        let probes = written.len();
        return fault(
            &key,
            format!("{probes} are listed; {PROBES_MAX} are allowed"),
        );
    }
    let mut probes: Vec<Probe> = Vec::new();
    for (index, section) in written.iter().enumerate() {
        let place = format!("{key}[{index}]");
        let probe = probe(&place, section)?;
        if probes.iter().any(|other| other.name == probe.name) {
            let why = format!("\"{}\" is the name of two probes", probe.name);
            return fault(&format!("{place}.name"), why);
        }
        probes.push(probe);
    }
    Ok(probes)
}

fn probe(place: &str, section: &ProbeSection) -> Result<Probe, Fault> {
    Ok(Probe {
        name: name(place, section.name.as_deref())?,
        kind: kind(place, section)?,
        pace: pace(place, section)?,
        remedy: remedy(place, section.remedy.as_deref())?,
    })
}

fn name(place: &str, name: Option<&str>) -> Result<String, Fault> {
    let key = format!("{place}.name");
    let Some(name) = name else {
        return fault(place, "has no name; its rule is called \"probe-NAME\"");
    };
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_allowed) {
        let most = NAME_BYTES_MAX;
        let why = format!("{name:?} is not 1 to {most} lower-case letters, digits and -");
        return fault(&key, why);
    }
    Ok(name.to_owned())
}

fn kind(place: &str, section: &ProbeSection) -> Result<ProbeKind, Fault> {
    let key = format!("{place}.type");
    let kind = match section.kind.as_deref() {
        None => return fault(place, format!("has no type: one of {}", KINDS.join(", "))),
        Some("custom") => return fault(&key, "\"custom\" is none; did you mean exec?"),
        Some(kind) if KINDS.contains(&kind) => kind,
        Some(kind) => {
            let near = nearest(kind, KINDS.into_iter());
            let hint = near.map(|near| format!("; did you mean {near}?"));
            let why = format!("\"{kind}\" is none of {}", KINDS.join(", "));
            return fault(&key, why + &hint.unwrap_or_default());
        }
    };
    no_others(place, kind, section)?;
    let outside = match kind {
        "http" => Outside::Http(http(place, section)?),
        "tcp" => Outside::Tcp(tcp(place, section)?),
        "process" => match pattern(place, "pattern", section.pattern.as_deref())? {
            Some(pattern) => Outside::Process(pattern),
            None => return fault(place, "has no pattern of the process's command line"),
        },
        _ => return command(place, section.command.as_deref()).map(ProbeKind::Exec),
    };
    Ok(ProbeKind::Outside(outside))
}

/// A key that belongs to another type is a mistake, never ignored.
fn no_others(place: &str, kind: &str, section: &ProbeSection) -> Result<(), Fault> {
    let keys: [(&str, bool, &[&str]); 9] = [
        ("url", section.url.is_some(), &["http"]),
        ("host", section.host.is_some(), &["http", "tcp"]),
        ("port", section.port.is_some(), &["http", "tcp"]),
        ("path", section.path.is_some(), &["http"]),
        ("status", section.status.is_some(), &["http"]),
        ("body", section.body.is_some(), &["http"]),
        ("redirects", section.redirects.is_some(), &["http"]),
        ("pattern", section.pattern.is_some(), &["process"]),
        ("command", section.command.is_some(), &["exec"]),
    ];
    match keys
        .iter()
        .find(|(_, is_set, of)| *is_set && !of.contains(&kind))
    {
        None => Ok(()),
        Some((key, _, of)) => fault(
            &format!("{place}.{key}"),
            format!("is for type {} only, and this is {kind}", of.join(" and ")),
        ),
    }
}

fn http(place: &str, section: &ProbeSection) -> Result<HttpProbe, Fault> {
    let (asked, path) = match &section.url {
        Some(url) => {
            if section.host.is_some() || section.port.is_some() || section.path.is_some() {
                return fault(place, "has a url, and so no host, port or path beside it");
            }
            from_url(url).or_else(|why| fault(&format!("{place}.url"), why))?
        }
        None => (
            tcp(place, section)?,
            section.path.clone().unwrap_or("/".into()),
        ),
    };
    let is_path = path.starts_with('/') && path.len() <= TEXT_BYTES_MAX && !path.contains('#');
    if !is_path || path.parse::<Uri>().is_err() {
        return fault(
            &format!("{place}.path"),
            format!("{path:?} is no path of a URL, such as /health?deep=1"),
        );
    }
    let most = REDIRECTS_MAX;
    let redirects = number(
        &format!("{place}.redirects"),
        section.redirects,
        0,
        0..=most,
    )?;
    Ok(HttpProbe {
        endpoint: asked,
        path,
        status: statuses(place, section.status.as_deref())?,
        body: pattern(place, "body", section.body.as_deref())?,
        redirects: u8::try_from(redirects).unwrap_or_default(),
    })
}

/// Where a URL leads; also used for redirects.
pub fn from_url(url: &str) -> Result<(Endpoint, String), String> {
    let wrong = |why: &str| format!("{url:?} {why}");
    let uri: Uri = url.parse().map_err(|e| wrong(&format!("is no URL: {e}")))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => {
            return Err(wrong(
                "needs TLS, which probes do not speak: ask the port behind it, or use an exec \
                 probe with the image's own client",
            ));
        }
        _ => return Err(wrong("does not begin with http://")),
    }
    if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err("a URL with a user or a password in it is not asked".to_owned());
    }
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong("names no host"));
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let endpoint = Endpoint {
        host: Some(host.to_owned()),
        port: uri.port_u16().unwrap_or(80),
    };
    Ok((endpoint, path.to_owned()))
}

fn tcp(place: &str, section: &ProbeSection) -> Result<Endpoint, Fault> {
    let Some(port) = section.port.filter(|port| *port > 0) else {
        return fault(place, "has no port from 1 to 65535");
    };
    let host = section.host.clone();
    let is_host = |host: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-:".contains(&b);
        (1..=253).contains(&host.len()) && host.bytes().all(allowed)
    };
    match host {
        Some(host) if !is_host(&host) => fault(
            &format!("{place}.host"),
            format!("{host:?} is neither a name nor an address"),
        ),
        host => Ok(Endpoint { host, port }),
    }
}

/// `200-299, 304`
fn statuses(place: &str, text: Option<&str>) -> Result<Vec<RangeInclusive<u16>>, Fault> {
    let text = text.unwrap_or("200-399");
    let status = |text: &str| {
        let status: u16 = text.trim().parse().ok()?;
        (100..=599).contains(&status).then_some(status)
    };
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (status(from)?, status(to)?);
        (from <= to).then_some(from..=to)
    };
    match text.split(',').map(range).collect::<Option<Vec<_>>>() {
        Some(ranges) => Ok(ranges),
        None => fault(
            &format!("{place}.status"),
            format!("{text:?} is no list of statuses such as \"200-299, 304\""),
        ),
    }
}

pub(super) fn pattern(
    place: &str,
    key: &str,
    text: Option<&str>,
) -> Result<Option<Pattern>, Fault> {
    text.map(Pattern::new)
        .transpose()
        .or_else(|why| fault(&format!("{place}.{key}"), why))
}

fn command(place: &str, command: Option<&[String]>) -> Result<Vec<String>, Fault> {
    let key = format!("{place}.command");
    let words = command.unwrap_or_default();
    if words.first().is_none_or(String::is_empty) {
        return fault(
            place,
            "has no command, such as [\"/bin/healthy\", \"--deep\"]",
        );
    }
    if words.len() > ARGUMENTS_MAX {
        let count = words.len();
        return fault(
            &key,
            format!("has {count} words; {ARGUMENTS_MAX} are allowed"),
        );
    }
    let is_bad = |word: &String| word.len() > TEXT_BYTES_MAX || word.contains('\0');
    if let Some(index) = words.iter().position(is_bad) {
        let why = format!("word {index} has a NUL, or more than {TEXT_BYTES_MAX} bytes");
        return fault(&key, why);
    }
    Ok(words.to_vec())
}

fn pace(place: &str, section: &ProbeSection) -> Result<Pace, Fault> {
    let key = |name: &str| format!("{place}.{name}");
    let interval_ms = duration(
        &key("interval"),
        section.interval,
        30 * SECOND,
        SECOND..=DAY,
    )?;
    // One that takes longer than its interval would run into the next.
    let longest = interval_ms.min(5 * MINUTE);
    let default = longest.min(5 * SECOND);
    Ok(Pace {
        interval_ms,
        timeout_ms: duration(&key("timeout"), section.timeout, default, 10..=longest)?,
        failures: number(&key("failures"), section.failures, 3, 1..=100)?,
        successes: number(&key("successes"), section.successes, 1, 1..=100)?,
        start_period_ms: duration(&key("start_period"), section.start_period, MINUTE, 0..=DAY)?,
    })
}

pub(super) fn remedy(place: &str, word: Option<&str>) -> Result<RuleRemedy, Fault> {
    Ok(match word {
        None | Some("restart") => RuleRemedy::Restart,
        Some("escalate") => RuleRemedy::Escalate,
        Some("note") => RuleRemedy::Note,
        Some(other) => {
            let near = nearest(other, REMEDIES.into_iter());
            let hint = near.map(|near| format!("; did you mean {near}?"));
            let why = format!("\"{other}\" is none of {}", REMEDIES.join(", "));
            return fault(&format!("{place}.remedy"), why + &hint.unwrap_or_default());
        }
    })
}

/// Of silence and activity.
pub(super) fn long(key: &str, value: Option<Millis>, default_ms: u64) -> Result<u64, Fault> {
    duration(key, value, default_ms, SECOND..=30 * 24 * HOUR)
}
