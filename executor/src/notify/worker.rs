//! One notifier's work: takes its queue from the front, as the plan says, and
//! waits after a failure. A task of its own, so that one that is down or slow
//! holds up no other.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use policy::Now;
use tokio::sync::Notify;

use super::failure::{Failure, FailureKind};
use super::kinds;
use super::message::{Message, plural};
use super::plan::{Bucket, Plan, backoff_ms, plan};
use super::queue::Queue;
use super::route::{Cooldowns, leads};
use crate::clock::Clock;
use crate::config::Notifier;
use crate::metrics::{NotifyMetrics, NotifyResult};

/// Longest sleep: Tokio's timers stand still during a suspend.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// A handle on one notifier's work; the hub and the task share it.
#[derive(Debug)]
pub(super) struct Worker {
    settings: RefCell<Rc<Notifier>>,
    queue: RefCell<Queue>,
    cooldowns: RefCell<Cooldowns>,
    bucket: RefCell<Bucket>,
    clock: Clock,
    host: String,
    metrics: NotifyMetrics,
    /// Something has come, or the settings have changed.
    wake: Notify,
    /// Nothing can be done now but wait.
    is_idle: Cell<bool>,
    /// Failures in a row.
    failures: Cell<u32>,
    /// No try before, by the clock that only goes forward, ms.
    not_before_ms: Cell<u64>,
    /// What failed, while it lasts and has been told.
    told: RefCell<String>,
    /// Messages that will never arrive, for the next one to mention.
    lost: Cell<u32>,
    is_overfull: Cell<bool>,
}

impl Worker {
    pub(super) fn new(
        notifier: Notifier,
        parent: &Path,
        clock: Clock,
        host: String,
        metrics: NotifyMetrics,
    ) -> Self {
        let count_max = notifier.queue_max as usize;
        let (queue, told) = Queue::open(&parent.join(&notifier.name), count_max);
        for why in told {
            tracing::warn!(notifier = notifier.name, "queue: {why}");
        }
        metrics.add(&notifier.name);
        metrics.set_queued(&notifier.name, queue.len());
        Self {
            bucket: RefCell::new(Bucket::new(notifier.rate, clock.now().at.0)),
            settings: RefCell::new(Rc::new(notifier)),
            queue: RefCell::new(queue),
            cooldowns: RefCell::default(),
            clock,
            host,
            metrics,
            wake: Notify::new(),
            is_idle: Cell::new(false),
            failures: Cell::new(0),
            not_before_ms: Cell::new(0),
            told: RefCell::default(),
            lost: Cell::new(0),
            is_overfull: Cell::new(false),
        }
    }

    fn settings(&self) -> Rc<Notifier> {
        Rc::clone(&self.settings.borrow())
    }

    /// New settings: what failed by the old ones is tried at once.
    pub(super) fn configure(&self, notifier: Notifier) {
        self.queue
            .borrow_mut()
            .set_count_max(notifier.queue_max as usize);
        self.settings.replace(Rc::new(notifier));
        self.not_before_ms.set(0);
        self.is_idle.set(false);
        self.wake.notify_one();
    }

    /// Takes a message in, if it is for this notifier.
    pub(super) fn offer(&self, message: &Message) {
        let settings = self.settings();
        if !leads(&settings.route, message) {
            return;
        }
        let admitted =
            self.cooldowns
                .borrow_mut()
                .admit(message, message.at_ms, settings.cooldown_ms);
        let Some(left_out) = admitted else {
            return self.count(NotifyResult::Repeated, 1);
        };
        let mut message = match settings.route.sample {
            true => message.clone(),
            false => message.without_sample(),
        };
        message.left_out = left_out;
        let pushed = self.queue.borrow_mut().push(&message);
        self.tell_pushed(&settings.name, pushed.dropped, pushed.not_written);
        self.show_queued();
        self.is_idle.set(false);
        self.wake.notify_one();
    }

    fn tell_pushed(&self, notifier: &str, dropped: u32, not_written: Option<String>) {
        if dropped > 0 {
            self.count(NotifyResult::Dropped, dropped);
            self.lose(dropped);
            if !self.is_overfull.replace(true) {
                tracing::warn!(
                    notifier,
                    "the queue is full: the oldest of the least severe messages are dropped"
                );
            }
        }
        if let Some(why) = not_written {
            self.tell_fault(notifier, &format!("the queue is only in memory: {why}"));
        }
    }

    /// Whether nothing can be done now but wait.
    pub(super) fn is_idle(&self) -> bool {
        self.is_idle.get()
    }

    /// Sends what waits, until the task is ended.
    pub(super) async fn run(self: Rc<Self>) {
        loop {
            let now = self.clock.now();
            self.give_up(now);
            let pause = match self.not_before_ms.get().saturating_sub(now.at.0) {
                0 => self.work(now).await,
                left => Some(left),
            };
            let Some(pause) = pause else { continue };
            self.is_idle.set(true);
            let pause = Duration::from_millis(pause).min(SLEEP_MAX);
            // Either way it is looked at anew.
            let _woken = tokio::time::timeout(pause, self.wake.notified()).await;
            self.is_idle.set(false);
        }
    }

    /// Does one thing, or says how long to wait, ms.
    async fn work(&self, now: Now) -> Option<u64> {
        let settings = self.settings();
        let waiting = self.queue.borrow().waiting();
        let planned = plan(
            &waiting,
            settings.quiet.as_ref(),
            settings.rate,
            &mut self.bucket.borrow_mut(),
            (now.at.0, now.wall_ms),
        );
        match planned {
            Plan::Wait(ms) => return Some(ms.unwrap_or(u64::MAX)),
            Plan::Digest(seqs) => {
                let told = self.queue.borrow_mut().digest(&seqs, &self.host);
                for why in told {
                    tracing::warn!(notifier = settings.name, "queue: {why}");
                }
            }
            Plan::Send(seq) => self.send(seq, settings).await,
        }
        self.show_queued();
        None
    }

    async fn send(&self, seq: u64, settings: Rc<Notifier>) {
        let read = self.queue.borrow_mut().read(seq);
        let mut message = match read {
            Ok(message) => message,
            Err(why) => {
                tracing::warn!(notifier = settings.name, "queue: {why}");
                self.count(NotifyResult::Dropped, 1);
                return self.lose(1);
            }
        };
        let lost = self.lost.get();
        if lost > 0 {
            let s = plural(lost);
            message.detail = format!(
                "({lost} message{s} before this one never arrived; see `healer history`)\n{}",
                message.detail
            );
        }
        let sent = deliver(
            Rc::clone(&settings),
            message,
            self.clock.now().wall_ms / 1_000,
        )
        .await;
        let now = self.clock.now();
        match sent {
            Ok(()) => self.sent(seq, &settings.name, lost),
            Err(failure) => self.failed(seq, &settings.name, &failure, now),
        }
    }

    fn sent(&self, seq: u64, notifier: &str, lost: u32) {
        self.queue.borrow_mut().remove(seq);
        self.bucket.borrow_mut().take();
        self.count(NotifyResult::Sent, 1);
        self.metrics
            .sent_at(notifier, self.clock.now().wall_ms / 1_000);
        self.lost.set(self.lost.get().saturating_sub(lost));
        self.failures.set(0);
        self.is_overfull.set(false);
        if !self.told.take().is_empty() {
            tracing::info!(notifier, "messages go out again");
        }
    }

    fn failed(&self, seq: u64, notifier: &str, failure: &Failure, now: Now) {
        self.tell_fault(notifier, &failure.to_string());
        let retry_after = match failure.kind {
            FailureKind::Refused => {
                self.queue.borrow_mut().remove(seq);
                self.count(NotifyResult::Refused, 1);
                return self.lose(1);
            }
            FailureKind::Setup => None,
            FailureKind::Later(retry_after) => retry_after,
        };
        self.count(NotifyResult::Failed, 1);
        self.failures.set(self.failures.get().saturating_add(1));
        let pause = backoff_ms(self.failures.get(), retry_after);
        self.not_before_ms.set(now.at.0.saturating_add(pause));
    }

    /// Each fault once while it lasts.
    fn tell_fault(&self, notifier: &str, fault: &str) {
        if *self.told.borrow() != fault {
            tracing::warn!(
                notifier,
                waiting = self.queue.borrow().len(),
                "a message did not go out: {fault}"
            );
            self.told.replace(fault.to_owned());
        }
    }

    /// What has waited too long.
    fn give_up(&self, now: Now) {
        let settings = self.settings();
        let old = self
            .queue
            .borrow()
            .expired(now.wall_ms, settings.max_age_ms);
        let Ok(count @ 1..) = u32::try_from(old.len()) else {
            return;
        };
        for seq in old {
            self.queue.borrow_mut().remove(seq);
        }
        self.count(NotifyResult::Expired, count);
        self.lose(count);
        self.show_queued();
        let age = crate::config::show_duration_ms(settings.max_age_ms);
        tracing::warn!(
            notifier = settings.name,
            messages = count,
            "given up: they could not go out within {age}; see `healer history`"
        );
    }

    fn lose(&self, count: u32) {
        self.lost.set(self.lost.get().saturating_add(count));
    }

    fn count(&self, result: NotifyResult, count: u32) {
        self.metrics
            .count(&self.settings.borrow().name, result, count);
    }

    fn show_queued(&self) {
        let queued = self.queue.borrow().len();
        self.metrics
            .set_queued(&self.settings.borrow().name, queued);
    }
}

/// Sends in a task of its own: a panic there costs one try.
async fn deliver(settings: Rc<Notifier>, message: Message, now_s: u64) -> Result<(), Failure> {
    // Behind the senders' own, for what they do not wait for.
    let at_most = Duration::from_millis(settings.timeout_ms) + Duration::from_secs(5);
    let sending =
        tokio::task::spawn_local(async move { kinds::send(&settings, &message, now_s).await });
    let abort = sending.abort_handle();
    match tokio::time::timeout(at_most, sending).await {
        Ok(Ok(sent)) => sent,
        Ok(Err(_)) => Err(Failure::refused(
            "a fault of our own while sending",
            "please report it",
        )),
        Err(_) => {
            abort.abort();
            Err(Failure::later("not sent in time"))
        }
    }
}
