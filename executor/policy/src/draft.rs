//! A [`Step`] in the making: the pieces that several handlers share.

use crate::judge::Shadow;
use crate::state::Attempt;
use crate::{
    Action, AttemptId, Cause, Config, Decided, Entry, Event, Gate, Measure, Outcome, Pending,
    Policy, Step, Verdict,
};

impl Step {
    pub(crate) fn tell(&mut self, event: Event) {
        self.actions.push(Action::Tell(event));
    }

    /// Answers with `decided`, and tells it.
    pub(crate) fn answer(&mut self, target: &str, rule: &str, decided: Decided, dry: bool) {
        self.decided(target, rule, decided.clone(), dry);
        self.answer = Some(decided);
    }

    /// Tells a decision.
    pub(crate) fn decided(&mut self, target: &str, rule: &str, decided: Decided, dry: bool) {
        self.tell(Event::Decided {
            target: target.to_owned(),
            rule: rule.to_owned(),
            decided,
            dry,
        });
    }

    /// A target becomes pending, or its pending is renewed.
    pub(crate) fn pend(&mut self, pending: Pending, is_new: bool) {
        self.durable |= is_new;
        self.entries.push(Entry::Pending(pending));
    }

    /// Ends a pending target, other than by a charge.
    pub(crate) fn end_pending(&mut self, config: &Config, pending: &Pending, why: &str) {
        self.end_pending_as(config, pending, why, Verdict::Refused);
    }

    /// The same, with another answer for its intents.
    pub(crate) fn end_pending_as(
        &mut self,
        config: &Config,
        pending: &Pending,
        why: &str,
        decision: Verdict,
    ) {
        self.pending_ended(config, pending, why, (decision, false));
    }

    /// Gives it up.
    pub(crate) fn expire_pending(&mut self, config: &Config, pending: &Pending, why: &str) {
        self.pending_ended(config, pending, why, (Verdict::Refused, true));
    }

    fn pending_ended(
        &mut self,
        config: &Config,
        pending: &Pending,
        why: &str,
        (decision, expired): (Verdict, bool),
    ) {
        let target = pending.key.as_str();
        self.entries.push(Entry::PendingEnded {
            key: pending.key.clone(),
            why: why.to_owned(),
            decision,
        });
        self.tell(Event::PendingEnded {
            target: target.to_owned(),
            why: why.to_owned(),
            expired,
            dry: config.is_dry(target, &pending.rule),
        });
    }
}

/// How an attempt ends.
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) gate: Option<Gate>,
    pub(crate) detail: String,
    /// The container may be down, or nobody knows: a person has to look.
    pub(crate) hold: bool,
    /// To give it to a person is the measure that comes next.
    pub(crate) escalates: bool,
    /// What called for the attempt has matched again.
    pub(crate) refired: bool,
}

impl Ending {
    pub(crate) fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            outcome,
            gate: None,
            detail: detail.into(),
            hold: false,
            escalates: false,
            refired: false,
        }
    }
}

impl Policy {
    /// Ends an attempt, and holds its target where the ending or the number of
    /// attempts that did not cure calls for it. Returns why, where it is held.
    ///
    /// Whatever follows from an ending is written before it: should a crash cut
    /// the journal in between, the attempt is still open and ends once more.
    pub(crate) fn end_attempt(
        &self,
        step: &mut Step,
        id: AttemptId,
        attempt: &Attempt,
        ending: Ending,
    ) -> Option<String> {
        let Ending {
            outcome,
            gate,
            detail,
            hold,
            escalates,
            refired: _,
        } = ending;
        let target = &attempt.charge.target;
        let held = if hold || escalates {
            Some(format!("attempt {id} ended {}: {detail}", outcome.as_str()))
        } else {
            self.given_up(id, target, outcome)
        };
        if let Some(why) = &held {
            let restarted = attempt.restarted.map(|r| r.started_at);
            step.entries.push(Entry::Held {
                target: target.clone(),
                why: why.clone(),
                container_id: Some(attempt.charge.container_id.clone()),
                started_at: Some(restarted.unwrap_or(attempt.charge.started_at)),
            });
        }
        let storm = self.uncured_too_often(step, id, target, outcome);
        if let Some(begun) = storm {
            self.begin_storm(step, begun);
        }
        step.entries.push(Entry::Outcome {
            attempt: id,
            outcome,
            gate,
            detail: detail.clone(),
        });
        step.tell(Event::Ended {
            attempt: id,
            target: target.clone(),
            outcome,
            detail,
        });
        if let Some(why) = &held {
            step.tell(Event::Held {
                target: target.clone(),
                why: why.clone(),
                escalates,
            });
        }
        held
    }

    /// Whether `outcome` makes one attempt too many that did not cure.
    pub(crate) fn gives_up(&self, id: AttemptId, target: &str, outcome: Outcome) -> bool {
        self.given_up(id, target, outcome).is_some()
    }

    /// Why no further restart is tried where `outcome` makes it one too many.
    fn given_up(&self, id: AttemptId, target: &str, outcome: Outcome) -> Option<String> {
        if !matches!(outcome, Outcome::Relapsed | Outcome::Failed) {
            return None;
        }
        let uncured = self.state.target(target).map_or(0, |t| t.uncured) + 1;
        if uncured < self.config.target(target).recovery.max_attempts {
            return None;
        }
        let earlier = self.state.attempts.iter().rev();
        let mut tried: Vec<String> = earlier
            .filter(|(other, a)| **other != id && a.charge.target == target && !a.charge.shadow)
            .filter_map(|(other, a)| Some((other, a.end.as_ref()?)))
            .take(uncured.saturating_sub(1).min(16) as usize)
            .map(|(other, end)| format!("{other} {}", end.outcome.as_str()))
            .collect();
        tried.reverse();
        tried.push(format!("{id} {}", outcome.as_str()));
        let (restarts, attempts) = match uncured {
            1 => ("1 restart".to_owned(), "attempt"),
            n => (format!("{n} restarts"), "attempts"),
        };
        let tried = tried.join(", ");
        Some(format!("{restarts} without recovery ({attempts} {tried})"))
    }
}

/// What a charge says of the match that caused it.
pub(crate) fn cause_of(pending: &Pending) -> Cause {
    Cause::Match {
        rule: pending.rule.clone(),
        line: pending.line,
        ids: pending.ids.clone(),
        sign: pending.sign,
    }
}

/// A refusal as an answer.
pub(crate) fn decided(verdict: Verdict, gate: Option<Gate>, detail: impl Into<String>) -> Decided {
    Decided {
        verdict,
        gate,
        detail: detail.into(),
        attempt: None,
    }
}

/// The answer to what was charged.
pub(crate) fn charged(name: &str, shadow: Shadow, plan: &[Measure]) -> Decided {
    let would = |what: String| decided(Verdict::Refused, Some(Gate::DryRun), what);
    match plan {
        [] if shadow != Shadow::No => would(format!("Dry run: would restart '{name}'")),
        [] => {
            let detail = format!("Restarting container '{name}' ...");
            decided(Verdict::Restart, None, detail)
        }
        plan => {
            let measures: Vec<String> = plan.iter().map(Measure::in_words).collect();
            let measures = measures.join(", then ");
            if shadow != Shadow::No {
                would(format!("Dry run: would heal '{name}': {measures}"))
            } else {
                let detail = format!("Healing container '{name}': {measures} ...");
                decided(Verdict::Restart, None, detail)
            }
        }
    }
}
