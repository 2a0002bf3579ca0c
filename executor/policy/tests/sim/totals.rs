//! What was seen over all seeds: a simulation in which something never happens
//! shows nothing about it.

use std::collections::BTreeMap;
use std::time::Duration;

/// What was seen over all seeds; each must be above zero.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    /// How often a policy was asked for a step.
    pub(crate) steps: u64,
    /// The policy's own time, with its entries applied, ns.
    pub(crate) policy_ns: u64,
    /// Of all threads together.
    pub(crate) busy: Duration,
    seen: BTreeMap<&'static str, u64>,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.policy_ns += other.policy_ns;
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

    /// So long by the clock, and so long on a core (0: not known): whoever shares
    /// the machine has taken the rest, from the policy as from all else.
    pub(crate) fn took(&mut self, by_clock: Duration, on_core: Duration) {
        self.busy = by_clock;
        if !on_core.is_zero() {
            let share = on_core.as_secs_f64() / by_clock.as_secs_f64();
            self.busy = on_core;
            self.policy_ns = (self.policy_ns as f64 * share.min(1.0)) as u64;
        }
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
        let own = self.policy_ns as f64 / 1e9;
        println!(
            "the policy itself: {own:.2} s, {:.0} steps/s on one core",
            self.steps as f64 / own
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
            "exec",
            "stop",
            "stopped",
            "command done",
            "command unclear",
            "next measure",
            "waits for a parent",
            "reload",
            "parent unseen",
            "parent done",
            "end unseen",
            "told of an unseen end",
            "asked to end",
            "waits for a stop",
        ];
        for what in all {
            assert!(self.seen.contains_key(what), "never seen: {what}: {self:?}");
        }
    }
}
