//! Commands in containers, a container's processes, and its log as it grows.
//!
//! An engine cannot end a command that it has started in a container: what outlives its
//! time goes on until it ends by itself or the container does.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::ask::{self, Ask};
use super::client::Client;
use super::error::{DockerError, Phase};
use super::exchange::{Deadline, Reply};
use super::frames::Frames;
use super::streaming::{Opened, Streaming, open};
use super::wire;

/// A command that prints more than this while it is listened to is listened to no longer.
const EXEC_OUTPUT_BYTES_MAX: usize = 4 << 20;

/// Between two questions whether the engine has noticed a command's end.
const END_PAUSE: Duration = Duration::from_millis(20);

/// What a command printed, and whether it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Both streams as they came, cut at the caller's limit.
    pub output: Vec<u8>,
    /// It printed more than that.
    pub is_cut: bool,
    /// How it is with the command now.
    pub end: ExecEnd,
}

/// See [`ExecOutput::end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecEnd {
    /// Its output has ended, and so probably has it: see [`Client::exec_state`].
    OutputEnded,
    /// Time has run out.
    TimedOut,
    /// It printed more than anybody listens to.
    Flood,
}

/// How a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecState {
    /// It has not ended.
    pub is_running: bool,
    /// Its exit code, none while it runs.
    pub exit_code: Option<i64>,
    /// Whether the engine names a process of it. Docker names none of what it could not begin;
    /// Podman none of what has ended, either.
    pub has_process: bool,
}

/// A container's processes, as the engine's `ps` shows them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Processes {
    /// Names of the columns: `UID`, `PID`, ..., `CMD`.
    #[serde(rename = "Titles", default)]
    pub titles: Vec<String>,
    /// One row for each process.
    #[serde(rename = "Processes", default)]
    pub rows: Option<Vec<Vec<String>>>,
}

impl Client {
    /// Makes a command ready to run: an argument list, no shell. Its id; none where there
    /// is no such container.
    pub async fn exec_create(
        &self,
        container_id: &str,
        command: &[String],
        deadline: Duration,
    ) -> Result<Option<String>, DockerError> {
        #[derive(Deserialize)]
        struct Created {
            #[serde(rename = "Id")]
            id: String,
        }
        let ask = Ask::exec_create(container_id, command);
        let Some(reply) = self.about(&ask, container_id, deadline).await? else {
            return Ok(None);
        };
        wire::read_json::<Created>(&ask, reply).map(|created| Some(created.id))
    }

    /// Runs it and listens, at most `deadline`; keeps `bytes_max` of what it prints.
    pub async fn exec_start(
        &self,
        exec_id: &str,
        bytes_max: usize,
        deadline: Duration,
    ) -> Result<ExecOutput, DockerError> {
        let ask = Ask::exec_start(exec_id);
        let deadline = Deadline::after(deadline);
        let mut stream = match self.stream(&ask, deadline).await {
            Err(DockerError::TimedOut {
                phase: Phase::Head, ..
            }) => return Ok(timed_out_so_far()),
            stream => stream?,
        };
        let mut frames = Frames::or_bare();
        let mut kept = Vec::new();
        let mut printed = 0_usize;
        let end = loop {
            let Ok(next) = timeout_at(deadline.at, stream.next()).await else {
                break ExecEnd::TimedOut;
            };
            let Some(bytes) = next? else {
                break ExecEnd::OutputEnded;
            };
            frames.take(&bytes, |_, payload| {
                printed = printed.saturating_add(payload.len());
                let room = bytes_max.saturating_sub(kept.len());
                kept.extend_from_slice(&payload[..payload.len().min(room)]);
            });
            if printed > EXEC_OUTPUT_BYTES_MAX {
                break ExecEnd::Flood;
            }
        };
        Ok(ExecOutput {
            is_cut: printed > kept.len(),
            output: kept,
            end,
        })
    }

    /// How it stands; none where the engine does not know it (any more).
    pub async fn exec_state(
        &self,
        exec_id: &str,
        deadline: Duration,
    ) -> Result<Option<ExecState>, DockerError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct State {
            running: bool,
            exit_code: Option<i64>,
            pid: Option<i64>,
        }
        let ask = Ask::exec_inspect(exec_id);
        let reply = self.ask(&ask, Deadline::after(deadline)).await?;
        if reply.status == 404 {
            return Ok(None);
        }
        let state: State = wire::read_json(&ask, reply)?;
        Ok(Some(ExecState {
            is_running: state.running,
            exit_code: state.exit_code.filter(|_| !state.running),
            has_process: state.pid != Some(0),
        }))
    }

    /// How a command stands whose output has ended: the engine notices its end a moment later,
    /// for which it is given `patience`. None as for [`Self::exec_state`], each of whose answers
    /// is waited for at most `deadline`.
    pub async fn exec_ended(
        &self,
        exec_id: &str,
        patience: Duration,
        deadline: Duration,
    ) -> Result<Option<ExecState>, DockerError> {
        let until = Instant::now() + patience;
        loop {
            let state = self.exec_state(exec_id, deadline).await?;
            if state.is_none_or(|state| !state.is_running) || Instant::now() >= until {
                return Ok(state);
            }
            sleep(END_PAUSE).await;
        }
    }

    /// Its processes: `GET /containers/{id}/top`. None where there is no such container.
    pub async fn top(
        &self,
        container_id: &str,
        deadline: Duration,
    ) -> Result<Option<Processes>, DockerError> {
        let ask = Ask::top(container_id);
        match self.about(&ask, container_id, deadline).await? {
            Some(reply) => wire::read_json(&ask, reply).map(Some),
            None => Ok(None),
        }
    }

    /// Its log from a time on (`secs.nanos` since the epoch), as it grows: frames, each
    /// line with its time. The head is waited for until `deadline`.
    pub async fn follow_logs(
        &self,
        container_id: &str,
        since: &str,
        deadline: Duration,
    ) -> Result<Streaming, DockerError> {
        let ask = Ask::follow_logs(container_id, since);
        self.check_id(&ask, container_id)?;
        self.stream(&ask, Deadline::after(deadline)).await
    }

    async fn about(
        &self,
        ask: &Ask,
        container_id: &str,
        deadline: Duration,
    ) -> Result<Option<Reply>, DockerError> {
        self.check_id(ask, container_id)?;
        let reply = self.ask(ask, Deadline::after(deadline)).await?;
        let is_gone = reply.status == 404 && wire::says_no_such_container(&wire::message(&reply));
        Ok((!is_gone).then_some(reply))
    }

    fn check_id(&self, ask: &Ask, container_id: &str) -> Result<(), DockerError> {
        if ask::can_name_a_container(container_id) {
            return Ok(());
        }
        Err(DockerError::Reply {
            what: ask.what.clone(),
            why: "not asked for: this cannot be a container's id".to_owned(),
        })
    }

    /// Opens a reply that is read as it comes.
    pub(super) async fn stream(
        &self,
        ask: &Ask,
        deadline: Deadline,
    ) -> Result<Streaming, DockerError> {
        let version = match self.api_version() {
            Some(version) => version,
            None => self.agree(deadline).await?,
        };
        match open(self.socket(), ask, Some(version), deadline).await? {
            Opened::Stream(stream) => Ok(stream),
            Opened::Reply(reply) => Err(wire::refused(ask, &reply)),
        }
    }
}

fn timed_out_so_far() -> ExecOutput {
    ExecOutput {
        output: Vec::new(),
        is_cut: false,
        end: ExecEnd::TimedOut,
    }
}
