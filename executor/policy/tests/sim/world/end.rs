//! What is checked at each step and at the end of a run.

use policy::{
    Action, AttemptId, ContainerState, Entry, ExecEnd, Gate, Look, Measure, OnRefusal, Remedy,
    RuleRemedy, Sign, Step, Verdict,
};

use super::World;
use crate::check::{self, check_call, check_charge};
use crate::docker::Container;
use crate::docker::StoppedBy;
use crate::exec::calls;
use crate::measures::{check_action, check_plan};

impl World {
    pub(super) fn check_step(&mut self, step: &Step, fresh: Option<(&Look, u64)>) {
        for entry in &step.entries {
            match entry {
                Entry::Charge(charge) => {
                    let (look, asked_at) = fresh.expect("charge: without a look");
                    check_charge(charge, &self.exec.config, look, asked_at);
                    check_plan(charge);
                    assert!(step.durable, "charge: not durable");
                }
                Entry::Sent { attempt, call } => {
                    let history = &self.exec.history;
                    let charge = history
                        .charge(*attempt)
                        .expect("calls: sent without a charge");
                    let sent = history.restarts_sent_wall_ms(*attempt);
                    let away = self.away_wall_ms.get(attempt).copied().unwrap_or(0);
                    let look = self.attempt_looks.get(attempt);
                    check_call(charge, *call, look, &sent, away);
                    history.check_measure(charge, *call, look);
                }
                _ => {}
            }
        }
        for action in calls(step) {
            let Action::Call { attempt, call, .. } = action else {
                continue;
            };
            let mark = Entry::Sent {
                attempt: *attempt,
                call: *call,
            };
            assert!(step.entries.contains(&mark), "calls: one without its mark");
            let charge = self.exec.history.charge(*attempt);
            let charge = charge.expect("calls: one without a charge");
            check_action(action, charge, self.exec.history.step_of(*attempt));
        }
        self.exec.history.check_held(step);
    }

    /// What was written.
    pub(super) fn tally(&mut self, step: &Step) {
        let now = self.now();
        for entry in &step.entries {
            match entry {
                Entry::Charge(charge) => {
                    self.totals
                        .count(if charge.shadow { "shadow" } else { "charge" });
                }
                Entry::Outcome { outcome, .. } => self.totals.count(outcome.as_str()),
                Entry::Pending(pending) if pending.gate == Gate::Dependency => {
                    self.totals.count("waits for a parent");
                }
                Entry::Pending(pending) if pending.gate == Gate::NotRunning => {
                    self.totals.count("waits for a stop");
                }
                Entry::Pending(_) if step.durable => self.totals.count("pending"),
                Entry::Pending(_) => self.totals.count("renewed"),
                Entry::PendingEnded { .. } => self.totals.count("ended"),
                Entry::Held { .. } => self.totals.count("held"),
                Entry::NextMeasure { .. } => self.totals.count("next measure"),
                Entry::Executed { end, .. } => self.totals.count(match end {
                    ExecEnd::Done => "command done",
                    ExecEnd::Failed => "command failed",
                    ExecEnd::Unknown => "command unclear",
                }),
                Entry::Released { by, .. } if by.starts_with("its health") => {
                    self.totals.count("well again");
                }
                Entry::Storm { .. } => self.totals.count("storm"),
                Entry::StormEnded { by } if by == "all clear" => self.totals.count("all clear"),
                Entry::Decided {
                    decision: Verdict::Escalated,
                    rule,
                    ..
                } => self.totals.count(match &**rule {
                    "unfinished" => "told of an unseen end",
                    _ => "escalated",
                }),
                Entry::Decided {
                    decision: Verdict::Noted,
                    ..
                } => self.totals.count("noted"),
                _ => {}
            }
        }
        let about_calls = self.options.config.attempts_parallel as usize;
        let counts = self.exec.policy.as_ref().map(|p| p.counts(now));
        if counts.is_some_and(|c| c.in_progress > about_calls) {
            self.totals.count("queued");
        }
    }

    pub(super) fn check_end(&mut self) {
        let history = &self.exec.history;
        history.check_limits(&self.exec.config);
        let kept_ms = self.options.config.max_age_ms + policy::ID_GRACE_MS;
        history.check_attempts(true, kept_ms, self.has_jumped);
        history.check_calls(&self.exec.marks_lost);
        history.check_steps();
        self.exec.check_memory(self.now());
        let now = self.now();
        let policy = self.exec.policy.as_ref().expect("it runs in the end");
        let counts = policy.counts(now);
        let status = policy.status(now);
        // A storm that is still on has its own bound, a day: the model sees to that.
        let is_on = status.storm.is_some();
        let waiting = status.targets.iter().filter_map(|t| t.pending.as_ref());
        let of_it = waiting.filter(|p| is_on && p.gate == Gate::Storm);
        assert_eq!(counts.pending, of_it.count(), "pending: for ever");
        let open = (counts.in_progress, counts.verified);
        assert_eq!(open, (0, 0), "attempts: some never end");
        for (index, sent) in self.intents.iter().enumerate() {
            assert!(
                sent.answered.is_some(),
                "answers: intent {index} has none: {sent:?}"
            );
        }
        self.check_none_left_down();
        let (now, clock) = (self.now(), self.clock());
        let names = self.docker.containers.keys();
        let look = |name: &String| (name.clone(), self.docker.inspect(name, clock, now.at));
        self.model().check_calm(&names.map(look).collect());
    }

    /// Invariant 7: what we stopped never stays down unnoticed.
    pub(super) fn check_none_left_down(&self) {
        let now = self.now();
        let status = self.exec.policy.as_ref().map(|p| p.status(now));
        let status = status.expect("it runs in the end");
        for container in self.docker.containers.values() {
            let StoppedBy::Healer(attempt) = container.stopped_by else {
                continue;
            };
            // After a jump the engine's times do not tell whose stop it was.
            // Nor where the journal that knew of it was damaged.
            let is_lost = self.exec.marks_lost.contains(&attempt) || attempt == 0;
            let untold = self.has_jumped || is_lost;
            if container.state != ContainerState::Exited || untold {
                continue;
            }
            let target = status.targets.iter().find(|t| t.target == container.name);
            let held = target.is_some_and(|t| t.held.is_some());
            let end = self.exec.history.records.iter().find(|record| {
                matches!(&record.entry, Entry::Outcome { attempt: a, .. } if *a == attempt)
            });
            let end = end.expect("attempts: one has not ended");
            // The engine hung for longer than anybody waits, and stopped it then:
            // told as somebody else's doing.
            let finished_ms = container.finished_at.map_or(0, check::wall_ms);
            let charge = self.exec.history.charge(attempt);
            let wait_ms = charge.map_or(0, |c| c.stop_wait_ms);
            let sent = self.exec.history.restarts_sent_wall_ms(attempt);
            let in_time = sent.iter().any(|ms| finished_ms <= ms + wait_ms);
            if finished_ms >= end.wall_ms || !in_time {
                continue;
            }
            // Somebody may have released the hold since.
            let was_held = self.exec.history.records.iter().any(|record| {
                matches!(&record.entry, Entry::Held { target, .. } if *target == container.name)
            });
            assert!(
                held || was_held,
                "left down: {} was stopped by attempt {attempt}",
                container.name
            );
        }
    }

    /// With all faults gone a fresh match is served at once.
    pub(super) fn serve(&mut self) {
        self.resume(None);
        self.t += 7 * 24 * 3_600_000;
        let names: Vec<String> = self.docker.containers.keys().cloned().collect();
        let switches = [
            ("healer.enable", "false"),
            ("healer.enable", "perhaps"),
            ("healer.protect", "true"),
            ("healer.dry_run", "true"),
            ("healer.maintenance", "true"),
            ("com.docker.swarm.service.name", "web"),
        ];
        for name in names {
            let clock = self.clock();
            let container = self.docker.containers.get_mut(&name).expect("named");
            let config = self.exec.config.target(&name);
            let healable = config.enabled
                && !config.protected
                && !config.dry_run
                && !self.exec.config.dry_run
                && self.exec.config.on_refusal == OnRefusal::Pending
                && !self.exec.config.stopped.contains(&name)
                && !container
                    .labels
                    .iter()
                    .any(|(label, value)| switches.contains(&(&**label, &**value)));
            if container.state != ContainerState::Running {
                container.start(clock);
            }
            container.sick = true;
            let (id, before) = (container.id.clone(), container.started_at);
            self.t += self.exec.config.host_window_ms;
            let Some(is_restarted) = self.is_served(&name).filter(|_| healable) else {
                continue;
            };
            let clock = self.clock();
            self.docker.mend_parents_of(&name, clock);
            let charges = self.exec.history.charges_of(&name);
            // Two lines: one rule has a threshold of two.
            for _ in 0..2 {
                self.t += 100;
                let clock = self.clock();
                self.intent(&name, id.clone(), clock, None);
            }
            self.go_on_until(self.t + 1_300_000);
            let container = &self.docker.containers[&name];
            if !self.has_jumped {
                let is_anew = container.started_at != before;
                assert!(is_anew || !is_restarted, "served: {name} was not");
                let charged = self.exec.history.charges_of(&name) > charges;
                assert!(charged, "served: {name} was not charged");
                self.totals.count("served");
            }
        }
    }

    /// Whether any match of what is asked for in the end is healed, by a restart first;
    /// none where some are not.
    fn is_served(&self, name: &str) -> Option<bool> {
        let mut is_restarted = true;
        for rule in ["oom", "nccl", "rare"] {
            let config = &self.exec.config;
            let remedy = config.remedy(name, rule, RuleRemedy::Restart, Sign::Line);
            let Remedy::Heal(plan) = remedy else {
                return None;
            };
            is_restarted &= plan[0] == Measure::Restart;
        }
        Some(is_restarted)
    }

    /// What was stopped so that it stays down is started by nobody of ours. Where a power
    /// cut has taken what was known of that, nobody can tell; nor can a later attempt whose
    /// own restart an engine that was late with the stop has met.
    pub(super) fn check_stopped(&self, container: &Container, by: AttemptId) {
        let StoppedBy::Healer(attempt) = container.stopped_by else {
            return;
        };
        let is_lost = attempt == 0 || self.exec.marks_lost.contains(&attempt);
        let is_met = by != attempt && !self.exec.history.restarts_sent_wall_ms(by).is_empty();
        assert!(
            is_lost || is_met,
            "stopped: {} was, by attempt {attempt}, and is started by {by}",
            container.name
        );
    }
}
