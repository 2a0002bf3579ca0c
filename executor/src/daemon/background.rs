//! What runs beside the engine: asking Docker for a sign of life, remembering
//! processes for kernel lines, and reading the configuration again at SIGHUP.

use std::rc::Rc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::{Signals, beat_token, settings};
use crate::clock::Clock;
use crate::config::{Config, Sources};
use crate::docker::{Client, Docker};
use crate::engine::Handle;
use crate::http::{ENGINE_MS_MAX, Site};
use crate::logging::LevelHandle;
use crate::notify::Notifications;
use crate::procs::Procs;
use crate::triggers::Checks;

/// How often an engine that is away is asked for.
const ENGINE_AWAY_PAUSE: Duration = Duration::from_secs(2);
/// How often processes are looked at: who lives shorter may be missed.
const PROCESSES_EVERY: Duration = Duration::from_secs(5);
/// Longest wait for the engine's sign of life.
const ENGINE_ANSWER_MAX: Duration = Duration::from_secs(5);

/// A second signal on the way out ends the process at once: a disk that hangs
/// would else keep it until somebody kills it.
pub(super) async fn insist(mut stop: Signals) {
    stop.wait().await;
    tracing::error!("ending at once: open charges are taken up at the next start");
    #[expect(
        clippy::disallowed_methods,
        reason = "the orderly way out is what hangs"
    )]
    std::process::exit(1);
}

/// Asks the engine now and then, so that readiness is known before it matters.
pub(super) async fn ask_engine(docker: Rc<Client>, clock: Clock, site: Rc<Site>) {
    loop {
        let pause = match docker.version(ENGINE_ANSWER_MAX).await {
            Ok(version) => {
                let (name, api) = (version.named(), &version.api_version);
                site.health.set_engine_name(format!("{name}, API {api}"));
                site.engine_answered(clock.now().at);
                Duration::from_millis(ENGINE_MS_MAX / 3)
            }
            Err(e) => {
                site.engine_away(e.to_string());
                ENGINE_AWAY_PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Remembers which process is in which container, from the start or from the
/// first line on that names a process; where no line ever does, at no cost.
pub(super) async fn remember_processes(procs: Procs, from_the_start: bool, site: Rc<Site>) {
    if !from_the_start {
        procs.named().await;
    }
    if !procs.shows_the_host() {
        return tracing::warn!(
            "kernel lines that name a process lead to no container: procfs does not show the \
             host's processes; mount the host's /proc and set procfs (HEALER_PROCFS) to it"
        );
    }
    if !from_the_start {
        tracing::info!(
            "kernel records come: processes are remembered from now on; kernel_records = true \
             does so from the start"
        );
    }
    let mut told = String::new();
    loop {
        let look = procs.clone();
        // Fails only where the process is stopping.
        let Ok(looked) = spawn_blocking(move || look.remember()).await else {
            return;
        };
        match looked {
            Ok(processes) => {
                site.metrics.processes_looked_at(processes);
                told.clear();
            }
            Err(why) if why != told => {
                tracing::warn!("not all processes are remembered for kernel lines: {why}");
                told = why;
            }
            Err(_) => {}
        }
        tokio::time::sleep(PROCESSES_EVERY).await;
    }
}

/// What takes new settings.
pub(super) struct Reloaded {
    /// For whoever follows it.
    pub(super) in_force: watch::Sender<Rc<Config>>,
    pub(super) level: LevelHandle,
    pub(super) engine: Handle,
    pub(super) checks: Checks,
    pub(super) notifications: Notifications,
    pub(super) site: Rc<Site>,
}

/// SIGHUP: a bad configuration leaves the old one in force.
pub(super) async fn reload_on_hangup(mut hangup: Signal, sources: Sources, mut to: Reloaded) {
    while hangup.recv().await.is_some() {
        let read = to
            .in_force
            .borrow()
            .reload(&sources)
            .map_err(|e| e.to_string());
        let read = read.and_then(|reloaded| {
            let settings = settings(&reloaded.config).map_err(|e| e.to_string())?;
            let token = beat_token(&reloaded.config).map_err(|e| e.to_string())?;
            Ok((settings, token, reloaded))
        });
        to.site.metrics.config_reloaded(read.is_ok());
        let (settings, token, reloaded) = match read {
            Ok(read) => read,
            Err(e) => {
                tracing::error!("not reloaded, the old configuration stays in force: {e}");
                continue;
            }
        };
        if !to.engine.reload(settings).await {
            return;
        }
        let (notifiers, off) = (&reloaded.config.notifiers, &reloaded.config.notifiers_off);
        if let Err(why) = to.notifications.configure(notifiers, off) {
            tracing::error!("{why}");
        }
        for key in &reloaded.needs_restart {
            tracing::warn!(key, "changed, but takes effect only at the next start");
        }
        to.site.door.set(token);
        to.checks.configure(&reloaded.config);
        to.level.set(reloaded.config.log.level);
        to.in_force.send_replace(Rc::new(reloaded.config));
        tracing::info!("configuration reloaded");
    }
}
