//! Words and figures that several steps share: what matched, what is done about it, and what
//! comes next. Pure.

use policy::{AttemptView, Decided, MeasureView, Now, Recovery, TargetStatus};

use super::super::message::Step;
use super::Facts;
use crate::config::show_duration_ms;
use crate::report::iso_utc;

/// With a capital.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

pub(super) fn matches(rule: &str, facts: &Facts) -> String {
    match &facts.why {
        Some(why) => format!("Rule {rule} matches: {why}"),
        None => format!("Rule {rule} matches"),
    }
}

/// What will be done: `exec 'reload' at once, then restart if that does not cure`.
pub(super) fn plan_in_words(decided: &Decided, facts: &Facts) -> String {
    let is_its = |a: &&AttemptView| Some(a.attempt) == decided.attempt;
    let attempt = facts.attempt.as_ref().filter(is_its);
    let Some((first, rest)) = attempt.and_then(|a| a.measures.split_first()) else {
        return "a restart at once".to_owned();
    };
    match rest {
        [] => format!("{first} at once"),
        rest => {
            let rest: Vec<String> = rest.iter().map(MeasureView::to_string).collect();
            let rest = rest.join(", then ");
            format!("{first} at once, then {rest} if that does not cure")
        }
    }
}

/// What comes after an attempt.
pub(super) fn after(step: Step, facts: &Facts) -> String {
    let Some(status) = &facts.status else {
        return String::new();
    };
    if status.held.is_some() {
        return held_until(&status.target, facts);
    }
    if status.pending.is_some() {
        return pending_next(facts);
    }
    match step {
        Step::Recovered => "nothing to do".to_owned(),
        Step::Aborted => "nothing: it is left as it is".to_owned(),
        _ => match status.possible.left_ms {
            Some(0) => "restarted at the next match".to_owned(),
            Some(left) => format!("next possible restart {}", in_and_at(facts.now, left)),
            None => "no restart until somebody says so: see `healer status`".to_owned(),
        },
    }
}

pub(super) fn pending_next(facts: &Facts) -> String {
    let pending = facts.status.as_ref().and_then(|s| s.pending.as_ref());
    let Some(pending) = pending else {
        return "decided again as soon as it may be".to_owned();
    };
    let due = match pending.due_ms {
        0 => "at once".to_owned(),
        due => in_and_at(facts.now, due),
    };
    format!(
        "decided again {due}, given up {}",
        in_and_at(facts.now, pending.expires_ms)
    )
}

/// How it gets free again.
pub(super) fn held_until(target: &str, facts: &Facts) -> String {
    let by_itself = match facts.recovery.release_after_ms {
        0 => String::new(),
        ms => format!(", or well for {}", show_duration_ms(ms)),
    };
    format!("no restarts until `healer resume {target}`{by_itself}")
}

/// `in 45s (at 2026-11-22T12:00:45Z)`.
fn in_and_at(now: Now, ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    let at = iso_utc(now.wall_ms.saturating_add(ms).div_ceil(1_000));
    format!("in {} (at {at})", show_duration_ms(seconds * 1_000))
}

pub(super) fn figures(
    step: Step,
    attempt: Option<&AttemptView>,
    status: Option<&TargetStatus>,
    recovery: Recovery,
) -> Vec<String> {
    let mut figures = Vec::new();
    if let Some(status) = status {
        // Those before the one that is being made.
        let uncured = status.uncured + u32::from(step == Step::Restarting);
        let is_counted = matches!(
            step,
            Step::Restarting | Step::Relapsed | Step::Failed | Step::Unknown | Step::Held
        );
        if is_counted && uncured > 0 {
            figures.push(format!("attempt {uncured} of {}", recovery.max_attempts));
        }
    }
    if let Some(attempt) = attempt {
        figures.push(format!(
            "restart {} of {} within {}",
            attempt.window_count,
            attempt.limits.max_per_window,
            show_duration_ms(attempt.limits.window_ms)
        ));
        if let Some(ms) = attempt.duration_ms {
            figures.push(format!("done within {}", show_duration_ms(ms)));
        }
    }
    figures
}
