//! Remedies that restart nothing: `escalate` tells a person, who has to see to
//! the target before anything restarts it again; `note` counts.
//!
//! Both pass the gates up to `maintenance` and spend no budget; what has to be
//! confirmed waits for that as a restart does. A rule's threshold says when its
//! remedy applies, so it holds for `escalate`.
//!
//! Of a container that is down and whose end nobody saw a person is told, too, but nothing is
//! held: it may be as somebody wants it.

use crate::draft::decided;
use crate::gates::{self, Ask, Refusal};
use crate::intent::{Arrival, refused};
use crate::labels::Settings;
use crate::{
    Decided, Entry, Event, Facts, Gate, Now, Policy, RuleRemedy, Sign, Step, Verdict, WallTime,
};

impl Policy {
    pub(crate) fn told(
        &mut self,
        now: Now,
        arrival: &Arrival<'_>,
        facts: &Facts,
        settings: &Settings,
    ) -> Step {
        let mut step = Step::default();
        let asking = self.asking(now, arrival, facts, settings);
        let remedy = arrival.remedy;
        match told_refusal(&asking, remedy) {
            Some(refusal) if refusal.gate == Gate::Unconfirmed => {
                self.delayed(&mut step, &asking, arrival, &refusal);
            }
            Some(refusal) => arrival.settle(&mut step, &facts.name, refused(&refusal)),
            None => {
                let is_dry = (asking.is_dry_run(), asking.is_shadow_rule());
                let (rule, sign) = (&arrival.intent.rule, arrival.rule.sign);
                let answer = self.say(&mut step, facts, rule, (remedy, sign), is_dry);
                arrival.settle(&mut step, &facts.name, answer);
            }
        }
        step
    }

    /// Does what the remedy calls for. In a dry run nothing is held; what a rule
    /// that is run dry would say to a person is only recorded.
    pub(crate) fn say(
        &mut self,
        step: &mut Step,
        facts: &Facts,
        rule: &str,
        (remedy, sign): (RuleRemedy, Sign),
        (is_dry, is_shadow_rule): (bool, bool),
    ) -> Decided {
        let name = &facts.name;
        if remedy != RuleRemedy::Escalate {
            return noted(rule);
        }
        if is_shadow_rule {
            return would_hold(name, rule);
        }
        if sign == Sign::EndedUnseen {
            return self.say_unseen(step, name, rule, facts.finished_at);
        }
        let needs = needs_a_person(rule);
        let is_held = self.is_held(name);
        let is_news = self.live.is_escalation_news(name, rule);
        if !is_held && !is_dry {
            let mut why = needs.clone();
            why[..1].make_ascii_lowercase();
            step.entries.push(Entry::Held {
                target: name.clone(),
                why,
                container_id: Some(facts.id.clone()),
                started_at: facts.started_at,
            });
        }
        if is_news || (!is_held && !is_dry) {
            step.tell(Event::Escalated {
                target: name.clone(),
                rule: rule.to_owned(),
                held: !is_dry,
            });
        }
        let detail = if is_dry {
            needs
        } else {
            format!("{needs}; held until `healer resume {name}` or verified health")
        };
        decided(Verdict::Escalated, None, detail)
    }

    /// Once for each end.
    fn say_unseen(
        &mut self,
        step: &mut Step,
        name: &str,
        rule: &str,
        ended_at: Option<WallTime>,
    ) -> Decided {
        let end = ended_at.map_or((0, 0), |at| (at.secs, at.nanos.unwrap_or_default()));
        let key = format!("{rule} {}.{:09}", end.0, end.1);
        if self.live.is_escalation_news(name, &key) {
            step.tell(Event::EndedUnseen {
                target: name.to_owned(),
                rule: rule.to_owned(),
            });
        }
        let detail = format!(
            "Rule '{rule}' leaves '{name}' to a person: nobody saw how it ended, so somebody may \
             have stopped it"
        );
        decided(Verdict::Escalated, None, detail)
    }

    /// Without facts about the container: told once by the name on the wire, and
    /// nothing is held.
    pub(crate) fn say_unchecked(
        &mut self,
        step: &mut Step,
        arrival: &Arrival<'_>,
        why: &str,
    ) -> Decided {
        let rule = &arrival.intent.rule;
        let is_shadow_rule = self.config.shadow_rules.contains(rule);
        let mut answer = if is_shadow_rule && arrival.remedy == RuleRemedy::Escalate {
            would_hold(arrival.shown(""), rule)
        } else if arrival.remedy == RuleRemedy::Escalate && arrival.rule.sign == Sign::EndedUnseen {
            self.say_unseen(step, arrival.shown(""), rule, Some(arrival.line))
        } else if arrival.remedy == RuleRemedy::Escalate {
            let name = arrival.shown("");
            if self.live.is_escalation_news(name, rule) {
                step.tell(Event::Escalated {
                    target: name.to_owned(),
                    rule: rule.clone(),
                    held: false,
                });
            }
            decided(Verdict::Escalated, None, needs_a_person(rule))
        } else {
            noted(rule)
        };
        answer.detail += &format!(" (container not checked: {why})");
        answer
    }
}

/// The gates that a remedy without a restart passes.
pub(crate) fn told_refusal(asking: &Ask<'_>, remedy: RuleRemedy) -> Option<Refusal> {
    let counts = remedy == RuleRemedy::Escalate;
    let first = if counts {
        Gate::BelowThreshold
    } else {
        Gate::Unconfirmed
    };
    gates::ask(asking, Gate::Protected, Gate::Maintenance)
        .or_else(|| gates::ask(asking, first, Gate::Unconfirmed))
}

fn noted(rule: &str) -> Decided {
    decided(Verdict::Noted, None, format!("Rule '{rule}' is noted"))
}

fn would_hold(name: &str, rule: &str) -> Decided {
    let detail = format!("Dry run: would hold '{name}' for a person, by rule '{rule}'");
    decided(Verdict::Refused, Some(Gate::DryRun), detail)
}

fn needs_a_person(rule: &str) -> String {
    format!("Rule '{rule}' needs a person: a restart cannot cure it")
}
