//! From what the policy says has happened to what people are told: which step
//! it is, in which words, with which figures, and what comes next. Pure.

mod words;

use std::path::PathBuf;

use policy::{
    AttemptView, Decided, Event, Gate, MeasureView, Now, Outcome, Recovery, TargetStatus, Verdict,
};

use super::message::{FIELD_BYTES_MAX, Step, cut, one_line};
use crate::config::show_duration_ms;
use words::{after, figures, held_until, matches, pending_next, plan_in_words, sentence};

/// What the engine knows beside the event.
#[derive(Debug)]
pub struct Facts {
    /// Both clocks.
    pub now: Now,
    /// The target, after the event.
    pub status: Option<TargetStatus>,
    /// Whether something is still being done about it: what comes of that is told, too.
    pub is_being_healed: bool,
    /// How its attempts are judged.
    pub recovery: Recovery,
    /// The attempt that the event is about, else the target's newest.
    pub attempt: Option<AttemptView>,
    /// Where that attempt's evidence is.
    pub evidence: Option<PathBuf>,
    /// What the target said: the newest log line, or what a check or a command printed, as
    /// it came.
    pub sample: Option<String>,
    /// What a trigger says of it; no log text.
    pub why: Option<String>,
}

/// One step of an incident, in words; what becomes of it is the hub's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// By the wall clock, ms since the epoch.
    pub(super) at_ms: u64,
    pub(super) step: Step,
    /// Empty where it is about all.
    pub(super) target: String,
    pub(super) container_id: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) attempt: Option<u64>,
    pub(super) detail: String,
    pub(super) figures: Vec<String>,
    pub(super) next: String,
    pub(super) evidence: Option<String>,
    /// As it came: masked and cut before it is stored.
    pub(super) sample: Option<String>,
}

impl Notice {
    /// Whether its incident ends with it.
    pub fn ends_incident(&self) -> bool {
        super::incident::ends(self.step)
    }
}

/// The target that an event is about; empty where it is about all.
pub fn target_of(event: &Event) -> &str {
    match event {
        Event::Restarting { target, .. }
        | Event::Healing { target, .. }
        | Event::Executed { target, .. }
        | Event::NextMeasure { target, .. }
        | Event::Restarted { target, .. }
        | Event::Ended { target, .. }
        | Event::Decided { target, .. }
        | Event::PendingEnded { target, .. }
        | Event::Escalated { target, .. }
        | Event::EndedUnseen { target, .. }
        | Event::Held { target, .. }
        | Event::Released { target, .. }
        | Event::LabelIgnored { target, .. } => target,
        Event::Storm { .. } | Event::StormEnded { .. } => "",
    }
}

/// Whether an event is told to people at all; what is not needs no facts.
pub fn is_told(event: &Event) -> bool {
    match event {
        Event::Decided {
            rule, decided, dry, ..
        } => !rule.is_empty() && decision(decided, *dry).is_some(),
        // That it waited was not told either.
        Event::PendingEnded { dry: true, .. } => false,
        Event::Restarted { .. } | Event::LabelIgnored { .. } => false,
        // What follows from them is told.
        Event::Executed { .. } => false,
        // The hold that comes with it is.
        Event::Ended { outcome, .. } => *outcome != Outcome::Stopped,
        _ => true,
    }
}

/// In words.
pub fn notice(event: &Event, facts: Facts) -> Option<Notice> {
    if !is_told(event) {
        return None;
    }
    let told = Told::of(event, &facts)?;
    let Facts {
        now,
        status,
        is_being_healed: _,
        recovery,
        attempt,
        evidence,
        sample,
        why: _,
    } = facts;
    // A person's request has no rule.
    let rule = match event {
        Event::Decided { rule, .. }
        | Event::Escalated { rule, .. }
        | Event::EndedUnseen { rule, .. } => Some(rule.clone()),
        Event::Restarting { .. }
        | Event::Healing { .. }
        | Event::NextMeasure { .. }
        | Event::Ended { .. }
        | Event::Held { .. } => attempt.as_ref().and_then(|attempt| attempt.rule.clone()),
        _ => None,
    };
    let is_of_attempt = matches!(
        told.step,
        Step::Restarting
            | Step::NextMeasure
            | Step::Recovered
            | Step::Relapsed
            | Step::Failed
            | Step::Unknown
            | Step::Aborted
            | Step::Held
    ) || matches!(event, Event::Decided { decided, .. } if decided.attempt.is_some());
    let attempt = attempt.filter(|_| is_of_attempt);
    let figures = figures(told.step, attempt.as_ref(), status.as_ref(), recovery);
    Some(Notice {
        at_ms: now.wall_ms,
        step: told.step,
        target: field(target_of(event)),
        container_id: attempt.as_ref().and_then(|a| short(&a.container_id)),
        rule: rule.map(|rule| field(&rule)),
        attempt: attempt.as_ref().map(|a| a.attempt),
        detail: field(&told.detail),
        figures,
        next: field(&told.next),
        evidence: evidence
            .filter(|_| is_of_attempt)
            .map(|path| field(&path.to_string_lossy())),
        sample: sample.filter(|_| told.step != Step::Released),
    })
}

fn field(text: &str) -> String {
    cut(&one_line(text), FIELD_BYTES_MAX)
}

fn short(container_id: &str) -> Option<String> {
    container_id.get(..12).map(str::to_owned)
}

/// What a decision is worth telling; none: nothing. Of what is only run dry that is what would
/// have been done, once it would have been.
fn decision(decided: &Decided, is_dry: bool) -> Option<Step> {
    match (decided.verdict, decided.gate) {
        (Verdict::Restart, _) => Some(Step::Detected),
        (Verdict::Pending, _) if is_dry => None,
        (Verdict::Pending, _) => Some(Step::Pending),
        (Verdict::Refused, Some(Gate::DryRun)) => Some(Step::DryRun),
        // Nobody waits for what no restart can cure: a person has to see to it.
        (Verdict::Refused, Some(Gate::Dependency)) => Some(Step::Escalated),
        // Refusals are many and nobody has to do anything; an escalation has an
        // event of its own.
        (Verdict::Refused | Verdict::Noted | Verdict::Escalated, _) => None,
    }
}

struct Told {
    step: Step,
    detail: String,
    next: String,
}

impl Told {
    fn of(event: &Event, facts: &Facts) -> Option<Self> {
        let told = |step, detail: String, next: String| Some(Self { step, detail, next });
        match event {
            Event::Decided {
                rule, decided, dry, ..
            } => Self::decided(rule, decided, *dry, facts),
            Event::Restarting { .. } => Some(Self::restarting(facts)),
            Event::Healing { measure, .. } => Some(Self::healing(measure, facts)),
            Event::NextMeasure { measure, why, .. } => told(
                Step::NextMeasure,
                format!("Not cured: {why}"),
                match measure {
                    MeasureView::Escalate => "a person is needed".to_owned(),
                    measure => format!("{measure} at once, unless a gate refuses it"),
                },
            ),
            Event::Ended {
                outcome, detail, ..
            } => {
                let step = step_of(*outcome);
                told(step, sentence(detail), after(step, facts))
            }
            // Its end is told, and will say more.
            Event::PendingEnded { expired: false, .. } if facts.is_being_healed => None,
            Event::PendingEnded { why, expired, .. } => match expired {
                true => told(
                    Step::Expired,
                    format!("Given up, and may still be needed: {why}"),
                    "see whether the container needs a restart".to_owned(),
                ),
                false => told(Step::Resolved, sentence(why), "nothing to do".to_owned()),
            },
            Event::Escalated { target, held, .. } => told(
                Step::Escalated,
                "A restart cannot cure this: a person is needed".to_owned(),
                match held {
                    true => held_until(target, facts),
                    false => "no restart is made for it".to_owned(),
                },
            ),
            Event::EndedUnseen { target, rule } => told(
                Step::Escalated,
                matches(rule, facts),
                format!("nothing is started; if it is to run: docker start {target}"),
            ),
            Event::Held { target, why, .. } => {
                told(Step::Held, sentence(why), held_until(target, facts))
            }
            Event::Released { by, .. } => told(
                Step::Released,
                format!("Released by {by}"),
                "it is restarted again when a rule matches".to_owned(),
            ),
            Event::Storm { why } => told(
                Step::Storm,
                sentence(why),
                "no restarts of any container until all is clear, or `healer resume`".to_owned(),
            ),
            Event::StormEnded { by } => told(
                Step::StormEnded,
                format!("The storm is over ({by})"),
                "containers are restarted again when a rule matches".to_owned(),
            ),
            Event::Restarted { .. } | Event::Executed { .. } | Event::LabelIgnored { .. } => None,
        }
    }

    fn restarting(facts: &Facts) -> Self {
        let attempt = facts.attempt.as_ref();
        let why = match attempt.and_then(|a| a.rule.as_ref()) {
            Some(rule) => format!("by rule {rule}"),
            None => "as a person asked for".to_owned(),
        };
        let is_start = |a: &AttemptView| a.measures.contains(&MeasureView::Start);
        let what = match attempt.is_some_and(is_start) {
            true => "started",
            false => "restarted",
        };
        let stable = show_duration_ms(facts.recovery.stable_for_ms);
        Self {
            step: Step::Restarting,
            detail: format!("The container is being {what}, {why}"),
            next: format!("watched for {stable} after it runs again"),
        }
    }

    fn healing(measure: &MeasureView, facts: &Facts) -> Self {
        let asked = facts.attempt.as_ref().and_then(|a| a.rule.as_ref());
        let why = asked.map_or_else(String::new, |rule| format!(", by rule {rule}"));
        Self {
            step: Step::Restarting,
            detail: format!("The container is being healed: {measure}{why}"),
            next: match measure {
                MeasureView::Stop => "it stays down, held until somebody starts it".to_owned(),
                _ => "watched whether it cures".to_owned(),
            },
        }
    }

    fn decided(rule: &str, decided: &Decided, is_dry: bool, facts: &Facts) -> Option<Self> {
        let step = decision(decided, is_dry)?;
        let matches = matches(rule, facts);
        let (detail, next) = match step {
            Step::Detected => (matches, plan_in_words(decided, facts)),
            Step::Escalated => (
                format!("{matches}; {}", decided.detail),
                "no restart is made for it".to_owned(),
            ),
            Step::Pending => (
                format!("{matches}; put off: {}", decided.detail),
                pending_next(facts),
            ),
            _ => (
                sentence(&decided.detail),
                "nothing: this is a dry run".to_owned(),
            ),
        };
        Some(Self { step, detail, next })
    }
}

fn step_of(outcome: Outcome) -> Step {
    match outcome {
        Outcome::Recovered => Step::Recovered,
        Outcome::Relapsed => Step::Relapsed,
        Outcome::Failed => Step::Failed,
        Outcome::Aborted => Step::Aborted,
        Outcome::Unknown => Step::Unknown,
        Outcome::Stopped => Step::Held,
    }
}

#[cfg(test)]
mod tests;
