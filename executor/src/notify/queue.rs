//! One notifier's messages that have not gone out: a file each, in a private
//! directory of the state directory, so that they outlive the executor.
//!
//! Keeps true: at most so many messages and [`QUEUE_BYTES_MAX`] bytes; where
//! there is no room, the oldest of the least severe goes, which is told. A file
//! is whole or not there. What the disk does not take is kept in memory. A
//! digest takes the place of what it is made of in one step: until its file is
//! there they are, and once it is they are gone, over crashes too.
//!
//! Nothing is fsynced: a power cut may take the newest messages; the journal has
//! what they tell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::message::{Message, Severity, cut, one_line};
use super::plan::Waiting;
use crate::report::{ReportDir, ReportError};

/// Most bytes of one queue.
const QUEUE_BYTES_MAX: u64 = 4 << 20;
/// Most bytes of one message; a digest of the longest has fewer.
const MESSAGE_BYTES_MAX: u64 = 64 << 10;
/// Nothing is written with less room than this on the disk: it is the journal's.
const FREE_BYTES_MIN: u64 = 16 << 20;
/// Of one message, in a digest.
const LINE_BYTES_MAX: usize = 240;

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    path: PathBuf,
    entries: BTreeMap<u64, Entry>,
    next_seq: u64,
    bytes: u64,
    count_max: usize,
}

#[derive(Debug)]
struct Entry {
    severity: Severity,
    at_ms: u64,
    is_digest: bool,
    bytes: u64,
    /// Where the disk has not taken it.
    in_memory: Option<Box<Message>>,
}

/// What a file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    message: Message,
    /// What a digest is made of.
    #[serde(default)]
    covers: Vec<u64>,
}

/// What came of taking a message in.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    /// Messages that had to go for it; it may be one of them.
    pub(super) dropped: u32,
    /// It is only in memory.
    pub(super) not_written: Option<String>,
}

impl Queue {
    /// Takes up what is there. What cannot be used is removed, and told in the
    /// list.
    pub(super) fn open(path: &Path, count_max: usize) -> (Self, Vec<String>) {
        let mut queue = Self {
            path: path.to_owned(),
            entries: BTreeMap::new(),
            next_seq: 1,
            bytes: 0,
            count_max,
        };
        let mut told = Vec::new();
        if let Err(e) = queue.load(&mut told) {
            told.push(e.to_string());
        }
        (queue, told)
    }

    fn load(&mut self, told: &mut Vec<String>) -> Result<(), ReportError> {
        let dir = self.dir()?;
        let mut covered = Vec::new();
        for name in dir.some_names()?.found {
            let Some((seq, mut entry)) = parse_name(&name) else {
                if ReportDir::is_temp(&name) {
                    dir.remove(&name)?;
                }
                continue;
            };
            entry.bytes = dir.size_of_ours(&name)?;
            self.next_seq = self.next_seq.max(seq.saturating_add(1));
            self.insert(seq, entry);
            if self.entries[&seq].is_digest {
                match self.stored(seq) {
                    Ok(stored) => covered.extend(stored.covers),
                    Err(why) => {
                        told.push(why);
                        self.remove(seq);
                    }
                }
            }
        }
        // A crash came between the digest and the end of what it is made of.
        for seq in covered {
            self.remove(seq);
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// A reload may have changed it; what is too much goes with the next push.
    pub(super) fn set_count_max(&mut self, count_max: usize) {
        self.count_max = count_max;
    }

    /// What waits, oldest first.
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let waiting = self.entries.iter().map(|(&seq, entry)| Waiting {
            seq,
            severity: entry.severity,
            at_ms: entry.at_ms,
            is_digest: entry.is_digest,
        });
        waiting.collect()
    }

    /// Takes a message in.
    pub(super) fn push(&mut self, message: &Message) -> Pushed {
        let stored = Stored {
            message: message.clone(),
            covers: Vec::new(),
        };
        let mut pushed = Pushed::default();
        let (seq, not_written) = self.add(&stored);
        pushed.not_written = not_written;
        while self.entries.len() > self.count_max || self.bytes > QUEUE_BYTES_MAX {
            let Some(least) = self.least() else { break };
            self.remove(least);
            pushed.dropped += 1;
            if least == seq {
                pushed.not_written = None;
            }
        }
        pushed
    }

    /// The oldest of the least severe.
    fn least(&self) -> Option<u64> {
        let least = self
            .entries
            .iter()
            .min_by_key(|(seq, e)| (e.severity, **seq));
        least.map(|(&seq, _)| seq)
    }

    /// One message, whole. Where it cannot be read it is removed.
    ///
    /// # Errors
    /// What was wrong with it.
    pub(super) fn read(&mut self, seq: u64) -> Result<Message, String> {
        let read = match self.entries.get(&seq).map(|entry| &entry.in_memory) {
            Some(Some(message)) => return Ok((**message).clone()),
            _ => self.stored(seq),
        };
        if read.is_err() {
            self.remove(seq);
        }
        read.map(|stored| stored.message)
    }

    fn stored(&self, seq: u64) -> Result<Stored, String> {
        let Some(entry) = self.entries.get(&seq) else {
            return Err(format!("no message {seq} in {}", self.path.display()));
        };
        let name = name(seq, entry);
        let shown = self.path.join(&name).display().to_string();
        let dir = self.dir().map_err(|e| e.to_string())?;
        let own = dir.own_uid();
        let text = dir.read_trusted(&name, MESSAGE_BYTES_MAX, |uid| uid == own);
        match text.map_err(|e| e.to_string())? {
            None => Err(format!("{shown} is gone")),
            Some(text) => serde_json::from_str(&text)
                .map_err(|e| format!("{shown} is no message of ours ({e}), and is removed")),
        }
    }

    /// It went out, or never will.
    pub(super) fn remove(&mut self, seq: u64) {
        let Some(entry) = self.entries.remove(&seq) else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if entry.in_memory.is_none()
            && let Ok(dir) = self.dir()
        {
            // What stays behind is sent again at the next start, with the same id.
            let _stays = dir.remove(&name(seq, &entry));
        }
    }

    /// Those that are older than allowed.
    pub(super) fn expired(&self, wall_ms: u64, max_age_ms: u64) -> Vec<u64> {
        let is_old = |entry: &Entry| wall_ms.saturating_sub(entry.at_ms) > max_age_ms;
        let old = self.entries.iter().filter(|(_, entry)| is_old(entry));
        old.map(|(&seq, _)| seq).collect()
    }

    /// Puts one message in the place of several. What cannot be read of them is
    /// returned.
    pub(super) fn digest(&mut self, seqs: &[u64], host: &str) -> Vec<String> {
        let mut told = Vec::new();
        let mut messages = Vec::new();
        for &seq in seqs {
            match self.read(seq) {
                Ok(message) => messages.push(message),
                Err(why) => told.push(why),
            }
        }
        if messages.is_empty() {
            return told;
        }
        let stored = Stored {
            message: in_one(&messages, host),
            covers: seqs.to_vec(),
        };
        told.extend(self.add(&stored).1);
        for &seq in seqs {
            self.remove(seq);
        }
        told
    }

    fn add(&mut self, stored: &Stored) -> (u64, Option<String>) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let bytes = serde_json::to_vec(stored).expect("a message of strings and numbers is JSON");
        let mut entry = Entry {
            severity: stored.message.severity,
            at_ms: stored.message.at_ms,
            is_digest: !stored.covers.is_empty(),
            bytes: bytes.len() as u64,
            in_memory: None,
        };
        let written = self.write(&name(seq, &entry), &bytes);
        if written.is_err() {
            entry.in_memory = Some(Box::new(stored.message.clone()));
        }
        self.insert(seq, entry);
        (seq, written.err())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let dir = self.dir().map_err(|e| e.to_string())?;
        let free = dir.free_bytes().map_err(|e| e.to_string())?;
        if free < FREE_BYTES_MIN {
            return Err(format!(
                "{}: only {free} bytes are free, which are left to the journal",
                self.path.display()
            ));
        }
        dir.replace(name, bytes).map_err(|e| e.to_string())
    }

    fn insert(&mut self, seq: u64, entry: Entry) {
        self.bytes += entry.bytes;
        self.entries.insert(seq, entry);
    }

    /// Opened for each use: somebody may have moved it away.
    fn dir(&self) -> Result<ReportDir, ReportError> {
        if let Some(parent) = self.path.parent() {
            ReportDir::open_or_create_private(parent)?;
        }
        ReportDir::open_or_create_private(&self.path)
    }
}

/// Removes queues of notifiers that there are no more. Returns those that held
/// something, and how much.
pub(super) fn sweep(parent: &Path, keep: &[&str]) -> Vec<(String, usize)> {
    let mut removed = Vec::new();
    let Ok(dir) = ReportDir::open(parent) else {
        return removed;
    };
    let names = dir.some_names().map(|names| names.found);
    for name in names.unwrap_or_default() {
        let path = parent.join(&name);
        if keep.contains(&&*name) || !path.is_dir() {
            continue;
        }
        let (mut queue, _) = Queue::open(&path, usize::MAX);
        let count = queue.len();
        for waiting in queue.waiting() {
            queue.remove(waiting.seq);
        }
        // Something of somebody else's in it keeps it.
        if std::fs::remove_dir(&path).is_ok() && count > 0 {
            removed.push((name, count));
        }
    }
    removed
}

/// Several messages in one: a line each.
fn in_one(messages: &[Message], host: &str) -> Message {
    use super::message::Step;
    let line = |message: &Message| {
        let title = format!("{} {}: {}", message.time(), message.title, message.detail);
        cut(&one_line(&title), LINE_BYTES_MAX)
    };
    let lines: Vec<String> = messages.iter().map(line).collect();
    let ids: Vec<&str> = messages.iter().map(|m| m.id.as_str()).collect();
    let count = messages.len();
    Message {
        // The same however often it is made of the same.
        id: super::incident::hash(&ids),
        incident: String::new(),
        at_ms: messages.iter().map(|m| m.at_ms).max().unwrap_or_default(),
        host: host.to_owned(),
        step: Step::Digest,
        severity: messages
            .iter()
            .map(|m| m.severity)
            .max()
            .unwrap_or(Severity::Info),
        target: String::new(),
        container_id: None,
        rule: None,
        attempt: None,
        title: format!("{count} messages of {host}"),
        detail: lines.join("\n"),
        figures: Vec::new(),
        next: "see `healer status` and `healer history`".to_owned(),
        evidence: None,
        sample: None,
        left_out: messages.iter().map(|m| m.left_out).sum(),
    }
}

/// What has to be known without reading it is in the name.
fn name(seq: u64, entry: &Entry) -> String {
    let severity = Severity::ALL.iter().position(|s| *s == entry.severity);
    let kind = if entry.is_digest { 'd' } else { 'm' };
    format!(
        "{seq:016}-{}-{}-{kind}.json",
        severity.unwrap_or(0),
        entry.at_ms
    )
}

fn parse_name(name: &str) -> Option<(u64, Entry)> {
    let mut parts = name.strip_suffix(".json")?.split('-');
    let seq = parts.next()?.parse().ok()?;
    let severity: usize = parts.next()?.parse().ok()?;
    let at_ms = parts.next()?.parse().ok()?;
    let is_digest = match parts.next()? {
        "d" => true,
        "m" => false,
        _ => return None,
    };
    let entry = Entry {
        severity: *Severity::ALL.get(severity)?,
        at_ms,
        is_digest,
        bytes: 0,
        in_memory: None,
    };
    parts.next().is_none().then_some((seq, entry))
}

#[cfg(test)]
mod tests;
