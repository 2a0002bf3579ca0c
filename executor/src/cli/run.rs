//! `healer run`: the executor, until SIGTERM. And the one-shot, where no
//! executor runs.

use clap::Args;
use executor_api::{AdminAnswer, ExitCode, RestartRequest};
use tokio::runtime::{Builder, Runtime};

use super::Settings;
use super::output::Failure;
use crate::config::{Config, Log, LogLevel};
use crate::daemon::{self, Fault};
use crate::evidence;
use crate::logging;
use crate::notify;

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
    end_on_panic();
    block_on(daemon::run(config, sources, level))?.map_err(failure)?;
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
    end_on_panic();
    block_on(daemon::one_shot(config, request))?.map_err(failure)
}

/// Runs it to its end; what a directory that hangs still holds up does not hold
/// up the way out.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let done = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(done)
}

/// A panic ends the process, wherever it is. In a task or a thread of its own it
/// would leave a target waiting for ever in an executor that looks alive;
/// whoever watches over the process starts it again, and the journal knows
/// what was under way. Only evidence and notifications are never worth an end.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if evidence::is_fenced() || notify::is_fenced() {
            let place = panic.location().map(ToString::to_string);
            let thread = std::thread::current();
            let name = thread.name().unwrap_or_default();
            return tracing::error!("{name}: a panic at {}", place.unwrap_or_default());
        }
        report(panic);
        #[expect(
            clippy::disallowed_methods,
            reason = "the executor is a process of its own, and this is its way out"
        )]
        std::process::abort();
    }));
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

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use tokio::task::{LocalSet, spawn_blocking, spawn_local};

    use super::*;

    const PANICKING: &str = "HEALER_TEST_PANICS";

    #[test]
    fn a_panic_in_a_task_ends_the_process() {
        if std::env::var_os(PANICKING).is_some() {
            end_on_panic();
            let waits = async {
                spawn_local(async { panic!("a fault of our own") });
                tokio::time::sleep(Duration::from_secs(10)).await;
            };
            let _ran_on = block_on(LocalSet::new().run_until(waits));
            return;
        }
        let test = "cli::run::tests::a_panic_in_a_task_ends_the_process";
        let out = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(PANICKING, "1")
            .output()
            .unwrap();
        let abort = rustix::process::Signal::ABORT.as_raw();
        assert_eq!(out.status.signal(), Some(abort), "{out:?}");
        let told = String::from_utf8_lossy(&out.stderr);
        assert!(told.contains("a fault of our own"), "{told}");
    }

    #[test]
    fn a_panic_over_evidence_ends_nothing_and_repeats_no_text() {
        if std::env::var_os(PANICKING).is_some() {
            end_on_panic();
            let gathers = std::thread::Builder::new().name("evidence".into());
            let panics = gathers.spawn(|| panic!("text of a container")).unwrap();
            assert!(panics.join().is_err());
            return;
        }
        let test = "cli::run::tests::a_panic_over_evidence_ends_nothing_and_repeats_no_text";
        let out = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(PANICKING, "1")
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        let told = String::from_utf8_lossy(&out.stderr);
        assert!(!told.contains("text of a container"), "{told}");
    }

    #[test]
    fn blocking_work_that_hangs_does_not_hold_up_the_end() {
        let start = Instant::now();
        let hangs = async {
            spawn_blocking(|| std::thread::sleep(Duration::from_secs(20)));
            tokio::task::yield_now().await;
        };
        assert!(block_on(hangs).is_ok());
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
