//! The real `healer` process in directories of its own, for tests.
//!
//! What it keeps true: nothing of the machine's own set-up is used (no file in
//! /etc, no variable), limits are short unless a test sets them, every wait has
//! an end, and a failed test shows the executor's log.

mod config;
mod intents;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::engine::eventually;
use super::tools::run;

pub(crate) use config::Setup;
pub(crate) use intents::{SAMPLE, at, by_id, by_name, now, oom};

/// Longest wait for the executor to say something that needs no engine.
const ANSWER: Duration = Duration::from_secs(15);

/// A `healer run`, alive or dead, and what it leaves behind.
#[derive(Debug)]
pub(crate) struct Executor {
    dir: tempfile::TempDir,
    program: PathBuf,
    setup: Setup,
    process: Option<Child>,
}

impl Executor {
    /// Starts it and waits until both sockets take connections.
    pub(crate) fn start(setup: Setup) -> Self {
        let mut executor = Self::not_started(setup);
        executor.start_again();
        executor
    }

    /// Its directories and configuration without a process.
    pub(crate) fn not_started(setup: Setup) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("healer-")
            .tempdir()
            .expect("a directory");
        let program = match setup.uid {
            None => program(),
            // Where the program was built, another user may not enter.
            Some(uid) => {
                let copy = dir.path().join("healer");
                // Not by ourselves: a test beside this one could fork while the
                // copy is open for writing, and the kernel runs no such file.
                run(Command::new("cp").arg(program()).arg(&copy));
                std::os::unix::fs::chown(dir.path(), Some(uid), Some(uid)).expect("root may");
                copy
            }
        };
        let executor = Self {
            dir,
            program,
            setup,
            process: None,
        };
        executor.write_config();
        executor
    }

    /// Starts it, be it the first time or after [`Self::kill`] or [`Self::stop`].
    pub(crate) fn start_again(&mut self) {
        self.spawn();
        let sockets = [
            self.path("intents/intents.sock"),
            self.path("admin/admin.sock"),
        ];
        let start = Instant::now();
        while !sockets
            .iter()
            .all(|socket| UnixStream::connect(socket).is_ok())
        {
            let ended = self
                .process
                .as_mut()
                .and_then(|p| p.try_wait().expect("our child"));
            assert!(
                ended.is_none() && start.elapsed() < ANSWER,
                "healer run did not come up ({ended:?}):\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts it without waiting for its sockets.
    pub(crate) fn spawn(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("healer.log"));
        let log = log.expect("a log file");
        let mut command = self.command(&["run"]);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log);
        self.process = Some(command.spawn().expect("healer starts"));
    }

    /// kill -9. Returns when it is gone.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it is our child");
        process.wait().expect("it is our child");
    }

    /// SIGTERM, and the exit status.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        eventually("the end of healer run", || {
            process.try_wait().expect("our child")
        })
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let process = self.process.as_ref().expect("it runs");
        let pid = rustix::process::Pid::from_child(process);
        rustix::process::kill_process(pid, signal).expect("it is our child");
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Changes the configuration file. Takes effect at SIGHUP or the next start.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(Setup) -> Setup) {
        self.setup = change(self.setup.clone());
        self.write_config();
    }

    /// SIGHUP; returns when the new configuration is in force.
    pub(crate) fn reload(&self) {
        let reloads = || self.log().matches("configuration reloaded").count();
        let before = reloads();
        self.signal(rustix::process::Signal::HUP);
        self.eventually("the reload", |_| (reloads() > before).then_some(()));
    }

    /// `healer ARGUMENTS` with the same configuration, run to its end.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Cli {
        self.cli_with(arguments, &[])
    }

    /// The same with variables in its environment.
    pub(crate) fn cli_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Cli {
        let mut command = self.command(arguments);
        command.envs(env.iter().copied()).stdin(Stdio::null());
        Cli::from(command.output().expect("healer starts"))
    }

    /// `healer ARGUMENTS`, to be started by the test itself.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HEALER_CONFIG", self.path("healer.toml"));
        if let Some(uid) = self.setup.uid {
            command.uid(uid).gid(uid);
        }
        command
    }

    /// The program that is under test.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    // ---- the sockets ------------------------------------------------------------

    /// Sends a line to the intent socket; the answer to it.
    pub(crate) fn send(&self, line: &Value) -> Value {
        self.try_send(line)
            .unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    /// The same without panics.
    pub(crate) fn try_send(&self, line: &Value) -> std::io::Result<Value> {
        send_to(&self.path("intents/intents.sock"), line)
    }

    /// The same until the decision has fallen on facts: on a busy machine the
    /// engine may take longer than the 100 ms that an answer waits for it.
    pub(crate) fn decide(&self, intent: &Value) -> Value {
        let mut intent = intent.clone();
        eventually("a decision", || {
            let answer = self.send(&intent);
            let detail = text_of(&answer, "detail");
            let says_too_little = detail.contains("about what it needs")
                || detail.starts_with("Pending: decided again in");
            let has_facts = answer["gate"] != "no-facts";
            let is_dropped = !has_facts && answer["decision"] == "refused";
            if is_dropped || has_facts && says_too_little {
                // Another line of the same kind: the same one is answered as before.
                intent["id"] = format!("{}+", text_of(&intent, "id")).into();
            }
            (has_facts && !says_too_little).then_some(answer)
        })
    }

    /// Everything in `healer status --json`.
    pub(crate) fn status(&self) -> Value {
        self.cli(&["status", "--json"]).json()["data"].clone()
    }

    /// One target of `healer status --json`, null where it does not know it.
    pub(crate) fn target(&self, name: &str) -> Value {
        let status = self.status();
        let targets = status["targets"].as_array().cloned().unwrap_or_default();
        targets
            .into_iter()
            .find(|target| target["name"] == name)
            .unwrap_or_default()
    }

    /// Its state: `idle`, `in-progress`, `verifying`, `pending`, `held`, `paused`, `off`.
    pub(crate) fn state(&self, name: &str) -> String {
        self.target(name)["state"]
            .as_str()
            .unwrap_or("unknown")
            .to_owned()
    }

    /// `healer history NAME --json`, the newest last.
    pub(crate) fn history(&self, name: &str) -> Vec<Value> {
        let told = self
            .cli(&["history", name, "--json", "--limit", "1000"])
            .json();
        told["data"].as_array().expect("a list").clone()
    }

    /// The `what` of each line of the history.
    pub(crate) fn told(&self, name: &str) -> Vec<String> {
        let what = |entry: &Value| entry["what"].as_str().expect("a word").to_owned();
        self.history(name).iter().map(what).collect()
    }

    /// Of the HTTP endpoint.
    pub(crate) fn http_port(&self) -> u16 {
        self.setup.http_port.expect("the set-up has with_http()")
    }

    /// `GET` from the HTTP endpoint: the status and the body.
    pub(crate) fn http(&self, path: &str) -> (u16, String) {
        let port = self.http_port();
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(ANSWER)).expect("a time-out");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: healer\r\n\r\n").expect("it reads");
        let reply = std::io::read_to_string(stream).expect("it answers");
        let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// The figure of a metric's series, 0 where there is none.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let metrics = self.http("/metrics").1;
        let figure = |line: &str| line.strip_prefix(series)?.trim().parse().ok();
        metrics.lines().find_map(figure).unwrap_or(0)
    }

    // ---- what it leaves behind ---------------------------------------------------

    /// A path in the executor's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// All that it has logged, over all starts.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("healer.log")).unwrap_or_default()
    }

    /// Polls until there is a value.
    pub(crate) fn eventually<T>(&self, what: &str, poll: impl Fn(&Self) -> Option<T>) -> T {
        eventually(what, || poll(self))
    }

    /// Waits for words in the log; the whole log.
    pub(crate) fn eventually_logs(&self, words: &str) -> String {
        eventually(&format!("{words:?} in the log"), || {
            Some(self.log()).filter(|log| log.contains(words))
        })
    }

    /// Waits until `healer status` shows the target in this state.
    pub(crate) fn eventually_is(&self, name: &str, state: &str) {
        eventually(&format!("state {state} of {name}"), || {
            (self.state(name) == state).then_some(())
        });
    }

    /// Waits until the history of a target has this in it; the entry.
    pub(crate) fn eventually_tells(&self, name: &str, what: &str) -> Value {
        eventually(&format!("{what} in the history of {name}"), || {
            self.history(name)
                .into_iter()
                .rev()
                .find(|entry| entry["what"] == what)
        })
    }

    /// A report file's content.
    pub(crate) fn report(&self, name: &str) -> String {
        let path = self.path("reports").join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The names of the report files, sorted.
    pub(crate) fn reports(&self) -> Vec<String> {
        let Ok(dir) = fs::read_dir(self.path("reports")) else {
            return Vec::new();
        };
        let mut names: Vec<String> = dir
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect();
        names.sort();
        names
    }

    fn write_config(&self) {
        let path = self.path("healer.toml");
        fs::write(path, self.setup.to_toml(self.dir.path())).expect("the file can be written");
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        if std::thread::panicking() && self.process.is_some() {
            for what in [["status", "--json"], ["history", "--json"]] {
                let said = self.command(&what).output();
                let said = said.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
                tell(&format!("---- healer {}\n{said:?}\n----", what[0]));
            }
        }
        if let Some(mut process) = self.process.take() {
            let _gone_already = process.kill();
            let _reaped = process.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(200).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            tell(&format!(
                "---- log of healer run\n{}\n----",
                tail.join("\n")
            ));
        }
    }
}

/// Into the test's own output, which is shown where it fails.
#[allow(clippy::print_stderr)]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}

/// Sends a line to the intent socket of whichever executor is there now.
pub(crate) fn send_to(socket: &Path, line: &Value) -> std::io::Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER))?;
    writeln!(stream, "{line}")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Cli {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Cli {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Cli {
    /// Checks that it printed these words.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        assert!(self.stdout.contains(words), "{words:?}: {self:?}");
    }

    /// The same of what it printed to its standard error.
    #[track_caller]
    pub(crate) fn complains(&self, words: &str) {
        assert!(self.stderr.contains(words), "{words:?}: {self:?}");
    }

    /// What it printed, as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }
}

fn text_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The `healer` of this very build, beside the test binary's directory; or another one, of
/// whatever age, that `HEALER_PROGRAM` names.
pub(crate) fn program() -> PathBuf {
    if let Some(named) = named_program() {
        return named;
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps");
    let program = profile.join("healer");
    if let Err(why) = check_current(&program, Path::new(env!("CARGO_MANIFEST_DIR"))) {
        panic!(
            "{why}: `cargo test` at the root builds it; before `cargo test -p out-healer` \
             or `cargo test --test tests` type `cargo build -p healer`, with the same profile"
        );
    }
    program
}

fn named_program() -> Option<PathBuf> {
    let named = std::env::var_os("HEALER_PROGRAM").filter(|value| !value.is_empty())?;
    let program = PathBuf::from(named);
    assert!(
        program.is_file(),
        "HEALER_PROGRAM={}: no file",
        program.display()
    );
    Some(program)
}

/// Whether the one under test is as it is for use, neither slow nor large for our sake.
pub(crate) fn is_optimized() -> bool {
    !cfg!(debug_assertions) || named_program().is_some()
}

/// That a program is no older than any file of ours that it is made from. (Cargo's own list of
/// them is there after a build, not after a test run that built it on the way.)
fn check_current(program: &Path, root: &Path) -> Result<(), String> {
    let shown = program.display();
    let built = modified(program).ok_or_else(|| format!("{shown} is missing"))?;
    let mut dirs = MADE_FROM.map(|dir| root.join(dir)).to_vec();
    while let Some(dir) = dirs.pop() {
        let entries = fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        for entry in entries {
            let path = entry.map_err(|e| e.to_string())?.path();
            if is_for_tests(&path) {
                continue;
            }
            if path.is_dir() {
                dirs.push(path);
            } else if modified(&path).is_none_or(|changed| changed > built) {
                return Err(format!("{shown} is older than {}", path.display()));
            }
        }
    }
    Ok(())
}

/// The folders that the program is made from.
const MADE_FROM: [&str; 5] = [
    "executor/src",
    "executor/api/src",
    "executor/policy/src",
    "rules/src",
    "rules/packs",
];

/// What it is not made from in there.
fn is_for_tests(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| ["tests", "tests.rs", "testing.rs"].contains(&name))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

#[test]
fn an_outdated_program_is_not_used() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("root");
    let program = dir.path().join("healer");
    let at = |path: &Path, secs: u64| {
        fs::create_dir_all(path.parent().expect("in a directory")).expect("made");
        let file = File::create(path).expect("made");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        file.set_modified(time).expect("set");
    };
    let judged = || check_current(&program, &root);
    at(&root.join("executor/src/main.rs"), 1_000);
    at(&root.join("executor/src/tests.rs"), 2_000);
    at(&root.join("rules/tests/files.rs"), 2_000);
    for dir in MADE_FROM {
        fs::create_dir_all(root.join(dir)).expect("made");
    }
    at(&root.join("rules/packs/a.toml"), 500);
    assert!(judged().is_err_and(|why| why.contains("is missing")));
    at(&program, 1_000);
    assert_eq!(judged(), Ok(()));
    at(&root.join("rules/packs/a.toml"), 1_001);
    assert!(judged().is_err_and(|why| why.contains("older than") && why.contains("a.toml")));
}
