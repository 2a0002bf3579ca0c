//! The Docker Engine: the only part of log-healer that talks to its socket.
//!
//! [`Docker`] is the seam at the edge of the world: the engine loop is written
//! against it, [`Client`] is the real one (HTTP/1.1 over the Unix socket, by
//! hyper and hyperlocal).
//!
//! What it keeps true:
//! * Every wait has an end: each request has one deadline over connecting,
//!   sending, the head and the body of the reply.
//! * One connection for each request, opened and closed with it: a reply that
//!   hangs holds up nobody else, and no request is ever sent a second time
//!   behind the caller's back.
//! * Replies are capped, and the engine's words are cut to
//!   [`MESSAGE_BYTES_MAX`]; both are untrusted.
//! * The API version is agreed with the engine (`/_ping`), agreed anew after
//!   the engine was away, and once more when the engine refuses it.
//! * "There is no such container" is only what the engine says in so many
//!   words; a 404 of any other kind is an error, never an absence.
//!
//! What it deliberately does not do: decide, retry, wait for an engine to come
//! back, keep anything between requests but the agreed API version.

mod archive;
mod ask;
mod client;
mod command;
mod error;
mod events;
mod exchange;
mod exec;
mod frames;
mod inspected;
mod network;
mod reading;
mod rfc3339;
mod rows;
mod seen;
mod streaming;
mod version;
mod wire;

use std::time::Duration;

use policy::{Call, Called};

use crate::dependencies::Member;

pub use archive::AtPath;
pub use client::Client;
pub use command::{Ended, OUTPUT_BYTES_MAX, Ran};
pub use error::{DockerError, Phase, SocketProblem};
pub use events::{Event, Events, What};
pub use exec::{ExecEnd, ExecOutput, ExecState, Processes};
pub use frames::Frames;
pub use inspected::{Exit, Inspected, always_restarts};
pub use network::Network;
pub use reading::Reading;
pub use rfc3339::parse_rfc3339;
pub use rows::{Row, RowHealth};
pub use seen::{Check, Checks, Seen};
pub use streaming::Streaming;
pub use version::ApiVersion;
pub use wire::{EngineVersion, Listed, MESSAGE_BYTES_MAX};

/// The calls that log-healer makes to a Docker Engine.
///
/// One thread drives all of it, so the futures need not be `Send`.
#[allow(async_fn_in_trait)]
pub trait Docker {
    /// Asks whether the engine answers, and agrees the API version with it
    /// anew: `GET /_ping`. The version that will be spoken.
    async fn ping(&self, deadline: Duration) -> Result<ApiVersion, DockerError>;

    /// What the engine is: `GET /version`.
    async fn version(&self, deadline: Duration) -> Result<EngineVersion, DockerError>;

    /// One container, by full id, name, or at least 12 digits of its id:
    /// `GET /containers/{reference}/json`. None where the engine says that
    /// there is no such container.
    ///
    /// The engine also takes shorter beginnings of an id; those count as
    /// "none" here, since a name that is gone must not turn into another
    /// container whose id happens to begin with it.
    async fn inspect(
        &self,
        reference: &str,
        deadline: Duration,
    ) -> Result<Option<Inspected>, DockerError>;

    /// All containers that Compose has made, running or not, read row by row
    /// (`GET /containers/json?all=1`): of each no more is kept than who needs whom.
    async fn members(&self, deadline: Duration) -> Result<Vec<Member>, DockerError>;

    /// A reply's body as it came, for evidence: nothing is decided by it.
    async fn read(&self, what: &Reading, deadline: Duration) -> Result<Vec<u8>, DockerError>;

    /// Runs a command in a container and waits for its end, at most `within` over all:
    /// `POST /containers/{id}/exec`, `/exec/{id}/start`, `GET /exec/{id}/json`.
    ///
    /// The engine has no call that ends a command: one that is given up because of its time
    /// or its output may go on in the container, whose end also ends it.
    async fn exec(&self, container_id: &str, argv: &[String], within: Duration) -> Ran;

    /// Restarts, starts or stops a container and waits for the engine's answer, at
    /// most `wait`: `POST /containers/{id}/restart`, `/start` or `/stop`.
    ///
    /// `stop_timeout` (seconds, restart and stop only) overrides the container's own
    /// stop timeout; none leaves it to the container. `wait` has to be longer
    /// than whichever of the two applies.
    ///
    /// The engine goes on with a restart when nobody waits for it any more,
    /// except Engine 23.0 to 24.0.6: there a connection that closes between
    /// the stop and the start leaves the container stopped (moby pull request
    /// 46688). Dropping this future closes it; so let calls in flight finish
    /// where there is time, and look again afterwards in any case.
    async fn call(
        &self,
        call: Call,
        container_id: &str,
        wait: Duration,
        stop_timeout: Option<i64>,
    ) -> Called;
}
