//! A reply that is read as it comes: it may never end.

use std::fmt;
use std::path::Path;
use std::pin::Pin;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use tokio::time::timeout_at;

use super::ask::Ask;
use super::error::{DockerError, Phase};
use super::exchange::{Deadline, Reply, broken, connect, http1, read, request, timed_out};
use super::version::ApiVersion;

/// The header with which Podman's replies name its version.
const PODMAN_VERSION: &str = "Libpod-Api-Version";

/// A reply's body, piece by piece. Dropping it closes the connection.
pub struct Streaming {
    ask: Ask,
    body: Incoming,
    is_podman: bool,
    /// None once it has ended; what it has read before is still in `body`.
    connection: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("ask", &self.ask).finish()
    }
}

/// What came of opening one.
pub(super) enum Opened {
    /// 200.
    Stream(Streaming),
    /// Anything else, read whole.
    Reply(Reply),
}

/// Sends `ask` and reads the head within the deadline.
pub(super) async fn open(
    socket: &Path,
    ask: &Ask,
    version: Option<ApiVersion>,
    deadline: Deadline,
) -> Result<Opened, DockerError> {
    let stream = connect(socket, ask, deadline).await?;
    let request = request(ask, version)?;
    let (mut sender, connection) = http1()
        .handshake(stream)
        .await
        .map_err(|error| broken(ask, &error))?;
    let mut connection: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
        // Its error reaches whoever reads the head or the body.
        let _ended = connection.await;
    });
    let mut ended = false;
    let sending = timeout_at(deadline.at, sender.send_request(request));
    tokio::pin!(sending);
    let sent = loop {
        tokio::select! {
            biased;
            sent = &mut sending => break sent,
            () = &mut connection, if !ended => ended = true,
        }
    };
    let head = sent
        .map_err(|_| timed_out(ask, Phase::Head, deadline))?
        .map_err(|error| broken(ask, &error))?;
    if head.status().as_u16() == 200 {
        return Ok(Opened::Stream(Streaming {
            ask: ask.clone(),
            is_podman: head.headers().contains_key(PODMAN_VERSION),
            body: head.into_body(),
            connection: (!ended).then_some(connection),
        }));
    }
    let reading = read(ask, head, deadline);
    tokio::pin!(reading);
    loop {
        tokio::select! {
            biased;
            reply = &mut reading => return Ok(Opened::Reply(reply)),
            () = &mut connection, if !ended => ended = true,
        }
    }
}

impl Streaming {
    /// Whether it comes from Podman, by its head.
    pub(super) fn is_podman(&self) -> bool {
        self.is_podman
    }

    /// The next piece, of any length; none at the end. May be dropped and asked again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DockerError> {
        loop {
            let frame = match &mut self.connection {
                None => self.body.frame().await,
                Some(connection) => tokio::select! {
                    biased;
                    frame = self.body.frame() => frame,
                    () = connection => {
                        self.connection = None;
                        continue;
                    }
                },
            };
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(broken(&self.ask, &error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}
