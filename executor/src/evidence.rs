//! Evidence: for each attempt, what its restart destroys and what led to it, in
//! one file for people who ask afterwards why.
//!
//! Before the last look at the container, and so before the call: its inspect and its
//! memory, both at once and in [`BEFORE_MAX`] at most. After the call: the last log
//! lines up to the charge, and, as they end, the commands of its remedy and what they
//! printed. What could not be read is named with the reason.
//!
//! Keeps true:
//! - it never keeps a call from being made, and delays it by [`BEFORE_MAX`] at
//!   most; nothing waits for the disk, and the journal's last room is left to it;
//! - one bundle for each attempt, in a private directory, of bounded size and
//!   number, removed in time;
//! - no values of the environment, and no text that looks like a secret
//!   (`mask`); all text is opaque.
//!
//! Deliberately not here: anything that a decision could depend on.

mod bundle;
mod error;
mod facts;
mod index;
mod logs;
mod mask;
mod output;
mod read;
mod store;
#[cfg(test)]
mod tests;
mod text;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use policy::{AttemptId, AttemptView, MeasureView};
use tokio::sync::{Notify, Semaphore};

use crate::clock::Clock;
use crate::config;
use crate::metrics::EvidenceMetrics;
use store::Store;

pub use bundle::Subject;
pub use error::EvidenceError;
pub use index::Mention;
pub use output::{Measured, Said};
pub use read::{BEFORE_MAX, Collector, Half};

/// The directory's name, in the state directory.
const DIR: &str = "evidence";
/// Logs of so many containers are read at once: each may take a megabyte.
const LOG_READS_MAX: usize = 4;
/// Attempts remembered as having their bundle.
const BEGUN_MAX: usize = 1_024;

/// What the evidence's thread has to say.
#[derive(Debug)]
pub enum Report {
    /// A bundle has both its halves.
    Ended(Written),
    /// Something is wrong.
    Problem {
        /// What, and what to do.
        error: EvidenceError,
        /// Worth a line in the log: the first of its kind since it last worked.
        is_first: bool,
    },
}

/// How a bundle ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Nothing is missing.
    Whole,
    /// Something could not be read.
    Partly,
    /// It could not be written.
    Failed,
}

/// A handle; clones share it.
#[derive(Debug, Clone)]
pub struct Evidence(Option<Rc<On>>);

#[derive(Debug)]
struct On {
    store: Store,
    log_lines: u32,
    log_slots: Semaphore,
    metrics: EvidenceMetrics,
    begun: RefCell<BTreeSet<AttemptId>>,
    /// Attempts that are being read for.
    under_way: Cell<usize>,
    ended: Notify,
}

/// One text of a container, what looks like a secret masked.
pub(crate) fn masked(text: &str) -> String {
    mask::Mask::default().text(text)
}

/// Whether a panic on this thread costs a bundle and no more. What it says may
/// repeat text of a container, and belongs in no log.
pub fn is_fenced() -> bool {
    std::thread::current().name() == Some(store::THREAD)
}

/// Where bundles are.
pub fn dir(state_dir: &Path) -> PathBuf {
    state_dir.join(DIR)
}

impl Evidence {
    /// None is gathered.
    pub fn off() -> Self {
        Self(None)
    }

    /// Starts the thread, unless evidence is switched off. `report` is called
    /// on it; `metrics` takes how long calls waited.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(
        settings: &config::Evidence,
        state_dir: &Path,
        clock: Clock,
        metrics: EvidenceMetrics,
        report: impl Fn(Report) + Send + 'static,
    ) -> Result<Self, EvidenceError> {
        let Some(keep_ms) = settings.keep_ms else {
            return Ok(Self::off());
        };
        Ok(Self(Some(Rc::new(On {
            store: Store::start(dir(state_dir), keep_ms, clock, report)?,
            log_lines: settings.log_lines,
            log_slots: Semaphore::new(LOG_READS_MAX),
            metrics,
            begun: RefCell::default(),
            under_way: Cell::new(0),
            ended: Notify::new(),
        }))))
    }

    /// For an attempt that is about to make its first call; none where it has
    /// its bundle already. `said` is the trigger's part, where it was one.
    pub fn begin(&self, attempt: &AttemptView, said: Option<Said>) -> Option<Collector> {
        let on = self.0.as_ref()?;
        let mut begun = on.begun.borrow_mut();
        if !begun.insert(attempt.attempt) {
            return None;
        }
        if begun.len() > BEGUN_MAX {
            begun.pop_first();
        }
        let subject = Subject {
            said,
            ..subject(attempt)
        };
        Some(Collector::new(Rc::clone(on), subject))
    }

    /// A command of an attempt was run: into its bundle; never waits.
    pub fn measured(&self, attempt: &AttemptView, measured: Measured) {
        if let Some(on) = &self.0 {
            on.store.measured(subject(attempt), measured);
        }
    }

    /// What a command of an attempt printed, secrets masked, for other eyes than those that
    /// read evidence. None where nobody knows what is secret in its container: none is
    /// gathered, or the executor was started anew since the attempt began.
    pub fn masked(&self, attempt: AttemptId, text: &str) -> Option<String> {
        self.0.as_ref()?.store.masked(attempt, text)
    }

    /// For a report about this attempt.
    pub fn mention(&self, attempt: &AttemptView) -> Option<Mention> {
        let on = self.0.as_ref()?;
        Some(on.store.index().mention(name(&subject(attempt))))
    }

    /// Where this attempt's bundle is, if there is one.
    pub fn path(&self, attempt: &AttemptView) -> Option<PathBuf> {
        let on = self.0.as_ref()?;
        on.store.index().path(&name(&subject(attempt)))
    }

    /// Waits until what is being read is written, `at_most` so long. True where
    /// it is.
    pub async fn flush(&self, at_most: Duration) -> bool {
        let Some(on) = &self.0 else { return true };
        let flushed = async {
            while on.under_way.get() > 0 {
                on.ended.notified().await;
            }
            on.store.flush().await
        };
        tokio::time::timeout(at_most, flushed)
            .await
            .unwrap_or(false)
    }
}

/// Counts as being read for until dropped.
#[derive(Debug)]
struct UnderWay(Rc<On>);

impl UnderWay {
    fn begin(on: &Rc<On>) -> Self {
        on.under_way.set(on.under_way.get() + 1);
        Self(Rc::clone(on))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
        self.0.ended.notify_one();
    }
}

fn subject(attempt: &AttemptView) -> Subject {
    let is_command = |measure: &MeasureView| matches!(measure, MeasureView::Exec(_));
    Subject {
        attempt: attempt.attempt,
        target: attempt.target.clone(),
        container_id: attempt.container_id.clone(),
        charged_wall_ms: attempt.charged_wall_ms,
        rule: attempt.rule.clone(),
        line: attempt.line,
        said: None,
        has_commands: attempt.measures.iter().any(is_command),
    }
}

/// The file's name. Of the target's only what a name may hold, and no more than
/// a file's name has room for.
fn name(subject: &Subject) -> String {
    const TARGET_BYTES_MAX: usize = 200;
    let is_part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let target: String = subject.target.chars().filter(is_part).collect();
    let target = &target[..target.len().min(TARGET_BYTES_MAX)];
    let charged_s = subject.charged_wall_ms / 1_000;
    format!("{charged_s}-{}-{target}.json", subject.attempt)
}

/// When the bundle of this name was charged; none where it is no bundle's name.
fn charged_s(name: &str) -> Option<u64> {
    let (charged_s, rest) = name.strip_suffix(".json")?.split_once('-')?;
    let (attempt, _) = rest.split_once('-')?;
    attempt.parse::<u64>().ok()?;
    charged_s.parse().ok()
}
