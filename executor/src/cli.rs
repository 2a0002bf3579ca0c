//! The command line: what can be asked, and the one place where causes become
//! exit codes. Each command has its own module.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong use (a bad flag or setting), 3 refused
//! by a gate. A reader that goes away (`| head`) ends a command quietly with 0.

mod admin;
mod beat;
mod check;
pub(crate) mod client;
mod drill;
mod explain;
mod history;
mod notify;
mod output;
mod pause;
mod replay;
mod restart;
mod rules;
mod run;
mod scan;
mod since;
mod stats;
mod status;
mod table;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use executor_api::ExitCode;

use crate::config::{Config, Sources};
use output::{Failure, tell_error};

/// Restarts containers that hit GPU memory errors, safely.
#[derive(Debug, Parser)]
#[command(name = "healer", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
struct Settings {
    /// Configuration file [env: HEALER_CONFIG] [default: /etc/healer/healer.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, as in --set defaults.cooldown=60s; wins over file and environment
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The executor: takes intents, decides, restarts, verifies, until SIGTERM
    Run(run::RunArgs),
    /// Restart one container, through the same policy and state as a match
    Restart(restart::RestartArgs),
    /// What the running executor knows: targets, budgets, faults
    Status(status::StatusArgs),
    /// Attempts and decisions, the newest last
    History(history::HistoryArgs),
    /// Success rates and times to recovery, by target and by rule
    Stats(stats::StatsArgs),
    /// No restarts, of one container or of all
    Pause(pause::PauseArgs),
    /// End a pause, and free a held container
    Resume(pause::ResumeArgs),
    /// Make a test container (label healer.drill=true) sick on purpose, and see it healed
    Drill(drill::DrillArgs),
    /// A sign of life of a container that has to send some, from a script or a cron job
    Beat(beat::BeatArgs),
    /// A doctor: configuration, sockets, engine, directories, clocks, labels
    Check(check::CheckArgs),
    /// Judge log lines by the rules, and hand matches to the executor
    Scan(scan::ScanArgs),
    /// Why a line matches a rule, or why it does not
    Explain(explain::ExplainArgs),
    /// What would have been restarted, when, and what refused and why, by a log on its own clock
    Replay(replay::ReplayArgs),
    /// Who is told: a list, and a test message
    Notify(notify::NotifyArgs),
    /// The rules: a list, one in full, a test of a rule file
    Rules(rules::RulesArgs),
}

fn key_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().to_owned(), value.to_owned()))
        .ok_or_else(|| "not KEY=VALUE".to_owned())
}

impl Settings {
    fn sources(&self) -> Sources {
        // Not by clap: a variable that is set but empty means nothing to us.
        let named = std::env::var_os("HEALER_CONFIG").filter(|path| !path.is_empty());
        let file = self.config.clone().or(named.map(PathBuf::from));
        Sources::from_process(file, self.set.clone())
    }

    /// For commands that neither decide nor speak to the engine: what concerns
    /// those alone cannot keep them from working.
    fn load(&self) -> Result<Config, Failure> {
        let mut sources = self.sources();
        sources.original_variables = false;
        sources.environment.remove("DOCKER_HOST");
        self.load_from(&sources)
    }

    fn load_from(&self, sources: &Sources) -> Result<Config, Failure> {
        Config::load(sources).map_err(|e| Failure::wrong_use(format!("configuration: {e}")))
    }
}

/// Runs one command and says what to exit with. Errors are told on stderr.
pub fn execute(cli: Cli) -> ExitCode {
    let Cli { settings, command } = cli;
    let done = match command {
        Command::Run(args) => run::run(&settings, &args),
        Command::Restart(args) => restart::restart(&settings, &args),
        Command::Status(args) => status::status(&settings, &args),
        Command::History(args) => history::history(&settings, &args),
        Command::Stats(args) => stats::stats(&settings, &args),
        Command::Pause(args) => pause::pause(&settings, &args),
        Command::Resume(args) => pause::resume(&settings, &args),
        Command::Drill(args) => drill::drill(&settings, &args),
        Command::Beat(args) => beat::beat(&settings, &args),
        Command::Check(args) => check::check(&settings, &args),
        Command::Scan(args) => scan::scan(&settings, &args),
        Command::Explain(args) => explain::explain(&settings, &args),
        Command::Replay(args) => replay::replay(&settings, &args),
        Command::Notify(args) => notify::notify(&settings, &args),
        Command::Rules(args) => rules::rules(&settings, &args),
    };
    match done {
        Ok(code) => code,
        Err(Failure::ReaderGone) => ExitCode::Done,
        Err(Failure::Told { code, message }) => {
            tell_error(&message);
            code
        }
    }
}
