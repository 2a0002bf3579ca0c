//! Whether this container is one that may be healed at all.

use super::{Ask, Refusal, Who};
use crate::labels::{self, Enabled, LABEL_ENABLE, LABEL_PROTECT};
use crate::{Gate, WallTime};

pub(super) fn protected(ask: &Ask<'_>) -> Option<Refusal> {
    let name = &ask.facts.name;
    if ask.facts.is_self_or_peer {
        Some(Refusal::new(
            Gate::Protected,
            format!("'{name}' is the healer's own container or the sender's"),
        ))
    } else if ask.settings.protected {
        Some(Refusal::new(
            Gate::Protected,
            format!("'{name}' is protected, by configuration or label {LABEL_PROTECT}"),
        ))
    } else {
        None
    }
}

pub(super) fn orchestrated(ask: &Ask<'_>) -> Option<Refusal> {
    let owner = labels::orchestrator(ask.facts)?;
    Some(Refusal::new(
        Gate::Orchestrated,
        format!("'{}' belongs to {owner}, which restarts it", ask.facts.name),
    ))
}

/// A person who names a target enables it.
pub(super) fn not_enabled(ask: &Ask<'_>) -> Option<Refusal> {
    if matches!(ask.who, Who::Person) {
        return None;
    }
    let name = &ask.facts.name;
    let detail = match ask.settings.enabled {
        Enabled::Yes => return None,
        Enabled::ByLabel => format!("'{name}' is switched off by its label {LABEL_ENABLE}=false"),
        Enabled::SwitchedOff => format!("'{name}' is switched off in the configuration"),
        Enabled::NotListed => {
            format!("'{name}' is neither listed nor labelled {LABEL_ENABLE}=true")
        }
    };
    Some(Refusal::new(Gate::NotEnabled, detail))
}

/// Whether a line was printed before the container's current start.
pub(crate) fn is_before_start(line: WallTime, ask: &Ask<'_>) -> Option<WallTime> {
    ask.facts.started_at.filter(|start| line.is_before(*start))
}
