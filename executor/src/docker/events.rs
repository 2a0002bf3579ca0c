//! The engine's stream of events: one JSON object a line, for as long as it lasts.
//!
//! Keeps true: a line is bounded, and one that is cut off by the stream's end is none. What
//! cannot be read ends the stream as an error: whoever follows it has then missed something,
//! and has to know that. Docker's names and Podman's are both understood.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::{HealthStatus, WallTime};
use serde::Deserialize;

use super::ask::Ask;
use super::client::Client;
use super::error::DockerError;
use super::exchange::Deadline;
use super::streaming::Streaming;

/// Longest line, bytes; an event carries all labels of its container.
pub(super) const LINE_BYTES_MAX: usize = 256 << 10;

/// What is asked for, in the words of both engines. The engine leaves out the rest, most of
/// all what each health check makes of events.
pub(super) const NAMES: [&str; 14] = [
    "create",
    "destroy",
    "die",
    "died",
    "health_status",
    "kill",
    "oom",
    "pause",
    "remove",
    "rename",
    "restart",
    "start",
    "stop",
    "unpause",
];

/// One event of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// 64 hex digits.
    pub id: String,
    /// The container's name, without the leading `/`; empty where it is not told.
    pub name: String,
    /// See [`What`].
    pub what: What,
    /// By the engine's clock.
    pub at: WallTime,
    /// The container's labels, and some words of the engine's own beside them.
    pub attributes: BTreeMap<String, String>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum What {
    Create,
    Start,
    Restart,
    /// Its main process has ended.
    Die {
        exit_code: Option<i64>,
    },
    /// Somebody sent it a signal through the engine; none = which one is not told.
    Kill {
        signal: Option<u8>,
    },
    Stop,
    Pause,
    Unpause,
    Rename,
    Destroy,
    /// The kernel killed one of its processes for want of memory.
    Oom,
    Health(HealthStatus),
}

/// A stream of events that is open.
#[derive(Debug)]
pub struct Events {
    stream: Streaming,
    lines: Lines,
}

impl Client {
    /// Follows what happens to containers from now on: `GET /events`. Its head is waited
    /// for until `deadline`; the stream itself has no end of its own.
    pub async fn events(&self, deadline: Duration) -> Result<Events, DockerError> {
        let ask = Ask::events();
        let stream = self.stream(&ask, Deadline::after(deadline)).await?;
        Ok(Events {
            stream,
            lines: Lines::default(),
        })
    }
}

impl Events {
    /// Whether the engine is Podman, which tells less of health than Docker does.
    pub fn is_podman(&self) -> bool {
        self.stream.is_podman()
    }

    /// The next event that means something here; none where the engine ended the stream.
    /// May be dropped and asked again.
    pub async fn next(&mut self) -> Result<Option<Event>, DockerError> {
        let unreadable = |why: String| DockerError::Reply {
            what: Ask::events().what,
            why,
        };
        loop {
            while let Some(line) = self.lines.line() {
                if let Some(event) = Event::parse(&line).map_err(unreadable)? {
                    return Ok(Some(event));
                }
            }
            match self.stream.next().await? {
                Some(bytes) => self.lines.feed(&bytes).map_err(unreadable)?,
                None => return Ok(None),
            }
        }
    }
}

/// Cuts a stream into lines: pure.
#[derive(Debug, Default)]
struct Lines {
    /// At most [`LINE_BYTES_MAX`] without a line's end, and one piece of the stream.
    buffer: Vec<u8>,
    /// Where the first line that was not given out begins.
    from: usize,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.buffer.drain(..self.from);
        self.from = 0;
        let last_end = bytes.iter().rposition(|&byte| byte == b'\n');
        let open = match last_end {
            Some(end) => bytes.len() - end - 1,
            None => self.buffer.len() + bytes.len(),
        };
        let first_end = bytes.iter().position(|&byte| byte == b'\n');
        let first = first_end.map_or(0, |end| self.buffer.len() + end);
        if open.max(first) > LINE_BYTES_MAX {
            return Err(format!("a line is longer than {LINE_BYTES_MAX} bytes"));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole line, without its end.
    fn line(&mut self) -> Option<Vec<u8>> {
        let rest = &self.buffer[self.from..];
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        let line = rest[..end].to_vec();
        self.from += end + 1;
        Some(line)
    }
}

#[derive(Deserialize)]
struct Json {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Action", default)]
    action: String,
    #[serde(default)]
    status: String,
    #[serde(rename = "Actor", default)]
    actor: Actor,
    #[serde(default)]
    time: u64,
    #[serde(rename = "timeNano", default)]
    time_nano: u64,
    /// Podman's, beside the plain `health_status`.
    #[serde(rename = "HealthStatus", default)]
    health_status: String,
}

#[derive(Deserialize, Default)]
struct Actor {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "Attributes", default)]
    attributes: Option<BTreeMap<String, String>>,
}

impl Event {
    /// Reads one line; none where it is about nothing that matters here.
    fn parse(line: &[u8]) -> Result<Option<Self>, String> {
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        // A list would be read as one without names.
        if !line.trim_ascii_start().starts_with(b"{") {
            return Err("a line is no JSON object".to_owned());
        }
        let json: Json = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        if !matches!(json.kind.as_str(), "container" | "") {
            return Ok(None);
        }
        let attributes = json.actor.attributes.unwrap_or_default();
        let action = match json.action.as_str() {
            "" => json.status.as_str(),
            action => action,
        };
        let Some(what) = what(action, &json.health_status, &attributes) else {
            return Ok(None);
        };
        let id = json.actor.id;
        if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("Actor.ID is not 64 hex digits".to_owned());
        }
        let name = attributes.get("name").map_or("", String::as_str);
        Ok(Some(Self {
            id,
            name: name.trim_start_matches('/').to_owned(),
            what,
            at: time(json.time, json.time_nano),
            attributes,
        }))
    }
}

fn time(secs: u64, nanos: u64) -> WallTime {
    match nanos {
        0 => WallTime { secs, nanos: None },
        nanos => WallTime {
            secs: nanos / 1_000_000_000,
            nanos: u32::try_from(nanos % 1_000_000_000).ok(),
        },
    }
}

fn what(action: &str, health: &str, attributes: &BTreeMap<String, String>) -> Option<What> {
    let attribute = |names: &[&str]| names.iter().find_map(|name| attributes.get(*name));
    if let Some(after) = action.strip_prefix("health_status") {
        let told = after.trim_start_matches(':').trim();
        let elsewhere = [health]
            .into_iter()
            .chain(attribute(&["health_status", "healthStatus"]).map(String::as_str));
        let status = [told].into_iter().chain(elsewhere).find(|s| !s.is_empty());
        return health_status(status?).map(What::Health);
    }
    Some(match action {
        "create" => What::Create,
        "start" => What::Start,
        "restart" => What::Restart,
        "die" | "died" => What::Die {
            exit_code: attribute(&["exitCode", "containerExitCode"])
                .and_then(|code| code.parse().ok()),
        },
        "kill" => What::Kill {
            signal: attribute(&["signal"]).and_then(|signal| signal_number(signal)),
        },
        "stop" => What::Stop,
        "pause" => What::Pause,
        "unpause" => What::Unpause,
        "rename" => What::Rename,
        "destroy" | "remove" => What::Destroy,
        "oom" => What::Oom,
        _ => return None,
    })
}

/// Docker's words and Podman's.
pub(super) fn health_status(word: &str) -> Option<HealthStatus> {
    Some(match word {
        "healthy" => HealthStatus::Healthy,
        "unhealthy" => HealthStatus::Unhealthy,
        "starting" => HealthStatus::Starting,
        _ => return None,
    })
}

/// `15`, `SIGTERM` or `TERM`; none where it is no signal that can be told by name.
pub(super) fn signal_number(text: &str) -> Option<u8> {
    let text = text.trim();
    if let Ok(number) = text.parse::<u8>() {
        return Some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(real_time) = name.strip_prefix("RTMIN") {
        let beyond = real_time.strip_prefix('+').unwrap_or("0");
        return beyond.parse::<u8>().ok().and_then(|n| n.checked_add(34));
    }
    Some(match name {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "ABRT" => 6,
        "KILL" => 9,
        "USR1" => 10,
        "USR2" => 12,
        "PIPE" => 13,
        "ALRM" => 14,
        "TERM" => 15,
        "CONT" => 18,
        "STOP" => 19,
        "WINCH" => 28,
        "PWR" => 30,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "a5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";

    fn event(action: &str, more: &str) -> Result<Option<What>, String> {
        let line = format!(
            r#"{{"status":"x","Type":"container","Action":"{action}","Actor":{{"ID":"{ID}",
            "Attributes":{{"image":"i","name":"web"{more}}}}},"scope":"local","time":1795310001,
            "timeNano":1795310001500000007}}"#
        );
        let event = Event::parse(line.as_bytes())?;
        Ok(event.map(|event| {
            assert_eq!((&*event.id, &*event.name), (ID, "web"));
            let nanos = Some(500_000_007);
            assert_eq!(
                event.at,
                WallTime {
                    secs: 1_795_310_001,
                    nanos
                }
            );
            event.what
        }))
    }

    #[test]
    fn the_names_of_both_engines_mean_the_same() {
        use HealthStatus::{Healthy, Starting, Unhealthy};
        for (action, more, what) in [
            ("start", "", Some(What::Start)),
            (
                "die",
                r#","exitCode":"137""#,
                Some(What::Die {
                    exit_code: Some(137),
                }),
            ),
            (
                "died",
                r#","containerExitCode":"1""#,
                Some(What::Die { exit_code: Some(1) }),
            ),
            ("die", "", Some(What::Die { exit_code: None })),
            (
                "kill",
                r#","signal":"15""#,
                Some(What::Kill { signal: Some(15) }),
            ),
            (
                "kill",
                r#","signal":"SIGRTMIN+3""#,
                Some(What::Kill { signal: Some(37) }),
            ),
            ("kill", "", Some(What::Kill { signal: None })),
            ("stop", "", Some(What::Stop)),
            ("destroy", "", Some(What::Destroy)),
            ("remove", "", Some(What::Destroy)),
            ("oom", "", Some(What::Oom)),
            (
                "health_status: unhealthy",
                "",
                Some(What::Health(Unhealthy)),
            ),
            ("health_status: healthy", "", Some(What::Health(Healthy))),
            ("health_status:starting", "", Some(What::Health(Starting))),
            (
                "health_status",
                r#","health_status":"unhealthy""#,
                Some(What::Health(Unhealthy)),
            ),
            ("health_status", "", None),
            ("exec_create: sh -c true", "", None),
            ("top", "", None),
        ] {
            assert_eq!(event(action, more), Ok(what), "{action} {more}");
        }
    }

    #[test]
    fn podmans_own_field_for_health_is_read() {
        let line = format!(
            r#"{{"Type":"container","Action":"health_status","HealthStatus":"unhealthy",
            "Actor":{{"ID":"{ID}","Attributes":{{}}}},"time":1795310001}}"#
        );
        let event = Event::parse(line.as_bytes()).unwrap().unwrap();
        assert_eq!(event.what, What::Health(HealthStatus::Unhealthy));
        assert_eq!(
            event.at,
            WallTime {
                secs: 1_795_310_001,
                nanos: None
            }
        );
        assert_eq!(event.name, "");
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_what_does_not_matter_is_nothing() {
        for line in [
            "{",
            "rubbish",
            "[]",
            "\u{0}",
            r#"{"Action":"die","Actor":{"ID":"a5e0"}}"#,
        ] {
            assert!(Event::parse(line.as_bytes()).is_err(), "{line}");
        }
        for line in ["", " \r", r#"{"Type":"network","Action":"connect"}"#, "{}"] {
            assert_eq!(Event::parse(line.as_bytes()), Ok(None), "{line}");
        }
    }

    fn lines(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, String> {
        let mut lines = Lines::default();
        let mut whole = Vec::new();
        for piece in pieces {
            lines.feed(piece)?;
            while let Some(line) = lines.line() {
                whole.push(line);
            }
        }
        Ok(whole)
    }

    #[test]
    fn a_stream_is_cut_into_its_whole_lines_wherever_its_pieces_end() {
        let stream = b"one\n\ntwo\nthree";
        for cut in 0..=stream.len() {
            let (a, b) = stream.split_at(cut);
            let whole = lines(&[a, b]).unwrap();
            assert_eq!(
                whole,
                [b"one".to_vec(), b"".to_vec(), b"two".to_vec()],
                "{cut}"
            );
        }
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        let longest = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(
            lines(&[&longest, b"\n"]).unwrap(),
            std::slice::from_ref(&longest)
        );
        assert!(lines(&[&longest, b"x"]).is_err());
        assert!(lines(&[&longest, b"x\n"]).is_err());
        assert!(lines(&[b"a\n", &longest, b"x"]).is_err());
        let with_end = [&longest[..], b"\n"].concat();
        assert_eq!(lines(&[b"a\n", &with_end]).unwrap().len(), 2);
    }

    #[test]
    fn signals_are_known_by_number_and_name() {
        for (text, number) in [
            ("9", Some(9)),
            ("SIGKILL", Some(9)),
            ("term", Some(15)),
            ("SIGRTMIN+3", Some(37)),
            ("SIGNONSENSE", None),
            ("", None),
            ("300", None),
        ] {
            assert_eq!(signal_number(text), number, "{text}");
        }
    }
}
