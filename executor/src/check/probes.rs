//! Active probes: can each be tried from here, and does it pass now.
//!
//! Each is tried once, as the executor does all the time. Not so an `exec` probe: a look must
//! not run anything in a container, so it is only looked whether its program is there.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use policy::ContainerState;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::finding::Findings;
use super::unheeded::is_unheeded;
use crate::config::{Config, Probe, ProbeKind};
use crate::docker::{AtPath, Client, Docker as _, Inspected, Reading};
use crate::resolve::Procfs;
use crate::triggers::{Trial, Tried};

/// Most tries at once.
const AT_ONCE: usize = 16;
/// Longest wait for all of them.
const ALL_MAX: Duration = Duration::from_secs(60);
/// Longest wait for each look at a container.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// Where a program without a path is looked for, as the engine does, where the container sets
/// no PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is said of one probe.
enum Said {
    Ok(String),
    Warn(String, String),
}

pub(super) async fn check(config: &Config, docker: &Rc<Client>, findings: &mut Findings) {
    let own = Procfs::new("/proc").own_container();
    let trial = Rc::new(Trial::new(Rc::clone(docker), own));
    let slots = Rc::new(Semaphore::new(AT_ONCE));
    let until = Instant::now() + ALL_MAX;
    let mut tries = JoinSet::new();
    let local = LocalSet::new();
    let heeded = config.checks.iter();
    for (name, checks) in heeded.filter(|(name, _)| !is_unheeded(config, name)) {
        for (at, probe) in checks.probes.iter().enumerate() {
            let (name, probe) = (name.clone(), probe.clone());
            let (docker, trial, slots) = (Rc::clone(docker), Rc::clone(&trial), Rc::clone(&slots));
            let one = async move {
                let said = in_time(&name, &probe, &docker, &trial, &slots, until).await;
                ((name, at), (probe.name, said))
            };
            tries.spawn_local_on(one, &local);
        }
    }
    let mut said = BTreeMap::new();
    let all = async {
        while let Some(done) = tries.join_next().await {
            // None of them is ever cancelled, and a panic is a bug to be seen.
            let (key, one) = done.expect("a try comes to its end");
            said.insert(key, one);
        }
    };
    local.run_until(all).await;
    for ((target, _), (probe, said)) in said {
        let about = format!("probe {probe} of {target}");
        match said {
            None => {}
            Some(Said::Ok(text)) => findings.ok(about, text),
            Some(Said::Warn(text, advice)) => findings.warn(about, text, &advice),
        }
    }
}

/// None where there is no container of that name, which is said elsewhere.
async fn in_time(
    target: &str,
    probe: &Probe,
    docker: &Client,
    trial: &Trial,
    slots: &Semaphore,
    until: Instant,
) -> Option<Said> {
    let tried = async {
        // Never closed: see where it is made.
        let _slot = slots.acquire().await;
        match docker.inspect(target, LOOK_MAX).await {
            Ok(None) => None,
            Ok(Some(container)) => Some(one(&container, probe, docker, trial).await),
            Err(e) => Some(not_tried(e.to_string())),
        }
    };
    let tried = tokio::time::timeout_at(until, tried).await;
    tried.unwrap_or_else(|_| Some(not_tried(late())))
}

fn late() -> String {
    format!("the {} s for all probes were over", ALL_MAX.as_secs())
}

fn not_tried(why: String) -> Said {
    Said::Warn(format!("was not tried: {why}"), String::new())
}

async fn one(container: &Inspected, probe: &Probe, docker: &Client, trial: &Trial) -> Said {
    if container.state != ContainerState::Running {
        return not_tried(format!("the container is {}", container.state.as_str()));
    }
    let outside = match &probe.kind {
        ProbeKind::Exec(command) => return program(container, command, docker).await,
        ProbeKind::Outside(outside) => outside,
    };
    let word = probe.kind.word();
    let timeout = Duration::from_millis(probe.pace.timeout_ms);
    let tried = trial.run(outside, &container.id, &container.network, timeout);
    match tried.await {
        Tried::Passed => Said::Ok(format!("{word}, tried from here: passes")),
        Tried::Failed { why, .. } => Said::Warn(
            format!("{word}, tried from here: does not pass: {why}"),
            format!("{} failures in a row are acted upon", probe.pace.failures),
        ),
        Tried::Unable { why } => Said::Warn(
            format!("{word}: cannot be tried from here: {why}"),
            "as long as the executor cannot, either, the probe never acts".to_owned(),
        ),
    }
}

/// Whether the program of an `exec` probe is there.
async fn program(container: &Inspected, command: &[String], docker: &Client) -> Said {
    let program = command.first().map_or("", String::as_str);
    let places: Vec<String> = if program.starts_with('/') {
        vec![program.to_owned()]
    } else if program.contains('/') {
        return Said::Ok(format!(
            "exec: not run by a look; {program} is relative and was not looked for"
        ));
    } else {
        match path(container, docker).await {
            Ok(path) => path
                .split(':')
                .map(|dir| format!("{dir}/{program}"))
                .collect(),
            Err(why) => return not_tried(why),
        }
    };
    for place in places.iter().filter(|place| place.starts_with('/')) {
        match docker.at_path(&container.id, place, LOOK_MAX).await {
            Ok(Some(AtPath::File { .. })) => {
                return Said::Ok(format!("exec: not run by a look; {place} is there"));
            }
            // Nothing that could be run.
            Ok(_) => {}
            Err(e) => return not_tried(e.to_string()),
        }
    }
    Said::Warn(
        format!(
            "exec: {program:?} is not in the container ({})",
            places.join(", ")
        ),
        "the probe never acts without it, unless it lies in a tmpfs, which the engine does not see"
            .to_owned(),
    )
}

/// The container's own PATH.
async fn path(container: &Inspected, docker: &Client) -> Result<String, String> {
    let id = container.id.clone();
    let read = docker.read(&Reading::Inspect { id }, LOOK_MAX).await;
    let read = read.map_err(|e| e.to_string())?;
    let inspect: Value = serde_json::from_slice(&read).map_err(|e| e.to_string())?;
    let variables = inspect["Config"]["Env"].as_array().into_iter().flatten();
    let path = variables
        .filter_map(Value::as_str)
        .find_map(|variable| variable.strip_prefix("PATH="));
    Ok(path
        .filter(|path| !path.is_empty())
        .unwrap_or(PATH)
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Pace;
    use crate::resolve::OwnContainer;

    #[tokio::test]
    async fn an_engine_that_hangs_holds_nobody_up_beyond_the_time_of_all() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let docker = Rc::new(Client::new(&socket));
        let trial = Trial::new(Rc::clone(&docker), OwnContainer::default());
        let probe = Probe {
            name: "api".into(),
            kind: ProbeKind::Exec(vec!["true".into()]),
            pace: Pace {
                interval_ms: 1_000,
                timeout_ms: 1_000,
                failures: 3,
                successes: 1,
                start_period_ms: 0,
            },
            remedy: policy::RuleRemedy::Restart,
        };
        let until = Instant::now() + Duration::from_millis(50);
        let slots = Semaphore::new(1);
        let said = in_time("web", &probe, &docker, &trial, &slots, until).await;
        let Some(Said::Warn(text, _)) = said else {
            panic!("nothing is said");
        };
        assert_eq!(text, "was not tried: the 60 s for all probes were over");
    }
}
