//! The report files' tests.

mod hostile;
mod read;
mod written;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;
use crate::journal::tests::skip;

/// The seed's example.
pub(crate) const EPOCH: u64 = 1_760_978_852;
pub(crate) const TARGET: &str = "marieai-dev-server";
/// A user that is not there.
pub(crate) const STRANGER: u32 = 54_321;

pub(crate) fn input(epoch: u64) -> ReportInput {
    ReportInput {
        charged_wall_ms: epoch * 1000 + 999,
        now_wall_ms: epoch * 1000 + 2_999,
        host: "asp-gpu002".into(),
        target: TARGET.into(),
        container_id: "a5e01e0d66b8".repeat(5) + "a5e0",
        cooldown_sec: 300,
        window_sec: 600,
        window_count: 2,
        hist: vec![epoch - 400, epoch],
        attempt: 7,
        result: CallResult::Restarted,
        rule: Some("cuda-oom".into()),
        duration_ms: Some(2_000),
        evidence: None,
    }
}

/// A report directory of a test, and the problems told.
pub(crate) struct Bench {
    keep: TempDir,
    pub(crate) path: PathBuf,
    problems: Arc<Mutex<Vec<Problem>>>,
}

impl Bench {
    /// The directory itself is not there yet.
    pub(crate) fn new() -> Self {
        let keep = tempfile::tempdir().expect("a temporary directory");
        let path = keep.path().join("marie-healer");
        Self {
            keep,
            path,
            problems: Arc::default(),
        }
    }

    /// As the original's set-up makes it.
    pub(crate) fn with_dir() -> Self {
        let bench = Self::new();
        fs::create_dir(&bench.path).expect("made");
        fs::set_permissions(&bench.path, fs::Permissions::from_mode(0o1777)).expect("chmod");
        bench
    }

    pub(crate) fn settings(&self) -> config::Reports {
        config::Reports {
            dir: Some(self.path.clone()),
            rotate_bytes: 1 << 20,
            rotated_files: 2,
            marker_keep_ms: 3_600_000,
        }
    }

    pub(crate) fn start(&self) -> Reports {
        self.start_with(self.settings())
    }

    pub(crate) fn start_with(&self, settings: config::Reports) -> Reports {
        let problems = Arc::clone(&self.problems);
        Reports::start(settings, move |problem| problems.lock().push(problem)).expect("a thread")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).expect("the directory is there");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<String> = entries
            .map(|entry| name(entry).into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    /// The problems told since the last call: the words of the first of a
    /// kind, and how many were not.
    pub(crate) fn told(&self) -> (Vec<String>, usize) {
        let problems = std::mem::take(&mut *self.problems.lock());
        let count = problems.len();
        let first: Vec<String> = problems
            .into_iter()
            .filter(|p| p.is_first)
            .map(|p| p.error.to_string())
            .collect();
        let repeated = count - first.len();
        (first, repeated)
    }
}

/// Writes these and waits until they are written.
pub(crate) fn write_all(reports: &Reports, inputs: impl IntoIterator<Item = ReportInput>) {
    inputs.into_iter().for_each(|input| reports.write(input));
    assert!(flush(reports), "not written in time");
}

pub(crate) fn flush(reports: &Reports) -> bool {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(reports.flush(Duration::from_secs(10)))
}

/// False, and said so, where this user may not give files away.
pub(crate) fn give_to_stranger(path: &Path) -> bool {
    let given = chown(path, Some(STRANGER), None).is_ok();
    if !given {
        skip("a file of somebody else (needs root)");
    }
    given
}

pub(crate) fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo")
        .arg(path)
        .status()
        .expect("mkfifo runs");
    assert!(made.success());
}
