//! What an intent or a request must be answered, and what must be written.

use policy::{
    Cause, Charge, Decided, Entry, Facts, Gate, HealthStatus, IntentInput, Limits, Look, Measure,
    OnRefusal, Outcome, Pending, PendingKey, Remedy, RequestInput, RuleFacts, RuleRemedy, Sign,
    Step, Timestamp, Verdict, WallTime,
};

use super::Model;
use super::course::{kind_of, longest_ms, next_of, plan_of};
use super::gates::{Match, Question, Refusal, grown, is_an_end, is_before, is_too_old};
use crate::check::wall_ms;

/// What a question to all gates comes to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ruling {
    Go { limits: Limits, is_shadow: bool },
    No(Refusal),
}

/// A pending target that comes together with another of its name.
#[derive(Debug, Clone)]
pub(super) struct Newest {
    pub(super) rule: String,
    pub(super) line: WallTime,
    pub(super) sign: Sign,
    /// What the rule itself calls for.
    pub(super) own: RuleRemedy,
    pub(super) ids: Vec<String>,
}

impl Newest {
    /// Another line of the same target, from before or after: what a line says is not
    /// over by what a watch says.
    pub(super) fn meets(&mut self, old: &Pending) {
        let (line, sign) = (old.line, old.sign);
        let is_later = is_before(self.line, line);
        let (newer, older) = if is_later {
            (sign, self.sign)
        } else {
            (self.sign, sign)
        };
        if is_later {
            self.rule.clone_from(&old.rule);
            self.own = old.remedy;
            self.line = line;
        }
        let is_watched = matches!(newer, Sign::Watched { .. });
        self.sign = if is_watched && older == Sign::Line {
            older
        } else {
            newer
        };
    }
}

impl Model<'_> {
    /// The answer for an id that was decided before.
    pub(crate) fn check_repeat(&self, id: &str, answer: Option<&Decided>) {
        let want = self
            .past
            .known(id, self.now.at)
            .map(|k| (k.verdict, k.gate));
        let got = answer.map(|a| (a.verdict, a.gate));
        assert_eq!(got, want, "model: the answer for id {id}, sent again");
    }

    pub(crate) fn check_intent(
        &self,
        arrived: Timestamp,
        intent: &IntentInput,
        look: &Look,
        step: Option<&Step>,
    ) {
        if let Some(known) = self.past.known(&intent.id, self.now.at) {
            let step = step.expect("model: an id sent again is answered");
            assert!(step.entries.is_empty(), "model: an id counted twice");
            let got = step.answer.as_ref().map(|a| (a.verdict, a.gate));
            assert_eq!(got, Some((known.verdict, known.gate)), "model: id again");
            return;
        }
        let Some(rule) = &intent.known else {
            return answered(step, Verdict::Refused, Some(Gate::UnknownRule));
        };
        let line = self.no_later(intent.line);
        match look {
            Look::Gone => answered(step, Verdict::Refused, Some(Gate::UnknownTarget)),
            Look::Unavailable { .. } => {
                let heals = self.past.may_heal(&intent.rule, rule.remedy, rule.sign);
                self.check_unseen(intent, rule, line, heals, step);
            }
            Look::Found(facts) => {
                let remedy = self
                    .past
                    .wanted(&facts.name, &intent.rule, rule.remedy, rule.sign);
                check_recorded(step, kind_of(&remedy));
                if let Remedy::Heal(_) = remedy {
                    let plan = plan_of(remedy);
                    return self.check_seen(arrived, intent, rule, line, (facts, &plan), step);
                }
                let remedy = kind_of(&remedy);
                let question = self.question(intent, rule, remedy, line, facts);
                let refusal = question.told_refusal();
                self.check_told(remedy, refusal, step);
                self.check_escalated(facts, (remedy, rule.sign), refusal, step);
            }
        }
    }

    /// A person has to see to it first, unless it is a dry run.
    pub(super) fn check_escalated(
        &self,
        facts: &Facts,
        (remedy, sign): (RuleRemedy, Sign),
        refusal: Option<Refusal>,
        step: Option<&Step>,
    ) {
        let escalates = refusal.is_none() && remedy == RuleRemedy::Escalate;
        let is_dry_run = self.past.settings(facts).is_dry_run;
        // Somebody may have stopped it.
        let is_unseen = sign == Sign::EndedUnseen;
        let holds = escalates && !is_dry_run && !is_unseen && !self.past.is_held(&facts.name);
        let is_hold = |entry: &Entry| matches!(entry, Entry::Held { .. });
        let got = step.is_some_and(|step| step.entries.iter().any(is_hold));
        assert_eq!(got, holds, "model: held by an escalation");
    }

    fn check_told(&self, remedy: RuleRemedy, refusal: Option<Refusal>, step: Option<&Step>) {
        match (refusal, remedy) {
            (Some((gate, _)), _) => answered(step, Verdict::Refused, Some(gate)),
            (None, RuleRemedy::Escalate) => answered(step, Verdict::Escalated, None),
            (None, _) => answered(step, Verdict::Noted, None),
        }
        let step = step.expect("answered");
        assert!(charge_of(step).is_none(), "model: told, and charged");
    }

    /// Docker says nothing.
    fn check_unseen(
        &self,
        intent: &IntentInput,
        rule: &RuleFacts,
        line: WallTime,
        heals: bool,
        step: Option<&Step>,
    ) {
        if !is_an_end(rule.sign) && is_too_old(line, self.now, self.past.config.max_age_ms) {
            return answered(step, Verdict::Refused, Some(Gate::Stale));
        }
        if !heals {
            return self.check_told(rule.remedy, None, step);
        }
        if self.past.config.on_refusal == OnRefusal::Drop {
            return answered(step, Verdict::Refused, Some(Gate::NoFacts));
        }
        answered(step, Verdict::Pending, Some(Gate::NoFacts));
        let of = intent.wire_id.as_ref().unwrap_or(&intent.wire_target);
        let is_sure = self.past.always_heals(&intent.rule, rule.remedy, rule.sign);
        let key = match &intent.wire_id {
            // It may be told only, once it is known whose it is.
            _ if !is_sure => PendingKey::Rule {
                target: of.clone(),
                rule: intent.rule.clone(),
            },
            Some(id) => PendingKey::Id(id.clone()),
            None => PendingKey::Target(intent.wire_target.clone()),
        };
        let limits = self.past.config.target(key.as_str()).limits;
        let due = self.now.at.plus(1_000);
        self.check_pending(step, intent, line, &key, (Gate::NoFacts, Some(due)), limits);
    }

    /// Remedy `restart` of a container that was found.
    fn check_seen(
        &self,
        arrived: Timestamp,
        intent: &IntentInput,
        rule: &RuleFacts,
        line: WallTime,
        (facts, plan): (&Facts, &[Measure]),
        step: Option<&Step>,
    ) {
        let question = self.question(intent, rule, RuleRemedy::Restart, line, facts);
        match self.rule(&question, step) {
            Ruling::Go { .. } if facts.read_at < arrived => {
                assert!(step.is_none(), "model: acts on facts from before: {step:?}");
            }
            Ruling::Go { .. } if facts.read_at < self.past.touched(&facts.name) => {
                self.check_unseen(intent, rule, line, true, step);
            }
            Ruling::Go { limits, is_shadow } => {
                let verdict = if is_shadow {
                    (Verdict::Refused, Some(Gate::DryRun))
                } else {
                    (Verdict::Restart, None)
                };
                answered(step, verdict.0, verdict.1);
                let key = PendingKey::Target(facts.name.clone());
                let newest = self.newest(&key, intent, rule, line);
                // What waited may have the newer line, and so a plan of its own.
                let newest_remedy =
                    self.past
                        .wanted(&facts.name, &newest.rule, newest.own, newest.sign);
                let plan = match newest_remedy {
                    Remedy::Heal(_) => plan_of(newest_remedy),
                    Remedy::Note | Remedy::Escalate => plan.to_vec(),
                };
                let charge = step.and_then(charge_of);
                self.check_charge(charge, facts, limits, is_shadow, Some((&newest, &plan)));
            }
            Ruling::No((gate, until)) => {
                let drops = self.past.config.on_refusal == OnRefusal::Drop;
                let is_kept = !drops || matches!(gate, Gate::Storm | Gate::Dependency);
                match until.filter(|_| is_kept) {
                    None => answered(step, Verdict::Refused, Some(gate)),
                    Some(_) => {
                        answered(step, Verdict::Pending, Some(gate));
                        let key = PendingKey::Target(facts.name.clone());
                        let limits = self.past.settings(facts).limits;
                        self.check_pending(step, intent, line, &key, (gate, until), limits);
                    }
                }
            }
        }
    }

    /// The whole row for a match. A match of a container that is being watched
    /// ends that attempt as relapsed first.
    pub(super) fn rule(&self, question: &Question<'_>, step: Option<&Step>) -> Ruling {
        if let Some(refusal) = question.by_container() {
            no_outcome(step);
            return Ruling::No(refusal);
        }
        let facts = question.facts;
        let settings = self.past.settings(facts);
        let mut uncured = self.past.uncured(&facts.name);
        let mut is_held_now = false;
        let relapsed = self.relapsed(question);
        if let Some((attempt, Some(next))) = relapsed {
            // Under the same charge: it waits for that as for any attempt.
            let got = step.and_then(|step| next_of(&step.entries, attempt));
            assert_eq!(got, Some(next), "model: attempt {attempt} goes on");
            let (_, charge) = self.past.charge(attempt).expect("it is watched");
            let its = |matched: &Match<'_>| matches!(&charge.cause, Cause::Match { rule, .. } if rule == matched.rule);
            let has_refired = question.matched.as_ref().is_some_and(its);
            let is_said = |entry: &Entry| matches!(entry, Entry::NextMeasure { refired, .. } if *refired == has_refired);
            let is_said = step.is_some_and(|step| step.entries.iter().any(is_said));
            assert!(is_said, "model: matched again: {has_refired}");
            let until = self.now.at.plus(longest_ms(charge));
            return Ruling::No((Gate::InProgress, Some(until)));
        }
        let relapsed = relapsed.map(|(attempt, _)| attempt);
        if let Some(attempt) = relapsed {
            uncured += 1;
            let has_relapsed = |entry: &Entry| {
                matches!(entry, Entry::Outcome { attempt: a, outcome: Outcome::Relapsed, .. }
                    if *a == attempt)
            };
            let is_told = step.is_none_or(|step| step.entries.iter().any(has_relapsed));
            // Where the step comes to nothing for want of fresh facts it says so
            // later, when there are some.
            let waits = question.facts.read_at < self.past.touched(&facts.name);
            assert!(is_told || waits, "model: attempt {attempt} has relapsed");
            let max = self.past.config.target(&facts.name).recovery.max_attempts;
            let (_, charge) = self.past.charge(attempt).expect("it is watched");
            let is_persons = self.past.course(attempt).is_before_person(charge);
            is_held_now = uncured >= max || is_persons;
        } else {
            no_outcome(step);
        }
        if let Some(refusal) = question.before_budget() {
            return Ruling::No(refusal);
        }
        if is_held_now {
            return Ruling::No((Gate::Held, None));
        }
        let begins = |entry: &Entry| matches!(entry, Entry::Storm { .. });
        let got = step.is_some_and(|step| step.entries.iter().any(begins));
        let has_relapsed = relapsed.is_some();
        let storm = self.storm_of(question)
            || has_relapsed && self.storm_after(&facts.name, Outcome::Relapsed, false);
        assert_eq!(got, storm, "model: a storm begins");
        if storm {
            return Ruling::No((Gate::Storm, Some(self.storm_until(self.now.at))));
        }
        let limits = grown(settings.limits, settings.recovery, uncured);
        match question.by_budget(limits) {
            Some(refusal) => Ruling::No(refusal),
            None => Ruling::Go {
                limits,
                is_shadow: settings.is_dry_run,
            },
        }
    }

    /// The watched attempt that a match speaks against: of what it started, or of
    /// what has started in its place since. With its next measure, where that is taken.
    fn relapsed(&self, question: &Question<'_>) -> Option<(u64, Option<usize>)> {
        let matched = question.matched.as_ref()?;
        if question.by_threshold().is_some() {
            return None;
        }
        let facts = question.facts;
        let attempt = self.past.watched(&facts.name)?;
        let course = self.past.course(attempt);
        let watched = course.watched.expect("it is watched");
        let is_ours = !is_before(matched.line, watched.since());
        let is_the_same = facts.started_at == Some(watched.started_at);
        let is_anew = facts.read_at >= watched.at && !is_the_same;
        let (_, charge) = self.past.charge(attempt).expect("it is watched");
        let next = course.next(charge).filter(|_| is_the_same);
        (is_ours || is_anew).then_some((attempt, next))
    }

    fn question<'q>(
        &'q self,
        intent: &'q IntentInput,
        rule: &RuleFacts,
        remedy: RuleRemedy,
        line: WallTime,
        facts: &'q Facts,
    ) -> Question<'q> {
        let mut times = Vec::new();
        if rule.threshold.is_some() {
            let latest = self.now.wall_ms / 1_000;
            times = intent.times.clone();
            times.iter_mut().for_each(|(s, _)| *s = latest.min(*s));
        }
        Question {
            past: self.past,
            now: self.now,
            facts,
            matched: Some(Match {
                rule: &intent.rule,
                remedy,
                line,
                sign: rule.sign,
                is_charged: false,
                threshold: rule.threshold,
                times,
                counted_as: None,
                is_arrival: true,
                is_news: true,
            }),
            wire_id: intent.wire_id.as_deref(),
        }
    }

    pub(crate) fn check_request(&self, request: &RequestInput, look: &Look, step: &Step) {
        let facts = match look {
            Look::Found(facts) => facts,
            Look::Gone => {
                return answered(Some(step), Verdict::Refused, Some(Gate::UnknownTarget));
            }
            Look::Unavailable { .. } => {
                return answered(Some(step), Verdict::Refused, Some(Gate::NoFacts));
            }
        };
        let question = Question {
            past: self.past,
            now: self.now,
            facts,
            matched: None,
            wire_id: None,
        };
        let settings = self.past.settings(facts);
        let uncured = self.past.uncured(&facts.name);
        let mut limits = grown(settings.limits, settings.recovery, uncured);
        limits.cooldown_ms = request.cooldown_ms.unwrap_or(limits.cooldown_ms);
        limits.window_ms = request.window_ms.unwrap_or(limits.window_ms);
        limits.max_per_window = request.max_per_window.unwrap_or(limits.max_per_window);
        let refusal = question.before_budget();
        match refusal.or_else(|| question.by_budget(limits)) {
            Some((gate, _)) => answered(Some(step), Verdict::Refused, Some(gate)),
            None => {
                let verdict = if settings.is_dry_run {
                    (Verdict::Refused, Some(Gate::DryRun))
                } else {
                    (Verdict::Restart, None)
                };
                answered(Some(step), verdict.0, verdict.1);
                self.check_charge(charge_of(step), facts, limits, settings.is_dry_run, None);
            }
        }
        let pends = |entry: &Entry| matches!(entry, Entry::Pending(_));
        assert!(
            !step.entries.iter().any(pends),
            "model: a request is pending"
        );
    }

    pub(super) fn check_charge(
        &self,
        charge: Option<&Charge>,
        facts: &Facts,
        limits: Limits,
        is_shadow: bool,
        newest: Option<(&Newest, &[Measure])>,
    ) {
        let charge = charge.expect("model: no charge");
        assert_eq!(
            charge.attempt,
            self.past.last_attempt() + 1,
            "model: number"
        );
        assert_eq!(charge.target, facts.name, "model: the charged target");
        assert_eq!(charge.limits, limits, "model: the limits in force");
        assert_eq!(charge.shadow, is_shadow, "model: a dry run");
        assert_eq!(Some(charge.started_at), facts.started_at, "model: start");
        let timeout_s = facts.stop_timeout_s.unwrap_or(10);
        let timeout_s = u64::try_from(timeout_s).unwrap_or(600).min(600);
        assert_eq!(
            charge.stop_wait_ms,
            timeout_s * 1_000 + 10_000,
            "model: wait"
        );
        match (&charge.cause, newest) {
            (Cause::Person, None) => assert_eq!(charge.plan, [], "model: one restart"),
            (
                Cause::Match {
                    rule,
                    line,
                    ids,
                    sign,
                },
                Some((newest, plan)),
            ) => {
                assert_eq!(charge.plan, plan, "model: the plan, by the owner's word");
                let got = (rule, *line, *sign);
                assert_eq!(got, (&newest.rule, newest.line, newest.sign), "model: line");
                assert_eq!(*ids, newest.ids, "model: the ids that a charge answers");
            }
            (cause, _) => panic!("model: charged for {cause:?}"),
        }
    }

    /// A target becomes pending, or goes on being so.
    fn check_pending(
        &self,
        step: Option<&Step>,
        intent: &IntentInput,
        line: WallTime,
        key: &PendingKey,
        (gate, until): Refusal,
        limits: Limits,
    ) {
        let step = step.expect("answered");
        let pending = pending_of(step).expect("model: answered pending, not kept");
        let due = until.expect("a refusal by time");
        let rule = intent.known.as_ref().expect("known where it waits");
        let newest = self.newest(key, intent, rule, line);
        assert_eq!(pending.key, *key, "model: which is pending");
        assert_eq!((pending.gate, pending.due), (gate, due), "model: due");
        assert_eq!(pending.expires, self.expires(limits, due), "model: expires");
        self.check_newest(pending, &newest);
        let is_new = !self.past.pendings().contains_key(key);
        assert!(
            step.durable || !is_new,
            "model: becoming pending is durable"
        );
    }

    pub(super) fn check_newest(&self, pending: &Pending, newest: &Newest) {
        let got = (&pending.rule, pending.line, pending.sign, pending.remedy);
        let want = (&newest.rule, newest.line, newest.sign, newest.own);
        assert_eq!(got, want, "model: the newest line");
        assert_eq!(pending.ids, newest.ids, "model: the ids that wait");
    }

    /// What is pending already, with one more: the newest line wins.
    fn newest(
        &self,
        key: &PendingKey,
        intent: &IntentInput,
        rule: &RuleFacts,
        line: WallTime,
    ) -> Newest {
        let id = &intent.id;
        let mut newest = Newest {
            rule: intent.rule.clone(),
            line,
            sign: rule.sign,
            own: rule.remedy,
            ids: vec![id.clone()],
        };
        if let Some(waiting) = self.past.pendings().get(key) {
            let old = waiting.entry;
            newest.ids = self.not_charged(old);
            if !newest.ids.contains(id) {
                newest.ids.push(id.clone());
            }
            let too_many = newest.ids.len().saturating_sub(64);
            newest.ids.drain(..too_many);
            newest.meets(old);
        }
        newest
    }

    /// A pending's ids without those that a charge has answered meanwhile.
    pub(super) fn not_charged(&self, pending: &Pending) -> Vec<String> {
        let entry = Entry::Pending(pending.clone());
        let written = self.past.records.iter().rposition(|r| {
            matches!(&r.entry, Entry::Pending(p) if p.key == pending.key) || r.entry == entry
        });
        let later = &self.past.records[written.unwrap_or(0)..];
        let mut ids = pending.ids.clone();
        for record in later {
            if let Entry::Charge(charge) = &record.entry
                && let Cause::Match { ids: charged, .. } = &charge.cause
            {
                ids.retain(|id| !charged.contains(id));
            }
        }
        ids
    }

    pub(super) fn expires(&self, limits: Limits, due: Timestamp) -> Timestamp {
        let config = self.past.config;
        let now = self.now.at;
        match config.pending_max_ms {
            Some(ms) => now.plus(ms),
            None => {
                let waits = [
                    limits.cooldown_ms,
                    limits.window_ms,
                    config.host_window_ms,
                    due.since(now),
                ];
                let longest = waits.into_iter().max().expect("there are some");
                now.plus(longest + 15 * 60_000)
            }
        }
    }

    fn no_later(&self, line: WallTime) -> WallTime {
        if wall_ms(line) <= self.now.wall_ms {
            return line;
        }
        let ms = self.now.wall_ms;
        WallTime {
            secs: ms / 1_000,
            nanos: u32::try_from(ms % 1_000).ok().map(|ms| ms * 1_000_000),
        }
    }
}

/// Says that it is well, and was looked at since the line.
pub(super) fn is_well_since(facts: &Facts, line: WallTime) -> bool {
    facts.health.is_some_and(|health| {
        health.status == HealthStatus::Healthy
            && health.checked_at.is_some_and(|at| is_before(line, at))
    })
}

fn answered(step: Option<&Step>, verdict: Verdict, gate: Option<Gate>) {
    let step = step.expect("model: fresh facts are asked for, though they change nothing");
    let got = step.answer.as_ref().map(|a| (a.verdict, a.gate));
    assert_eq!(got, Some((verdict, gate)), "model: the answer");
    let is_charged = charge_of(step).is_some();
    let acts = verdict == Verdict::Restart || gate == Some(Gate::DryRun);
    assert_eq!(
        is_charged, acts,
        "model: charged, and the answer is {gate:?}"
    );
    let is_kept = pending_of(step).is_some();
    let waits = verdict == Verdict::Pending;
    assert_eq!(is_kept, waits, "model: kept, and the answer is {verdict:?}");
}

fn no_outcome(step: Option<&Step>) {
    let relapsed = Outcome::Relapsed;
    let ends = |e: &Entry| {
        matches!(e, Entry::Outcome { outcome, .. } if *outcome == relapsed)
            || matches!(e, Entry::NextMeasure { .. })
    };
    let ended = step.is_some_and(|step| step.entries.iter().any(ends));
    assert!(!ended, "model: a refused match ends an attempt");
}

pub(super) fn charge_of(step: &Step) -> Option<&Charge> {
    step.entries.iter().find_map(|entry| match entry {
        Entry::Charge(charge) => Some(charge),
        _ => None,
    })
}

pub(super) fn pending_of(step: &Step) -> Option<&Pending> {
    step.entries.iter().rev().find_map(|entry| match entry {
        Entry::Pending(pending) => Some(pending),
        _ => None,
    })
}

/// What was decided is on record with what was called for by the owner's word.
fn check_recorded(step: Option<&Step>, remedy: RuleRemedy) {
    let entries = step.into_iter().flat_map(|step| &step.entries);
    for entry in entries {
        if let Entry::Decided { remedy: got, .. } = entry {
            assert_eq!(*got, remedy, "model: what was called for");
        }
    }
}
