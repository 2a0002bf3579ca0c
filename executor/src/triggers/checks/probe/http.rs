//! `GET` from the executor, one connection for each request.
//!
//! Keeps true: no more than [`BODY_BYTES_MAX`] of a body are read, however long it is;
//! redirects are followed on the same host and port only, and so many at most.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;

use super::{Tried, tcp};
use crate::config::{Endpoint, HttpProbe, from_url};

/// Most bytes of a body that are looked at.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes of the body that are kept for people.
const SAMPLE_BYTES: usize = 4 << 10;

pub(super) async fn run(address: SocketAddr, probe: &HttpProbe) -> Tried {
    let mut path = probe.path.clone();
    for _ in 0..=probe.redirects {
        let stream = match tcp::connect(address).await {
            Ok(stream) => TokioIo::new(stream),
            Err(result) => return result,
        };
        let handshake = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(stream)
            .await;
        let (mut sender, connection) = match handshake {
            Ok(both) => both,
            Err(e) => return broken(&e),
        };
        let request = match request(&probe.endpoint, address, &path) {
            Ok(request) => request,
            Err(e) => return Tried::unable(format!("GET {path}: {e}")),
        };
        let asked = async move {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let next = match status {
                301 | 302 | 303 | 307 | 308 if probe.redirects > 0 => {
                    redirect(&probe.endpoint, &response)
                }
                _ => None,
            };
            let body = match next {
                Some(_) => Vec::new(),
                None => head_of(response.into_body()).await?,
            };
            Ok::<_, hyper::Error>((status, next, body))
        };
        match alongside(asked, connection).await {
            Err(e) => return broken(&e),
            Ok((_, Some(next), _)) => path = next,
            Ok((status, None, body)) => return judge(probe, status, &body),
        }
    }
    Tried::failed(format!("redirects more than {} times", probe.redirects))
}

/// Drives the connection as long as the request needs it.
async fn alongside<T>(asked: impl Future<Output = T>, connection: impl Future) -> T {
    tokio::pin!(asked, connection);
    tokio::select! {
        biased;
        done = &mut asked => return done,
        // Its end reaches the request by itself.
        _ = &mut connection => {}
    }
    asked.await
}

fn request(
    endpoint: &Endpoint,
    address: SocketAddr,
    path: &str,
) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    let host = match &endpoint.host {
        Some(host) if host.contains(':') => format!("[{host}]:{}", endpoint.port),
        Some(host) => format!("{host}:{}", endpoint.port),
        None => address.to_string(),
    };
    Request::get(path)
        .header(HOST, host)
        .header(CONNECTION, "close")
        .header(ACCEPT, "*/*")
        .header(
            USER_AGENT,
            concat!("log-healer/", env!("CARGO_PKG_VERSION")),
        )
        .body(Empty::new())
}

/// The path that a redirect leads to; none where it leads elsewhere.
fn redirect(endpoint: &Endpoint, response: &Response<Incoming>) -> Option<String> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let location = location.split('#').next()?;
    if location.starts_with('/') && !location.starts_with("//") {
        return location.parse::<Uri>().ok().map(|_| location.to_owned());
    }
    let (to, path) = from_url(location).ok()?;
    let is_same = to.port == endpoint.port && (endpoint.host.is_none() || to.host == endpoint.host);
    is_same.then_some(path)
}

/// As much of it as is looked at.
async fn head_of(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut head = Vec::new();
    while head.len() < BODY_BYTES_MAX
        && let Some(frame) = body.frame().await
    {
        if let Ok(data) = frame?.into_data() {
            let room = BODY_BYTES_MAX - head.len();
            head.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(head)
}

fn judge(probe: &HttpProbe, status: u16, body: &[u8]) -> Tried {
    let sample = || String::from_utf8_lossy(&body[..body.len().min(SAMPLE_BYTES)]).into_owned();
    if !probe.status.iter().any(|range| range.contains(&status)) {
        let why = format!("status {status}");
        return Tried::Failed {
            why,
            sample: sample(),
        };
    }
    match &probe.body {
        Some(pattern) if !pattern.is_in(body) => Tried::Failed {
            why: format!("status {status}, and nothing in the body matches"),
            sample: sample(),
        },
        _ => Tried::Passed,
    }
}

fn broken(error: &hyper::Error) -> Tried {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    Tried::failed(format!(
        "no whole answer: {error}{}",
        cause.unwrap_or_default()
    ))
}
