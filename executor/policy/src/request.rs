//! A person's request for one restart.

use crate::draft::{charged, decided};
use crate::gates::{self, Ask, Refusal, Who};
use crate::intent::refused;
use crate::judge::{Ruling, Shadow, grown};
use crate::labels::{Settings, settings};
use crate::{
    Cause, Decided, Entry, Facts, Gate, KEEP_MS, Limits, Look, Now, Policy, RequestInput,
    RuleRemedy, Step, Verdict, WallTime,
};

impl Policy {
    pub(crate) fn request(&mut self, now: Now, request: &RequestInput, look: &Look) -> Step {
        let facts = match look {
            Look::Found(facts) => facts,
            Look::Gone => {
                let detail = format!("No container '{}'", request.target);
                let refusal = Refusal::new(Gate::UnknownTarget, detail);
                return refuse(now, &request.target, refused(&refusal));
            }
            Look::Unavailable { why } => {
                let detail = format!("No facts from Docker: {why}");
                let refusal = Refusal::new(Gate::NoFacts, detail);
                return refuse(now, &request.target, refused(&refusal));
            }
        };
        let settings = settings(&self.config, facts);
        let mut step = match self.limits_asked(request, facts, &settings) {
            Ok(limits) => {
                // Limits that were given have not grown.
                let own = request.cooldown_ms.is_none();
                let target = self.state.target(&facts.name).filter(|_| own);
                let uncured = target.map_or(0, |t| t.uncured);
                self.requested(now, facts, &settings, limits, uncured)
            }
            Err(wrong) => refuse(now, &facts.name, decided(Verdict::Refused, None, wrong)),
        };
        self.tell_labels(&mut step, facts, &settings);
        step
    }

    fn requested(
        &self,
        now: Now,
        facts: &Facts,
        settings: &Settings,
        limits: Limits,
        uncured: u32,
    ) -> Step {
        let asking = Ask {
            config: &self.config,
            state: &self.state,
            now,
            who: Who::Person,
            facts,
            settings,
            wire_id: None,
            limits,
            uncured,
            attempt: None,
        };
        let ruling = match gates::ask(&asking, Gate::Protected, Gate::Unconfirmed) {
            Some(refusal) => Ruling::Refused(refusal),
            None => self.judge_budget(&asking),
        };
        let (limits, shadow) = match ruling {
            Ruling::Refused(refusal) => return refuse(now, &facts.name, refused(&refusal)),
            Ruling::Go { limits, shadow } => (limits, shadow),
        };
        let mut step = Step::default();
        let plan = Vec::new();
        let mut answer = charged(&facts.name, shadow, &plan);
        let attempt = self.charge(&mut step, facts, Cause::Person, (limits, shadow), plan);
        answer.attempt = Some(attempt);
        step.answer(&facts.name, "", answer, shadow != Shadow::No);
        step
    }

    /// Limits that were given, and the configured ones (grown by what did not
    /// cure) for the rest.
    fn limits_asked(
        &self,
        request: &RequestInput,
        facts: &Facts,
        settings: &Settings,
    ) -> Result<Limits, String> {
        let uncured = self.state.target(&facts.name).map_or(0, |t| t.uncured);
        let own = grown(settings, uncured);
        let longest_ms = self.config.largest_limit_ms().max(KEEP_MS);
        for (what, given) in [
            ("cooldown", request.cooldown_ms),
            ("window", request.window_ms),
        ] {
            if given.is_some_and(|ms| ms > longest_ms) {
                return Err(format!(
                    "A {what} of more than {}s cannot be judged: charges are not kept longer",
                    longest_ms / 1_000
                ));
            }
        }
        Ok(Limits {
            cooldown_ms: request.cooldown_ms.unwrap_or(own.cooldown_ms),
            window_ms: request.window_ms.unwrap_or(own.window_ms),
            max_per_window: request.max_per_window.unwrap_or(own.max_per_window),
        })
    }
}

/// A refused request is remembered for `healer history`, under no id.
fn refuse(now: Now, target: &str, answer: Decided) -> Step {
    let mut step = Step::default();
    step.entries.push(Entry::Decided {
        id: String::new(),
        target: target.to_owned(),
        wire_id: None,
        rule: String::new(),
        remedy: RuleRemedy::Restart,
        decision: answer.verdict,
        gate: answer.gate,
        detail: answer.detail.clone(),
        line: WallTime {
            secs: now.wall_ms / 1_000,
            nanos: None,
        },
        times: Vec::new(),
        attempt: None,
        dry: false,
    });
    step.answer(target, "", answer, false);
    step
}
