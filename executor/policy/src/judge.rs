//! What intents, requests and pending targets have in common: settings and
//! limits of a container, the gates in two halves, the charge.

use crate::draft::Ending;
use crate::gates::{self, Ask, Refusal, Who};
use crate::labels::Settings;
use crate::{
    Action, AttemptId, Cause, Charge, Entry, Event, Facts, Gate, Limits, Measure, Now, OnRefusal,
    Outcome, PENDING_MARGIN_MS, Policy, Recovery, Step, Timestamp, stop_wait_ms,
};

/// What the gates say in the end.
pub(crate) enum Ruling {
    Refused(Refusal),
    Go { limits: Limits, shadow: Shadow },
}

/// Whether it is a dry run: charged, not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shadow {
    No,
    /// Of the target, or of everything.
    Target,
    /// Of the rule alone.
    Rule,
}

impl Policy {
    /// Asks all gates for a match. A match that calls for a restart of a container
    /// that is being watched after its last one ends that attempt as relapsed, in
    /// `step`, whether or not a person has it paused or held; and before the limits
    /// are asked: they have grown by it.
    pub(crate) fn judge_match(&self, mut asking: Ask<'_>, step: &mut Step) -> Ruling {
        if let Some(refusal) = gates::ask(&asking, Gate::Protected, Gate::NotEnded) {
            return Ruling::Refused(refusal);
        }
        let refusal = gates::ask(&asking, Gate::Maintenance, Gate::Unconfirmed);
        let name = &asking.facts.name;
        let mut uncured = self.state.target(name).map_or(0, |t| t.uncured);
        let mut held = None;
        if gates::ask(&asking, Gate::BelowThreshold, Gate::Unconfirmed).is_none()
            && let Some((id, attempt)) = self.relapsed(&asking)
        {
            let mut ending = Ending::new(Outcome::Relapsed, "it matched again");
            ending.refired = attempt.charge.cause.rule() == asking.who.rule();
            let is_the_same = attempt.restarted.map(|r| r.started_at) == asking.facts.started_at;
            held = self.not_cured(step, asking.now, id, attempt, ending, is_the_same);
            if goes_on(step, id) {
                return Ruling::Refused(gates::in_progress_with(id, attempt, asking.now));
            }
            uncured += 1;
        }
        if let Some(refusal) = refusal {
            return Ruling::Refused(refusal);
        }
        if let Some(why) = held {
            return Ruling::Refused(gates::held_because(name, &why));
        }
        if let Some(begun) = self.called_too_often(&asking) {
            self.begin_storm(step, begun);
        }
        if let Some(refusal) = self.storm_begun(step, asking.now) {
            return Ruling::Refused(refusal);
        }
        asking.limits = grown(asking.settings, uncured);
        asking.uncured = uncured;
        self.judge_budget(&asking)
    }

    /// The second half of the row, once `asking.limits` are those in force.
    pub(crate) fn judge_budget(&self, asking: &Ask<'_>) -> Ruling {
        match gates::ask(asking, Gate::Dependency, Gate::DryRun) {
            None => Ruling::Go {
                limits: asking.limits,
                shadow: Shadow::No,
            },
            Some(refusal) if refusal.gate == Gate::DryRun => Ruling::Go {
                limits: asking.limits,
                shadow: if asking.is_shadow_rule() {
                    Shadow::Rule
                } else {
                    Shadow::Target
                },
            },
            Some(refusal) => Ruling::Refused(refusal),
        }
    }

    /// The attempt under verification that a match speaks against: printed by
    /// what the attempt started, or by what has started in its place since (the
    /// wall clock may have gone back, so times alone do not tell).
    fn relapsed(&self, asking: &Ask<'_>) -> Option<(AttemptId, &crate::state::Attempt)> {
        let Who::Match(matched) = asking.who else {
            return None;
        };
        if asking.is_shadow_rule() {
            return None;
        }
        let id = self.state.target(&asking.facts.name)?.verified?;
        let attempt = self.state.open(id)?;
        let restarted = attempt.restarted?;
        let facts = asking.facts;
        let anew = facts.read_at >= restarted.at && facts.started_at != Some(restarted.started_at);
        let is_ours = !matched.line.is_before(restarted.since());
        (is_ours || anew).then_some((id, attempt))
    }

    /// When the executor last did something to a target, or learnt that it was
    /// done: facts read before are no ground for a restart. A dry run did nothing.
    pub(crate) fn changed_at(&self, name: &str) -> Timestamp {
        let target = self.state.target(name);
        let mut real = target.into_iter().flat_map(|t| t.counting(false).rev());
        let newest = real.find_map(|spent| spent.attempt);
        let Some(attempt) = newest.and_then(|id| self.state.attempts.get(&id)) else {
            return Timestamp(0);
        };
        let restarted = attempt.restarted.map(|r| r.at);
        let ended = attempt.end.as_ref().map(|end| end.at);
        [Some(attempt.at), restarted, ended]
            .into_iter()
            .flatten()
            .max()
            .unwrap_or_default()
    }

    /// Spends one restart; what follows is the look before the act. An attempt
    /// that is still being watched ends here at the latest, so that none is ever
    /// left without an outcome.
    pub(crate) fn charge(
        &self,
        step: &mut Step,
        facts: &Facts,
        cause: Cause,
        (limits, shadow): (Limits, Shadow),
        plan: Vec<Measure>,
    ) -> AttemptId {
        let attempt = self.state.last_attempt + 1;
        let is_dry = shadow != Shadow::No;
        if !is_dry {
            self.end_watched(step, &facts.name, &cause);
        }
        step.durable = true;
        step.entries.push(Entry::Charge(Charge {
            attempt,
            target: facts.name.clone(),
            container_id: facts.id.clone(),
            started_at: facts.started_at.unwrap_or(crate::WallTime {
                secs: 0,
                nanos: Some(0),
            }),
            cause,
            limits,
            stop_wait_ms: stop_wait_ms(facts.stop_timeout_s),
            plan,
            shadow: is_dry,
            shadow_rule: shadow == Shadow::Rule,
        }));
        if is_dry {
            step.entries.push(shadow_outcome(attempt));
        } else {
            step.actions.push(Action::LookForAttempt {
                attempt,
                container_id: facts.id.clone(),
            });
        }
        attempt
    }

    /// Ends the attempt under verification, unless `step` does so already.
    fn end_watched(&self, step: &mut Step, name: &str, cause: &Cause) {
        let watched = self.state.target(name).and_then(|t| t.verified);
        let Some((id, attempt)) = watched.and_then(|id| Some((id, self.state.open(id)?))) else {
            return;
        };
        let ends_it =
            |entry: &Entry| matches!(entry, Entry::Outcome { attempt, .. } if *attempt == id);
        if step.entries.iter().any(ends_it) {
            return;
        }
        let why = match cause {
            Cause::Person => "a person asked for another restart",
            Cause::Match { .. } => "another restart began before it was settled",
        };
        self.end_attempt(step, id, attempt, Ending::new(Outcome::Unknown, why));
    }

    /// Whether what this gate refuses by time waits: with `drop`, too, what has yet
    /// to be confirmed, what waits for a parent, and what a storm holds up, since none of
    /// these is a limit of its target.
    pub(crate) fn is_kept(&self, gate: Gate) -> bool {
        self.config.on_refusal == OnRefusal::Pending
            || matches!(gate, Gate::Unconfirmed | Gate::Dependency | Gate::Storm)
    }

    /// When a pending target that became so now is given up. Nobody waits in
    /// vain: by default not before it is decided again.
    pub(crate) fn pending_expires(&self, now: Now, limits: Limits, due: Timestamp) -> Timestamp {
        match self.config.pending_max_ms {
            Some(max_ms) => now.at.plus(max_ms),
            None => {
                let largest_ms = limits
                    .cooldown_ms
                    .max(limits.window_ms)
                    .max(self.config.host_window_ms)
                    .max(due.since(now.at));
                now.at.plus(largest_ms).plus(PENDING_MARGIN_MS)
            }
        }
    }

    /// Labels that change nothing are told once.
    pub(crate) fn tell_labels(&mut self, step: &mut Step, facts: &Facts, settings: &Settings) {
        for ignored in &settings.ignored {
            if self.live.is_news(&facts.id, ignored) {
                step.tell(Event::LabelIgnored {
                    target: facts.name.clone(),
                    label: ignored.label.to_owned(),
                    value: ignored.value.chars().take(128).collect(),
                    why: ignored.why.clone(),
                });
            }
        }
    }
}

/// Whether `step` takes this attempt to its next measure.
fn goes_on(step: &Step, id: AttemptId) -> bool {
    let is_its =
        |entry: &Entry| matches!(entry, Entry::NextMeasure { attempt, .. } if *attempt == id);
    step.entries.iter().any(is_its)
}

/// How a dry run's charge ends at once.
pub(crate) fn shadow_outcome(attempt: AttemptId) -> Entry {
    Entry::Outcome {
        attempt,
        outcome: Outcome::Aborted,
        gate: Some(Gate::DryRun),
        detail: "dry run: nothing was done".into(),
    }
}

/// The limits of a container after `uncured` attempts in a row.
pub(crate) fn grown(settings: &Settings, uncured: u32) -> Limits {
    grown_limits(settings.limits, settings.recovery, uncured)
}

/// The cooldown grows by the factor with each attempt in a row that did not
/// cure, up to its ceiling.
pub(crate) fn grown_limits(limits: Limits, recovery: Recovery, uncured: u32) -> Limits {
    let ceiling_ms = recovery.cooldown_max_ms.max(limits.cooldown_ms);
    let factor = u128::from(recovery.backoff.max(1_000));
    let mut cooldown_ms = u128::from(limits.cooldown_ms);
    for _ in 0..uncured {
        let next_ms = (cooldown_ms * factor / 1_000).min(u128::from(ceiling_ms));
        if next_ms == cooldown_ms {
            break;
        }
        cooldown_ms = next_ms;
    }
    Limits {
        cooldown_ms: u64::try_from(cooldown_ms).unwrap_or(ceiling_ms),
        ..limits
    }
}
