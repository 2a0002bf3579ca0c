//! The real `healer run`, with directories of its own under the demo's.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::stage::Stage;

/// Longest wait for its sockets.
const START_MAX: Duration = Duration::from_secs(10);
/// It waits for a restart under way; a container of the demo stops at once.
const STOP_MAX: Duration = Duration::from_secs(30);

pub(crate) struct Executor {
    dir: PathBuf,
    program: PathBuf,
    child: Mutex<Child>,
}

impl Executor {
    /// Returns when both sockets take connections.
    pub(crate) fn start(dir: &Path, products: &Path, stage: &Stage) -> Result<Self, String> {
        let at = |name: &str| dir.join(name).display().to_string();
        let config = format!(
            "docker_socket = '{}'\nintents_socket = '{}'\nadmin_socket = '{}'\n\
             state_dir = '{}'\nreport_dir = '{}'\n[http]\nlisten = 'off'\n[targets.{}]\n",
            stage.socket().display(),
            at("intents/intents.sock"),
            at("admin/admin.sock"),
            at("state"),
            at("marie-healer"),
            stage.name()
        );
        for name in ["intents", "admin", "marie-healer"] {
            fs::create_dir(dir.join(name)).map_err(|e| format!("{}: {e}", at(name)))?;
        }
        fs::write(dir.join("healer.toml"), config).map_err(|e| format!("healer.toml: {e}"))?;
        let log = File::create(dir.join("healer.log")).map_err(|e| format!("healer.log: {e}"))?;
        let program = products.join("healer");
        let mut command = command(&program, dir, &["run"]);
        let child = command.stdout(Stdio::null()).stderr(log).spawn();
        let child = child.map_err(|e| format!("{}: {e}", program.display()))?;
        let executor = Self {
            dir: dir.to_owned(),
            program,
            child: Mutex::new(child),
        };
        let start = Instant::now();
        let listens = |path: &str| UnixStream::connect(dir.join(path)).is_ok();
        while !(listens("intents/intents.sock") && listens("admin/admin.sock")) {
            if !executor.is_running() || start.elapsed() > START_MAX {
                return Err(format!("healer run did not come up:\n{}", executor.log()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(executor)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn intents(&self) -> PathBuf {
        self.dir.join("intents/intents.sock")
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.dir.join("healer.log")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub(crate) fn is_running(&self) -> bool {
        let mut child = self.child.lock().expect("one thread");
        child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// The original's file, as soon as it is there.
    pub(crate) fn last_restart(&self) -> Result<String, String> {
        let file = self.dir.join("marie-healer/last_restart.json");
        fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))
    }

    /// What a command prints.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Result<String, String> {
        let out = command(&self.program, &self.dir, arguments).output();
        let out = out.map_err(|e| format!("healer {arguments:?}: {e}"))?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        if !out.status.success() {
            let why = String::from_utf8_lossy(&out.stderr);
            return Err(format!("healer {arguments:?}: {}: {text}{why}", out.status));
        }
        Ok(text)
    }
}

/// Nothing of the machine's own set-up counts.
fn command(program: &Path, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("HEALER_CONFIG", dir.join("healer.toml"))
        .stdin(Stdio::null());
    command
}

impl Drop for Executor {
    fn drop(&mut self) {
        let mut child = self.child.lock().expect("one thread");
        let pid = i32::try_from(child.id()).expect("a process id");
        // SAFETY: only a signal, to our own child, which is not reaped yet.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let start = Instant::now();
        while start.elapsed() < STOP_MAX {
            if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // It had its time.
        let _ = child.kill();
        let _ = child.wait();
    }
}
