//! `healer drill TARGET`: makes a test container sick on purpose, sees it healed,
//! and says how long each step took.
//!
//! Only a container that bears the label `healer.drill=true` is touched. What
//! heals it is the running executor, by the same gates and limits as always; this
//! only looks on. Not here: any restart.

mod sick;
mod watch;

use std::io::Write as _;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use executor_api::ExitCode;
use policy::{ContainerState, LABEL_DRILL};
use serde_json::json;

use super::Settings;
use super::output::Failure;
use super::run::runtime;
use crate::config::{Config, parse_duration_ms};
use crate::docker::{Client as Engine, Docker as _, Inspected};
use watch::{End, Watch};

/// Longest wait for the engine to say what the container is.
const INSPECT_MAX: Duration = Duration::from_secs(5);
/// Longest a drill may be told to take, ms: a day.
const TIMEOUT_MS_MAX: u64 = 24 * 3_600_000;

#[derive(Debug, Args)]
pub(super) struct DrillArgs {
    /// The container, by its name; it has to bear the label healer.drill=true
    target: String,
    /// How to make it sick
    #[arg(long, value_enum, default_value_t = How::Log)]
    how: How,
    /// The rule that is to match [default: cuda-oom, or the first that restarts at once]
    #[arg(long)]
    rule: Option<String>,
    /// Longest wait for it to be well again
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = timeout)]
    timeout: Duration,
    /// Each step as one JSON object
    #[arg(long)]
    json: bool,
    /// For --how exec: a command that makes it sick, run inside it without a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What a drill does to the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// Prints a line that a rule matches into the container's own log: tries the
    /// whole way, by Fluent Bit and its plugin
    Log,
    /// Sends the executor an intent, as the plugin would: tries the executor alone
    Intent,
    /// Runs COMMAND in the container: tries health checks, probes and all other triggers
    Exec,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let ms = parse_duration_ms(text)?;
    match (1_000..=TIMEOUT_MS_MAX).contains(&ms) {
        true => Ok(Duration::from_millis(ms)),
        false => Err(format!("\"{text}\" is not between 1s and 24h")),
    }
}

pub(super) fn drill(settings: &Settings, args: &DrillArgs) -> Result<ExitCode, Failure> {
    if (args.how == How::Exec) == args.command.is_empty() {
        return Err(Failure::wrong_use(
            "a COMMAND belongs to --how exec and to no other: \
             healer drill TARGET --how exec -- touch /sick",
        ));
    }
    let config = settings.load()?;
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let stopped = tokio::signal::ctrl_c();
        tokio::select! {
            done = run(&config, args) => done,
            _ = stopped => Err(Failure::failed(
                "no longer watched; what has begun goes on: `healer status`, `healer history`",
            )),
        }
    });
    runtime.shutdown_background();
    done
}

async fn run(config: &Config, args: &DrillArgs) -> Result<ExitCode, Failure> {
    let mut steps = Steps {
        begun: Instant::now(),
        json: args.json,
    };
    let engine = Engine::new(&config.docker_socket);
    let container = container(&engine, &args.target).await?;
    let rule = match args.how {
        How::Exec => None,
        How::Log | How::Intent => Some(sick::rule(config, args.rule.as_deref())?),
    };
    let name = rule.as_ref().map(|rule| rule.name.clone());
    let mut watch = Watch::new(config, &container.name, name).await?;
    steps.begun = Instant::now();
    match (&rule, args.how) {
        (Some(rule), How::Log) => {
            sick::print_line(&engine, &container, rule).await?;
            let text = format!("printed a line of rule {} into its log", rule.name);
            steps.tell("sick", &text)?;
        }
        (Some(rule), _) => {
            let answer = sick::send_intent(config, &container, rule).await?;
            steps.tell("sick", &format!("sent an intent of rule {}", rule.name))?;
            if let Some(refusal) = answer {
                steps.tell("refused", &refusal)?;
                return Ok(ExitCode::Refused);
            }
        }
        (None, _) => {
            sick::run(&engine, &container, &args.command).await?;
            steps.tell("sick", &format!("ran {:?} in it", args.command))?;
        }
    }
    let end = watch.until_well(args.timeout, &mut steps).await?;
    tell_end(&mut steps, &end)
}

fn tell_end(steps: &mut Steps, end: &End) -> Result<ExitCode, Failure> {
    match end {
        End::Healed => {
            let took = seconds(steps.begun.elapsed());
            steps.tell("healed", &format!("healed and verified within {took}"))?;
            Ok(ExitCode::Done)
        }
        End::Refused(why) => {
            steps.tell("refused", why)?;
            Ok(ExitCode::Refused)
        }
        End::NotHealed(why) => {
            steps.tell("not healed", why)?;
            Ok(ExitCode::Failed)
        }
    }
}

/// The container, where it may be made sick.
async fn container(engine: &Engine, target: &str) -> Result<Inspected, Failure> {
    let found = engine
        .inspect(target.trim_start_matches('/'), INSPECT_MAX)
        .await;
    let found = found.map_err(|e| Failure::failed(e.to_string()))?;
    let Some(found) = found else {
        return Err(Failure::wrong_use(format!("no container '{target}'")));
    };
    let label = found
        .labels
        .get(LABEL_DRILL)
        .map(|value| value.trim().to_ascii_lowercase());
    if label.as_deref() != Some("true") {
        return Err(Failure::wrong_use(format!(
            "'{target}' does not bear the label {LABEL_DRILL}=true: only test containers that say \
             so are made sick on purpose"
        )));
    }
    match found.state {
        ContainerState::Running => Ok(found),
        state => Err(Failure::failed(format!(
            "'{target}' is {}, not running: start it first",
            state.as_str()
        ))),
    }
}

/// What is said, with the time since it was made sick.
struct Steps {
    begun: Instant,
    json: bool,
}

impl Steps {
    fn tell(&mut self, step: &str, text: &str) -> Result<(), Failure> {
        let elapsed = self.begun.elapsed();
        let line = match self.json {
            true => {
                let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
                format!("{}\n", json!({"ms": ms, "step": step, "detail": text}))
            }
            false => format!("{:>9}  {step}: {text}\n", format!("+{}", seconds(elapsed))),
        };
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes())
            .and_then(|()| out.flush())
            .map_err(Failure::stdout)
    }
}

fn seconds(elapsed: Duration) -> String {
    format!("{}.{:03}s", elapsed.as_secs(), elapsed.subsec_millis())
}
