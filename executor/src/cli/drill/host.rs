//! Drills that take more than a line or a command: a crash and a hang. What has to be so
//! before, since a test container that nobody heals would stay as it is made.

use std::time::Duration;

use policy::{ContainerState, HealthStatus, is_died_off};
use tokio::time::{Instant, sleep};

use super::process::{self, Frozen};
use super::sick;
use crate::cli::output::Failure;
use crate::config::{Config, Died};
use crate::docker::{Client as Engine, Inspected};

/// Longest wait for the engine to notice that the container has ended.
const ENDED_MAX: Duration = Duration::from_secs(20);
/// Between two looks at it.
const EVERY: Duration = Duration::from_millis(100);
/// Longest wait for one look.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Whether anybody would start it again, and nobody else would; its main process.
pub(super) async fn may_be_killed(
    config: &Config,
    engine: &Engine,
    container: &Inspected,
) -> Result<u32, Failure> {
    let name = &container.name;
    let is_off = |why: &str| {
        let text = format!("'{name}' would stay down: {why}; give it died = \"failed\"");
        Err(Failure::wrong_use(text))
    };
    if config.watch.of(name).died == Died::Off {
        return is_off("died is off for it");
    }
    if is_died_off(&container.labels) {
        return is_off("its label healer.died says so");
    }
    let host = process::host(engine, container)
        .await
        .map_err(Failure::failed)?;
    if host.is_removed {
        let text = format!("'{name}' is removed when it ends (--rm): nothing could start it again");
        return Err(Failure::wrong_use(text));
    }
    if host.restart_policy != "no" {
        return Err(Failure::wrong_use(format!(
            "'{name}' has the restart policy {} of its own, by which Docker starts it again: \
             nothing is left for died to heal",
            host.restart_policy
        )));
    }
    Ok(host.pid)
}

/// Whether anything would be noticed.
pub(super) fn may_be_unhealthy(config: &Config, container: &Inspected) -> Result<(), Failure> {
    let name = &container.name;
    let Some(health) = &container.health else {
        return Err(Failure::wrong_use(format!(
            "'{name}' has no health check that could fail: give it a HEALTHCHECK, or try a probe \
             by --how exec"
        )));
    };
    if config.watch.of(name).unhealthy_checks == 0 {
        let text = format!("unhealthy_checks is 0 for '{name}': its health check heals nothing");
        return Err(Failure::wrong_use(text));
    }
    match health.status {
        HealthStatus::Healthy => Ok(()),
        HealthStatus::Starting | HealthStatus::Unhealthy => Err(Failure::failed(format!(
            "'{name}' is not healthy to begin with: see what `docker inspect` says of its health"
        ))),
    }
}

/// Ends its main process; what was done.
pub(super) async fn kill(
    engine: &Engine,
    container: &Inspected,
    pid: u32,
) -> Result<String, Failure> {
    match process::kill(pid, container) {
        Ok(()) => Ok("killed its main process (SIGKILL, from the host)".to_owned()),
        // In a container of our own, most likely.
        Err(_) => {
            sick::end_from_within(engine, container).await?;
            Ok("ended its main process from within".to_owned())
        }
    }
}

/// Stops its processes.
pub(super) async fn freeze(engine: &Engine, container: &Inspected) -> Result<Frozen, Failure> {
    process::freeze(engine, container).await.map_err(|why| {
        Failure::failed(format!(
            "'{}' cannot be made to hang: {why}; run this on the host as root, or give a COMMAND \
             that makes its health check fail",
            container.name
        ))
    })
}

/// Waits for its end; the exit code.
pub(super) async fn ended(engine: &Engine, container: &Inspected) -> Result<i64, Failure> {
    let until = Instant::now() + ENDED_MAX;
    loop {
        let seen = engine.see(&container.id, LOOK_MAX).await;
        let seen = seen.map_err(|e| Failure::failed(e.to_string()))?;
        let Some(seen) = seen else {
            let text = format!("'{}' is gone", container.name);
            return Err(Failure::failed(text));
        };
        let is_anew = seen.container.started_at != container.started_at;
        if is_anew || seen.container.state != ContainerState::Running {
            return Ok(seen.container.exit.code);
        }
        if Instant::now() >= until {
            let s = ENDED_MAX.as_secs();
            let text = format!("'{}' still runs {s} s later", container.name);
            return Err(Failure::failed(text));
        }
        sleep(EVERY).await;
    }
}

/// Why an end with this code is none that is healed.
pub(super) fn why_left_down(config: &Config, container: &Inspected, code: i64) -> Option<String> {
    let name = &container.name;
    let is_done = code == 0 && config.watch.of(name).died == Died::Failed;
    is_done.then(|| {
        format!(
            "exit code 0 is taken for work that is done (died = \"failed\"), and it stays down: \
             docker start {name}; give a COMMAND that ends it with another code"
        )
    })
}
