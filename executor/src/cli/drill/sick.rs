//! The ways in which a drill makes a container sick.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use executor_api::{Decision, Intent, LastMatch, Remedy, TargetRef, decode_answer, encode};
use policy::ContainerState;
use rules::RuleSet;
use tokio::time::{Instant, sleep};

use crate::cli::client::Client;
use crate::cli::output::{Failure, printable};
use crate::config::Config;
use crate::docker::{Client as Engine, Docker as _, ExecEnd, Inspected};

/// Tried first where no rule is named.
const RULE: &str = "cuda-oom";
/// Longest a command in the container may take, and each call about it.
const EXEC_MAX: Duration = Duration::from_secs(30);
/// Most bytes of a command's output that are shown.
const OUTPUT_BYTES_MAX: usize = 1_024;
/// Longest wait for the answer to an intent.
const ANSWER_MS_MAX: u64 = 5_000;

/// Longest wait for the engine to notice that a container has ended.
const ENDS_MAX: Duration = Duration::from_secs(3);
/// The exit code of what SIGKILL has ended.
const KILLED: i64 = 137;

/// Prints its argument where the container's own first process prints.
const PRINT: &str = "printf '%s\\n' \"$1\" > /proc/1/fd/1";

/// What is to match.
pub(super) struct DrillRule {
    pub(super) name: String,
    /// A line that it matches: its author's own example.
    line: String,
    /// So many matches make it apply.
    count: u32,
}

/// The rule that a drill goes by: the named one, or one that restarts at once.
pub(super) fn rule(config: &Config, named: Option<&str>) -> Result<DrillRule, Failure> {
    let rules =
        RuleSet::load(&config.rules).map_err(|e| Failure::wrong_use(format!("rules: {e}")))?;
    let usable = |rule: &&rules::Rule| {
        rule.remedy == rules::Remedy::Restart
            && rule.confirm.is_none()
            && !rule.kernel
            && !rule.examples.is_empty()
    };
    let at_once = |rule: &&rules::Rule| usable(rule) && rule.threshold.is_none();
    let found = match named {
        Some(name) => {
            let Some(rule) = rules.find(name) else {
                let why = format!(
                    "no rule {name:?} among {}; see `healer rules list`",
                    config.rules
                );
                return Err(Failure::wrong_use(why));
            };
            Some(rule).filter(usable).ok_or_else(|| {
                Failure::wrong_use(format!(
                    "rule {name} does not restart a container by its lines alone (or has no \
                     example): a drill needs one that does"
                ))
            })?
        }
        None => rules
            .find(RULE)
            .filter(at_once)
            .or_else(|| rules.rules().iter().find(at_once))
            .ok_or_else(|| {
                let why = format!("none of the rules of {} restarts at once", config.rules);
                Failure::wrong_use(format!("{why}: name one by --rule"))
            })?,
    };
    Ok(DrillRule {
        name: found.name.clone(),
        line: found.examples[0].clone(),
        count: found.threshold.map_or(1, |threshold| threshold.count),
    })
}

/// Prints lines into the container's log, by a shell inside it.
pub(super) async fn print_line(
    engine: &Engine,
    container: &Inspected,
    rule: &DrillRule,
) -> Result<(), Failure> {
    let words = ["sh", "-c", PRINT, "sh", &rule.line];
    let command: Vec<String> = words.iter().map(ToString::to_string).collect();
    for _ in 0..rule.count {
        run(engine, container, &command).await.map_err(|failure| {
            Failure::failed(format!(
                "no line could be printed into the log of '{}' ({failure}): it needs a shell, and \
                 its first process an open output; --how intent tries the executor alone",
                container.name
            ))
        })?;
    }
    Ok(())
}

/// Ends what can be ended from within: all but the first process by a signal that nobody can
/// ignore, the first one by those that it may have asked for, with a failure where it is left.
const END: &str = "kill -KILL -1; for s in ABRT QUIT INT TERM; do sleep 1; kill -s $s 1; done; \
                   sleep 2; exit 1";

/// Ends the container's main process by a shell inside it, as far as that can be done.
pub(super) async fn end_from_within(engine: &Engine, container: &Inspected) -> Result<(), Failure> {
    let command = ["sh", "-c", END].map(str::to_owned);
    run(engine, container, &command).await.map_err(|failure| {
        Failure::failed(format!(
            "the main process of '{}' goes on, whatever it is told from within ({failure}): run \
             this on the host as root, or give a COMMAND that ends it",
            container.name
        ))
    })
}

/// Runs a command in the container to its end.
pub(super) async fn run(
    engine: &Engine,
    container: &Inspected,
    command: &[String],
) -> Result<(), Failure> {
    let failed = |why: String| Failure::failed(format!("in '{}': {why}", container.name));
    let created = engine.exec_create(&container.id, command, EXEC_MAX).await;
    let exec = created
        .map_err(|e| failed(e.to_string()))?
        .ok_or_else(|| failed("the container is gone".into()))?;
    let output = engine.exec_start(&exec, OUTPUT_BYTES_MAX, EXEC_MAX).await;
    let output = output.map_err(|e| failed(e.to_string()))?;
    if output.end != ExecEnd::OutputEnded {
        return Err(failed(format!(
            "{command:?} has not ended within {} s",
            EXEC_MAX.as_secs()
        )));
    }
    // What ends the container ends the command as well: then nobody knows its code.
    let state = engine.exec_state(&exec, EXEC_MAX).await;
    let code = state.ok().flatten().and_then(|state| state.exit_code);
    match code {
        Some(0) | None => Ok(()),
        // Killed, as all that is in a container is by its end.
        Some(KILLED) if has_ended(engine, container).await => Ok(()),
        Some(code) => Err(failed(format!(
            "{command:?} exited with {code}: {}",
            printable(&output.output, OUTPUT_BYTES_MAX)
        ))),
    }
}

/// Whether it does not run any more, or has been started anew; the engine notices a moment
/// after the processes are gone.
async fn has_ended(engine: &Engine, container: &Inspected) -> bool {
    let until = Instant::now() + ENDS_MAX;
    loop {
        let is_same = match engine.inspect(&container.id, EXEC_MAX).await {
            Ok(Some(now)) => {
                now.state == ContainerState::Running && now.started_at == container.started_at
            }
            Ok(None) => false,
            Err(_) => true,
        };
        if !is_same || Instant::now() >= until {
            return !is_same;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Sends what the plugin would; the refusal, where it is one.
pub(super) async fn send_intent(
    config: &Config,
    container: &Inspected,
    rule: &DrillRule,
) -> Result<Option<String>, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_err(|_| Failure::failed("the clock is before 1970"))?;
    let intent = Intent {
        id: format!("drill-{}-{}", std::process::id(), now.as_nanos()),
        target: TargetRef::Id(container.id.clone()),
        rule: rule.name.clone(),
        remedy: Remedy::Restart,
        times: vec![(now.as_secs(), rule.count)],
        last: LastMatch(now.as_secs(), Some(now.subsec_nanos())),
        sample: rule.line.clone(),
        tag: String::new(),
        source: "drill".into(),
    };
    let line = encode(Some("intent"), &intent);
    let failed = |why: String| Failure::failed(why);
    let mut client = Client::connect(&config.sockets.intents)
        .await
        .map_err(|e| failed(e.to_string()))?;
    let answer = client.exchange(&line, ANSWER_MS_MAX).await;
    let answer = answer.map_err(|e| failed(e.to_string()))?;
    let answer = decode_answer(&answer)
        .map_err(|e| failed(format!("the answer is not understood: {}", e.why)))?;
    let detail = answer.detail.unwrap_or_default();
    match answer.decision {
        Decision::Restart | Decision::Pending => Ok(None),
        Decision::Refused => Ok(Some(format!(
            "{detail} (gate {})",
            answer.gate.as_deref().unwrap_or("none")
        ))),
        other => Err(failed(format!("answered {}: {detail}", other.as_str()))),
    }
}
