//! What happened to targets beside attempts and refusals, for `healer history`:
//! holds, storms, pauses, and their ends.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::figures::{limit, with_reason};
use crate::{Entry, HAPPENED_MAX, Record};

/// Oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Happenings {
    newest_last: VecDeque<Happened>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// When, ms since the epoch.
    pub wall_ms: u64,
    /// Canonical name; empty where it is about all targets.
    pub target: String,
    /// `held`, `released`, `storm`, `storm over`, `paused`, `resumed`.
    pub what: String,
    /// For people.
    pub detail: String,
}

impl Happenings {
    /// Takes in an entry that is one.
    pub(crate) fn see(&mut self, record: &Record) {
        let all = || String::new();
        let (target, what, detail) = match &record.entry {
            Entry::Held { target, why, .. } => (target.clone(), "held", why.clone()),
            Entry::Released { target, by, .. } => (target.clone(), "released", by.clone()),
            Entry::Storm { why, .. } => (all(), "storm", why.clone()),
            Entry::StormEnded { by } => (all(), "storm over", by.clone()),
            Entry::Paused {
                target,
                until,
                reason,
            } => {
                let how_long = until.map_or("until `healer resume`".to_owned(), |until| {
                    format!("for {}", limit(until.since(record.at)))
                });
                let detail = with_reason(how_long, reason);
                (target.clone().unwrap_or_default(), "paused", detail)
            }
            Entry::Resumed { target } => (target.clone().unwrap_or_default(), "resumed", all()),
            _ => return,
        };
        self.push(Happened {
            wall_ms: record.wall_ms,
            target,
            what: what.to_owned(),
            detail,
        });
    }

    /// The whole of it, as it was kept.
    pub(crate) fn restore(&mut self, kept: &[Happened]) {
        self.newest_last = kept.iter().cloned().collect();
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Happened> {
        self.newest_last.iter()
    }

    fn push(&mut self, new: Happened) {
        self.newest_last.push_back(new);
        while self.newest_last.len() > HAPPENED_MAX {
            self.newest_last.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn the_newest_are_kept_and_other_entries_are_none_of_them() {
        let mut happenings = Happenings::default();
        for n in 0..=HAPPENED_MAX as u64 {
            for entry in [
                Entry::StormEnded { by: n.to_string() },
                Entry::FailClosedEnded,
            ] {
                happenings.see(&Record {
                    at: Timestamp(n),
                    wall_ms: n,
                    entry,
                });
            }
        }
        let kept: Vec<u64> = happenings.iter().map(|h| h.wall_ms).collect();
        assert_eq!(kept, (1..=HAPPENED_MAX as u64).collect::<Vec<_>>());
    }
}
