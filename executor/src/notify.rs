//! Telling people: each step of an incident as a message to those who want it.
//!
//! The engine hands over what has happened and never waits: over a short queue,
//! and where that is full it is left out, counted and told. All else is on a
//! thread of its own with its own event loop: names that do not resolve, servers
//! that hang and disks that are slow hold up messages, and nothing else.
//!
//! - `notice`, `incident`, `route`, `plan`, `quiet`: what is told in which words,
//!   to whom and when; pure;
//! - `queue`, `worker`: what has not gone out, on disk, and one task for each
//!   notifier that sends it;
//! - `kinds`, `http`, `endpoint`, `tls`, `secret`: how a message goes out.
//!
//! Deliberately not here: anything that a decision could depend on. Nobody but
//! the journal knows what has happened; a message may be lost (see
//! `docs/notifications.md`) or arrive twice, with the same id.

mod dial;
mod endpoint;
mod failure;
mod files;
mod http;
mod hub;
mod incident;
mod kinds;
mod message;
mod notice;
mod plan;
mod queue;
mod quiet;
mod route;
mod samples;
mod secret;
mod setbacks;
mod template;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod trial;
mod worker;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use policy::AttemptId;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::config::Notifier;
use crate::metrics::NotifyMetrics;
use hub::{Command, Settings, Setup};
use samples::Samples;

pub use failure::{Failure, FailureKind};
pub(crate) use kinds::{check_mailbox, check_topic, check_url, is_loopback, shown};
pub use message::{Message, Severity, Step};
pub use notice::{Facts, Notice, is_told, notice, target_of};
pub use quiet::Quiet;
pub(crate) use quiet::zone;
pub use secret::{Secret, SecretSource};
pub use template::Template;
pub(crate) use tls::check_ca_file;
pub(crate) use trial::{rehearse, trial};

/// The directory's name, in the state directory.
const DIR: &str = "notify";
/// Notices that may wait for the thread.
const NOTICES_MAX: usize = 256;

/// Whether a panic on this thread costs a message and no more. What it says may
/// repeat text of a container, and belongs in no log.
pub fn is_fenced() -> bool {
    std::thread::current().name() == Some(hub::THREAD)
}

/// What is kept by target and rule; a container's name has no space.
fn of_rule(target: &str, rule: &str) -> String {
    format!("{target} {rule}")
}

/// Where queues are.
pub fn dir(state_dir: &Path) -> PathBuf {
    state_dir.join(DIR)
}

/// A handle; clones share it.
#[derive(Debug, Clone)]
pub struct Notifications(Option<Rc<Shared>>);

#[derive(Debug)]
struct Shared {
    setup: Setup,
    /// None until there is a notifier.
    thread: RefCell<Option<mpsc::Sender<Command>>>,
    is_on: Cell<bool>,
    /// Some notifier may have log text.
    wants_samples: Cell<bool>,
    samples: RefCell<Samples>,
    /// What triggers say, by target and rule.
    whys: RefCell<Samples>,
    /// What commands of remedies printed, by attempt.
    printed: RefCell<Samples>,
    left_out: Arc<AtomicU32>,
}

impl Notifications {
    /// Nobody is ever told.
    pub fn off() -> Self {
        Self(None)
    }

    /// Starts the thread where there is a notifier; otherwise with the first one
    /// that a reload brings.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(
        notifiers: &[Notifier],
        off: &[String],
        state_dir: &Path,
        host: String,
        clock: Clock,
        metrics: NotifyMetrics,
    ) -> Result<Self, String> {
        let left_out = Arc::new(AtomicU32::new(0));
        let it = Self(Some(Rc::new(Shared {
            setup: Setup {
                dir: dir(state_dir),
                host,
                clock,
                metrics,
                left_out: Arc::clone(&left_out),
            },
            thread: RefCell::new(None),
            is_on: Cell::new(false),
            wants_samples: Cell::new(false),
            samples: RefCell::default(),
            whys: RefCell::default(),
            printed: RefCell::default(),
            left_out,
        })));
        it.configure(notifiers, off)?;
        Ok(it)
    }

    /// Takes up other notifiers; `off` are the names of those that are switched off.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn configure(&self, notifiers: &[Notifier], off: &[String]) -> Result<(), String> {
        let Some(shared) = &self.0 else { return Ok(()) };
        shared.is_on.set(!notifiers.is_empty());
        let wants = notifiers.iter().any(|n| n.route.sample);
        shared.wants_samples.set(wants);
        if !wants {
            shared.samples.take();
            shared.printed.take();
        }
        let mut thread = shared.thread.borrow_mut();
        if thread.is_none() {
            if notifiers.is_empty() {
                return Ok(());
            }
            let (commands, queue) = mpsc::channel(NOTICES_MAX);
            hub::start(shared.setup.clone(), queue)
                .map_err(|e| format!("cannot start the thread for notifications: {e}"))?;
            *thread = Some(commands);
        }
        let configure = Command::Configure(Settings {
            notifiers: notifiers.to_vec(),
            off: off.to_vec(),
        });
        match thread.as_ref().map(|thread| thread.try_send(configure)) {
            Some(Err(_)) => Err(
                "notifications: too many messages wait for new settings to be taken up; \
                 reload again"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// Whether anybody may be told.
    pub fn is_on(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.is_on.get())
    }

    /// Keeps the newest log line of a target by a rule, or what a trigger stands on, where
    /// somebody may have it. An empty one says that there is none: an older one is of something else.
    pub fn remember_sample(&self, target: &str, rule: &str, sample: &str) {
        if let Some(shared) = &self.0
            && shared.wants_samples.get()
        {
            let mut samples = shared.samples.borrow_mut();
            samples.remember(&of_rule(target, rule), sample);
        }
    }

    /// Whether samples are wanted at all.
    pub fn wants_samples(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|shared| shared.wants_samples.get())
    }

    /// The newest log line of a target by a rule, in the incident that is open.
    pub fn sample(&self, target: &str, rule: &str) -> Option<String> {
        let shared = self.0.as_ref()?;
        shared.samples.borrow().of(&of_rule(target, rule))
    }

    /// An incident is over: its lines say nothing of the next.
    pub fn forget_samples(&self, target: &str) {
        if let Some(shared) = &self.0 {
            let mut samples = shared.samples.borrow_mut();
            samples.forget(&of_rule(target, ""));
        }
    }

    /// Keeps what a trigger says of a target, which is no log text.
    pub fn remember_why(&self, target: &str, rule: &str, why: &str) {
        if let Some(shared) = self.0.as_ref().filter(|shared| shared.is_on.get()) {
            let mut whys = shared.whys.borrow_mut();
            whys.remember(&of_rule(target, rule), why);
        }
    }

    /// What a trigger said last.
    pub fn why(&self, target: &str, rule: &str) -> Option<String> {
        let shared = self.0.as_ref()?;
        shared.whys.borrow().of(&of_rule(target, rule))
    }

    /// Keeps what a command of an attempt printed, where somebody may have it.
    pub fn remember_printed(&self, attempt: AttemptId, text: &str) {
        if let Some(shared) = self.0.as_ref().filter(|shared| shared.wants_samples.get()) {
            let mut printed = shared.printed.borrow_mut();
            printed.remember(&attempt.to_string(), text);
        }
    }

    /// What the newest one printed that did not end well.
    pub fn printed(&self, attempt: AttemptId) -> Option<String> {
        let shared = self.0.as_ref()?;
        shared.printed.borrow().of(&attempt.to_string())
    }

    /// Hands over what has happened; never waits.
    pub fn hear(&self, notice: Notice) {
        let Some(shared) = &self.0 else { return };
        let thread = shared.thread.borrow();
        let heard = thread
            .as_ref()
            .is_some_and(|thread| thread.try_send(Command::Notice(Box::new(notice))).is_ok());
        if !heard {
            shared.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything handed over is in its queues, and what can go out
    /// at once has, `at_most` so long. True where that is so.
    pub async fn flush(&self, at_most: Duration) -> bool {
        let sender = match &self.0 {
            Some(shared) => shared.thread.borrow().clone(),
            None => None,
        };
        let Some(sender) = sender else { return true };
        let flushed = async {
            let (done, wait) = oneshot::channel();
            sender.send(Command::Flush(done)).await.is_ok() && wait.await.is_ok()
        };
        tokio::time::timeout(at_most, flushed)
            .await
            .unwrap_or(false)
    }
}
