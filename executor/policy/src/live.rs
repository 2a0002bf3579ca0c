//! Transient bookkeeping: which looks and calls are out, and when to look
//! again. Not state: a new process rebuilds it by [`crate::Policy::handle_start`].
//!
//! Every open attempt always has a call under way, a place in the queue for
//! one, or a time at which it is looked at; so neither a result that never
//! comes nor an entry that could not be written can strand it.

use std::collections::{BTreeMap, BTreeSet};

use crate::bounds::look_wait_ms;
use crate::labels::Ignored;
use crate::{
    AttemptId, ESCALATIONS_TOLD_MAX, Entry, Gate, LABELS_TOLD_MAX, LOOK_LOST_MS, PendingKey,
    Record, RuleRemedy, TARGET_LOOK_MS, Timestamp, WallTime,
};

#[derive(Debug, Clone, Default)]
pub(crate) struct Live {
    pub(crate) attempts: BTreeMap<AttemptId, LiveAttempt>,
    pub(crate) pendings: BTreeMap<PendingKey, LivePending>,
    /// Targets that are held, or in a storm, by canonical name.
    pub(crate) targets: BTreeMap<String, LiveTarget>,
    /// An earlier process may have died before it could be sure of a charge:
    /// nothing is done under one until all that was read is on disk.
    pub(crate) is_unsure: bool,
    /// A one-shot looks after this target only.
    pub(crate) only: Option<String>,
    labels_told: BTreeSet<(String, Ignored)>,
    /// (target, rule) of escalations told in the hold that is on.
    escalations_told: BTreeSet<(String, String)>,
}

/// One open attempt.
#[derive(Debug, Clone)]
pub(crate) struct LiveAttempt {
    pub(crate) phase: Phase,
    /// How long any of its calls may take, ms.
    pub(crate) call_wait_ms: u64,
    /// Facts read before this are from before what was done last.
    pub(crate) facts_from: Timestamp,
    /// Charged by an earlier process.
    pub(crate) is_resumed: bool,
    /// The engine said that the last call was done.
    pub(crate) is_done: bool,
    /// What the engine said where it refused the last call.
    pub(crate) refused: Option<String>,
    /// Since when Docker says nothing about the container.
    pub(crate) silent_since: Option<Timestamp>,
    /// When Docker was last seen not to answer since the last call: on the
    /// policy's clock, and on the wall in ms.
    pub(crate) away: Option<(Timestamp, u64)>,
    /// Looks in a row that settled nothing.
    pub(crate) looks: u32,
    /// When what it stands on was last found to be over, on the wall clock.
    pub(crate) cleared: Option<WallTime>,
}

/// What an open attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// To be looked at then.
    LookAt(Timestamp),
    /// A look is out; asked for again then, where it was lost.
    Looking { lost_at: Timestamp },
    /// As many calls as allowed are under way.
    Queued,
    /// A call is under way; taken for unclear then, where its result was lost.
    Calling { lost_at: Timestamp },
}

/// One pending target.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LivePending {
    /// A look is out; asked for again then, where it was lost.
    pub(crate) lost_at: Option<Timestamp>,
    /// Not looked for before this, whatever is due.
    pub(crate) not_before: Timestamp,
    /// Its end was proposed and may not have been written: again not before this.
    pub(crate) end_not_before: Timestamp,
    /// Looks in a row that Docker did not answer.
    pub(crate) silent: u32,
    /// The newest look has confirmed nothing: when that was, and the next look.
    pub(crate) unconfirmed: Option<(Timestamp, Timestamp)>,
    /// What it waits for may have moved: due now, whatever the state says.
    pub(crate) at_once: bool,
}

impl LivePending {
    /// When it is to be looked at, being due then by the state. What has yet to be
    /// confirmed is, whenever something was that may have confirmed it, and now and
    /// then.
    pub(crate) fn wake(&self, due: Timestamp) -> Timestamp {
        let next = match self.unconfirmed {
            Some((looked_at, next)) if due <= looked_at => next,
            _ if self.at_once => Timestamp(0),
            _ => due,
        };
        self.lost_at.unwrap_or(next).max(self.not_before)
    }
}

/// A target that is held, or in a storm.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveTarget {
    /// A look is out; asked for again then, where it was lost.
    pub(crate) lost_at: Option<Timestamp>,
    /// The next look.
    pub(crate) next: Timestamp,
    /// It is held, and has been well since then, started when.
    pub(crate) well: Option<(Timestamp, WallTime)>,
    /// In a storm: nothing was wrong with it then.
    pub(crate) clear_at: Option<Timestamp>,
}

impl LiveTarget {
    pub(crate) fn wake(&self) -> Timestamp {
        self.lost_at.unwrap_or(self.next)
    }
}

impl LiveAttempt {
    pub(crate) fn new(now: Timestamp, call_wait_ms: u64) -> Self {
        Self {
            phase: Phase::Looking {
                lost_at: now.plus(LOOK_LOST_MS),
            },
            call_wait_ms,
            facts_from: now,
            is_resumed: false,
            is_done: false,
            refused: None,
            silent_since: None,
            away: None,
            looks: 0,
            cleared: None,
        }
    }

    /// Looks again after a wait that grows, but no later than `deadline`.
    pub(crate) fn look_later(&mut self, now: Timestamp, deadline: Option<Timestamp>) {
        let later = now.plus(look_wait_ms(self.looks));
        self.looks = self.looks.saturating_add(1);
        let at = deadline
            .filter(|d| *d > now)
            .map_or(later, |d| later.min(d));
        self.phase = Phase::LookAt(at);
    }

    pub(crate) fn look_out(&mut self, now: Timestamp) {
        self.phase = Phase::Looking {
            lost_at: now.plus(LOOK_LOST_MS),
        };
    }

    pub(crate) fn wake(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::LookAt(at) | Phase::Looking { lost_at: at } | Phase::Calling { lost_at: at } => {
                Some(at)
            }
            Phase::Queued => None,
        }
    }
}

impl LiveAttempt {
    /// Follows an entry about it.
    fn follow(&mut self, at: Timestamp, entry: &Entry) {
        match entry {
            Entry::Sent { .. } => self.sent(at),
            Entry::Executed { .. } => self.executed(at),
            // A watch says once that it is over.
            Entry::NextMeasure { refired, .. } => {
                *self = Self {
                    cleared: self.cleared.filter(|_| !refired),
                    ..Self::new(at, self.call_wait_ms)
                };
            }
            Entry::Restarted { .. } => {
                self.looks = 0;
                self.silent_since = None;
            }
            _ => {}
        }
    }

    /// Its call goes out now.
    fn sent(&mut self, at: Timestamp) {
        self.phase = Phase::Calling {
            lost_at: at.plus(self.call_wait_ms).plus(LOOK_LOST_MS),
        };
        self.facts_from = at;
        self.is_done = false;
        self.away = None;
        self.refused = None;
        self.looks = 0;
    }

    /// The command's end is known: it is looked at from now on.
    fn executed(&mut self, at: Timestamp) {
        self.facts_from = at;
        self.looks = 0;
        self.silent_since = None;
        self.phase = Phase::LookAt(at.plus(look_wait_ms(0)));
    }
}

impl Live {
    /// Follows what was written.
    pub(crate) fn apply(&mut self, record: &Record) {
        let at = record.at;
        match &record.entry {
            Entry::Charge(charge) if !charge.shadow => {
                let live = LiveAttempt::new(at, charge.longest_call_ms());
                self.attempts.insert(charge.attempt, live);
            }
            Entry::Sent { attempt, .. }
            | Entry::Executed { attempt, .. }
            | Entry::NextMeasure { attempt, .. }
            | Entry::Restarted { attempt, .. } => {
                if let Some(live) = self.attempts.get_mut(attempt) {
                    live.follow(at, &record.entry);
                }
            }
            Entry::Outcome { attempt, .. } => {
                self.attempts.remove(attempt);
            }
            Entry::Pending(pending) => {
                if let Some(was) = &pending.was {
                    self.pendings.remove(was);
                }
                self.pendings.entry(pending.key.clone()).or_default();
            }
            Entry::PendingEnded { key, .. } => {
                self.pendings.remove(key);
            }
            Entry::Held { target, .. } => {
                let live = self.targets.entry(target.clone()).or_default();
                (live.next, live.well) = (at.plus(TARGET_LOOK_MS), None);
            }
            Entry::Released { target, .. } => {
                self.targets.remove(target);
                self.escalations_told.retain(|(of, _)| of != target);
            }
            // What holds know goes on.
            Entry::StormEnded { .. } => {
                self.targets.retain(|_, live| live.well.is_some());
                for live in self.targets.values_mut() {
                    live.clear_at = None;
                }
            }
            // A match says that it is not well.
            Entry::Decided {
                target,
                rule,
                remedy,
                gate,
                dry: false,
                ..
            } if *remedy != RuleRemedy::Note
                && !rule.is_empty()
                && gate.is_none_or(|gate| gate >= Gate::NotRunning) =>
            {
                if let Some(live) = self.targets.get_mut(target) {
                    live.well = None;
                }
            }
            _ => {}
        }
    }

    pub(crate) fn calls(&self) -> usize {
        let calling = |live: &&LiveAttempt| matches!(live.phase, Phase::Calling { .. });
        self.attempts.values().filter(calling).count()
    }

    /// Whether an escalation was not told before; remembers it.
    pub(crate) fn is_escalation_news(&mut self, target: &str, rule: &str) -> bool {
        if self.escalations_told.len() >= ESCALATIONS_TOLD_MAX {
            self.escalations_told.clear();
        }
        self.escalations_told
            .insert((target.to_owned(), rule.to_owned()))
    }

    /// Whether a label was not told before; remembers it.
    pub(crate) fn is_news(&mut self, container_id: &str, label: &Ignored) -> bool {
        if self.labels_told.len() >= LABELS_TOLD_MAX {
            self.labels_told.clear();
        }
        self.labels_told
            .insert((container_id.to_owned(), label.clone()))
    }
}
