//! Asks the engine for what a restart destroys, and for the logs behind it.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::bundle::{After, Before, Subject};
use super::logs;
use super::{On, UnderWay};
use crate::docker::{Docker, DockerError, Reading};

/// Longest that a call waits for its evidence: all of what is read before it.
pub const BEFORE_MAX: Duration = Duration::from_millis(200);
/// Longest that reading the logs may take, with the wait for others'.
pub(super) const LOGS_MAX: Duration = Duration::from_secs(5);
/// Most lines that are asked for: the newest ones may all be from after the charge.
const TAIL_MAX: u32 = 10_000;
/// Another try asks for so many times as many lines, or as few.
const TAIL_FACTOR: u32 = 10;
/// Most requests for logs.
const TRIES_MAX: u32 = 5;

/// The reading for one attempt.
#[derive(Debug)]
pub struct Collector {
    on: Rc<On>,
    subject: Subject,
    /// Until it is dropped the way out waits for it, if not for long.
    _under_way: UnderWay,
}

/// Its first half is with the store.
#[derive(Debug)]
pub struct Half(Collector);

impl Collector {
    pub(super) fn new(on: Rc<On>, subject: Subject) -> Self {
        Self {
            _under_way: UnderWay::begin(&on),
            on,
            subject,
        }
    }

    /// Reads what the call destroys, at most [`BEFORE_MAX`], and hands it over
    /// without waiting for the disk. None where it was left out.
    pub async fn before<D: Docker>(self, docker: &D) -> Option<Half> {
        let id = || self.subject.container_id.clone();
        let begin = Instant::now();
        let until = begin + BEFORE_MAX;
        let (inspect, memory) = tokio::join!(
            read(docker, Reading::Inspect { id: id() }, until),
            read(docker, Reading::Memory { id: id() }, until),
        );
        let took = begin.elapsed();
        self.on.metrics.waited(took.as_secs_f64());
        let before = Before {
            inspect: inspect.map_err(|e| e.to_string()),
            memory: memory.map_err(|e| e.to_string()),
            took,
        };
        let is_taken = self.on.store.before(self.subject.clone(), before);
        is_taken.then(|| Half(self))
    }
}

impl Half {
    /// Reads the log lines up to the charge, at most [`LOGS_MAX`], and hands
    /// them over.
    pub async fn after<D: Docker>(self, docker: &D) {
        let Self(Collector { on, subject, .. }) = &self;
        let begin = Instant::now();
        let until = begin + LOGS_MAX;
        let late = || Err("too many others were being read".to_owned());
        let logs = match timeout_at(until, on.log_slots.acquire()).await {
            Ok(_slot) => self.logs(docker, until).await,
            Err(_) => late(),
        };
        let after = After {
            logs,
            lines_max: usize::try_from(on.log_lines).unwrap_or(usize::MAX),
            took: begin.elapsed(),
        };
        on.store.after(subject.attempt, after);
    }

    /// As many lines as wanted, if there are. The engine counts lines before it
    /// leaves out those from after the charge, so where too few come more are
    /// asked for; where they are too long, fewer.
    async fn logs<D: Docker>(&self, docker: &D, until: Instant) -> Result<Vec<u8>, String> {
        let Self(Collector { on, subject, .. }) = self;
        let wanted = on.log_lines;
        let mut tail = wanted;
        let mut best = Err("they could not be read".to_owned());
        for _ in 0..TRIES_MAX {
            let reading = Reading::Logs {
                id: subject.container_id.clone(),
                until_ms: subject.charged_wall_ms,
                tail,
            };
            match read(docker, reading, until).await {
                Ok(reply) => {
                    let is_enough = logs::count(&reply) >= usize::try_from(wanted).unwrap_or(0);
                    best = Ok(reply);
                    if is_enough || tail >= TAIL_MAX || tail < wanted {
                        break;
                    }
                    tail = (tail * TAIL_FACTOR).min(TAIL_MAX);
                }
                Err(DockerError::TooLarge { .. }) if best.is_err() && tail > 1 => {
                    tail = (tail / TAIL_FACTOR).max(1);
                }
                Err(_) if best.is_ok() => break,
                Err(e) => {
                    best = Err(e.to_string());
                    break;
                }
            }
        }
        best
    }
}

/// Whatever the client does, it ends then.
async fn read<D: Docker>(
    docker: &D,
    what: Reading,
    until: Instant,
) -> Result<Vec<u8>, DockerError> {
    let left = until.saturating_duration_since(Instant::now());
    let reading = docker.read(&what, left);
    match timeout_at(until, reading).await {
        Ok(read) => read,
        Err(_) => Err(DockerError::TimedOut {
            what: what.to_string(),
            phase: crate::docker::Phase::Head,
            limit: left,
        }),
    }
}
