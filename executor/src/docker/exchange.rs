//! One request and its reply over a connection of their own.
//!
//! The connection is driven inside the same future: dropping it closes the
//! socket, and nothing is left running.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use super::archive::PATH_STAT;
use super::ask::Ask;
use super::error::{DockerError, Phase, SocketProblem};
use super::version::ApiVersion;

/// Longest wait for the engine to take a connection. It does so at once while
/// it lives at all, so a restart's minute of patience is not spent here.
pub(super) const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);

/// Longest wait for a body once its head is there.
pub(super) const BODY_WAIT_MAX: Duration = Duration::from_secs(10);

/// Most that is read ahead of whoever takes a reply's body, and the longest head. Left to
/// itself it grows with the reply: to 408 KiB while a long list is read.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// When a request has to be over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    pub(super) limit: Duration,
}

impl Deadline {
    pub(super) fn after(limit: Duration) -> Self {
        // A limit beyond the clock's end is a limit of a year: still an end.
        const YEAR: Duration = Duration::from_secs(366 * 86_400);
        let now = Instant::now();
        Self {
            at: now + limit.min(YEAR),
            limit,
        }
    }

    /// The end of a part of the request that may take `most` at most.
    fn within(self, most: Duration) -> Instant {
        self.at.min(Instant::now() + most)
    }
}

/// A reply's head, and its body where that arrived whole.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// The header `Api-Version`: the newest that the engine speaks.
    pub(super) api_version: Option<String>,
    /// The header that the archive call answers with: see `archive`.
    pub(super) path_stat: Option<String>,
    pub(super) body: Result<Vec<u8>, DockerError>,
}

/// Connects, sends `ask`, reads the reply. An error means that no head arrived.
pub(super) async fn exchange(
    socket: &Path,
    ask: &Ask,
    version: Option<ApiVersion>,
    deadline: Deadline,
) -> Result<Reply, DockerError> {
    let stream = connect(socket, ask, deadline).await?;
    let request = request(ask, version)?;
    let (mut sender, connection) = http1()
        .handshake(stream)
        .await
        .map_err(|error| broken(ask, &error))?;
    let talking = async move {
        let head = timeout_at(deadline.at, sender.send_request(request))
            .await
            .map_err(|_| timed_out(ask, Phase::Head, deadline))?
            .map_err(|error| broken(ask, &error))?;
        Ok(read(ask, head, deadline).await)
    };
    alongside(talking, connection).await
}

pub(super) fn http1() -> http1::Builder {
    let mut http1 = http1::Builder::new();
    http1.max_buf_size(BUFFER_BYTES_MAX);
    http1
}

pub(super) async fn connect(
    socket: &Path,
    ask: &Ask,
    deadline: Deadline,
) -> Result<<hyperlocal::UnixConnector as Service<hyper::Uri>>::Response, DockerError> {
    check_length(socket)?;
    let uri: hyper::Uri = hyperlocal::Uri::new(socket, "/").into();
    let connecting = hyperlocal::UnixConnector.call(uri);
    timeout_at(deadline.within(CONNECT_WAIT_MAX), connecting)
        .await
        .map_err(|_| timed_out(ask, Phase::Connect, deadline))?
        .map_err(|error| DockerError::from_connect(socket, &error))
}

pub(super) fn request(
    ask: &Ask,
    version: Option<ApiVersion>,
) -> Result<Request<Full<Bytes>>, DockerError> {
    let mut request = Request::builder()
        .method(ask.method.clone())
        .uri(ask.target(version))
        .header(hyper::header::HOST, "docker")
        .header(hyper::header::CONNECTION, "close")
        .header(hyper::header::CONTENT_LENGTH, ask.body.len())
        .header(
            hyper::header::USER_AGENT,
            concat!("log-healer/", env!("CARGO_PKG_VERSION")),
        );
    if !ask.body.is_empty() {
        request = request.header(hyper::header::CONTENT_TYPE, "application/json");
    }
    request
        .body(Full::from(ask.body.clone()))
        .map_err(|error| broken(ask, &error))
}

/// The kernel's limit; a path within it also never trips hyperlocal's URI.
fn check_length(socket: &Path) -> Result<(), DockerError> {
    const SOCKET_PATH_BYTES_MAX: usize = 107;
    if (1..=SOCKET_PATH_BYTES_MAX).contains(&socket.as_os_str().len()) {
        return Ok(());
    }
    Err(DockerError::Socket {
        socket: socket.to_owned(),
        problem: SocketProblem::Other(format!(
            "a socket's path has 1 to {SOCKET_PATH_BYTES_MAX} bytes"
        )),
    })
}

/// Polls `connection` as long as `talking` needs it.
async fn alongside<T>(talking: impl Future<Output = T>, connection: impl Future) -> T {
    let mut talking = pin!(talking);
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        done = &mut talking => return done,
        // Its end or error reaches `talking` through its own channel.
        _ = &mut connection => {}
    }
    talking.await
}

pub(super) async fn read(ask: &Ask, head: Response<Incoming>, deadline: Deadline) -> Reply {
    let header = |name: &str| {
        let value = head.headers().get(name);
        value
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let (api_version, path_stat) = (header("api-version"), header(PATH_STAT));
    let status = head.status().as_u16();
    let collecting = collect(ask, head.into_body());
    let body = match timeout_at(deadline.within(BODY_WAIT_MAX), collecting).await {
        Ok(body) => body,
        Err(_) => Err(timed_out(ask, Phase::Body, deadline)),
    };
    Reply {
        status,
        api_version,
        path_stat,
        body,
    }
}

async fn collect(ask: &Ask, mut body: Incoming) -> Result<Vec<u8>, DockerError> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(ask, &error))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if whole.len() + data.len() > ask.body_bytes_max {
            return Err(DockerError::TooLarge {
                what: ask.what.clone(),
                limit_bytes: ask.body_bytes_max,
            });
        }
        whole.extend_from_slice(data);
    }
    Ok(whole)
}

pub(super) fn timed_out(ask: &Ask, phase: Phase, deadline: Deadline) -> DockerError {
    DockerError::TimedOut {
        what: ask.what.clone(),
        phase,
        limit: deadline.limit,
    }
}

/// With the cause below hyper's own words, which alone say little.
pub(super) fn broken(ask: &Ask, error: &dyn std::error::Error) -> DockerError {
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        why.push_str(": ");
        why.push_str(&cause.to_string());
        source = cause.source();
    }
    DockerError::Broken {
        what: ask.what.clone(),
        why,
    }
}
