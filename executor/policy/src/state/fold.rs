//! One record at a time. Nothing here decides; what the entry says is so.

use super::targets::insert;
use super::{Attempt, End, FailClosed, Known, Refusal1, Restarted, Sent, Spent, State, Stepped};
use crate::figures::wall_ms;
use crate::{
    ATTEMPTS_MAX, AttemptId, Cause, Charge, Config, Confirmation, Entry, ExecEnd, Gate,
    ID_AHEAD_MAX_MS, ID_GRACE_MS, KEEP_MS, Outcome, Pending, PendingKey, Record, STORM_UNCURED_MS,
    Timestamp, UNKNOWN_RULE_MS, Verdict, WallTime,
};

impl State {
    /// Folds one record in.
    pub(crate) fn apply(&mut self, record: &Record, config: &Config) {
        self.happenings.see(record);
        self.held_back.see(record);
        match &record.entry {
            Entry::Charge(charge) => self.charge(record, charge, config),
            Entry::Sent { attempt, call } => {
                if let Some(attempt) = self.attempts.get_mut(attempt) {
                    attempt.sent.push(Sent {
                        call: *call,
                        at: record.at,
                        wall_ms: record.wall_ms,
                    });
                }
            }
            Entry::Restarted {
                attempt,
                started_at,
            } => self.restarted(record, *attempt, *started_at),
            Entry::Executed { attempt, end } => self.executed(record, *attempt, *end),
            Entry::NextMeasure { attempt, step, .. } => {
                self.next_measure(record, *attempt, *step);
            }
            Entry::Outcome {
                attempt,
                outcome,
                gate,
                detail,
            } => self.outcome(
                *attempt,
                End {
                    at: record.at,
                    wall_ms: record.wall_ms,
                    outcome: *outcome,
                    gate: *gate,
                    detail: detail.clone(),
                },
            ),
            Entry::Pending(pending) => self.pending(pending),
            Entry::PendingEnded { key, why, decision } => {
                self.pending_ended(key, why, *decision);
            }
            Entry::Decided { .. } => self.decided(record, config),
            Entry::Held { .. } | Entry::Released { .. } => self.hold(record),
            Entry::Paused { .. } | Entry::Resumed { .. } => self.pause(record),
            Entry::Storm { .. } | Entry::StormEnded { .. } => self.storm(record, config),
            Entry::Imported {
                target,
                restarted_at,
            } => self.imported(record, target, *restarted_at),
            Entry::FailClosed { until, why } => {
                self.fail_closed = Some(FailClosed {
                    at: record.at,
                    wall_ms: record.wall_ms,
                    until: *until,
                    why: why.clone(),
                });
            }
            Entry::FailClosedEnded => {
                self.fail_closed = None;
                // What waited for that need not wait any longer.
                let waiting = self.pendings.values_mut();
                for pending in waiting.filter(|p| p.gate == Gate::Window) {
                    pending.due = pending.due.min(record.at);
                }
            }
            Entry::Kept(kept) => self.kept(record, kept),
        }
        self.forget(record.at, config);
    }

    fn charge(&mut self, record: &Record, charge: &Charge, config: &Config) {
        let spent = Spent {
            at: record.at,
            wall_ms: record.wall_ms,
            attempt: Some(charge.attempt),
            shadow: charge.shadow,
        };
        insert(&mut self.host, spent);
        let target = self.targets.entry(charge.target.clone()).or_default();
        insert(&mut target.spent, spent);
        if !charge.shadow {
            target.in_progress = Some(charge.attempt);
        }
        self.last_attempt = self.last_attempt.max(charge.attempt);

        let mut charge = charge.clone();
        if let Cause::Match { rule, ids, .. } = &mut charge.cause {
            let answer = Known {
                until: record.at.plus(config.max_age_ms).plus(ID_GRACE_MS),
                key: None,
                verdict: if charge.shadow {
                    Verdict::Refused
                } else {
                    Verdict::Restart
                },
                gate: charge.shadow.then_some(Gate::DryRun),
                detail: format!("answered by attempt {}", charge.attempt),
                attempt: Some(charge.attempt),
            };
            let target = charge.target.clone();
            let own = if charge.shadow_rule {
                PendingKey::Shadow(target.clone())
            } else {
                PendingKey::Target(target.clone())
            };
            let rule = rule.clone();
            for key in [own, PendingKey::Rule { target, rule }] {
                self.pendings.remove(&key);
                self.ids.update(&key, |known| {
                    *known = Known {
                        until: known.until,
                        ..answer.clone()
                    };
                });
            }
            // Each leads to one charge, wherever else it may be waiting.
            for pending in self.pendings.values_mut() {
                pending.ids.retain(|id| !ids.contains(id));
            }
            for id in std::mem::take(ids) {
                if self.ids.get(&id, record.at).is_none() {
                    self.ids.insert(record.at, &id, answer.clone());
                }
            }
        }
        self.attempts.insert(
            charge.attempt,
            Attempt {
                charge,
                at: record.at,
                wall_ms: record.wall_ms,
                step: 0,
                stepped: None,
                sent: Vec::new(),
                restarted: None,
                end: None,
            },
        );
    }

    fn restarted(&mut self, record: &Record, id: u64, started_at: WallTime) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        attempt.restarted = Some(Restarted {
            at: record.at,
            wall_ms: record.wall_ms,
            started_at,
            by_exec: None,
        });
        let name = attempt.charge.target.clone();
        if let Some(target) = self.targets.get_mut(&name) {
            target.in_progress = None;
            target.verified = Some(id);
            // Ours: no sign that somebody has seen to it.
            if let Some(held) = &mut target.held {
                held.started_at = Some(started_at);
            }
        }
        self.wake_pending(&name, record.at, |_| true);
    }

    /// What waits for the attempt goes on waiting: the command may not have cured.
    fn executed(&mut self, record: &Record, id: u64, end: ExecEnd) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        attempt.restarted = Some(Restarted {
            at: record.at,
            wall_ms: record.wall_ms,
            started_at: attempt.charge.started_at,
            by_exec: Some(end),
        });
        if let Some(target) = self.targets.get_mut(&attempt.charge.target) {
            target.in_progress = None;
            target.verified = Some(id);
        }
    }

    fn next_measure(&mut self, record: &Record, id: u64, step: usize) {
        let Entry::NextMeasure { why, .. } = &record.entry else {
            return;
        };
        let open = self.attempts.get_mut(&id).filter(|a| a.end.is_none());
        let Some(attempt) = open else {
            return;
        };
        attempt.step = step;
        attempt.stepped = Some(Stepped {
            at: record.at,
            wall_ms: record.wall_ms,
            why: why.clone(),
        });
        attempt.sent.clear();
        attempt.restarted = None;
        if let Some(target) = self.targets.get_mut(&attempt.charge.target) {
            target.in_progress = Some(id);
            target.verified = None;
        }
    }

    /// The pending that an intent waits in: its target's, or one of those apart.
    fn waits_as(&self, key: PendingKey, id: &str, rule: &str) -> PendingKey {
        let apart = [
            PendingKey::Rule {
                target: key.as_str().to_owned(),
                rule: rule.to_owned(),
            },
            PendingKey::Shadow(key.as_str().to_owned()),
        ];
        let holds = |key: &PendingKey| {
            let pending = self.pendings.get(key);
            pending.is_some_and(|pending| pending.ids.iter().any(|one| one == id))
        };
        apart.into_iter().find(holds).unwrap_or(key)
    }

    /// The first one holds: there is no second end.
    fn outcome(&mut self, id: u64, end: End) {
        let open = self.attempts.get_mut(&id).filter(|a| a.end.is_none());
        let Some(attempt) = open else {
            return;
        };
        let (outcome, at) = (end.outcome, end.at);
        attempt.end = Some(end);
        let name = attempt.charge.target.clone();
        if !attempt.charge.shadow {
            self.storms.ended(id, &name, outcome);
        }
        if let Some(target) = self.targets.get_mut(&name) {
            target.in_progress = target.in_progress.filter(|open| *open != id);
            target.verified = target.verified.filter(|open| *open != id);
            match outcome {
                Outcome::Recovered => target.uncured = 0,
                Outcome::Relapsed | Outcome::Failed => target.uncured += 1,
                Outcome::Aborted | Outcome::Unknown | Outcome::Stopped => {}
            }
        }
        self.wake_pending(&name, at, |pending| pending.gate == Gate::InProgress);
    }

    /// What a pending target waited for has come.
    fn wake_pending(&mut self, name: &str, at: Timestamp, which: impl Fn(&Pending) -> bool) {
        for (key, pending) in &mut self.pendings {
            if key.is_of(name) && which(pending) {
                pending.due = pending.due.min(at);
            }
        }
    }

    /// What a match may confirm is looked at now: just after any look that has
    /// not seen it.
    fn wake_unconfirmed(&mut self, of: &PendingKey, rule: &str, at: Timestamp) {
        for (key, pending) in &mut self.pendings {
            let is_its = match of {
                PendingKey::Id(id) => pending.container_id.as_ref() == Some(id),
                known => key.is_of(known.as_str()),
            };
            if is_its && may_confirm(pending, rule) {
                pending.due = at.plus(1);
            }
        }
    }

    fn pending(&mut self, pending: &Pending) {
        if let Some(was) = &pending.was {
            self.pendings.remove(was);
            let name = PendingKey::Target(pending.key.as_str().to_owned());
            self.counted
                .rename(&PendingKey::Id(was.as_str().to_owned()), &name);
            self.ids
                .update(was, |known| known.key = Some(pending.key.clone()));
        }
        let mut pending = pending.clone();
        pending.was = None;
        self.pendings.insert(pending.key.clone(), pending);
    }

    fn pending_ended(&mut self, key: &PendingKey, why: &str, decision: Verdict) {
        self.pendings.remove(key);
        self.ids.update(key, |known| {
            known.key = None;
            known.verdict = decision;
            known.detail = why.to_owned();
        });
    }

    fn decided(&mut self, record: &Record, config: &Config) {
        let Entry::Decided {
            id,
            target,
            wire_id,
            rule,
            remedy,
            decision,
            gate,
            detail,
            line,
            times,
            attempt,
            dry,
        } = &record.entry
        else {
            return;
        };
        let key = match wire_id {
            Some(wire_id) if target.is_empty() => PendingKey::Id(wire_id.clone()),
            _ => PendingKey::Target(target.clone()),
        };
        self.counted.add(key.clone(), rule, times);
        if !times.is_empty() {
            self.wake_unconfirmed(&key, rule, record.at);
        }
        if remedy.is_restart() && !dry {
            self.storms
                .decided(record.at, target, rule, *decision, *gate);
        }
        if *gate == Some(Gate::UnknownRule) {
            self.unknown_rule = Some((record.at, rule.clone()));
        }
        if *decision == Verdict::Refused {
            self.refusals.push(Refusal1 {
                at: record.at,
                wall_ms: record.wall_ms,
                target: if target.is_empty() {
                    wire_id.clone().unwrap_or_default()
                } else {
                    target.clone()
                },
                rule: rule.clone(),
                gate: *gate,
                detail: detail.clone(),
                count: 1,
            });
        }
        if id.is_empty() {
            return;
        }
        let known = Known {
            until: id_until(record, *line, config),
            key: (*decision == Verdict::Pending).then(|| self.waits_as(key, id, rule)),
            verdict: *decision,
            gate: *gate,
            detail: detail.clone(),
            attempt: *attempt,
        };
        self.ids.insert(record.at, id, known);
    }

    fn imported(&mut self, record: &Record, target: &str, restarted_at: Timestamp) {
        let at = restarted_at.min(record.at);
        let spent = Spent {
            at,
            wall_ms: record.wall_ms.saturating_sub(record.at.since(at)),
            attempt: None,
            shadow: false,
        };
        insert(&mut self.host, spent);
        let target = self.targets.entry(target.to_owned()).or_default();
        insert(&mut target.spent, spent);
    }

    /// Lets go of what no decision and no history needs any more.
    pub(crate) fn forget(&mut self, now: Timestamp, config: &Config) {
        self.ids.forget_until(now);
        self.fail_closed.take_if(|closed| closed.until <= now);
        self.storms
            .forget_until(Timestamp(now.0.saturating_sub(config.storm.within_ms)));
        let storm_ms = STORM_UNCURED_MS
            .max(config.storm.quiet_ms)
            .max(config.host_window_ms);
        let attempts = &self.attempts;
        self.storms.uncured.retain(|(id, _)| {
            let end = attempts.get(id).and_then(|attempt| attempt.end.as_ref());
            end.is_some_and(|end| now.since(end.at) < storm_ms)
        });
        self.unknown_rule
            .take_if(|(at, _)| now.since(*at) >= UNKNOWN_RULE_MS);
        let limits_ms = config.largest_limit_ms();
        let keep_ms = limits_ms.max(KEEP_MS);
        // An open one, however old, keeps its place and nobody else's.
        let ended = |(_, a): &(&AttemptId, &Attempt)| a.end.is_some();
        while let Some((&id, oldest)) = self.attempts.iter().find(ended) {
            let age_ms = now.since(oldest.at);
            let crowded = self.attempts.len() > ATTEMPTS_MAX && age_ms > limits_ms;
            if !(age_ms > keep_ms || crowded) {
                break;
            }
            let name = oldest.charge.target.clone();
            self.attempts.remove(&id);
            self.host.retain(|s| s.attempt != Some(id));
            self.forget_spent(&name, |s| s.attempt != Some(id));
        }
        let is_old = |s: &Spent| s.attempt.is_none() && now.since(s.at) > keep_ms;
        if self.host.first().is_some_and(is_old) {
            self.host.retain(|s| !is_old(s));
            let names: Vec<String> = self.targets.keys().cloned().collect();
            for name in names {
                self.forget_spent(&name, |s| !is_old(s));
            }
        }
    }

    fn forget_spent(&mut self, name: &str, keep: impl Fn(&Spent) -> bool) {
        let Some(target) = self.targets.get_mut(name) else {
            return;
        };
        target.spent.retain(keep);
        if target.spent.is_empty() {
            target.uncured = 0;
        }
        if target.is_empty() {
            self.targets.remove(name);
        }
    }
}

/// An id outlives every line that could still be taken for a new one: for
/// `max_age` and a grace, and longer where its line lies ahead of our clock.
fn id_until(record: &Record, line: WallTime, config: &Config) -> Timestamp {
    let ahead_ms = wall_ms(line).saturating_sub(record.wall_ms);
    record
        .at
        .plus(config.max_age_ms)
        .plus(ID_GRACE_MS)
        .plus(ahead_ms.min(ID_AHEAD_MAX_MS))
}

/// Whether a match of `rule` is what a pending one waits for.
fn may_confirm(pending: &Pending, rule: &str) -> bool {
    let confirms = |by: &Confirmation| matches!(by, Confirmation::Rule(one) if one == rule);
    pending
        .awaits
        .as_ref()
        .is_some_and(|awaits| awaits.confirm.by.iter().any(confirms))
}
