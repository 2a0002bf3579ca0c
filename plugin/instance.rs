//! One active `[OUTPUT]` section: what a flush does, from chunk to verdict.
//!
//! Kept true:
//! - a chunk in which nothing looks like a match costs one search of its bytes
//!   and two counters: no allocation, no system call;
//! - every wait is bounded by `Ack_Timeout`;
//! - nothing is dropped silently: each loss is counted and logged;
//! - flushes may run in parallel; no lock is held while waiting.
//!
//! Not here: panics and return codes (`guard`), settings that turn out bad in a
//! hot reload (`output`).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use executor_api::{Decision, Intent};
use rules::Scratch;

use crate::config::Config;
use crate::guard::Verdict;
use crate::held::{Fate, Held, Settled};
use crate::intent::{escalate_first, wire_remedy};
use crate::log::{Level, Line};
use crate::metrics::{Counter, DRY_RUN, Gauge, Metrics, UNANSWERED};
use crate::notes::Notes;
use crate::scan::{Findings, scan};
use crate::sender::{Fault, Sender};

/// Most kept intents that one flush takes along.
const ERRANDS_MAX: usize = 256;
/// How often a flush without matches asks after an executor that was away, ms.
const PROBE_MS: u64 = 5_000;
/// Most matching buffers kept between flushes.
const SCRATCHES_MAX: usize = 8;

/// A flush's outcome; the lines are still to be printed.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    /// For the host.
    pub verdict: Verdict,
    /// For the host's logger.
    pub lines: Vec<Line>,
}

impl Report {
    /// Done, nothing to say.
    pub fn ok() -> Self {
        Self {
            verdict: Verdict::Ok,
            lines: Vec::new(),
        }
    }
}

/// See the module's description.
pub struct Instance {
    config: Config,
    metrics: Box<dyn Metrics>,
    sender: Sender,
    held: Mutex<Held>,
    /// Intents kept in `held`, to be seen without its lock.
    kept: AtomicUsize,
    scratches: Mutex<Vec<Scratch>>,
    notes: Notes,
    /// 0 while the executor is up, else when to probe next.
    probe_from_ms: AtomicU64,
    born: Instant,
}

impl Instance {
    /// `inherited` are intents that an instance before this one kept.
    pub fn new(config: Config, metrics: Box<dyn Metrics>, inherited: Vec<Intent>) -> Self {
        let sender = Sender::new(&config.socket, config.ack_timeout);
        let mut held = Held::default();
        let lost = held.adopt(inherited);
        if lost > 0 {
            metrics.add(Counter::Overflow, "", 1);
        }
        let instance = Self {
            kept: AtomicUsize::new(held.kept()),
            held: Mutex::new(held),
            scratches: Mutex::new(vec![Scratch::default()]),
            notes: Notes::default(),
            probe_from_ms: AtomicU64::new(0),
            born: Instant::now(),
            config,
            metrics,
            sender,
        };
        instance.note_kept(&instance.lock_held());
        instance
    }

    /// Milliseconds since the instance was made.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The settings in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where the figures go.
    pub fn metrics(&self) -> &dyn Metrics {
        &*self.metrics
    }

    /// Looks for the executor once, so that the gauge is right before the first
    /// match.
    pub fn probe(&self, now_ms: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        let found = self.sender.probe(now_ms);
        // Nothing waits for the executor yet.
        self.note_contact(now_ms, Level::Warn, found.as_ref().err(), &mut lines);
        lines
    }

    /// Handles one chunk. `now_ms` is [`Self::now_ms`] but in tests.
    pub fn flush(&self, now_ms: u64, chunk: &[u8], tag: &[u8]) -> Report {
        self.metrics.add(Counter::Chunks, "", 1);
        self.metrics.add(Counter::Bytes, "", chunk.len() as u64);
        match self.config.rules.candidate(chunk, 0) {
            None if !self.has_errands(now_ms) => Report::ok(),
            None => self.flush_errands(now_ms),
            Some(candidate) => self.flush_candidates(now_ms, chunk, tag, candidate),
        }
    }

    /// The last words of an instance that goes for good: one more attempt to
    /// deliver what it kept. Gives what it could not.
    pub fn finish(&self, now_ms: u64) -> (Vec<Intent>, Vec<Line>) {
        let mut lines = Vec::new();
        if self.kept.load(Ordering::Relaxed) > 0 {
            self.exchange(now_ms, &[], &mut lines);
        }
        let mut held = self.lock_held();
        let kept = held.take();
        self.note_kept(&held);
        (kept, lines)
    }

    fn has_errands(&self, now_ms: u64) -> bool {
        let probe_from_ms = self.probe_from_ms.load(Ordering::Relaxed);
        (probe_from_ms != 0 && now_ms >= probe_from_ms)
            || (self.kept.load(Ordering::Relaxed) > 0 && !self.sender.is_away(now_ms))
    }

    fn flush_errands(&self, now_ms: u64) -> Report {
        let mut report = Report::ok();
        if self.kept.load(Ordering::Relaxed) > 0 {
            self.exchange(now_ms, &[], &mut report.lines);
        } else {
            report.lines = self.probe(now_ms);
        }
        report
    }

    fn flush_candidates(&self, now_ms: u64, chunk: &[u8], tag: &[u8], candidate: usize) -> Report {
        let mut scratch = self.take_scratch();
        let mut found = scan(&self.config, chunk, tag, candidate, &mut scratch);
        self.put_back_scratch(scratch);
        let mut lines = Vec::new();
        self.count(now_ms, tag, &found, &mut lines);
        let is_flawed = found.is_flawed();
        let intents = self.finish_groups(&mut found, tag);
        let outcome = if intents.is_empty() {
            if self.has_errands(now_ms) {
                lines.extend(self.flush_errands(now_ms).lines);
            }
            Outcome::default()
        } else if self.config.dry_run {
            let count = intents.len() as u64;
            self.metrics.add(Counter::Intents, DRY_RUN, count);
            lines.extend(self.notes.dry_run(now_ms, &intents));
            Outcome::default()
        } else {
            self.exchange(now_ms, &intents, &mut lines)
        };
        let verdict = if outcome.settled.goes_back {
            Verdict::Retry
        } else if is_flawed || outcome.is_rejected || outcome.settled.lost > 0 {
            Verdict::Error
        } else {
            Verdict::Ok
        };
        Report { verdict, lines }
    }

    fn count(&self, now_ms: u64, tag: &[u8], found: &Findings, lines: &mut Vec<Line>) {
        self.metrics.add(Counter::Records, "", found.records);
        for (&rule, &count) in &found.matches {
            let name = &self.config.rules.rules()[rule].name;
            self.metrics.add(Counter::Matches, name, count);
        }
        for (reason, count) in found.untargeted_by_reason() {
            if count > 0 {
                self.metrics
                    .add(Counter::Untargeted, reason.as_str(), count);
            }
        }
        if found.damage.is_some() || found.foreign.is_some() {
            self.metrics.add(Counter::Damaged, "", 1);
        }
        if found.overflow > 0 {
            self.metrics.add(Counter::Overflow, "", 1);
        }
        self.notes.findings(now_ms, tag, found, lines);
    }

    /// The chunk's intents, `escalate` first.
    fn finish_groups(&self, found: &mut Findings, tag: &[u8]) -> Vec<Intent> {
        let intents = std::mem::take(&mut found.groups)
            .into_iter()
            .map(|group| {
                let rule = &self.config.rules.rules()[group.rule];
                group.finish(&rule.name, wire_remedy(rule.remedy), tag)
            })
            .collect();
        escalate_first(intents, |intent: &Intent| intent.remedy)
    }

    /// Sends the chunk's intents and what is kept and due, and settles all.
    fn exchange(&self, now_ms: u64, own: &[Intent], lines: &mut Vec<Line>) -> Outcome {
        let (own, folded, errands) = self.divide(now_ms, own);
        if own.is_empty() && errands.is_empty() {
            self.count_settled(now_ms, folded, lines);
            return Outcome::default();
        }
        let mut all: Vec<(&Intent, bool)> = own.iter().map(|intent| (intent, true)).collect();
        all.extend(errands.iter().map(|intent| (intent, false)));
        let all = escalate_first(all, |(intent, _)| intent.remedy);
        let order: Vec<&Intent> = all.iter().map(|(intent, _)| *intent).collect();

        let exchange = self.sender.exchange(now_ms, &order);
        self.note_contact(now_ms, Level::Error, exchange.fault.as_ref(), lines);

        let was_tried = exchange.fault != Some(Fault::Away);
        let mut outcome = Outcome::default();
        let mut fates: Vec<(&Intent, Fate)> = Vec::with_capacity(own.len());
        let mut held = self.lock_held();
        for ((intent, is_own), answer) in all.into_iter().zip(&exchange.answers) {
            let decision = answer.as_ref().map(|answer| answer.decision);
            if was_tried {
                let label = decision.map_or(UNANSWERED, Decision::as_str);
                self.metrics.add(Counter::Intents, label, 1);
            }
            if let Some(answer) = answer {
                lines.extend(self.notes.answer(now_ms, intent, answer));
            }
            let fate = match decision {
                None if !was_tried => Fate::Unsent,
                None | Some(Decision::Retry) => Fate::Unanswered,
                Some(_) => Fate::Answered,
            };
            if is_own {
                outcome.is_rejected |= decision == Some(Decision::Error);
                fates.push((intent, fate));
            } else if fate == Fate::Answered {
                held.delivered(intent);
            }
        }
        outcome.settled = held.settle(now_ms, &fates);
        outcome.settled.folded += folded.folded;
        self.note_kept(&held);
        drop(held);
        self.count_settled(now_ms, outcome.settled, lines);
        outcome
    }

    /// Decides, before anything is sent, what of a chunk is folded (all or
    /// nothing) and which kept intents go along.
    fn divide<'o>(&self, now_ms: u64, own: &'o [Intent]) -> (&'o [Intent], Settled, Vec<Intent>) {
        let mut held = self.lock_held();
        let mut folded = Settled::default();
        let own = match held.fold_ahead(now_ms, own) {
            Some(matches) => {
                folded.folded = matches;
                self.note_kept(&held);
                &[]
            }
            None => own,
        };
        let errands = if self.sender.is_away(now_ms) {
            Vec::new()
        } else {
            held.due(now_ms, ERRANDS_MAX)
        };
        (own, folded, errands)
    }

    fn count_settled(&self, now_ms: u64, settled: Settled, lines: &mut Vec<Line>) {
        if settled.goes_back {
            self.metrics.add(Counter::Undelivered, "", 1);
        }
        if settled.folded > 0 {
            self.metrics.add(Counter::Folded, "", settled.folded);
        }
        if settled.lost > 0 {
            self.metrics.add(Counter::Overflow, "", 1);
            lines.extend(self.notes.lost(now_ms, settled.lost));
        }
    }

    /// Follows the executor's coming and going. A flush that tried nothing
    /// knows nothing new.
    fn note_contact(
        &self,
        now_ms: u64,
        level: Level,
        fault: Option<&Fault>,
        lines: &mut Vec<Line>,
    ) {
        let socket = self.sender.path();
        let line = match fault {
            Some(Fault::Away) => None,
            Some(Fault::Failed(why)) => {
                self.probe_from_ms
                    .store((now_ms + PROBE_MS).max(1), Ordering::Relaxed);
                self.metrics.set(Gauge::ExecutorUp, 0);
                self.notes.executor_away(now_ms, level, socket, why)
            }
            None => {
                self.probe_from_ms.store(0, Ordering::Relaxed);
                self.metrics.set(Gauge::ExecutorUp, 1);
                self.notes.executor_back(socket)
            }
        };
        if !self.config.dry_run {
            lines.extend(line);
        }
    }

    fn note_kept(&self, held: &Held) {
        let kept = held.kept();
        self.kept.store(kept, Ordering::Relaxed);
        self.metrics.set(Gauge::Held, kept as u64);
    }

    fn lock_held(&self) -> MutexGuard<'_, Held> {
        // A panic under this lock cost one chunk; the table is still whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_scratch(&self) -> Scratch {
        let mut scratches = self
            .scratches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        scratches.pop().unwrap_or_default()
    }

    fn put_back_scratch(&self, scratch: Scratch) {
        let mut scratches = self
            .scratches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if scratches.len() < SCRATCHES_MAX {
            scratches.push(scratch);
        }
    }
}

#[derive(Default)]
struct Outcome {
    settled: Settled,
    /// An intent was answered with `error`.
    is_rejected: bool,
}
