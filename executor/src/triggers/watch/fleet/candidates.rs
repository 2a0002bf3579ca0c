//! Which containers are watched at all.

use std::collections::BTreeMap;

use policy::{ContainerState, Facts, Timestamp, standing};

/// Judged as the gates judge it: by name and labels.
pub(super) fn may_be_healed(
    config: &policy::Config,
    id: &str,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> bool {
    let is_candidate = config.targets.contains_key(name)
        || labels.keys().any(|label| label == policy::LABEL_ENABLE);
    if !is_candidate || id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return false;
    }
    let facts = Facts {
        id: id.to_owned(),
        name: name.to_owned(),
        state: ContainerState::Running,
        started_at: None,
        finished_at: None,
        health: None,
        labels: labels.clone(),
        stop_timeout_s: None,
        is_self_or_peer: false,
        parents: Vec::new(),
        asked_to_end_at: None,
        read_at: Timestamp(0),
    };
    let standing = standing(config, &facts);
    standing.enabled && !standing.protected && standing.orchestrator.is_none()
}
