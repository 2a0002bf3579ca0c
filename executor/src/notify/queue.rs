//! One notifier's messages that have not gone out: a file each, in a private
//! directory of the state directory, so that they outlive the executor.
//!
//! Keeps true: at most so many messages and [`QUEUE_BYTES_MAX`] bytes; where
//! there is no room, the oldest of the least severe goes, which is told. A file
//! is whole or not there. What the disk does not take is kept in memory, up to
//! [`MEMORY_BYTES_MAX`]. A digest takes the place of what it is made of in one
//! step: until it is durable (or has gone out) their files stay, and with it they
//! are gone, over crashes and power cuts too.
//!
//! Messages are not fsynced: a power cut may take the newest; the journal has
//! what they tell. Ages are by the policy's clock; only what was there at the
//! start has its age then by the wall clock.

mod digest;
mod entry;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use policy::Now;
use serde::{Deserialize, Serialize};

use super::message::Message;
use super::plan::Waiting;
use crate::report::{ReportDir, ReportError};
use entry::{Entry, born, name_of, parse_name};

/// Most bytes of one queue.
const QUEUE_BYTES_MAX: u64 = 4 << 20;
/// Most bytes of those that are only in memory.
const MEMORY_BYTES_MAX: u64 = 256 << 10;
/// Most bytes of one message; a digest of the longest has fewer.
const MESSAGE_BYTES_MAX: u64 = 64 << 10;
/// Nothing is written with less room than this on the disk: it is the journal's.
const FREE_BYTES_MIN: u64 = 16 << 20;
/// Answers by which a receiver says that it cannot take a message; after so many
/// of them it is put behind the others.
const ANSWERS_MAX: u32 = 5;

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    path: PathBuf,
    entries: BTreeMap<u64, Entry>,
    next_seq: u64,
    bytes: u64,
    count_max: usize,
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

/// What came of putting several messages into one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Digested {
    /// Why each of those that could not be read is removed.
    pub(super) unread: Vec<String>,
    /// It is only in memory.
    pub(super) not_written: Option<String>,
}

impl Queue {
    /// Takes up what is there. What cannot be used is removed, and told in the
    /// list.
    pub(super) fn open(path: &Path, count_max: usize, now: Now) -> (Self, Vec<String>) {
        let mut queue = Self {
            path: path.to_owned(),
            entries: BTreeMap::new(),
            next_seq: 1,
            bytes: 0,
            count_max,
        };
        let mut told = Vec::new();
        if let Err(e) = queue.load(&mut told, now) {
            told.push(e.to_string());
        }
        (queue, told)
    }

    fn load(&mut self, told: &mut Vec<String>, now: Now) -> Result<(), ReportError> {
        let dir = self.dir()?;
        let names = dir.some_names()?.found;
        let ours: Vec<(u64, Entry)> = names.iter().filter_map(|n| parse_name(n, now)).collect();
        // Whatever becomes of them, no new one takes the name of one.
        let last = ours.iter().map(|(seq, _)| *seq).max().unwrap_or(0);
        self.next_seq = last.saturating_add(1);
        let mut left = Vec::new();
        for name in names.iter().filter(|name| ReportDir::is_temp(name)) {
            left.extend(dir.remove(name).err().map(|e| e.to_string()));
        }
        for (seq, mut entry) in ours {
            match dir.size_of_ours(&name_of(seq, &entry)) {
                Ok(bytes) => entry.bytes = bytes,
                Err(e) => {
                    left.push(e.to_string());
                    continue;
                }
            }
            self.insert(seq, entry);
        }
        if let [first, more @ ..] = &*left {
            told.push(match more.len() {
                0 => first.clone(),
                more => format!("{first}; and {more} more like it"),
            });
        }
        self.end_covered(told);
        Ok(())
    }

    /// A crash came between a digest and the end of what it is made of.
    fn end_covered(&mut self, told: &mut Vec<String>) {
        let digests = self.entries.iter().filter(|(_, entry)| entry.is_digest);
        let digests: Vec<u64> = digests.map(|(&seq, _)| seq).collect();
        for digest in digests {
            match self.stored(digest) {
                Ok(stored) => stored.covers.iter().for_each(|&seq| self.remove(seq)),
                Err(why) => {
                    told.push(why);
                    self.remove(digest);
                }
            }
        }
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
            rank: entry.answers / ANSWERS_MAX,
            not_before_ms: entry.not_before_ms,
        });
        waiting.collect()
    }

    /// Takes a message in, at this time of the policy's clock.
    pub(super) fn push(&mut self, message: &Message, now_ms: u64) -> Pushed {
        let stored = Stored {
            message: message.clone(),
            covers: Vec::new(),
        };
        let mut pushed = Pushed::default();
        let (seq, not_written) = self.add(&stored, born(now_ms, 0));
        pushed.not_written = not_written;
        while let Some(least) = self.too_much() {
            self.remove(least);
            pushed.dropped += 1;
            if least == seq {
                pushed.not_written = None;
            }
        }
        pushed
    }

    /// What has to go: the oldest of the least severe.
    fn too_much(&self) -> Option<u64> {
        let least = |of: &dyn Fn(&Entry) -> bool| {
            let all = self.entries.iter().filter(|(_, entry)| of(entry));
            let least = all.min_by_key(|(seq, e)| (e.severity, **seq));
            least.map(|(&seq, _)| seq)
        };
        if self.entries.len() > self.count_max || self.bytes > QUEUE_BYTES_MAX {
            return least(&|_| true);
        }
        let in_memory = |entry: &Entry| entry.in_memory.is_some();
        let held = self.entries.values().filter(|entry| in_memory(entry));
        let held: u64 = held.map(|entry| entry.bytes).sum();
        match held > MEMORY_BYTES_MAX {
            true => least(&in_memory),
            false => None,
        }
    }

    /// The receiver has answered that it cannot take this one. True where it is
    /// behind the others by now, and is not tried before so long has passed.
    pub(super) fn answered(&mut self, seq: u64, now_ms: u64, pause_ms: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&seq) else {
            return false;
        };
        entry.answers = entry.answers.saturating_add(1);
        let is_behind = entry.answers >= ANSWERS_MAX;
        if is_behind {
            entry.not_before_ms = now_ms.saturating_add(pause_ms);
        }
        is_behind
    }

    /// Something has changed: nothing has to wait for its time.
    pub(super) fn wait_no_more(&mut self) {
        for entry in self.entries.values_mut() {
            entry.not_before_ms = 0;
        }
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
        let name = name_of(seq, entry);
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
        let Ok(dir) = self.dir() else { return };
        let own = Some(name_of(seq, &entry)).filter(|_| entry.in_memory.is_none());
        for name in own.iter().chain(&entry.standing) {
            // What stays behind is sent again at the next start, with the same id.
            let _stays = dir.remove(name);
        }
    }

    /// Those that are older than allowed, by the policy's clock.
    pub(super) fn expired(&self, now_ms: u64, max_age_ms: u64) -> Vec<u64> {
        let is_old = |entry: &Entry| {
            let age = i128::from(now_ms) - i128::from(entry.born_ms);
            age > i128::from(max_age_ms)
        };
        let old = self.entries.iter().filter(|(_, entry)| is_old(entry));
        old.map(|(&seq, _)| seq).collect()
    }

    /// Puts one message in the place of the first of these, as many as it shows.
    pub(super) fn digest(&mut self, seqs: &[u64], host: &str) -> Digested {
        let mut digested = Digested::default();
        let (mut messages, mut covers) = (Vec::new(), Vec::new());
        for &seq in seqs {
            match self.read(seq) {
                Ok(message) => {
                    messages.push(message);
                    covers.push(seq);
                }
                Err(why) => digested.unread.push(why),
            }
        }
        if messages.is_empty() {
            return digested;
        }
        let count = digest::fitting(&messages);
        covers.truncate(count);
        let youngest = covers.iter().map(|seq| self.entries[seq].born_ms).max();
        let stored = Stored {
            message: digest::in_one(&messages[..count], host),
            covers,
        };
        let (digest, not_written) = self.add(&stored, youngest.unwrap_or(i64::MAX));
        match not_written {
            None => stored.covers.iter().for_each(|&seq| self.remove(seq)),
            Some(_) => self.stand_by(digest, &stored.covers),
        }
        digested.not_written = not_written;
        digested
    }

    /// The files of what a digest is made of stay until it has gone out.
    fn stand_by(&mut self, digest: u64, covers: &[u64]) {
        let mut standing = Vec::new();
        for &seq in covers {
            if let Some(entry) = self.entries.remove(&seq) {
                let is_written = entry.in_memory.is_none();
                standing.extend(is_written.then(|| name_of(seq, &entry)));
                self.bytes = self.bytes.saturating_sub(entry.bytes);
            }
        }
        if let Some(entry) = self.entries.get_mut(&digest) {
            // It may be there, and not be durable.
            standing.push(name_of(digest, entry));
            entry.standing = standing;
        }
    }

    fn add(&mut self, stored: &Stored, born_ms: i64) -> (u64, Option<String>) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let bytes = serde_json::to_vec(stored).expect("a message of strings and numbers is JSON");
        let mut entry = Entry {
            bytes: bytes.len() as u64,
            ..Entry::new(
                stored.message.severity,
                stored.message.at_ms,
                !stored.covers.is_empty(),
                born_ms,
            )
        };
        let written = self.write(&name_of(seq, &entry), &bytes, entry.is_digest);
        if written.is_err() {
            entry.in_memory = Some(Box::new(stored.message.clone()));
        }
        self.insert(seq, entry);
        (seq, written.err())
    }

    fn write(&self, name: &str, bytes: &[u8], is_durable: bool) -> Result<(), String> {
        let dir = self.dir().map_err(|e| e.to_string())?;
        let free = dir.free_bytes().map_err(|e| e.to_string())?;
        if free < FREE_BYTES_MIN {
            return Err(format!(
                "{}: only {free} bytes are free, which are left to the journal",
                self.path.display()
            ));
        }
        let written = dir.replace(name, bytes).and_then(|()| match is_durable {
            true => dir.sync(name),
            false => Ok(()),
        });
        written.map_err(|e| e.to_string())
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
pub(super) fn sweep(parent: &Path, keep: &[String], now: Now) -> Vec<(String, usize)> {
    let mut removed = Vec::new();
    let Ok(dir) = ReportDir::open(parent) else {
        return removed;
    };
    let names = dir.some_names().map(|names| names.found);
    for name in names.unwrap_or_default() {
        let path = parent.join(&name);
        if keep.contains(&name) || !path.is_dir() {
            continue;
        }
        let (mut queue, _) = Queue::open(&path, usize::MAX, now);
        let count = queue.len();
        for waiting in queue.waiting() {
            queue.remove(waiting.seq);
        }
        // Something of somebody else's in it keeps the directory.
        let _stays = std::fs::remove_dir(&path);
        if count > 0 {
            removed.push((name, count));
        }
    }
    removed
}

#[cfg(test)]
mod tests;
