//! What must hold, judged from the outside over everything that happened. No
//! cleverness here: lists are walked, nothing is kept up to date.

use std::collections::{BTreeMap, BTreeSet};

use policy::{
    AttemptId, Call, Cause, Charge, Config, ContainerState, Entry, Exec, Facts, Look, Outcome,
    Record, Sign, WallTime,
};

use crate::measures::check_calls_of;

/// All that was written and not lost with the power, and all that was done.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) records: Vec<Record>,
    /// What was written to journals that turned out to be damaged later.
    pub(crate) before: Vec<Record>,
    /// As they went out.
    pub(crate) calls: Vec<Made>,
}

/// A call that went out.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) at: u64,
    pub(crate) attempt: AttemptId,
    pub(crate) call: Call,
    /// The command, where it is one.
    pub(crate) exec: Option<Exec>,
}

impl History {
    fn charges(&self) -> Vec<(u64, &Charge)> {
        self.records
            .iter()
            .filter_map(|record| match &record.entry {
                Entry::Charge(charge) => Some((record.at.0, charge)),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn charge(&self, attempt: AttemptId) -> Option<&Charge> {
        let mut charges = self
            .records
            .iter()
            .filter_map(|record| match &record.entry {
                Entry::Charge(charge) => Some(charge),
                _ => None,
            });
        charges.find(|charge| charge.attempt == attempt)
    }

    pub(crate) fn charges_of(&self, name: &str) -> usize {
        let charges = self.charges();
        charges.iter().filter(|(_, c)| c.target == name).count()
    }

    pub(crate) fn restarts_sent_wall_ms(&self, of: AttemptId) -> Vec<u64> {
        let sent = |record: &Record| match record.entry {
            Entry::Sent {
                attempt,
                call: Call::Restart,
            } if attempt == of => Some(record.wall_ms),
            _ => None,
        };
        self.records.iter().filter_map(sent).collect()
    }

    /// Invariant 1, by the limits that were in force for each charge; damaged
    /// journals and imported restarts count.
    pub(crate) fn check_limits(&self, config: &Config) {
        // (when, whose, a dry run's)
        let mut spent: Vec<(u64, &str, bool)> = Vec::new();
        let mut damaged = 0;
        for record in self.before.iter().chain(&self.records) {
            let charge = match &record.entry {
                Entry::Charge(charge) => charge,
                Entry::Imported {
                    target,
                    restarted_at,
                } => {
                    spent.push((restarted_at.0, target, false));
                    continue;
                }
                Entry::FailClosed { .. } => {
                    damaged = spent.len();
                    continue;
                }
                // A person has said that what was before does not matter.
                Entry::FailClosedEnded => {
                    spent.drain(..damaged);
                    damaged = 0;
                    continue;
                }
                _ => continue,
            };
            let at = record.at.0;
            let counted = spent
                .iter()
                .filter(|(_, _, shadow)| charge.shadow || !shadow);
            let own = counted
                .clone()
                .filter(|(_, name, _)| *name == charge.target);
            let own: Vec<u64> = own.map(|(b, ..)| *b).collect();
            let limits = charge.limits;
            if let Some(last) = own.iter().max() {
                assert!(
                    at - last >= limits.cooldown_ms,
                    "budget: two charges of {} within its cooldown: {} ms apart",
                    charge.target,
                    at - last
                );
            }
            let within = own.iter().filter(|b| **b + limits.window_ms > at);
            let count = 1 + within.count();
            assert!(
                count <= limits.max_per_window as usize,
                "budget: {count} charges of {} in its window",
                charge.target
            );
            let host = counted.filter(|(b, ..)| *b + config.host_window_ms > at);
            assert!(
                host.count() < config.host_max as usize,
                "budget: one charge too many on the host"
            );
            spent.push((at, &charge.target, charge.shadow));
        }
    }

    /// Invariants 2 and 3. Ids are kept for `kept_ms`; that `stale` answers
    /// after that is the word of the wall clock, so where that `has_jumped` an
    /// id that comes again later may count again.
    pub(crate) fn check_attempts(&self, is_over: bool, kept_ms: u64, has_jumped: bool) {
        let mut in_progress: BTreeMap<&str, AttemptId> = BTreeMap::new();
        let mut watched: BTreeMap<&str, AttemptId> = BTreeMap::new();
        let mut charged: BTreeMap<AttemptId, &Charge> = BTreeMap::new();
        let mut ended: BTreeMap<AttemptId, Outcome> = BTreeMap::new();
        let mut ids: BTreeSet<&str> = BTreeSet::new();
        let mut last = 0;
        for record in &self.records {
            match &record.entry {
                Entry::Charge(charge) => {
                    assert!(charge.attempt > last, "attempts: numbers do not ascend");
                    last = charge.attempt;
                    charged.insert(charge.attempt, charge);
                    if !charge.shadow {
                        let other = in_progress.insert(&charge.target, charge.attempt);
                        assert_eq!(other, None, "attempts: two of {} at once", charge.target);
                        let earlier = watched.get(&*charge.target);
                        assert_eq!(
                            earlier, None,
                            "attempts: charged while an earlier one was open"
                        );
                    }
                    if let Cause::Match { ids: new, .. } = &charge.cause {
                        for id in new {
                            let again = has_jumped && self.decided_apart(id, kept_ms);
                            assert!(ids.insert(id) || again, "ids: {id} has led to two charges");
                        }
                    }
                }
                Entry::Executed { attempt, .. } => {
                    let charge = charged[attempt];
                    let open = in_progress.remove(&*charge.target);
                    assert_eq!(open, Some(*attempt), "attempts: not in progress");
                    watched.insert(&charge.target, *attempt);
                }
                Entry::Restarted { attempt, .. } => {
                    let charge = charged[attempt];
                    let open = in_progress.remove(&*charge.target);
                    // A command may have made it start anew while it was watched.
                    let open = open.or(watched.get(&*charge.target).copied());
                    assert_eq!(open, Some(*attempt), "attempts: not in progress");
                    watched.insert(&charge.target, *attempt);
                }
                Entry::NextMeasure { attempt, .. } => {
                    let charge = charged[attempt];
                    assert!(!ended.contains_key(attempt), "attempts: one goes on");
                    let open = watched.remove(&*charge.target);
                    let open = open.or(in_progress.get(&*charge.target).copied());
                    assert_eq!(open, Some(*attempt), "attempts: none to go on with");
                    in_progress.insert(&charge.target, *attempt);
                }
                Entry::Outcome {
                    attempt, outcome, ..
                } => {
                    let charge = charged[attempt];
                    in_progress.retain(|_, open| open != attempt);
                    watched.retain(|_, open| open != attempt);
                    let earlier = ended.insert(*attempt, *outcome);
                    assert_eq!(
                        earlier, None,
                        "attempts: {attempt} of {} ends twice",
                        charge.target
                    );
                }
                _ => {}
            }
        }
        if is_over {
            for attempt in charged.keys() {
                assert!(
                    ended.contains_key(attempt),
                    "attempts: {attempt} never ended"
                );
            }
        }
    }

    /// Whether an id was decided or answered twice, so far apart.
    fn decided_apart(&self, of: &str, ms: u64) -> bool {
        let speaks = |record: &&Record| match &record.entry {
            Entry::Decided { id, .. } => id == of,
            Entry::Charge(charge) => match &charge.cause {
                Cause::Match { ids, .. } => ids.iter().any(|id| id == of),
                Cause::Person => false,
            },
            _ => false,
        };
        let mut times = self.records.iter().filter(speaks).map(|record| record.at.0);
        let first = times.next().unwrap_or(0);
        times.any(|at| at - first >= ms)
    }

    /// No call without its charge, none too many (where a power cut has taken no
    /// mark), none after the end.
    pub(crate) fn check_calls(&self, marks_lost: &BTreeSet<AttemptId>) {
        let charges = self.charges();
        let attempts: BTreeSet<AttemptId> = self.calls.iter().map(|made| made.attempt).collect();
        for attempt in attempts {
            let charge = charges.iter().find(|(_, c)| c.attempt == attempt);
            let (_, charge) = charge.expect("calls: a call without a charge");
            assert!(!charge.shadow, "calls: a dry run makes one");
            let of_it = self.calls.iter().filter(|made| made.attempt == attempt);
            let is_sure = !marks_lost.contains(&attempt);
            check_calls_of(charge, &of_it.collect::<Vec<_>>(), is_sure);
        }
        for made in &self.calls {
            let attempt = made.attempt;
            let ends = self.records.iter().find(
                |record| matches!(&record.entry, Entry::Outcome { attempt: a, .. } if *a == attempt),
            );
            if let Some(record) = ends {
                assert!(
                    made.at <= record.at.0,
                    "calls: one after attempt {attempt} has ended"
                );
            }
        }
    }
}

/// What a charge of a match may rest on: fresh facts of a container that runs,
/// may be healed, and has printed the line since its start.
pub(crate) fn check_charge(charge: &Charge, config: &Config, look: &Look, asked_at: u64) {
    let Look::Found(facts) = look else {
        panic!("charge: without facts: {look:?}");
    };
    assert!(facts.read_at.0 >= asked_at, "charge: on old facts");
    assert_eq!(facts.id, charge.container_id, "charge: another container");
    let state = facts.state;
    match ended_at(charge) {
        None => assert_eq!(state, ContainerState::Running, "charge: not running"),
        Some(at) => check_end(at, facts),
    }
    if let Cause::Match { line, .. } = &charge.cause {
        check_line(*line, facts);
        let listed = config.targets.get(&facts.name);
        let label = facts.labels.get("healer.enable").map(String::as_str);
        let labelled = label == Some("true");
        let may = listed.map_or(labelled, |target| {
            target.enabled || labelled && config.labels_may_loosen
        });
        assert!(
            may && label != Some("false"),
            "charge: {} is not enabled",
            facts.name
        );
        let label = facts.labels.get("healer.protect").map(String::as_str);
        let is_loosened = label == Some("false") && config.labels_may_loosen;
        let listed = listed.unwrap_or(&config.defaults).protected && !is_loosened;
        let protected = listed || label == Some("true");
        assert!(!protected, "charge: {} is protected", facts.name);
    }
}

/// When the container ended, where that is what it was charged for.
fn ended_at(charge: &Charge) -> Option<WallTime> {
    match charge.cause {
        Cause::Match {
            line,
            sign: Sign::Ended,
            ..
        } => Some(line),
        _ => None,
    }
}

/// It is down, and by that very end.
fn check_end(at: WallTime, facts: &Facts) {
    assert_eq!(facts.state, ContainerState::Exited, "ended: not down");
    assert_eq!(facts.finished_at, Some(at), "ended: by another end");
}

/// Milliseconds since the epoch.
pub(crate) fn wall_ms(time: WallTime) -> u64 {
    time.secs * 1_000 + u64::from(time.nanos.unwrap_or(0) / 1_000_000)
}

/// Invariant 4's second half: a line from before the start restarts nothing.
fn check_line(line: WallTime, facts: &Facts) {
    let start = facts.started_at.expect("it runs");
    let is_old = match (line.nanos, start.nanos) {
        (Some(l), Some(s)) => (line.secs, l) < (start.secs, s),
        _ => line.secs < start.secs,
    };
    assert!(!is_old, "stale: an old line restarts {}", facts.name);
}

/// Invariant 7 at the moment of acting: what the look that led to a call shows.
/// An engine that was away since ends a container when it is back; `away` is
/// when a look last found it so, 0 for never.
pub(crate) fn check_call(
    charge: &Charge,
    call: Call,
    look: Option<&Look>,
    restarts_sent_wall_ms: &[u64],
    away_wall_ms: u64,
) {
    let Some(Look::Found(facts)) = look else {
        panic!("act: {call:?} without facts");
    };
    assert_eq!(
        facts.id, charge.container_id,
        "act: {call:?} of another container"
    );
    let started = facts.started_at;
    assert_eq!(started, Some(charge.started_at), "act: started anew");
    match call {
        Call::Restart | Call::Stop | Call::Exec => {
            let state = facts.state;
            assert_eq!(state, ContainerState::Running, "act: not running");
            if let Cause::Match { line, .. } = &charge.cause {
                check_line(*line, facts);
            }
        }
        Call::Start if ended_at(charge).is_some() => {
            check_end(ended_at(charge).expect("just seen"), facts);
        }
        Call::Start => {
            assert_eq!(facts.state, ContainerState::Exited, "act: a start");
            let finished = facts.finished_at.expect("it has exited");
            let ms = wall_ms(finished);
            assert!(
                restarts_sent_wall_ms
                    .iter()
                    .any(|sent| *sent <= ms && ms <= away_wall_ms.max(*sent) + charge.stop_wait_ms),
                "act: started what somebody else has stopped"
            );
        }
    }
}
