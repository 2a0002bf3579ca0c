//! Lines: one JSON object each, with a version and a type.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AdminRequest, Answer, Beat, Decision, Intent, LastMatch, PATTERNS_MAX, Ping, Progress,
    SAMPLE_BYTES_MAX, STRING_BYTES_MAX, TIMES_MAX, TargetRef, VERSION,
};

/// Most bytes of one line, its newline included.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// A line that is wrong and would be wrong again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The message's id where one could be read, else empty.
    pub id: String,
    /// What is wrong with it.
    pub why: String,
}

/// Why no further line can be read from a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineError {
    /// More than [`LINE_BYTES_MAX`] bytes without a newline.
    TooLong,
}

type Object = serde_json::Map<String, Value>;

#[derive(Serialize)]
struct Versioned<'a, T> {
    v: u32,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(flatten)]
    body: &'a T,
}

/// One line, newline included. `kind` is the `type` of a message whose body
/// does not carry one itself: `Some("intent")` for an [`Intent`].
pub fn encode<T: Serialize>(kind: Option<&str>, body: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(&Versioned {
        v: VERSION,
        kind,
        body,
    })
    .expect("protocol types have string keys and finite numbers");
    line.push(b'\n');
    line
}

/// What a sender says on the intent socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Something is to be healed.
    Intent(Intent),
    /// Asks for any answer, to know that the executor gives some.
    Ping(Ping),
    /// A container goes on with its work.
    Progress(Progress),
    /// A sign of life from outside.
    Beat(Beat),
}

impl Message {
    fn id(self) -> String {
        match self {
            Self::Intent(intent) => intent.id,
            Self::Ping(ping) => ping.id,
            Self::Progress(progress) => progress.id,
            Self::Beat(beat) => beat.id,
        }
    }
}

/// Reads one line of the intent socket, limits checked.
pub fn decode_message(line: &[u8]) -> Result<Message, Reject> {
    let (kind, object, id) = open(line)?;
    match kind.as_deref() {
        Some("intent") => {
            let intent = parse::<Intent>(object, &id)?;
            check(&intent).map_err(|why| Reject { id, why })?;
            Ok(Message::Intent(intent))
        }
        Some("ping") => {
            let ping = parse::<Ping>(object, &id)?;
            check_ping(&ping).map_err(|why| Reject { id, why })?;
            Ok(Message::Ping(ping))
        }
        Some("progress") => {
            let progress = parse::<Progress>(object, &id)?;
            check_progress(&progress).map_err(|why| Reject { id, why })?;
            Ok(Message::Progress(progress))
        }
        Some("beat") => {
            let beat = parse::<Beat>(object, &id)?;
            let texts = [("id", &*beat.id), ("target", &*beat.target)];
            check_named(&texts).map_err(|why| Reject { id, why })?;
            Ok(Message::Beat(beat))
        }
        _ => Err(Reject {
            id,
            why: format!(
                "unknown type {kind:?}: this socket takes \"intent\", \"ping\", \"progress\" and \
                 \"beat\""
            ),
        }),
    }
}

/// Reads an intent (one line, with or without its newline), limits checked.
pub fn decode_intent(line: &[u8]) -> Result<Intent, Reject> {
    match decode_message(line)? {
        Message::Intent(intent) => Ok(intent),
        other => Err(Reject {
            id: other.id(),
            why: "not an intent".into(),
        }),
    }
}

/// Reads a request on the admin socket.
pub fn decode_admin(line: &[u8]) -> Result<AdminRequest, Reject> {
    let (kind, mut object, id) = open(line)?;
    object.insert("type".into(), kind.into());
    parse(object, &id)
}

/// Reads an answer, on the sender's side. Not by way of a value tree: the plugin
/// reads answers on a stack of 24 KiB, and a tree of a hostile line's nesting
/// would take more. What is not asked for is stepped over without recursion.
pub fn decode_answer(line: &[u8]) -> Result<Answer, Reject> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
        #[serde(default)]
        id: String,
        decision: Decision,
        #[serde(default)]
        gate: Option<String>,
        #[serde(default)]
        detail: Option<String>,
    }
    let reject = |id: &str, why: String| Reject { id: id.into(), why };
    let wire: Versioned =
        serde_json::from_slice(line).map_err(|e| reject("", format!("not an answer: {e}")))?;
    if wire.v != VERSION {
        let why = format!("unknown version {}: this sender speaks {VERSION}", wire.v);
        return Err(reject(&wire.id, why));
    }
    Ok(Answer {
        id: wire.id,
        decision: wire.decision,
        gate: wire.gate,
        detail: wire.detail,
    })
}

/// Checks the version, takes `v` and `type` out, and finds the id.
fn open(line: &[u8]) -> Result<(Option<String>, Object, String), Reject> {
    let anonymous = |why: String| Reject {
        id: String::new(),
        why,
    };
    let value: Value =
        serde_json::from_slice(line).map_err(|e| anonymous(format!("not a JSON object: {e}")))?;
    let Value::Object(mut object) = value else {
        return Err(anonymous("not a JSON object".into()));
    };
    let id = match object.get("id") {
        Some(Value::String(id)) if id.len() <= STRING_BYTES_MAX => id.clone(),
        _ => String::new(),
    };
    match object.remove("v") {
        Some(v) if v == VERSION => {}
        Some(v) => {
            return Err(Reject {
                id,
                why: format!("unknown version {v}: this executor speaks {VERSION}"),
            });
        }
        None => {
            return Err(Reject {
                id,
                why: format!("no version: add \"v\":{VERSION}"),
            });
        }
    }
    let kind = match object.remove("type") {
        Some(Value::String(kind)) => Some(kind),
        Some(other) => {
            return Err(Reject {
                id,
                why: format!("type is {other}, not a string"),
            });
        }
        None => None,
    };
    Ok((kind, object, id))
}

fn parse<T: for<'de> Deserialize<'de>>(object: Object, id: &str) -> Result<T, Reject> {
    serde_json::from_value(Value::Object(object)).map_err(|e| Reject {
        id: id.into(),
        why: e.to_string(),
    })
}

fn check(intent: &Intent) -> Result<(), String> {
    let target = match &intent.target {
        TargetRef::Id(s) | TargetRef::Name(s) | TargetRef::Cgroup(s) => s.as_str(),
        TargetRef::Pid(_) => "-",
    };
    for (key, text) in [
        ("id", intent.id.as_str()),
        ("target", target),
        ("rule", &intent.rule),
    ] {
        if text.is_empty() {
            return Err(format!("{key} is empty"));
        }
    }
    check_texts(&[
        ("id", intent.id.as_str(), STRING_BYTES_MAX),
        ("target", target, STRING_BYTES_MAX),
        ("rule", &intent.rule, STRING_BYTES_MAX),
        ("tag", &intent.tag, STRING_BYTES_MAX),
        ("source", &intent.source, STRING_BYTES_MAX),
        ("sample", &intent.sample, SAMPLE_BYTES_MAX),
    ])?;
    if intent.times.is_empty() {
        return Err("times is empty".into());
    }
    if intent.times.len() > TIMES_MAX {
        return Err(format!(
            "times has {} entries, at most {TIMES_MAX} are allowed",
            intent.times.len()
        ));
    }
    check_last(intent.last)?;
    check_id(&intent.target)
}

fn check_id(target: &TargetRef) -> Result<(), String> {
    match target {
        TargetRef::Id(id)
            if !((12..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit())) =>
        {
            Err("target id is not 12 to 64 hex digits".into())
        }
        _ => Ok(()),
    }
}

fn check_ping(ping: &Ping) -> Result<(), String> {
    if ping.progress.len() > PATTERNS_MAX {
        let patterns = ping.progress.len();
        return Err(format!(
            "progress has {patterns} entries, at most {PATTERNS_MAX} are allowed"
        ));
    }
    check_texts(&[("id", &ping.id, STRING_BYTES_MAX)])?;
    for pattern in &ping.progress {
        check_named(&[("progress", pattern)])?;
    }
    Ok(())
}

fn check_progress(progress: &Progress) -> Result<(), String> {
    let target = match &progress.target {
        TargetRef::Id(text) | TargetRef::Name(text) => text,
        TargetRef::Pid(_) | TargetRef::Cgroup(_) => {
            return Err("target is neither an id nor a name".into());
        }
    };
    check_named(&[
        ("id", &progress.id),
        ("target", target),
        ("pattern", &progress.pattern),
    ])?;
    check_last(progress.last)?;
    check_id(&progress.target)
}

fn check_last(last: LastMatch) -> Result<(), String> {
    match last.1.is_some_and(|nanos| nanos >= 1_000_000_000) {
        true => Err("last has 1,000,000,000 nanoseconds or more".into()),
        false => Ok(()),
    }
}

/// Each (key, text) is there and within its limit.
fn check_named(texts: &[(&str, &str)]) -> Result<(), String> {
    for (key, text) in texts {
        if text.is_empty() {
            return Err(format!("{key} is empty"));
        }
        check_texts(&[(key, text, STRING_BYTES_MAX)])?;
    }
    Ok(())
}

/// Each (key, text, limit in bytes) is within its limit.
fn check_texts(texts: &[(&str, &str, usize)]) -> Result<(), String> {
    match texts.iter().find(|(_, text, max)| text.len() > *max) {
        None => Ok(()),
        Some((key, text, max)) => Err(format!(
            "{key} has {} bytes, at most {max} are allowed",
            text.len()
        )),
    }
}

/// Cuts a byte stream into lines of at most [`LINE_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// Where the next search for a newline begins.
    searched: usize,
}

impl LineBuffer {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next whole line, without its newline.
    pub fn pop(&mut self) -> Result<Option<Vec<u8>>, LineError> {
        match self.bytes[self.searched..].iter().position(|&b| b == b'\n') {
            Some(offset) => {
                let end = self.searched + offset;
                if end + 1 > LINE_BYTES_MAX {
                    return Err(LineError::TooLong);
                }
                let mut line: Vec<u8> = self.bytes.drain(..=end).collect();
                line.pop();
                self.searched = 0;
                Ok(Some(line))
            }
            None if self.bytes.len() >= LINE_BYTES_MAX => Err(LineError::TooLong),
            None => {
                self.searched = self.bytes.len();
                Ok(None)
            }
        }
    }

    /// What follows the last newline, at the end of a stream: a line too, where
    /// a sender has left its newline out. None where there is nothing.
    pub fn take_rest(&mut self) -> Option<Vec<u8>> {
        self.searched = 0;
        Some(std::mem::take(&mut self.bytes)).filter(|rest| !rest.is_empty())
    }

    /// True where part of a line is left over.
    pub fn is_partial(&self) -> bool {
        !self.bytes.is_empty()
    }
}
