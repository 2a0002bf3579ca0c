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
use super::kinds::{self, Sent};
use super::message::{Message, plural};
use super::plan::{Bucket, Plan, plan};
use super::queue::Queue;
use super::route::{Cooldowns, leads};
use super::setbacks::Setbacks;
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
    setbacks: RefCell<Setbacks>,
    /// Messages that will never arrive, for the next one to mention.
    lost: Cell<u32>,
    is_overfull: Cell<bool>,
    is_in_memory: Cell<bool>,
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
        let now = clock.now();
        let (queue, told) = Queue::open(&parent.join(&notifier.name), count_max, now);
        for why in told {
            tracing::warn!(notifier = notifier.name, "queue: {why}");
        }
        metrics.add(&notifier.name);
        metrics.set_queued(&notifier.name, queue.len());
        Self {
            bucket: RefCell::new(Bucket::new(notifier.rate, now.at.0)),
            settings: RefCell::new(Rc::new(notifier)),
            queue: RefCell::new(queue),
            cooldowns: RefCell::default(),
            clock,
            host,
            metrics,
            wake: Notify::new(),
            is_idle: Cell::new(false),
            setbacks: RefCell::default(),
            lost: Cell::new(0),
            is_overfull: Cell::new(false),
            is_in_memory: Cell::new(false),
        }
    }

    fn settings(&self) -> Rc<Notifier> {
        Rc::clone(&self.settings.borrow())
    }

    /// New settings: what failed by the old ones is tried at once.
    pub(super) fn configure(&self, notifier: Notifier) {
        let mut queue = self.queue.borrow_mut();
        queue.set_count_max(notifier.queue_max as usize);
        queue.wait_no_more();
        self.settings.replace(Rc::new(notifier));
        self.setbacks.borrow_mut().try_again();
        self.is_idle.set(false);
        self.wake.notify_one();
    }

    /// Takes a message in, if it is for this notifier.
    pub(super) fn offer(&self, message: &Message) {
        let settings = self.settings();
        let now_ms = self.clock.now().at.0;
        let mut cooldowns = self.cooldowns.borrow_mut();
        cooldowns.hear(message);
        if !leads(&settings.route, message) {
            return;
        }
        let Some(left_out) = cooldowns.admit(message, now_ms, settings.cooldown_ms) else {
            return self.count(NotifyResult::Repeated, 1);
        };
        let mut message = match settings.route.sample {
            true => message.clone(),
            false => message.without_sample(),
        };
        message.left_out = left_out;
        let pushed = self.queue.borrow_mut().push(&message, now_ms);
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
        self.tell_in_memory(notifier, not_written);
    }

    /// Once while it lasts.
    fn tell_in_memory(&self, notifier: &str, not_written: Option<String>) {
        let was_in_memory = self.is_in_memory.replace(not_written.is_some());
        if let Some(why) = not_written.filter(|_| !was_in_memory) {
            tracing::warn!(notifier, "the queue is only in memory: {why}");
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
            let paused = self.setbacks.borrow().pause_ms(now.at.0);
            let pause = match paused {
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
                let digested = self.queue.borrow_mut().digest(&seqs, &self.host);
                for why in &digested.unread {
                    self.unread(&settings.name, why);
                }
                self.tell_in_memory(&settings.name, digested.not_written);
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
            Err(why) => return self.unread(&settings.name, &why),
        };
        let lost = self.lost.get();
        if lost > 0 {
            let s = plural(lost);
            message.detail = format!(
                "({lost} message{s} before this one never arrived; see `healer history`)\n{}",
                message.detail
            );
        }
        let may_echo = settings.route.sample || message.sample.is_some();
        let now_s = self.clock.now().wall_ms / 1_000;
        let sent = deliver(Rc::clone(&settings), message, now_s).await;
        match sent {
            Ok(sent) => {
                let partly = sent.partly.map(|partly| partly.logged(may_echo));
                self.sent(seq, &settings.name, lost, partly);
            }
            Err(failure) => self.failed(seq, &settings.name, failure, may_echo),
        }
    }

    fn sent(&self, seq: u64, notifier: &str, lost: u32, partly: Option<String>) {
        let mut queue = self.queue.borrow_mut();
        queue.remove(seq);
        queue.wait_no_more();
        self.bucket.borrow_mut().take();
        self.count(NotifyResult::Sent, 1);
        self.metrics
            .sent_at(notifier, self.clock.now().wall_ms / 1_000);
        self.lost.set(self.lost.get().saturating_sub(lost));
        self.is_overfull.set(false);
        let was_down = self.setbacks.borrow_mut().over(partly.as_deref());
        match (was_down, partly) {
            (true, None) => tracing::info!(notifier, "messages go out again"),
            (true, Some(why)) => tracing::warn!(notifier, "{why}"),
            (false, _) => {}
        }
    }

    fn failed(&self, seq: u64, notifier: &str, mut failure: Failure, may_echo: bool) {
        let now_ms = self.clock.now().at.0;
        let pause = self.setbacks.borrow_mut().judge(&mut failure);
        self.tell_fault(notifier, &failure.logged(may_echo));
        let Some(pause) = pause else {
            self.queue.borrow_mut().remove(seq);
            // It was a request like any other.
            self.bucket.borrow_mut().take();
            self.count(NotifyResult::Refused, 1);
            return self.lose(1);
        };
        self.count(NotifyResult::Failed, 1);
        let is_behind = failure.is_answer && self.queue.borrow_mut().answered(seq, now_ms, pause);
        if !is_behind {
            self.setbacks.borrow_mut().pause(now_ms, pause);
        }
    }

    /// Each fault once while it lasts.
    fn tell_fault(&self, notifier: &str, fault: &str) {
        if self.setbacks.borrow_mut().is_news(fault) {
            tracing::warn!(
                notifier,
                waiting = self.queue.borrow().len(),
                "a message did not go out: {fault}"
            );
        }
    }

    /// What has waited too long.
    fn give_up(&self, now: Now) {
        let settings = self.settings();
        let old = self.queue.borrow().expired(now.at.0, settings.max_age_ms);
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

    /// A message that waited cannot be read, and is removed.
    fn unread(&self, notifier: &str, why: &str) {
        tracing::warn!(notifier, "queue: {why}");
        self.count(NotifyResult::Dropped, 1);
        self.lose(1);
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
async fn deliver(settings: Rc<Notifier>, message: Message, now_s: u64) -> Result<Sent, Failure> {
    // Behind the senders' own, for what they do not wait for.
    let at_most = kinds::longest(&settings) + Duration::from_secs(5);
    let sending =
        tokio::task::spawn_local(async move { kinds::send(&settings, &message, now_s).await });
    let abort = sending.abort_handle();
    match tokio::time::timeout(at_most, sending).await {
        Ok(Ok(sent)) => sent,
        Ok(Err(_)) => {
            let kind = FailureKind::Later(None);
            let what = "a fault of our own while sending";
            Err(Failure::new(kind, what, "please report it").answered())
        }
        Err(_) => {
            abort.abort();
            Err(Failure::later("not sent in time"))
        }
    }
}
