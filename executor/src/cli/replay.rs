//! `healer replay`: a log that was written, through the same policy on the log's
//! own clock. What would have been restarted, when, what was refused and why; and
//! what another setting would have changed.
//!
//! Nothing is asked and nothing is done: no socket, no journal, no engine. What a
//! log cannot tell is assumed, and the assumptions are part of the output.

mod matches;
mod show;
mod world;

use std::path::PathBuf;

use clap::Args;
use executor_api::ExitCode;
use rules::{Origin, RuleBook, RuleSet};

use super::output::Failure;
use super::{Settings, key_value};
use crate::config::{Config, is_key};
use matches::Matches;
use world::World;

/// The container that lines are of where nobody says otherwise.
const UNNAMED: &str = "app";

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Built-in packs and rule files, comma-separated [default: the configuration's]
    #[arg(long, value_name = "RULES")]
    rules: Option<String>,
    /// The container that printed the lines [default: the one that the configuration lists]
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// The lines are the kernel's log, about that container
    #[arg(long)]
    kernel: bool,
    /// A setting that might be another: cooldown=60s, host_max=3, targets.app.max_attempts=2
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    what_if: Vec<(String, String)>,
    /// One JSON object for each thing that happens, and one for the whole
    #[arg(long)]
    json: bool,
    /// Plain lines with a time in front, or JSON records; - is stdin
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

pub(super) fn replay(settings: &Settings, args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let config = settings.load()?;
    let words = args.rules.as_deref().unwrap_or(&config.rules);
    let wrong = |e: rules::Error| Failure::wrong_use(e.to_string());
    let rules = RuleSet::load(words).map_err(wrong)?;
    let book = RuleBook::load(words).map_err(wrong)?;
    let origin = if args.kernel {
        Origin::Kernel
    } else {
        Origin::Container
    };
    let target = target(&config, args);
    let matches = Matches::read(&args.file, &rules, origin, &target)?;
    let as_is = World::run(&config, &book, &matches);
    let other = what_if(settings, &config, args)?;
    let what_if = other.map(|other| World::run(&other, &book, &matches));
    let told = show::Told {
        file: &args.file,
        matches: &matches,
        what_if: &args.what_if,
    };
    if args.json {
        show::json(&told, &as_is, what_if.as_ref())?;
    } else {
        show::table(&told, &as_is, what_if.as_ref())?;
    }
    Ok(ExitCode::Done)
}

fn target(config: &Config, args: &ReplayArgs) -> String {
    let named = args.target.as_deref().map(|t| t.trim_start_matches('/'));
    let mut listed = config.policy.targets.keys();
    match (named, listed.next(), listed.next()) {
        (Some(name), ..) => name.to_owned(),
        (None, Some(only), None) => only.clone(),
        _ => UNNAMED.to_owned(),
    }
}

/// The configuration with those settings; none where there are no such.
fn what_if(
    settings: &Settings,
    config: &Config,
    args: &ReplayArgs,
) -> Result<Option<Config>, Failure> {
    if args.what_if.is_empty() {
        return Ok(None);
    }
    let mut set = settings.set.clone();
    for (key, value) in &args.what_if {
        set.extend(in_full(key, config).map(|key| (key, value.clone())));
    }
    let settings = Settings {
        config: settings.config.clone(),
        set,
    };
    settings.load().map(Some)
}

/// `cooldown` means everybody's; a key in full means what it says. One that there
/// is not is left as it is, for the configuration to name the nearest.
fn in_full(key: &str, config: &Config) -> impl Iterator<Item = String> {
    let of_all = format!("defaults.{key}");
    let of_policy = format!("policy.{key}");
    let mut keys = Vec::new();
    if is_key(key) {
        keys.push(key.to_owned());
    } else if is_key(&of_all) {
        let targets = config.policy.targets.keys();
        keys.extend(targets.map(|name| format!("targets.{name}.{key}")));
        keys.push(of_all);
    } else if is_key(&of_policy) {
        keys.push(of_policy);
    } else {
        keys.push(key.to_owned());
    }
    keys.into_iter()
}
