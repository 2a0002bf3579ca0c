//! A command in the container.
//!
//! Keeps true: never more than one of a probe's commands at a time. One that outlives its
//! time cannot be ended by the engine; until it ends no other is begun, and that is the
//! container's failure, not ours.

use std::time::Duration;

use tokio::time::Instant;

use super::Tried;
use crate::docker::{Client, DockerError, ExecEnd, ExecState};
use crate::metrics::CheckMetrics;

/// Most bytes of its output that are kept for people.
const OUTPUT_BYTES_MAX: usize = 4 << 10;
/// Longest wait for the engine where the command itself is not waited for.
const ENGINE_MAX: Duration = Duration::from_secs(5);
/// Longest wait for the engine to notice the end of a command whose output has ended.
const END_MAX: Duration = Duration::from_secs(1);

/// With which Docker says in a command's output that it cannot begin it.
const DOCKERS_WORDS: &str = "OCI runtime exec failed";
/// Exit codes that engines give to what they cannot begin, as shells do.
const CANNOT_RUN: i64 = 126;
/// See [`CANNOT_RUN`].
const NOT_FOUND: i64 = 127;

/// Of one probe, over its rounds.
#[derive(Debug, Default)]
pub(super) struct Exec {
    /// A command that has outlived its time, or of which it is not known whether it has ended.
    orphan: Option<String>,
}

impl Exec {
    pub(super) async fn run(
        &mut self,
        docker: &Client,
        container_id: &str,
        command: &[String],
        timeout: Duration,
        metrics: &CheckMetrics,
    ) -> Tried {
        if let Some(orphan) = &self.orphan {
            match docker.exec_state(orphan, ENGINE_MAX).await {
                Ok(Some(state)) if state.is_running => {
                    return Tried::failed("the command of an earlier round has still not ended");
                }
                Ok(_) => self.orphan = None,
                Err(e) => return Tried::unable(e.to_string()),
            }
        }
        let id = match docker.exec_create(container_id, command, ENGINE_MAX).await {
            Ok(Some(id)) => id,
            Ok(None) => return Tried::unable("the container is gone"),
            Err(e) => return refused(&e),
        };
        // Whatever breaks from here on, it may have begun: none other is before that is known.
        self.orphan = Some(id.clone());
        let began = Instant::now();
        let ran = match docker.exec_start(&id, OUTPUT_BYTES_MAX, timeout).await {
            Ok(ran) => ran,
            Err(e) => return refused(&e),
        };
        let sample = String::from_utf8_lossy(&ran.output).into_owned();
        let left = match ran.end {
            ExecEnd::OutputEnded => END_MAX.min(timeout.saturating_sub(began.elapsed())),
            ExecEnd::TimedOut | ExecEnd::Flood => Duration::ZERO,
        };
        let ended = ended(docker, &id, left).await;
        if let Ok(Some(_)) = ended {
            self.orphan = None;
        }
        match ended {
            Ok(None) => {
                metrics.exec_outlived();
                let why = match ran.end {
                    ExecEnd::Flood => "prints without end".to_owned(),
                    _ => format!("has not ended within {} ms", timeout.as_millis()),
                };
                let why = format!("{why}; it goes on, as the engine cannot end it");
                Tried::Failed { why, sample }
            }
            Ok(Some(state)) => judged(state, sample),
            Err(why) => Tried::unable(why),
        }
    }
}

/// How it has ended; none while it runs.
async fn ended(
    docker: &Client,
    exec_id: &str,
    patience: Duration,
) -> Result<Option<ExecState>, String> {
    match docker.exec_ended(exec_id, patience, ENGINE_MAX).await {
        Err(e) => Err(e.to_string()),
        // With its container, which the next look will say.
        Ok(None) => Err("the engine does not know the command any more".to_owned()),
        Ok(Some(state)) => Ok(Some(state).filter(|state| !state.is_running)),
    }
}

/// What its end says. A busy engine loses the words with which it cannot begin a command, and
/// gives no reason beside an exit code of its own: then the next round tells.
fn judged(state: ExecState, sample: String) -> Tried {
    let why = match state.exit_code {
        Some(code) => format!("exit code {code}"),
        None => "no exit code".to_owned(),
    };
    match state.exit_code {
        Some(0) => Tried::Passed,
        _ if sample.starts_with(DOCKERS_WORDS) => cannot_begin(&sample, &why),
        _ if !state.has_process && is_podmans(&sample) => cannot_begin(&sample, &why),
        None | Some(CANNOT_RUN | NOT_FOUND) if !state.has_process && sample.is_empty() => {
            Tried::unable(format!(
                "the command cannot be run there, and the engine has not said why ({why})"
            ))
        }
        _ => Tried::Failed { why, sample },
    }
}

fn refused(error: &DockerError) -> Tried {
    match error {
        DockerError::Status {
            status: 400 | 500,
            message,
            ..
        } => cannot_begin(message, "the engine cannot begin it"),
        // Not running, or paused: the next look will say.
        other => Tried::unable(other.to_string()),
    }
}

/// Podman puts the runtime's words first, and its own at the end of the line.
fn is_podmans(words: &str) -> bool {
    let first = words.lines().next().unwrap_or_default();
    first.starts_with("Error: ") && first.contains(": OCI ")
}

/// A command that is not there is the configuration's fault; a container that has no memory
/// or process left for it is sick.
fn cannot_begin(words: &str, otherwise: &str) -> Tried {
    let is_missing = [
        "executable file not found",
        "no such file or directory",
        "permission denied",
        "is a directory",
    ];
    let lower = words.to_ascii_lowercase();
    match is_missing.iter().find(|missing| lower.contains(**missing)) {
        Some(missing) => Tried::unable(format!("the command cannot be run there: {missing}")),
        None if words.contains(DOCKERS_WORDS) || is_podmans(words) => Tried::Failed {
            why: otherwise.to_owned(),
            sample: words.to_owned(),
        },
        None => Tried::unable(words.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_could_not_begin_and_says_nothing_of_is_no_failure() {
        let state = |exit_code, has_process| ExecState {
            is_running: false,
            exit_code,
            has_process,
        };
        let failed = |why: &str, sample: &str| Tried::Failed {
            why: why.to_owned(),
            sample: sample.to_owned(),
        };
        let unsaid = |why: &str| {
            let words = "the command cannot be run there, and the engine has not said why";
            Tried::unable(format!("{words} ({why})"))
        };
        let missing = "OCI runtime exec failed: exec: \"x\": executable file not found in $PATH";
        let starved = "OCI runtime exec failed: cannot allocate memory";
        let podmans_missing = "Error: /usr/sbin/runc: exec failed: exec: \"/x\": stat /x: no such \
            file or directory: OCI runtime attempted to invoke a command that was not found\n";
        let podmans_starved = "Error: runc: exec failed: cannot fork: OCI runtime error\n";
        for (state, printed, expected) in [
            (state(Some(0), true), "well", Tried::Passed),
            (state(Some(126), true), "", failed("exit code 126", "")),
            (state(Some(3), true), "sick", failed("exit code 3", "sick")),
            (state(None, true), "", failed("no exit code", "")),
            (state(Some(126), false), "", unsaid("exit code 126")),
            (state(Some(127), false), "", unsaid("exit code 127")),
            (state(None, false), "", unsaid("no exit code")),
            (
                state(Some(126), false),
                missing,
                Tried::unable("the command cannot be run there: executable file not found"),
            ),
            (
                state(Some(126), false),
                starved,
                failed("exit code 126", starved),
            ),
            // Podman's, once they have ended: 4.3.1.
            (
                state(Some(127), false),
                podmans_missing,
                Tried::unable("the command cannot be run there: no such file or directory"),
            ),
            (
                state(Some(1), false),
                podmans_starved,
                failed("exit code 1", podmans_starved),
            ),
            (state(Some(0), false), "", Tried::Passed),
            (state(Some(3), false), "", failed("exit code 3", "")),
            (
                state(Some(127), false),
                "sh: x",
                failed("exit code 127", "sh: x"),
            ),
        ] {
            assert_eq!(judged(state, printed.to_owned()), expected, "{state:?}");
        }
    }
}
