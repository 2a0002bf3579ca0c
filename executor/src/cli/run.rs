//! `healer run`: the executor, until SIGTERM. And the one-shot, where no
//! executor runs.

use executor_api::{AdminAnswer, ExitCode, RestartRequest};
use tokio::runtime::{Builder, Runtime};

use super::Settings;
use super::output::Failure;
use crate::config::Config;
use crate::daemon;
use crate::logging;

pub(super) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let sources = settings.sources();
    let config = settings.load_from(&sources)?;
    let level = logging::init(config.log).map_err(Failure::failed)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    runtime()?
        .block_on(daemon::run(config, sources, level))
        .map_err(Failure::failed)?;
    Ok(ExitCode::Done)
}

/// One request under the state lock.
pub(super) fn one_shot(config: &Config, request: RestartRequest) -> Result<AdminAnswer, Failure> {
    logging::init(config.log).map_err(Failure::failed)?;
    runtime()?
        .block_on(daemon::one_shot(config, request))
        .map_err(Failure::failed)
}

/// One thread for everything; the journal and the report files have their own.
fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .map_err(|e| Failure::failed(format!("cannot start the event loop: {e}")))
}
