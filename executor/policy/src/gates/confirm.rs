//! Whether something else speaks for a match, where its rule asks for that.

use super::{Ask, Matched, Refusal, Who};
use crate::figures::{left, limit, wall_ms};
use crate::{Awaits, CONFIRM_LOOK_MS, Confirmation, Gate, HealthStatus, PendingKey, RuleRemedy};

/// By time until then, for good after that.
pub(super) fn unconfirmed(ask: &Ask<'_>) -> Option<Refusal> {
    let Who::Match(matched) = ask.who else {
        return None;
    };
    let awaits = matched.awaits?;
    let confirm = &awaits.confirm;
    if confirm
        .by
        .iter()
        .any(|by| is_confirmed(ask, &matched, awaits, by))
    {
        return None;
    }
    let by = in_words(&confirm.by);
    if ask.now.at >= awaits.until {
        let detail = format!("Not confirmed within {} by {by}", limit(confirm.within_ms));
        return Some(Refusal::new(Gate::Unconfirmed, detail));
    }
    let wait = left(awaits.until, ask.now.at);
    let detail = format!("Not confirmed yet by {by} (waiting for another {wait})");
    // Other rules' matches come by themselves.
    let is_rule = |by: &Confirmation| matches!(by, Confirmation::Rule(_));
    let next = if confirm.by.iter().all(is_rule) {
        awaits.until
    } else {
        awaits.until.min(ask.now.at.plus(CONFIRM_LOOK_MS))
    };
    Some(Refusal::new(Gate::Unconfirmed, detail).until(next))
}

fn is_confirmed(ask: &Ask<'_>, matched: &Matched<'_>, awaits: &Awaits, by: &Confirmation) -> bool {
    let within_ms = awaits.confirm.within_ms;
    let is_near = |ms: u64| ms.abs_diff(wall_ms(matched.line)) <= within_ms;
    match by {
        Confirmation::Rule(rule) => has_matched(ask, matched, rule, within_ms),
        Confirmation::Unhealthy => ask.facts.health.is_some_and(|health| {
            let found_ms = health.checked_at.map(wall_ms);
            health.status == HealthStatus::Unhealthy
                && (ask.facts.read_at <= awaits.until || found_ms.is_some_and(is_near))
        }),
        Confirmation::Exit => ended_ms(ask).is_some_and(is_near),
    }
}

/// Seconds are all that is known of matches, so both ends of the time count.
fn has_matched(ask: &Ask<'_>, matched: &Matched<'_>, rule: &str, within_ms: u64) -> bool {
    let key = PendingKey::Target(ask.facts.name.clone());
    let started = ask
        .facts
        .started_at
        .filter(|start| !matched.line.is_before(*start));
    let from = started.map_or(0, |start| start.secs);
    let within_s = within_ms.div_ceil(1_000);
    let counted = &ask.state.counted;
    // Where Docker was slow to say whose they are, by the id on the wire.
    let by_id = PendingKey::Id(ask.facts.id.clone());
    let keys = [Some(&key), matched.counted_as, Some(&by_id)];
    let mut seconds = keys
        .into_iter()
        .flatten()
        .flat_map(|key| counted.with(key, rule, &[], from));
    seconds.any(|(second, _)| second.abs_diff(matched.line.secs) <= within_s)
}

/// What only tells people may tell them of the very end that confirms it. (A
/// restart cannot: what has ended is not started, and what has been started
/// anew needs none.)
pub(super) fn tells_of_its_end(ask: &Ask<'_>) -> bool {
    let Who::Match(matched) = ask.who else {
        return false;
    };
    matched.remedy != RuleRemedy::Restart
        && matched
            .awaits
            .is_some_and(|awaits| has_ended_since(ask, &matched, awaits))
}

fn has_ended_since(ask: &Ask<'_>, matched: &Matched<'_>, awaits: &Awaits) -> bool {
    let line_ms = wall_ms(matched.line);
    let in_time = line_ms..=line_ms.saturating_add(awaits.confirm.within_ms);
    awaits.confirm.by.contains(&Confirmation::Exit)
        && ended_ms(ask).is_some_and(|ms| in_time.contains(&ms))
}

/// When the container last ended, unless that was by our own restart: it says
/// nothing about the container.
fn ended_ms(ask: &Ask<'_>) -> Option<u64> {
    let ended_ms = ask.facts.finished_at.map(wall_ms)?;
    let spent = ask.target().map_or(&[][..], |target| &target.spent);
    let attempts = spent
        .iter()
        .filter_map(|s| ask.state.attempts.get(&s.attempt?));
    let mut stops = attempts.flat_map(|attempt| {
        let wait_ms = attempt.charge.stop_wait_ms;
        attempt
            .sent
            .iter()
            .map(move |sent| sent.wall_ms..=sent.wall_ms + wait_ms)
    });
    (!stops.any(|stop| stop.contains(&ended_ms))).then_some(ended_ms)
}

fn in_words(by: &[Confirmation]) -> String {
    let words = by.iter().map(|by| match by {
        Confirmation::Rule(rule) => format!("rule '{rule}'"),
        Confirmation::Unhealthy => "an unhealthy container".to_owned(),
        Confirmation::Exit => "the container's exit".to_owned(),
    });
    words.collect::<Vec<_>>().join(" or ")
}
