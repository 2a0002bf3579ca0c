//! What must become of a pending target when it is looked at, and when it must
//! be looked at.

use std::collections::BTreeMap;

use policy::{
    Action, Entry, Facts, Gate, Look, Measure, OnRefusal, Pending, PendingKey, RuleRemedy, Sign,
    Step, Timestamp, Verdict, WallTime,
};

use super::Model;
use super::course::{kind_of, plan_of};
use super::decide::{Newest, Ruling, charge_of, is_well_since, pending_of};
use super::gates::{Match, Question, is_before};
use super::past::Waiting;

/// So many looks may be out at once.
const LOOKS_MAX: usize = 16;

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
        let name = match key {
            PendingKey::Rule { rule, .. } => PendingKey::Rule {
                target: facts.name.clone(),
                rule: rule.clone(),
            },
            _ => PendingKey::Target(facts.name.clone()),
        };
        let counted_as = match key {
            PendingKey::Target(_) => key.clone(),
            apart => PendingKey::Id(apart.as_str().to_owned()),
        };
        let mut newest = Newest {
            rule: pending.rule.clone(),
            line: pending.line,
            sign: pending.sign,
            own: pending.remedy,
            ids: self.not_charged(pending),
        };
        let mut id = pending.container_id.clone();
        let mut threshold = pending.threshold;
        let mut expires = waiting.expires;
        if *key != name
            && let Some(other) = pendings.get(&name)
        {
            expires = expires.max(other.expires);
            if self.becomes_one(&mut newest, other.entry) {
                id.clone_from(&other.entry.container_id);
                threshold = other.entry.threshold;
            }
        }
        let is_another = id.is_some_and(|id| !facts.id.starts_with(&id));
        let is_anew = facts
            .started_at
            .is_some_and(|start| is_before(newest.line, start));
        let is_well = newest.sign == Sign::Line && is_well_since(facts, newest.line);
        let remedy = self
            .past
            .wanted(&facts.name, &newest.rule, newest.own, newest.sign);
        let kind = kind_of(&remedy);
        let is_anew = is_anew && kind == RuleRemedy::Restart;
        if is_another || is_anew || is_well {
            return ended(step, &name, "over");
        }
        let question = Question {
            past: self.past,
            now: self.now,
            facts,
            matched: Some(Match {
                rule: &newest.rule,
                remedy: kind,
                is_charged: false,
                line: newest.line,
                sign: newest.sign,
                threshold,
                times: Vec::new(),
                counted_as: Some(&counted_as),
                is_arrival: false,
                is_news: pending.gate == Gate::NoFacts,
            }),
            wire_id: None,
        };
        let ruling = match kind {
            RuleRemedy::Restart => self.rule(&question, Some(step)),
            _ => {
                let refusal = question.told_refusal();
                self.check_escalated(facts, (kind, newest.sign), refusal, Some(step));
                match refusal {
                    // As on its arrival: no time is waited for.
                    Some((gate, _)) => Ruling::No((gate, None)),
                    None => return told(step, &name, kind),
                }
            }
        };
        self.check_news(pending.gate, facts, (kind, ruling), step);
        if let Ruling::No((Gate::Dependency, Some(_))) = ruling
            && pending.gate == Gate::Dependency
        {
            // It waits on as it did, and nothing new is written of it.
            let renews = |entry: &Entry| matches!(entry, Entry::Pending(p) if p.was.is_none());
            let ends = |entry: &Entry| matches!(entry, Entry::PendingEnded { .. });
            assert!(
                charge_of(step).is_none(),
                "model: charged, and a parent is sick"
            );
            assert!(
                !step.entries.iter().any(renews),
                "model: renewed for nothing"
            );
            assert!(
                !step.entries.iter().any(ends),
                "model: given up for a parent"
            );
            return;
        }
        let plan = plan_of(remedy);
        self.check_again(&name, facts, (&newest, &plan), expires, ruling, step);
    }

    /// Two of one name become one: the newest line wins. Whether that is the other's.
    fn becomes_one(&self, newest: &mut Newest, other: &Pending) -> bool {
        let mut ids = self.not_charged(other);
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
        let is_later = is_before(newest.line, other.line);
        newest.meets(other);
        is_later
    }

    pub(crate) fn waits_for_parent(&self, key: &PendingKey) -> bool {
        let pendings = self.past.pendings();
        let waiting = pendings.get(key);
        waiting.is_some_and(|waiting| waiting.entry.gate == Gate::Dependency)
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
    fn check_news(
        &self,
        was: Gate,
        facts: &Facts,
        (kind, ruling): (RuleRemedy, Ruling),
        step: &Step,
    ) {
        let is_dry_run = self.past.settings(facts).is_dry_run;
        let is_news = was == Gate::NoFacts && !is_dry_run && kind == RuleRemedy::Restart;
        let want = is_news.then_some(match ruling {
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
        (newest, plan): (&Newest, &[Measure]),
        expires: Timestamp,
        ruling: Ruling,
        step: &Step,
    ) {
        let drops = self.past.config.on_refusal == OnRefusal::Drop;
        match ruling {
            Ruling::Go { limits, is_shadow } => {
                self.check_charge(
                    charge_of(step),
                    facts,
                    limits,
                    is_shadow,
                    Some((newest, plan)),
                );
            }
            Ruling::No((gate, None)) => {
                assert!(charge_of(step).is_none(), "model: charged against {gate:?}");
                ended(step, name, gate.as_str());
            }
            // What waited for a storm's end is dropped by the next limit.
            Ruling::No((gate, Some(_)))
                if drops && !matches!(gate, Gate::Storm | Gate::Dependency) =>
            {
                ended(step, name, gate.as_str());
            }
            Ruling::No((gate, Some(due))) => {
                assert!(charge_of(step).is_none(), "model: charged against {gate:?}");
                let pending = pending_of(step).expect("model: forgotten");
                // What waited apart waits like any other from now on.
                let target = PendingKey::Target(facts.name.clone());
                assert_eq!(pending.key, target, "model: which waits on");
                assert_eq!((pending.gate, pending.due), (gate, due), "model: due");
                let no_limit = self.past.config.pending_max_ms.is_none();
                let expires = match gate {
                    // Not before it could be decided.
                    Gate::Maintenance if no_limit => expires.max(due.plus(15 * 60_000)),
                    _ => expires,
                };
                let mut newest = newest.clone();
                let mut expires = expires;
                if *name != target {
                    let limits = self.past.settings(facts).limits;
                    expires = self.expires(limits, due);
                    if let Some(other) = self.past.pendings().get(&target) {
                        expires = expires.max(other.expires);
                        self.becomes_one(&mut newest, other.entry);
                    }
                }
                assert_eq!(pending.expires, expires, "model: it still expires");
                self.check_newest(pending, &newest);
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
        let pendings = self.past.pendings();
        let is_out = |key: &&&PendingKey| matches!(looked.get(**key), Some(None));
        let is_full = pendings.keys().filter(is_out).count() >= LOOKS_MAX;
        for (key, waiting) in pendings {
            let free_at = match looked.get(key) {
                None => begun,
                Some(Some(free_at)) => begun.max(*free_at),
                Some(None) => continue,
            };
            let given_up = self.given_up(&waiting).max(free_at);
            let at = match is_full {
                // Its turn comes with the next result.
                true => given_up,
                false => waiting.due.max(free_at).min(given_up),
            };
            assert!(
                next.is_some_and(|next| next <= at.max(self.now.at)),
                "model: {key:?} is due at {at:?} and nothing wakes: {next:?}"
            );
        }
    }
}

/// A person was told, or it was counted: nothing waits any more.
fn told(step: &Step, of: &PendingKey, kind: RuleRemedy) {
    ended(step, of, "told");
    let answer = step.entries.iter().find_map(|entry| match entry {
        Entry::PendingEnded { decision, .. } => Some(*decision),
        _ => None,
    });
    let want = match kind {
        RuleRemedy::Escalate => Verdict::Escalated,
        _ => Verdict::Noted,
    };
    assert_eq!(answer, Some(want), "model: what it is answered from now on");
}

fn ended(step: &Step, of: &PendingKey, why: &str) {
    let ends = |entry: &Entry| matches!(entry, Entry::PendingEnded { key, .. } if key == of);
    assert!(charge_of(step).is_none(), "model: charged, though {why}");
    assert!(
        step.entries.iter().any(ends),
        "model: waits on, though {why}"
    );
}
