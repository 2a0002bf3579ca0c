//! An intent's answer.

use crate::draft::{cause_of, charged, decided};
use crate::figures::{left, wall_ms};
use crate::gates::{Ask, Matched, Refusal, Who, too_old};
use crate::judge::Ruling;
use crate::labels::{Settings, settings};
use crate::{
    Awaits, Decided, Entry, Facts, Gate, IntentInput, LOOK_LOST_MS, LOOK_WAIT_MIN_MS, Look, Now,
    OnRefusal, PENDING_IDS_MAX, PENDINGS_MAX, Pending, PendingKey, Policy, Remedy, RuleFacts,
    RuleRemedy, Sign, Step, Timestamp, Verdict, WallTime,
};

/// An intent whose rule is known, its times no later than its arrival.
pub(crate) struct Arrival<'a> {
    pub(crate) intent: &'a IntentInput,
    pub(crate) rule: &'a RuleFacts,
    /// What is to be done, its target's settings included where that is known.
    pub(crate) remedy: RuleRemedy,
    pub(crate) line: WallTime,
    /// Empty where nobody counts them.
    pub(crate) times: Vec<(u64, u32)>,
    /// What has to confirm it.
    pub(crate) awaits: Option<Awaits>,
    /// Its rule or its target is run dry, as far as that is known.
    pub(crate) is_dry: bool,
}

impl Policy {
    pub(crate) fn intent(
        &mut self,
        now: Now,
        arrived: Timestamp,
        intent: &IntentInput,
        look: &Look,
    ) -> Option<Step> {
        // The same id twice at once: the second has the first one's answer.
        if let Some(answer) = self.repeat(now, &intent.id) {
            return Some(Step {
                answer: Some(answer),
                ..Step::default()
            });
        }
        let Some(rule) = &intent.known else {
            let detail = format!("Unknown rule '{}' in this executor's rules", intent.rule);
            let refusal = Refusal::new(Gate::UnknownRule, detail);
            return Some(refuse_unseen(intent, &refusal));
        };
        let mut arrival = Arrival {
            intent,
            rule,
            remedy: self.calls_for(intent, rule).0,
            line: no_later(intent.line, now),
            times: times_no_later(intent, rule, now),
            awaits: rule.confirm.clone().map(|confirm| Awaits {
                until: now.at.plus(confirm.within_ms),
                confirm,
            }),
            is_dry: self.config.dry_run || self.config.shadow_rules.contains(&intent.rule),
        };
        match look {
            Look::Gone if is_missed_by_name(&arrival) => {
                let mut step = Step::default();
                let answer = self.say_unchecked(&mut step, &arrival, "there is none");
                arrival.settle(&mut step, "", answer);
                Some(step)
            }
            Look::Gone => {
                let detail = format!("No container '{}'", intent.wire_target);
                let refusal = Refusal::new(Gate::UnknownTarget, detail);
                Some(refuse_unseen(intent, &refusal))
            }
            Look::Unavailable { why } => Some(self.unseen(now, &arrival, why)),
            Look::Found(facts) => {
                let settings = settings(&self.config, facts);
                arrival.is_dry |= settings.dry_run;
                let remedy = self
                    .config
                    .remedy(&facts.name, &intent.rule, rule.remedy, rule.sign);
                arrival.remedy = remedy.kind();
                let mut step = match arrival.remedy {
                    RuleRemedy::Restart => {
                        self.seen(now, arrived, &arrival, facts, &settings, remedy)?
                    }
                    RuleRemedy::Escalate | RuleRemedy::Note => {
                        self.told(now, &arrival, facts, &settings)
                    }
                };
                self.tell_labels(&mut step, facts, &settings);
                Some(step)
            }
        }
    }

    /// What it may call for before anything is known of its container, and whether it is sure
    /// to call for that.
    fn calls_for(&self, intent: &IntentInput, rule: &RuleFacts) -> (RuleRemedy, bool) {
        let (config, name) = (&self.config, &intent.rule);
        if is_by_name(intent, rule) {
            let remedy = config.remedy(&intent.wire_target, name, rule.remedy, rule.sign);
            return (remedy.kind(), true);
        }
        if !config.may_heal(name, rule.remedy, rule.sign) {
            return (rule.remedy, false);
        }
        let is_sure = config.always_heals(name, rule.remedy, rule.sign);
        (RuleRemedy::Restart, is_sure)
    }

    /// Remedy `restart`, with facts.
    fn seen(
        &mut self,
        now: Now,
        arrived: Timestamp,
        arrival: &Arrival<'_>,
        facts: &Facts,
        settings: &Settings,
        remedy: Remedy,
    ) -> Option<Step> {
        let mut step = Step::default();
        let asking = self.asking(now, arrival, facts, settings);
        match self.judge_match(asking, &mut step) {
            // What would act, or would have acted, needs fresh facts,
            Ruling::Go { .. } if facts.read_at < arrived => return None,
            // and none from before the end of what was under way meanwhile.
            Ruling::Go { .. } if facts.read_at < self.changed_at(&facts.name) => {
                return Some(self.unseen(now, arrival, "the last answer is out of date"));
            }
            Ruling::Go { limits, shadow } => {
                let key = waiting_key(&asking, Gate::Cooldown);
                let pending = self.merged(arrival, facts, key);
                // What waited may have the newer line: its rule's remedy then.
                let plan = match self.remedy_of(&pending, &facts.name) {
                    Remedy::Heal(measures) => Remedy::Heal(measures).plan(),
                    Remedy::Note | Remedy::Escalate => remedy.plan(),
                };
                let mut answer = charged(&facts.name, shadow, &plan);
                let cause = cause_of(&pending);
                let attempt = self.charge(&mut step, facts, cause, (limits, shadow), plan);
                answer.attempt = Some(attempt);
                arrival.settle(&mut step, &facts.name, answer);
            }
            Ruling::Refused(refusal) => self.delayed(&mut step, &asking, arrival, &refusal),
        }
        Some(step)
    }

    /// Refused: for good, or by time.
    pub(crate) fn delayed(
        &self,
        step: &mut Step,
        asking: &Ask<'_>,
        arrival: &Arrival<'_>,
        refusal: &Refusal,
    ) {
        let name = &asking.facts.name;
        let Some(due) = refusal.until.filter(|_| self.is_kept(refusal.gate)) else {
            return arrival.settle(step, name, refused(refusal));
        };
        let expires = match &arrival.awaits {
            Some(awaits) if refusal.gate == Gate::Unconfirmed => awaits.until.plus(LOOK_LOST_MS),
            _ => self.pending_expires(asking.now, asking.limits, due),
        };
        let key = waiting_key(asking, refusal.gate);
        let mut pending = Pending {
            gate: refusal.gate,
            due,
            expires,
            ..self.merged(arrival, asking.facts, key)
        };
        if refusal.gate > Gate::Unconfirmed {
            pending.awaits = None;
        }
        self.wait(step, arrival, name, pending, refusal);
    }

    /// No facts could be had in time.
    fn unseen(&mut self, now: Now, arrival: &Arrival<'_>, why: &str) -> Step {
        let intent = arrival.intent;
        let mut step = Step::default();
        // Judged on arrival or never: by the time there are facts it is too late.
        if !arrival.rule.sign.is_an_end()
            && let Some(detail) = too_old(arrival.line, now.wall_ms, self.config.max_age_ms)
        {
            let refusal = Refusal::new(Gate::Stale, detail);
            arrival.settle(&mut step, "", refused(&refusal));
            return step;
        }
        if arrival.remedy != RuleRemedy::Restart && arrival.awaits.is_none() {
            let answer = self.say_unchecked(&mut step, arrival, why);
            arrival.settle(&mut step, "", answer);
            return step;
        }
        let due = now.at.plus(LOOK_WAIT_MIN_MS);
        let refusal =
            Refusal::new(Gate::NoFacts, format!("No facts from Docker: {why}")).until(due);
        if self.config.on_refusal == OnRefusal::Drop {
            arrival.settle(&mut step, "", refused(&refusal));
            return step;
        }
        let rule = arrival.rule;
        // Whose it is is not known: what may only be told must not stand in for what heals.
        let is_apart = arrival.awaits.is_some()
            || self.config.shadow_rules.contains(&intent.rule)
            || !self.calls_for(intent, rule).1;
        let key = match &intent.wire_id {
            _ if is_apart => PendingKey::Rule {
                target: intent
                    .wire_id
                    .as_ref()
                    .unwrap_or(&intent.wire_target)
                    .clone(),
                rule: intent.rule.clone(),
            },
            Some(id) => PendingKey::Id(id.clone()),
            None => PendingKey::Target(intent.wire_target.clone()),
        };
        let limits = self.config.target(key.as_str()).limits;
        let pending = Pending {
            gate: Gate::NoFacts,
            due,
            expires: self.pending_expires(now, limits, due),
            ..self.merged_with(arrival, key, intent.wire_id.clone())
        };
        self.wait(&mut step, arrival, "", pending, &refusal);
        step
    }

    /// Answers `pending`, where there is room for one more. `name` is empty where
    /// it is not known.
    fn wait(
        &self,
        step: &mut Step,
        arrival: &Arrival<'_>,
        name: &str,
        pending: Pending,
        refusal: &Refusal,
    ) {
        let is_new = !self.state.pendings.contains_key(&pending.key);
        if is_new && self.state.pendings.len() >= PENDINGS_MAX {
            let mut answer = refused(refusal);
            answer.detail += &format!("; not kept: {PENDINGS_MAX} targets are pending already");
            arrival.settle(step, name, answer);
            return;
        }
        step.pend(pending, is_new);
        let answer = decided(Verdict::Pending, Some(refusal.gate), &*refusal.detail);
        arrival.settle(step, name, answer);
    }

    pub(crate) fn asking<'a>(
        &'a self,
        now: Now,
        arrival: &'a Arrival<'_>,
        facts: &'a Facts,
        settings: &'a Settings,
    ) -> Ask<'a> {
        Ask {
            config: &self.config,
            state: &self.state,
            now,
            who: Who::Match(Matched {
                rule: &arrival.intent.rule,
                remedy: arrival.remedy,
                line: arrival.line,
                threshold: arrival.rule.threshold,
                awaits: arrival.awaits.as_ref(),
                sign: arrival.rule.sign,
                times: &arrival.times,
                counted_as: None,
                is_arrival: true,
                is_news: true,
            }),
            facts,
            settings,
            wire_id: arrival.intent.wire_id.as_deref(),
            limits: settings.limits,
            uncured: 0,
            attempt: None,
        }
    }

    fn merged(&self, arrival: &Arrival<'_>, facts: &Facts, key: PendingKey) -> Pending {
        self.merged_with(arrival, key, Some(facts.id.clone()))
    }

    /// The arrival together with what is pending already: the newest line wins.
    fn merged_with(
        &self,
        arrival: &Arrival<'_>,
        key: PendingKey,
        container_id: Option<String>,
    ) -> Pending {
        let new = Pending {
            key,
            gate: Gate::NoFacts,
            rule: arrival.intent.rule.clone(),
            line: arrival.line,
            container_id,
            ids: vec![arrival.intent.id.clone()],
            remedy: arrival.rule.remedy,
            threshold: arrival.rule.threshold,
            awaits: arrival.awaits.clone(),
            sign: arrival.rule.sign,
            was: None,
            due: Timestamp(0),
            expires: Timestamp(0),
        };
        match self.state.pendings.get(&new.key) {
            Some(old) => merge(old, new),
            None => new,
        }
    }

    pub(crate) fn repeat(&self, now: Now, id: &str) -> Option<Decided> {
        let known = self.state.ids.get(id, now.at)?;
        let pending = known
            .key
            .as_ref()
            .and_then(|key| self.state.pendings.get(key));
        if let Some(pending) = pending {
            let wait = left(pending.next(), now.at);
            let detail = format!("Pending: decided again in {wait}");
            return Some(decided(Verdict::Pending, Some(pending.gate), detail));
        }
        let attempt = known.attempt.filter(|_| known.verdict == Verdict::Restart);
        Some(Decided {
            verdict: known.verdict,
            gate: known.gate,
            detail: match attempt {
                Some(attempt) => self.attempt_in_words(attempt),
                None => known.detail.clone(),
            },
            attempt: known.attempt,
        })
    }
}

impl Arrival<'_> {
    /// Answers, tells, and remembers the id.
    pub(crate) fn settle(&self, step: &mut Step, name: &str, answer: Decided) {
        let counts = answer.gate.is_none_or(|gate| gate >= Gate::Maintenance);
        step.entries.push(Entry::Decided {
            id: self.intent.id.clone(),
            target: known_name(self.intent, name),
            wire_id: self.intent.wire_id.clone().filter(|_| name.is_empty()),
            rule: self.intent.rule.clone(),
            remedy: self.remedy,
            decision: answer.verdict,
            gate: answer.gate,
            detail: answer.detail.clone(),
            line: self.intent.line,
            times: if counts {
                self.times.clone()
            } else {
                Vec::new()
            },
            attempt: answer.attempt,
            dry: self.is_dry,
        });
        step.answer(self.shown(name), &self.intent.rule, answer, self.is_dry);
    }

    pub(crate) fn shown<'a>(&'a self, name: &'a str) -> &'a str {
        if name.is_empty() {
            &self.intent.wire_target
        } else {
            name
        }
    }
}

/// Something that is watched by a name alone is for a person to know: that there is no such
/// container is part of it.
fn is_missed_by_name(arrival: &Arrival<'_>) -> bool {
    arrival.remedy != RuleRemedy::Restart && is_by_name(arrival.intent, arrival.rule)
}

/// Watched by a name alone: that is the canonical one, as the configuration has it. (Another
/// sender's may be the beginning of an id.)
fn is_by_name(intent: &IntentInput, rule: &RuleFacts) -> bool {
    intent.wire_id.is_none() && matches!(rule.sign, Sign::Watched { .. })
}

/// The canonical name; where it is unknown, empty beside a container id, else
/// as the wire names it.
fn known_name(intent: &IntentInput, name: &str) -> String {
    if name.is_empty() && intent.wire_id.is_none() {
        intent.wire_target.clone()
    } else {
        name.to_owned()
    }
}

/// Refused before there was a container to look at.
fn refuse_unseen(intent: &IntentInput, refusal: &Refusal) -> Step {
    let mut step = Step::default();
    let answer = refused(refusal);
    step.entries.push(Entry::Decided {
        id: intent.id.clone(),
        target: known_name(intent, ""),
        wire_id: intent.wire_id.clone(),
        rule: intent.rule.clone(),
        remedy: intent
            .known
            .as_ref()
            .map(|rule| rule.remedy)
            .unwrap_or_default(),
        decision: answer.verdict,
        gate: answer.gate,
        detail: answer.detail.clone(),
        line: intent.line,
        times: Vec::new(),
        attempt: None,
        dry: false,
    });
    step.answer(&intent.wire_target, &intent.rule, answer, false);
    step
}

pub(crate) fn refused(refusal: &Refusal) -> Decided {
    decided(Verdict::Refused, Some(refusal.gate), &*refusal.detail)
}

/// Two pendings of one target: the newest line's time and rule win, the ids of
/// both stay. `new`'s key, gate and due time hold.
pub(crate) fn merge(old: &Pending, new: Pending) -> Pending {
    let mut ids = old.ids.clone();
    ids.extend(new.ids.iter().filter(|id| !old.ids.contains(id)).cloned());
    ids.drain(..ids.len().saturating_sub(PENDING_IDS_MAX));
    let (newest, other) = if new.line.is_before(old.line) {
        (old, &new)
    } else {
        (&new, old)
    };
    let sign = match (newest.sign, other.sign) {
        // What is watched may be over; what the container printed is not, by that.
        (Sign::Watched { .. }, Sign::Line) => Sign::Line,
        (sign, _) => sign,
    };
    Pending {
        ids,
        rule: newest.rule.clone(),
        remedy: newest.remedy,
        line: newest.line,
        container_id: newest.container_id.clone(),
        threshold: newest.threshold,
        awaits: newest.awaits.clone(),
        sign,
        ..new
    }
}

/// Where a match waits that this gate refuses by time: apart while it has to be
/// confirmed, and where its rule is run dry.
pub(crate) fn waiting_key(asking: &Ask<'_>, gate: Gate) -> PendingKey {
    let name = asking.facts.name.clone();
    match asking.who {
        Who::Match(matched) if matched.awaits.is_some() && gate <= Gate::Unconfirmed => {
            PendingKey::Rule {
                target: name,
                rule: matched.rule.to_owned(),
            }
        }
        _ if asking.is_shadow_rule() => PendingKey::Shadow(name),
        _ => PendingKey::Target(name),
    }
}

/// A future time counts as the time of arrival.
fn no_later(line: WallTime, now: Now) -> WallTime {
    if wall_ms(line) <= now.wall_ms {
        return line;
    }
    now.wall()
}

fn times_no_later(intent: &IntentInput, rule: &RuleFacts, now: Now) -> Vec<(u64, u32)> {
    if rule.threshold.is_none() && !rule.confirms {
        return Vec::new();
    }
    let latest = now.wall_ms / 1_000;
    let times = intent.times.iter();
    times
        .map(|(second, n)| ((*second).min(latest), *n))
        .collect()
}
