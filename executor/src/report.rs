//! Report files: views of the restarts for people and for the original's tools.
//!
//! Never read back while running, never waited for: a report is handed to a
//! thread of its own over a short queue, and where that cannot keep up it is
//! left out and told. The journal is the authority, not these.
//!
//! Here too is what is read from that directory: the original's state, once
//! ([`import`]), and the markers that people set ([`marks`]).
//!
//! Nothing from logs, evidence or secrets goes in: everybody can read them. Of
//! evidence they say where it is.

mod dir;
mod error;
mod files;
mod import;
mod marks;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::config;
use crate::evidence::Mention;

pub(crate) use dir::ReportDir;

pub use error::{NAME_BYTES_MAX, ReportError};
pub use files::iso_utc;
pub use import::{Import, import};
pub use marks::{Mark, MarkKind, Marks, marks};

/// Reports that may wait for the disk.
const QUEUE_MAX: usize = 64;

/// Different problems remembered as told; after that all are forgotten and told anew.
const TOLD_MAX: usize = 256;

/// The thread formats a few hundred bytes.
const THREAD_STACK_BYTES: usize = 256 * 1024;

/// How a charge's call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallResult {
    /// The container runs anew.
    Restarted,
    /// The engine could not do it.
    Failed,
    /// Nobody knows.
    Unknown,
    /// No call was made, or it met another container.
    Aborted,
}

/// A charge whose call has its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportInput {
    /// When it was charged, by the wall clock.
    pub charged_wall_ms: u64,
    /// The wall clock now.
    pub now_wall_ms: u64,
    /// This host's name.
    pub host: String,
    /// The target's canonical name.
    pub target: String,
    /// All of its digits; 12 are shown.
    pub container_id: String,
    /// The cooldown in force, seconds.
    pub cooldown_sec: u64,
    /// The window in force, seconds.
    pub window_sec: u64,
    /// Charges within that window, this one included.
    pub window_count: u32,
    /// Their epoch seconds, oldest first, this one included.
    pub hist: Vec<u64>,
    /// The attempt's number.
    pub attempt: u64,
    /// How the call went.
    pub result: CallResult,
    /// The rule that matched; none for a person's request.
    pub rule: Option<String>,
    /// From the charge until the call's outcome.
    pub duration_ms: Option<u64>,
    /// The attempt's evidence: named where it is there when the report is written.
    pub evidence: Option<Mention>,
}

/// Something that is wrong with report files.
#[derive(Debug)]
pub struct Problem {
    /// What, and what to do.
    pub error: ReportError,
    /// The first of its kind since that file, or the disk, last worked: worth a
    /// line in the log. The others are to be counted.
    pub is_first: bool,
}

/// A handle on the reports' thread; clones share it.
#[derive(Debug, Clone)]
pub struct Reports(Option<Handle>);

#[derive(Debug, Clone)]
struct Handle {
    commands: mpsc::Sender<Command>,
    left_out: Arc<AtomicUsize>,
}

#[derive(Debug)]
enum Command {
    Write(Box<ReportInput>),
    Flush(oneshot::Sender<()>),
}

impl Reports {
    /// Starts the thread, unless reports are switched off. `on_problem` is
    /// called on that thread.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(
        settings: config::Reports,
        on_problem: impl Fn(Problem) + Send + 'static,
    ) -> Result<Self, ReportError> {
        let Some(path) = settings.dir.clone() else {
            return Ok(Self(None));
        };
        let (commands, queue) = mpsc::channel(QUEUE_MAX);
        let left_out = Arc::new(AtomicUsize::new(0));
        let worker = Worker {
            path: path.clone(),
            settings,
            left_out: Arc::clone(&left_out),
            told: Told {
                on_problem,
                lasting: BTreeMap::new(),
            },
        };
        thread::Builder::new()
            .name("reports".into())
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || worker.serve(queue))
            .map_err(|e| ReportError::io("start a thread for", &path, e))?;
        Ok(Self(Some(Handle { commands, left_out })))
    }

    /// Hands a report over; never waits. Where the queue is full it is left
    /// out, which is told once the disk answers again.
    pub fn write(&self, input: ReportInput) {
        let Some(handle) = &self.0 else { return };
        if handle
            .commands
            .try_send(Command::Write(Box::new(input)))
            .is_err()
        {
            handle.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything handed over is written, `at_most` so long. True
    /// where it is.
    pub async fn flush(&self, at_most: Duration) -> bool {
        let Some(handle) = &self.0 else { return true };
        let flushed = async {
            let (done, wait) = oneshot::channel();
            handle.commands.send(Command::Flush(done)).await.is_ok() && wait.await.is_ok()
        };
        tokio::time::timeout(at_most, flushed)
            .await
            .unwrap_or(false)
    }
}

/// The thread's side.
struct Worker<F> {
    path: PathBuf,
    settings: config::Reports,
    left_out: Arc<AtomicUsize>,
    told: Told<F>,
}

impl<F: Fn(Problem)> Worker<F> {
    fn serve(mut self, mut queue: mpsc::Receiver<Command>) {
        while let Some(command) = queue.blocking_recv() {
            match command {
                Command::Write(input) => self.write(&input),
                // Nobody may be waiting any more.
                Command::Flush(done) => drop(done.send(())),
            }
        }
    }

    fn write(&mut self, input: &ReportInput) {
        let mut results = match ReportDir::open_or_create(&self.path) {
            Ok(dir) => files::write(&dir, &self.settings, input),
            Err(error) => vec![(String::new(), Err(error))],
        };
        let left_out = match self.left_out.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            left_out => Err(ReportError::Behind { left_out }),
        };
        results.push(("(queue)".into(), left_out));
        self.told.tell(results);
    }
}

/// Tells each problem once while it lasts.
struct Told<F> {
    on_problem: F,
    /// What was told last about a file; about the disk, by the error's number.
    lasting: BTreeMap<Topic, String>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    File(String),
    Disk(Option<i32>),
}

impl<F: Fn(Problem)> Told<F> {
    /// How the files of one report went, by name.
    fn tell(&mut self, results: Vec<(String, Result<(), ReportError>)>) {
        let mut disk_now = BTreeSet::new();
        for (name, result) in results {
            let error = match result {
                Ok(()) => {
                    self.lasting.remove(&Topic::File(name));
                    continue;
                }
                Err(error) => error,
            };
            // A full disk is one problem, not one for each file.
            let (topic, words) = match &error {
                ReportError::Io { source, .. } => {
                    disk_now.insert(source.raw_os_error());
                    (Topic::Disk(source.raw_os_error()), String::new())
                }
                // Told once while it lasts, whatever the number.
                ReportError::Behind { .. } => (Topic::File(name), String::new()),
                _ => (Topic::File(name), error.to_string()),
            };
            let is_first = self.lasting.get(&topic) != Some(&words);
            if is_first && self.lasting.len() >= TOLD_MAX {
                self.lasting.clear();
            }
            self.lasting.insert(topic, words);
            (self.on_problem)(Problem { error, is_first });
        }
        self.lasting.retain(|topic, _| match topic {
            Topic::Disk(number) => disk_now.contains(number),
            Topic::File(_) => true,
        });
    }
}
