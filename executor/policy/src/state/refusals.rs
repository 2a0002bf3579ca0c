//! The newest refusals, for `healer history`. Like ones in a row are one with a
//! count, so that a storm does not push everything else out.

use std::collections::VecDeque;

use crate::{Gate, REFUSALS_MAX, Timestamp};

/// Oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Refusals {
    newest_last: VecDeque<Refusal1>,
}

/// One kind of refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal1 {
    /// Of the newest.
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
    pub(crate) target: String,
    /// Empty for a person's request.
    pub(crate) rule: String,
    pub(crate) gate: Option<Gate>,
    pub(crate) detail: String,
    pub(crate) count: u64,
}

/// How far back a like one is looked for.
const LIKE_WITHIN: usize = 32;

impl Refusals {
    /// Adds one, or counts it to a like one among the newest.
    pub(crate) fn push(&mut self, new: Refusal1) {
        let like = |old: &Refusal1| {
            (&old.target, &old.rule, old.gate) == (&new.target, &new.rule, new.gate)
        };
        let from = self.newest_last.len().saturating_sub(LIKE_WITHIN);
        let found = (from..self.newest_last.len()).find(|&i| like(&self.newest_last[i]));
        let before = found.and_then(|i| self.newest_last.remove(i));
        let count = new.count + before.map_or(0, |old| old.count);
        self.restore(Refusal1 { count, ..new });
    }

    /// Adds one as it was kept.
    pub(crate) fn restore(&mut self, kept: Refusal1) {
        self.newest_last.push_back(kept);
        while self.newest_last.len() > REFUSALS_MAX {
            self.newest_last.pop_front();
        }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Refusal1> {
        self.newest_last.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(target: &str, gate: Gate, at: u64) -> Refusal1 {
        Refusal1 {
            at: Timestamp(at),
            wall_ms: at,
            target: target.into(),
            rule: "r".into(),
            gate: Some(gate),
            detail: at.to_string(),
            count: 1,
        }
    }

    #[test]
    fn like_ones_are_one_with_a_count_and_the_newest_figures() {
        let mut refusals = Refusals::default();
        refusals.push(one("a", Gate::Held, 1));
        refusals.push(one("b", Gate::Held, 2));
        refusals.push(one("a", Gate::Held, 3));
        refusals.push(one("a", Gate::Stale, 4));
        let seen: Vec<_> = refusals
            .iter()
            .map(|r| (&*r.target, r.count, &*r.detail))
            .collect();
        assert_eq!(seen, [("b", 1, "2"), ("a", 2, "3"), ("a", 1, "4")]);
    }

    #[test]
    fn beyond_the_limit_the_oldest_goes() {
        let mut refusals = Refusals::default();
        for n in 0..=REFUSALS_MAX as u64 {
            refusals.push(one(&n.to_string(), Gate::Held, n));
        }
        assert_eq!(refusals.iter().count(), REFUSALS_MAX);
        assert_eq!(refusals.iter().next().map(|r| &*r.target), Some("1"));
    }
}
