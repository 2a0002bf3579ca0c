//! What must become of an open attempt when its container is looked at: the table
//! of `docs/guarantees.md`, line by line, and the watch that follows a restart.

use std::collections::BTreeMap;

use policy::{
    Action, AttemptId, Call, Called, Cause, Charge, ContainerState, Entry, ExecEnd, Facts, Gate,
    HealthStatus, Look, Now, OnRefusal, Outcome, Pending, Remedy, RuleRemedy, Sign, Step,
    Timestamp, WallTime,
};

use super::Model;
use super::course::{Course, Kind, Watched, executed_of, next_of};
use super::decide::pending_of;
use super::gates::{Match, Question, Refusal};
use super::storm::SeenTarget;
use crate::check::wall_ms;

/// Docker may say nothing about an open attempt for so long, ms.
const SILENCE_MAX_MS: u64 = 600_000;

/// What one process has seen of open attempts, beside what is on record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    of: BTreeMap<AttemptId, One>,
    /// Targets that are held, or in a storm.
    pub(super) targets: BTreeMap<String, SeenTarget>,
}

#[derive(Debug, Clone)]
struct One {
    /// Older facts are from before what was done last.
    facts_from: Timestamp,
    /// Charged by an earlier process.
    is_resumed: bool,
    is_calling: bool,
    is_queued: bool,
    is_done: bool,
    is_refused: bool,
    silent_since: Option<Timestamp>,
    away: Option<(Timestamp, u64)>,
    /// None while a look is out.
    looked_at: Option<Timestamp>,
    /// When what it stands on was last said to be over.
    cleared: Option<WallTime>,
}

impl Seen {
    /// A new process has read the records.
    pub(crate) fn boot(model: &Model<'_>) -> Self {
        let past = model.past;
        let open = past
            .charges()
            .filter(|(_, c)| !c.shadow && past.outcome(c.attempt).is_none());
        let of = open.map(|(_, c)| (c.attempt, One::new(model.now.at, true)));
        Self {
            of: of.collect(),
            targets: BTreeMap::new(),
        }
    }

    pub(crate) fn written(&mut self, at: Timestamp, entry: &Entry) {
        self.target_written(entry);
        match entry {
            Entry::Charge(charge) if !charge.shadow => {
                self.of.insert(charge.attempt, One::new(at, false));
            }
            Entry::Sent { attempt, .. } => {
                if let Some(one) = self.of.get_mut(attempt) {
                    one.facts_from = at;
                    one.is_calling = true;
                    (one.is_done, one.is_refused, one.away) = (false, false, None);
                }
            }
            Entry::Restarted { attempt, .. } => {
                if let Some(one) = self.of.get_mut(attempt) {
                    one.silent_since = None;
                }
            }
            Entry::Executed { attempt, .. } => {
                if let Some(one) = self.of.get_mut(attempt) {
                    one.facts_from = at;
                    one.silent_since = None;
                    one.looked_at = Some(at);
                }
            }
            Entry::NextMeasure {
                attempt, refired, ..
            } => {
                let cleared = self.of.get(attempt).and_then(|one| one.cleared);
                let mut one = One::new(at, false);
                one.cleared = cleared.filter(|_| !refired);
                self.of.insert(*attempt, one);
            }
            Entry::Outcome { attempt, .. } => {
                self.of.remove(attempt);
            }
            _ => {}
        }
    }

    pub(crate) fn look_out(&mut self, attempt: AttemptId) {
        if let Some(one) = self.of.get_mut(&attempt) {
            (one.is_queued, one.is_calling) = (false, false);
            one.looked_at = None;
        }
    }

    pub(crate) fn called(&mut self, now: Now, attempt: AttemptId, called: &Called, is_exec: bool) {
        if let Some(one) = self.of.get_mut(&attempt).filter(|one| one.is_calling) {
            one.is_calling = false;
            one.facts_from = now.at;
            if is_exec {
                // Should its end not be written, a look is taken to be out.
                one.looked_at = None;
            }
            one.is_done |= *called == Called::Done;
            one.is_refused |= matches!(called, Called::Refused { .. });
        }
    }

    /// Takes note of a look before the policy has it.
    pub(crate) fn looked(&mut self, now: Now, attempt: AttemptId, look: &Look) {
        let Some(one) = self.of.get_mut(&attempt) else {
            return;
        };
        one.looked_at = Some(now.at);
        if one.is_calling || one.is_queued {
            return;
        }
        match look {
            Look::Unavailable { .. } => {
                one.silent_since.get_or_insert(now.at);
                one.away = Some((now.at, now.wall_ms));
            }
            Look::Found(facts) if facts.read_at < one.facts_from => {}
            _ => one.silent_since = None,
        }
    }

    /// A watch says that all is well.
    pub(crate) fn cleared(&mut self, model: &Model<'_>, id: &str, rule: &str, found: WallTime) {
        for (attempt, one) in &mut self.of {
            let (_, charge) = model.past.charge(*attempt).expect("it was charged");
            let is_meant = charge.container_id == id
                && matches!(&charge.cause, Cause::Match { rule: its, .. } if its == rule);
            if is_meant {
                one.cleared = Some(found);
            }
        }
    }

    fn calls(&self) -> usize {
        self.of.values().filter(|one| one.is_calling).count()
    }
}

impl One {
    fn new(at: Timestamp, is_resumed: bool) -> Self {
        Self {
            facts_from: at,
            is_resumed,
            is_calling: false,
            is_queued: false,
            is_done: false,
            is_refused: false,
            silent_since: None,
            away: None,
            looked_at: None,
            cleared: None,
        }
    }
}

/// What must follow from a look.
#[derive(Debug, Clone, PartialEq)]
enum Next {
    Nothing,
    Send(Call),
    /// The restart is done; the watch begins.
    Done(WallTime),
    /// It is done, and over already.
    Fell(Box<Next>),
    /// A command's end.
    Executed(ExecEnd),
    /// The next measure is taken, from this place of the plan.
    Measure(usize),
    End(End),
}

#[derive(Debug, Clone, PartialEq)]
struct End {
    outcome: Outcome,
    gate: Option<Gate>,
    /// A person has to look.
    is_held: bool,
    /// What the match asked for is decided again then.
    again: Option<(Gate, Timestamp)>,
}

fn end(outcome: Outcome) -> End {
    End {
        outcome,
        gate: None,
        is_held: false,
        again: None,
    }
}

fn aborted(gate: Gate) -> Next {
    Next::End(End {
        gate: Some(gate),
        ..end(Outcome::Aborted)
    })
}

fn held(outcome: Outcome) -> Next {
    Next::End(End {
        is_held: true,
        ..end(outcome)
    })
}

impl Model<'_> {
    /// `seen` before the step is written.
    pub(crate) fn check_attempt_look(
        &self,
        seen: &mut Seen,
        id: AttemptId,
        look: &Look,
        step: &Step,
    ) {
        let calls = seen.calls();
        let open = self.past.outcome(id).is_none();
        let Some(one) = seen.of.get_mut(&id).filter(|_| open) else {
            assert!(step.entries.is_empty(), "model: attempt {id} has ended");
            return;
        };
        if one.is_calling || one.is_queued {
            assert!(
                step.entries.is_empty(),
                "model: attempt {id} is being called"
            );
            return;
        }
        if let Look::Found(facts) = look
            && facts.read_at < one.facts_from
        {
            assert!(step.entries.is_empty(), "model: acts on facts from before");
            let looks =
                |a: &Action| matches!(a, Action::LookForAttempt { attempt, .. } if *attempt == id);
            assert!(step.actions.iter().any(looks), "model: looks again");
            return;
        }
        let (_, charge) = self.past.charge(id).expect("it was charged");
        let course = self.past.course(id);
        let next = match course.watched {
            Some(_) => self.watch(one, charge, &course, look),
            // Its end was lost: it is not run again, whatever is there.
            None if course.kind(charge) == Kind::Exec && !course.sent.is_empty() => {
                Next::Executed(ExecEnd::Unknown)
            }
            None => self.table(one, &course, charge, look),
        };
        let first = first_call(&course, charge);
        let next = match (next, look) {
            (Next::Send(call), Look::Found(facts)) if call == first => {
                let parallel = self.past.config.attempts_parallel.max(1) as usize;
                match self.before_acting(charge, facts) {
                    Some((gate, until)) => Next::End(End {
                        gate: Some(gate),
                        again: until.map(|until| (gate, until)),
                        ..end(Outcome::Aborted)
                    }),
                    None if calls >= parallel => {
                        one.is_queued = true;
                        Next::Nothing
                    }
                    None => Next::Send(call),
                }
            }
            (next, _) => next,
        };
        self.compare(one, charge, look, &next, step);
    }

    fn compare(&self, one: &One, charge: &Charge, look: &Look, next: &Next, step: &Step) {
        let id = charge.attempt;
        match next {
            Next::Nothing => assert!(
                step.entries.is_empty(),
                "model: attempt {id} has to wait: {:?}",
                step.entries
            ),
            Next::Send(call) => {
                let mark = Entry::Sent {
                    attempt: id,
                    call: *call,
                };
                assert_eq!(step.entries, [mark], "model: attempt {id}");
            }
            Next::Done(started_at) => {
                let done = Entry::Restarted {
                    attempt: id,
                    started_at: *started_at,
                };
                assert_eq!(step.entries.first(), Some(&done), "model: attempt {id}");
                let course = Course {
                    watched: Some(Watched {
                        at: self.now.at,
                        wall_ms: self.now.wall_ms,
                        started_at: *started_at,
                        by_exec: false,
                    }),
                    ..self.past.course(id)
                };
                match self.watch(one, charge, &course, look) {
                    Next::End(end) => self.compare_end(charge, &end, step),
                    Next::Nothing => {
                        assert_eq!(step.entries.len(), 1, "model: the watch begins");
                    }
                    next => panic!("model: {next:?} of what has just begun"),
                }
            }
            Next::Fell(next) => {
                let done = |entry: &Entry| matches!(entry, Entry::Restarted { .. });
                assert!(step.entries.iter().any(done), "model: it was restarted");
                self.compare(one, charge, look, next, step);
            }
            Next::Executed(end) => {
                assert_eq!(
                    executed_of(&step.entries),
                    Some(*end),
                    "model: how attempt {id}'s command ended"
                );
                assert_eq!(step.entries.len(), 1, "model: a command's end");
            }
            Next::Measure(place) => {
                let got = next_of(&step.entries, id);
                assert_eq!(got, Some(*place), "model: attempt {id} goes on");
                assert_eq!(step.entries.len(), 1, "model: attempt {id} goes on");
            }
            Next::End(end) => self.compare_end(charge, end, step),
        }
    }

    fn compare_end(&self, charge: &Charge, end: &End, step: &Step) {
        let id = charge.attempt;
        let got = step.entries.iter().find_map(|entry| match entry {
            Entry::Outcome {
                attempt,
                outcome,
                gate,
                ..
            } if *attempt == id => Some((*outcome, *gate)),
            _ => None,
        });
        assert_eq!(
            got,
            Some((end.outcome, end.gate)),
            "model: attempt {id} ends"
        );
        let uncured = matches!(end.outcome, Outcome::Relapsed | Outcome::Failed);
        let recovery = self.past.config.target(&charge.target).recovery;
        let gives_up = uncured && self.past.uncured(&charge.target) + 1 >= recovery.max_attempts;
        let is_held = step
            .entries
            .iter()
            .any(|entry| matches!(entry, Entry::Held { target, .. } if *target == charge.target));
        let must_hold = end.is_held || gives_up;
        assert_eq!(is_held, must_hold, "model: held after attempt {id}");
        let begins = |entry: &Entry| matches!(entry, Entry::Storm { .. });
        let got = step.entries.iter().any(begins);
        let want = self.storm_after(&charge.target, end.outcome, must_hold);
        assert_eq!(got, want, "model: a storm after attempt {id}");
        let is_match = matches!(charge.cause, Cause::Match { .. });
        let drops = self.past.config.on_refusal == OnRefusal::Drop;
        let failed = end.outcome == Outcome::Failed && !must_hold;
        let again = match end.again {
            None if failed => {
                let (at, _) = self.past.charge(id).expect("it was charged");
                let over = at.plus(charge.limits.cooldown_ms);
                Some((Gate::Cooldown, over.max(self.now.at.plus(1_000))))
            }
            again => again,
        };
        let is_kept = |gate: Gate| !drops || matches!(gate, Gate::Storm | Gate::Dependency);
        let again = again.filter(|(gate, _)| is_match && is_kept(*gate));
        let pending = pending_of(step).map(|pending| (pending.gate, pending.due));
        assert_eq!(pending, again, "model: decided again after attempt {id}");
    }

    /// The gates whose word may have changed since the charge.
    fn before_acting(&self, charge: &Charge, facts: &Facts) -> Option<Refusal> {
        let matched = match &charge.cause {
            Cause::Person => None,
            Cause::Match {
                rule, line, sign, ..
            } => Some(Match {
                rule,
                remedy: RuleRemedy::Restart,
                is_charged: true,
                line: *line,
                sign: *sign,
                threshold: None,
                times: Vec::new(),
                counted_as: None,
                is_arrival: false,
                is_news: false,
            }),
        };
        let question = Question {
            past: self.past,
            now: self.now,
            facts,
            matched,
            wire_id: Some(&charge.container_id),
        };
        let refusal = question.by_container().or_else(|| question.by_pause());
        let refusal = refusal.or_else(|| question.by_hold());
        let refusal = refusal.or_else(|| question.by_parents());
        let refusal = refusal.or_else(|| question.by_storm());
        let is_dry_run = self.past.settings(facts).is_dry_run;
        refusal.or(is_dry_run.then_some((Gate::DryRun, None)))
    }

    fn table(&self, one: &One, course: &Course, charge: &Charge, look: &Look) -> Next {
        let now = self.now.at;
        let sent = &course.sent;
        let kind = course.kind(charge);
        let facts = match look {
            Look::Found(facts) if facts.id == charge.container_id => facts,
            Look::Found(_) => return aborted(Gate::NotRunning),
            Look::Gone => return aborted(Gate::UnknownTarget),
            Look::Unavailable { .. } => {
                let silent_ms = one.silent_since.map_or(0, |since| now.since(since));
                return match (silent_ms >= SILENCE_MAX_MS, sent.is_empty(), one.is_done) {
                    (false, ..) => Next::Nothing,
                    (true, true, _) => uncured(course, charge, Outcome::Failed, false),
                    (true, false, true) => Next::End(end(Outcome::Unknown)),
                    (true, false, false) => held(Outcome::Unknown),
                };
            }
        };
        if kind == Kind::Start {
            return self.table_of_ended(one, charge, course, facts);
        }
        let is_running = facts.state == ContainerState::Running;
        let is_anew = facts.started_at.is_some_and(|at| at != charge.started_at);
        // An earlier process can have done nothing but restart it.
        let is_untouched = sent.is_empty() && !(one.is_resumed && kind == Kind::Restart);
        if is_untouched && !is_running {
            return aborted(Gate::NotRunning);
        }
        if is_untouched && is_anew {
            return aborted(Gate::Stale);
        }
        let waited = match sent.last() {
            Some((_, at, _)) => at.plus(charge.stop_wait_ms),
            None => course.begun.plus(charge.stop_wait_ms),
        };
        if kind == Kind::Stop && !sent.is_empty() {
            return match facts.state {
                ContainerState::Exited | ContainerState::Dead | ContainerState::Created => {
                    held(Outcome::Stopped)
                }
                ContainerState::Running if is_anew => Next::End(end(Outcome::Unknown)),
                ContainerState::Running => self.once_more(one, course, charge, Call::Stop, waited),
                _ if now < waited => Next::Nothing,
                _ => held(Outcome::Unknown),
            };
        }
        match (facts.state, is_anew) {
            (ContainerState::Running, true) => Next::Done(facts.started_at.expect("it runs")),
            (ContainerState::Running, false) if sent.is_empty() => {
                Next::Send(first_call(course, charge))
            }
            (ContainerState::Running, false) => {
                self.once_more(one, course, charge, Call::Restart, waited)
            }
            (_, true) if one.is_done => fell(course, charge),
            (ContainerState::Exited, false) if stopped_by_us(one, charge, sent, facts) => {
                let back = one.away.map(|(at, _)| at.plus(charge.stop_wait_ms));
                let waited = waited.max(back.unwrap_or_default());
                self.once_more(one, course, charge, Call::Start, waited)
            }
            // Our late call, or a person's stop after it: nothing tells which.
            (ContainerState::Exited, true) if stopped_by_us(one, charge, sent, facts) => {
                if now < waited {
                    Next::Nothing
                } else {
                    held(Outcome::Unknown)
                }
            }
            (ContainerState::Exited, _) => aborted(Gate::NotRunning),
            _ if now < waited => Next::Nothing,
            _ => held(Outcome::Unknown),
        }
    }

    /// The table for what had ended by itself.
    fn table_of_ended(&self, one: &One, charge: &Charge, course: &Course, facts: &Facts) -> Next {
        let sent = &course.sent;
        let is_anew = facts.started_at.is_some_and(|at| at != charge.started_at);
        let Some((_, at, _)) = sent.last() else {
            return match facts.state {
                ContainerState::Exited if !is_anew => Next::Send(Call::Start),
                _ => aborted(Gate::NotEnded),
            };
        };
        let waited = at.plus(charge.stop_wait_ms);
        match (facts.state, is_anew) {
            (ContainerState::Running, true) => Next::Done(facts.started_at.expect("it runs")),
            (ContainerState::Running, false) => aborted(Gate::NotEnded),
            (ContainerState::Exited, true) => fell(course, charge),
            (ContainerState::Exited, false) => {
                let refused = one.is_refused.then_some(Timestamp(0));
                self.once_more(one, course, charge, Call::Start, refused.unwrap_or(waited))
            }
            _ if self.now.at < waited => Next::Nothing,
            _ => held(Outcome::Unknown),
        }
    }

    /// Another call once the wait is over, but no third of a kind.
    fn once_more(
        &self,
        one: &One,
        course: &Course,
        charge: &Charge,
        call: Call,
        waited: Timestamp,
    ) -> Next {
        let made = course
            .sent
            .iter()
            .filter(|(made, ..)| *made == call)
            .count();
        if self.now.at < waited {
            Next::Nothing
        } else if made < 2 {
            Next::Send(call)
        } else if one.is_refused {
            let is_persons = course.is_before_person(charge);
            Next::End(End {
                is_held: call == Call::Start || is_persons,
                ..end(Outcome::Failed)
            })
        } else {
            held(Outcome::Unknown)
        }
    }

    /// Success is never what the engine says.
    fn watch(&self, one: &One, charge: &Charge, course: &Course, look: &Look) -> Next {
        let now = self.now.at;
        let watched = course.watched.expect("it is watched");
        let (restarted_at, started_at) = (watched.at, watched.started_at);
        let recovery = self.past.config.target(&charge.target).recovery;
        let stable_at = restarted_at.plus(recovery.stable_for_ms);
        let is_stable = now >= stable_at;
        let facts = match look {
            Look::Found(facts) if facts.id == charge.container_id => facts,
            Look::Found(_) | Look::Gone => return Next::End(end(Outcome::Unknown)),
            Look::Unavailable { .. } => {
                let silent_ms = one.silent_since.map_or(0, |since| now.since(since));
                if is_stable && silent_ms >= SILENCE_MAX_MS {
                    return Next::End(end(Outcome::Unknown));
                }
                return Next::Nothing;
            }
        };
        match facts.state {
            ContainerState::Running if facts.started_at != Some(started_at) => {
                return match facts.started_at {
                    // By the command.
                    Some(anew) if watched.by_exec => Next::Done(anew),
                    _ => uncured(course, charge, Outcome::Relapsed, false),
                };
            }
            ContainerState::Running => {}
            ContainerState::Paused | ContainerState::Removing => {
                return Next::End(end(Outcome::Unknown));
            }
            _ => return uncured(course, charge, Outcome::Relapsed, false),
        }
        // A command does not stop the watch: what that finds after the match counts.
        let since = match &charge.cause {
            Cause::Match { line, .. } if watched.by_exec => *line,
            _ => started_at,
        };
        match facts.health.map(|health| (health.status, health)) {
            // After a command its check needs time to find it cured.
            Some((HealthStatus::Unhealthy, health))
                if watched.by_exec
                    && now < stable_at.max(restarted_at.plus(2 * health.interval_ms)) =>
            {
                Next::Nothing
            }
            Some((HealthStatus::Unhealthy, _)) => uncured(course, charge, Outcome::Relapsed, true),
            None | Some((HealthStatus::Healthy, _)) if is_stable => {
                let clear_by = match &charge.cause {
                    Cause::Match {
                        sign: Sign::Watched { clear_within_ms },
                        ..
                    } if one.cleared.is_none_or(|at| at.is_before(since)) => {
                        Some(restarted_at.plus(*clear_within_ms))
                    }
                    _ => None,
                };
                match clear_by {
                    _ if self.is_in_doubt(charge, watched.since()) => Next::Nothing,
                    None => Next::End(end(Outcome::Recovered)),
                    Some(clear_by) if now < clear_by => Next::Nothing,
                    Some(_) => uncured(course, charge, Outcome::Unknown, true),
                }
            }
            Some((HealthStatus::Starting, health)) => {
                let patience_ms = health.start_period_ms + 3 * health.interval_ms;
                let is_over = is_stable && now >= restarted_at.plus(patience_ms);
                if is_over {
                    uncured(course, charge, Outcome::Unknown, true)
                } else {
                    Next::Nothing
                }
            }
            _ => Next::Nothing,
        }
    }

    /// A match since the restart waits for facts or for its confirmation.
    fn is_in_doubt(&self, charge: &Charge, since: WallTime) -> bool {
        let pendings = self.past.pendings();
        let heals = |p: &Pending| {
            let remedy = self.past.wanted(&charge.target, &p.rule, p.remedy, p.sign);
            matches!(remedy, Remedy::Heal(_))
        };
        let mut all = pendings.values().map(|waiting| waiting.entry);
        all.any(|pending| {
            let id = pending.container_id.as_deref();
            id.is_some_and(|id| charge.container_id.starts_with(id))
                && [Gate::NoFacts, Gate::Unconfirmed].contains(&pending.gate)
                && heals(pending)
                && !pending.line.is_before(since)
                && !self.past.config.shadow_rules.contains(&pending.rule)
        })
    }

    /// A command's end follows from the engine's answer; all else from looks alone.
    pub(crate) fn check_called(&self, seen: &Seen, id: AttemptId, called: &Called, step: &Step) {
        let one = seen.of.get(&id).filter(|one| one.is_calling);
        let Some(one) = one.filter(|_| self.is_at_exec(id)) else {
            assert!(step.entries.is_empty(), "model: an answer decides");
            return;
        };
        let (_, charge) = self.past.charge(id).expect("it was charged");
        let course = self.past.course(id);
        let next = match called {
            Called::Done => Next::Executed(ExecEnd::Done),
            Called::Unclear { .. } => Next::Executed(ExecEnd::Unknown),
            Called::Failed { .. } | Called::Refused { .. } => {
                uncured(&course, charge, Outcome::Failed, true)
            }
        };
        self.compare(one, charge, &Look::Gone, &next, step);
    }

    /// Whether an open attempt's measure is a command.
    pub(crate) fn is_at_exec(&self, id: AttemptId) -> bool {
        let charge = self
            .past
            .charge(id)
            .filter(|_| self.past.outcome(id).is_none());
        charge.is_some_and(|(_, charge)| self.past.course(id).kind(charge) == Kind::Exec)
    }

    /// Every open attempt is looked at again before long, unless a call is out.
    pub(crate) fn check_attempts_wake(&self, seen: &Seen, next: Option<Timestamp>) {
        for (id, one) in &seen.of {
            let Some(looked_at) = one.looked_at else {
                continue;
            };
            if one.is_calling || one.is_queued {
                continue;
            }
            let at = looked_at.plus(30_000).max(self.now.at);
            assert!(
                next.is_some_and(|next| next <= at),
                "model: nobody looks after attempt {id}: {next:?}"
            );
        }
    }
}

/// An engine that went away in the middle of our call ends the container when it
/// is back.
fn stopped_by_us(
    one: &One,
    charge: &Charge,
    sent: &[(Call, Timestamp, u64)],
    facts: &Facts,
) -> bool {
    let Some(finished_ms) = facts.finished_at.map(wall_ms) else {
        return false;
    };
    sent.iter().any(|(call, _, sent_ms)| {
        let last_ms = one.away.map_or(*sent_ms, |(_, away)| away.max(*sent_ms));
        let ours = *sent_ms..=last_ms + charge.stop_wait_ms;
        *call == Call::Restart && ours.contains(&finished_ms)
    })
}

fn first_call(course: &Course, charge: &Charge) -> Call {
    match course.kind(charge) {
        Kind::Restart => Call::Restart,
        Kind::Start => Call::Start,
        Kind::Stop => Call::Stop,
        Kind::Exec => Call::Exec,
    }
}

/// It did not cure: the next measure, where there is one and the container `is_meant`
/// still; or a person's turn.
fn uncured(course: &Course, charge: &Charge, outcome: Outcome, is_meant: bool) -> Next {
    match course.next(charge) {
        _ if course.is_before_person(charge) => held(outcome),
        Some(next) if is_meant => Next::Measure(next),
        _ => Next::End(end(outcome)),
    }
}

fn fell(course: &Course, charge: &Charge) -> Next {
    Next::Fell(Box::new(uncured(course, charge, Outcome::Relapsed, false)))
}
