//! `healer notify`: who would be told, and whether that works.

use std::time::{Instant, SystemTime};

use clap::{Args, Subcommand};
use executor_api::ExitCode;

use super::Settings;
use super::output::Failure;
use super::run::runtime;
use super::table::table;
use crate::config::{Config, Notifier};
use crate::notify::{shown, trial};

#[derive(Debug, Args)]
pub(super) struct NotifyArgs {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    /// Send a test message to one notifier, or to all, and say what became of it
    Test {
        /// Its name, as in [notify.NAME]; else all
        name: Option<String>,
    },
    /// The notifiers that are configured
    List,
}

pub(super) fn notify(settings: &Settings, args: &NotifyArgs) -> Result<ExitCode, Failure> {
    let config = settings.load()?;
    match &args.command {
        NotifyCommand::Test { name } => test(&config, name.as_deref()),
        NotifyCommand::List => list(&config),
    }
}

fn test(config: &Config, name: Option<&str>) -> Result<ExitCode, Failure> {
    let chosen = chosen(config, name)?;
    let mut worst = ExitCode::Done;
    let runtime = runtime()?;
    for notifier in chosen {
        let started = Instant::now();
        let sent = tokio::task::LocalSet::new().block_on(&runtime, send(notifier));
        let (name, kind) = (&notifier.name, notifier.kind.name());
        let to = shown(&notifier.kind);
        let line = match sent {
            Ok(()) => {
                let seconds = started.elapsed().as_secs_f64();
                format!("ok    {name} ({kind}, {to}): sent in {seconds:.1} s\n")
            }
            Err(why) => {
                worst = ExitCode::Failed;
                format!("FAIL  {name} ({kind}, {to}): {why}\n")
            }
        };
        print(&line)?;
    }
    // A name that is still being resolved holds nobody up.
    runtime.shutdown_background();
    Ok(worst)
}

async fn send(notifier: &Notifier) -> Result<(), String> {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    trial(notifier, &host, now_ms)
        .await
        .map_err(|failure| failure.to_string())
}

fn chosen<'a>(config: &'a Config, name: Option<&str>) -> Result<Vec<&'a Notifier>, Failure> {
    let (all, off) = (&config.notifiers, &config.notifiers_off);
    if let Some(name) = name.filter(|name| off.iter().any(|one| one == name)) {
        return Err(Failure::wrong_use(format!(
            "{name} is switched off: take enabled = false out of [notify.{name}]"
        )));
    }
    if all.is_empty() && !off.is_empty() {
        return Err(Failure::wrong_use(format!(
            "all notifiers are switched off (enabled = false): {}",
            off.join(", ")
        )));
    }
    if all.is_empty() {
        return Err(Failure::wrong_use(
            "no notifier is configured: add a [notify.NAME] to healer.toml (docs/notifications.md)",
        ));
    }
    let Some(name) = name else {
        return Ok(all.iter().collect());
    };
    let found: Vec<&Notifier> = all.iter().filter(|n| n.name == name).collect();
    if found.is_empty() {
        let names: Vec<&str> = all.iter().map(|n| n.name.as_str()).collect();
        return Err(Failure::wrong_use(format!(
            "no notifier is called {name}; there are {}",
            names.join(", ")
        )));
    }
    Ok(found)
}

fn list(config: &Config) -> Result<ExitCode, Failure> {
    let rows: Vec<[String; 5]> = config
        .notifiers
        .iter()
        .map(|notifier| {
            let route = &notifier.route;
            let steps = route.steps.as_ref().map_or("all".to_owned(), |steps| {
                let names: Vec<&str> = steps.iter().map(|step| step.as_str()).collect();
                names.join(",")
            });
            [
                notifier.name.clone(),
                notifier.kind.name().to_owned(),
                shown(&notifier.kind),
                format!("{} and above", route.min_severity.as_str()),
                steps,
            ]
        })
        .collect();
    match rows.is_empty() {
        true => print("no notifiers\n")?,
        false => print(&table(["NAME", "TYPE", "TO", "SEVERITY", "STEPS"], &rows))?,
    }
    let off = &config.notifiers_off;
    if !off.is_empty() {
        print(&format!("switched off: {}\n", off.join(", ")))?;
    }
    Ok(ExitCode::Done)
}

fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::stdout)
}
