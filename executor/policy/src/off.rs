//! Targets for which nothing is ever done by itself, whatever happens to them: switched off,
//! protected, or left to an orchestrator. For people and for what need not be begun; the gates
//! decide by themselves.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::labels::{Enabled, orchestrator, settings};
use crate::{Config, ContainerState, Facts, Gate, LABEL_ENABLE, LABEL_PROTECT, Timestamp};

/// Why nothing is ever done by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Off {
    /// The first gate that always refuses.
    pub gate: Gate,
    /// For people, without the target's name: `switched off in the configuration`.
    pub why: String,
}

/// What is known of the labels of a target's container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelled<'a> {
    /// No container by that name has been seen.
    Unseen,
    /// With them it may be healed.
    On,
    /// With them it is off.
    Off(&'a Off),
}

/// Whether a container with this name and these labels is off; neither listed nor labelled
/// counts as that, too.
pub fn off(config: &Config, name: &str, labels: &BTreeMap<String, String>) -> Option<Off> {
    let facts = bare(name, labels.clone());
    let settings = settings(config, &facts);
    let (gate, why) = if settings.protected {
        let why = format!("protected, by configuration or label {LABEL_PROTECT}");
        (Gate::Protected, why)
    } else if let Some(owner) = orchestrator(&facts) {
        (Gate::Orchestrated, format!("{owner} restarts it"))
    } else {
        let why = match settings.enabled {
            Enabled::Yes => return None,
            Enabled::ByLabel => format!("switched off by its label {LABEL_ENABLE}=false"),
            Enabled::SwitchedOff => "switched off in the configuration".to_owned(),
            Enabled::NotListed => format!("neither listed nor labelled {LABEL_ENABLE}=true"),
        };
        (Gate::NotEnabled, why)
    };
    Some(Off { gate, why })
}

/// Whether the configuration itself has a target off, and no label can change that: nothing
/// needs to be looked at for it. None for names that it does not list: labels may enable those.
pub fn off_for_good(config: &Config, name: &str) -> Option<Off> {
    by_configuration(config, name).filter(|_| !config.labels_may_loosen)
}

/// By all that is known. Where the container was not seen, or something else about it makes
/// it off (it is the healer's own, say), this is the configuration's word alone.
pub(crate) fn off_as_known(config: &Config, name: &str, labelled: Labelled<'_>) -> Option<Off> {
    match labelled {
        // What was seen may be older than the configuration.
        Labelled::On => off_for_good(config, name),
        Labelled::Off(off) => off_for_good(config, name).or_else(|| Some(off.clone())),
        Labelled::Unseen => by_configuration(config, name),
    }
}

fn by_configuration(config: &Config, name: &str) -> Option<Off> {
    config.targets.get(name)?;
    off(config, name, &BTreeMap::new())
}

/// All that matters here of a container.
fn bare(name: &str, labels: BTreeMap<String, String>) -> Facts {
    Facts {
        id: String::new(),
        name: name.to_owned(),
        state: ContainerState::Running,
        started_at: None,
        finished_at: None,
        health: None,
        labels,
        stop_timeout_s: None,
        is_self_or_peer: false,
        parents: Vec::new(),
        asked_to_end_at: None,
        read_at: Timestamp(0),
    }
}
