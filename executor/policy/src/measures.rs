//! From one measure of an attempt to the next: a command's end, and what did not cure.
//!
//! Keeps true: all measures of an attempt stand under its one charge; a command is run at
//! most once; only a command is followed by another call, so that an attempt never makes two
//! kinds of restart; the gates are asked again before each call (see `act`).
//!
//! While a command is being watched its attempt is under verification like any other: it
//! refuses nothing, and a match speaks against it. That match waits for the next measure as
//! for an attempt in progress.

use crate::act::look_for;
use crate::draft::Ending;
use crate::state::Attempt;
use crate::{
    AttemptId, Called, Entry, Event, ExecEnd, Facts, Measure, Now, Outcome, Policy, Step, WallTime,
};

impl Policy {
    /// How a command went, as far as anybody knows.
    pub(crate) fn exec_called(
        &self,
        step: &mut Step,
        now: Now,
        id: AttemptId,
        attempt: &Attempt,
        called: &Called,
    ) {
        let (end, detail) = match called {
            Called::Done => (ExecEnd::Done, "exit code 0".to_owned()),
            Called::Failed { why } => (ExecEnd::Failed, why.clone()),
            Called::Refused { status, message } => (
                ExecEnd::Failed,
                format!("the engine said {status}: {message}"),
            ),
            Called::Unclear { why } => (ExecEnd::Unknown, why.clone()),
        };
        self.executed(step, now, id, attempt, end, &detail);
    }

    /// A command's end: what did not work out is followed by the next measure at once, all
    /// else is watched.
    pub(crate) fn executed(
        &self,
        step: &mut Step,
        now: Now,
        id: AttemptId,
        attempt: &Attempt,
        end: ExecEnd,
        detail: &str,
    ) {
        let name = attempt.exec().map_or("", |exec| &exec.name);
        let target = &attempt.charge.target;
        step.tell(Event::Executed {
            attempt: id,
            target: target.clone(),
            end,
            name: name.to_owned(),
            detail: detail.to_owned(),
        });
        if end == ExecEnd::Failed {
            let why = format!("exec '{name}': {detail}");
            let ending = Ending::new(Outcome::Failed, why);
            self.not_cured(step, now, id, attempt, ending, true);
        } else {
            step.entries.push(Entry::Executed { attempt: id, end });
        }
    }

    /// The measure did not cure: the next one where the plan has one and the container is
    /// still what was meant (`goes_on`), else the attempt ends so; what has failed and is not
    /// held is decided again later. Returns why, where its target is held by that.
    pub(crate) fn not_cured(
        &self,
        step: &mut Step,
        now: Now,
        id: AttemptId,
        attempt: &Attempt,
        mut ending: Ending,
        goes_on: bool,
    ) -> Option<String> {
        let next = attempt.step + 1;
        match attempt.charge.measure(next) {
            Some(Measure::Escalate) => ending.escalates = true,
            Some(measure) if goes_on && attempt.is_by_exec() => {
                self.take_next(step, id, attempt, (next, measure), ending);
                return None;
            }
            Some(_) | None => {}
        }
        let is_held = ending.hold || ending.escalates;
        let has_failed = ending.outcome == Outcome::Failed && !is_held;
        if has_failed && !self.gives_up(id, &attempt.charge.target, Outcome::Failed) {
            self.try_again_later(step, now, attempt, None);
        }
        self.end_attempt(step, id, attempt, ending)
    }

    fn take_next(
        &self,
        step: &mut Step,
        id: AttemptId,
        attempt: &Attempt,
        (next, measure): (usize, &Measure),
        ending: Ending,
    ) {
        step.tell(Event::NextMeasure {
            attempt: id,
            target: attempt.charge.target.clone(),
            measure: measure.into(),
            why: ending.detail.clone(),
        });
        step.entries.push(Entry::NextMeasure {
            attempt: id,
            step: next,
            why: ending.detail,
            refired: ending.refired,
        });
        step.actions.push(look_for(id, attempt));
    }

    /// Until when lines of a container speak of what a command has dealt with since: the
    /// newest attempt's, while it is watched or where it has cured. As a start does for a
    /// restart.
    pub(crate) fn eased_at(state: &crate::state::State, facts: &Facts) -> Option<WallTime> {
        let target = state.target(&facts.name)?;
        let newest = target.counting(false).rev().find_map(|s| s.attempt)?;
        let attempt = state.attempts.get(&newest)?;
        let restarted = attempt.restarted.filter(|r| r.by_exec.is_some())?;
        let outcome = attempt.end.as_ref().map(|end| end.outcome);
        let is_good = matches!(outcome, None | Some(Outcome::Recovered));
        let is_its = attempt.charge.container_id == facts.id
            && Some(restarted.started_at) == facts.started_at;
        (is_good && is_its).then(|| restarted.since())
    }
}
