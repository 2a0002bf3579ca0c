//! What waits from one chunk to the next: lines whose end has not come yet, and
//! lines that may go on with the next one.
//!
//! The host may bring a chunk again (it came back for want of an answer), and
//! then the same matches must come of it, with the same ids. So what a chunk
//! took up stays until the host is done with that chunk and is given to it each
//! time; and what it leaves it leaves once.
//!
//! Kept true:
//! - at most [`KEPT_MAX`] lines and [`KEPT_BYTES_MAX`] bytes; the oldest goes
//!   first and is counted;
//! - a line that nothing goes on with is gone after [`WAIT_MS`], one that a
//!   chunk took up after [`RETRY_MS`] without that chunk;
//! - where nothing is kept, a flush does not even take the lock.
//!
//! It dies with its instance: over a hot reload a broken line is judged by
//! halves. Several workers may take up chunks in another order than they came;
//! then a line may stay in pieces, but pieces in the wrong order never join
//! (records do not go back in time).
//!
//! Pure: time is an argument, in milliseconds of any clock that only rises.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::intent::IdHasher;
use crate::lines::Line;
use crate::pieces::StreamKey;

/// Most lines that wait.
pub const KEPT_MAX: usize = 64;
/// Most bytes of all lines that wait.
pub const KEPT_BYTES_MAX: usize = 4 << 20;
/// How long a line waits for its next piece, ms. Pieces come at once.
pub const WAIT_MS: u64 = 10_000;
/// How long what a chunk took up is kept for its coming again, ms: well above
/// the host's longest retry interval in our configuration (5 s).
pub const RETRY_MS: u64 = 60_000;
/// Most chunks that are known to have come before.
pub const RETURNED_MAX: usize = 1_024;

/// Bytes at each end of a chunk by which it is known again.
const END_BYTES: usize = 4 * 1_024;

/// Which chunk: the same for the same bytes under the same tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ChunkId(u128);

impl ChunkId {
    /// By its length and both ends: each event holds its time.
    fn new(tag: &[u8], chunk: &[u8]) -> Self {
        let mut hasher = IdHasher::new("chunk");
        let end = chunk.len().min(END_BYTES);
        hasher.part(tag);
        hasher.part(&(chunk.len() as u64).to_le_bytes());
        hasher.part(&chunk[..end]);
        hasher.part(&chunk[chunk.len() - end..]);
        Self(hasher.number())
    }
}

/// A line and whose it is.
pub type Kept = (StreamKey, Line);

/// One instance's.
#[derive(Debug, Default)]
pub struct Joins {
    /// Entries in `store`, to be seen without its lock.
    count: AtomicUsize,
    store: Mutex<Store>,
}

#[derive(Debug, Default)]
struct Store {
    /// The oldest first.
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Chunks that went back to the host.
    returned: VecDeque<ChunkId>,
}

#[derive(Debug)]
struct Entry {
    tag: u128,
    key: StreamKey,
    line: Line,
    left_by: ChunkId,
    taken_by: Option<ChunkId>,
    touched_ms: u64,
}

impl Joins {
    /// Whether a chunk with this tag may go on with something.
    pub fn wait_for(&self, now_ms: u64, tag: &[u8]) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut store = self.lock();
        store.expire(now_ms);
        self.note(&store);
        let tag = tag_number(tag);
        store.entries.iter().any(|entry| entry.tag == tag)
    }

    /// What a chunk may go on with. [`Self::settle`] must follow.
    pub fn take(&self, now_ms: u64, tag: &[u8], chunk: &[u8]) -> Vec<Kept> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let chunk = ChunkId::new(tag, chunk);
        let tag = tag_number(tag);
        let mut store = self.lock();
        store.expire(now_ms);
        self.note(&store);
        let mine = store
            .entries
            .iter_mut()
            .filter(|entry| entry.tag == tag && entry.is_for(chunk));
        mine.map(|entry| {
            entry.taken_by = Some(chunk);
            entry.touched_ms = now_ms;
            (entry.key, entry.line.clone())
        })
        .collect()
    }

    /// A chunk is through, or goes back to the host: `untouched` of what it
    /// took waits on, `left` is what it leaves. Gives how many lines had to go
    /// for want of room.
    pub fn settle(&self, now_ms: u64, tag: &[u8], chunk: &[u8], outcome: Settling) -> u64 {
        if self.count.load(Ordering::Relaxed) == 0 && outcome.left.is_empty() {
            return 0;
        }
        let chunk = ChunkId::new(tag, chunk);
        let mut store = self.lock();
        store.untake(chunk, &outcome.untouched);
        let was_here = store.returned.contains(&chunk);
        if !outcome.goes_back {
            store.drop_where(|entry| entry.taken_by == Some(chunk));
            store.returned.retain(|known| *known != chunk);
        }
        let mut forgotten = 0;
        if !was_here {
            if outcome.goes_back && !outcome.left.is_empty() {
                store.note_returned(chunk);
            }
            let tag = tag_number(tag);
            for (key, line) in outcome.left {
                forgotten += store.leave(now_ms, tag, chunk, key, line);
            }
        }
        self.note(&store);
        forgotten
    }

    fn note(&self, store: &Store) {
        self.count.store(store.entries.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        // A panic under this lock loses a line's head at worst.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Joins::settle`].
#[derive(Debug, Default)]
pub struct Settling {
    /// Whether the host keeps the chunk and brings it again.
    pub goes_back: bool,
    /// Streams that the chunk had nothing of.
    pub untouched: Vec<StreamKey>,
    /// Lines that the chunk ends in.
    pub left: Vec<Kept>,
}

impl Entry {
    fn is_for(&self, chunk: ChunkId) -> bool {
        match self.taken_by {
            Some(taker) => taker == chunk,
            None => self.left_by != chunk,
        }
    }
}

impl Store {
    fn expire(&mut self, now_ms: u64) {
        self.drop_where(|entry| {
            let limit_ms = match entry.taken_by {
                Some(_) => RETRY_MS,
                None => WAIT_MS,
            };
            now_ms.saturating_sub(entry.touched_ms) > limit_ms
        });
    }

    fn untake(&mut self, chunk: ChunkId, untouched: &[StreamKey]) {
        for entry in &mut self.entries {
            if entry.taken_by == Some(chunk) && untouched.contains(&entry.key) {
                entry.taken_by = None;
            }
        }
    }

    fn leave(&mut self, now_ms: u64, tag: u128, chunk: ChunkId, key: StreamKey, line: Line) -> u64 {
        self.bytes += line.bytes();
        self.entries.push_back(Entry {
            tag,
            key,
            line,
            left_by: chunk,
            taken_by: None,
            touched_ms: now_ms,
        });
        let mut forgotten = 0;
        while self.entries.len() > KEPT_MAX || self.bytes > KEPT_BYTES_MAX {
            let oldest = self.entries.pop_front();
            self.bytes -= oldest.map_or(0, |entry| entry.line.bytes());
            forgotten += 1;
        }
        forgotten
    }

    fn note_returned(&mut self, chunk: ChunkId) {
        self.returned.push_back(chunk);
        if self.returned.len() > RETURNED_MAX {
            self.returned.pop_front();
        }
    }

    fn drop_where(&mut self, is_over: impl Fn(&Entry) -> bool) {
        self.entries.retain(|entry| !is_over(entry));
        self.bytes = self.entries.iter().map(|entry| entry.line.bytes()).sum();
    }
}

fn tag_number(tag: &[u8]) -> u128 {
    let mut hasher = IdHasher::new("tag");
    hasher.part(tag);
    hasher.number()
}

#[cfg(test)]
mod tests;
