//! The original's state, read once into an empty journal, so that a change of
//! healer gives no budget back.
//!
//! Only what the original's user (root) or ours wrote counts: anybody can put
//! files into the directory, and a made-up history would stop restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::dir::ReportDir;
use super::error::is_target_name;
use super::files::{LAST_RESTART_END, RESTART_HIST_END, RESTARTS_LOG};
use super::{ReportError, marks::is_trusted_uid};

/// A larger file is no history of restarts.
pub(crate) const IMPORT_BYTES_MAX: u64 = 1024 * 1024;

/// Restarts taken over per target, the newest: no window holds more.
const PER_TARGET_MAX: usize = 1000;

/// Targets taken over.
const TARGETS_MAX: usize = 1000;

/// Restarts taken over in all, the newest: they become one append to the journal.
const IMPORT_MAX: usize = 10_000;

/// What was found.
#[derive(Debug, Default)]
pub struct Import {
    /// Target and epoch seconds of each restart, ascending, each once.
    pub restarts: Vec<(String, u64)>,
    /// What was ignored and why; to be told.
    pub ignored: Vec<ReportError>,
}

/// Reads the restarts that the original recorded. `now_s` is the wall clock in
/// epoch seconds; anything later is ignored. Blocks: once, at the first start.
///
/// # Errors
/// Where the directory is there but cannot be read.
pub fn import(path: &Path, now_s: u64) -> Result<Import, ReportError> {
    let dir = match ReportDir::open(path) {
        Ok(dir) => dir,
        Err(ReportError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(Import::default());
        }
        Err(error) => return Err(error),
    };
    let mut found = Found {
        now_s,
        ..Found::default()
    };
    for name in dir.all_names()? {
        let Some(kind) = Kind::of(&name) else {
            continue;
        };
        let may_own = |uid| is_trusted_uid(uid, dir.own_uid());
        match dir.read_trusted(&name, IMPORT_BYTES_MAX, may_own) {
            Ok(Some(text)) => {
                if let Some(why) = found.take(kind.read(&text)) {
                    let path = dir.path_of(&name);
                    found.ignored.push(ReportError::Content { path, why });
                }
            }
            Ok(None) => {}
            Err(error) => found.ignored.push(error),
        }
    }
    Ok(found.finish())
}

/// A line of a file: a restart, or none where it does not read as one.
type Lines = Vec<Option<(String, u64)>>;

/// A file of the original's state.
enum Kind<'a> {
    /// One object a line, of any target.
    Log,
    /// Epoch seconds of this target, one a line.
    Epochs(&'a str),
}

impl<'a> Kind<'a> {
    /// None where a file of this name is not part of the state.
    fn of(name: &'a str) -> Option<Self> {
        if name == RESTARTS_LOG {
            return Some(Self::Log);
        }
        let ends = [LAST_RESTART_END, RESTART_HIST_END];
        let target = ends.iter().find_map(|end| name.strip_suffix(end))?;
        is_target_name(target).then_some(Self::Epochs(target))
    }

    fn read(&self, text: &str) -> Lines {
        match self {
            Self::Log => parse_log(text),
            Self::Epochs(target) => parse_epochs(target, text),
        }
    }
}

fn parse_epochs(target: &str, text: &str) -> Lines {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| Some((target.to_owned(), line.parse().ok()?)))
        .collect()
}

fn parse_log(text: &str) -> Lines {
    #[derive(Deserialize)]
    struct Restart {
        target: String,
        timestamp: u64,
    }
    let parse = |line| {
        let restart: Restart = serde_json::from_str(line).ok()?;
        is_target_name(&restart.target).then_some((restart.target, restart.timestamp))
    };
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(parse)
        .collect()
}

#[derive(Default)]
struct Found {
    now_s: u64,
    restarts: BTreeMap<String, BTreeSet<u64>>,
    ignored: Vec<ReportError>,
}

impl Found {
    /// Takes a file's lines in; says what did not count.
    fn take(&mut self, lines: Lines) -> Option<String> {
        let (mut unreadable, mut future, mut beyond) = (0, 0, 0);
        for line in lines {
            match line {
                None => unreadable += 1,
                Some((_, epoch)) if epoch > self.now_s => future += 1,
                Some((target, epoch)) => {
                    if self.restarts.len() >= TARGETS_MAX && !self.restarts.contains_key(&target) {
                        beyond += 1;
                        continue;
                    }
                    let epochs = self.restarts.entry(target).or_default();
                    epochs.insert(epoch);
                    if epochs.len() > PER_TARGET_MAX {
                        epochs.pop_first();
                    }
                }
            }
        }
        let counts = [
            (unreadable, "lines that are no restart"),
            (future, "restarts in the future"),
            (beyond, "restarts of more targets than can be taken over"),
        ];
        let parts = counts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        (!parts.is_empty()).then(|| format!("ignored {}", parts.join(", ")))
    }

    fn finish(self) -> Import {
        let flat = |(target, epochs): (String, BTreeSet<u64>)| {
            epochs.into_iter().map(move |epoch| (target.clone(), epoch))
        };
        let mut restarts: Vec<_> = self.restarts.into_iter().flat_map(flat).collect();
        if restarts.len() > IMPORT_MAX {
            restarts.sort_by_key(|(_, epoch)| std::cmp::Reverse(*epoch));
            restarts.truncate(IMPORT_MAX);
            restarts.sort();
        }
        Import {
            restarts,
            ignored: self.ignored,
        }
    }
}
