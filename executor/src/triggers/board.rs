//! What others tell of targets: beats, progress that a plugin saw, and that a plugin is there
//! to see it.
//!
//! Keeps true: only what a check waits for is remembered, so nothing grows by what comes in.

use std::cell::RefCell;
use std::collections::BTreeMap;

use executor_api::TargetRef;
use policy::{Timestamp, WallTime};

/// Most containers whose progress is remembered; beyond it the oldest goes.
const PROGRESS_MAX: usize = 4_096;
/// A plugin says every 5 s that it is there, with flushes every 5 s at the least; after as long
/// as this without a word it was away, milliseconds.
pub(crate) const CONTACT_MS_MAX: u64 = 15_000;
/// As many digits of a container's id as tell it from others.
const ID_LEN: usize = 12;

/// Shared by the sockets, the HTTP endpoint and the checks.
#[derive(Debug, Default)]
pub struct Board {
    /// The targets that beats are waited for from, with their last.
    beats: RefCell<BTreeMap<String, Option<Timestamp>>>,
    /// The patterns that are waited for, with when a plugin said that it looks for it.
    patterns: RefCell<BTreeMap<String, Option<Contact>>>,
    /// By pattern and container: when it came, and the newest line's own time.
    progress: RefCell<BTreeMap<(String, String), Progress>>,
}

/// The time in which a plugin was there without a break of more than [`CONTACT_MS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contact {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

/// See [`Board::progress_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) came: Timestamp,
    pub(crate) line: WallTime,
}

impl Board {
    /// From now on a beat of each of these targets counts, and no other's.
    pub(crate) fn expect_beats(&self, targets: impl Iterator<Item = String>) {
        let mut beats = self.beats.borrow_mut();
        let kept = |target: String| {
            let last = beats.get(&target).copied().flatten();
            (target, last)
        };
        let expected = targets.map(kept).collect();
        *beats = expected;
    }

    /// From now on progress by each of these patterns counts, and no other's.
    pub(crate) fn expect_progress(&self, patterns: impl Iterator<Item = String>) {
        let mut known = self.patterns.borrow_mut();
        let kept = |pattern: String| {
            let contact = known.get(&pattern).copied().flatten();
            (pattern, contact)
        };
        let expected = patterns.map(kept).collect();
        *known = expected;
        self.progress
            .borrow_mut()
            .retain(|(pattern, _), _| known.contains_key(pattern));
    }

    /// A beat of this target came. False where nobody waits for any.
    pub fn beat(&self, target: &str, now: Timestamp) -> bool {
        match self.beats.borrow_mut().get_mut(target) {
            None => false,
            Some(last) => {
                *last = Some(now);
                true
            }
        }
    }

    /// The last beat of it.
    pub(crate) fn last_beat(&self, target: &str) -> Option<Timestamp> {
        self.beats.borrow().get(target).copied().flatten()
    }

    /// A plugin is there and looks for these patterns.
    pub fn contact<'a>(&self, patterns: impl Iterator<Item = &'a str>, now: Timestamp) {
        let mut known = self.patterns.borrow_mut();
        for pattern in patterns {
            if let Some(contact) = known.get_mut(pattern) {
                let unbroken = contact.filter(|before| !before.is_over(now));
                let first = unbroken.map_or(now, |before| before.first);
                *contact = Some(Contact { first, last: now });
            }
        }
    }

    /// Since when and until when plugins have said that they look for it; none where they have
    /// not, or not for a while.
    pub(crate) fn contact_over(&self, pattern: &str, now: Timestamp) -> Option<Contact> {
        let contact = self.patterns.borrow().get(pattern).copied().flatten();
        contact.filter(|contact| !contact.is_over(now))
    }

    /// A plugin saw progress. False where nobody waits for any by this pattern.
    pub fn progress(
        &self,
        target: &TargetRef,
        pattern: &str,
        line: WallTime,
        now: Timestamp,
    ) -> bool {
        if !self.patterns.borrow().contains_key(pattern) {
            return false;
        }
        self.contact(std::iter::once(pattern), now);
        let Some(container) = key_of(target) else {
            return false;
        };
        let mut progress = self.progress.borrow_mut();
        let key = (pattern.to_owned(), container);
        if progress.len() >= PROGRESS_MAX && !progress.contains_key(&key) {
            let oldest = progress.iter().min_by_key(|(_, progress)| progress.came);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                progress.remove(&oldest);
            }
        }
        progress.insert(key, Progress { came: now, line });
        true
    }

    /// The last progress by this pattern of a container, by its id or its name.
    pub(crate) fn progress_of(
        &self,
        pattern: &str,
        container_id: &str,
        name: &str,
    ) -> Option<Progress> {
        let progress = self.progress.borrow();
        let by = |target: TargetRef| {
            let key = (pattern.to_owned(), key_of(&target)?);
            progress.get(&key).copied()
        };
        let by_id = by(TargetRef::Id(container_id.to_owned()));
        let by_name = by(TargetRef::Name(name.to_owned()));
        by_id
            .into_iter()
            .chain(by_name)
            .max_by_key(|last| last.came)
    }
}

impl Contact {
    fn is_over(self, now: Timestamp) -> bool {
        now.since(self.last) > CONTACT_MS_MAX
    }
}

/// A name may look like the beginning of an id, and is none.
fn key_of(target: &TargetRef) -> Option<String> {
    match target {
        TargetRef::Id(id) => Some(format!("#{}", id.get(..ID_LEN)?.to_ascii_lowercase())),
        TargetRef::Name(name) => Some(name.clone()),
        TargetRef::Pid(_) | TargetRef::Cgroup(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: WallTime = WallTime {
        secs: 1,
        nanos: None,
    };

    fn names(names: &[&str]) -> impl Iterator<Item = String> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.into_iter()
    }

    #[test]
    fn only_what_is_waited_for_is_remembered_over_a_reload() {
        let board = Board::default();
        assert!(!board.beat("job", Timestamp(1)));
        board.expect_beats(names(&["job"]));
        assert!(board.beat("job", Timestamp(2)) && !board.beat("other", Timestamp(2)));
        board.expect_beats(names(&["job", "other"]));
        assert_eq!(board.last_beat("job"), Some(Timestamp(2)));
        assert_eq!(board.last_beat("other"), None);
        board.expect_beats(names(&[]));
        assert_eq!(board.last_beat("job"), None);
    }

    #[test]
    fn progress_is_found_by_id_or_name_and_is_a_contact() {
        let board = Board::default();
        board.expect_progress(names(&["*"]));
        let id = "A5E0cf40f3ab".repeat(5);
        assert_eq!(board.contact_over("*", Timestamp(4)), None);
        assert!(board.progress(&TargetRef::Id(id.clone()), "*", LINE, Timestamp(5)));
        assert!(!board.progress(&TargetRef::Id(id.clone()), "batch", LINE, Timestamp(5)));
        let found = |id: &str, name: &str| board.progress_of("*", id, name).map(|last| last.came.0);
        assert_eq!(found(&id.to_lowercase(), "web"), Some(5));
        assert_eq!(found(&"b".repeat(64), "web"), None);
        assert!(board.progress(&TargetRef::Name("web".into()), "*", LINE, Timestamp(6)));
        assert_eq!(found(&"b".repeat(64), "web"), Some(6));
        let contact = Contact {
            first: Timestamp(5),
            last: Timestamp(6),
        };
        assert_eq!(board.contact_over("*", Timestamp(7)), Some(contact));
        // A container named like another's id is not that one.
        assert_eq!(found("web", "a5e0cf40f3ab"), None);
    }

    #[test]
    fn a_contact_goes_on_until_nobody_has_said_a_word_for_a_while() {
        let board = Board::default();
        board.expect_progress(names(&["batch"]));
        let contact = |now| {
            board.contact(std::iter::once("batch"), Timestamp(now));
            let contact = board.contact_over("batch", Timestamp(now));
            contact.map(|contact| (contact.first.0, contact.last.0))
        };
        let second = 1 + CONTACT_MS_MAX;
        assert_eq!(contact(1), Some((1, 1)));
        assert_eq!(contact(second), Some((1, second)));
        let over = second + CONTACT_MS_MAX + 1;
        assert!(board.contact_over("batch", Timestamp(over - 1)).is_some());
        assert!(board.contact_over("batch", Timestamp(over)).is_none());
        assert_eq!(contact(over), Some((over, over)));
    }

    #[test]
    fn a_flood_of_containers_is_forgotten_by_age() {
        let board = Board::default();
        board.expect_progress(names(&["*"]));
        for n in 0..=PROGRESS_MAX {
            let target = TargetRef::Name(format!("c{n}"));
            let at = u64::try_from(n).unwrap();
            assert!(board.progress(&target, "*", LINE, Timestamp(at)));
        }
        assert_eq!(board.progress.borrow().len(), PROGRESS_MAX);
        assert!(board.progress_of("*", "", "c0").is_none());
        assert!(board.progress_of("*", "", "c1").is_some());
    }
}
