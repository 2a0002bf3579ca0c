//! What must hold of the measures of an attempt, of what was stopped for good, and of
//! what depends on another: from the outside, like `check`.

use std::collections::BTreeMap;

use policy::{
    Action, AttemptId, Call, Cause, Charge, ContainerState, Entry, Exec, HealthStatus, Look,
    Measure, Outcome, Record, Relation, Seen, Sign, Step,
};

use crate::check::{History, Made};

/// Commands come first and each stands there once, then one restart or stop, then a
/// person.
pub(crate) fn check_plan(charge: &Charge) {
    let rank = |measure: &Measure| match measure {
        Measure::Exec(_) => 0,
        Measure::Restart | Measure::Stop => 1,
        Measure::Escalate => 2,
    };
    let ranks: Vec<i32> = charge.plan.iter().map(rank).collect();
    assert!(ranks.is_sorted(), "plan: out of order: {:?}", charge.plan);
    for rank in [1, 2] {
        let there = ranks.iter().filter(|r| **r == rank).count();
        assert!(there <= 1, "plan: too much: {:?}", charge.plan);
    }
    let is_person = charge.cause == Cause::Person;
    assert!(
        !is_person || charge.plan.is_empty(),
        "plan: a person's request is one restart"
    );
}

/// Over all crashes: a command once at most, nothing else more than twice; a restart or
/// a stop, never both, and no command after it; nothing that was not charged for.
pub(crate) fn check_calls_of(charge: &Charge, made: &[&Made], is_sure: bool) {
    let attempt = charge.attempt;
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    let mut has_begun_last = false;
    for one in made {
        let kind = match one.call {
            Call::Exec => {
                let exec = one.exec.as_ref().expect("measures: which command?");
                assert!(
                    charge.plan.contains(&Measure::Exec(exec.clone())),
                    "measures: {exec:?} was not charged for"
                );
                assert!(
                    !has_begun_last || !is_sure,
                    "measures: a command after a restart or stop, attempt {attempt}"
                );
                exec.name.clone()
            }
            Call::Restart | Call::Start => {
                let is_meant = charge.plan.is_empty() || charge.plan.contains(&Measure::Restart);
                assert!(is_meant, "measures: a restart that was not charged for");
                has_begun_last = true;
                format!("{:?}", one.call)
            }
            Call::Stop => {
                let is_meant = charge.plan.contains(&Measure::Stop);
                assert!(is_meant, "measures: a stop that was not charged for");
                has_begun_last = true;
                "Stop".to_owned()
            }
        };
        let times = times.entry(kind.clone()).or_default();
        *times += 1;
        let most = if one.call == Call::Exec { 1 } else { 2 };
        assert!(
            *times <= most || !is_sure,
            "calls: {times} times {kind} under attempt {attempt}"
        );
    }
}

impl History {
    /// The place in its plan that an attempt has come to.
    pub(crate) fn step_of(&self, of: AttemptId) -> usize {
        let step = |record: &Record| match record.entry {
            Entry::NextMeasure { attempt, step, .. } if attempt == of => Some(step),
            _ => None,
        };
        self.records
            .iter()
            .filter_map(step)
            .next_back()
            .unwrap_or(0)
    }

    /// When something was last written about an attempt.
    fn last_of(&self, of: AttemptId) -> u64 {
        let speaks = |record: &&Record| match &record.entry {
            Entry::Charge(charge) => charge.attempt == of,
            Entry::Sent { attempt, .. }
            | Entry::Executed { attempt, .. }
            | Entry::NextMeasure { attempt, .. } => *attempt == of,
            _ => false,
        };
        let last = self.records.iter().rfind(speaks);
        last.expect("it was charged").at.0
    }

    /// An attempt of it is under way whose measure has not been taken yet. (What was healed
    /// just now is waited for, too; for how long, the model knows.)
    fn is_busy(&self, target: &str) -> bool {
        let is_open = |charge: &Charge| {
            let mut busy = true;
            for record in &self.records {
                match &record.entry {
                    Entry::Outcome { attempt, .. } if *attempt == charge.attempt => return false,
                    Entry::Restarted { attempt, .. } | Entry::Executed { attempt, .. }
                        if *attempt == charge.attempt =>
                    {
                        busy = false;
                    }
                    Entry::NextMeasure { attempt, .. } if *attempt == charge.attempt => busy = true,
                    _ => {}
                }
            }
            busy
        };
        let mut charges = self
            .records
            .iter()
            .filter_map(|record| match &record.entry {
                Entry::Charge(charge) if charge.target == target && !charge.shadow => Some(charge),
                _ => None,
            });
        charges.any(is_open)
    }

    /// What is called for: the measure that the attempt has come to, on facts from after
    /// the one before.
    pub(crate) fn check_measure(&self, charge: &Charge, call: Call, look: Option<&Look>) {
        let step = self.step_of(charge.attempt);
        let ended = matches!(
            charge.cause,
            Cause::Match {
                sign: Sign::Ended,
                ..
            }
        );
        let meant = match charge.plan.get(step) {
            Some(Measure::Exec(_)) => vec![Call::Exec],
            Some(Measure::Stop) => vec![Call::Stop],
            Some(Measure::Escalate) => vec![],
            None if !charge.plan.is_empty() => vec![],
            Some(Measure::Restart) | None if ended => vec![Call::Start],
            Some(Measure::Restart) | None => vec![Call::Restart, Call::Start],
        };
        assert!(
            meant.contains(&call),
            "measures: {call:?} at place {step} of {:?}",
            charge.plan
        );
        if call == Call::Exec {
            let since = self.records.iter().rposition(|record| {
                matches!(record.entry, Entry::NextMeasure { attempt, .. } if attempt == charge.attempt)
            });
            let mut later = self.records[since.unwrap_or(0)..].iter();
            let sent = later.any(
                |r| matches!(r.entry, Entry::Sent { attempt, .. } if attempt == charge.attempt),
            );
            assert!(!sent, "measures: a command is sent once more");
        }
        let Some(Look::Found(facts)) = look else {
            panic!("act: {call:?} without facts");
        };
        assert!(
            facts.read_at.0 >= self.last_of(charge.attempt),
            "act: {call:?} on facts from before the last measure"
        );
        // A start after our own restart puts right what that left.
        let is_repair = call == Call::Start && !ended;
        if !is_repair && matches!(charge.cause, Cause::Match { .. }) {
            self.check_parents(charge, &facts.parents);
        }
    }

    /// No parent is known to be sick, as of that look.
    fn check_parents(&self, charge: &Charge, parents: &[policy::Parent]) {
        for parent in parents {
            let is_well = match parent.seen {
                Seen::Gone => parent.relation == Relation::Needs,
                Seen::Done => true,
                Seen::Unknown => false,
                Seen::Found { state, health } => {
                    let is_healthy = health.is_none_or(|h| h == HealthStatus::Healthy);
                    state == ContainerState::Running && is_healthy
                }
            };
            assert!(
                is_well && !self.is_busy(&parent.name),
                "parents: {} is acted on, and {parent:?} is not well",
                charge.target
            );
        }
    }

    /// What ends with a person's turn, or was stopped, is held by the same step.
    pub(crate) fn check_held(&self, step: &Step) {
        for entry in &step.entries {
            let Entry::Outcome {
                attempt, outcome, ..
            } = entry
            else {
                continue;
            };
            let charge = match self.charge(*attempt) {
                Some(charge) if !charge.shadow => charge,
                _ => continue,
            };
            let next = charge.plan.get(self.step_of(*attempt) + 1);
            let is_uncured = matches!(outcome, Outcome::Relapsed | Outcome::Failed);
            let must =
                *outcome == Outcome::Stopped || is_uncured && next == Some(&Measure::Escalate);
            let is_hold = |entry: &Entry| matches!(entry, Entry::Held { target, .. } if *target == charge.target);
            assert!(
                !must || step.entries.iter().any(is_hold),
                "held: {} is not, after attempt {attempt} ended {outcome:?}",
                charge.target
            );
        }
    }

    /// Measures are taken one after the other, none left out, and none after the end.
    pub(crate) fn check_steps(&self) {
        let mut at: BTreeMap<AttemptId, usize> = BTreeMap::new();
        for record in &self.records {
            match &record.entry {
                Entry::Charge(charge) => {
                    at.insert(charge.attempt, 0);
                }
                Entry::NextMeasure { attempt, step, .. } => {
                    let before = at.insert(*attempt, *step).expect("measures: no charge");
                    assert_eq!(
                        before + 1,
                        *step,
                        "measures: attempt {attempt} leaves one out"
                    );
                    let charge = self.charge(*attempt).expect("just seen");
                    let was = &charge.plan[before];
                    assert!(
                        matches!(was, Measure::Exec(_)),
                        "measures: something follows {was:?}"
                    );
                    assert!(
                        !matches!(charge.plan.get(*step), None | Some(Measure::Escalate)),
                        "measures: nothing follows {was:?}"
                    );
                }
                _ => {}
            }
        }
    }
}

/// A command is what the plan says, and no other call has one.
pub(crate) fn check_action(action: &Action, charge: &Charge, step: usize) {
    let Action::Call { call, exec, .. } = action else {
        return;
    };
    let meant: Option<&Exec> = match charge.plan.get(step) {
        Some(Measure::Exec(exec)) if *call == Call::Exec => Some(exec),
        _ => None,
    };
    assert_eq!(exec.as_ref(), meant, "measures: another command");
}
