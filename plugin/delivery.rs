//! Getting intents to the executor: what is sent, what is kept, what goes back,
//! and following the executor's coming and going.
//!
//! Kept true:
//! - one deadline bounds a flush, however many rounds it takes: the chunk's own
//!   intents first, then what is kept, as long as the executor answers;
//! - while the executor is known to be away nothing is tried;
//! - whether it answers is asked at most every [`PROBE_MS`], by a flush that has
//!   nothing else for it; until then such a flush costs no system call;
//! - nothing is lost silently.
//!
//! Not here: the socket (`sender`), the rules of keeping (`held`).

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use executor_api::{Answer, Decision, Intent};

use crate::held::{Fate, Held, Settled};
use crate::intent::escalate_first;
use crate::log::{Level, Line};
use crate::metrics::{Counter, Gauge, Metrics, UNANSWERED};
use crate::notes::Notes;
use crate::progress::Due;
use crate::rejected::Rejected;
use crate::sender::{Fault, Sender};

/// Most kept intents that go along in one round.
const ROUND_MAX: usize = 256;
/// How long after the last contact a flush asks whether the executor answers, ms.
pub const PROBE_MS: u64 = 5_000;

/// One instance's deliveries.
pub struct Delivery {
    sender: Sender,
    timeout: Duration,
    held: Mutex<Held>,
    rejected: Mutex<Rejected>,
    /// Intents kept in `held`, to be seen without its lock.
    kept: AtomicUsize,
    /// When to ask next whether the executor answers.
    probe_from_ms: AtomicU64,
}

/// Where figures and words go.
pub struct Voice<'a> {
    /// The instance's metrics.
    pub metrics: &'a dyn Metrics,
    /// The instance's limiters.
    pub notes: &'a Notes,
    /// Lines to print.
    pub lines: Vec<Line>,
    /// Whether the executor's coming and going is worth a line.
    pub tells_contact: bool,
}

/// What became of a chunk's intents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Kept, gone back, lost.
    pub settled: Settled,
    /// An intent was answered with `error`, now or when the chunk came before.
    pub is_rejected: bool,
}

/// One round's intents.
struct Round<'o> {
    /// Of the chunk; empty where they were folded.
    own: &'o [Intent],
    folded: u64,
    /// Kept ones that are due.
    errands: Vec<Intent>,
}

impl Delivery {
    /// Contacts nobody yet. `progress` is what is looked for.
    pub fn new(socket: &Path, timeout: Duration, progress: Vec<String>) -> Self {
        Self {
            sender: Sender::new(socket).looking_for(progress),
            timeout,
            held: Mutex::default(),
            rejected: Mutex::default(),
            kept: AtomicUsize::new(0),
            probe_from_ms: AtomicU64::new(0),
        }
    }

    /// Takes over what another instance kept.
    pub fn adopt(&self, now_ms: u64, intents: Vec<Intent>, voice: &mut Voice<'_>) {
        let mut held = self.lock_held();
        let lost = held.adopt(intents);
        self.note_kept(now_ms, &mut held, voice);
        drop(held);
        voice.tell_lost(now_ms, lost);
    }

    /// Tries once more to deliver what is kept, also where the executor is
    /// known to be away, and gives what is left.
    pub fn finish(&self, now_ms: u64, voice: &mut Voice<'_>) -> Vec<Intent> {
        if !self.is_keeping() {
            return Vec::new();
        }
        self.sender.forget_failures();
        self.lock_held().hurry();
        self.deliver(now_ms, &[], voice);
        let mut held = self.lock_held();
        let kept = held.take();
        self.note_kept(now_ms, &mut held, voice);
        kept
    }

    /// Whether something is to be done although a chunk brings nothing.
    pub fn has_errands(&self, now_ms: u64) -> bool {
        now_ms >= self.probe_from_ms.load(Ordering::Relaxed)
            || (self.is_keeping() && !self.sender.is_away(now_ms))
    }

    /// Sends what is kept; where nothing could be sent, and the executor has
    /// not been heard of for a while, asks whether it answers.
    pub fn run_errands(&self, now_ms: u64, voice: &mut Voice<'_>) {
        if self.is_keeping() {
            self.deliver(now_ms, &[], voice);
        }
        self.probe(now_ms, voice);
    }

    /// Asks whether the executor answers, if it is time; of parallel flushes
    /// one does.
    pub fn probe(&self, now_ms: u64, voice: &mut Voice<'_>) {
        let from_ms = self.probe_from_ms.load(Ordering::Relaxed);
        if now_ms < from_ms || !self.claim_probe(now_ms, from_ms) {
            return;
        }
        let begun = Instant::now();
        let found = self.sender.probe(now_ms, begun + self.timeout);
        // Nothing waits for it yet.
        let now_ms = now_ms + elapsed_ms(begun);
        self.note_contact(now_ms, Level::Warn, found.as_ref().err(), voice);
    }

    /// Tells of progress, by `deadline`. False where that was not tried or failed: there is
    /// another flush for it.
    pub fn tell_progress(
        &self,
        now_ms: u64,
        deadline: Instant,
        due: &Due,
        voice: &mut Voice<'_>,
    ) -> bool {
        // One that began shortly before the deadline would make the executor look away.
        if self.sender.is_away(now_ms) || Instant::now() + self.timeout / 2 > deadline {
            return false;
        }
        let begun = Instant::now();
        let told = self
            .sender
            .tell(now_ms, deadline, due.is_ping_due, &due.messages);
        let then_ms = now_ms + elapsed_ms(begun);
        self.note_contact(then_ms, Level::Warn, told.as_ref().err(), voice);
        told.is_ok()
    }

    /// Longest wait in one flush.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    fn claim_probe(&self, now_ms: u64, from_ms: u64) -> bool {
        let next_ms = now_ms + PROBE_MS;
        self.probe_from_ms
            .compare_exchange(from_ms, next_ms, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Sends a chunk's intents, and what is kept.
    pub fn deliver(&self, now_ms: u64, own: &[Intent], voice: &mut Voice<'_>) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let rest = self.lock_rejected().leave_out(own);
        let (mut outcome, mut goes_on) = self.round(now_ms, deadline, &rest, voice);
        // An answer may have freed what was not due before. A round that began
        // shortly before the deadline would make the executor look away.
        while goes_on && self.is_keeping() && Instant::now() + self.timeout / 2 < deadline {
            let (more, again) = self.round(now_ms, deadline, &[], voice);
            debug_assert_eq!(more.settled, Settled::default());
            goes_on = again;
        }
        if outcome.settled.goes_back {
            voice.metrics.add(Counter::Undelivered, "", 1);
        } else {
            outcome.is_rejected |= rest.len() < own.len();
            self.lock_rejected().forget(own);
        }
        let folded = std::mem::take(&mut outcome.settled.folded);
        if folded > 0 {
            voice.metrics.add(Counter::Folded, "", folded);
        }
        voice.tell_lost(now_ms, outcome.settled.lost);
        outcome
    }

    /// One exchange; also says whether another could bring more.
    fn round(
        &self,
        now_ms: u64,
        deadline: Instant,
        own: &[Intent],
        voice: &mut Voice<'_>,
    ) -> (Outcome, bool) {
        let round = self.divide(now_ms, own, voice);
        let mut outcome = Outcome::default();
        outcome.settled.folded = round.folded;
        if round.own.is_empty() && round.errands.is_empty() {
            return (outcome, false);
        }
        let own = round.own.iter().map(|intent| (intent, true));
        let errands = round.errands.iter().map(|intent| (intent, false));
        let all = escalate_first(own.chain(errands).collect(), |(intent, _)| intent.remedy);
        let order: Vec<&Intent> = all.iter().map(|(intent, _)| *intent).collect();
        let begun = Instant::now();
        let exchange = self.sender.exchange(now_ms, deadline, &order);
        let then_ms = now_ms + elapsed_ms(begun);
        self.note_contact(then_ms, Level::Error, exchange.fault.as_ref(), voice);

        let was_tried = exchange.fault != Some(Fault::Away);
        let mut fates: Vec<(&Intent, Fate)> = Vec::with_capacity(round.own.len());
        let mut errors: Vec<&Intent> = Vec::new();
        let mut held = self.lock_held();
        for ((intent, is_own), answer) in all.into_iter().zip(&exchange.answers) {
            let fate = voice.hear(now_ms, intent, answer.as_ref(), was_tried);
            if fate == Fate::Answered {
                // A chunk that came twice may be the host's and kept as well.
                held.delivered(intent);
            }
            if is_own {
                errors.extend(is_error(answer.as_ref()).then_some(intent));
                fates.push((intent, fate));
            }
        }
        let settled = held.settle(now_ms, &fates);
        self.note_kept(now_ms, &mut held, voice);
        drop(held);
        outcome.is_rejected = !errors.is_empty();
        if settled.goes_back {
            let mut rejected = self.lock_rejected();
            errors
                .into_iter()
                .for_each(|intent| rejected.remember(intent));
        }
        outcome.settled = Settled {
            folded: outcome.settled.folded + settled.folded,
            ..settled
        };
        (outcome, exchange.fault.is_none())
    }

    /// Decides, before anything is sent, what of a chunk is folded (all or
    /// nothing) and which kept intents go along.
    fn divide<'o>(&self, now_ms: u64, own: &'o [Intent], voice: &mut Voice<'_>) -> Round<'o> {
        let mut held = self.lock_held();
        let folded = held.fold_ahead(now_ms, own);
        if folded.is_some() {
            self.note_kept(now_ms, &mut held, voice);
        }
        let own = if folded.is_some() { &[] } else { own };
        let mut errands = if self.sender.is_away(now_ms) {
            Vec::new()
        } else {
            held.due(now_ms, ROUND_MAX)
        };
        errands.retain(|kept| own.iter().all(|intent| intent.id != kept.id));
        Round {
            own,
            folded: folded.unwrap_or(0),
            errands,
        }
    }

    /// Follows the executor's coming and going. A round that tried nothing
    /// knows nothing new.
    fn note_contact(
        &self,
        now_ms: u64,
        level: Level,
        fault: Option<&Fault>,
        voice: &mut Voice<'_>,
    ) {
        let socket = self.sender.path();
        if fault != Some(&Fault::Away) {
            let next_ms = now_ms + PROBE_MS;
            self.probe_from_ms.store(next_ms, Ordering::Relaxed);
            voice
                .metrics
                .set(Gauge::ExecutorUp, u64::from(fault.is_none()));
        }
        if fault.is_none() {
            voice.metrics.set(Gauge::AnsweredAt, epoch_seconds());
        }
        let line = match fault {
            Some(Fault::Away) => None,
            Some(Fault::Failed(why)) => voice.notes.executor_away(now_ms, level, socket, why),
            None => voice.notes.executor_back(socket),
        };
        if voice.tells_contact {
            voice.lines.extend(line);
        }
    }

    fn is_keeping(&self) -> bool {
        self.kept.load(Ordering::Relaxed) > 0
    }

    fn note_kept(&self, now_ms: u64, held: &mut Held, voice: &mut Voice<'_>) {
        let kept = held.kept();
        self.kept.store(kept, Ordering::Relaxed);
        voice.metrics.set(Gauge::Held, kept as u64);
        let forgotten = held.take_forgotten();
        if forgotten > 0 {
            voice.metrics.add(Counter::Forgotten, "", forgotten);
            voice.lines.extend(voice.notes.forgotten(now_ms, forgotten));
        }
    }

    fn lock_rejected(&self) -> MutexGuard<'_, Rejected> {
        // A panic under this lock leaves an id too many or too few at worst.
        self.rejected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_held(&self) -> MutexGuard<'_, Held> {
        // A panic under this lock cost one chunk; the table is still whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Voice<'_> {
    /// Counts and tells one intent's answer, and says what it means.
    fn hear(
        &mut self,
        now_ms: u64,
        intent: &Intent,
        answer: Option<&Answer>,
        was_tried: bool,
    ) -> Fate {
        let Some(answer) = answer else {
            if !was_tried {
                return Fate::Unsent;
            }
            self.metrics.add(Counter::Intents, UNANSWERED, 1);
            return Fate::Unanswered;
        };
        let label = answer.decision.as_str();
        self.metrics.add(Counter::Intents, label, 1);
        self.lines.extend(self.notes.answer(now_ms, intent, answer));
        match answer.decision {
            Decision::Retry => Fate::Unanswered,
            _ => Fate::Answered,
        }
    }

    fn tell_lost(&mut self, now_ms: u64, matches: u64) {
        if matches > 0 {
            self.metrics.add(Counter::Overflow, "", 1);
            self.metrics.add(Counter::Lost, "", matches);
            self.lines.extend(self.notes.lost(now_ms, matches));
        }
    }
}

fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn epoch_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn is_error(answer: Option<&Answer>) -> bool {
    answer.is_some_and(|answer| answer.decision == Decision::Error)
}
