//! A pending target decided again: fresh facts, all gates anew.
//!
//! A hung container prints one line and falls silent, so a refusal by time must
//! not be the last word. It ends by a charge; when the container's own check
//! says that it is well; when what printed the line does not run any more; when
//! a gate refuses for another reason than time; or when it expires.

use crate::bounds::look_wait_ms;
use crate::draft::cause_of;
use crate::gates::{Ask, Matched, Who};
use crate::intent::{charged, merge, refused};
use crate::judge::Ruling;
use crate::labels::{Settings, settings};
use crate::{
    Action, Decided, Entry, Event, Facts, HealthStatus, LOOK_LOST_MS, Look, Now, Pending,
    PendingKey, Policy, Step, Verdict,
};

impl Policy {
    pub(crate) fn pending_look(&mut self, now: Now, key: &PendingKey, look: &Look) -> Step {
        let mut step = Step::default();
        let live = self.live.pendings.entry(key.clone()).or_default();
        live.lost_at = None;
        if let Look::Unavailable { .. } = look {
            live.not_before = now.at.plus(look_wait_ms(live.silent));
            live.silent = live.silent.saturating_add(1);
        } else {
            // Should what follows not be written, it is tried again.
            live.not_before = now.at.plus(look_wait_ms(0));
            live.silent = 0;
        }
        let Some(pending) = self.state.pendings.get(key).cloned() else {
            self.live.pendings.remove(key);
            return step;
        };
        match look {
            Look::Unavailable { .. } => {}
            Look::Found(facts) if facts.read_at < self.changed_at(&facts.name) => {
                if let Some(live) = self.live.pendings.get_mut(key) {
                    live.lost_at = Some(now.at.plus(LOOK_LOST_MS));
                }
                step.actions
                    .push(Action::LookForPending { key: key.clone() });
            }
            Look::Gone => step.end_pending(&pending, "the container is gone"),
            Look::Found(facts) => {
                let settings = settings(&self.config, facts);
                let pending = self.renamed(&mut step, pending, &facts.name);
                match ended(&pending, facts) {
                    Some(why) => step.end_pending(&pending, why),
                    None => self.decide_again(&mut step, now, key, pending, facts, &settings),
                }
                self.tell_labels(&mut step, facts, &settings);
            }
        }
        step
    }

    /// From now on under its canonical name; two pendings of one target become
    /// one.
    fn renamed(&self, step: &mut Step, pending: Pending, name: &str) -> Pending {
        let key = PendingKey::Target(name.to_owned());
        if pending.key == key {
            return pending;
        }
        let old = self.state.pendings.get(&key);
        let was = pending.key.clone();
        let mut renamed = Pending {
            key,
            was: Some(was),
            ..pending
        };
        if let Some(old) = old {
            let expires = old.expires.max(renamed.expires);
            renamed = Pending {
                expires,
                ..merge(old, renamed)
            };
        }
        step.entries.push(Entry::Pending(renamed.clone()));
        Pending {
            was: None,
            ..renamed
        }
    }

    fn decide_again(
        &self,
        step: &mut Step,
        now: Now,
        counted_as: &PendingKey,
        pending: Pending,
        facts: &Facts,
        settings: &Settings,
    ) {
        let asking = Ask {
            config: &self.config,
            state: &self.state,
            now,
            who: Who::Match(Matched {
                rule: &pending.rule,
                line: pending.line,
                threshold: pending.threshold,
                times: &[],
                counted_as: Some(counted_as),
                is_arrival: false,
            }),
            facts,
            settings,
            wire_id: None,
            limits: settings.limits,
            attempt: None,
        };
        match self.judge_match(asking, step) {
            Ruling::Go { limits, shadow } => {
                let attempt = self.charge(step, facts, cause_of(&pending), limits, shadow);
                step.tell(Event::Decided {
                    target: facts.name.clone(),
                    rule: pending.rule.clone(),
                    decided: Decided {
                        attempt: Some(attempt),
                        ..charged(&facts.name, shadow)
                    },
                });
            }
            Ruling::Refused(refusal) => match refusal.until {
                Some(due) => {
                    let mut answer = refused(&refusal);
                    answer.verdict = Verdict::Pending;
                    step.tell(Event::Decided {
                        target: facts.name.clone(),
                        rule: pending.rule.clone(),
                        decided: answer,
                    });
                    let renewed = Pending {
                        gate: refusal.gate,
                        due,
                        container_id: Some(facts.id.clone()),
                        ..pending
                    };
                    step.pend(renewed, false);
                }
                None => {
                    step.tell(Event::Decided {
                        target: facts.name.clone(),
                        rule: pending.rule.clone(),
                        decided: refused(&refusal),
                    });
                    step.end_pending(&pending, &refusal.detail);
                }
            },
        }
    }
}

/// Why there is nothing to decide any more.
fn ended(pending: &Pending, facts: &Facts) -> Option<&'static str> {
    let is_other = |id: &String| !facts.id.starts_with(id.as_str());
    if pending.container_id.as_ref().is_some_and(is_other) {
        return Some("another container has its name by now");
    }
    if facts
        .started_at
        .is_some_and(|start| pending.line.is_before(start))
    {
        return Some("the container has started anew since the line");
    }
    let health = facts.health?;
    let well_since_the_line = health.status == HealthStatus::Healthy
        && health
            .checked_at
            .is_some_and(|at| pending.line.is_before(at));
    well_since_the_line.then_some("recovered by itself")
}
