//! The journal's tests.

mod basics;
mod crash;
mod damage;
mod faults;
mod golden;
mod mounts;
mod user;

use std::path::{Path, PathBuf};
use std::process::Command;

use policy::{Entry, Record, Timestamp};
use tempfile::TempDir;

use super::{Damage, JOURNAL, Journal, JournalError, Opened, StateDir};

/// The longest limit in these tests.
pub(crate) const FAIL_CLOSED_MS: u64 = 600_000;

/// A small entry that can be told from others.
pub(crate) fn record(n: u64) -> Record {
    let entry = Entry::Held {
        target: format!("t{n}"),
        why: "why \"quoted\"\n".into(),
        container_id: None,
        started_at: None,
    };
    Record {
        at: Timestamp(n),
        wall_ms: 1_760_978_852_000 + n,
        entry,
    }
}

pub(crate) fn records(range: std::ops::Range<u64>) -> Vec<Record> {
    range.map(record).collect()
}

/// A state directory of a test.
pub(crate) struct State {
    _keep: TempDir,
    pub(crate) path: PathBuf,
}

impl State {
    pub(crate) fn new() -> Self {
        // In memory where possible: these tests open thousands of journals, and
        // what an fsync does is not theirs to find out.
        let keep = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .expect("a temporary directory");
        let path = keep.path().join("state");
        Self { _keep: keep, path }
    }

    pub(crate) fn dir(&self) -> StateDir {
        StateDir::open(&self.path).expect("our own directory opens")
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    pub(crate) fn open(&self) -> Opened {
        Journal::open(&self.dir(), FAIL_CLOSED_MS).expect("the journal opens")
    }

    /// A closed journal of these appends, each `n` records.
    pub(crate) fn with_appends(sizes: &[u64]) -> Self {
        let state = Self::new();
        let opened = state.open();
        block_on(async {
            let mut next = 0;
            for size in sizes {
                opened
                    .journal
                    .append(records(next..next + size), false)
                    .await
                    .expect("append");
                next += size;
            }
            opened.journal.close().await.expect("close");
        });
        state
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Says that a test did not look at something, and why.
#[allow(clippy::print_stderr)]
pub(crate) fn skip(what: &str) {
    eprintln!("SKIPPED: {what}");
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .expect("the directory is there")
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

/// That opening failed closed: `why` in words, the old file kept, nothing else.
pub(crate) fn assert_failed_closed(opened: &Opened, before: &[u8], words: &str) {
    let Some(Damage::SetAside {
        aside, why, until, ..
    }) = &opened.damage
    else {
        panic!("expected a file set aside, got {:?}", opened.damage);
    };
    assert!(why.contains(words), "{why:?} does not say {words:?}");
    assert_eq!(
        std::fs::read(aside).expect("the damaged file is kept"),
        before
    );
    let [first] = opened.records.as_slice() else {
        panic!("{:?}", opened.records)
    };
    assert!(matches!(&first.entry, Entry::FailClosed { until: u, .. } if u == until));
    assert_eq!(until.since(first.at), FAIL_CLOSED_MS);
    assert!(opened.clock.now().at >= first.at);
}

/// A tmpfs of a test, unmounted when dropped.
pub(crate) struct Tmpfs(TempDir);

impl Tmpfs {
    /// None, and said so, where it cannot be mounted.
    pub(crate) fn mount(options: &str) -> Option<Self> {
        let at = tempfile::tempdir().expect("a temporary directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "healer-test"])
            .arg(at.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at));
        }
        skip(&format!("a tmpfs with {options} (needs root)"));
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// False, and said so, where that cannot be had.
    pub(crate) fn make_read_only(&self) -> bool {
        let status = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(self.path())
            .status();
        let done = status.is_ok_and(|status| status.success());
        if !done {
            skip("a read-only remount");
        }
        done
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: the journal's thread may be about to close its files.
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "left mounted: {:?}",
            self.0
        );
    }
}
