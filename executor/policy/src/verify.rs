//! Whether a restart cured: success is never "the API said 204".
//!
//! A container has recovered when it has run undisturbed for `stable_for`, is
//! healthy if it has a check, and its rules stayed silent (a match ends the
//! attempt elsewhere, see [`crate::judge`]). That time counts from the end of its
//! start delay; a check that says unhealthy before that says nothing yet. Being
//! watched refuses nothing.
//!
//! A command is watched in the same way, with two differences: a check that was
//! unhealthy is given the time to find that it is not any more, and a container that
//! starts anew was made to by the command, so it is watched from there.

use crate::draft::Ending;
use crate::figures::limit;
use crate::live::Phase;
use crate::state::{Attempt, Restarted};
use crate::{
    AttemptId, Cause, ContainerState, Facts, Gate, HealthStatus, Look, Now, Outcome, Policy,
    Recovery, RuleRemedy, SILENCE_MAX_MS, Sign, Step, Timestamp, VERIFY_LOOK_MS, WallTime,
};

/// What a look at a watched container says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Watch {
    /// Nothing yet; it may be settled then.
    On { deadline: Timestamp },
    /// Docker does not answer.
    Silent,
    /// What was done has not cured it: it ends so, unless there is something else to do.
    Uncured(Outcome, String),
    /// A command has made it start anew.
    Anew(WallTime),
    /// It ends so.
    End(Outcome, String),
}

/// How it is watched.
#[derive(Debug, Clone, Copy)]
struct Watching<'a> {
    container_id: &'a str,
    restarted: Restarted,
    recovery: Recovery,
    /// For how long Docker has said nothing.
    silent_ms: Option<u64>,
}

impl Policy {
    pub(crate) fn verify(
        &mut self,
        step: &mut Step,
        now: Now,
        id: AttemptId,
        attempt: &Attempt,
        restarted: Restarted,
        look: &Look,
    ) {
        let recovery = self.config.target(&attempt.charge.target).recovery;
        let is_in_doubt = self.is_in_doubt(attempt, restarted);
        let Some(live) = self.live.attempts.get_mut(&id) else {
            return;
        };
        // A command does not stop the watch: what that finds after the match counts.
        let since = match (&attempt.charge.cause, restarted.by_exec) {
            (Cause::Match { line, .. }, Some(_)) => *line,
            _ => restarted.started_at,
        };
        let (is_clear, clear_by) = match attempt.charge.cause.sign() {
            Sign::Watched { clear_within_ms } => {
                let within_ms = recovery.start_delay_ms.saturating_add(clear_within_ms);
                (
                    live.cleared.is_some_and(|found| !found.is_before(since)),
                    restarted.at.plus(within_ms),
                )
            }
            Sign::Line | Sign::Ended | Sign::EndedUnseen => (true, restarted.at),
        };
        let watching = Watching {
            container_id: &attempt.charge.container_id,
            restarted,
            recovery,
            silent_ms: live.silent_since.map(|since| now.at.since(since)),
        };
        match watching.watch(look, now) {
            Watch::On { deadline } => {
                live.looks = 0;
                live.phase = Phase::LookAt(deadline.min(now.at.plus(VERIFY_LOOK_MS)));
            }
            Watch::Silent => live.look_later(now.at, None),
            Watch::End(Outcome::Recovered, _) if is_in_doubt => live.look_later(now.at, None),
            Watch::End(Outcome::Recovered, _) if !is_clear && now.at < clear_by => {
                live.phase = Phase::LookAt(clear_by.min(now.at.plus(VERIFY_LOOK_MS)));
            }
            Watch::End(Outcome::Recovered, _) if !is_clear => {
                let why = "what called for it has said neither that it is over nor that it is not";
                let ending = Ending::new(Outcome::Unknown, why);
                self.not_cured(step, now, id, attempt, ending, true);
            }
            Watch::Uncured(outcome, detail) => {
                self.not_cured(step, now, id, attempt, Ending::new(outcome, detail), true);
            }
            Watch::Anew(started_at) => {
                self.done_and_watched(step, now, id, attempt, started_at, look);
            }
            Watch::End(outcome @ Outcome::Relapsed, detail) => {
                self.not_cured(step, now, id, attempt, Ending::new(outcome, detail), false);
            }
            Watch::End(outcome, detail) => {
                self.end_attempt(step, id, attempt, Ending::new(outcome, detail));
            }
        }
    }
}

impl Policy {
    /// A match since the restart waits for facts or for what confirms it: whether
    /// the rules stayed silent is not known yet.
    fn is_in_doubt(&self, attempt: &Attempt, restarted: Restarted) -> bool {
        let is_its = |id: &String| attempt.charge.container_id.starts_with(id.as_str());
        self.state.pendings.values().any(|pending| {
            pending.container_id.as_ref().is_some_and(is_its)
                && matches!(pending.gate, Gate::NoFacts | Gate::Unconfirmed)
                && self.remedy_of(pending, &attempt.charge.target).kind() == RuleRemedy::Restart
                && !pending.line.is_before(restarted.since())
                && !self.config.shadow_rules.contains(&pending.rule)
        })
    }
}

impl Watching<'_> {
    fn watch(&self, look: &Look, now: Now) -> Watch {
        let stable_for_ms = self.recovery.stable_for_ms;
        let counts_from = self.restarted.at.plus(self.recovery.start_delay_ms);
        let stable_at = counts_from.plus(stable_for_ms);
        let facts = match look {
            Look::Found(facts) if facts.id == self.container_id => facts,
            Look::Found(_) | Look::Gone => {
                return end(Outcome::Unknown, "it was removed while being watched");
            }
            Look::Unavailable { why } => {
                if now.at < stable_at || self.silent_ms.is_none_or(|ms| ms < SILENCE_MAX_MS) {
                    return Watch::Silent;
                }
                let silence = limit(SILENCE_MAX_MS);
                let detail =
                    format!("Docker said nothing for {silence} while it was watched: {why}");
                return end(Outcome::Unknown, detail);
            }
        };
        if let Some(ending) = disturbed(facts, self.restarted) {
            return ending;
        }
        let settled = |deadline: Timestamp, settled: Watch| {
            if now.at < deadline {
                Watch::On { deadline }
            } else {
                settled
            }
        };
        let ran = format!("it has run for {}", limit(stable_for_ms));
        let Some(health) = facts.health else {
            return settled(stable_at, end(Outcome::Recovered, ran));
        };
        match health.status {
            HealthStatus::Healthy => settled(
                stable_at,
                end(Outcome::Recovered, format!("{ran}, healthy")),
            ),
            // A command does not begin the checks anew: they need time to find it cured.
            HealthStatus::Unhealthy if self.restarted.by_exec.is_some() => {
                let checked = counts_from.plus(health.interval_ms.saturating_mul(2));
                let detail = "it is unhealthy still".to_owned();
                settled(
                    stable_at.max(checked),
                    Watch::Uncured(Outcome::Relapsed, detail),
                )
            }
            HealthStatus::Unhealthy => settled(
                counts_from,
                Watch::Uncured(Outcome::Relapsed, "it became unhealthy".to_owned()),
            ),
            HealthStatus::Starting => {
                let patience_ms = health.start_period_ms + health.interval_ms.saturating_mul(3);
                let deadline = stable_at.max(self.restarted.at.plus(patience_ms));
                let waited = limit(deadline.since(self.restarted.at));
                let detail = format!("its health check is still starting after {waited}");
                settled(deadline, Watch::Uncured(Outcome::Unknown, detail))
            }
        }
    }
}

/// It does not run, or not what the attempt started.
fn disturbed(facts: &Facts, restarted: Restarted) -> Option<Watch> {
    let state = facts.state.as_str();
    match facts.state {
        ContainerState::Running => {
            let newer = facts.started_at?;
            if newer == restarted.started_at {
                return None;
            }
            Some(match restarted.by_exec {
                Some(_) => Watch::Anew(newer),
                None => end(Outcome::Relapsed, "it started anew while being watched"),
            })
        }
        // By a person's hand: says nothing about the cure.
        ContainerState::Paused | ContainerState::Removing => Some(end(
            Outcome::Unknown,
            format!("it is {state} while being watched"),
        )),
        ContainerState::Created
        | ContainerState::Restarting
        | ContainerState::Exited
        | ContainerState::Dead => Some(end(
            Outcome::Relapsed,
            format!("it fell over while being watched: {state}"),
        )),
    }
}

fn end(outcome: Outcome, detail: impl Into<String>) -> Watch {
    Watch::End(outcome, detail.into())
}
