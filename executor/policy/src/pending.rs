//! A pending target decided again: fresh facts, all gates anew.
//!
//! A hung container prints one line and falls silent, so a refusal by time must
//! not be the last word. It ends by a charge; when the container's own check
//! says that it is well; when what printed the line does not run any more; when
//! a gate refuses for another reason than time; or when it expires.

use crate::bounds::look_wait_ms;
use crate::draft::{cause_of, charged};
use crate::gates::{Ask, Matched, Refusal, Who};
use crate::intent::{merge, refused, waiting_key};
use crate::judge::Ruling;
use crate::labels::{Settings, settings};
use crate::told::told_refusal;
use crate::{
    Action, Decided, Entry, Facts, Gate, HealthStatus, LOOK_LOST_MS, Look, Now, PENDING_MARGIN_MS,
    Pending, PendingKey, Policy, Remedy, RuleRemedy, Sign, Step, Verdict,
};

impl Policy {
    pub(crate) fn pending_look(&mut self, now: Now, key: &PendingKey, look: &Look) -> Step {
        let mut step = Step::default();
        let live = self.live.pendings.entry(key.clone()).or_default();
        live.lost_at = None;
        live.at_once = false;
        if let Look::Unavailable { .. } = look {
            live.not_before = now.at.plus(look_wait_ms(live.silent));
            live.silent = live.silent.saturating_add(1);
        } else {
            // Should what follows not be written, it is tried again.
            live.not_before = now.at.plus(look_wait_ms(0));
            live.silent = 0;
        }
        let Some(pending) = self.state.pendings.get(key).cloned() else {
            self.live.pendings.remove(key);
            return step;
        };
        match look {
            Look::Unavailable { .. } => {}
            Look::Found(facts) if facts.read_at < self.changed_at(&facts.name) => {
                if let Some(live) = self.live.pendings.get_mut(key) {
                    live.lost_at = Some(now.at.plus(LOOK_LOST_MS));
                }
                step.actions
                    .push(Action::LookForPending { key: key.clone() });
            }
            Look::Gone => step.end_pending(&self.config, &pending, "the container is gone"),
            Look::Found(facts) => {
                let settings = settings(&self.config, facts);
                let pending = self.renamed(&mut step, pending, &facts.name);
                let remedy = self.remedy_of(&pending, &facts.name);
                match ended(&pending, facts, remedy.kind()) {
                    Some(why) => step.end_pending(&self.config, &pending, why),
                    None => self.decide_again(&mut step, now, key, &pending, facts, &settings),
                }
                self.tell_labels(&mut step, facts, &settings);
            }
        }
        step
    }

    /// As it is set by now.
    pub(crate) fn remedy_of(&self, pending: &Pending, name: &str) -> Remedy {
        self.config
            .remedy(name, &pending.rule, pending.remedy, pending.sign)
    }

    /// From now on under its canonical name; two pendings of one target become
    /// one.
    fn renamed(&self, step: &mut Step, pending: Pending, name: &str) -> Pending {
        let target = name.to_owned();
        let key = match &pending.key {
            PendingKey::Target(_) | PendingKey::Id(_) => PendingKey::Target(target),
            PendingKey::Rule { rule, .. } => PendingKey::Rule {
                target,
                rule: rule.clone(),
            },
            PendingKey::Shadow(_) => PendingKey::Shadow(target),
        };
        if pending.key == key {
            return pending;
        }
        let moved = self.moved(pending, key);
        step.entries.push(Entry::Pending(moved.clone()));
        Pending { was: None, ..moved }
    }

    /// The same under another key, together with what is pending there.
    fn moved(&self, pending: Pending, key: PendingKey) -> Pending {
        let old = self.state.pendings.get(&key);
        let was = pending.key.clone();
        let moved = Pending {
            key,
            was: Some(was),
            ..pending
        };
        match old {
            Some(old) => Pending {
                expires: old.expires.max(moved.expires),
                ..merge(old, moved)
            },
            None => moved,
        }
    }

    fn decide_again(
        &mut self,
        step: &mut Step,
        now: Now,
        counted_as: &PendingKey,
        pending: &Pending,
        facts: &Facts,
        settings: &Settings,
    ) {
        let remedy = self.remedy_of(pending, &facts.name);
        let counted_as = counted_key(counted_as);
        let asking = Ask {
            config: &self.config,
            state: &self.state,
            now,
            who: Who::Match(matched(pending, remedy.kind(), &counted_as)),
            facts,
            settings,
            wire_id: None,
            limits: settings.limits,
            uncured: 0,
            attempt: None,
        };
        let ruling = match remedy.kind() {
            RuleRemedy::Restart => self.judge_match(asking, step),
            remedy => match told_refusal(&asking, remedy) {
                // As on its arrival: nothing but what has to confirm it is waited for.
                Some(refusal) if refusal.gate != Gate::Unconfirmed => {
                    Ruling::Refused(Refusal::new(refusal.gate, refusal.detail))
                }
                Some(refusal) => Ruling::Refused(refusal),
                None => {
                    let is_dry = (asking.is_dry_run(), asking.is_shadow_rule());
                    let what = (remedy, pending.sign);
                    let answer = self.say(step, facts, &pending.rule, what, is_dry);
                    let (detail, verdict) = (&answer.detail, answer.verdict);
                    step.end_pending_as(&self.config, pending, detail, verdict);
                    return step.decided(&facts.name, &pending.rule, answer, is_dry.0);
                }
            },
        };
        match ruling {
            Ruling::Go { limits, shadow } => {
                let plan = remedy.plan();
                let mut answer = charged(&facts.name, shadow, &plan);
                note_news(step, &asking, pending, &answer);
                let (cause, is_dry) = (cause_of(pending), asking.is_dry_run());
                let attempt = self.charge(step, facts, cause, (limits, shadow), plan);
                answer.attempt = Some(attempt);
                step.decided(&facts.name, &pending.rule, answer, is_dry);
            }
            Ruling::Refused(refusal) => {
                let key = waiting_key(&asking, refusal.gate);
                let renewed = Pending {
                    key,
                    gate: refusal.gate,
                    container_id: Some(facts.id.clone()),
                    ..pending.clone()
                };
                let kept = refusal.until.filter(|_| self.is_kept(refusal.gate));
                let mut answer = refused(&refusal);
                if kept.is_some() {
                    answer.verdict = Verdict::Pending;
                }
                note_news(step, &asking, pending, &answer);
                let at = (now, asking.is_dry_run());
                self.refused_again(step, at, settings, pending, renewed, &refusal);
            }
        }
    }

    /// Refused once more: it waits on, as `renewed`, or ends.
    fn refused_again(
        &mut self,
        step: &mut Step,
        (now, is_dry): (Now, bool),
        settings: &Settings,
        pending: &Pending,
        mut renewed: Pending,
        refusal: &Refusal,
    ) {
        let target = renewed.key.as_str().to_owned();
        let mut answer = refused(refusal);
        let is_waiting = matches!(refusal.gate, Gate::Unconfirmed | Gate::Dependency);
        let Some(due) = refusal.until.filter(|_| self.is_kept(refusal.gate)) else {
            step.decided(&target, &pending.rule, answer, is_dry);
            return step.end_pending(&self.config, pending, &refusal.detail);
        };
        if is_waiting && pending.gate == refusal.gate {
            // Nothing new: neither written nor told.
            if let Some(live) = self.live.pendings.get_mut(&pending.key) {
                live.unconfirmed = Some((now.at, due));
                live.not_before = now.at;
            }
            return;
        }
        answer.verdict = Verdict::Pending;
        step.decided(&target, &pending.rule, answer, is_dry);
        renewed.due = due;
        if refusal.gate == Gate::Maintenance && self.config.pending_max_ms.is_none() {
            // Not given up before it could be decided.
            renewed.expires = renewed.expires.max(due.plus(PENDING_MARGIN_MS));
        }
        if renewed.key != pending.key {
            // Confirmed: it waits like any other from now on.
            renewed.awaits = None;
            renewed.expires = self.pending_expires(now, settings.limits, due);
            let key = std::mem::replace(&mut renewed.key, pending.key.clone());
            renewed = self.moved(renewed, key);
        }
        step.pend(renewed, false);
    }
}

/// Under which key the earlier matches of what waited under this one were counted.
fn counted_key(key: &PendingKey) -> PendingKey {
    match key {
        PendingKey::Target(_) => key.clone(),
        apart => PendingKey::Id(apart.as_str().to_owned()),
    }
}

/// Nobody has said of it yet that it calls for a restart: it has waited for facts, or for
/// what confirms it.
fn is_news(pending: &Pending) -> bool {
    matches!(pending.gate, Gate::NoFacts | Gate::Unconfirmed)
}

/// What a pending match asks the gates with.
fn matched<'a>(
    pending: &'a Pending,
    remedy: RuleRemedy,
    counted_as: &'a PendingKey,
) -> Matched<'a> {
    Matched {
        rule: &pending.rule,
        remedy,
        line: pending.line,
        threshold: pending.threshold,
        awaits: pending.awaits.as_ref(),
        sign: pending.sign,
        times: &[],
        counted_as: Some(counted_as),
        is_arrival: false,
        is_news: is_news(pending),
    }
}

/// What has waited so is on record as a match from now on, for a storm and for what is held.
fn note_news(step: &mut Step, asking: &Ask<'_>, pending: &Pending, answer: &Decided) {
    let Who::Match(Matched { remedy, .. }) = asking.who else {
        return;
    };
    let is_restart = remedy == RuleRemedy::Restart;
    let is_dry = asking.is_dry_run();
    if !is_news(pending) || !is_restart || is_dry || answer.gate == Some(pending.gate) {
        return;
    }
    step.entries.push(Entry::Decided {
        id: String::new(),
        target: asking.facts.name.clone(),
        wire_id: None,
        rule: pending.rule.clone(),
        remedy,
        decision: answer.verdict,
        gate: answer.gate,
        detail: answer.detail.clone(),
        line: pending.line,
        times: Vec::new(),
        attempt: None,
        dry: false,
    });
}

/// Why there is nothing to decide any more. What has yet to be confirmed may be
/// by something that comes later than its container's last check, or, where it
/// only tells people, by the container's very end.
fn ended(pending: &Pending, facts: &Facts, remedy: RuleRemedy) -> Option<&'static str> {
    let is_other = |id: &String| !facts.id.starts_with(id.as_str());
    if pending.container_id.as_ref().is_some_and(is_other) {
        return Some("another container has its name by now");
    }
    let tells_of_its_end = remedy != RuleRemedy::Restart;
    if facts
        .started_at
        .is_some_and(|start| pending.line.is_before(start) && !tells_of_its_end)
    {
        return Some("the container has started anew since the line");
    }
    // What is watched has an all clear of its own; a health check that is content with less
    // says nothing against it.
    if pending.awaits.is_some() || pending.sign != Sign::Line {
        return None;
    }
    let health = facts.health?;
    let well_since_the_line = health.status == HealthStatus::Healthy
        && health
            .checked_at
            .is_some_and(|at| pending.line.is_before(at));
    well_since_the_line.then_some("recovered by itself")
}
