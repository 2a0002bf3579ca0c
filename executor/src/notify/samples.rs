//! The newest log line of each of the last targets, for notifiers that may have
//! it: it comes with an intent, and is told with a later step.

use std::collections::{BTreeMap, VecDeque};

/// Targets whose line is kept.
const TARGETS_MAX: usize = 64;

/// At most 64 lines of at most 4 KiB, which is the protocol's limit.
#[derive(Debug, Default)]
pub(super) struct Samples {
    lines: BTreeMap<String, String>,
    /// Least lately told first.
    order: VecDeque<String>,
}

impl Samples {
    pub(super) fn remember(&mut self, target: &str, sample: &str) {
        self.order.retain(|known| known != target);
        if sample.is_empty() {
            self.lines.remove(target);
            return;
        }
        self.order.push_back(target.to_owned());
        self.lines.insert(target.to_owned(), sample.to_owned());
        if self.order.len() > TARGETS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.lines.remove(&oldest);
        }
    }

    /// Those whose key begins so.
    pub(super) fn forget(&mut self, start: &str) {
        self.order.retain(|known| !known.starts_with(start));
        self.lines.retain(|known, _| !known.starts_with(start));
    }

    pub(super) fn of(&self, target: &str) -> Option<String> {
        self.lines.get(target).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_line_of_the_last_targets_is_kept() {
        let mut samples = Samples::default();
        for n in 0..TARGETS_MAX {
            samples.remember(&format!("t{n}"), "old");
        }
        samples.remember("t0", "new");
        samples.remember("more", "line");
        assert_eq!(samples.of("t0").as_deref(), Some("new"));
        assert_eq!(samples.of("t1"), None, "the one least lately told has gone");
        assert_eq!(samples.of("t2").as_deref(), Some("old"));
        assert_eq!(samples.lines.len(), TARGETS_MAX);
        assert_eq!(samples.order.len(), TARGETS_MAX);
        samples.remember("t0", "");
        assert_eq!(samples.of("t0"), None, "the newest match had none");
        assert_eq!(samples.order.len(), TARGETS_MAX - 1);
    }
}
