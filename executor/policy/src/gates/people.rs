//! What people said, and what is under way.

use super::{Ask, Refusal};
use crate::figures::{gone, left};
use crate::state::Pause;
use crate::{Gate, Now, Timestamp};

/// A marker file first, then the pause that lasts longest.
pub(super) fn maintenance(ask: &Ask<'_>) -> Option<Refusal> {
    let name = &ask.facts.name;
    if ask.config.stopped.contains(name) {
        let detail =
            format!("Stopped by a person: remove the marker {name}.stopped to heal it again");
        return Some(Refusal::new(Gate::Maintenance, detail));
    }
    let own = ask.target().and_then(|target| target.pause);
    let pauses = [ask.state.pause, own];
    let on = pauses.into_iter().flatten().filter(|p| p.is_on(ask.now.at));
    let pause = on.max_by_key(|p| p.until.unwrap_or(Timestamp(u64::MAX)))?;
    Some(paused(&pause, ask.now))
}

fn paused(pause: &Pause, now: Now) -> Refusal {
    match pause.until {
        Some(until) => {
            let detail = format!("Paused for another {}", left(until, now.at));
            Refusal::new(Gate::Maintenance, detail).until(until)
        }
        None => Refusal::new(Gate::Maintenance, "Paused until `healer resume`"),
    }
}

pub(super) fn held(ask: &Ask<'_>) -> Option<Refusal> {
    let held = ask.target()?.held.as_ref()?;
    Some(held_because(&ask.facts.name, &held.why))
}

/// Also for a hold that this very decision makes.
pub(crate) fn held_because(name: &str, why: &str) -> Refusal {
    Refusal::new(
        Gate::Held,
        format!("Held: {why} (`healer resume {name}` frees it)"),
    )
}

/// From the charge until the engine's answer is known.
pub(super) fn in_progress(ask: &Ask<'_>) -> Option<Refusal> {
    let id = ask.target()?.in_progress?;
    if ask.attempt == Some(id) {
        return None;
    }
    let attempt = ask.state.open(id)?;
    let age_ms = ask.now.at.since(attempt.at);
    let until = ask.now.at.plus(attempt.charge.stop_wait_ms);
    let detail = format!("Attempt {id} in progress (for {})", gone(age_ms));
    Some(Refusal::new(Gate::InProgress, detail).until(until))
}
