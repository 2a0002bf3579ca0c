//! The HTTP endpoint: `/healthz` (the process runs), `/readyz` (it could heal
//! now; the body says why not) and `/metrics`; and `POST /beat/TARGET`, see `beat`.
//!
//! Kept true: at most [`CONNECTIONS_MAX`] connections, one request on each, its
//! head at most [`HEAD_BYTES_MAX`] bytes and in time, all over within
//! [`CONNECTION_MS_MAX`]. Nothing here changes anything but what is known of beats,
//! and nothing it shows is log text.

mod beat;
mod health;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use policy::{Off, Timestamp};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::timeout;

pub use beat::{Door, Token};
pub use health::{ENGINE_MS_MAX, Health};

use crate::metrics::{Metrics, SocketName};
use crate::triggers::{Board, Stops};

/// Most connections at once; more wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 32;
/// Most bytes of a request's head.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Most header lines of a request.
pub const HEADERS_MAX: usize = 64;
/// Longest wait for a request's head.
pub const HEAD_MS_MAX: u64 = 5_000;
/// Longest life of a connection.
pub const CONNECTION_MS_MAX: u64 = 10_000;

/// Every answer's body.
type Body = Full<Bytes>;

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What there is to show.
#[derive(Debug, Default)]
pub struct Site {
    /// `/metrics`
    pub metrics: Metrics,
    /// `/readyz`
    pub health: Health,
    /// What others tell of targets.
    pub board: Board,
    /// The names of the containers that are watched: those that may be healed.
    pub watched: RefCell<BTreeSet<String>>,
    /// Containers that are named or labelled and yet never healed by themselves, because of
    /// their labels; as of the newest list.
    pub off: RefCell<BTreeMap<String, Off>>,
    /// Whom somebody is asking to end.
    pub stops: Stops,
    /// `/beat/TARGET`
    pub door: Door,
}

impl Site {
    /// The engine answered (anything) at this time.
    pub fn engine_answered(&self, at: Timestamp) {
        self.metrics.set_engine_up(true);
        self.health.set_engine(Ok(at));
    }

    /// The engine cannot be reached, or not spoken to.
    pub fn engine_away(&self, why: String) {
        self.metrics.set_engine_up(false);
        self.metrics.socket_error(SocketName::Docker);
        self.health.set_engine(Err(why));
    }
}

/// Opens the endpoint.
///
/// # Errors
/// Says what to do where the address is taken or not ours.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|e| {
        format!(
            "http.listen: cannot listen on {address}: {e}; choose another address, \
             or \"off\" (HEALER_HTTP_LISTEN=off)"
        )
    })
}

/// Serves until dropped; on a `LocalSet`. `now` is the policy's clock.
pub async fn serve(listener: TcpListener, site: Rc<Site>, now: impl Fn() -> Timestamp + 'static) {
    let now = Rc::new(now);
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (site, now) = (Rc::clone(&site), Rc::clone(&now));
                spawn_local(async move {
                    serve_connection(stream, &site, &*now).await;
                    drop(slot);
                });
            }
            Err(e) => {
                // Out of descriptors or memory: others may free some.
                site.metrics.socket_error(SocketName::Http);
                tracing::error!("http.listen: cannot accept a connection: {e}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, site: &Site, now: &impl Fn() -> Timestamp) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(&request, site, now());
        async { Ok::<_, Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HEAD_MS_MAX))
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(Duration::from_millis(CONNECTION_MS_MAX), connection).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => {
            // The client's doing, and hyper has told it so where it could.
            tracing::debug!("http: {e}");
        }
        Err(_) => tracing::debug!("http: a connection took more than {CONNECTION_MS_MAX} ms"),
    }
}

fn respond<B>(request: &Request<B>, site: &Site, now: Timestamp) -> Response<Body> {
    let (method, path) = (request.method(), request.uri().path());
    if let Some(target) = path.strip_prefix(beat::PATH) {
        return beat::respond(method, target, request.headers(), site, now);
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return not_allowed("GET, HEAD");
    }
    match path {
        "/healthz" => page(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => match site.health.faults(now) {
            faults if faults.is_empty() => page(StatusCode::OK, TEXT, "ready\n"),
            faults => {
                let body = format!("not ready\n{}\n", faults.join("\n"));
                page(StatusCode::SERVICE_UNAVAILABLE, TEXT, body)
            }
        },
        "/metrics" => {
            let is_ready = site.health.faults(now).is_empty();
            site.metrics.outlook().set_ready(is_ready);
            page(StatusCode::OK, OPEN_METRICS, site.metrics.encode())
        }
        _ => page(
            StatusCode::NOT_FOUND,
            TEXT,
            "there are /healthz, /readyz and /metrics\n",
        ),
    }
}

fn not_allowed(allowed: &'static str) -> Response<Body> {
    let why = format!("{allowed} only\n");
    let mut response = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, why);
    let allowed = allowed.parse().expect("a plain header value");
    response.headers_mut().insert(ALLOW, allowed);
    response
}

fn page(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        content_type.parse().expect("a plain header value"),
    );
    response
}
