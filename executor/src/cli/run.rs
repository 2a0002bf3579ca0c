//! `healer run`: the executor, until SIGTERM. And the one-shot, where no
//! executor runs.

use clap::Args;
use executor_api::{AdminAnswer, ExitCode, RestartRequest};
use tokio::runtime::{Builder, Runtime};

use super::Settings;
use super::output::Failure;
use crate::config::{Config, Log, LogLevel};
use crate::daemon::{self, Fault};
use crate::logging;

/// The settings that are most often given by hand; `--set` gives the others.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Decide and record everything, restart nothing
    #[arg(long)]
    dry_run: bool,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// human or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

pub(super) fn run(settings: &Settings, args: &RunArgs) -> Result<ExitCode, Failure> {
    let mut sources = settings.sources();
    let dry_run = args.dry_run.then_some("true");
    for (key, value) in [
        ("dry_run", dry_run),
        ("log.level", args.log_level.as_deref()),
        ("log.format", args.log_format.as_deref()),
    ] {
        let flag = value.map(|value| (key.to_owned(), value.to_owned()));
        sources.flags.extend(flag);
    }
    let config = settings.load_from(&sources)?;
    let level = logging::init(config.log).map_err(Failure::failed)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    runtime()?
        .block_on(daemon::run(config, sources, level))
        .map_err(failure)?;
    Ok(ExitCode::Done)
}

/// One request under the state lock.
pub(super) fn one_shot(config: &Config, request: RestartRequest) -> Result<AdminAnswer, Failure> {
    // What becomes of the request is told on stdout, and need not be logged too.
    let level = match config.log.level {
        LogLevel::Info => LogLevel::Warn,
        other => other,
    };
    logging::init(Log {
        level,
        ..config.log
    })
    .map_err(Failure::failed)?;
    runtime()?
        .block_on(daemon::one_shot(config, request))
        .map_err(failure)
}

fn failure(fault: Fault) -> Failure {
    match fault {
        Fault::Setting(why) => Failure::wrong_use(why),
        Fault::Other(why) => Failure::failed(why),
    }
}

/// One thread for everything; the journal and the report files have their own.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .map_err(|e| Failure::failed(format!("cannot start the event loop: {e}")))
}
