//! The real engine client.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use policy::{Call, Called};
use tokio::sync::mpsc;

use super::Docker;
use super::ask::{self, Ask};
use super::command::Ran;
use super::error::DockerError;
use super::exchange::{Deadline, Reply, exchange};
use super::inspected::Inspected;
use super::reading::Reading;
use super::rows::Row;
use super::version::{ApiVersion, Refusal};
use super::wire::{self, EngineVersion, Listed};
use crate::dependencies::Member;

/// Most pieces of a list that wait to be taken in.
const PIECES_MAX: usize = 2;

/// Speaks to the engine behind one Unix socket.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    /// As agreed by the last ping; none = ping first. Held only to read or write it.
    agreed: Mutex<Option<ApiVersion>>,
}

impl Client {
    /// A client for the socket at this path. Connects to nothing yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            agreed: Mutex::new(None),
        }
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// All containers, running or not, whole: `GET /containers/json?all=1`, ordered by name.
    /// For commands that end soon; what goes on for days takes [`Client::each_listed`].
    pub async fn list(&self, deadline: Duration) -> Result<Vec<Listed>, DockerError> {
        let ask = Ask::list();
        let reply = self.ask(&ask, Deadline::after(deadline)).await?;
        wire::read_list(&ask, reply)
    }

    /// The version agreed last, none before the first and after a failed request.
    pub fn api_version(&self) -> Option<ApiVersion> {
        *self.agreed.lock()
    }

    /// Sends a request in the agreed version, which is agreed first where
    /// there is none, and once more where the engine refuses it: nothing has
    /// happened then, so that sending again is safe for every request.
    pub(super) async fn ask(&self, ask: &Ask, deadline: Deadline) -> Result<Reply, DockerError> {
        let agreed = self.api_version();
        let version = match agreed {
            Some(version) => version,
            None => self.agree(deadline).await?,
        };
        let reply = self.send(ask, Some(version), deadline).await?;
        let Some(refusal) = wire::version_refusal(&reply) else {
            return Ok(reply);
        };
        let version = self.agree_anew(version, refusal, deadline).await?;
        let reply = self.send(ask, Some(version), deadline).await?;
        match wire::version_refusal(&reply) {
            Some(refusal) => Err(no_common_version(refusal)),
            None => Ok(reply),
        }
    }

    pub(super) async fn agree(&self, deadline: Deadline) -> Result<ApiVersion, DockerError> {
        let ping = Ask::ping();
        let reply = self.send(&ping, None, deadline).await?;
        let version = wire::read_ping(&ping, &reply)?;
        *self.agreed.lock() = Some(version);
        Ok(version)
    }

    /// The engine was replaced behind our back, or its ping does not tell the
    /// truth; in the latter case the bound that its refusal names decides.
    async fn agree_anew(
        &self,
        refused: ApiVersion,
        refusal: Refusal,
        deadline: Deadline,
    ) -> Result<ApiVersion, DockerError> {
        let pinged = self.agree(deadline).await?;
        if pinged != refused {
            return Ok(pinged);
        }
        let stated = refusal
            .agree()
            .filter(|&stated| stated != refused)
            .ok_or_else(|| no_common_version(refusal))?;
        *self.agreed.lock() = Some(stated);
        Ok(stated)
    }

    /// After a failed exchange the engine may come back as another version.
    async fn send(
        &self,
        ask: &Ask,
        version: Option<ApiVersion>,
        deadline: Deadline,
    ) -> Result<Reply, DockerError> {
        let reply = exchange(&self.socket, ask, version, deadline).await;
        if reply.is_err() {
            *self.agreed.lock() = None;
        }
        reply
    }
}

fn no_common_version(refusal: Refusal) -> DockerError {
    DockerError::Version {
        engine: refusal.to_string(),
    }
}

impl Docker for Client {
    async fn ping(&self, deadline: Duration) -> Result<ApiVersion, DockerError> {
        self.agree(Deadline::after(deadline)).await
    }

    async fn version(&self, deadline: Duration) -> Result<EngineVersion, DockerError> {
        let ask = Ask::version();
        let reply = self.ask(&ask, Deadline::after(deadline)).await?;
        wire::read_json(&ask, reply)
    }

    async fn inspect(
        &self,
        reference: &str,
        deadline: Duration,
    ) -> Result<Option<Inspected>, DockerError> {
        let reference = reference.strip_prefix('/').unwrap_or(reference);
        if !ask::can_name_a_container(reference) {
            return Ok(None);
        }
        let ask = Ask::inspect(reference);
        let reply = self.ask(&ask, Deadline::after(deadline)).await?;
        wire::read_inspect(&ask, reference, reply)
    }

    async fn members(&self, deadline: Duration) -> Result<Vec<Member>, DockerError> {
        let (rows, mut taken) = mpsc::channel::<Vec<Row>>(PIECES_MAX);
        let mut members = Vec::new();
        let keeping = async {
            while let Some(rows) = taken.recv().await {
                let rows = rows.iter();
                members.extend(rows.filter_map(|row| Member::of(&row.name, &row.labels)));
            }
        };
        let (listed, ()) = tokio::join!(self.each_listed(deadline, rows), keeping);
        listed.map(|()| members)
    }

    async fn read(&self, what: &Reading, deadline: Duration) -> Result<Vec<u8>, DockerError> {
        let ask = Ask::read(what);
        if !ask::can_name_a_container(what.id()) {
            return Err(DockerError::Reply {
                what: ask.what,
                why: "not asked for: this cannot be a container's id".to_owned(),
            });
        }
        let deadline = Deadline::after(deadline);
        let version = match self.api_version() {
            Some(version) => version,
            None => self.agree(deadline).await?,
        };
        // Not by `send`: it has little time, and running out of that is no
        // reason to agree the version anew before the call that comes next.
        let reply = exchange(&self.socket, &ask, Some(version), deadline).await?;
        wire::read_bytes(&ask, reply)
    }

    async fn exec(&self, container_id: &str, argv: &[String], within: Duration) -> Ran {
        self.run(container_id, argv, within).await
    }

    async fn call(
        &self,
        call: Call,
        container_id: &str,
        wait: Duration,
        stop_timeout: Option<i64>,
    ) -> Called {
        if !ask::can_name_a_container(container_id) {
            return Called::Refused {
                status: 400,
                message: "not sent: this cannot be a container's id".to_owned(),
            };
        }
        let ask = Ask::call(call, container_id, stop_timeout);
        match self.ask(&ask, Deadline::after(wait)).await {
            Ok(reply) => wire::read_called(call, &reply),
            Err(error) => Called::Unclear {
                why: error.to_string(),
            },
        }
    }
}
