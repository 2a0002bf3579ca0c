//! The evidence's thread: makes bundles of what was read, writes them, and
//! removes old ones.
//!
//! Nobody waits for it: what it is handed waits in a short queue, and where
//! that is full it is left out, told and counted. It takes text of containers
//! apart, so a panic here costs one bundle and ends nothing.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use policy::AttemptId;
use tokio::sync::oneshot;

use super::bundle::{After, BUNDLE_BYTES_MAX, Before, Bundle, Subject};
use super::index::Index;
use super::mask::Mask;
use super::output::Measured;
use super::{EvidenceError, Report, Written, name};
use crate::clock::Clock;
use crate::report::ReportDir;

/// Halves of bundles that may wait for the disk.
const QUEUE_MAX: usize = 64;
/// Bundles whose second half may still come; the oldest go first.
const OPEN_MAX: usize = 256;
/// Attempts whose further commands may still come, and print the same secrets.
const MASKS_MAX: usize = 64;
/// Most bundles that are kept: 64 MiB with the largest.
pub(super) const FILES_MAX: usize = 1_000;
/// Nothing is written with less room than this on the disk: it is the journal's.
const FREE_BYTES_MIN: u64 = 16 << 20;
/// Old ones are looked for so often, whether new ones come or not.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// Temporary files older than this were left by a process that was killed.
const TEMP_KEPT_S: u64 = 3_600;
/// The thread's name; see [`super::is_fenced`].
pub(super) const THREAD: &str = "evidence";
/// JSON from an engine may be nested; the rest is small.
const THREAD_STACK_BYTES: usize = 1 << 20;
/// Pause before a full queue is tried again by who waits for its end.
const FLUSH_PAUSE: Duration = Duration::from_millis(10);

/// A handle on the thread.
#[derive(Debug, Clone)]
pub(super) struct Store {
    commands: SyncSender<Command>,
    index: Index,
    masks: Masks,
    left_out: Arc<AtomicUsize>,
}

/// What to mask in what the commands of an attempt print.
type Masks = Arc<Mutex<BTreeMap<AttemptId, Arc<Mask>>>>;

#[derive(Debug)]
enum Command {
    Before(Box<(Subject, Before)>),
    After(AttemptId, Box<After>),
    Measured(Box<(Subject, Measured)>),
    Flush(oneshot::Sender<()>),
}

impl Store {
    /// Starts the thread. `report` is called on it.
    pub(super) fn start(
        dir: PathBuf,
        keep_ms: u64,
        clock: Clock,
        report: impl Fn(Report) + Send + 'static,
    ) -> Result<Self, EvidenceError> {
        let (commands, queue) = sync_channel(QUEUE_MAX);
        let index = Index::new(&dir);
        let left_out = Arc::new(AtomicUsize::new(0));
        let masks = Masks::default();
        let worker = Worker {
            dir,
            keep_ms,
            clock,
            index: index.clone(),
            left_out: Arc::clone(&left_out),
            open: BTreeMap::new(),
            masks: Masks::clone(&masks),
            told: None,
            is_behind: false,
            report,
        };
        thread::Builder::new()
            .name(THREAD.into())
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || worker.serve(&queue))
            .map_err(EvidenceError::Thread)?;
        Ok(Self {
            commands,
            index,
            masks,
            left_out,
        })
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Hands over a first half. False where it is left out.
    pub(super) fn before(&self, subject: Subject, before: Before) -> bool {
        let file = name(&subject);
        self.index.expect(&file);
        let is_taken = self.hand_over(Command::Before(Box::new((subject, before))));
        if !is_taken {
            self.index.done(&file, false);
        }
        is_taken
    }

    /// Hands over the second half of a bundle whose first was taken.
    pub(super) fn after(&self, attempt: AttemptId, after: After) {
        self.hand_over(Command::After(attempt, Box::new(after)));
    }

    /// A text that a command of an attempt printed; none where what is secret in its
    /// container is not known.
    pub(super) fn masked(&self, attempt: AttemptId, text: &str) -> Option<String> {
        let mask = self.masks.lock().get(&attempt).map(Arc::clone)?;
        Some(mask.text(text))
    }

    /// Hands over what a command of an attempt has come to.
    pub(super) fn measured(&self, subject: Subject, measured: Measured) {
        self.hand_over(Command::Measured(Box::new((subject, measured))));
    }

    /// Waits until everything handed over is written. False where the thread is gone.
    pub(super) async fn flush(&self) -> bool {
        let (done, wait) = oneshot::channel();
        let mut command = Command::Flush(done);
        loop {
            match self.commands.try_send(command) {
                Ok(()) => return wait.await.is_ok(),
                Err(std::sync::mpsc::TrySendError::Full(again)) => command = again,
                Err(std::sync::mpsc::TrySendError::Disconnected(_)) => return false,
            }
            tokio::time::sleep(FLUSH_PAUSE).await;
        }
    }

    fn hand_over(&self, command: Command) -> bool {
        let is_taken = self.commands.try_send(command).is_ok();
        if !is_taken {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        is_taken
    }
}

/// The thread's side.
struct Worker<F> {
    dir: PathBuf,
    keep_ms: u64,
    clock: Clock,
    index: Index,
    left_out: Arc<AtomicUsize>,
    /// Bundles whose second half has not come.
    open: BTreeMap<AttemptId, Open>,
    masks: Masks,
    /// The problem that lasts and has been told.
    told: Option<String>,
    /// Something had been left out when the last half was written.
    is_behind: bool,
    report: F,
}

struct Open {
    file: String,
    bundle: Bundle,
    mask: Arc<Mask>,
}

impl<F: Fn(Report)> Worker<F> {
    fn serve(mut self, queue: &Receiver<Command>) {
        self.fenced(None, Self::sweep);
        loop {
            match queue.recv_timeout(SWEEP_EVERY) {
                Ok(Command::Before(half)) => {
                    let (subject, before) = *half;
                    let file = name(&subject);
                    self.fenced(Some(&file), |it| it.before(&subject, before));
                }
                Ok(Command::After(attempt, after)) => {
                    self.fenced(None, |it| it.after(attempt, *after));
                }
                Ok(Command::Measured(one)) => {
                    let (subject, measured) = *one;
                    self.fenced(None, |it| it.measured(&subject, &measured));
                }
                // Nobody may be waiting any more.
                Ok(Command::Flush(done)) => drop(done.send(())),
                Err(RecvTimeoutError::Timeout) => self.fenced(None, Self::sweep),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// A fault of our own costs what was being done; `expected` is waited for.
    fn fenced(&mut self, expected: Option<&str>, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_ok() {
            return;
        }
        if let Some(file) = expected {
            self.index.done(file, false);
        }
        (self.report)(Report::Ended(Written::Failed));
        self.tell(Err(EvidenceError::Fault));
    }

    fn before(&mut self, subject: &Subject, before: Before) {
        let (mut bundle, mask) = Bundle::before(subject, before);
        let mask = Arc::new(mask);
        if subject.has_commands {
            let mut masks = self.masks.lock();
            masks.insert(subject.attempt, Arc::clone(&mask));
            if masks.len() > MASKS_MAX {
                masks.pop_first();
            }
        }
        let file = name(subject);
        self.write(&file, &mut bundle);
        let open = Open { file, bundle, mask };
        self.open.insert(subject.attempt, open);
        if self.open.len() > OPEN_MAX {
            self.open.pop_first();
        }
    }

    fn after(&mut self, attempt: AttemptId, after: After) {
        let Some(mut open) = self.open.remove(&attempt) else {
            return (self.report)(Report::Ended(Written::Failed));
        };
        open.bundle.complete(after, &open.mask);
        let written = match (
            self.write(&open.file, &mut open.bundle),
            open.bundle.is_whole(),
        ) {
            (false, _) => Written::Failed,
            (true, true) => Written::Whole,
            (true, false) => Written::Partly,
        };
        (self.report)(Report::Ended(written));
        self.sweep();
    }

    /// Into its bundle, whether that is whole by now or not.
    fn measured(&mut self, subject: &Subject, measured: &Measured) {
        if let Some(mut open) = self.open.remove(&subject.attempt) {
            open.bundle.add(measured, &open.mask);
            self.write(&open.file, &mut open.bundle);
            self.open.insert(subject.attempt, open);
            return;
        }
        let file = name(subject);
        match self.read_back(&file) {
            Ok(bundle) => {
                let mut bundle = bundle.unwrap_or_else(|| Bundle::bare(subject));
                let known = self.masks.lock().get(&subject.attempt).map(Arc::clone);
                bundle.add(measured, &known.unwrap_or_default());
                self.write(&file, &mut bundle);
            }
            Err(error) => self.tell(Err(error)),
        }
    }

    /// None where it is not there.
    fn read_back(&self, file: &str) -> Result<Option<Bundle>, EvidenceError> {
        let dir = self.open_dir()?;
        let own = dir.own_uid();
        let text = dir.read_trusted(file, BUNDLE_BYTES_MAX as u64, |uid| uid == own)?;
        let bundle = text.map(|text| Bundle::read_back(&text)).transpose();
        bundle.map_err(|why| EvidenceError::Unreadable {
            path: self.dir.join(file),
            why,
        })
    }

    fn write(&mut self, file: &str, bundle: &mut Bundle) -> bool {
        let json = bundle.written();
        debug_assert!(json.len() <= BUNDLE_BYTES_MAX, "a bundle of {}", json.len());
        let written = self.open_dir().and_then(|dir| {
            let free_bytes = dir.free_bytes()?;
            if free_bytes < FREE_BYTES_MIN {
                let dir = self.dir.clone();
                return Err(EvidenceError::NoRoom { dir, free_bytes });
            }
            Ok(dir.replace(file, &json)?)
        });
        self.index.done(file, written.is_ok());
        self.tell_left_out();
        let is_written = written.is_ok();
        self.tell(written);
        is_written
    }

    fn tell_left_out(&mut self) {
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        for _ in 0..left_out {
            (self.report)(Report::Ended(Written::Failed));
        }
        if left_out > 0 {
            let error = EvidenceError::Behind { left_out };
            let is_first = !self.is_behind;
            (self.report)(Report::Problem { error, is_first });
        }
        self.is_behind = left_out > 0;
    }

    /// Once while it lasts, however often it is met.
    fn tell(&mut self, result: Result<(), EvidenceError>) {
        let Err(error) = result else {
            self.told = None;
            return;
        };
        let topic = error.topic();
        let is_first = self.told.as_ref() != Some(&topic);
        self.told = Some(topic);
        (self.report)(Report::Problem { error, is_first });
    }

    fn open_dir(&self) -> Result<ReportDir, EvidenceError> {
        Ok(ReportDir::open_or_create_private(&self.dir)?)
    }

    /// Removes what is too old or too much.
    fn sweep(&mut self) {
        let swept = self.open_dir().and_then(|dir| {
            let kept = self.sweep_in(&dir)?;
            self.index.set(kept);
            Ok(())
        });
        if swept.is_err() {
            self.tell(swept);
        }
    }

    /// What is left; told at its end is the first thing that failed.
    fn sweep_in(&self, dir: &ReportDir) -> Result<Vec<String>, EvidenceError> {
        let now_s = self.clock.now().wall_ms / 1_000;
        let mut result = Ok(());
        let mut kept: Vec<(u64, String)> = Vec::new();
        for file in dir.some_names()?.found {
            let Some(stat) = dir.stat_of(&file)? else {
                continue;
            };
            let made_s = u64::try_from(stat.st_mtime).unwrap_or(0);
            let (from_s, keep_s) = match super::charged_s(&file) {
                Some(charged_s) => (charged_s, self.keep_ms / 1_000),
                None if ReportDir::is_temp(&file) => (made_s, TEMP_KEPT_S),
                // Whatever it is, it is not ours.
                None => continue,
            };
            if !dir.is_own_file(&stat) {
                continue;
            }
            if now_s.saturating_sub(from_s) > keep_s {
                result = result.and(dir.remove(&file));
            } else if !ReportDir::is_temp(&file) {
                kept.push((from_s, file));
            }
        }
        kept.sort();
        let too_many = kept.len().saturating_sub(FILES_MAX);
        for (_, file) in kept.drain(..too_many) {
            result = result.and(dir.remove(&file));
        }
        result?;
        Ok(kept.into_iter().map(|(_, file)| file).collect())
    }
}
