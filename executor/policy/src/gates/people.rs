//! What people said, and what is under way.

use super::{Ask, Refusal};
use crate::figures::{gone, left, with_reason};
use crate::labels::LABEL_MAINTENANCE;
use crate::state::{Attempt, Pause};
use crate::{AttemptId, Gate, Holding, Now, Timestamp, holding};

/// What has no end first: a marker file, the container's own label, a pause until
/// `healer resume`; then the pause or the window that lasts longest.
pub(super) fn maintenance(ask: &Ask<'_>) -> Option<Refusal> {
    let name = &ask.facts.name;
    if ask.config.stopped.contains(name) {
        let detail =
            format!("Stopped by a person: remove the marker {name}.stopped to heal it again");
        return Some(Refusal::new(Gate::Maintenance, detail));
    }
    if ask.settings.maintenance {
        let detail = format!("Label {LABEL_MAINTENANCE} of '{name}'");
        return Some(Refusal::new(Gate::Maintenance, detail));
    }
    let own = ask.target().and_then(|target| target.pause.as_ref());
    let pauses = [ask.state.pause.as_ref(), own].into_iter().flatten();
    let on = pauses.filter(|p| p.is_on(ask.now.at));
    let pause = on.max_by_key(|p| p.until.unwrap_or(Timestamp(u64::MAX)));
    let window = holding(&ask.config.windows, name, ask.now.wall_ms);
    [
        pause.map(|p| paused(p, ask.now)),
        window.map(|w| open(&w, ask.now)),
    ]
    .into_iter()
    .flatten()
    .max_by_key(|refusal| refusal.until.unwrap_or(Timestamp(u64::MAX)))
}

fn paused(pause: &Pause, now: Now) -> Refusal {
    let words = |detail: String| with_reason(detail, &pause.reason);
    match pause.until {
        Some(until) => {
            let detail = format!("Paused for another {}", left(until, now.at));
            Refusal::new(Gate::Maintenance, words(detail)).until(until)
        }
        None => {
            let detail = words("Paused until `healer resume`".to_owned());
            Refusal::new(Gate::Maintenance, detail)
        }
    }
}

/// The wall's time left, from now on by the policy's clock.
fn open(held: &Holding<'_>, now: Now) -> Refusal {
    let until = now.at.plus(held.until_wall_ms.saturating_sub(now.wall_ms));
    let name = &held.window.name;
    let detail = format!("Maintenance '{name}' for another {}", left(until, now.at));
    let detail = with_reason(detail, &held.window.reason);
    Refusal::new(Gate::Maintenance, detail).until(until)
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
    Some(in_progress_with(id, attempt, ask.now))
}

/// Also for an attempt that this very decision takes to its next measure.
pub(crate) fn in_progress_with(id: AttemptId, attempt: &Attempt, now: Now) -> Refusal {
    let age_ms = now.at.since(attempt.at);
    let until = now.at.plus(attempt.charge.longest_call_ms());
    let detail = format!("Attempt {id} in progress (for {})", gone(age_ms));
    Refusal::new(Gate::InProgress, detail).until(until)
}
