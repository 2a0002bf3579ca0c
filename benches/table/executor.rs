//! A `healer run` of this build in a directory of its own; how quickly it starts,
//! and what it keeps in memory.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::stats::quantile;
use super::support::fake_engine::FakeEngine;

/// Starts that are timed.
const STARTS: usize = 30;
/// Longest wait for one.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running executor; ends when dropped.
pub(crate) struct Healer {
    dir: tempfile::TempDir,
    child: Child,
}

impl Healer {
    /// Returns when its intent socket takes connections.
    pub(crate) fn start(engine: PathBuf) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let child = command(dir.path(), &engine).spawn().expect("healer starts");
        let mut healer = Self { dir, child };
        healer.wait_until_it_listens();
        healer
    }

    fn wait_until_it_listens(&mut self) {
        let start = Instant::now();
        while UnixStream::connect(self.intents()).is_err() {
            let ended = self.child.try_wait().expect("our child");
            assert!(
                ended.is_none() && start.elapsed() < PATIENCE,
                "healer run did not come up: {ended:?}"
            );
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    pub(crate) fn intents(&self) -> PathBuf {
        self.dir.path().join("intents/intents.sock")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Resident memory in MiB.
    fn resident(&self) -> f64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let kib = line.and_then(|l| l.trim().strip_suffix(" kB"));
        kib.and_then(|k| k.parse::<f64>().ok()).expect("a number") / 1024.0
    }
}

impl Drop for Healer {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(dir: &Path, engine: &Path) -> Command {
    let at = |name: &str| dir.join(name).display().to_string();
    let bench = std::env::current_exe().expect("a bench knows its own path");
    let profile = bench
        .parent()
        .and_then(Path::parent)
        .expect("target/release/deps");
    let mut command = Command::new(profile.join("healer"));
    for name in ["intents", "admin"] {
        std::fs::create_dir_all(dir.join(name)).expect("made");
    }
    std::fs::write(dir.join("healer.toml"), "").expect("written");
    command
        .env_clear()
        .env("HEALER_CONFIG", at("healer.toml"))
        .env("HEALER_INTENTS_SOCKET", at("intents/intents.sock"))
        .env("HEALER_ADMIN_SOCKET", at("admin/admin.sock"))
        .env("HEALER_DOCKER_SOCKET", engine)
        .env("HEALER_STATE_DIR", at("state"))
        // One rule in many containers at once is what is measured.
        .env("HEALER_STORM_TARGETS", "0")
        .env("HEALER_REPORT_DIR", at("reports"))
        .env("HEALER_HTTP_LISTEN", "off")
        .env("HEALER_HOST_MAX", "10000")
        .arg("run")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// From exec to the first connection taken, and what it holds when idle.
pub(crate) fn start_and_memory() {
    let engine = FakeEngine::start();
    let mut starts = Vec::new();
    let mut resident = Vec::new();
    for number in 0..STARTS {
        let start = Instant::now();
        let healer = Healer::start(engine.socket());
        starts.push(start.elapsed().as_secs_f64() * 1e3);
        if number % 10 == 0 {
            // Idle: whatever a start leaves to do is done.
            std::thread::sleep(Duration::from_secs(1));
            resident.push(healer.resident());
        }
    }
    println!();
    println!("Executor, {STARTS} starts");
    println!(
        "  exec to listening                p50 {:.1} ms   p99 {:.1} ms",
        quantile(&starts, 0.5),
        quantile(&starts, 0.99)
    );
    println!(
        "  resident when idle               {:.1} MiB",
        quantile(&resident, 1.0)
    );
}
