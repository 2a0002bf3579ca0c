//! Requests to the engine as methods, paths and query strings: pure.

use std::fmt::Write as _;

use hyper::Method;
use policy::Call;
use serde_json::json;

use super::reading::Reading;
use super::version::ApiVersion;

/// Most bytes of one container's inspect; usual are ten thousand.
const INSPECT_BYTES_MAX: usize = 4 << 20;
/// Most bytes of a list of all containers: some thousands of them.
const LIST_BYTES_MAX: usize = 32 << 20;
/// Most bytes of a container's list of processes: some ten thousand of them.
const TOP_BYTES_MAX: usize = 4 << 20;
/// Most bytes of any other reply.
const SMALL_BYTES_MAX: usize = 64 << 10;
/// Longest reference to a container, bytes; the intent protocol's limit too.
const REFERENCE_BYTES_MAX: usize = 512;

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// Below the version.
    path: String,
    /// For people: `inspect of container 'x'`.
    pub(super) what: String,
    pub(super) body_bytes_max: usize,
    /// JSON; empty = none.
    pub(super) body: Vec<u8>,
}

impl Ask {
    fn get(path: &str, what: impl Into<String>, body_bytes_max: usize) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            what: what.into(),
            body_bytes_max,
            body: Vec::new(),
        }
    }

    pub(super) fn ping() -> Self {
        Self::get("/_ping", "ping", SMALL_BYTES_MAX)
    }

    pub(super) fn version() -> Self {
        Self::get("/version", "version", SMALL_BYTES_MAX)
    }

    pub(super) fn list() -> Self {
        Self::get(
            "/containers/json?all=1",
            "list of containers",
            LIST_BYTES_MAX,
        )
    }

    pub(super) fn inspect(reference: &str) -> Self {
        Self::get(
            &format!("/containers/{}/json", encode(reference)),
            format!("inspect of container '{reference}'"),
            INSPECT_BYTES_MAX,
        )
    }

    /// What happens to containers from now on; only what says something about their state.
    pub(super) fn events() -> Self {
        let filters = json!({"type": ["container"], "event": super::events::NAMES});
        Self::get(
            &format!("/events?filters={}", encode(&filters.to_string())),
            "stream of events",
            SMALL_BYTES_MAX,
        )
    }

    pub(super) fn read(what: &Reading) -> Self {
        Self::get(&what.path(), what.to_string(), what.body_bytes_max())
    }

    pub(super) fn call(call: Call, container_id: &str, stop_timeout: Option<i64>) -> Self {
        let id = encode(container_id);
        let (verb, query) = match (call, stop_timeout) {
            (Call::Restart, Some(seconds)) => ("restart", format!("?t={seconds}")),
            (Call::Restart, None) => ("restart", String::new()),
            (Call::Stop, Some(seconds)) => ("stop", format!("?t={seconds}")),
            (Call::Stop, None) => ("stop", String::new()),
            // A command is not called like this; see `exec_create`.
            (Call::Start | Call::Exec, _) => ("start", String::new()),
        };
        Self {
            method: Method::POST,
            path: format!("/containers/{id}/{verb}{query}"),
            what: format!("{verb} of container '{container_id}'"),
            body_bytes_max: SMALL_BYTES_MAX,
            body: Vec::new(),
        }
    }

    pub(super) fn top(container_id: &str) -> Self {
        Self::get(
            &format!("/containers/{}/top", encode(container_id)),
            format!("processes of container '{container_id}'"),
            TOP_BYTES_MAX,
        )
    }

    /// Both streams, with at most 1,000 lines from before: an engine would read all of a
    /// file of many gigabytes to find those of a time.
    pub(super) fn follow_logs(container_id: &str, since: &str) -> Self {
        Self::get(
            &format!(
                "/containers/{}/logs?follow=1&stdout=1&stderr=1&timestamps=1&tail=1000\
                 &since={since}",
                encode(container_id)
            ),
            format!("log of container '{container_id}'"),
            SMALL_BYTES_MAX,
        )
    }

    /// What is at this path, without its content.
    pub(super) fn archive_head(container_id: &str, path: &str) -> Self {
        Self {
            method: Method::HEAD,
            ..Self::get(
                &format!(
                    "/containers/{}/archive?path={}",
                    encode(container_id),
                    encode(path)
                ),
                format!("look for '{path}' in container '{container_id}'"),
                SMALL_BYTES_MAX,
            )
        }
    }

    pub(super) fn exec_create(container_id: &str, command: &[String]) -> Self {
        let body = json!({"AttachStdout": true, "AttachStderr": true, "Cmd": command});
        let id = encode(container_id);
        let what = format!("exec in container '{container_id}'");
        Self::post(&format!("/containers/{id}/exec"), what, &body)
    }

    pub(super) fn exec_start(exec_id: &str) -> Self {
        let body = json!({"Detach": false, "Tty": false});
        let id = encode(exec_id);
        Self::post(
            &format!("/exec/{id}/start"),
            format!("start of exec '{exec_id}'"),
            &body,
        )
    }

    pub(super) fn exec_inspect(exec_id: &str) -> Self {
        Self::get(
            &format!("/exec/{}/json", encode(exec_id)),
            format!("inspect of exec '{exec_id}'"),
            SMALL_BYTES_MAX,
        )
    }

    fn post(path: &str, what: String, body: &serde_json::Value) -> Self {
        Self {
            method: Method::POST,
            path: path.to_owned(),
            what,
            body_bytes_max: SMALL_BYTES_MAX,
            body: body.to_string().into_bytes(),
        }
    }

    /// The request's target in HTTP's sense; only `/_ping` goes without a version.
    pub(super) fn target(&self, version: Option<ApiVersion>) -> String {
        match version {
            Some(version) => format!("/v{version}{}", self.path),
            None => self.path.clone(),
        }
    }
}

/// Percent-encoding of one path segment: all but RFC 3986's unreserved.
fn encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _infallible = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// Whether this text can name a container at all: Docker's own alphabet, and
/// at least two characters. What cannot is never sent (the engine would answer
/// `..` or nothing at all with another page).
pub(super) fn can_name_a_container(reference: &str) -> bool {
    let mut bytes = reference.bytes();
    (2..=REFERENCE_BYTES_MAX).contains(&reference.len())
        && bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "a5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";

    #[test]
    fn requests_have_these_targets() {
        let v = Some(ApiVersion::new(1, 41));
        for (ask, method, target) in [
            (Ask::ping(), "GET", "/v1.41/_ping"),
            (Ask::version(), "GET", "/v1.41/version"),
            (Ask::list(), "GET", "/v1.41/containers/json?all=1"),
            (Ask::inspect("web-1"), "GET", "/v1.41/containers/web-1/json"),
            (
                Ask::inspect("a b/c?d%é"),
                "GET",
                "/v1.41/containers/a%20b%2Fc%3Fd%25%C3%A9/json",
            ),
            (
                Ask::call(Call::Restart, "ab", None),
                "POST",
                "/v1.41/containers/ab/restart",
            ),
            (
                Ask::call(Call::Restart, "ab", Some(-1)),
                "POST",
                "/v1.41/containers/ab/restart?t=-1",
            ),
            (
                Ask::call(Call::Start, "ab", Some(5)),
                "POST",
                "/v1.41/containers/ab/start",
            ),
            (
                Ask::archive_head("ab", "/a b/c?d%é"),
                "HEAD",
                "/v1.41/containers/ab/archive?path=%2Fa%20b%2Fc%3Fd%25%C3%A9",
            ),
            (
                Ask::read(&Reading::Inspect { id: "ab".into() }),
                "GET",
                "/v1.41/containers/ab/json",
            ),
            (
                Ask::read(&Reading::Memory { id: "ab".into() }),
                "GET",
                "/v1.41/containers/ab/stats?stream=false&one-shot=true",
            ),
            (
                Ask::read(&Reading::Logs {
                    id: "ab".into(),
                    until_ms: 1_760_978_852_007,
                    tail: 100,
                }),
                "GET",
                "/v1.41/containers/ab/logs?stdout=1&stderr=1&timestamps=1&tail=100\
                 &until=1760978852.007000000",
            ),
        ] {
            assert_eq!(ask.method.as_str(), method);
            assert_eq!(ask.target(v), target);
        }
        assert_eq!(Ask::ping().target(None), "/_ping");
    }

    #[test]
    fn only_what_can_name_a_container_is_sent() {
        let longest = "x".repeat(REFERENCE_BYTES_MAX);
        for good in ["ab", "web-1", "a.b_c-d", "0a", ID, &longest] {
            assert!(can_name_a_container(good), "{good}");
        }
        let too_long = "x".repeat(REFERENCE_BYTES_MAX + 1);
        for bad in [
            "", "a", ".", "..", "-ab", "_ab", "a/b", "/ab", "a b", "a?b", "a%2F", "aé", "a\n",
            &too_long,
        ] {
            assert!(!can_name_a_container(bad), "{bad}");
        }
    }
}
