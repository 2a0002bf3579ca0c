//! The whole way from a notice to servers that speak the real protocols.

mod delivery;
mod faults;
mod mail;
mod program;
mod server;
mod smtp;
mod waiting;

use std::path::Path;
use std::time::{Duration, Instant};

use policy::{Now, Timestamp};

use super::testing::notice;
use super::*;
use crate::clock::{Clock, ManualTime};
use crate::config::{Config, Notifier, Sources};
use crate::metrics::Metrics;

/// Longest wait for what has to come.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// When the tests begin, ms since the epoch.
const START_MS: u64 = 1_760_978_850_000;

/// Everything that tells people, in a directory of its own.
struct Office {
    dir: tempfile::TempDir,
    metrics: Metrics,
    clock: Clock,
    time: ManualTime,
    notifications: Notifications,
}

impl Office {
    fn open(config: &str) -> Self {
        Self::open_in(tempfile::tempdir().unwrap(), config, START_MS)
    }

    fn open_in(dir: tempfile::TempDir, config: &str, wall_ms: u64) -> Self {
        let now = Now {
            at: Timestamp(1_000_000),
            wall_ms,
        };
        let (clock, time) = Clock::manual(now);
        let metrics = Metrics::new();
        let config = configured(dir.path(), config);
        let notifications = Notifications::start(
            &config.notifiers,
            &config.notifiers_off,
            dir.path(),
            "gpu-host".into(),
            clock.clone(),
            metrics.notify(),
        )
        .unwrap();
        Self {
            dir,
            metrics,
            clock,
            time,
            notifications,
        }
    }

    /// The executor ends, however; its directory stays.
    fn close(self) -> tempfile::TempDir {
        self.dir
    }

    fn tell(&self, target: &str, step: Step) {
        let at_ms = self.clock.now().wall_ms;
        self.notifications.hear(Notice {
            at_ms,
            ..notice(target, step)
        });
    }

    /// Waits until all that can be sent now is; whether it is.
    fn flush(&self) -> bool {
        runtime().block_on(self.notifications.flush(WAIT_MAX))
    }

    /// Files that wait in a notifier's queue.
    fn queued(&self, name: &str) -> usize {
        let queue = dir(self.dir.path()).join(name);
        std::fs::read_dir(queue).map_or(0, |entries| entries.count())
    }

    fn metric(&self, line: &str) -> String {
        let page = self.metrics.encode();
        let found = page.lines().find_map(|l| l.strip_prefix(line));
        found.unwrap_or_default().trim().to_owned()
    }

    /// A message's count by what became of it.
    fn count(&self, name: &str, result: &str) -> String {
        self.metric(&format!(
            "healer_notifications_total{{notifier=\"{name}\",result=\"{result}\"}}"
        ))
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A test message to a notifier, as by `healer notify test`.
fn tried(notifier: &Notifier) -> Result<(), Failure> {
    tokio::task::LocalSet::new().block_on(&runtime(), trial(notifier, "gpu-host", START_MS))
}

/// The notifiers of a configuration file with this text.
pub(super) fn notifiers(dir: &Path, config: &str) -> Vec<Notifier> {
    configured(dir, config).notifiers
}

fn configured(dir: &Path, config: &str) -> Config {
    let path = dir.join("healer.toml");
    std::fs::write(&path, config).unwrap();
    let sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    Config::load(&sources).unwrap()
}

/// A notifier of this name at a server of our own.
fn ntfy(name: &str, url: &str, more: &str) -> String {
    format!("[notify.{name}]\ntype = 'ntfy'\nurl = '{url}/topic'\n{more}\n")
}

/// A file with a secret in it; its path.
fn secret(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Waits for something to become so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {WAIT_MAX:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
