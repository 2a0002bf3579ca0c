//! One active `[OUTPUT]` section: what a flush does, from chunk to verdict.
//!
//! Kept true:
//! - a chunk in which nothing looks like a match costs one search of its bytes
//!   and two counters: no allocation, no system call, but for one every five
//!   seconds that asks whether the executor answers;
//! - every wait is bounded by `Ack_Timeout`;
//! - nothing is dropped silently: each loss is counted and logged;
//! - flushes may run in parallel; no lock is held while waiting.
//!
//! Not here: panics and return codes (`guard`), settings that turn out bad in a
//! hot reload (`output`), the way to the executor (`delivery`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use executor_api::Intent;
use rules::Scratch;

use crate::config::Config;
use crate::delivery::{Delivery, Outcome, Voice};
use crate::guard::Verdict;
use crate::intent::{escalate_first, wire_remedy};
use crate::joins::{Joins, Settling};
use crate::log::Line;
use crate::metrics::{Counter, DRY_RUN, Metrics};
use crate::notes::Notes;
use crate::pieces::may_hold_piece;
use crate::progress::Seen;
use crate::scan::{Findings, Start, scan};

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

/// See the module's description.
pub struct Instance {
    config: Config,
    metrics: Box<dyn Metrics>,
    delivery: Delivery,
    scratches: Mutex<Vec<Scratch>>,
    joins: Joins,
    notes: Notes,
    seen: Seen,
    born: Instant,
}

impl Instance {
    /// Contacts nobody yet.
    pub fn new(config: Config, metrics: Box<dyn Metrics>) -> Self {
        Self {
            delivery: Delivery::new(
                &config.socket,
                config.ack_timeout,
                config.progress.names().map(str::to_owned).collect(),
            ),
            seen: Seen::default(),
            scratches: Mutex::new(vec![Scratch::default()]),
            joins: Joins::default(),
            notes: Notes::default(),
            born: Instant::now(),
            config,
            metrics,
        }
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

    /// Before the first flush: takes over what an instance before this one
    /// kept, and asks whether the executor answers, so that its gauge is right
    /// before the first match.
    pub fn start(&self, now_ms: u64, inherited: Vec<Intent>) -> Vec<Line> {
        let mut voice = self.voice();
        self.delivery.adopt(now_ms, inherited, &mut voice);
        self.delivery.probe(now_ms, &mut voice);
        voice.lines
    }

    /// Handles one chunk. `now_ms` is [`Self::now_ms`] but in tests.
    pub fn flush(&self, now_ms: u64, chunk: &[u8], tag: &[u8]) -> Report {
        if self.config.progress.is_empty() || self.config.dry_run {
            return self.heal(now_ms, chunk, tag);
        }
        let deadline = Instant::now() + self.delivery.timeout();
        let mut report = self.heal(now_ms, chunk, tag);
        let due = self.seen.look(now_ms, &self.config, chunk, tag);
        if !due.is_empty() {
            let mut voice = self.voice();
            let is_told = self
                .delivery
                .tell_progress(now_ms, deadline, &due, &mut voice);
            if !is_told {
                self.seen.keep(now_ms, due);
            } else if !due.messages.is_empty() {
                let taken = due.messages.len() as u64;
                self.metrics.add(Counter::Progress, "", taken);
            }
            report.lines.extend(voice.lines);
        }
        report
    }

    fn heal(&self, now_ms: u64, chunk: &[u8], tag: &[u8]) -> Report {
        self.metrics.add(Counter::Chunks, "", 1);
        self.metrics.add(Counter::Bytes, "", chunk.len() as u64);
        let candidate = self.config.rules.candidate(chunk, 0);
        let may_hold_piece = may_hold_piece(chunk);
        if candidate.is_none() && !may_hold_piece && !self.joins.wait_for(now_ms, tag) {
            return Report {
                verdict: Verdict::Ok,
                lines: self.run_errands(now_ms),
            };
        }
        let start = Start {
            candidate,
            may_hold_piece,
            kept: self.joins.take(now_ms, tag, chunk),
        };
        self.flush_candidates(now_ms, chunk, tag, start)
    }

    /// After the last flush: one more attempt to deliver what is kept. Gives
    /// what could not be delivered.
    pub fn finish(&self, now_ms: u64) -> (Vec<Intent>, Vec<Line>) {
        let mut voice = self.voice();
        let kept = self.delivery.finish(now_ms, &mut voice);
        (kept, voice.lines)
    }

    /// Costs nothing where there is nothing to do.
    fn run_errands(&self, now_ms: u64) -> Vec<Line> {
        if !self.delivery.has_errands(now_ms) {
            return Vec::new();
        }
        let mut voice = self.voice();
        self.delivery.run_errands(now_ms, &mut voice);
        voice.lines
    }

    fn flush_candidates(&self, now_ms: u64, chunk: &[u8], tag: &[u8], start: Start) -> Report {
        let mut scratch = self.take_scratch();
        let mut found = scan(&self.config, chunk, tag, start, &mut scratch);
        self.put_back_scratch(scratch);
        let mut voice = self.voice();
        self.count(&found);
        self.notes.findings(now_ms, tag, &found, &mut voice.lines);
        let intents = self.finish_groups(&mut found, tag);
        let outcome = if intents.is_empty() || self.config.dry_run {
            let count = intents.len() as u64;
            self.metrics.add(Counter::Intents, DRY_RUN, count);
            voice.lines.extend(self.notes.dry_run(now_ms, &intents));
            voice.lines.extend(self.run_errands(now_ms));
            Outcome::default()
        } else {
            self.delivery.deliver(now_ms, &intents, &mut voice)
        };
        let verdict = verdict(&found, outcome);
        self.settle_joins(now_ms, tag, chunk, &mut found, verdict);
        Report {
            verdict,
            lines: voice.lines,
        }
    }

    fn settle_joins(
        &self,
        now_ms: u64,
        tag: &[u8],
        chunk: &[u8],
        found: &mut Findings,
        verdict: Verdict,
    ) {
        let settling = Settling {
            goes_back: verdict == Verdict::Retry,
            untouched: std::mem::take(&mut found.untouched),
            left: std::mem::take(&mut found.left),
        };
        let forgotten = self.joins.settle(now_ms, tag, chunk, settling);
        for (counter, amount) in [
            (Counter::Joined, found.joined),
            (Counter::Unjoined, found.unjoined + forgotten),
        ] {
            if amount > 0 {
                self.metrics.add(counter, "", amount);
            }
        }
    }

    fn count(&self, found: &Findings) {
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
            self.metrics.add(Counter::Lost, "", found.overflow);
        }
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

    fn voice(&self) -> Voice<'_> {
        Voice {
            metrics: &*self.metrics,
            notes: &self.notes,
            lines: Vec::new(),
            tells_contact: !self.config.dry_run,
        }
    }

    fn take_scratch(&self) -> Scratch {
        self.lock_scratches().pop().unwrap_or_default()
    }

    fn put_back_scratch(&self, scratch: Scratch) {
        let mut scratches = self.lock_scratches();
        if scratches.len() < SCRATCHES_MAX {
            scratches.push(scratch);
        }
    }

    fn lock_scratches(&self) -> MutexGuard<'_, Vec<Scratch>> {
        // A panic under this lock leaves a shorter list at worst.
        self.scratches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// To keep a chunk outweighs everything: what is wrong with it besides is told
/// again when it comes again.
fn verdict(found: &Findings, outcome: Outcome) -> Verdict {
    if outcome.settled.goes_back {
        Verdict::Retry
    } else if found.is_flawed() || outcome.is_rejected || outcome.settled.lost > 0 {
        Verdict::Error
    } else {
        Verdict::Ok
    }
}
