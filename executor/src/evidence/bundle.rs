//! What one bundle holds, and how it is made to fit. Pure.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use policy::{AttemptId, WallTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::{self, Container, Memory};
use super::logs::{self, Line};
use super::mask::Mask;
use super::output::{Command, Measured, OUTPUTS_BYTES_MAX, Said, Trigger};
use super::text::{cut, plain};

/// The form of the file.
const VERSION: u32 = 1;
/// Largest bundle, bytes, as it is written.
pub(super) const BUNDLE_BYTES_MAX: usize = 64 * 1024;
/// Most commands of one attempt: its remedy can have no more.
const COMMANDS_MAX: usize = policy::MEASURES_MAX;
/// Longest reason why something is missing, bytes.
const WHY_BYTES_MAX: usize = 512;
/// The last second of the year 9999.
const LAST_MS: u64 = 253_402_300_799_000;

/// Which attempt a bundle is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its number.
    pub attempt: AttemptId,
    /// Canonical name.
    pub target: String,
    /// 64 hex digits.
    pub container_id: String,
    /// When it was charged, ms since the epoch.
    pub charged_wall_ms: u64,
    /// The rule that matched; none for a person's request.
    pub rule: Option<String>,
    /// The newest line; none for a person's request.
    pub line: Option<WallTime>,
    /// What the trigger said that led to it.
    pub said: Option<Said>,
    /// Its remedy has commands, which may print the container's secrets.
    pub has_commands: bool,
}

/// One bundle.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Bundle {
    version: u32,
    attempt: AttemptId,
    target: String,
    container_id: String,
    charged_ms: u64,
    charged_iso: String,
    /// `match` or `person`.
    cause: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// Time of the newest line that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    read_ms: ReadMs,
    missing: Vec<Missing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Container>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    /// What led to it, where that was no log line.
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<Trigger>,
    /// Those of its remedy that were run, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commands: Vec<Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<Logs>,
}

/// How long the engine took, ms.
#[derive(Debug, Serialize, Deserialize)]
struct ReadMs {
    before_the_call: u64,
    after_the_call: Option<u64>,
}

/// What is not there, and why.
#[derive(Debug, Serialize, Deserialize)]
struct Missing {
    what: Cow<'static, str>,
    why: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Logs {
    /// Older lines that were read and are left out, so that the bundle fits.
    left_out: usize,
    lines: Vec<Line>,
}

/// What the engine said before the call, each as it came or why it did not.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) inspect: Result<Vec<u8>, String>,
    pub(super) memory: Result<Vec<u8>, String>,
    pub(super) took: Duration,
}

/// What it said after.
#[derive(Debug)]
pub(super) struct After {
    pub(super) logs: Result<Vec<u8>, String>,
    /// Most lines that are wanted.
    pub(super) lines_max: usize,
    pub(super) took: Duration,
}

impl Bundle {
    /// The first half, and what has to be masked in the second.
    pub(super) fn before(subject: &Subject, before: Before) -> (Self, Mask) {
        let mut missing = Vec::new();
        let mut parsed = |what, read: Result<Vec<u8>, String>| {
            let json = read.and_then(|bytes| parse(&bytes));
            json.map_err(|why| missing.push(Missing::new(what, &why)))
                .ok()
        };
        let inspect = parsed("container", before.inspect);
        let stats = parsed("memory", before.memory);
        let (container, mask) = inspect.as_ref().map(facts::container).unzip();
        let mask = mask.unwrap_or_default();
        let memory = stats.as_ref().and_then(facts::memory);
        // What has ended, and is only to be started, has none.
        let is_down = inspect
            .as_ref()
            .is_some_and(|i| i["State"]["Running"] == false);
        if stats.is_some() && memory.is_none() && !is_down {
            missing.push(Missing::new("memory", "the engine's figures hold none"));
        }
        let why = "the executor had not read them when this was written";
        missing.push(Missing::new("logs", why));
        let bundle = Self {
            version: VERSION,
            attempt: subject.attempt,
            target: subject.target.clone(),
            container_id: subject.container_id.clone(),
            charged_ms: subject.charged_wall_ms,
            charged_iso: iso_ms(subject.charged_wall_ms),
            cause: match subject.rule {
                Some(_) => "match".into(),
                None => "person".into(),
            },
            rule: subject.rule.clone(),
            line: subject.line.map(iso),
            read_ms: ReadMs {
                before_the_call: ms(before.took),
                after_the_call: None,
            },
            missing,
            container,
            memory,
            trigger: subject.said.as_ref().map(|said| Trigger::of(said, &mask)),
            commands: Vec::new(),
            logs: None,
        };
        (bundle, mask)
    }

    /// Of an attempt that nothing was read for.
    pub(super) fn bare(subject: &Subject) -> Self {
        let why = || Err("it was not read before the attempt's first call".to_owned());
        let nothing = Before {
            inspect: why(),
            memory: why(),
            took: Duration::ZERO,
        };
        Self::before(subject, nothing).0
    }

    /// As it was written. The error says what is wrong with it.
    pub(super) fn read_back(json: &str) -> Result<Self, String> {
        let bundle: Self = serde_json::from_str(json).map_err(|e| e.to_string())?;
        match bundle.version {
            VERSION => Ok(bundle),
            other => Err(format!("it is of version {other}")),
        }
    }

    /// Adds a command that was run, with as much of its output as there is room for.
    pub(super) fn add(&mut self, measured: &Measured, mask: &Mask) {
        if self.commands.len() >= COMMANDS_MAX {
            return;
        }
        let trigger = self.trigger.as_ref().map_or(0, Trigger::output_bytes);
        let taken: usize = self.commands.iter().map(Command::output_bytes).sum();
        let room = OUTPUTS_BYTES_MAX.saturating_sub(trigger + taken);
        self.commands.push(Command::of(measured, mask, room));
    }

    /// Adds the second half.
    pub(super) fn complete(&mut self, after: After, mask: &Mask) {
        self.missing.retain(|missing| missing.what != "logs");
        self.read_ms.after_the_call = Some(ms(after.took));
        match after.logs {
            Ok(reply) => {
                let mut lines = logs::lines(&reply, self.charged_ms, mask);
                lines.drain(..lines.len().saturating_sub(after.lines_max));
                self.logs = Some(Logs { left_out: 0, lines });
            }
            Err(why) => self.missing.push(Missing::new("logs", &why)),
        }
    }

    /// Whether all that there is to know is in it.
    pub(super) fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// As it is written, at most [`BUNDLE_BYTES_MAX`]: the newest lines are kept.
    pub(super) fn written(&mut self) -> Vec<u8> {
        let json = self.render();
        if json.len() <= BUNDLE_BYTES_MAX {
            return json;
        }
        self.leave_out(json.len() - BUNDLE_BYTES_MAX);
        self.render()
    }

    fn render(&self) -> Vec<u8> {
        let json = serde_json::to_vec_pretty(self);
        let mut json = json.expect("strings and numbers always serialise");
        json.push(b'\n');
        json
    }

    /// Leaves out the oldest lines, so many bytes at least.
    fn leave_out(&mut self, bytes: usize) {
        let Some(logs) = &mut self.logs else { return };
        // Its number has more digits then.
        let mut left = bytes + 8;
        let mut count = 0;
        for line in &logs.lines {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(line_bytes(line));
            count += 1;
        }
        logs.lines.drain(..count);
        logs.left_out += count;
    }
}

/// What a line takes in the file, with its indentation, comma and newline.
fn line_bytes(line: &Line) -> usize {
    const INDENT: usize = 6;
    let json = serde_json::to_string_pretty(line).expect("strings always serialise");
    json.len() + INDENT * json.lines().count() + 2
}

impl Missing {
    /// The engine's words may repeat anything.
    fn new(what: &'static str, why: &str) -> Self {
        let why = Mask::default().text(&plain(why));
        let why = cut(why, WHY_BYTES_MAX);
        Self {
            what: what.into(),
            why,
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|e| format!("the reply cannot be understood: {e}"))
}

fn ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn iso(time: WallTime) -> String {
    let ms = u64::from(time.nanos.unwrap_or(0) / 1_000_000);
    iso_ms(time.secs.saturating_mul(1_000).saturating_add(ms))
}

fn iso_ms(epoch_ms: u64) -> String {
    let instant = UNIX_EPOCH + Duration::from_millis(epoch_ms.min(LAST_MS));
    humantime::format_rfc3339_millis(instant).to_string()
}

#[cfg(test)]
mod tests;
