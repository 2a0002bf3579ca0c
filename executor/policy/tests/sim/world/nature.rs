//! What nobody does: containers crash, are restarted by their own policy, break
//! for good; clocks drift; a journal turns out to be damaged; and lines that come
//! at the very edge of a limit.

use policy::{ContainerState, Entry, HealthStatus, Look, Record, RuleRemedy, Timestamp};

use super::{Event, World};
use crate::docker::StoppedBy;

impl World {
    /// A container dies by itself; most are started again by their own policy.
    pub(super) fn crash(&mut self, name: &str) {
        let clock = self.clock();
        let state = self.rng.pick(&[
            ContainerState::Exited,
            ContainerState::Exited,
            ContainerState::Restarting,
            ContainerState::Dead,
            ContainerState::Removing,
        ]);
        let container = self.docker.containers.get_mut(name).expect("named");
        if container.state != ContainerState::Running {
            return;
        }
        container.stop(clock, StoppedBy::Nobody);
        container.state = state;
        self.totals.count("crash");
        self.end_is_told_of(name);
        let name = name.to_owned();
        if self.rng.chance(500) {
            let wait = self.rng.range(100, 60_000);
            self.after(wait, Event::Revive { name });
        } else if self.rng.chance(800) {
            let wait = self.rng.range(2_000, 5_000);
            self.after(wait, Event::Died { name });
        }
    }

    pub(super) fn revive(&mut self, name: &str) {
        let clock = self.clock();
        let container = self.docker.containers.get_mut(name).expect("named");
        if container.state != ContainerState::Running && container.stopped_by == StoppedBy::Nobody {
            container.start(clock);
        }
    }

    /// What others depend on falls sick, goes, and is there again.
    pub(super) fn outer(&mut self) {
        let wait = self.rng.range(1, self.options.means.outer_every_ms() * 2);
        self.after(wait, Event::Outer);
        match self.rng.range(0, 6) {
            0 => self.docker.outer = None,
            1 => self.docker.bring_outer(true),
            2 | 3 => self.docker.bring_outer(false),
            _ => {
                let state = self.rng.pick(&[
                    ContainerState::Running,
                    ContainerState::Exited,
                    ContainerState::Paused,
                    ContainerState::Restarting,
                ]);
                let health = self.rng.pick(&[
                    None,
                    Some(HealthStatus::Healthy),
                    Some(HealthStatus::Unhealthy),
                    Some(HealthStatus::Starting),
                ]);
                let is_done = self.later.chance(self.options.means.done);
                if let Some(outer) = &mut self.docker.outer {
                    (outer.state, outer.health) = (state, health);
                    outer.is_done = is_done;
                }
            }
        }
    }

    /// A match that is decided at this very millisecond, on facts of now.
    pub(super) fn aim(&mut self, name: &str) {
        let (now, clock) = (self.now(), self.clock());
        let container = &self.docker.containers[name];
        if container.state != ContainerState::Running {
            return;
        }
        let id = container.id.clone();
        let look = self.docker.inspect(&id, clock, now.at);
        if matches!(look, Look::Found(_)) {
            for reference in [id.clone(), name.to_owned()] {
                self.recent.insert(reference, (self.t, look.clone()));
            }
            self.intent(name, id, clock, Some(0));
        }
    }

    /// What was written has edges in time: something comes just then.
    pub(super) fn edges_of(&mut self, entry: &Entry) {
        if self.is_over || !self.rng.chance(150) {
            return;
        }
        let at = self.now().at;
        let (name, edge) = match entry {
            Entry::Charge(charge) => {
                let limits = charge.limits;
                let host_ms = self.options.config.host_window_ms;
                let ms = self
                    .rng
                    .pick(&[limits.cooldown_ms, limits.window_ms, host_ms]);
                (charge.target.clone(), at.plus(ms))
            }
            Entry::Paused {
                target: Some(name),
                until: Some(until),
                ..
            } => (name.clone(), *until),
            Entry::Decided { id, .. } => {
                // Until then its id is known.
                let kept_ms = self.options.config.max_age_ms + policy::ID_GRACE_MS;
                if let Some(intent) = id.strip_prefix('i').and_then(|n| n.parse().ok()) {
                    let wait = (kept_ms + self.rng.range(0, 2)).saturating_sub(1);
                    self.after(wait, Event::Deliver { intent });
                }
                return;
            }
            _ => return,
        };
        if self.docker.containers.contains_key(&name) {
            let wait = edge.since(at) + self.rng.range(0, 2);
            self.after(wait.saturating_sub(1), Event::Aim { name });
        }
    }

    /// The journal is set aside and a new one begins: everything counts as spent
    /// until a full window has passed. Whatever was known is not any more.
    pub(super) fn damage(&mut self) {
        let now = self.now();
        let until = now.at.plus(self.exec.config.largest_limit_ms());
        self.exec.begin_anew(Record {
            at: now.at,
            wall_ms: now.wall_ms,
            entry: Entry::FailClosed {
                until,
                why: "damaged".into(),
            },
        });
        // Numbers begin anew, too: what earlier ones did is nobody's now.
        self.docker.forget_attempts();
        self.attempt_looks.clear();
        self.away_wall_ms.clear();
        self.totals.count("damaged");
    }

    /// Restarts that the report files of the original tell of.
    pub(super) fn import(&mut self) {
        let now = self.now();
        let names: Vec<String> = self.docker.containers.keys().cloned().collect();
        for target in names {
            for _ in 0..self.rng.range(0, 3) {
                let ago = self.rng.range(0, 900_000);
                let restarted_at = Timestamp(now.at.0 - ago);
                let target = target.clone();
                self.exec.import(Record {
                    at: now.at,
                    wall_ms: now.wall_ms,
                    entry: Entry::Imported {
                        target,
                        restarted_at,
                    },
                });
                self.totals.count("imported");
            }
        }
    }
}

/// What the executor's own rules say of one; none where it knows none.
pub(super) fn rule_facts(rule: &str) -> Option<policy::RuleFacts> {
    let (remedy, threshold) = match rule {
        "oom" | "nccl" => (RuleRemedy::Restart, None),
        "rare" => (RuleRemedy::Restart, Some((2, 120_000))),
        "dead gpu" => (RuleRemedy::Escalate, None),
        "xids" => (RuleRemedy::Escalate, Some((3, 60_000))),
        "retried" => (RuleRemedy::Note, None),
        _ => return None,
    };
    Some(policy::RuleFacts {
        remedy,
        threshold,
        ..policy::RuleFacts::default()
    })
}
