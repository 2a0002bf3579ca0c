//! Watches the marker files that people set in the report directory:
//! `<target>.stopped` (or `manual-stop/<target>`) keeps restarts off for as long as it is there,
//! `resume-<target>` frees a held or paused target once and is removed, and
//! `resume` all of them, as `healer resume` does.
//!
//! A few file names are read every [`EVERY`], beside the engine; a directory
//! that hangs delays only this.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::engine::Handle;
use crate::report::{self, Mark, MarkKind};

/// How soon a marker is seen.
const EVERY: Duration = Duration::from_secs(2);
/// Longest wait for the markers at start; a directory that hangs delays it by no
/// more.
const FIRST_MAX: Duration = Duration::from_secs(1);
/// Most ignored markers remembered as told; beyond it all are told anew.
const TOLD_MAX: usize = 256;

/// Runs until the engine stops.
pub(crate) async fn watch(dir: PathBuf, engine: Handle) {
    let mut told = BTreeSet::new();
    loop {
        // What cannot be read changes nothing: a stop stays in force.
        if let Some(marks) = read(&dir, &mut told).await {
            let Some(obeyed) = engine.markers(marks).await else {
                return;
            };
            for mark in obeyed {
                remove(&dir, mark).await;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The targets that a person stopped, for a one-shot.
pub(crate) async fn stopped(dir: &Path) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    let marks = tokio::time::timeout(FIRST_MAX, read(dir, &mut told)).await;
    stopped_of(&marks.ok().flatten().unwrap_or_default())
}

/// The targets that `<target>.stopped` names.
pub(crate) fn stopped_of(marks: &[Mark]) -> BTreeSet<String> {
    let stopped = marks.iter().filter(|mark| mark.kind == MarkKind::Stopped);
    stopped.map(|mark| mark.target.clone()).collect()
}

/// The markers that count; none where they cannot be read.
async fn read(dir: &Path, told: &mut BTreeSet<String>) -> Option<Vec<Mark>> {
    let path = dir.to_owned();
    // Fails only where the runtime is shutting down.
    let marks = spawn_blocking(move || report::marks(&path)).await.ok()?;
    let (found, ignored) = match marks {
        Ok(marks) => (Some(marks.found), marks.ignored),
        Err(error) => (None, vec![error]),
    };
    for ignored in ignored {
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        let ignored = ignored.to_string();
        if told.insert(ignored.clone()) {
            tracing::warn!("markers: {ignored}");
        }
    }
    found
}

async fn remove(dir: &Path, mark: Mark) {
    let path = dir.to_owned();
    let target = mark.target.clone();
    if let Ok(Err(error)) = spawn_blocking(move || mark.remove(&path)).await {
        tracing::warn!(
            target,
            "marker obeyed but not removed, so it holds on: {error}"
        );
    }
}
