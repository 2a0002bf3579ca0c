//! Whether a restart cured: success is never "the API said 204".
//!
//! A container has recovered when it has run undisturbed for `stable_for`, is
//! healthy if it has a check, and its rules stayed silent (a match ends the
//! attempt elsewhere, see [`crate::judge`]). Being watched refuses nothing.

use crate::draft::Ending;
use crate::figures::limit;
use crate::live::Phase;
use crate::state::{Attempt, Restarted};
use crate::{
    AttemptId, ContainerState, Facts, Gate, HealthStatus, Look, Now, Outcome, Policy, RuleRemedy,
    SILENCE_MAX_MS, Sign, Step, Timestamp, VERIFY_LOOK_MS, WallTime,
};

/// What a look at a watched container says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Watch {
    /// Nothing yet; it may be settled then.
    On { deadline: Timestamp },
    /// Docker does not answer.
    Silent,
    /// It ends so.
    End(Outcome, String),
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
        let stable_for_ms = self
            .config
            .target(&attempt.charge.target)
            .recovery
            .stable_for_ms;
        let is_in_doubt = self.is_in_doubt(attempt, restarted);
        let Some(live) = self.live.attempts.get_mut(&id) else {
            return;
        };
        let since_the_restart = |found: &WallTime| !found.is_before(restarted.started_at);
        let (is_clear, clear_by) = match attempt.charge.cause.sign() {
            Sign::Watched { clear_within_ms } => (
                live.cleared.is_some_and(|found| since_the_restart(&found)),
                restarted.at.plus(clear_within_ms),
            ),
            Sign::Line | Sign::Ended => (true, restarted.at),
        };
        let silent_ms = live.silent_since.map(|since| now.at.since(since));
        match watch(
            &attempt.charge.container_id,
            restarted,
            stable_for_ms,
            silent_ms,
            look,
            now,
        ) {
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
                self.end_attempt(step, id, attempt, Ending::new(Outcome::Unknown, why));
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
                && pending.remedy == RuleRemedy::Restart
                && !pending.line.is_before(restarted.started_at)
                && !self.config.shadow_rules.contains(&pending.rule)
        })
    }
}

fn watch(
    container_id: &str,
    restarted: Restarted,
    stable_for_ms: u64,
    silent_ms: Option<u64>,
    look: &Look,
    now: Now,
) -> Watch {
    let facts = match look {
        Look::Found(facts) if facts.id == container_id => facts,
        Look::Found(_) | Look::Gone => {
            return end(Outcome::Unknown, "it was removed while being watched");
        }
        Look::Unavailable { why } => {
            let stable_at = restarted.at.plus(stable_for_ms);
            if now.at < stable_at || silent_ms.is_none_or(|ms| ms < SILENCE_MAX_MS) {
                return Watch::Silent;
            }
            let silence = limit(SILENCE_MAX_MS);
            let detail = format!("Docker said nothing for {silence} while it was watched: {why}");
            return end(Outcome::Unknown, detail);
        }
    };
    if let Some(ending) = disturbed(facts, restarted) {
        return ending;
    }
    let stable_at = restarted.at.plus(stable_for_ms);
    let settled = |deadline: Timestamp, outcome, detail: String| {
        if now.at < deadline {
            Watch::On { deadline }
        } else {
            end(outcome, detail)
        }
    };
    let ran = format!("it has run for {}", limit(stable_for_ms));
    match facts.health {
        None => settled(stable_at, Outcome::Recovered, ran),
        Some(health) => match health.status {
            HealthStatus::Healthy => {
                settled(stable_at, Outcome::Recovered, format!("{ran}, healthy"))
            }
            HealthStatus::Unhealthy => end(Outcome::Relapsed, "it became unhealthy"),
            HealthStatus::Starting => {
                let patience_ms = health.start_period_ms + health.interval_ms.saturating_mul(3);
                let deadline = stable_at.max(restarted.at.plus(patience_ms));
                let waited = limit(deadline.since(restarted.at));
                let detail = format!("its health check is still starting after {waited}");
                settled(deadline, Outcome::Unknown, detail)
            }
        },
    }
}

/// It does not run, or not what the attempt started.
fn disturbed(facts: &Facts, restarted: Restarted) -> Option<Watch> {
    let state = facts.state.as_str();
    match facts.state {
        ContainerState::Running => {
            let newer = facts.started_at?;
            let anew = newer != restarted.started_at;
            anew.then(|| end(Outcome::Relapsed, "it started anew while being watched"))
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
