//! `healer drill TARGET`: makes a test container sick on purpose, sees it healed,
//! and says how long each step took.
//!
//! Only a container that bears the label `healer.drill=true` is touched. What
//! heals it is the running executor, by the same gates and limits as always; this
//! only looks on. Not here: any restart.

mod host;
mod process;
mod sick;
mod watch;

use std::io::Write as _;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use executor_api::ExitCode;
use policy::{ContainerState, LABEL_DRILL};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Settings;
use super::output::Failure;
use super::run::runtime;
use crate::config::{Config, parse_duration_ms};
use crate::docker::{Client as Engine, Docker as _, Inspected};
use process::Frozen;
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
    /// A command that makes it sick, run inside it without a shell: for --how exec, and in the
    /// place of what kill and unhealthy do
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
    /// Kills its main process, as a crash does: tries the trigger died
    Kill,
    /// Stops its processes, as a hang does, until its health check fails: tries the trigger
    /// unhealthy
    Unhealthy,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let ms = parse_duration_ms(text)?;
    match (1_000..=TIMEOUT_MS_MAX).contains(&ms) {
        true => Ok(Duration::from_millis(ms)),
        false => Err(format!("\"{text}\" is not between 1s and 24h")),
    }
}

pub(super) fn drill(settings: &Settings, args: &DrillArgs) -> Result<ExitCode, Failure> {
    match (args.how, args.command.is_empty()) {
        (How::Exec, true) | (How::Log | How::Intent, false) => {
            return Err(Failure::wrong_use(
                "a COMMAND belongs to --how exec, and may stand with kill and unhealthy: \
                 healer drill TARGET --how exec -- touch /sick",
            ));
        }
        _ => {}
    }
    let config = settings.load()?;
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let mut signals = signals()?;
        let [interrupt, terminate, hangup] = &mut signals;
        tokio::select! {
            done = run(&config, args) => return done,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        Err(Failure::failed(
            "no longer watched; what has begun goes on: `healer status`, `healer history`",
        ))
    });
    runtime.shutdown_background();
    done
}

/// All that may end it in the middle: processes that it has stopped must not stay so.
fn signals() -> Result<[Signal; 3], Failure> {
    let one = |kind| {
        signal(kind).map_err(|e| Failure::failed(format!("signals cannot be waited for: {e}")))
    };
    Ok([
        one(SignalKind::interrupt())?,
        one(SignalKind::terminate())?,
        one(SignalKind::hangup())?,
    ])
}

async fn run(config: &Config, args: &DrillArgs) -> Result<ExitCode, Failure> {
    let mut steps = Steps {
        begun: Instant::now(),
        json: args.json,
    };
    let engine = Engine::new(&config.docker_socket);
    let container = container(&engine, &args.target).await?;
    let drill = Drill {
        config,
        args,
        rule: match args.how {
            How::Log | How::Intent => Some(sick::rule(config, args.rule.as_deref())?),
            How::Exec | How::Kill | How::Unhealthy => None,
        },
        pid: match args.how {
            How::Kill => host::may_be_killed(config, &engine, &container).await?,
            How::Unhealthy => host::may_be_unhealthy(config, &container).map(|()| 0)?,
            How::Log | How::Intent | How::Exec => 0,
        },
        engine,
        container,
    };
    let rule = drill.rule.as_ref().map(|rule| rule.name.clone());
    let mut watch = Watch::new(config, &drill.container.name, rule).await?;
    steps.begun = Instant::now();
    let end = match drill.make_sick(&mut steps).await? {
        Made::Over(end) => end,
        // Processes that are stopped go on when they are dropped, healed or not.
        Made::Sick(_frozen) => watch.until_well(args.timeout, &mut steps).await?,
    };
    tell_end(&mut steps, &end)
}

/// What is drilled, and how.
struct Drill<'a> {
    config: &'a Config,
    args: &'a DrillArgs,
    engine: Engine,
    container: Inspected,
    /// Of a line or an intent.
    rule: Option<sick::DrillRule>,
    /// The main process on the engine's host, where it is to be killed.
    pid: u32,
}

/// What came of making it sick.
enum Made {
    /// It is.
    Sick(Option<Frozen>),
    /// Nothing can come of it.
    Over(End),
}

impl Drill<'_> {
    async fn make_sick(&self, steps: &mut Steps) -> Result<Made, Failure> {
        let (engine, container) = (&self.engine, &self.container);
        match (&self.rule, self.args.how) {
            (Some(rule), How::Log) => {
                sick::print_line(engine, container, rule).await?;
                let text = format!("printed a line of rule {} into its log", rule.name);
                steps.tell("sick", &text)?;
            }
            (Some(rule), _) => {
                let refusal = sick::send_intent(self.config, container, rule).await?;
                steps.tell("sick", &format!("sent an intent of rule {}", rule.name))?;
                if let Some(why) = refusal {
                    return Ok(Made::Over(End::Refused(why)));
                }
            }
            (None, _) if !self.args.command.is_empty() => {
                sick::run(engine, container, &self.args.command).await?;
                steps.tell("sick", &format!("ran {:?} in it", self.args.command))?;
            }
            (None, How::Kill) => {
                steps.tell("sick", &host::kill(engine, container, self.pid).await?)?;
            }
            (None, _) => {
                let frozen = host::freeze(engine, container).await?;
                let text = format!("stopped its processes ({}, by SIGSTOP)", frozen.len());
                steps.tell("sick", &text)?;
                return Ok(Made::Sick(Some(frozen)));
            }
        }
        if self.args.how == How::Kill {
            let code = host::ended(engine, container).await?;
            steps.tell("ended", &format!("exit code {code}"))?;
            if let Some(why) = host::why_left_down(self.config, container, code) {
                return Ok(Made::Over(End::NotHealed(why)));
            }
        }
        Ok(Made::Sick(None))
    }
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
