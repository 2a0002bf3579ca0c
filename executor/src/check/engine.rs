//! The Docker Engine: reachable, of a version that we speak, with a clock that
//! agrees with ours; and how its running containers stand.

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use policy::{ContainerState, Facts, Timestamp, standing};

use super::finding::Findings;
use super::{dependencies, moot, probes};
use crate::config::Config;
use crate::docker::{Client, Docker, Inspected, Listed};
use crate::labels;

/// Longest wait for each request.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// Most running containers that are looked at.
const CONTAINERS_MAX: usize = 2_000;
/// A container that starts now may bear a time that is later than ours by so much.
const CLOCK_S_MAX: u64 = 2;

pub(super) async fn check(config: &Config, findings: &mut Findings) {
    let docker = Rc::new(Client::new(&config.docker_socket));
    let version = match docker.ping(DEADLINE).await {
        Ok(version) => version,
        Err(e) => {
            findings.fail("engine", e.to_string(), "");
            return;
        }
    };
    match docker.version(DEADLINE).await {
        Ok(engine) => findings.ok(
            "engine",
            format!(
                "{}: {}, API {version} agreed",
                config.docker_socket.display(),
                engine.named()
            ),
        ),
        Err(e) => findings.fail("engine", e.to_string(), ""),
    }
    match docker.list(DEADLINE).await {
        Ok(listed) => {
            containers(config, &docker, listed, findings).await;
            probes::check(config, &docker, findings).await;
        }
        Err(e) => findings.fail("containers", e.to_string(), ""),
    }
}

async fn containers(
    config: &Config,
    docker: &Client,
    listed: Vec<Listed>,
    findings: &mut Findings,
) {
    for (name, target) in &config.policy.targets {
        if target.enabled && !listed.iter().any(|c| c.name == *name) {
            findings.warn(
                "containers",
                format!("{name} is listed, and no container has that name"),
                "correct the name in the configuration, or start the container",
            );
        }
    }
    let running: Vec<&Listed> = listed
        .iter()
        .filter(|container| container.state == "running")
        .collect();
    if running.len() > CONTAINERS_MAX {
        let text = format!("{} run; {CONTAINERS_MAX} are looked at", running.len());
        findings.warn("containers", text, "");
    }
    let mut healed: Vec<Inspected> = Vec::new();
    let mut newest: Option<(u64, String)> = None;
    for container in running.iter().take(CONTAINERS_MAX) {
        // Gone since it was listed: nothing to say about it.
        let inspected = match docker.inspect(&container.id, DEADLINE).await {
            Ok(Some(inspected)) => inspected,
            Ok(None) => continue,
            Err(e) => {
                findings.fail("containers", e.to_string(), "");
                continue;
            }
        };
        let facts = inspected.clone().into_facts(Timestamp(0), false);
        if facts.state == ContainerState::Running
            && let Some(started) = facts.started_at
            && newest.as_ref().is_none_or(|(secs, _)| started.secs > *secs)
        {
            newest = Some((started.secs, facts.name.clone()));
        }
        if stand(config, &facts, findings) {
            moot::check(config, docker, &inspected, findings).await;
            healed.push(inspected);
        }
    }
    match healed.len() {
        0 => findings.warn(
            "containers",
            format!("{} run, none of them may be restarted", running.len()),
            "label them healer.enable=true, list them in healer.toml, or set TARGET_CONTAINER",
        ),
        count => findings.ok(
            "containers",
            format!("{} run, {count} may be restarted", running.len()),
        ),
    }
    clock(newest, findings);
    dependencies::check(config, &listed, &healed, findings);
}

/// How one container stands; true where it may be restarted.
fn stand(config: &Config, facts: &Facts, findings: &mut Findings) -> bool {
    let about = format!("container {}", facts.name);
    for (label, advice) in labels::unknown(&facts.labels) {
        findings.warn(&about, format!("unknown label {label:?}"), &advice);
    }
    let standing = standing(&config.policy, facts);
    for (label, value, why) in &standing.ignored {
        let text = format!("label {label}={value:?} is ignored: {why}");
        findings.warn(&about, text, "correct it and make the container anew");
    }
    let state = match (standing.enabled, standing.protected, standing.orchestrator) {
        (false, ..) => return false,
        (true, true, _) => "protected: never restarted".to_owned(),
        (true, false, Some(owner)) => format!("left to {owner}, which restarts it itself"),
        (true, false, None) if standing.dry_run => "dry run: decided, not restarted".to_owned(),
        (true, false, None) => "restarted when a rule matches".to_owned(),
    };
    findings.ok(about, state);
    !standing.protected && standing.orchestrator.is_none()
}

/// Lines from before a container's start restart nothing, so a start in the
/// future would make every line one.
fn clock(newest: Option<(u64, String)>, findings: &mut Findings) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    match newest {
        Some((started, name)) if started > now + CLOCK_S_MAX => findings.fail(
            "clock",
            format!(
                "{name} started {} s in the future: the engine's clock is not ours, \
                 and lines of now count as from before the start",
                started - now
            ),
            "set both clocks by NTP",
        ),
        Some(_) => findings.ok("clock", "no container started in the future"),
        None => findings.ok("clock", "no running container to compare with"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_start_in_the_future_is_a_clock_that_differs() {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        for (started, level) in [(now - 10, Level::Ok), (now + 60, Level::Fail)] {
            let mut findings = Findings::default();
            clock(Some((started, "app".into())), &mut findings);
            assert_eq!(findings.worst(), level, "{:?}", findings.0);
        }
    }
}
