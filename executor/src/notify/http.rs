//! One POST over HTTP/1.1, with or without TLS, on a connection of its own.
//!
//! Keeps true: everything is within one time-out; of the answer to a failure at
//! most [`BODY_BYTES_MAX`] are read, of a success only the head; redirects are not
//! followed; an error names the host and never the path or the query, where tokens
//! are.

use std::cell::Cell;
use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::rustls::pki_types::ServerName;

use super::endpoint::Endpoint;
use super::failure::{Failure, FailureKind};
use super::message::one_line;
use super::{dial, tls};

/// Bytes of an answer's body that are read; the rest is left where it is.
const BODY_BYTES_MAX: usize = 16 * 1_024;
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1_024;
/// Longest wait for the body of an answer.
const BODY_WAIT_MAX: Duration = Duration::from_secs(2);
/// Longest wait that a receiver may ask for.
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// What is sent.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) endpoint: Endpoint,
    /// Beside content type, host and user agent.
    pub(super) headers: Vec<(&'static str, String)>,
    /// JSON.
    pub(super) body: Vec<u8>,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// How long the receiver asks to wait.
    pub(super) retry_after_ms: Option<u64>,
    /// The first [`BODY_BYTES_MAX`] of it, as text; of a success nothing.
    pub(super) body: String,
}

/// Sends, and reads the answer.
pub(super) async fn post(
    post: &Post,
    ca_file: Option<&Path>,
    timeout: Duration,
) -> Result<Answer, Failure> {
    let stage = Cell::new("connecting");
    let sent = tokio::time::timeout(timeout, exchange(post, ca_file, timeout, &stage));
    sent.await.unwrap_or_else(|_| {
        let (shown, waited) = (post.endpoint.shown(), timeout.as_secs_f64());
        let stage = stage.get();
        Err(Failure::later(format!(
            "{shown}: no end of {stage} within {waited} s"
        )))
    })
}

async fn exchange(
    post: &Post,
    ca_file: Option<&Path>,
    timeout: Duration,
    stage: &Cell<&'static str>,
) -> Result<Answer, Failure> {
    let to = &post.endpoint;
    let failed = |what: &str, e: &dyn std::fmt::Display| {
        Failure::later(format!(
            "{}: {what}: {}",
            to.shown(),
            one_line(&e.to_string())
        ))
    };
    let tcp = dial::connect(&to.host, to.port, timeout).await;
    let tcp = tcp.map_err(|e| failed("cannot connect", &e))?;
    if !to.is_tls {
        return talk(post, tcp, stage).await;
    }
    stage.set("the TLS handshake");
    let name = ServerName::try_from(to.host.clone())
        .map_err(|_| Failure::setup(format!("{}: is no host name", to.shown()), ""))?;
    let connector = tls::connector(ca_file, Some(b"http/1.1"))?;
    let tls = connector.connect(name, tcp).await.map_err(|e| {
        let advice = "see the server's certificate, and ca_file";
        let what = format!("{}: TLS: {}", to.shown(), one_line(&e.to_string()));
        match e.kind() {
            std::io::ErrorKind::InvalidData => Failure::setup(what, advice),
            _ => Failure::later(what),
        }
    })?;
    talk(post, tls, stage).await
}

async fn talk<S>(post: &Post, stream: S, stage: &Cell<&'static str>) -> Result<Answer, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let shown = post.endpoint.shown();
    let broken =
        |e: hyper::Error| Failure::later(format!("{shown}: no answer: {}", one_line(&chain(&e))));
    stage.set("the answer");
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let request = request(post)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok(answer(response).await)
    };
    // Its faults come out of the exchange too.
    let driven = async {
        let _ended = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        answer = exchange => answer,
        never = driven => match never {},
    }
}

/// That it can be sent as it is.
pub(super) fn check(post: &Post) -> Result<(), Failure> {
    request(post).map(drop)
}

fn request(post: &Post) -> Result<Request<Full<Bytes>>, Failure> {
    let to = &post.endpoint;
    let mut request = Request::post(to.path())
        .header(HOST, to.authority())
        .header(
            USER_AGENT,
            concat!("log-healer/", env!("CARGO_PKG_VERSION")),
        )
        .header(CONTENT_TYPE, "application/json");
    for (name, value) in &post.headers {
        request = request.header(*name, value);
    }
    request
        .body(Full::new(Bytes::from(post.body.clone())))
        // Not what hyper says, which may repeat a value.
        .map_err(|_| {
            Failure::setup(
                format!("{}: the token or the path cannot be sent", to.shown()),
                "see that the secret is one line of ASCII",
            )
        })
}

async fn answer(response: Response<Incoming>) -> Answer {
    let is_taken = response.status().is_success();
    let mut answer = Answer {
        status: response.status().as_u16(),
        retry_after_ms: retry_after(response.headers(), SystemTime::now()),
        body: String::new(),
    };
    // It is taken, whatever becomes of the rest: sent again it would come twice.
    if is_taken {
        return answer;
    }
    let mut read = Vec::new();
    // What breaks off, or does not end, says as much as came.
    let body = fill(&mut read, response.into_body());
    let _ended = tokio::time::timeout(BODY_WAIT_MAX, body).await;
    answer.body = String::from_utf8_lossy(&read).into_owned();
    answer
}

async fn fill(read: &mut Vec<u8>, mut body: Incoming) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            let room = BODY_BYTES_MAX - read.len();
            read.extend_from_slice(&data[..data.len().min(room)]);
        }
        if read.len() == BODY_BYTES_MAX {
            break;
        }
    }
}

/// Seconds, with a fraction or not, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return retry_after_ms(seconds);
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let wait = at.duration_since(now).unwrap_or_default();
    retry_after_ms(wait.as_secs_f64())
}

/// None where it is no wait.
pub(super) fn retry_after_ms(seconds: f64) -> Option<u64> {
    if !seconds.is_finite() || seconds < 0.0 {
        return None;
    }
    // In range, so the cast is exact enough.
    let ms = (seconds * 1_000.0).ceil().min(RETRY_AFTER_MS_MAX as f64);
    Some(ms as u64)
}

/// What an answer means; `shown` is who gave it.
pub(super) fn judge(shown: &str, answer: &Answer) -> Result<(), Failure> {
    let status = answer.status;
    let what = format!("{shown} answers {status}");
    let failure = match status {
        200..=299 => return Ok(()),
        300..=399 => {
            return Err(Failure::setup(
                format!("{what}, a redirect, which is not followed"),
                "give the URL that it leads to",
            ));
        }
        408 | 425 | 429 => Failure::new(FailureKind::Later(answer.retry_after_ms), what, ""),
        500..=599 => {
            let kind = FailureKind::Later(answer.retry_after_ms);
            Failure::new(kind, what, "").answered()
        }
        400 | 406 | 411 | 413..=415 | 422 => Failure::refused(what, ""),
        401 | 403 => Failure::setup(what, "see the token, and what it may do"),
        404 | 405 | 410 => Failure::setup(what, "see the URL: nothing takes messages there"),
        _ => Failure::setup(what, ""),
    };
    Err(failure.saying(&*answer.body))
}

/// What an error says, and what it rests on.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_760_978_850);
        let ms = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        let date = |at: SystemTime| httpdate::fmt_http_date(at);
        for (text, expected) in [
            ("0".to_owned(), Some(0)),
            ("7".to_owned(), Some(7_000)),
            ("0.65".to_owned(), Some(650)),
            ("3600".to_owned(), Some(3_600_000)),
            ("999999999".to_owned(), Some(3_600_000)),
            ("-1".to_owned(), None),
            ("NaN".to_owned(), None),
            ("soon".to_owned(), None),
            (date(now + Duration::from_secs(90)), Some(90_000)),
            (date(now - Duration::from_secs(90)), Some(0)),
        ] {
            assert_eq!(ms(&text), expected, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn an_answer_means_done_later_never_or_somebody_has_to_look() {
        let judged = |status: u16| {
            let answer = Answer {
                status,
                retry_after_ms: Some(5),
                body: "why\nnot".into(),
            };
            judge("https://h", &answer).map_err(|e| (e.kind, e.to_string()))
        };
        for status in [200, 201, 204, 299] {
            assert!(judged(status).is_ok(), "{status}");
        }
        for (status, kind) in [
            (301, FailureKind::Setup),
            (307, FailureKind::Setup),
            (400, FailureKind::Refused),
            (401, FailureKind::Setup),
            (404, FailureKind::Setup),
            (413, FailureKind::Refused),
            (429, FailureKind::Later(Some(5))),
            (500, FailureKind::Later(Some(5))),
            (503, FailureKind::Later(Some(5))),
        ] {
            assert_eq!(judged(status).unwrap_err().0, kind, "{status}");
        }
        assert_eq!(
            judged(500).unwrap_err().1,
            "https://h answers 500: why\nnot"
        );
    }
}
