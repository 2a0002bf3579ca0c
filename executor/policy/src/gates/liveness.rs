//! Whether the line speaks of what runs now.

use super::confirm::tells_of_its_end;
use super::identity::is_before_start;
use super::{Ask, Refusal, Who};
use crate::figures::{before, gone, limit, wall_ms};
use crate::{ContainerState, Gate, Policy, RuleRemedy, Sign, WallTime, stop_wait_ms};

/// A line from before the current start restarts nothing, nor does one that was
/// too old when it came.
pub(super) fn stale(ask: &Ask<'_>) -> Option<Refusal> {
    let Who::Match(matched) = ask.who else {
        return None;
    };
    if matched.is_arrival
        && !matched.sign.is_an_end()
        && let Some(detail) = too_old(matched.line, ask.now.wall_ms, ask.config.max_age_ms)
    {
        return Some(Refusal::new(Gate::Stale, detail));
    }
    if tells_of_its_end(ask) || tells_of_what_is_watched(ask) {
        return None;
    }
    if let Some(eased_at) = Policy::eased_at(ask.state, ask.facts)
        && matched.line.is_before(eased_at)
        && ask.attempt.is_none()
    {
        return Some(Refusal::new(
            Gate::Stale,
            format!(
                "Line is older than the command that was run for it (by {})",
                before(matched.line, eased_at)
            ),
        ));
    }
    let start = is_before_start(matched.line, ask)?;
    Some(Refusal::new(
        Gate::Stale,
        format!(
            "Line is older than the container's start (by {})",
            before(matched.line, start)
        ),
    ))
}

/// Whether a line is older than `max_age_ms` on its arrival, and how old.
pub(crate) fn too_old(line: WallTime, wall_ms_now: u64, max_age_ms: u64) -> Option<String> {
    let age_ms = match line.nanos {
        Some(_) => wall_ms_now.saturating_sub(wall_ms(line)),
        // Whole seconds: as young as it may be.
        None => (wall_ms_now / 1_000).saturating_sub(line.secs) * 1_000,
    };
    (age_ms > max_age_ms).then(|| {
        format!(
            "Line is too old ({} > {} on arrival)",
            gone_up(age_ms),
            limit(max_age_ms)
        )
    })
}

/// Rounded up where that is needed to stay above a limit in whole seconds.
fn gone_up(age_ms: u64) -> String {
    gone(age_ms.next_multiple_of(1_000))
}

pub(super) fn not_running(ask: &Ask<'_>) -> Option<Refusal> {
    let facts = ask.facts;
    if let Some(id) = ask.wire_id
        && !facts.id.starts_with(id)
    {
        return Some(Refusal::new(
            Gate::NotRunning,
            format!("'{}' is another container by now", facts.name),
        ));
    }
    let is_another_matter =
        tells_of_its_end(ask) || tells_of_what_is_watched(ask) || ended_at(ask).is_some();
    if facts.state == ContainerState::Running {
        return being_stopped(ask);
    }
    if is_another_matter {
        return None;
    }
    Some(Refusal::new(
        Gate::NotRunning,
        format!("'{}' is {}, not running", facts.name, facts.state.as_str()),
    ))
}

/// Somebody is stopping it: what it prints or fails meanwhile is part of that, and a restart
/// would bring it back. What still runs after the longest stop was not to end.
fn being_stopped(ask: &Ask<'_>) -> Option<Refusal> {
    let Who::Match(matched) = ask.who else {
        return None;
    };
    let asked_at = ask.facts.asked_to_end_at?;
    let is_over = asked_at.plus(stop_wait_ms(ask.facts.stop_timeout_s));
    if matched.remedy != RuleRemedy::Restart || ask.now.at >= is_over || is_by_us(ask) {
        return None;
    }
    let detail = format!(
        "'{}' is being stopped, since {}",
        ask.facts.name,
        gone(ask.now.at.since(asked_at))
    );
    Some(Refusal::new(Gate::NotRunning, detail).until(is_over))
}

/// An attempt of ours has called the engine, or may have.
fn is_by_us(ask: &Ask<'_>) -> bool {
    let target = ask.state.target(&ask.facts.name);
    let under_way = ask.attempt.or(target.and_then(|target| target.in_progress));
    let attempt = under_way.and_then(|id| ask.state.open(id));
    attempt.is_some_and(|attempt| !attempt.sent.is_empty())
}

/// In place of `not-running` where the container's own end is the sign: it has to be down
/// still, and by that very end. What somebody has started since, or what has ended once
/// more, is another matter.
pub(super) fn not_ended(ask: &Ask<'_>) -> Option<Refusal> {
    let ended_at = ended_at(ask)?;
    let facts = ask.facts;
    let detail = match facts.state {
        ContainerState::Exited if facts.finished_at == Some(ended_at) => return None,
        ContainerState::Exited => format!("'{}' has ended anew since", facts.name),
        state => format!("'{}' is {} by now", facts.name, state.as_str()),
    };
    Some(Refusal::new(Gate::NotEnded, detail))
}

/// What is watched is true of the container whether it runs at this moment or was started once
/// more since: people are told of a crash loop in the middle of it.
fn tells_of_what_is_watched(ask: &Ask<'_>) -> bool {
    let Who::Match(matched) = ask.who else {
        return false;
    };
    matched.remedy != RuleRemedy::Restart && matches!(matched.sign, Sign::Watched { .. })
}

/// When the container ended, where that is the sign.
fn ended_at(ask: &Ask<'_>) -> Option<WallTime> {
    match ask.who {
        Who::Match(matched) if matched.sign.is_an_end() => Some(matched.line),
        Who::Match(_) | Who::Person => None,
    }
}
