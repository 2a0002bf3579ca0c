//! The thread behind [`super::Notifications`]: makes messages of notices, hands
//! them to the workers of those who want them, and takes up new settings.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::incident::Incidents;
use super::message::{SAMPLE_CHARS_MAX, cut_chars, one_line, plural};
use super::notice::Notice;
use super::queue::sweep;
use super::worker::Worker;
use crate::clock::Clock;
use crate::config::Notifier;
use crate::evidence;
use crate::metrics::{NotifyMetrics, NotifyResult};

/// The thread's name; see [`super::is_fenced`].
pub(super) const THREAD: &str = "notify";
/// TLS and JSON in a build without optimisation.
const THREAD_STACK_BYTES: usize = 2 << 20;
/// Names are resolved on threads of their own, one for each notifier at most.
const BLOCKING_THREADS_MAX: usize = 16;
/// Pause before the thread goes on after a fault of our own.
const FAULT_PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether all workers still run.
const TICK: Duration = Duration::from_secs(10);
/// How often it is looked whether all workers are idle.
const FLUSH_LOOK: Duration = Duration::from_millis(10);

/// What workers are made with.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) dir: PathBuf,
    pub(super) host: String,
    pub(super) clock: Clock,
    pub(super) metrics: NotifyMetrics,
    /// Notices that found the queue full.
    pub(super) left_out: Arc<AtomicU32>,
}

/// Who is told.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) notifiers: Vec<Notifier>,
    /// Names of those that are switched off: what waits for them stays.
    pub(super) off: Vec<String>,
}

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Notice(Box<Notice>),
    Configure(Settings),
    Flush(oneshot::Sender<()>),
}

/// Starts the thread; it ends with its queue's last sender.
pub(super) fn start(setup: Setup, mut commands: mpsc::Receiver<Command>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name(THREAD)
        .build()?;
    let serve = move || {
        let mut settings = Settings::default();
        loop {
            let served = catch_unwind(AssertUnwindSafe(|| {
                let hub = Hub::new(&setup, settings.notifiers.clone());
                LocalSet::new().block_on(&runtime, hub.serve(&mut commands, &mut settings));
            }));
            match served {
                Ok(()) => break,
                Err(_) => tracing::error!(
                    "notifications: a fault of our own; they go on with what is in the queues"
                ),
            }
            std::thread::sleep(FAULT_PAUSE);
        }
        // A name that is being resolved holds nobody up.
        runtime.shutdown_background();
    };
    std::thread::Builder::new()
        .name(THREAD.into())
        .stack_size(THREAD_STACK_BYTES)
        .spawn(serve)
        .map(drop)
}

struct Hub<'a> {
    setup: &'a Setup,
    incidents: Incidents,
    workers: Workers,
    wants_samples: bool,
}

type Workers = Rc<RefCell<BTreeMap<String, Running>>>;

struct Running {
    worker: Rc<Worker>,
    task: Option<JoinHandle<()>>,
}

impl<'a> Hub<'a> {
    fn new(setup: &'a Setup, notifiers: Vec<Notifier>) -> Self {
        let hub = Self {
            setup,
            incidents: Incidents::default(),
            workers: Workers::default(),
            wants_samples: notifiers.iter().any(|n| n.route.sample),
        };
        for notifier in notifiers {
            hub.add(notifier);
        }
        hub
    }

    /// `settings` are those in force, for who goes on after a fault.
    async fn serve(mut self, commands: &mut mpsc::Receiver<Command>, settings: &mut Settings) {
        loop {
            self.keep_running();
            let command = match tokio::time::timeout(TICK, commands.recv()).await {
                Ok(Some(command)) => command,
                Ok(None) => return,
                Err(_) => continue,
            };
            self.tell_left_out();
            match command {
                Command::Notice(notice) => self.hear(*notice),
                Command::Configure(new) => {
                    settings.clone_from(&new);
                    self.configure(new);
                }
                Command::Flush(done) => self.flush(done),
            }
        }
    }

    fn hear(&mut self, mut notice: Notice) {
        notice.sample = notice
            .sample
            .filter(|_| self.wants_samples)
            .map(|sample| cut_chars(&one_line(&evidence::masked(&sample)), SAMPLE_CHARS_MAX));
        let now_ms = self.setup.clock.now().at.0;
        let message = self.incidents.message(&self.setup.host, notice, now_ms);
        let Some(message) = message else {
            return;
        };
        for running in self.workers.borrow().values() {
            running.worker.offer(&message);
        }
    }

    fn configure(&mut self, settings: Settings) {
        let Settings { notifiers, off } = settings;
        self.wants_samples = notifiers.iter().any(|n| n.route.sample);
        let mut names: Vec<String> = notifiers.iter().map(|n| n.name.clone()).collect();
        self.workers.borrow_mut().retain(|name, running| {
            let stays = names.contains(name);
            if !stays && let Some(task) = &running.task {
                task.abort();
            }
            if !stays {
                self.setup.metrics.remove(name);
            }
            stays
        });
        for notifier in notifiers {
            let known = self
                .workers
                .borrow()
                .get(&notifier.name)
                .map(|r| Rc::clone(&r.worker));
            match known {
                Some(worker) => worker.configure(notifier),
                None => self.add(notifier),
            }
        }
        names.extend(off);
        for (notifier, count) in sweep(&self.setup.dir, &names, self.setup.clock.now()) {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let dropped = NotifyResult::Dropped;
            self.setup.metrics.count(&notifier, dropped, count);
            let s = plural(count);
            tracing::warn!(
                notifier,
                "is configured no more: {count} waiting message{s} dropped; see `healer history`"
            );
        }
    }

    fn add(&self, notifier: Notifier) {
        let name = notifier.name.clone();
        let setup = self.setup.clone();
        let worker = Worker::new(notifier, &setup.dir, setup.clock, setup.host, setup.metrics);
        let worker = Rc::new(worker);
        let running = Running { worker, task: None };
        self.workers.borrow_mut().insert(name, running);
    }

    /// A worker ends by a fault of our own only.
    fn keep_running(&self) {
        for (notifier, running) in self.workers.borrow_mut().iter_mut() {
            if running
                .task
                .as_ref()
                .is_some_and(|task| !task.is_finished())
            {
                continue;
            }
            if running.task.is_some() {
                tracing::error!(notifier, "a fault of our own ended it; it begins anew");
            }
            let worker = Rc::clone(&running.worker);
            running.task = Some(spawn_local(worker.run()));
        }
    }

    fn flush(&self, done: oneshot::Sender<()>) {
        let workers = Rc::clone(&self.workers);
        spawn_local(async move {
            let is_idle = || workers.borrow().values().all(|r| r.worker.is_idle());
            while !is_idle() && !done.is_closed() {
                tokio::time::sleep(FLUSH_LOOK).await;
            }
            // Nobody may be waiting any more.
            let _ = done.send(());
        });
    }

    fn tell_left_out(&self) {
        let count = self.setup.left_out.swap(0, Ordering::Relaxed);
        if count > 0 {
            self.setup.metrics.left_out(count);
            tracing::warn!(
                "{count} step{} told to nobody: too many at once; see `healer history`",
                plural(count)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use policy::{Now, Timestamp};
    use tokio::time::sleep;

    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_has_ended_begins_anew_without_being_asked() {
        let dir = tempfile::tempdir().unwrap();
        let now = Now {
            at: Timestamp(1_000),
            wall_ms: 1_000,
        };
        let config = "[notify.n]\ntype = 'ntfy'\nurl = 'https://127.0.0.1:1/t'\n";
        let notifiers = super::super::tests::notifiers(dir.path(), config);
        let setup = Setup {
            dir: dir.path().join("notify"),
            host: "gpu-host".into(),
            clock: Clock::manual(now).0,
            metrics: Metrics::new().notify(),
            left_out: Arc::default(),
        };
        let (_open, mut commands) = mpsc::channel(1);
        let mut settings = Settings::default();
        let hub = Hub::new(&setup, notifiers);
        let workers = Rc::clone(&hub.workers);
        let has_ended = || {
            let workers = workers.borrow();
            let task = workers["n"].task.as_ref();
            task.is_none_or(JoinHandle::is_finished)
        };
        let look = async {
            sleep(Duration::from_millis(1)).await;
            assert!(!has_ended());
            let abort = |r: &Running| r.task.as_ref().map(JoinHandle::abort);
            abort(&workers.borrow()["n"]);
            sleep(Duration::from_millis(1)).await;
            assert!(has_ended());
            sleep(TICK).await;
            assert!(!has_ended());
        };
        let serve = hub.serve(&mut commands, &mut settings);
        let both = async {
            tokio::select! {
                () = serve => panic!("nobody has closed it"),
                () = look => {}
            }
        };
        LocalSet::new().run_until(both).await;
    }
}
