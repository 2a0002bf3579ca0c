//! `healer check`: runs the doctor and shows what it found.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use executor_api::ExitCode;

use super::Settings;
use super::output::Failure;
use super::run::runtime;
use crate::check::{self, Level};
use crate::config::Config;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Only whether the executor answers; for HEALTHCHECK
    #[arg(long, conflicts_with = "fluent_bit")]
    live: bool,
    /// Only Fluent Bit's configuration: FILE and what it includes
    #[arg(long, value_name = "FILE")]
    fluent_bit: Option<PathBuf>,
    /// The findings as one JSON list
    #[arg(long, conflicts_with = "live")]
    json: bool,
}

/// Exits 1 where something fails; what is only hardly meant is no failure.
pub(super) fn check(settings: &Settings, args: &CheckArgs) -> Result<ExitCode, Failure> {
    let runtime = runtime()?;
    if args.live {
        let config = settings.load()?;
        let said = runtime.block_on(check::live(&config));
        return print(&format!("{}\n", said.map_err(Failure::failed)?)).map(|()| ExitCode::Done);
    }
    let findings = match &args.fluent_bit {
        Some(path) => check::fluent_bit(path, &settings.load()?),
        None => {
            let config = Config::load(&settings.sources());
            runtime.block_on(check::all(config.as_ref()))
        }
    };
    let text = match args.json {
        true => {
            let json = serde_json::to_string(&findings.0).expect("findings are plain strings");
            format!("{json}\n")
        }
        false => findings.draw(),
    };
    print(&text)?;
    Ok(match findings.worst() {
        Level::Fail => ExitCode::Failed,
        Level::Ok | Level::Warn => ExitCode::Done,
    })
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::stdout)
}
