//! A real Docker Engine for tests: the machine's if it answers, else a private
//! `dockerd` started for the test run, else none, said loudly.
//!
//! What it keeps true: only containers made here are touched, each removed
//! when its handle goes out of scope; a private engine shares nothing with
//! the machine's (own directories, socket and containerd namespaces, no
//! network), and ends with the test process, however that ends.
//!
//! The engine is spoken to by a few lines of HTTP of our own, so that what is
//! under test is not also the measure.

mod container;
pub(crate) mod image;
mod private;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::tools::skipped;

pub(crate) use container::{Container, Spec};
pub(crate) use private::{Options, PrivateEngine};

/// Longest wait for anything that an engine does on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// The engine that tests share; none where there is none, after saying so.
pub(crate) fn engine() -> Option<&'static Engine> {
    static SHARED: OnceLock<Option<Engine>> = OnceLock::new();
    SHARED
        .get_or_init(|| {
            if let Some(machines) = Engine::of_the_machine() {
                return Some(machines);
            }
            match PrivateEngine::start(Options::default()) {
                Ok(private) => Some(private.keep_for_the_process()),
                Err(why) => {
                    skipped("tests on a real Docker Engine", &why);
                    None
                }
            }
        })
        .as_ref()
}

/// Polls until there is a value; panics after [`PATIENCE`].
pub(crate) fn eventually<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A name that no other test of any process uses.
pub(crate) fn unique_name(hint: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("log-healer-test-{}-{count}-{hint}", std::process::id())
}

/// A running engine.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    socket: PathBuf,
}

impl Engine {
    /// The one that `DOCKER_HOST` or the usual socket leads to, if it answers.
    pub(crate) fn of_the_machine() -> Option<Self> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let socket = host
            .strip_prefix("unix://")
            .unwrap_or("/var/run/docker.sock");
        let engine = Self {
            socket: socket.into(),
        };
        engine.answers().then_some(engine)
    }

    /// The path of its socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether it answers a ping now.
    pub(crate) fn answers(&self) -> bool {
        self.try_request("GET", "/_ping", None)
            .is_ok_and(|(status, _)| status == 200)
    }

    /// One request with a JSON body or none; the reply as JSON, null where it
    /// has no body. Panics at a status other than 2xx and 304.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, reply) = self
            .try_request(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let words = String::from_utf8_lossy(&reply);
        assert!(
            (200..300).contains(&status) || status == 304,
            "{method} {path}: {status} {words}"
        );
        serde_json::from_slice(&reply).unwrap_or(Value::Null)
    }

    /// The same without panics: status and body.
    pub(crate) fn try_request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> io::Result<(u16, Vec<u8>)> {
        let body = body.map(ToString::to_string).unwrap_or_default();
        http(
            &self.socket,
            method,
            path,
            "application/json",
            body.as_bytes(),
        )
    }

    /// What happened to a container so far, by the engine's own record:
    /// `create`, `start`, `kill`, `die`, … in order (of its newest 256 events).
    pub(crate) fn events(&self, container_id: &str) -> Vec<String> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let until = now.expect("after 1970").as_secs_f64();
        // {"container":["…"]}
        let filters = format!("%7B%22container%22%3A%5B%22{container_id}%22%5D%7D");
        let path = format!("/events?since=1&until={until:.6}&filters={filters}");
        let (status, lines) = self.try_request("GET", &path, None).expect("an answer");
        let lines = String::from_utf8_lossy(&lines);
        assert_eq!(status, 200, "{lines}");
        let event = |line| serde_json::from_str::<Value>(line).ok();
        let action = |event: Value| Some(event["Action"].as_str()?.to_owned());
        lines.lines().filter_map(event).filter_map(action).collect()
    }

    /// Creates and starts a container; it is removed when the handle is dropped.
    pub(crate) fn run(&self, hint: &str, spec: &Spec) -> Container {
        let container = self.create(&unique_name(hint), spec);
        container.start();
        container
    }

    /// Creates a container under this very name, and does not start it.
    pub(crate) fn create(&self, name: &str, spec: &Spec) -> Container {
        self.create_from(&image::import(self), name, spec)
    }

    /// The same from another image.
    pub(crate) fn create_from(&self, image: &str, name: &str, spec: &Spec) -> Container {
        let body = spec.to_json(image);
        let path = format!("/containers/create?name={name}");
        let reply = self.request("POST", &path, Some(&body));
        let id = reply["Id"].as_str().expect("an id");
        Container::new(self.clone(), id, name)
    }
}

/// One request and its whole reply by HTTP/1.0, which knows neither kept
/// connections nor chunks.
fn http(
    socket: &Path,
    method: &str,
    path: &str,
    content_type: &str,
    body: &[u8],
) -> io::Result<(u16, Vec<u8>)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;

    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP reply");
    let end = reply
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or_else(malformed)?;
    let status = reply
        .get(9..12)
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .ok_or_else(malformed)?;
    Ok((status, reply.split_off(end + 4)))
}
