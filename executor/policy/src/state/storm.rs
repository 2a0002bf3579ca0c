//! What tells that restarts make it worse: attempts in a row that did not cure,
//! and rules that call for restarts of many targets at once.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    AttemptId, CALLED_MAX, Entry, Gate, Outcome, Record, STORM_ATTEMPTS_MAX, STORM_TARGETS_MAX,
    Timestamp, Verdict,
};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Storms {
    /// The newest attempts in a row that did not cure, oldest first. Those before
    /// a target's hold, or its end, count no more: what is held makes nothing worse.
    pub(crate) uncured: Vec<(AttemptId, String)>,
    /// By (rule, target): when it last called for a restart.
    pub(crate) called: BTreeMap<(String, String), Timestamp>,
    pub(crate) on: Option<Storm>,
}

/// One that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Storm {
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
    pub(crate) why: String,
    /// Grows by those that match while it is on.
    pub(crate) targets: BTreeSet<String>,
    /// Its beginning, or the newest match of one of them since.
    pub(crate) last_match: Timestamp,
}

impl Storms {
    /// An attempt that was no dry run has ended. What came to nothing, or what
    /// nobody knows, says neither.
    pub(crate) fn ended(&mut self, attempt: AttemptId, target: &str, outcome: Outcome) {
        match outcome {
            Outcome::Recovered => self.uncured.clear(),
            Outcome::Relapsed | Outcome::Failed => {
                self.uncured.push((attempt, target.to_owned()));
                if self.uncured.len() > STORM_ATTEMPTS_MAX {
                    self.uncured.remove(0);
                }
            }
            Outcome::Aborted | Outcome::Unknown | Outcome::Stopped => {}
        }
    }

    /// A target is held or released: what its attempts came to is dealt with.
    pub(crate) fn dealt_with(&mut self, target: &str) {
        self.uncured.retain(|(_, of)| of != target);
    }

    /// A match of a rule that restarts was decided. What a person keeps still, or
    /// has to see to first, puts the quiet off no longer.
    pub(crate) fn decided(
        &mut self,
        at: Timestamp,
        target: &str,
        rule: &str,
        verdict: Verdict,
        gate: Option<Gate>,
    ) {
        if target.is_empty() || rule.is_empty() {
            return;
        }
        if let Some(storm) = &mut self.on {
            let is_its = gate == Some(Gate::Storm) || storm.targets.contains(target);
            if is_its && gate.is_none_or(|gate| gate >= Gate::InProgress) {
                storm.last_match = storm.last_match.max(at);
                if storm.targets.len() < STORM_TARGETS_MAX {
                    storm.targets.insert(target.to_owned());
                }
            }
        }
        let is_call = match gate {
            None => verdict == Verdict::Restart,
            Some(gate) => (Gate::Storm..=Gate::HostLimit).contains(&gate),
        };
        if is_call {
            self.call(at, target, rule);
        }
    }

    pub(crate) fn call(&mut self, at: Timestamp, target: &str, rule: &str) {
        self.called.insert((rule.to_owned(), target.to_owned()), at);
        if self.called.len() > CALLED_MAX {
            let oldest = self.called.iter().min_by_key(|(_, at)| **at);
            if let Some(pair) = oldest.map(|(pair, _)| pair.clone()) {
                self.called.remove(&pair);
            }
        }
    }

    /// The targets that a rule has called for a restart of since `from`.
    pub(crate) fn called_by<'a>(
        &'a self,
        rule: &'a str,
        from: Timestamp,
    ) -> impl Iterator<Item = &'a str> {
        let its = self.called.range((rule.to_owned(), String::new())..);
        its.take_while(move |((of, _), _)| of == rule)
            .filter(move |(_, at)| **at > from)
            .map(|((_, target), _)| &**target)
    }

    pub(crate) fn begin(&mut self, record: &Record) {
        let Entry::Storm { why, targets } = &record.entry else {
            return;
        };
        self.on = Some(Storm {
            at: record.at,
            wall_ms: record.wall_ms,
            why: why.clone(),
            targets: targets.clone(),
            last_match: record.at,
        });
    }

    /// What has led to it is over with it.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }

    /// Lets go of calls from before `from`.
    pub(crate) fn forget_until(&mut self, from: Timestamp) {
        self.called.retain(|_, at| *at > from);
    }
}
