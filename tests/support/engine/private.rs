//! A private engine, which may be killed, frozen and started again.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::{Engine, PATIENCE, eventually, unique_name};
use crate::support::tools::program;

/// How a private engine is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Containers outlive the engine (`--live-restore`).
    pub(crate) live_restore: bool,
}

/// A `dockerd` of our own, which may be killed. Wants root and a `dockerd`.
#[derive(Debug)]
pub(crate) struct PrivateEngine {
    dir: PathBuf,
    /// The program.
    dockerd: PathBuf,
    options: Options,
    /// The storage driver, where it is not left to the engine.
    storage: Option<&'static str>,
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
    pub(crate) fn start(options: Options) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("a private dockerd wants root".to_owned());
        }
        let dockerd = program("dockerd")
            .ok_or("neither does an engine answer nor is dockerd installed (Debian: docker.io)")?;
        let dir = std::env::temp_dir().join(unique_name("engine"));
        fs::create_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut private = Self {
            engine: Engine {
                socket: dir.join("docker.sock"),
            },
            dir,
            dockerd,
            options,
            storage: None,
            running: None,
        };
        if private.launch().is_err() {
            // overlay2 does not run on top of an overlay, as in a container.
            private.storage = Some("vfs");
            private.launch()?;
        }
        Ok(private)
    }

    /// The engine as clients see it.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// SIGKILL: no shutdown, no cleaning up. Returns when it is gone, and with
    /// it the containerd that it keeps (which the kernel kills for it; a new
    /// engine takes a dying one for alive, and then waits for it in vain).
    pub(crate) fn kill(&mut self) {
        let pid_file = self.dir.join("exec/containerd/containerd.pid");
        let containerd = fs::read_to_string(&pid_file).unwrap_or_default();
        self.signal(Signal::KILL);
        if !containerd.is_empty() {
            eventually("the end of containerd", || {
                (!is_running(containerd.trim())).then_some(())
            });
            fs::remove_file(pid_file).expect("it was just read");
        }
    }

    /// SIGTERM: an orderly end. Returns when it is gone.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
    }

    /// SIGSTOP until the guard is dropped: the kernel takes connections,
    /// nobody answers. Returns when every thread has stopped.
    pub(crate) fn freeze(&self) -> Frozen<'_> {
        self.send(Signal::STOP);
        eventually("dockerd is frozen", || {
            self.all_threads_stopped().then_some(())
        });
        Frozen(self)
    }

    fn all_threads_stopped(&self) -> bool {
        let running = self.running.as_ref().expect("it runs");
        let tasks = fs::read_dir(format!("/proc/{}/task", running.dockerd)).expect("procfs");
        tasks.flatten().all(|task| {
            // One that has ended meanwhile counts as not yet: it is asked again.
            fs::read_to_string(task.path().join("stat")).is_ok_and(|stat| stat.contains(") T "))
        })
    }

    /// Starts it again after [`Self::kill`] or [`Self::stop`].
    pub(crate) fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        self.launch().expect("it started before");
    }

    /// For the rest of the process; the shell cleans up after that.
    pub(super) fn keep_for_the_process(mut self) -> Engine {
        let engine = self.engine.clone();
        let _removed_by_the_shell = fs::remove_file(self.dir.join("keep"));
        let mut running = self.running.take().expect("it was just started");
        std::mem::forget(running.stdin.take());
        std::mem::forget(self);
        engine
    }

    fn launch(&mut self) -> Result<(), String> {
        fs::write(self.dir.join("keep"), "").map_err(|error| error.to_string())?;
        let at = |file: &str| self.dir.join(file).display().to_string();
        let namespace = self.dir.file_name().expect("a name").to_string_lossy();
        let mut arguments = vec![
            self.dockerd.display().to_string(),
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
        arguments.extend(
            self.storage
                .map(|driver| format!("--storage-driver={driver}")),
        );
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
        let dockerd = first_line(&mut shell)
            .parse()
            .map_err(|_| "sh did not start it")?;
        let mut running = Running {
            stdin: shell.stdin.take(),
            shell,
            dockerd,
        };
        let start = Instant::now();
        while !self.engine.answers() {
            let ended = running
                .shell
                .try_wait()
                .is_ok_and(|status| status.is_some());
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

    fn send(&self, signal: Signal) {
        let running = self.running.as_ref().expect("it runs");
        let pid = i32::try_from(running.dockerd).expect("a process id");
        let pid = rustix::process::Pid::from_raw(pid).expect("not zero");
        rustix::process::kill_process(pid, signal).expect("it is our child's child");
    }

    fn signal(&mut self, signal: Signal) {
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

/// While it lives the engine does not.
#[must_use]
pub(crate) struct Frozen<'a>(&'a PrivateEngine);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.send(Signal::CONT);
    }
}

/// Neither gone nor a zombie that nobody has waited for.
fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    after_name.is_some_and(|rest| !rest.starts_with(['Z', 'X']))
}

fn first_line(shell: &mut Child) -> String {
    let mut line = String::new();
    if let Some(stdout) = &mut shell.stdout {
        let _checked_by_the_caller =
            io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut line);
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
        let Ok((200, list)) = self
            .engine
            .try_request("GET", "/containers/json?all=1", None)
        else {
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
