//! An engine made of a table of containers and a list of faults: for versions
//! that cannot be had and failures that cannot be brought about in a real one.
//!
//! It answers what log-healer asks (ping, version, list, inspect, stats, logs,
//! restart, start) with the status codes and words of the real engine, and refuses API
//! versions in the real one's words. One thread a connection, plain blocking
//! sockets: so that a fault may do to the bytes whatever it likes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::engine_proxy::is_watch;

/// What happens to a request instead of the usual.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The usual, later.
    Delay(Duration),
    /// This answer; before it the request is carried out if `acts`.
    Answer {
        status: u16,
        message: String,
        acts: bool,
    },
    /// No answer; the request is carried out if `acts`.
    Hang { acts: bool },
    /// The connection ends instead of an answer.
    Close { acts: bool },
    /// A restart that ends after its stop, and the connection with it: what
    /// Engine 23 does when its client goes away.
    StopOnly,
    /// The usual answer's first so many bytes, then the connection ends.
    CutAfter(usize),
    /// The usual answer's head and half its body, then nothing.
    HangInBody,
    /// These bytes instead of an answer.
    Raw(Vec<u8>),
}

/// One container of the fake.
#[derive(Debug, Clone)]
pub(crate) struct FakeContainer {
    pub(crate) id: String,
    pub(crate) name: String,
    /// As in `State.Status`.
    pub(crate) status: String,
    pub(crate) started_at: String,
    pub(crate) finished_at: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) stop_timeout: Option<i64>,
    /// `State.Health`
    pub(crate) health: Option<Value>,
    /// `Config.Healthcheck`
    pub(crate) healthcheck: Option<Value>,
    /// How long it takes to stop, unless the stop timeout ends it sooner.
    pub(crate) stops_in: Duration,
    /// Restarts and starts carried out.
    pub(crate) starts: u32,
}

struct Rule {
    /// Part of `METHOD /path`.
    matches: String,
    /// How many requests it still applies to.
    times: u32,
    fault: Fault,
}

/// In all of Podman's replies.
const PODMANS_HEADER: &str = "Libpod-Api-Version: 4.3.1\r\n";

struct World {
    api_min: (u16, u16),
    api_max: (u16, u16),
    api_header: bool,
    is_podman: bool,
    containers: Vec<FakeContainer>,
    rules: Vec<Rule>,
    requests: Vec<String>,
    /// Open streams of events.
    streams: Vec<UnixStream>,
}

struct Shared {
    world: Mutex<World>,
    ended: AtomicBool,
    /// Hangs end with the engine.
    end: Condvar,
    end_lock: Mutex<()>,
}

/// A running fake; ends when dropped.
pub(crate) struct FakeEngine {
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
}

impl FakeEngine {
    /// One like Engine 29: API 1.44 to 1.52.
    pub(crate) fn start() -> Self {
        Self::speaking((1, 44), (1, 52))
    }

    /// One that speaks these versions, oldest and newest.
    pub(crate) fn speaking(api_min: (u16, u16), api_max: (u16, u16)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let shared = Arc::new(Shared {
            world: Mutex::new(World {
                api_min,
                api_max,
                api_header: true,
                is_podman: false,
                containers: Vec::new(),
                rules: Vec::new(),
                requests: Vec::new(),
                streams: Vec::new(),
            }),
            ended: AtomicBool::new(false),
            end: Condvar::new(),
            end_lock: Mutex::new(()),
        });
        let listener = UnixListener::bind(dir.path().join("docker.sock")).expect("a socket");
        let for_thread = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &for_thread));
        Self { dir, shared }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// Another engine version from now on, as after an upgrade.
    pub(crate) fn now_speaks(&self, api_min: (u16, u16), api_max: (u16, u16)) {
        let mut world = self.shared.world();
        world.api_min = api_min;
        world.api_max = api_max;
    }

    /// As behind a proxy that drops the header `Api-Version`.
    pub(crate) fn without_api_header(&self) {
        self.shared.world().api_header = false;
    }

    /// As Podman 4.3.1 answers: by its own name, and without health in lists.
    pub(crate) fn as_podman(&self) {
        self.shared.world().is_podman = true;
    }

    /// A running container under this name; its id.
    pub(crate) fn add(&self, name: &str) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:016x}{:048x}", 0xfa4e_0000_0000_0000_u64 | count, count);
        self.shared.world().containers.push(FakeContainer {
            id: id.clone(),
            name: name.to_owned(),
            status: "running".to_owned(),
            started_at: now(),
            finished_at: NEVER.to_owned(),
            labels: BTreeMap::new(),
            stop_timeout: None,
            health: None,
            healthcheck: None,
            stops_in: Duration::ZERO,
            starts: 0,
        });
        id
    }

    /// Looks at or changes a container.
    pub(crate) fn with<T>(&self, id: &str, change: impl FnOnce(&mut FakeContainer) -> T) -> T {
        let mut world = self.shared.world();
        let found = world.containers.iter_mut().find(|c| c.id == id);
        change(found.expect("it was added"))
    }

    /// The id of the container of this name.
    pub(crate) fn id_of(&self, name: &str) -> String {
        let world = self.shared.world();
        let found = world.containers.iter().find(|c| c.name == name);
        found.expect("it was added").id.clone()
    }

    pub(crate) fn remove(&self, id: &str) {
        self.shared.world().containers.retain(|c| c.id != id);
    }

    /// The next `times` requests whose `METHOD /path` contains this meet the
    /// fault. Faults are tried in the order in which they were set.
    pub(crate) fn fault(&self, matches: &str, times: u32, fault: Fault) {
        self.shared.world().rules.push(Rule {
            matches: matches.to_owned(),
            times,
            fault,
        });
    }

    /// Tells all who follow its events what happened to a container.
    pub(crate) fn tell(&self, id: &str, action: &str) {
        let name = self.with(id, |container| container.name.clone());
        let labels = self.with(id, |container| container.labels.clone());
        let mut attributes = json!(labels);
        attributes["name"] = json!(name);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let nanos = since.expect("after 1970").as_nanos();
        let event = json!({
            "Type": "container", "Action": action, "scope": "local", "timeNano": nanos as u64,
            "Actor": {"ID": id, "Attributes": attributes},
        });
        self.emit(format!("{event}\n").as_bytes());
    }

    /// Writes into all streams of events; whether anybody still reads.
    pub(crate) fn emit(&self, bytes: &[u8]) -> bool {
        let mut world = self.shared.world();
        world.streams.retain_mut(|stream| {
            let head = format!("{:x}\r\n", bytes.len());
            let chunk = [head.as_bytes(), bytes, b"\r\n"].concat();
            stream.write_all(&chunk).is_ok()
        });
        !world.streams.is_empty()
    }

    /// Ends all streams of events: in good order, as a proxy that is tired of them, or not.
    pub(crate) fn end_streams(&self, in_good_order: bool) {
        let streams = std::mem::take(&mut self.shared.world().streams);
        for mut stream in streams {
            if in_good_order {
                let _gone = stream.write_all(b"0\r\n\r\n");
            }
            let _gone = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// How many streams of events were asked for so far.
    pub(crate) fn streams(&self) -> usize {
        let requests = self.requests();
        requests
            .iter()
            .filter(|line| line.contains("/events?"))
            .count()
    }

    /// How many of them are open on both sides.
    pub(crate) fn streams_open(&self) -> usize {
        let mut world = self.shared.world();
        world.streams.retain(|stream| !has_gone(stream));
        world.streams.len()
    }

    /// All requests so far, `METHOD /path`, in the order of their arrival.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.world().requests.clone()
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _guard = self.shared.end_lock.lock();
        self.shared.end.notify_all();
        // Wakes the accept loop so that it sees the end.
        let _already_gone = UnixStream::connect(self.socket());
    }
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this long, or the engine's end.
    fn wait(&self, most: Duration) {
        let guard = self.end_lock.lock().unwrap_or_else(PoisonError::into_inner);
        let _end_or_time = self
            .end
            .wait_timeout_while(guard, most, |()| !self.ended.load(Ordering::SeqCst));
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || serve(stream, &shared));
    }
}

/// One request, then the connection closes.
fn serve(mut stream: UnixStream, shared: &Shared) {
    let Some(line) = read_request(&mut stream) else {
        return;
    };
    let fault = {
        let mut world = shared.world();
        world.requests.push(line.clone());
        take_fault(&mut world.rules, &line)
    };
    let write = |stream: &mut UnixStream, bytes: &[u8]| {
        // The client may have gone, which is its good right.
        let _gone = stream.write_all(bytes);
    };
    match fault {
        None if line.contains("/events?") => follow(stream, shared),
        None => write(&mut stream, &answer(shared, &line)),
        Some(Fault::Delay(by)) => {
            shared.wait(by);
            write(&mut stream, &answer(shared, &line));
        }
        Some(Fault::Answer {
            status,
            message,
            acts,
        }) => {
            act(shared, &line, acts);
            write(&mut stream, &error(shared, status, &message));
        }
        Some(Fault::Hang { acts }) => {
            act(shared, &line, acts);
            shared.wait(Duration::from_secs(600));
        }
        Some(Fault::Close { acts }) => act(shared, &line, acts),
        Some(Fault::StopOnly) => stop_only(shared, &line),
        Some(Fault::CutAfter(bytes)) => {
            let whole = answer(shared, &line);
            write(&mut stream, &whole[..bytes.min(whole.len())]);
        }
        Some(Fault::HangInBody) => {
            let whole = answer(shared, &line);
            let head = whole
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
                .unwrap_or(0)
                + 4;
            write(&mut stream, &whole[..head + (whole.len() - head) / 2]);
            shared.wait(Duration::from_secs(600));
        }
        Some(Fault::Raw(bytes)) => write(&mut stream, &bytes),
    }
}

/// Whether the other side has closed; it has nothing more to send.
fn has_gone(mut stream: &UnixStream) -> bool {
    stream.set_nonblocking(true).is_ok() && {
        let read = stream.read(&mut [0]);
        let _stays_as_it_was = stream.set_nonblocking(false);
        matches!(read, Ok(0))
    }
}

/// A stream of events, for as long as the engine lives or somebody reads it.
fn follow(mut stream: UnixStream, shared: &Shared) {
    let podmans = match shared.world().is_podman {
        true => PODMANS_HEADER,
        false => "",
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nApi-Version: 1.44\r\nContent-Type: application/json\r\n{podmans}\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    if stream.write_all(head.as_bytes()).is_ok() {
        shared.world().streams.push(stream);
    }
}

/// `METHOD /path` of a request without a body.
fn read_request(stream: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(read @ 1..) if head.len() < 64 << 10 => head.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
    let head = String::from_utf8_lossy(&head);
    let line = head.lines().next()?;
    Some(line.strip_suffix(" HTTP/1.1")?.to_owned())
}

fn take_fault(rules: &mut [Rule], line: &str) -> Option<Fault> {
    let rule = rules.iter_mut().find(|rule| {
        let is_meant = !is_watch(line) || is_watch(&rule.matches);
        rule.times > 0 && is_meant && line.contains(&rule.matches)
    })?;
    rule.times -= 1;
    Some(rule.fault.clone())
}

fn act(shared: &Shared, line: &str, acts: bool) {
    if acts {
        let _unsent = answer(shared, line);
    }
}

/// What a real engine would answer, after doing it.
fn answer(shared: &Shared, line: &str) -> Vec<u8> {
    let Some((method, target)) = line.split_once(' ') else {
        return error(shared, 400, "bad request");
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (version, path) = split_version(path);
    if let Some(words) = version.and_then(|version| refusal(&shared.world(), version)) {
        return error(shared, 400, &words);
    }
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["_ping"]) => reply(shared, 200, "text/plain; charset=utf-8", "OK"),
        ("GET", ["version"]) => {
            let body = version_json(&shared.world());
            reply(shared, 200, "application/json", &body.to_string())
        }
        ("GET", ["containers", "json"]) => {
            let body = list_json(&shared.world());
            reply(shared, 200, "application/json", &body.to_string())
        }
        ("GET", ["containers", reference, "json"]) => {
            let found = find(&mut shared.world(), reference).map(|c| inspect_json(c));
            match found {
                Some(body) => reply(shared, 200, "application/json", &body.to_string()),
                None => no_such_container(shared, reference),
            }
        }
        ("GET", ["containers", reference, "stats"]) => {
            let stats = json!({"memory_stats": {"usage": 1 << 20, "limit": 1 << 30}});
            of_container(shared, reference, "application/json", &stats.to_string())
        }
        ("GET", ["containers", reference, "logs"]) => {
            let line = format!("{NEVER} started\n");
            of_container(shared, reference, "application/octet-stream", &line)
        }
        ("POST", ["containers", reference, "restart"]) => restart(shared, reference, query),
        ("POST", ["containers", reference, "start"]) => start(shared, reference),
        _ => error(shared, 404, "page not found"),
    }
}

/// The same of every container.
fn of_container(shared: &Shared, reference: &str, content_type: &str, body: &str) -> Vec<u8> {
    let found = find(&mut shared.world(), reference).is_some();
    match found {
        true => reply(shared, 200, content_type, body),
        false => no_such_container(shared, reference),
    }
}

fn restart(shared: &Shared, reference: &str, query: &str) -> Vec<u8> {
    let Some(stop_wait) = find(&mut shared.world(), reference).map(|container| {
        let seconds: Option<i64> = query.strip_prefix("t=").and_then(|t| t.parse().ok());
        let seconds = seconds.or(container.stop_timeout).unwrap_or(10);
        match u64::try_from(seconds) {
            Ok(seconds) => container.stops_in.min(Duration::from_secs(seconds)),
            Err(_negative_waits_for_ever) => container.stops_in,
        }
    }) else {
        return no_such_container(shared, reference);
    };
    shared.wait(stop_wait);
    match find(&mut shared.world(), reference) {
        Some(container) => {
            container.finished_at = now();
            run(container);
        }
        None => return no_such_container(shared, reference),
    }
    reply(shared, 204, "", "")
}

fn stop_only(shared: &Shared, line: &str) {
    let reference = line.rsplit('/').nth(1).unwrap_or_default();
    if let Some(container) = find(&mut shared.world(), reference) {
        container.status = "exited".to_owned();
        container.finished_at = now();
    }
}

fn start(shared: &Shared, reference: &str) -> Vec<u8> {
    let status = match find(&mut shared.world(), reference) {
        None => 404,
        Some(container) if container.status == "running" => 304,
        Some(container) => {
            run(container);
            204
        }
    };
    match status {
        404 => no_such_container(shared, reference),
        status => reply(shared, status, "", ""),
    }
}

fn run(container: &mut FakeContainer) {
    container.status = "running".to_owned();
    container.started_at = now();
    container.starts += 1;
}

/// By full id, by name, by a beginning of the id that is the only one.
fn find<'w>(world: &'w mut World, reference: &str) -> Option<&'w mut FakeContainer> {
    let all = &mut world.containers;
    let at = all
        .iter()
        .position(|c| c.id == reference)
        .or_else(|| all.iter().position(|c| c.name == reference))
        .or_else(|| {
            let mut beginning = (0..all.len()).filter(|&at| all[at].id.starts_with(reference));
            beginning.next().filter(|_| beginning.next().is_none())
        })?;
    all.get_mut(at)
}

fn split_version(path: &str) -> (Option<(u16, u16)>, &str) {
    let version = path.strip_prefix("/v").and_then(|rest| {
        let end = rest.find('/')?;
        let (major, minor) = rest[..end].split_once('.')?;
        Some(((major.parse().ok()?, minor.parse().ok()?), &rest[end..]))
    });
    match version {
        Some((version, rest)) => (Some(version), rest),
        None => (None, path),
    }
}

fn refusal(world: &World, client: (u16, u16)) -> Option<String> {
    let show = |(major, minor): (u16, u16)| format!("{major}.{minor}");
    if client < world.api_min {
        return Some(format!(
            "client version {} is too old. Minimum supported API version is {}, \
             please upgrade your client to a newer version",
            show(client),
            show(world.api_min)
        ));
    }
    (client > world.api_max).then(|| {
        format!(
            "client version {} is too new. Maximum supported API version is {}",
            show(client),
            show(world.api_max)
        )
    })
}

fn version_json(world: &World) -> Value {
    let show = |(major, minor): (u16, u16)| format!("{major}.{minor}");
    json!({
        "Version": "29.0.0-fake", "ApiVersion": show(world.api_max),
        "MinAPIVersion": show(world.api_min), "Os": "linux", "Arch": "amd64",
        "Components": [{"Name": if world.is_podman { "Podman Engine" } else { "Engine" }}],
    })
}

fn list_json(world: &World) -> Value {
    let rows = world.containers.iter().map(|c| {
        let health = c
            .health
            .as_ref()
            .filter(|_| !world.is_podman)
            .and_then(|health| health["Status"].as_str());
        let status = health.map_or("Up 1 minute".to_owned(), |it| format!("Up 1 minute ({it})"));
        json!({
            "Id": c.id, "Names": [format!("/{}", c.name)], "State": c.status, "Status": status,
            "Labels": c.labels,
        })
    });
    rows.collect()
}

fn inspect_json(container: &FakeContainer) -> Value {
    let mut state = json!({
        "Status": container.status, "StartedAt": container.started_at,
        "FinishedAt": container.finished_at, "ExitCode": 0,
    });
    if let Some(health) = &container.health {
        state["Health"] = health.clone();
    }
    let mut config = json!({"Labels": container.labels});
    if let Some(seconds) = container.stop_timeout {
        config["StopTimeout"] = json!(seconds);
    }
    if let Some(check) = &container.healthcheck {
        config["Healthcheck"] = check.clone();
    }
    json!({
        "Id": container.id, "Name": format!("/{}", container.name),
        "State": state, "Config": config,
    })
}

fn no_such_container(shared: &Shared, reference: &str) -> Vec<u8> {
    error(shared, 404, &format!("No such container: {reference}"))
}

fn error(shared: &Shared, status: u16, message: &str) -> Vec<u8> {
    let body = format!("{}\n", json!({ "message": message }));
    reply(shared, status, "application/json", &body)
}

fn reply(shared: &Shared, status: u16, content_type: &str, body: &str) -> Vec<u8> {
    let world = shared.world();
    let mut head = format!("HTTP/1.1 {status} Whatever\r\nDocker-Experimental: false\r\n");
    if world.api_header {
        let (major, minor) = world.api_max;
        head.push_str(&format!("Api-Version: {major}.{minor}\r\n"));
    }
    if world.is_podman {
        head.push_str(PODMANS_HEADER);
    }
    if status != 204 && status != 304 {
        head.push_str(&format!("Content-Type: {content_type}\r\n"));
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("Connection: close\r\n\r\n");
    let mut bytes = head.into_bytes();
    // Such statuses have no body.
    if status != 204 && status != 304 {
        bytes.extend_from_slice(body.as_bytes());
    }
    bytes
}

/// How the engine writes "never".
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

/// Now, as the engine writes it.
pub(crate) fn now() -> String {
    rfc3339(SystemTime::now())
}

/// A time, as the engine writes it.
pub(crate) fn rfc3339(at: SystemTime) -> String {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (mut year, mut day) = (1970, days);
    let length = |year: u64| {
        let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
        if leap { 366 } else { 365 }
    };
    while day >= length(year) {
        day -= length(year);
        year += 1;
    }
    let february = length(year) - 337;
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
        day + 1,
        second / 3_600,
        second / 60 % 60,
        second % 60,
        since.subsec_nanos()
    )
}
