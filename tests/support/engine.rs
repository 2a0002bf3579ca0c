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
#![allow(dead_code)] // Every test binary uses another part of it.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest wait for anything that the engine does, seconds of a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The engine that tests share; none where there is none, after saying so.
pub fn engine() -> Option<&'static Engine> {
    static SHARED: OnceLock<Option<Engine>> = OnceLock::new();
    SHARED
        .get_or_init(|| {
            if let Some(machines) = Engine::of_the_machine() {
                return Some(machines);
            }
            match PrivateEngine::start(Options::default()) {
                Ok(private) => Some(private.keep_for_the_process()),
                Err(why) => {
                    skipped("Docker Engine", &why);
                    None
                }
            }
        })
        .as_ref()
}

/// Says past the test harness's capture what could not be tested. With
/// `HEALER_TESTS_REQUIRE_ENGINE=1` that is a failure.
pub fn skipped(what: &str, why: &str) {
    let line = format!("\n*** SKIPPED, no {what}: {why}\n");
    let _lost_only_with_stderr = io::stderr().write_all(line.as_bytes());
    assert!(
        std::env::var_os("HEALER_TESTS_REQUIRE_ENGINE").is_none_or(|value| value != "1"),
        "HEALER_TESTS_REQUIRE_ENGINE is set, but there is no {what}: {why}"
    );
}

/// Polls until there is a value; panics after [`PATIENCE`].
pub fn eventually<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
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
pub fn unique_name(hint: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("log-healer-test-{}-{count}-{hint}", std::process::id())
}

/// A running engine.
#[derive(Debug, Clone)]
pub struct Engine {
    socket: PathBuf,
    /// For people: whose it is.
    pub whose: &'static str,
}

impl Engine {
    fn of_the_machine() -> Option<Self> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let socket = match host.strip_prefix("unix://") {
            Some(path) => path,
            None => "/var/run/docker.sock",
        };
        let engine = Self {
            socket: socket.into(),
            whose: "the machine's",
        };
        engine.answers().then_some(engine)
    }

    /// The path of its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether it answers a ping now.
    pub fn answers(&self) -> bool {
        self.try_request("GET", "/_ping", None)
            .is_ok_and(|(status, _)| status == 200)
    }

    /// One request with a JSON body or none; the reply as JSON, null where it
    /// has no body. Panics at a status other than 2xx and 304.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
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
    pub fn try_request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> io::Result<(u16, Vec<u8>)> {
        let body = body.map(ToString::to_string).unwrap_or_default();
        http(&self.socket, method, path, "application/json", body.as_bytes())
    }

    /// Creates and starts a container; it is removed when the handle is dropped.
    pub fn run(&self, hint: &str, spec: &Spec) -> Container {
        let container = self.create(&unique_name(hint), spec);
        container.start();
        container
    }

    /// Creates a container under this very name, and does not start it.
    pub fn create(&self, name: &str, spec: &Spec) -> Container {
        let body = spec.to_json(&self.image());
        let reply = self.request("POST", &format!("/containers/create?name={name}"), Some(&body));
        Container {
            engine: self.clone(),
            id: reply["Id"].as_str().expect("an id").to_owned(),
            name: name.to_owned(),
        }
    }

    /// The test image: busybox with [`APP`], imported where it is not there yet.
    pub fn image(&self) -> String {
        let tar = image_tar();
        let mut hasher = DefaultHasher::new();
        tar.hash(&mut hasher);
        let tag = format!("{:016x}", hasher.finish());
        let image = format!("log-healer-test:{tag}");
        let there = self
            .try_request("GET", &format!("/images/{image}/json"), None)
            .is_ok_and(|(status, _)| status == 200);
        if !there {
            let path = format!("/images/create?fromSrc=-&repo=log-healer-test&tag={tag}");
            let reply = http(&self.socket, "POST", &path, "application/x-tar", tar);
            let (status, words) = reply.expect("the engine takes the image");
            let words = String::from_utf8_lossy(&words);
            assert!(status == 200 && !words.contains("error"), "{status} {words}");
        }
        image
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

// ---- containers ---------------------------------------------------------------

/// What a test container does.
#[derive(Debug, Clone)]
pub struct Spec {
    command: Vec<String>,
    labels: Vec<(String, String)>,
    stop_timeout: Option<i64>,
    health: Option<Value>,
    binds: Vec<String>,
    host: Value,
}

/// Prints `started`, then runs until it is told to end; ends at SIGTERM at
/// once, with `deaf` as argument never.
const APP: &str = r#"#!/bin/sh
if [ "$1" = deaf ]; then trap '' TERM; else trap 'exit 0' TERM; fi
echo started
while :; do sleep 3600 & wait $!; done
"#;

impl Spec {
    /// An application that ends at SIGTERM at once.
    pub fn app() -> Self {
        Self::command(&["/app"])
    }

    /// An application that hears no SIGTERM: only the stop timeout ends it.
    pub fn deaf_app() -> Self {
        Self::command(&["/app", "deaf"])
    }

    /// Any command of the image.
    pub fn command(words: &[&str]) -> Self {
        Self {
            command: words.iter().map(ToString::to_string).collect(),
            labels: Vec::new(),
            stop_timeout: None,
            health: None,
            binds: Vec::new(),
            host: json!({}),
        }
    }

    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// `Config.StopTimeout`, seconds.
    pub fn stop_timeout(mut self, seconds: i64) -> Self {
        self.stop_timeout = Some(seconds);
        self
    }

    /// Healthy while the file `/sick` does not exist; asked every `interval`.
    pub fn health_check(mut self, interval: Duration) -> Self {
        self.health = Some(json!({
            "Test": ["CMD-SHELL", "test ! -e /sick"],
            "Interval": u64::try_from(interval.as_nanos()).expect("short"),
            "Retries": 1,
        }));
        self
    }

    /// A bind mount, `source:target[:ro]`.
    pub fn bind(mut self, bind: &str) -> Self {
        self.binds.push(bind.to_owned());
        self
    }

    /// Any field of `HostConfig`.
    pub fn host_config(mut self, field: &str, value: Value) -> Self {
        self.host[field] = value;
        self
    }

    fn to_json(&self, image: &str) -> Value {
        let mut host = self.host.clone();
        // Private engines have no bridge, and the tests need no network.
        if host.get("NetworkMode").is_none() {
            host["NetworkMode"] = json!("none");
        }
        host["Binds"] = json!(self.binds);
        let labels: serde_json::Map<String, Value> = self
            .labels
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect();
        let mut body = json!({
            "Image": image, "Cmd": self.command, "Labels": labels, "HostConfig": host,
        });
        if let Some(seconds) = self.stop_timeout {
            body["StopTimeout"] = json!(seconds);
        }
        if let Some(health) = &self.health {
            body["Healthcheck"] = health.clone();
        }
        body
    }
}

/// A container of a test, removed with this handle.
#[derive(Debug)]
pub struct Container {
    engine: Engine,
    pub id: String,
    pub name: String,
}

impl Container {
    /// `GET /containers/{id}/json`
    pub fn inspect(&self) -> Value {
        self.engine
            .request("GET", &format!("/containers/{}/json", self.id), None)
    }

    /// `State.StartedAt`, as the engine writes it.
    pub fn started_at(&self) -> String {
        let inspect = self.inspect();
        inspect["State"]["StartedAt"].as_str().expect("a time").to_owned()
    }

    /// `State.Status`
    pub fn status(&self) -> String {
        let inspect = self.inspect();
        inspect["State"]["Status"].as_str().expect("a status").to_owned()
    }

    /// The main process's id on the host.
    pub fn pid(&self) -> u32 {
        let pid = self.inspect()["State"]["Pid"].as_u64().expect("a number");
        u32::try_from(pid).expect("a process id")
    }

    /// The Docker JSON log file on this machine.
    pub fn log_path(&self) -> PathBuf {
        self.inspect()["LogPath"].as_str().expect("a path").into()
    }

    pub fn start(&self) {
        self.post("start");
    }

    /// At once: the application is not asked.
    pub fn stop(&self) {
        self.post("stop?t=0");
    }

    pub fn pause(&self) {
        self.post("pause");
    }

    pub fn unpause(&self) {
        self.post("unpause");
    }

    fn post(&self, verb: &str) {
        self.engine
            .request("POST", &format!("/containers/{}/{verb}", self.id), None);
    }

    /// Prints a line to the container's log, as its main process would.
    pub fn print(&self, line: &str) {
        self.exec(&["sh", "-c", r#"printf '%s\n' "$1" > /proc/1/fd/1"#, "sh", line]);
    }

    /// Runs a command inside and returns what it printed, once it has ended.
    pub fn exec(&self, command: &[&str]) -> String {
        let body = json!({"Cmd": command, "AttachStdout": true, "AttachStderr": true, "Tty": true});
        let created = self
            .engine
            .request("POST", &format!("/containers/{}/exec", self.id), Some(&body));
        let id = created["Id"].as_str().expect("an id");
        let path = format!("/exec/{id}/start");
        let (status, output) = self
            .engine
            .try_request("POST", &path, Some(&json!({"Detach": false, "Tty": true})))
            .expect("the engine runs it");
        let output = String::from_utf8_lossy(&output).into_owned();
        assert!(status == 200 || status == 101, "{status} {output}");
        let ended = self.engine.request("GET", &format!("/exec/{id}/json"), None);
        assert_eq!(ended["ExitCode"], json!(0), "{command:?}: {output}");
        output
    }

    /// Polls until `State` is as wanted; panics with the last one seen.
    pub fn eventually(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        eventually(&format!("{what} of {}", self.name), || {
            last = self.inspect();
            wanted(&last["State"]).then(|| last.clone())
        })
    }

    /// Removes it now, running or not.
    pub fn remove(&self) {
        let path = format!("/containers/{}?force=1&v=1", self.id);
        self.engine.request("DELETE", &path, None);
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may be gone, and so may its engine: both are fine.
        let path = format!("/containers/{}?force=1&v=1", self.id);
        let _gone = self.engine.try_request("DELETE", &path, None);
    }
}

// ---- the image ------------------------------------------------------------------

/// A tar of busybox, links to the applets that tests use, and the application.
fn image_tar() -> &'static [u8] {
    static TAR: OnceLock<Vec<u8>> = OnceLock::new();
    TAR.get_or_init(|| {
        let busybox = busybox();
        let program = fs::read(&busybox).expect("busybox can be read");
        let mut tar = Vec::new();
        add_to_tar(&mut tar, "bin/busybox", b'0', "", &program);
        for applet in ["sh", "sleep", "cat", "echo", "touch", "rm", "test", "kill", "id", "hostname"] {
            add_to_tar(&mut tar, &format!("bin/{applet}"), b'2', "busybox", b"");
        }
        add_to_tar(&mut tar, "app", b'0', "", APP.as_bytes());
        add_to_tar(&mut tar, "tmp/", b'5', "", b"");
        tar.resize(tar.len() + 1024, 0);
        tar
    })
}

fn busybox() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/bin".into(), "/usr/bin".into()])
        .map(|dir| dir.join("busybox"))
        .find(|file| file.is_file())
        .expect("busybox is installed, linked statically (Debian: busybox-static)")
}

/// One entry in the ustar format: a file (`0`), a symbolic link (`2`) or a directory (`5`).
fn add_to_tar(tar: &mut Vec<u8>, name: &str, kind: u8, link: &str, content: &[u8]) {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000755\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(157, link);
    put(257, "ustar\x0000");
    header[156] = kind;
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

// ---- a private engine -------------------------------------------------------------

/// How a private engine is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Containers outlive the engine (`--live-restore`).
    pub live_restore: bool,
}

/// A `dockerd` of our own, which may be killed. Wants root and a `dockerd`.
#[derive(Debug)]
pub struct PrivateEngine {
    dir: PathBuf,
    options: Options,
    engine: Engine,
    running: Option<Running>,
}

/// The shell that watches over `dockerd`, and ends it when our end of its
/// standard input is closed, be it by our death.
#[derive(Debug)]
struct Running {
    shell: Child,
    stdin: Option<ChildStdin>,
    dockerd: u32,
}

const WATCH: &str = r#"
exec 3<&0
"$@" </dev/null >>"$LOG" 2>&1 3<&- &
dockerd=$!
echo $dockerd
{ cat <&3 >/dev/null; kill -TERM $dockerd; } &
watcher=$!
wait $dockerd
kill $watcher
if [ -n "$REMOVE" ] && [ ! -e "$REMOVE/keep" ]; then rm -rf "$REMOVE"; fi
"#;

impl PrivateEngine {
    /// Starts one and waits until it answers. The error says why there is none.
    pub fn start(options: Options) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("a private dockerd wants root".to_owned());
        }
        let dir = std::env::temp_dir().join(unique_name("engine"));
        fs::create_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut private = Self {
            engine: Engine {
                socket: dir.join("docker.sock"),
                whose: "a private one",
            },
            dir,
            options,
            running: None,
        };
        private.launch()?;
        Ok(private)
    }

    /// The engine as clients see it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// SIGKILL: no shutdown, no cleaning up. Returns when it is gone.
    pub fn kill(&mut self) {
        self.signal(rustix::process::Signal::KILL);
    }

    /// SIGTERM: an orderly end. Returns when it is gone.
    pub fn stop(&mut self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// SIGSTOP and SIGCONT: connections are taken by the kernel, nobody answers.
    pub fn freeze(&self) {
        self.send(rustix::process::Signal::STOP);
    }

    /// See [`Self::freeze`].
    pub fn thaw(&self) {
        self.send(rustix::process::Signal::CONT);
    }

    /// Starts it again after [`Self::kill`] or [`Self::stop`].
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        self.launch().expect("it started before");
    }

    /// For the rest of the process; the shell cleans up after that.
    fn keep_for_the_process(mut self) -> Engine {
        let engine = self.engine.clone();
        let _removed_by_the_shell = fs::remove_file(self.dir.join("keep"));
        let mut running = self.running.take().expect("it was just started");
        std::mem::forget(running.stdin.take());
        std::mem::forget(self);
        engine
    }

    fn launch(&mut self) -> Result<(), String> {
        let first = self.launch_with(&[]);
        if first.is_ok() || self.running.is_some() {
            return first;
        }
        // overlay2 does not run on top of an overlay, as in a container.
        self.launch_with(&["--storage-driver", "vfs"])
    }

    fn launch_with(&mut self, more: &[&str]) -> Result<(), String> {
        fs::write(self.dir.join("keep"), "").map_err(|error| error.to_string())?;
        let at = |file: &str| self.dir.join(file).display().to_string();
        let namespace = self.dir.file_name().expect("a name").to_string_lossy();
        let mut arguments = vec![
            "dockerd".to_owned(),
            format!("--host=unix://{}", at("docker.sock")),
            format!("--data-root={}", at("data")),
            format!("--exec-root={}", at("exec")),
            format!("--pidfile={}", at("pid")),
            format!("--config-file={}", at("daemon.json")),
            format!("--containerd-namespace={namespace}"),
            format!("--containerd-plugins-namespace={namespace}-plugins"),
            "--bridge=none".to_owned(),
            "--iptables=false".to_owned(),
            "--ip-forward=false".to_owned(),
            "--ip-masq=false".to_owned(),
            format!("--live-restore={}", self.options.live_restore),
        ];
        arguments.extend(more.iter().map(ToString::to_string));
        fs::write(at("daemon.json"), "{}").map_err(|error| error.to_string())?;
        let mut shell = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .args(&arguments)
            .env("LOG", at("log"))
            .env("REMOVE", &self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        let dockerd = first_line(&mut shell).parse().map_err(|_| "sh did not start it")?;
        let mut running = Running {
            stdin: shell.stdin.take(),
            shell,
            dockerd,
        };
        let start = Instant::now();
        while !self.engine.answers() {
            let ended = running.shell.try_wait().is_ok_and(|status| status.is_some());
            if ended || start.elapsed() > PATIENCE {
                drop(running.stdin.take());
                let _reaped = running.shell.wait();
                return Err(format!("dockerd did not start: {}", self.last_words()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.running = Some(running);
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let mut lines: Vec<&str> = log.lines().rev().take(3).collect();
        lines.reverse();
        lines.join(" | ")
    }

    fn send(&self, signal: rustix::process::Signal) {
        let running = self.running.as_ref().expect("it runs");
        let pid = i32::try_from(running.dockerd).expect("a process id");
        let pid = rustix::process::Pid::from_raw(pid).expect("not zero");
        rustix::process::kill_process(pid, signal).expect("it is our child's child");
    }

    fn signal(&mut self, signal: rustix::process::Signal) {
        self.send(signal);
        let mut running = self.running.take().expect("it runs");
        eventually("the end of dockerd", || {
            running.shell.try_wait().expect("our child").map(drop)
        });
    }

    /// What an unclean end leaves mounted, deepest first.
    fn unmount_leftovers(&self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let dir = self.dir.display().to_string();
        let mut below: Vec<&str> = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .filter(|at| at.starts_with(&dir))
            .collect();
        below.sort_unstable_by_key(|at| std::cmp::Reverse(at.len()));
        for at in below {
            let _stays_mounted = Command::new("umount").args(["-l", at]).status();
        }
    }
}

fn first_line(shell: &mut Child) -> String {
    let mut line = String::new();
    if let Some(stdout) = &mut shell.stdout {
        let _checked_by_the_caller = io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut line);
    }
    line.trim_end().to_owned()
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        if self.running.is_none() {
            // Killed: containers may still run without it. One more start removes them.
            let _as_far_as_possible = self.launch();
        }
        if self.running.is_some() {
            self.send(rustix::process::Signal::CONT);
            self.remove_all_containers();
            self.stop();
        }
        self.unmount_leftovers();
        let _left_behind = fs::remove_dir_all(&self.dir);
    }
}

impl PrivateEngine {
    /// All of them are ours: nobody else knows this engine.
    fn remove_all_containers(&self) {
        let Ok((200, list)) = self.engine.try_request("GET", "/containers/json?all=1", None) else {
            return;
        };
        let list: Value = serde_json::from_slice(&list).unwrap_or_default();
        for container in list.as_array().into_iter().flatten() {
            let id = container["Id"].as_str().unwrap_or_default();
            let path = format!("/containers/{id}?force=1&v=1");
            let _gone_with_the_directory = self.engine.try_request("DELETE", &path, None);
        }
    }
}
