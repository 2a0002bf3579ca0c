//! The executor's loop: looks and calls on their way, and each step in the real
//! order.

use policy::{Action, AttemptId, Call, Called, Exec, Facts, Look, Seen, Step, Timestamp};

use super::{Event, FACTS_MAX_MS, Look2, What, World};
use crate::check::Made;
use crate::docker::{Answer, Container};
use crate::exec::{Faults, Stop, timed};
use crate::model::Model;

impl World {
    pub(super) fn time_out(&mut self) {
        let now = self.now();
        let Some(policy) = self.exec.asked() else {
            return;
        };
        let step = timed(|| policy.handle_timeout(now));
        let due = policy.poll_timeout();
        assert!(
            step != Step::default() || due.is_none_or(|due| now.at < due),
            "rest: a time-out that brings nothing stays due"
        );
        self.model().check_timeout(self.unwritten_at, &step);
        if !self.write_and_look(&step) {
            self.again_at = self.t + 1_000;
        }
    }

    /// Looks depend on no entry: they go out even where nothing can be written.
    /// False where that is so.
    pub(super) fn write_and_look(&mut self, step: &Step) -> bool {
        if self.perform(step, None) != Err(Stop::Disk) {
            return true;
        }
        for action in &step.actions {
            if let Action::LookForAttempt { .. }
            | Action::LookForPending { .. }
            | Action::LookForTarget { .. } = action
            {
                self.act(action);
            }
        }
        false
    }

    /// Inspects: read after a while, there after another.
    pub(super) fn ask(&mut self, what: What) {
        let slow = self.rng.chance(self.options.slow);
        let wait = if slow {
            self.rng.range(50, 3_000)
        } else {
            self.rng.range(0, 8)
        };
        let look = Look2 {
            epoch: self.exec.epoch,
            asked_at: self.now().at.0,
            what,
        };
        self.after(wait, Event::Read(look));
    }

    pub(super) fn read(&mut self, ask: Look2) {
        let reference = match &ask.what {
            What::Intent(index) => self.intents[*index].input.wire_target.clone(),
            What::Request(request) => request.target.clone(),
            What::Attempt(_, id) => id.clone(),
            What::Pending(key) => key.as_str().to_owned(),
            What::Target(name) => name.clone(),
        };
        let (now, clock) = (self.now(), self.clock());
        let mut look = self.docker.inspect(&reference, clock, now.at);
        let is_late = now.at.0 - ask.asked_at > FACTS_MAX_MS;
        if is_late && matches!(ask.what, What::Intent(_)) {
            look = Look::Unavailable {
                why: "inspect timed out after 100 ms".into(),
            };
        } else if matches!(look, Look::Found(_)) {
            self.overlook_parents(&mut look);
            let is_done = |facts: &Facts| facts.parents.iter().any(|p| p.seen == Seen::Done);
            if matches!(&look, Look::Found(facts) if is_done(facts)) {
                self.totals.count("parent done");
            }
            self.recent.insert(reference, (self.t, look.clone()));
        }
        if matches!(
            ask.what,
            What::Attempt(..) | What::Pending(_) | What::Target(_)
        ) && self.rng.chance(self.options.loses)
        {
            self.totals.count("lost");
            return;
        }
        // What was read may be old when it is there.
        let slow = self.rng.chance(self.options.slow);
        let wait = self.rng.range(0, if slow { 2_000 } else { 3 });
        self.after(wait, Event::Arrive(ask, Box::new(look)));
    }

    pub(super) fn arrive(&mut self, ask: &Look2, look: &Look) {
        let now = self.now();
        if ask.epoch != self.exec.epoch || self.exec.policy.is_none() {
            if let What::Intent(index) = ask.what {
                self.send_again(index);
            }
            return;
        }
        let Some(policy) = self.exec.asked() else {
            return;
        };
        let fresh = Some((look, ask.asked_at));
        let step =
            match &ask.what {
                What::Intent(index) => {
                    let input = self.intents[*index].input.clone();
                    let arrived = Timestamp(ask.asked_at);
                    if matches!(look, Look::Unavailable { .. }) {
                        self.totals.count("no facts");
                    }
                    let step = timed(|| policy.handle_intent(now, arrived, &input, look));
                    let model = self.model();
                    model.check_intent(arrived, &input, look, step.as_ref());
                    match step {
                        Some(step) => return self.decided(*index, &step, look, ask.asked_at),
                        None => panic!("answers: facts read after the intent came are fresh"),
                    }
                }
                What::Request(request) => {
                    let step = timed(|| policy.handle_request(now, request, look));
                    self.model().check_request(request, look, &step);
                    let _ = self.perform(&step, fresh);
                    return;
                }
                What::Attempt(attempt, _) => {
                    self.attempt_looks.insert(*attempt, look.clone());
                    if matches!(look, Look::Unavailable { .. }) {
                        self.away_wall_ms.insert(*attempt, now.wall_ms);
                    }
                    self.seen.looked(now, *attempt, look);
                    let step = timed(|| policy.handle_attempt_look(now, *attempt, look));
                    Model::new(&self.exec.history.records, &self.exec.config, now)
                        .check_attempt_look(&mut self.seen, *attempt, look, &step);
                    step
                }
                What::Target(name) => {
                    let step = timed(|| policy.handle_target_look(now, name, look));
                    Model::new(&self.exec.history.records, &self.exec.config, now)
                        .check_target_look(&mut self.seen, name, look, &step);
                    step
                }
                What::Pending(key) => {
                    let step = timed(|| policy.handle_pending_look(now, key, look));
                    // What Docker does not answer is asked for ever more rarely, and what
                    // waits for a parent now and then.
                    let waits = self.model().waits_for_parent(key) && step.entries.is_empty();
                    let free_at = now.at.plus(match look {
                        Look::Unavailable { .. } => 30_000,
                        _ if waits => 5_000,
                        _ => 1_000,
                    });
                    self.looked.insert(key.clone(), Some(free_at));
                    self.model().check_pending_look(key, look, &step);
                    step
                }
            };
        if self.perform(&step, fresh) == Err(Stop::Disk)
            && let What::Attempt(attempt, _) = ask.what
            && let Some(policy) = self.exec.asked()
        {
            // Never on the same facts again: a later look brings fresh ones.
            policy.handle_unwritten(now, attempt);
        }
    }

    pub(super) fn called(&mut self, answer: &Answer) {
        let now = self.now();
        if answer.epoch != self.exec.epoch {
            return;
        }
        let Some(policy) = self.exec.asked() else {
            return;
        };
        let step = timed(|| policy.handle_called(now, answer.attempt, &answer.called));
        self.model()
            .check_called(&self.seen, answer.attempt, &answer.called, &step);
        let is_exec = self.model().is_at_exec(answer.attempt);
        self.seen
            .called(now, answer.attempt, &answer.called, is_exec);
        if self.perform(&step, None) == Err(Stop::Disk) {
            self.after(1_000, Event::Called(answer.clone()));
        }
    }

    /// Journal, answer, actions; dies in between where the seed says so.
    pub(super) fn perform(&mut self, step: &Step, fresh: Option<(&Look, u64)>) -> Result<(), Stop> {
        let now = self.now();
        if *step != Step::default() {
            self.note(&format_args!("{step:?}"));
        }
        let faults = Faults {
            dies: self.options.dies,
            disk: self.options.disk,
            compacts: self.options.compacts,
        };
        self.check_step(step, fresh);
        if let Err(stop) = self.exec.commit(&mut self.rng, faults, now, step) {
            self.stopped(stop);
            return Err(stop);
        }
        self.tally(step);
        for entry in &step.entries {
            self.seen.written(now.at, entry);
            self.edges_of(entry);
        }
        for action in &step.actions {
            if self.rng.chance(self.options.dies) {
                self.stopped(Stop::Died);
                // It was written: whoever asked may have been answered or not.
                return Err(Stop::Died);
            }
            self.act(action);
        }
        let next = self.exec.policy.as_ref().and_then(|p| p.poll_timeout());
        let model = self.model();
        let again = Timestamp(self.unwritten_at + 1_000);
        model.check_wake(self.begun_at.max(again), &self.looked, next);
        model.check_attempts_wake(&self.seen, next);
        Ok(())
    }

    pub(super) fn stopped(&mut self, stop: Stop) {
        if stop == Stop::Disk {
            self.unwritten_at = self.now().at.0;
            self.totals.count("disk");
            return;
        }
        self.totals.count("died");
        self.docker.forget_signals();
        let is_power_cut = self.rng.chance(self.options.power);
        if is_power_cut {
            self.totals.count("power cut");
            self.exec.power_cut();
            let clock = self.clock();
            self.docker.power_cut(&mut self.rng, clock);
        } else {
            self.exec.die();
        }
        let wait = if self.rng.chance(100) {
            self.rng.range(60_000, 600_000)
        } else {
            self.rng.range(10, 30_000)
        };
        // The wall clock was behind at boot: nobody knows how long it was off.
        let is_behind = is_power_cut && self.rng.chance(200);
        let stood_still_ms = if is_behind {
            self.rng.range(1, wait)
        } else {
            0
        };
        self.after(wait, Event::Boot { stood_still_ms });
    }

    pub(super) fn act(&mut self, action: &Action) {
        match action {
            Action::LookForAttempt {
                attempt,
                container_id,
            } => {
                self.seen.look_out(*attempt);
                self.ask(What::Attempt(*attempt, container_id.clone()));
            }
            Action::LookForTarget { target } => {
                self.seen.target_look_out(target);
                self.ask(What::Target(target.clone()));
            }
            Action::LookForPending { key } => {
                self.looked.insert(key.clone(), None);
                self.ask(What::Pending(key.clone()));
            }
            Action::Call {
                attempt,
                call,
                container_id,
                wait_ms,
                exec,
            } => self.call(*attempt, (*call, exec.as_ref()), container_id, *wait_ms),
            Action::Tell(_) => {}
        }
    }

    pub(super) fn call(
        &mut self,
        attempt: AttemptId,
        (call, exec): (Call, Option<&Exec>),
        id: &str,
        wait_ms: u64,
    ) {
        let epoch = self.exec.epoch;
        let is_safe = self.exec.is_on_disk(attempt);
        assert!(is_safe, "act: under a charge that a power cut may take");
        let at = self.now().at.0;
        let is_stopped = |c: &&Container| c.id == id && c.is_down_for_good;
        let stopped = self.docker.containers.values().find(is_stopped);
        let starts = matches!(call, Call::Start | Call::Restart);
        if let Some(container) = stopped.filter(|_| starts) {
            self.check_stopped(container, attempt);
        }
        self.exec.history.calls.push(Made {
            at,
            attempt,
            call,
            exec: exec.cloned(),
        });
        self.totals.count(match call {
            Call::Restart => "restart",
            Call::Start => "start",
            Call::Stop => "stop",
            Call::Exec => "exec",
        });
        let clock = self.clock();
        let who = (epoch, attempt);
        let answer = self
            .docker
            .call(&mut self.rng, &self.options, clock, who, (call, exec), id);
        let number = self.exec.history.calls.len() as u64;
        self.calls_out.insert(who, number);
        if let Some(answer) = answer {
            return self.called_soon(vec![answer]);
        }
        // A command is out of its own time before the client is out of its.
        let (wait_ms, called) = match exec {
            Some(exec) => (
                exec.timeout_ms,
                Called::Failed {
                    why: "out of time".into(),
                },
            ),
            None => (
                wait_ms,
                Called::Unclear {
                    why: "timed out".into(),
                },
            ),
        };
        let call = number;
        self.after(wait_ms, Event::TimeOut { who, call, called });
    }

    /// Nothing can be learnt of some parents in time.
    fn overlook_parents(&mut self, look: &mut Look) {
        if let Look::Found(facts) = look
            && !facts.parents.is_empty()
            && self.rng.chance(self.options.means.blind)
        {
            // First looks have little time; what longer ones do not show is given up.
            let (rng, later) = (&mut self.rng, &mut self.later);
            let mut unseen = 0;
            facts.parents.retain_mut(|parent| {
                let is_seen = rng.chance(500);
                let is_known = is_seen || later.chance(700);
                if is_known && !is_seen {
                    parent.seen = Seen::Unknown;
                    unseen += 1;
                }
                is_known
            });
            self.totals.count_many("parent unseen", unseen);
        }
    }

    pub(super) fn called_soon(&mut self, answers: Vec<Answer>) {
        for answer in &answers {
            self.calls_out.remove(&(answer.epoch, answer.attempt));
        }
        self.answers.extend(answers);
        while let Some(answer) = self.answers.pop_front() {
            let wait = self.rng.range(0, 3);
            self.after(wait, Event::Called(answer));
        }
    }
}
