//! A remedy's command: begun once, listened to, its exit code asked for.
//!
//! Keeps true: the output is opaque and is kept up to a limit; every wait has an end; what
//! may have been begun is never taken for what was not.

use std::time::{Duration, Instant};

use policy::Called;

use super::client::Client;
use super::error::DockerError;
use super::exec::{ExecEnd, ExecState};
use crate::config::show_duration_ms;

/// So many bytes of a command's output are kept.
pub const OUTPUT_BYTES_MAX: usize = 4 << 10;
/// Longest wait for the engine to say how a command stands whose output has come to its end.
const CODE_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for it to notice that it has ended.
const END_MAX: Duration = Duration::from_secs(1);

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How it ended, as far as anybody knows.
    pub end: Ended,
    /// The first [`OUTPUT_BYTES_MAX`] bytes of its output, both streams as they came. Opaque.
    pub output: Vec<u8>,
    /// It printed more than that.
    pub is_cut: bool,
}

/// How a command ended, or why nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code; 126 and 127 where the engine could not begin it.
    Exited(i64),
    /// It did not end in its time, and may still run.
    TimedOut {
        /// How long it had.
        within: Duration,
    },
    /// It printed more than anybody listens to, and may still run.
    Flood,
    /// It was not begun.
    NotBegun {
        /// For people.
        why: String,
    },
    /// It may have been run or not, or its end is not known.
    Unclear {
        /// For people.
        why: String,
    },
}

impl From<&Ended> for Called {
    fn from(end: &Ended) -> Self {
        let why = match end {
            Ended::Exited(0) => return Self::Done,
            Ended::Exited(code) => format!("exit code {code}"),
            Ended::TimedOut { within } => {
                let ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
                let within = show_duration_ms(ms);
                format!("it did not end within {within}, and may still run")
            }
            Ended::Flood => "it prints without end, and may still run".to_owned(),
            Ended::NotBegun { why } => format!("it was not begun: {why}"),
            Ended::Unclear { why } => return Self::Unclear { why: why.clone() },
        };
        Self::Failed { why }
    }
}

impl Client {
    pub(super) async fn run(&self, container_id: &str, argv: &[String], within: Duration) -> Ran {
        let until = Instant::now() + within;
        let exec_id = match self.exec_create(container_id, argv, within).await {
            Ok(Some(id)) => id,
            Ok(None) => return not_begun("there is no such container".to_owned()),
            Err(error) => return not_begun(error.to_string()),
        };
        let left = until.saturating_duration_since(Instant::now());
        match self.exec_start(&exec_id, OUTPUT_BYTES_MAX, left).await {
            Ok(ran) => Ran {
                end: match ran.end {
                    ExecEnd::OutputEnded => self.exit_code(&exec_id).await,
                    ExecEnd::TimedOut => Ended::TimedOut { within },
                    ExecEnd::Flood => Ended::Flood,
                },
                output: ran.output,
                is_cut: ran.is_cut,
            },
            // The engine's own words say that it could not, nothing else does.
            Err(error @ DockerError::Status { .. }) => not_begun(error.to_string()),
            Err(error) => Ran {
                end: Ended::Unclear {
                    why: error.to_string(),
                },
                output: Vec::new(),
                is_cut: false,
            },
        }
    }

    /// The output is at its end, so the command is, but for those that have closed it.
    async fn exit_code(&self, exec_id: &str) -> Ended {
        let why = match self.exec_ended(exec_id, END_MAX, CODE_WAIT).await {
            Ok(Some(ExecState {
                is_running: false,
                exit_code: Some(code),
                ..
            })) => return Ended::Exited(code),
            Ok(Some(_)) => "it has closed its output, and may still run".to_owned(),
            Ok(None) => "the engine has forgotten it".to_owned(),
            Err(error) => error.to_string(),
        };
        Ended::Unclear { why }
    }
}

fn not_begun(why: String) -> Ran {
    Ran {
        end: Ended::NotBegun { why },
        output: Vec::new(),
        is_cut: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_it_in_the_policys_words() {
        let failed = |why: &str| Called::Failed { why: why.into() };
        let within = Duration::from_secs(90);
        for (end, called) in [
            (Ended::Exited(0), Called::Done),
            (Ended::Exited(7), failed("exit code 7")),
            (
                Ended::TimedOut { within },
                failed("it did not end within 1m 30s, and may still run"),
            ),
            (
                Ended::Flood,
                failed("it prints without end, and may still run"),
            ),
        ] {
            assert_eq!(Called::from(&end), called);
        }
    }
}
