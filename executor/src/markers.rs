//! Watches the marker files that people set in the report directory:
//! `<target>.stopped` keeps restarts off for as long as it is there,
//! `resume-<target>` frees a held or paused target once and is removed.
//!
//! A few file names are read every [`EVERY`], beside the engine; a directory
//! that hangs delays only this.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::engine::Handle;
use crate::report::{self, Mark, MarkKind, Marks};

/// How soon a marker is seen.
const EVERY: Duration = Duration::from_secs(2);
/// Most ignored markers remembered as told; beyond it all are told anew.
const TOLD_MAX: usize = 256;

/// Runs until the engine stops.
pub(crate) async fn watch(dir: PathBuf, engine: Handle) {
    let mut told = BTreeSet::new();
    loop {
        let marks = read(&dir).await;
        tell_ignored(&marks, &mut told);
        let Some(obeyed) = engine.markers(marks.found).await else {
            return;
        };
        for mark in obeyed {
            remove(&dir, mark).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The targets that a person stopped, for a one-shot.
pub(crate) async fn stopped(dir: &Path) -> BTreeSet<String> {
    let marks = read(dir).await;
    tell_ignored(&marks, &mut BTreeSet::new());
    stopped_of(&marks.found)
}

/// The targets that `<target>.stopped` names.
pub(crate) fn stopped_of(marks: &[Mark]) -> BTreeSet<String> {
    let stopped = marks.iter().filter(|mark| mark.kind == MarkKind::Stopped);
    stopped.map(|mark| mark.target.clone()).collect()
}

async fn read(dir: &Path) -> Marks {
    let path = dir.to_owned();
    match spawn_blocking(move || report::marks(&path)).await {
        Ok(Ok(marks)) => marks,
        Ok(Err(error)) => Marks {
            ignored: vec![error],
            ..Marks::default()
        },
        // The runtime is shutting down.
        Err(_) => Marks::default(),
    }
}

fn tell_ignored(marks: &Marks, told: &mut BTreeSet<String>) {
    for ignored in &marks.ignored {
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        let ignored = ignored.to_string();
        if told.insert(ignored.clone()) {
            tracing::warn!("marker ignored: {ignored}");
        }
    }
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
