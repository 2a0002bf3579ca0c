//! The engine: the only owner of the policy and the journal. One loop takes
//! intents, requests, completions and the passing of time, asks the policy
//! for a [`Step`], writes its entries, and only then answers and acts.
//!
//! Keeps true:
//! - journal before answer before act, for every step, in [`Engine::commit`]
//!   and for intents in `batch` alone; a step that cannot be written has not happened: an intent is
//!   answered `retry`, anything else is decided anew, on fresh facts;
//! - the loop itself waits for the journal and for nothing else: inspects and
//!   calls run as tasks beside it, so one slow container delays no other;
//! - while draining (SIGTERM) no new call is made; calls in flight are waited
//!   for, the rest stays in the journal as open charges.
//!
//! Not here: any decision about whether to restart (`policy`), HTTP
//! (`docker`), files (`journal`, `report`).

mod act;
mod admin;
mod batch;
mod drain;
mod flights;
mod gauges;
mod inbox;
mod incidents;
mod intents;
mod looks;
mod marked;
mod measures;
mod naming;
mod notices;
mod one_shot;
mod parts;
mod relatives;
mod said;
mod signals;
mod stats;
mod tell;
#[cfg(test)]
mod tests;
mod views;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use executor_api::{Answer, Decision};
use policy::{Action, AttemptId, Entry, Now, Policy, Record, Step};
use tokio::sync::mpsc;

use self::admin::{WaitingRequest, Watched};
use self::batch::{Batch, Input};
use self::inbox::Completion;
pub use self::inbox::{Handle, Message, QUEUE_MAX};
use self::incidents::Incidents;
use self::intents::WaitingIntent;
pub(crate) use self::intents::rule_facts;
use self::looks::Looks;
pub use self::one_shot::restart_once;
pub use self::parts::{Parts, Settings};
use self::said::SaidLately;
use self::tell::IdsTold;
use crate::calendar::Calendar;
use crate::clock::Clock;
use crate::config::StopTimeouts;
use crate::docker::Docker;
use crate::evidence::{Evidence, Half};
use crate::http::Site;
use crate::journal::{Journal, JournalError};
use crate::notify::Notifications;
use crate::procs::Procs;
use crate::report::Reports;

/// Unknown rules that are told as errors; what is named beyond them is refused
/// like all others, and told as that.
const UNKNOWN_RULES_TOLD_MAX: usize = 64;
/// After so long without an answer of the journal's disk readiness says so.
const JOURNAL_SLOW: Duration = Duration::from_secs(5);
/// Pause before a step that could not be written is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Most completions that wait for the loop; the tasks behind others wait.
const COMPLETIONS_MAX: usize = 1_024;
/// Longest wait for report files and evidence on the way out.
const REPORTS_MAX: Duration = Duration::from_secs(2);
/// Longest sleep of the loop: Tokio's timers stand still during a suspend, the
/// policy's clock does not.
const SLEEP_MAX: Duration = Duration::from_secs(10);
/// Shortest, so that a time-out that stays due cannot spin the loop.
const SLEEP_MIN: Duration = Duration::from_millis(1);

/// See the module.
#[derive(Debug)]
pub struct Engine<D> {
    policy: Policy,
    calendar: Calendar,
    rules: rules::RuleBook,
    stop_timeouts: Rc<RefCell<StopTimeouts>>,
    shutdown_grace: Duration,
    /// At most [`UNKNOWN_RULES_TOLD_MAX`]; the names come from outside.
    unknown_rules_told: BTreeSet<String>,
    docker: Rc<D>,
    journal: Journal,
    clock: Clock,
    looks: Rc<Looks<D>>,
    procs: Procs,
    site: Rc<Site>,
    reports: Reports,
    evidence: Evidence,
    notifications: Notifications,
    host: String,
    done: mpsc::Sender<Completion>,
    completions: mpsc::Receiver<Completion>,
    intents: BTreeMap<String, WaitingIntent>,
    requests: BTreeMap<u64, WaitingRequest>,
    /// Requests whose attempt is under way.
    watched: BTreeMap<AttemptId, Watched>,
    calls_out: BTreeSet<AttemptId>,
    /// Evidence of open attempts whose call has not gone out.
    halves: BTreeMap<AttemptId, Half>,
    said: SaidLately,
    incidents: Incidents,
    next_ticket: u64,
    journal_failing: bool,
    ids_told: IdsTold,
    /// No time-out is handled before: after a journal error.
    idle_until: Option<tokio::time::Instant>,
}

impl<D: Docker + 'static> Engine<D> {
    /// Folds the journal's records into a policy. Nothing is done yet.
    pub fn new(parts: Parts<D>) -> Self {
        let mut policy = Policy::new(parts.settings.policy);
        for record in &parts.records {
            policy.apply(record);
        }
        let (done, completions) = mpsc::channel(COMPLETIONS_MAX);
        let stop_timeouts = Rc::new(RefCell::new(parts.settings.stop_timeouts));
        let looks = Looks::new(
            Rc::clone(&parts.docker),
            parts.clock.clone(),
            parts.procs.own.clone(),
            Rc::clone(&stop_timeouts),
            Rc::clone(&parts.site),
        );
        looks.relatives.configure(policy.config());
        let mut engine = Self {
            policy,
            calendar: parts.settings.calendar,
            rules: parts.settings.rules,
            stop_timeouts,
            shutdown_grace: parts.settings.shutdown_grace,
            unknown_rules_told: BTreeSet::new(),
            docker: parts.docker,
            journal: parts.journal,
            clock: parts.clock,
            looks: Rc::new(looks),
            procs: parts.procs,
            site: parts.site,
            reports: parts.reports,
            evidence: parts.evidence,
            notifications: parts.notifications,
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            done,
            completions,
            intents: BTreeMap::new(),
            requests: BTreeMap::new(),
            watched: BTreeMap::new(),
            calls_out: BTreeSet::new(),
            halves: BTreeMap::new(),
            said: SaidLately::default(),
            incidents: Incidents::default(),
            next_ticket: 0,
            journal_failing: parts.journal_failing,
            ids_told: IdsTold::default(),
            idle_until: None,
        };
        engine.renew_windows();
        engine
    }

    /// Runs until `shutdown` completes, then drains for at most the
    /// shutdown grace.
    pub async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Message>,
        shutdown: impl Future<Output = ()>,
    ) {
        self.start().await;
        tokio::pin!(shutdown);
        loop {
            self.renew_windows();
            // First, so that a busy inbox cannot starve what time has come for.
            let wake = self.next_wake();
            if wake <= SLEEP_MIN {
                self.time_out().await;
            }
            // In this order and no other: what comes of a run must not depend on
            // chance. Each branch but the inbox is bounded by what it has let in.
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(completion) = self.completions.recv() => {
                    self.work(Input::Completion(completion), &mut inbox).await;
                }
                () = tokio::time::sleep(wake) => self.time_out().await,
                message = inbox.recv() => match message {
                    Some(message) => self.work(Input::Message(message), &mut inbox).await,
                    None => break,
                },
            }
            self.show();
        }
        inbox.close();
        self.drain(inbox).await;
    }

    /// A channel for [`Engine::run`].
    pub fn inbox() -> (Handle, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        (Handle::new(sender), receiver)
    }

    /// Takes up what an earlier run left open.
    async fn start(&mut self) {
        let now = self.clock.now();
        let step = self.policy.handle_start(now);
        self.write_and_look(now, step).await;
        if let Some(newest) = self.policy.newest_restart_wall_ms() {
            self.site.metrics.restarted(newest / 1_000);
        }
        self.show();
    }

    async fn take(&mut self, message: Message, batch: &mut Batch) {
        match message {
            Message::Intent {
                intent,
                peer,
                reply,
            } => self.take_intent(intent, peer, reply, batch).await,
            Message::Ping { ping, reply } => {
                // Whoever asked may have given up.
                let _ = reply.send(Answer {
                    id: ping.id,
                    decision: Decision::Noted,
                    gate: None,
                    detail: None,
                });
            }
            Message::Signal { signal, reply } => self.take_signal(signal, reply, batch).await,
            Message::Admin { request, reply } => self.take_admin(request, reply).await,
            Message::Markers { marks, reply } => {
                // The watcher is gone only where the process is stopping.
                let _ = reply.send(self.take_markers(marks).await);
            }
            Message::Reload(settings) => {
                self.looks.relatives.configure(&settings.policy);
                self.policy.configure(settings.policy);
                self.calendar = settings.calendar;
                self.renew_windows();
                self.rules = settings.rules;
                self.stop_timeouts.replace(settings.stop_timeouts);
                self.shutdown_grace = settings.shutdown_grace;
                self.unknown_rules_told.clear();
            }
        }
    }

    async fn complete(&mut self, mut completion: Completion, batch: &mut Batch) {
        let now = self.clock.now();
        if let Completion::AttemptLook {
            attempt, evidence, ..
        } = &mut completion
        {
            self.halves
                .extend(evidence.take().map(|half| (*attempt, half)));
        }
        let step = match &completion {
            Completion::IntentLook { id, look } => {
                return self.decide_intent(id.clone(), look, batch).await;
            }
            Completion::RequestLook { ticket, look } => {
                return self.decide_request(*ticket, look).await;
            }
            Completion::AttemptLook { attempt, look, .. } => {
                self.policy.handle_attempt_look(now, *attempt, look)
            }
            Completion::PendingLook { key, look } => {
                self.policy.handle_pending_look(now, key, look)
            }
            Completion::TargetLook { target, look } => {
                self.policy.handle_target_look(now, target, look)
            }
            Completion::Called {
                attempt,
                did,
                called,
            } => {
                self.calls_out.remove(attempt);
                self.tell_called(*attempt, did, called);
                self.policy.handle_called(now, *attempt, called)
            }
        };
        match self.commit(now, &step).await {
            Ok(()) => self.act(step.actions),
            // Never on the same facts again: a later look brings fresh ones. A
            // pending target's is due by itself; a call's step writes nothing.
            Err(_) => {
                if let Completion::AttemptLook { attempt, .. } = completion {
                    self.policy.handle_unwritten(now, attempt);
                }
            }
        }
    }

    async fn time_out(&mut self) {
        let now = self.clock.now();
        if self.policy.poll_timeout().is_none_or(|due| due > now.at) {
            return;
        }
        let step = self.policy.handle_timeout(now);
        if !self.write_and_look(now, step).await {
            self.idle_until = Some(tokio::time::Instant::now() + AGAIN_AFTER);
        }
    }

    /// Writes a step and acts on it. Looks depend on no entry: they go out even
    /// where nothing can be written. False where that is so.
    async fn write_and_look(&mut self, now: Now, mut step: Step) -> bool {
        let is_written = self.commit(now, &step).await.is_ok();
        if !is_written {
            let is_look = |action: &Action| {
                matches!(
                    action,
                    Action::LookForAttempt { .. }
                        | Action::LookForPending { .. }
                        | Action::LookForTarget { .. }
                )
            };
            step.actions.retain(is_look);
        }
        self.act(step.actions);
        is_written
    }

    /// What the calendar says of the coming days, where it says anything new.
    fn renew_windows(&mut self) {
        if let Some(windows) = self.calendar.news(self.clock.now().wall_ms) {
            self.policy.set_windows(windows);
        }
    }

    fn next_wake(&self) -> Duration {
        let due = match self.policy.poll_timeout() {
            Some(due) => {
                Duration::from_millis(due.since(self.clock.now().at)).clamp(SLEEP_MIN, SLEEP_MAX)
            }
            None => SLEEP_MAX,
        };
        match self.idle_until {
            Some(until) => due.max(until.saturating_duration_since(tokio::time::Instant::now())),
            None => due,
        }
    }

    /// Writes a step's entries and folds them into the policy. On an error
    /// nothing has happened.
    async fn commit(&mut self, now: Now, step: &Step) -> Result<(), JournalError> {
        self.write(now, step.entries.clone(), step.durable).await
    }

    async fn write(
        &mut self,
        now: Now,
        entries: Vec<Entry>,
        durable: bool,
    ) -> Result<(), JournalError> {
        if entries.is_empty() && !durable {
            return Ok(());
        }
        let records = stamped(now, entries);
        self.store(&records, durable).await?;
        self.fold(&records);
        self.compact_where_due().await;
        Ok(())
    }

    /// Writes records that are folded into the policy already; `before` is the
    /// policy without them, which is in force again on an error.
    async fn write_folded(
        &mut self,
        before: Policy,
        records: &[Record],
        durable: bool,
    ) -> Result<(), JournalError> {
        // A compaction on the way must not write them too.
        let folded = std::mem::replace(&mut self.policy, before);
        self.store(records, durable).await?;
        self.policy = folded;
        self.compact_where_due().await;
        Ok(())
    }

    fn fold(&mut self, records: &[Record]) {
        for record in records {
            self.policy.apply(record);
        }
    }

    /// Appends to the journal, and says how that stands.
    async fn store(&mut self, records: &[Record], durable: bool) -> Result<(), JournalError> {
        let stored = self.append(records, durable).await;
        let journal = stored.as_ref().copied().map_err(ToString::to_string);
        self.site.health.set_journal(journal);
        if let Err(e) = stored {
            self.site.metrics.journal_error();
            if !self.journal_failing {
                self.journal_failing = true;
                tracing::error!(
                    "nothing can be decided until the journal can be written again: {e}"
                );
            }
            return Err(e);
        }
        if self.journal_failing {
            self.journal_failing = false;
            tracing::info!("the journal can be written again");
        }
        Ok(())
    }

    /// Where the journal is at its limit only a compaction makes room, so it is
    /// tried again, however often it has failed before.
    async fn append(&self, records: &[Record], durable: bool) -> Result<(), JournalError> {
        let append = || self.journal.append(records.to_vec(), durable);
        match self.patiently(append()).await {
            Err(JournalError::Limit { .. }) if self.compact().await => {
                self.patiently(append()).await
            }
            done => done,
        }
    }

    async fn compact_where_due(&self) {
        if self.journal.wants_compaction() {
            self.compact().await;
            // Entries are written before, so what it ran into is not their fault.
            self.site.health.set_journal(Ok(()));
        }
    }

    /// False where it failed, which is told.
    async fn compact(&self) -> bool {
        let snapshot = self.policy.snapshot(self.clock.now());
        let compacted = self.journal.compact(snapshot);
        let compacted = self.patiently(compacted).await;
        if let Err(e) = &compacted {
            self.site.metrics.journal_error();
            tracing::warn!("the journal stays long: {e}");
        }
        compacted.is_ok()
    }

    /// Waits for the journal to its end, as the entry may or may not be in it
    /// before, and lets readiness say where that takes long. What it says after
    /// is for the caller to set: the wait may end in an error.
    async fn patiently<T>(&self, written: impl Future<Output = T>) -> T {
        tokio::pin!(written);
        match tokio::time::timeout(JOURNAL_SLOW, &mut written).await {
            Ok(written) => written,
            Err(_) => {
                let slow = format!("the disk has not answered for {} s", JOURNAL_SLOW.as_secs());
                tracing::error!("journal: {slow}; nothing is decided until it does");
                self.site.health.set_journal(Err(slow));
                written.await
            }
        }
    }
}

/// Entries with the time of their decision.
fn stamped(now: Now, entries: Vec<Entry>) -> Vec<Record> {
    let record = |entry| Record {
        at: now.at,
        wall_ms: now.wall_ms,
        entry,
    };
    entries.into_iter().map(record).collect()
}
