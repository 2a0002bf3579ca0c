//! Which bundles are there, for those who name them: shared by the thread that
//! writes them, the one that writes reports, and the engine's loop, which must
//! not wait for a disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Names of bundles; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Index(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    names: Mutex<Names>,
    changed: Condvar,
}

/// No more than there are files and places in the queue.
#[derive(Debug, Default)]
struct Names {
    written: BTreeSet<String>,
    /// Handed over, and neither written nor failed.
    expected: BTreeSet<String>,
}

/// A bundle that a report may name.
#[derive(Debug, Clone)]
pub struct Mention {
    index: Index,
    name: String,
}

impl Index {
    pub(super) fn new(dir: &Path) -> Self {
        Self(Arc::new(Shared {
            dir: dir.to_owned(),
            names: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// It was handed over.
    pub(super) fn expect(&self, name: &str) {
        self.0.names.lock().expected.insert(name.to_owned());
    }

    /// It was written, or was not. What was there before stays.
    pub(super) fn done(&self, name: &str, is_written: bool) {
        let mut names = self.0.names.lock();
        names.expected.remove(name);
        if is_written {
            names.written.insert(name.to_owned());
        }
        self.0.changed.notify_all();
    }

    /// These are all.
    pub(super) fn set(&self, names: Vec<String>) {
        self.0.names.lock().written = names.into_iter().collect();
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.names.lock().written.contains(name)
    }

    /// Where it is, if it is there.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.has(name).then(|| self.0.dir.join(name))
    }

    pub(super) fn mention(&self, name: String) -> Mention {
        Mention {
            index: self.clone(),
            name,
        }
    }
}

impl Mention {
    /// Where it is, if it is there; waits at most so long for what is about to
    /// be written.
    pub fn path(&self, at_most: Duration) -> Option<PathBuf> {
        let shared = &self.index.0;
        let mut names = shared.names.lock();
        let is_coming = |names: &mut Names| names.expected.contains(&self.name);
        let _in_time = shared
            .changed
            .wait_while_for(&mut names, is_coming, at_most);
        drop(names);
        self.index.path(&self.name)
    }
}

impl PartialEq for Mention {
    fn eq(&self, other: &Self) -> bool {
        (&self.index.0.dir, &self.name) == (&other.index.0.dir, &other.name)
    }
}

impl Eq for Mention {}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_mention_waits_for_what_is_about_to_be_written_and_for_nothing_else() {
        let index = Index::new("/e".as_ref());
        assert_eq!(index.mention("a".into()).path(LONG), None);
        index.expect("a");
        assert_eq!(index.mention("a".into()).path(SOON), None);
        let (writer, mention) = (index.clone(), index.mention("a".into()));
        let waits = std::thread::spawn(move || mention.path(LONG));
        writer.done("a", true);
        let found = waits.join().expect("no panic");
        assert_eq!(found, Some(PathBuf::from("/e/a")));
        index.expect("b");
        index.done("b", false);
        assert_eq!(index.mention("b".into()).path(LONG), None);
        index.set(vec!["b".into()]);
        assert!(index.has("b") && !index.has("a"));
    }
}
