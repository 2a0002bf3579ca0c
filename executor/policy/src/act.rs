//! An attempt's way from the charge to the engine's answer.

use crate::draft::Ending;
use crate::gates::{self, Ask, Matched, Refusal, Who};
use crate::labels::settings;
use crate::live::Phase;
use crate::state::{Attempt, Restarted};
use crate::{
    Action, AttemptId, Call, Called, Cause, Entry, Event, Exec, ExecEnd, Facts, Gate,
    LOOK_WAIT_MIN_MS, Look, Measure, Now, Outcome, Pending, PendingKey, Policy, Resolution,
    RuleRemedy, Step, Timestamp, Unresolved, resolve,
};

impl Policy {
    pub(crate) fn attempt_look(&mut self, now: Now, id: AttemptId, look: &Look) -> Step {
        let mut step = Step::default();
        let Some(live) = self.live.attempts.get_mut(&id) else {
            return step;
        };
        // Looks are made once the step that asks for them is on disk.
        self.live.is_unsure = false;
        // A late second look, overtaken by a call or by another process's end.
        if !matches!(live.phase, Phase::Looking { .. } | Phase::LookAt(_)) {
            return step;
        }
        let Some(attempt) = self.state.open(id).cloned() else {
            return step;
        };
        live.look_out(now.at);
        match look {
            Look::Unavailable { .. } => {
                live.silent_since.get_or_insert(now.at);
                live.away = Some((now.at, now.wall_ms));
            }
            Look::Found(facts) if facts.read_at < live.facts_from => {
                step.actions.push(look_for(id, &attempt));
                return step;
            }
            Look::Found(_) | Look::Gone => live.silent_since = None,
        }
        if let Some(restarted) = attempt.restarted {
            self.verify(&mut step, now, id, &attempt, restarted, look);
        } else if attempt.exec().is_some() && !attempt.sent.is_empty() {
            // Of an earlier process, or its answer was lost: never run again.
            let why = "its end is not known";
            self.executed(&mut step, now, id, &attempt, ExecEnd::Unknown, why);
        } else {
            self.act(&mut step, now, id, &attempt, look);
        }
        self.promote(&mut step, now);
        step
    }

    fn act(&mut self, step: &mut Step, now: Now, id: AttemptId, attempt: &Attempt, look: &Look) {
        let resolution = self.resolution(now, id, attempt, look);
        let outcome = |outcome, detail: String| Ending::new(outcome, detail);
        match resolution {
            Resolution::Wait { deadline } => {
                if let Some(live) = self.live.attempts.get_mut(&id) {
                    live.look_later(now.at, deadline);
                }
            }
            Resolution::Send(call) => self.send(step, now, id, attempt, call, look),
            Resolution::Done { started_at } => {
                self.done_and_watched(step, now, id, attempt, started_at, look);
            }
            Resolution::Fell { started_at, detail } => {
                let attempt = self.done(step, now, id, attempt, started_at);
                let ending = outcome(Outcome::Relapsed, detail);
                self.not_cured(step, now, id, &attempt, ending, false);
            }
            Resolution::Stopped => {
                let mut ending = outcome(Outcome::Stopped, "it was to be stopped".into());
                ending.hold = true;
                self.end_attempt(step, id, attempt, ending);
            }
            Resolution::Abort { gate, detail } => {
                let refusal = Refusal::new(gate, detail);
                self.abort(step, now, id, attempt, refusal);
            }
            Resolution::Fail { detail, is_down } => {
                let mut ending = outcome(Outcome::Failed, detail);
                ending.hold = is_down;
                self.not_cured(step, now, id, attempt, ending, false);
            }
            Resolution::GiveUp {
                detail,
                may_be_down,
            } => {
                let mut ending = outcome(Outcome::Unknown, detail);
                ending.hold = may_be_down;
                self.end_attempt(step, id, attempt, ending);
            }
        }
    }

    fn resolution(&self, now: Now, id: AttemptId, attempt: &Attempt, look: &Look) -> Resolution {
        let live = self.live.attempts.get(&id);
        let sent: Vec<(Call, Timestamp, u64)> = attempt
            .sent
            .iter()
            .map(|s| (s.call, s.at, s.wall_ms))
            .collect();
        let open = Unresolved {
            container_id: &attempt.charge.container_id,
            started_at: attempt.charge.started_at,
            charged_at: attempt.begun_at(),
            stop_wait_ms: attempt.charge.stop_wait_ms,
            first: attempt.call(),
            sent: &sent,
            is_resumed: live.is_some_and(|l| l.is_resumed),
            is_done: live.is_some_and(|l| l.is_done),
            refused: live.and_then(|l| l.refused.as_deref()),
            silent_since: live.and_then(|l| l.silent_since),
            away: live.and_then(|l| l.away),
        };
        resolve(&open, look, now)
    }

    /// The container has started anew: told, and watched from the very look that shows it.
    pub(crate) fn done_and_watched(
        &mut self,
        step: &mut Step,
        now: Now,
        id: AttemptId,
        attempt: &Attempt,
        started_at: crate::WallTime,
        look: &Look,
    ) {
        let attempt = self.done(step, now, id, attempt, started_at);
        if let Some(restarted) = attempt.restarted {
            self.verify(step, now, id, &attempt, restarted, look);
        }
    }

    /// The engine's answer is known: told. Returns the attempt as it is by that, for what
    /// else the same look says of it.
    fn done(
        &self,
        step: &mut Step,
        now: Now,
        id: AttemptId,
        attempt: &Attempt,
        started_at: crate::WallTime,
    ) -> Attempt {
        step.entries.push(Entry::Restarted {
            attempt: id,
            started_at,
        });
        step.tell(Event::Restarted {
            attempt: id,
            target: attempt.charge.target.clone(),
            container_id: attempt.charge.container_id.clone(),
        });
        Attempt {
            restarted: Some(Restarted {
                at: now.at,
                wall_ms: now.wall_ms,
                started_at,
                by_exec: None,
            }),
            ..attempt.clone()
        }
    }

    /// What was charged for needs the gates' word on the facts just read, and a free
    /// place among the calls; a start after a restart puts right what that left, and
    /// waits for nobody.
    fn send(
        &mut self,
        step: &mut Step,
        now: Now,
        id: AttemptId,
        attempt: &Attempt,
        call: Call,
        look: &Look,
    ) {
        if call == attempt.call() {
            if let Look::Found(facts) = look
                && let Some(refusal) = self.ask_again(now, id, attempt, facts)
            {
                self.abort(step, now, id, attempt, refusal);
                return;
            }
            if self.live.calls() >= self.parallel() {
                if let Some(live) = self.live.attempts.get_mut(&id) {
                    live.phase = Phase::Queued;
                }
                return;
            }
            step.tell(acting(id, attempt));
        }
        // What an earlier process wrote may not be on disk: its charge goes first.
        let live = self.live.attempts.get(&id);
        step.durable |= attempt.sent.is_empty() && live.is_some_and(|l| l.is_resumed);
        let exec = attempt.exec().filter(|_| call == Call::Exec);
        step.entries.push(Entry::Sent { attempt: id, call });
        step.actions.push(Action::Call {
            attempt: id,
            call,
            container_id: attempt.charge.container_id.clone(),
            wait_ms: exec.map_or(attempt.charge.stop_wait_ms, Exec::wait_ms),
            exec: exec.cloned(),
        });
    }

    fn parallel(&self) -> usize {
        usize::try_from(self.config.attempts_parallel.max(1)).unwrap_or(usize::MAX)
    }

    /// The gates that may have changed their word since the charge.
    fn ask_again(
        &self,
        now: Now,
        id: AttemptId,
        attempt: &Attempt,
        facts: &Facts,
    ) -> Option<Refusal> {
        let settings = settings(&self.config, facts);
        let who = match &attempt.charge.cause {
            Cause::Person => Who::Person,
            Cause::Match {
                rule, line, sign, ..
            } => Who::Match(Matched {
                rule,
                remedy: RuleRemedy::Restart,
                line: *line,
                sign: *sign,
                awaits: None,
                threshold: None,
                times: &[],
                counted_as: None,
                is_arrival: false,
                is_news: false,
            }),
        };
        gates::ask_before_acting(&Ask {
            config: &self.config,
            state: &self.state,
            now,
            who,
            facts,
            settings: &settings,
            wire_id: Some(&attempt.charge.container_id),
            limits: attempt.charge.limits,
            uncured: 0,
            attempt: Some(id),
        })
    }

    /// Ends as aborted. A refusal by time leaves the target pending.
    fn abort(&self, step: &mut Step, now: Now, id: AttemptId, attempt: &Attempt, refusal: Refusal) {
        let mut ending = Ending::new(Outcome::Aborted, refusal.detail.clone());
        ending.gate = Some(refusal.gate);
        if refusal.until.is_some() {
            self.try_again_later(step, now, attempt, Some(refusal));
        }
        self.end_attempt(step, id, attempt, ending);
    }

    /// What a match asked for has not been done: the target is pending again,
    /// for no id any more, since each leads to one charge at most.
    pub(crate) fn try_again_later(
        &self,
        step: &mut Step,
        now: Now,
        attempt: &Attempt,
        refusal: Option<Refusal>,
    ) {
        let charge = &attempt.charge;
        let Cause::Match {
            rule, line, sign, ..
        } = &charge.cause
        else {
            return;
        };
        let gate = refusal.as_ref().map_or(Gate::Cooldown, |r| r.gate);
        if !self.is_kept(gate) {
            return;
        }
        let key = PendingKey::Target(charge.target.clone());
        let due = match refusal {
            Some(refusal) => refusal.until.unwrap_or(now.at),
            // The gates say more when they are asked; this is the least.
            None => {
                let over = attempt.at.plus(charge.limits.cooldown_ms);
                over.max(now.at.plus(LOOK_WAIT_MIN_MS))
            }
        };
        let new = Pending {
            key: key.clone(),
            gate,
            rule: rule.clone(),
            line: *line,
            container_id: Some(charge.container_id.clone()),
            ids: Vec::new(),
            remedy: RuleRemedy::Restart,
            awaits: None,
            sign: *sign,
            threshold: None,
            was: None,
            due,
            expires: self.pending_expires(now, charge.limits, due),
        };
        let old = self.state.pendings.get(&key);
        let is_new = old.is_none();
        let pending = match old {
            Some(old) => crate::intent::merge(old, new),
            None => new,
        };
        step.pend(pending, is_new);
    }

    pub(crate) fn called(&mut self, now: Now, id: AttemptId, called: &Called) -> Step {
        let mut step = Step::default();
        if let Some(live) = self.live.attempts.get_mut(&id)
            && matches!(live.phase, Phase::Calling { .. })
        {
            live.look_out(now.at);
            live.facts_from = now.at;
            match called {
                Called::Done => live.is_done = true,
                Called::Refused { status, message } => {
                    live.refused = Some(format!("the engine said {status}: {message}"));
                }
                Called::Failed { .. } | Called::Unclear { .. } => {}
            }
            if let Some(attempt) = self.state.open(id)
                && attempt.exec().is_some()
            {
                self.exec_called(&mut step, now, id, attempt, called);
            } else if let Some(attempt) = self.state.open(id) {
                step.actions.push(look_for(id, attempt));
            }
        }
        self.promote(&mut step, now);
        step
    }

    /// Lets queued attempts have another look, as many as calls are free; the
    /// oldest first. They act on what that look shows.
    pub(crate) fn promote(&mut self, step: &mut Step, now: Now) {
        let sends = |action: &&Action| matches!(action, Action::Call { .. });
        let about_to = step.actions.iter().filter(sends).count();
        let busy = self.live.calls() + about_to;
        let mut free = self.parallel().saturating_sub(busy);
        for (id, live) in &mut self.live.attempts {
            if free == 0 {
                break;
            }
            if live.phase == Phase::Queued
                && let Some(attempt) = self.state.open(*id)
            {
                live.look_out(now.at);
                step.actions.push(look_for(*id, attempt));
                free -= 1;
            }
        }
    }

    /// Where an attempt stands, for people.
    pub(crate) fn attempt_in_words(&self, id: AttemptId) -> String {
        let Some(attempt) = self.state.attempts.get(&id) else {
            return format!("Attempt {id} has ended long ago");
        };
        match (&attempt.end, &attempt.restarted) {
            (Some(end), _) => format!("Attempt {id} {}: {}", end.outcome.as_str(), end.detail),
            (None, Some(restarted)) if restarted.by_exec.is_some() => {
                let exec = attempt.exec().map_or("", |exec| &exec.name);
                format!("Attempt {id}: exec '{exec}' was run, being watched")
            }
            (None, Some(_)) => format!("Attempt {id}: restarted, being watched"),
            (None, None) => format!("Attempt {id} in progress"),
        }
    }
}

/// What is told before the call.
fn acting(id: AttemptId, attempt: &Attempt) -> Event {
    let target = attempt.charge.target.clone();
    let container_id = attempt.charge.container_id.clone();
    match attempt.charge.measure(attempt.step) {
        Some(measure @ (Measure::Exec(_) | Measure::Stop)) => Event::Healing {
            attempt: id,
            target,
            container_id,
            measure: measure.into(),
        },
        Some(Measure::Restart | Measure::Escalate) | None => Event::Restarting {
            attempt: id,
            target,
            container_id,
        },
    }
}

pub(crate) fn look_for(id: AttemptId, attempt: &Attempt) -> Action {
    Action::LookForAttempt {
        attempt: id,
        container_id: attempt.charge.container_id.clone(),
    }
}
