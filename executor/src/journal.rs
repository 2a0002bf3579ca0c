//! The journal: the authority on what was restarted and what is waiting.
//!
//! An append-only file in a private directory ([`StateDir`]), written by one
//! dedicated thread. It keeps true:
//! - an append is in the file whole, or not at all; `durable` ones are on the
//!   disk when [`Journal::append`] returns;
//! - an append that returned an error is not in the file;
//! - what was appended is read back in the same order at the next open;
//! - what cannot be trusted is never guessed at: it is set aside and the new
//!   journal fails closed ([`Damage`]).
//!
//! Deliberately not here: what entries mean (the policy's), when to compact
//! (the engine's; [`Journal::wants_compaction`] only advises), and exclusion
//! of a second executor (`lock`, to be taken first).

mod content;
mod dir;
mod error;
pub(crate) mod faults;
mod format;
mod open;
mod read;
#[cfg(test)]
pub(crate) mod tests;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use policy::Record;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use format::Header;
use write::Writer;

pub use dir::StateDir;
pub use error::JournalError;
pub use open::Damage;

/// The file's name in the state directory.
pub const JOURNAL: &str = "journal";

/// A journal that is being written to take its place.
const NEW: &str = "journal.new";

/// Most bytes in a file; appends beyond it fail. A hundred times what a day of
/// storms leaves after compaction.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Most entries in a file, which bounds memory and time at start.
pub const RECORDS_MAX: usize = 1_000_000;

/// Below this size compaction is not worth its fsyncs.
pub const COMPACT_BYTES_MIN: u64 = 1024 * 1024;

/// Appends that may wait for the thread; more wait in their callers.
const QUEUE_MAX: usize = 64;

/// The thread only serialises and writes.
const THREAD_STACK_BYTES: usize = 256 * 1024;

/// An opened journal.
#[derive(Debug)]
pub struct Opened {
    /// To write with.
    pub journal: Journal,
    /// Anchored by what the journal holds.
    pub clock: Clock,
    /// Everything in it, oldest first; empty at the very first start.
    pub records: Vec<Record>,
    /// What was found wrong and dealt with, to be told.
    pub damage: Option<Damage>,
    /// It could be read but not written (a full disk, say). Every append tries
    /// anew and fails until that ends. To be told.
    pub not_writable: Option<JournalError>,
}

/// A handle on the journal's thread; clones share it.
#[derive(Debug, Clone)]
pub struct Journal {
    commands: mpsc::Sender<Command>,
    size: Arc<Size>,
}

#[derive(Debug)]
struct Size {
    bytes: AtomicU64,
    compact_at: AtomicU64,
}

#[derive(Debug)]
enum Command {
    Append {
        records: Vec<Record>,
        durable: bool,
        reply: Reply,
    },
    Compact {
        records: Vec<Record>,
        reply: Reply,
    },
    Close {
        reply: Reply,
    },
}

type Reply = oneshot::Sender<Result<(), JournalError>>;

impl Journal {
    /// Opens or begins the journal of a directory. Blocks: once, at start.
    ///
    /// `fail_closed_ms`: the largest limit in force, for which every target
    /// counts as spent where the journal turns out to be damaged.
    ///
    /// # Errors
    /// Where there is no telling what the journal holds, or none can be begun.
    pub fn open(dir: &StateDir, fail_closed_ms: u64) -> Result<Opened, JournalError> {
        Self::begin(open::open(dir, fail_closed_ms)?)
    }

    /// With the handle on its disk's faults.
    #[cfg(test)]
    pub(crate) fn open_with_faults(
        dir: &StateDir,
        fail_closed_ms: u64,
    ) -> Result<(Opened, faults::Faults), JournalError> {
        let found = open::open(dir, fail_closed_ms)?;
        let faults = found.writer.faults.clone();
        Ok((Self::begin(found)?, faults))
    }

    /// As it is opened, but served by a task of this thread instead of a thread of
    /// its own, on a disk with `faults`; compacted from `compact_bytes` on.
    #[cfg(test)]
    pub(crate) fn open_on_this_thread(
        dir: &StateDir,
        fail_closed_ms: u64,
        faults: faults::Faults,
        compact_bytes: u64,
    ) -> Result<Opened, JournalError> {
        let mut found = open::open(dir, fail_closed_ms)?;
        found.writer.faults = faults;
        let not_writable = found.writer.put_right().err();
        let (journal, mut queue, mut worker) = Self::parts(found.writer, found.clock.clone());
        worker.compact_min = compact_bytes;
        journal
            .size
            .compact_at
            .store(compact_bytes, Ordering::Relaxed);
        tokio::task::spawn_local(async move {
            while let Some(command) = queue.recv().await {
                let Some(on) = worker.take(command, &mut queue) else {
                    return;
                };
                worker = on;
            }
        });
        let (clock, records, damage) = (found.clock, found.records, found.damage);
        Ok(Opened {
            journal,
            clock,
            records,
            damage,
            not_writable,
        })
    }

    fn begin(mut found: open::Found) -> Result<Opened, JournalError> {
        let not_writable = found.writer.put_right().err();
        let journal = Self::start(found.writer, found.clock.clone())?;
        let (clock, records, damage) = (found.clock, found.records, found.damage);
        Ok(Opened {
            journal,
            clock,
            records,
            damage,
            not_writable,
        })
    }

    /// Reads the entries of a directory's journal and changes nothing. While an
    /// executor runs the newest may be missing.
    ///
    /// # Errors
    /// Where the directory is not private or the file cannot be read.
    pub fn peek(path: &Path) -> Result<Vec<Record>, JournalError> {
        open::peek(path)
    }

    fn start(writer: Writer, clock: Clock) -> Result<Self, JournalError> {
        let (journal, queue, worker) = Self::parts(writer, clock);
        thread::Builder::new()
            .name("journal".into())
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || worker.serve(queue))
            .map_err(|e| JournalError::io("start a thread for", Path::new(JOURNAL), e))?;
        Ok(journal)
    }

    fn parts(writer: Writer, clock: Clock) -> (Self, mpsc::Receiver<Command>, Worker) {
        let (commands, queue) = mpsc::channel(QUEUE_MAX);
        let size = Arc::new(Size {
            bytes: AtomicU64::new(writer.bytes()),
            compact_at: AtomicU64::new(COMPACT_BYTES_MIN),
        });
        let worker = Worker {
            writer,
            clock,
            size: Arc::clone(&size),
            compact_min: COMPACT_BYTES_MIN,
        };
        (Self { commands, size }, queue, worker)
    }

    /// Appends all of `records`, or none. When it returns `Ok` and `durable`
    /// they are on the disk, and with them everything appended before.
    ///
    /// To be awaited to its end: dropped half-way, the records may or may not
    /// be in the journal.
    ///
    /// # Errors
    /// Nothing was recorded. The next append tries to put right what was wrong.
    pub async fn append(&self, records: Vec<Record>, durable: bool) -> Result<(), JournalError> {
        self.ask(|reply| Command::Append {
            records,
            durable,
            reply,
        })
        .await
    }

    /// Replaces everything by `records`, atomically and durably.
    ///
    /// # Errors
    /// Nothing is lost. Where only the last step failed (the fsync of the
    /// directory), the new content is in force and every durable append
    /// tries that fsync first.
    pub async fn compact(&self, records: Vec<Record>) -> Result<(), JournalError> {
        self.ask(|reply| Command::Compact { records, reply }).await
    }

    /// Whether [`Journal::compact`] is worth its while.
    pub fn wants_compaction(&self) -> bool {
        self.bytes() >= self.size.compact_at.load(Ordering::Relaxed)
    }

    /// The file's size in bytes.
    pub fn bytes(&self) -> u64 {
        self.size.bytes.load(Ordering::Relaxed)
    }

    /// Puts everything on the disk and ends the thread. All clones are closed.
    ///
    /// # Errors
    /// Where the last fsync failed; the thread has ended all the same.
    pub async fn close(self) -> Result<(), JournalError> {
        self.ask(|reply| Command::Close { reply }).await
    }

    async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Result<(), JournalError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }
}

/// The thread's side.
struct Worker {
    writer: Writer,
    clock: Clock,
    size: Arc<Size>,
    /// See [`COMPACT_BYTES_MIN`].
    compact_min: u64,
}

impl Worker {
    fn serve(mut self, mut queue: mpsc::Receiver<Command>) {
        while let Some(command) = queue.blocking_recv() {
            match self.take(command, &mut queue) {
                Some(on) => self = on,
                None => return,
            }
        }
    }

    /// One command; none where it was the last.
    fn take(mut self, command: Command, queue: &mut mpsc::Receiver<Command>) -> Option<Self> {
        // A caller that no longer waits is no reason not to write.
        match command {
            Command::Append {
                records,
                durable,
                reply,
            } => {
                let done = self.writer.append(&records, durable);
                self.size
                    .bytes
                    .store(self.writer.bytes(), Ordering::Relaxed);
                let _ = reply.send(done);
            }
            Command::Compact { records, reply } => {
                let _ = reply.send(self.compact(&records));
            }
            Command::Close { reply } => {
                queue.close();
                let done = self.writer.append(&[], true);
                // Closed first: whoever waits may want to unmount the disk.
                drop(self.writer);
                let _ = reply.send(done);
                return None;
            }
        }
        Some(self)
    }

    fn compact(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let done = self
            .writer
            .replace(&Header::new(self.clock.anchor()), records);
        let bytes = self.writer.bytes();
        // After a failure not at once again, but when it has grown noticeably.
        let next = if done.is_ok() {
            2 * bytes
        } else {
            bytes + self.compact_min
        };
        self.size.bytes.store(bytes, Ordering::Relaxed);
        self.size
            .compact_at
            .store(next.max(self.compact_min), Ordering::Relaxed);
        done
    }
}
