//! What was seen over all seeds: a simulation in which something never happens
//! shows nothing about it.

use std::collections::BTreeMap;
use std::time::Duration;

/// What was seen over all seeds; each must be above zero.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    /// How often a policy was asked for a step.
    pub(crate) steps: u64,
    /// Of all threads together.
    pub(crate) busy: Duration,
    seen: BTreeMap<&'static str, u64>,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.busy += other.busy;
        for (what, n) in &other.seen {
            *self.seen.entry(what).or_default() += n;
        }
    }

    pub(crate) fn count_many(&mut self, what: &'static str, times: u64) {
        if times > 0 {
            *self.seen.entry(what).or_default() += times;
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// For people: shown by `make simulate` and by a failure.
    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self, seeds: u64) {
        let seconds = self.busy.as_secs_f64();
        println!(
            "simulation: {seeds} seeds, {} policy steps, {seconds:.1} s of a core: {:.0} steps/s with \
             world and checks",
            self.steps,
            self.steps as f64 / seconds
        );
        for (what, n) in &self.seen {
            println!("  {n:>9} {what}");
        }
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
            "escalated",
            "noted",
            "crash",
            "damaged",
            "imported",
            "lost",
            "lied",
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
