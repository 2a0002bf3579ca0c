//! `healer pause` and `healer resume`.

use clap::Args;
use executor_api::{AdminRequest, ExitCode};

use super::Settings;
use super::admin::{ask_running, show};
use super::output::{Failure, bare_name, prefix};
use crate::config::parse_duration_ms;

/// Longest pause with an end; longer ones are meant to be without.
const PAUSE_S_MAX: u64 = 365 * 24 * 3600;

#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// One container only, by its name; else all
    #[arg(conflicts_with = "all")]
    target: Option<String>,
    /// All containers, said in so many words
    #[arg(long)]
    all: bool,
    /// Why, for whoever looks at status and history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How long; else until `healer resume`
    #[arg(long = "for", value_name = "DURATION", value_parser = whole_seconds)]
    for_s: Option<u64>,
    /// The answer as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// One container only, by its name; else all
    #[arg(conflicts_with = "all")]
    target: Option<String>,
    /// All containers, said in so many words
    #[arg(long)]
    all: bool,
    /// The answer as one JSON object
    #[arg(long)]
    json: bool,
}

fn whole_seconds(text: &str) -> Result<u64, String> {
    let seconds = parse_duration_ms(text)?.div_ceil(1000);
    if (1..=PAUSE_S_MAX).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("\"{text}\" is not between 1s and 365d"))
    }
}

pub(super) fn pause(settings: &Settings, args: &PauseArgs) -> Result<ExitCode, Failure> {
    let request = AdminRequest::Pause {
        target: args.target.as_deref().map(bare_name),
        seconds: args.for_s,
        reason: args.reason.clone().filter(|text| !text.trim().is_empty()),
    };
    tell(settings, &request, args.json)
}

pub(super) fn resume(settings: &Settings, args: &ResumeArgs) -> Result<ExitCode, Failure> {
    let request = AdminRequest::Resume {
        target: args.target.as_deref().map(bare_name),
    };
    tell(settings, &request, args.json)
}

fn tell(settings: &Settings, request: &AdminRequest, json: bool) -> Result<ExitCode, Failure> {
    let answer = ask_running(&settings.load()?, request)?;
    let prefix = prefix();
    show(&answer, json, |answer| {
        let lines = answer.message.lines();
        lines.map(|line| format!("{prefix}{line}\n")).collect()
    })
}
