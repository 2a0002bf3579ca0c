//! What must become of a pending target when it is looked at, and when it must
//! be looked at.

use std::collections::BTreeMap;

use policy::{
    Action, Entry, Facts, Gate, Look, OnRefusal, PendingKey, Sign, Step, Timestamp, WallTime,
};

use super::Model;
use super::decide::{Newest, Ruling, charge_of, is_well_since, pending_of};
use super::gates::{Match, Question, is_before};
use super::past::Waiting;

impl Model<'_> {
    pub(crate) fn check_pending_look(&self, key: &PendingKey, look: &Look, step: &Step) {
        let pendings = self.past.pendings();
        let Some(waiting) = pendings.get(key) else {
            assert!(step.entries.is_empty(), "model: of what is not pending");
            return;
        };
        let pending = waiting.entry;
        let facts = match look {
            Look::Unavailable { .. } => {
                assert!(step.entries.is_empty(), "model: decided without facts");
                return;
            }
            Look::Gone => return ended(step, key, "gone"),
            Look::Found(facts) => facts,
        };
        if facts.read_at < self.past.touched(&facts.name) {
            let again = Action::LookForPending { key: key.clone() };
            assert!(step.entries.is_empty(), "model: decided on old facts");
            assert!(step.actions.contains(&again), "model: looked at again");
            return;
        }
        let name = PendingKey::Target(facts.name.clone());
        let mut newest = Newest {
            rule: pending.rule.clone(),
            line: pending.line,
            sign: pending.sign,
            ids: self.not_charged(pending),
        };
        let mut id = pending.container_id.clone();
        let mut threshold = pending.threshold;
        let mut expires = waiting.expires;
        if *key != name
            && let Some(other) = pendings.get(&name)
        {
            // Two of one name become one: the newest line wins.
            let mut ids = self.not_charged(other.entry);
            ids.extend(
                newest
                    .ids
                    .iter()
                    .filter(|id| !ids.contains(id))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            let too_many = ids.len().saturating_sub(64);
            newest.ids = ids.split_off(too_many);
            expires = expires.max(other.expires);
            let is_later = is_before(newest.line, other.entry.line);
            newest.meets(&other.entry.rule, other.entry.line, other.entry.sign);
            if is_later {
                id.clone_from(&other.entry.container_id);
                threshold = other.entry.threshold;
            }
        }
        let is_another = id.is_some_and(|id| !facts.id.starts_with(&id));
        let is_anew = facts
            .started_at
            .is_some_and(|start| is_before(newest.line, start));
        let is_well = newest.sign == Sign::Line && is_well_since(facts, newest.line);
        if is_another || is_anew || is_well {
            return ended(step, &name, "over");
        }
        let question = Question {
            past: self.past,
            now: self.now,
            facts,
            matched: Some(Match {
                rule: &newest.rule,
                line: newest.line,
                sign: newest.sign,
                threshold,
                times: Vec::new(),
                counted_as: Some(key),
                is_arrival: false,
                is_news: pending.gate == Gate::NoFacts,
            }),
            wire_id: None,
        };
        let ruling = self.rule(&question, Some(step));
        self.check_news(pending.gate, facts, ruling, step);
        self.check_again(&name, facts, &newest, expires, ruling, step);
    }

    /// A watch says that all is well: what waits because of it alone ends, nothing else.
    pub(crate) fn check_clear(&self, id: &str, rule: &str, found: WallTime, step: &Step) {
        for (key, waiting) in self.past.pendings() {
            let pending = waiting.entry;
            let is_its = pending
                .container_id
                .as_ref()
                .is_some_and(|its| id.starts_with(its));
            let is_over = is_its
                && pending.rule == rule
                && matches!(pending.sign, Sign::Watched { .. })
                && is_before(pending.line, found);
            let ends =
                |entry: &Entry| matches!(entry, Entry::PendingEnded { key: of, .. } if of == key);
            let is_ended = step.entries.iter().any(ends);
            assert_eq!(is_ended, is_over, "model: {key:?} after an all clear");
        }
        let ends = |entry: &Entry| matches!(entry, Entry::PendingEnded { .. });
        assert!(
            step.entries.iter().all(ends),
            "model: an all clear does more"
        );
    }

    /// What has waited for facts is on record as a match once there are some; a dry run,
    /// and what is refused once more for want of them, is not.
    fn check_news(&self, was: Gate, facts: &Facts, ruling: Ruling, step: &Step) {
        let is_dry_run = self.past.settings(facts).is_dry_run;
        let want = (was == Gate::NoFacts && !is_dry_run).then_some(match ruling {
            Ruling::Go { .. } => None,
            Ruling::No((gate, _)) => Some(gate),
        });
        let got = step.entries.iter().find_map(|entry| match entry {
            Entry::Decided {
                id, gate, target, ..
            } if id.is_empty() => {
                assert_eq!(*target, facts.name, "model: whose match it was");
                Some(*gate)
            }
            _ => None,
        });
        assert_eq!(got, want, "model: a match that had waited for facts");
    }

    /// What waits for the end of a storm is given a day more.
    fn given_up(&self, waiting: &Waiting<'_>) -> Timestamp {
        let no_limit = self.past.config.pending_max_ms.is_none();
        if no_limit && waiting.entry.gate == Gate::Storm && self.past.storm().is_some() {
            waiting.expires.plus(24 * 3_600_000)
        } else {
            waiting.expires
        }
    }

    fn check_again(
        &self,
        name: &PendingKey,
        facts: &Facts,
        newest: &Newest,
        expires: Timestamp,
        ruling: Ruling,
        step: &Step,
    ) {
        let drops = self.past.config.on_refusal == OnRefusal::Drop;
        match ruling {
            Ruling::Go { limits, is_shadow } => {
                self.check_charge(charge_of(step), facts, limits, is_shadow, Some(newest));
            }
            Ruling::No((gate, None)) => {
                assert!(charge_of(step).is_none(), "model: charged against {gate:?}");
                ended(step, name, gate.as_str());
            }
            // What waited for a storm's end is dropped by the next limit.
            Ruling::No((gate, Some(_))) if drops && gate != Gate::Storm => {
                ended(step, name, gate.as_str());
            }
            Ruling::No((gate, Some(due))) => {
                assert!(charge_of(step).is_none(), "model: charged against {gate:?}");
                let pending = pending_of(step).expect("model: forgotten");
                assert_eq!(pending.key, *name, "model: which waits on");
                assert_eq!((pending.gate, pending.due), (gate, due), "model: due");
                let no_limit = self.past.config.pending_max_ms.is_none();
                let expires = match gate {
                    // Not before it could be decided.
                    Gate::Maintenance if no_limit => expires.max(due.plus(15 * 60_000)),
                    _ => expires,
                };
                assert_eq!(pending.expires, expires, "model: it still expires");
                self.check_newest(pending, newest);
            }
        }
    }

    /// What has waited for long enough is given up, and nothing else.
    pub(crate) fn check_timeout(&self, written_at: u64, step: &Step) {
        let pendings = self.past.pendings();
        for entry in &step.entries {
            if let Entry::PendingEnded { key, .. } = entry {
                let expires = pendings.get(&key).map(|waiting| self.given_up(waiting));
                let is_due = expires.is_some_and(|at| at <= self.now.at);
                assert!(is_due, "model: {key:?} ends before its time");
            }
        }
        for (key, waiting) in &pendings {
            let is_ended = step.entries.iter().any(
                |entry| matches!(entry, Entry::PendingEnded { key: ended, .. } if ended == *key),
            );
            // An end that could not be written is tried again a second later.
            let is_over = self.given_up(waiting) <= self.now.at;
            let may_wait = self.now.at.0 < written_at + 2_000;
            assert!(
                is_ended || !is_over || may_wait,
                "model: {key:?} is never over"
            );
        }
    }

    /// Each pending target is woken when it is due: `looked` says for each from when
    /// on it may be looked at again, none where a look is out; all of them not before
    /// `begun`: the process's begin, or a second after a write that failed.
    pub(crate) fn check_wake(
        &self,
        begun: Timestamp,
        looked: &BTreeMap<PendingKey, Option<Timestamp>>,
        next: Option<Timestamp>,
    ) {
        for (key, waiting) in self.past.pendings() {
            let free_at = match looked.get(key) {
                None => begun,
                Some(Some(free_at)) => begun.max(*free_at),
                Some(None) => continue,
            };
            let at = waiting
                .due
                .max(free_at)
                .min(self.given_up(&waiting).max(free_at));
            assert!(
                next.is_some_and(|next| next <= at.max(self.now.at)),
                "model: {key:?} is due at {at:?} and nothing wakes: {next:?}"
            );
        }
    }
}

fn ended(step: &Step, of: &PendingKey, why: &str) {
    let ends = |entry: &Entry| matches!(entry, Entry::PendingEnded { key, .. } if key == of);
    assert!(charge_of(step).is_none(), "model: charged, though {why}");
    assert!(
        step.entries.iter().any(ends),
        "model: waits on, though {why}"
    );
}
