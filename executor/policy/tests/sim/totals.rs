//! What was seen over all seeds: a simulation in which something never happens
//! shows nothing about it.

use std::collections::BTreeMap;

/// What was seen over all seeds; each must be above zero.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    seen: BTreeMap<&'static str, u64>,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        for (what, n) in &other.seen {
            *self.seen.entry(what).or_default() += n;
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    pub(crate) fn assert_all_seen(&self) {
        let all = [
            "charge",
            "shadow",
            "restart",
            "start",
            "died",
            "power cut",
            "disk",
            "pending",
            "renewed",
            "ended",
            "retry",
            "repeat",
            "recovered",
            "relapsed",
            "failed",
            "aborted",
            "unknown",
            "held",
            "well again",
            "storm",
            "all clear",
            "queued",
            "old facts",
            "no facts",
            "served",
        ];
        for what in all {
            assert!(self.seen.contains_key(what), "never seen: {what}: {self:?}");
        }
    }
}
