//! Which containers wait for which, where that cannot come to anything: cycles, and parents
//! that are not there or that nobody heals. Pure.

use std::collections::BTreeSet;

use policy::{ContainerState, Facts, Timestamp, standing};

use super::finding::Findings;
use crate::config::Config;
use crate::dependencies::{Family, Member, network_parent};
use crate::docker::{Inspected, Listed};

const ABOUT: &str = "dependencies";

/// `healed`: running containers that may be restarted, out of all that are `listed`.
pub(super) fn check(
    config: &Config,
    listed: &[Listed],
    healed: &[Inspected],
    findings: &mut Findings,
) {
    let targets = config.policy.targets.iter();
    let configured = targets.map(|(name, target)| (name.clone(), target.depends_on.clone()));
    let members = listed.iter();
    let members = members.filter_map(|one| Member::of(&one.name, &one.labels));
    let family = Family::new(members.collect(), &configured.collect());
    let is_healed = |name: &String| healed.iter().any(|one| one.name == *name);
    for cycle in family.cycles() {
        if !cycle.iter().any(is_healed) {
            continue;
        }
        findings.warn(
            ABOUT,
            format!(
                "Compose's depends_on leads round in a circle: {}; these do not wait for one another",
                cycle.join(" needs ")
            ),
            "take one of them out, and make the containers anew (docker compose up -d)",
        );
    }
    for child in healed {
        parents(config, listed, &family, child, findings);
    }
}

fn parents(
    config: &Config,
    listed: &[Listed],
    family: &Family,
    child: &Inspected,
    findings: &mut Findings,
) {
    let name = &child.name;
    let by_label = family.compose_parents(name, &child.labels);
    let mut needed: BTreeSet<String> = by_label.into_keys().collect();
    for service in family.missing_services(&child.labels) {
        findings.warn(
            ABOUT,
            format!(
                "{name} needs the service {service}, which has no container: it is not waited for"
            ),
            "docker compose up -d, if it belongs there",
        );
    }
    if let Some(parent) = network_parent(&child.network.mode) {
        match listed
            .iter()
            .find(|one| one.id == parent || one.name == parent)
        {
            Some(parent) => {
                needed.insert(parent.name.clone());
            }
            None => findings.fail(
                ABOUT,
                format!(
                    "{name} shares the network of a container that is no more ({})",
                    parent.get(..12).unwrap_or(parent)
                ),
                "a restart cannot cure that: create it anew, too (docker compose up -d)",
            ),
        }
    }
    let configured = config
        .policy
        .targets
        .get(name)
        .map(|target| &target.depends_on);
    for parent in configured.into_iter().flatten() {
        if !listed.iter().any(|one| one.name == *parent) {
            findings.warn(
                ABOUT,
                format!("targets.{name}.depends_on names {parent}, and no container has that name: it is not waited for"),
                "correct the name, or create the container",
            );
            continue;
        }
        needed.insert(parent.clone());
    }
    for parent in listed.iter().filter(|one| needed.contains(&one.name)) {
        match why_not_healed(config, parent) {
            None => findings.ok(ABOUT, format!("{name} waits for {}", parent.name)),
            Some(why) => findings.warn(
                ABOUT,
                format!(
                    "{name} waits for {} while that is not well, and nobody heals that: {why}",
                    parent.name
                ),
                "list the parent as a target, too (or label it healer.enable=true)",
            ),
        }
    }
}

/// Why the executor does not restart this one; none where it does, or another does.
fn why_not_healed(config: &Config, parent: &Listed) -> Option<&'static str> {
    let facts = Facts {
        id: parent.id.clone(),
        name: parent.name.clone(),
        state: ContainerState::Running,
        started_at: None,
        finished_at: None,
        health: None,
        labels: parent.labels.clone(),
        stop_timeout_s: None,
        is_self_or_peer: false,
        parents: Vec::new(),
        asked_to_end_at: None,
        read_at: Timestamp(0),
    };
    let standing = standing(&config.policy, &facts);
    match (standing.enabled, standing.protected, standing.orchestrator) {
        (_, _, Some(_)) | (true, false, None) => None,
        (_, true, None) => Some("it is protected"),
        (false, false, None) => Some("it is no target"),
    }
}
