//! What a container needs and has not: a parent that is itself sick is healed first.

use super::{Ask, Refusal, Who};
use crate::state::Target;
use crate::{
    ContainerState, DEPENDENCY_LOOK_MS, Gate, HealthStatus, LOOK_WAIT_MIN_MS, Parent, PendingKey,
    Relation, Seen,
};

/// A match waits for the first parent that is sick; a person knows what they ask for. What
/// shares the network of a container that is no more cannot be cured by a restart.
pub(super) fn dependency(ask: &Ask<'_>) -> Option<Refusal> {
    let Who::Match(_) = ask.who else {
        return None;
    };
    let parents = || ask.facts.parents.iter();
    if let Some(lost) = parents().find(|p| p.seen == Seen::Gone && p.relation == Relation::Network)
    {
        let (name, parent) = (&ask.facts.name, &lost.name);
        let detail = format!(
            "'{name}' shares the network of a container that is no more ({parent}): no restart \
             can cure that, create '{name}' anew (`docker compose up -d`)"
        );
        return Some(Refusal::new(Gate::Dependency, detail));
    }
    if let Some((parent, why)) = parents().find_map(|p| Some((p, sick(ask, p)?))) {
        let detail = format!("Waits for '{}', which {why}", parent.name);
        let until = ask.now.at.plus(DEPENDENCY_LOOK_MS);
        return Some(Refusal::new(Gate::Dependency, detail).until(until));
    }
    let unknown = parents().find(|p| p.seen == Seen::Unknown)?;
    let detail = format!(
        "No facts from Docker in time about what it needs ({}): it is looked at for longer next",
        unknown.name
    );
    Some(Refusal::new(Gate::Dependency, detail).until(ask.now.at.plus(LOOK_WAIT_MIN_MS)))
}

/// Healed just now: what Docker shows of it counts once it has had the time to fall again. The
/// all clear of what called for that may take hours, and is not waited for.
fn is_settling(ask: &Ask<'_>, name: &str, target: &Target) -> bool {
    let attempt = target.verified.and_then(|id| ask.state.open(id));
    let Some(restarted) = attempt.and_then(|attempt| attempt.restarted) else {
        return false;
    };
    let recovery = ask.config.target(name).recovery;
    let settles_ms = recovery
        .start_delay_ms
        .saturating_add(recovery.stable_for_ms);
    ask.now.at < restarted.at.plus(settles_ms)
}

/// What is wrong with it, by what Docker shows and by what is being done about it.
fn sick(ask: &Ask<'_>, parent: &Parent) -> Option<String> {
    let target = ask.state.target(&parent.name);
    if target.is_some_and(|t| t.in_progress.is_some()) {
        return Some("is being healed".to_owned());
    }
    if target.is_some_and(|t| is_settling(ask, &parent.name, t)) {
        return Some("has been healed and is being watched".to_owned());
    }
    let key = PendingKey::Target(parent.name.clone());
    if ask.state.pendings.contains_key(&key) {
        return Some("waits to be healed".to_owned());
    }
    let Seen::Found { state, health } = parent.seen else {
        return None;
    };
    match (state, health) {
        (ContainerState::Running, Some(HealthStatus::Unhealthy)) => Some("is unhealthy".to_owned()),
        (ContainerState::Running, Some(HealthStatus::Starting)) => {
            Some("has not been found healthy yet".to_owned())
        }
        (ContainerState::Running, _) => None,
        (state, _) => Some(format!("is {}", state.as_str())),
    }
}
