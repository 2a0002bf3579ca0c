//! From a probe's results to what is told: pure, time is an argument.
//!
//! Keeps true:
//! - every start of the container is counted anew, and only what began after it;
//! - so many failures in a row fire and so many successes in a row clear, never one alone
//!   unless that is configured; a failure within the start period counts only after a success;
//! - what could not be tried is neither;
//! - one condition fires once, and again every [`AGAIN_AFTER`] while it goes on.

use policy::{Now, Timestamp};

use crate::config::Pace;
use crate::triggers::AGAIN_AFTER;
use crate::triggers::checks::verdict::{Start, Told, Verdict};

/// Beyond what a healthy container needs to be seen so: for a busy machine, milliseconds.
const MARGIN_MS: u64 = 10_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    pace: Pace,
    start: Option<Start>,
    /// On the policy's clock.
    start_period_ends: Timestamp,
    has_passed: bool,
    failures: u32,
    successes: u32,
    told: Told,
}

/// How long after a restart it may take until the probe has cleared, milliseconds.
pub(crate) fn clear_within_ms(pace: &Pace) -> u64 {
    let rounds = u64::from(pace.failures) + u64::from(pace.successes);
    pace.interval_ms
        .saturating_mul(rounds)
        .saturating_add(pace.start_period_ms)
        .saturating_add(pace.timeout_ms)
        .saturating_add(MARGIN_MS)
}

impl State {
    /// Nothing is known.
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            start: None,
            start_period_ends: Timestamp(0),
            has_passed: false,
            failures: 0,
            successes: 0,
            told: Told::default(),
        }
    }

    /// A result of this start of the container; `began` is when it was begun.
    pub(crate) fn take(&mut self, start: &Start, began: Now, passed: bool) -> Option<Verdict> {
        if self.start.as_ref() != Some(start) {
            self.begin(start, began);
        }
        match passed {
            true => self.pass(),
            false => self.fail(began),
        }
    }

    /// The container does not run, or is paused: nothing is in a row any more.
    pub(crate) fn sleep(&mut self) {
        self.failures = 0;
        self.successes = 0;
    }

    /// What was last returned could not be handed on: it will be returned again.
    pub(crate) fn untold(&mut self) {
        self.told.take_back();
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether it has fired and not cleared since.
    pub(crate) fn is_failing(&self) -> bool {
        self.told.is_failing()
    }

    /// Wall clocks are compared once: one that is set later changes nothing.
    fn begin(&mut self, start: &Start, now: Now) {
        let started_ms = start.started_at.secs.saturating_mul(1_000);
        let runs_for_ms = now.wall_ms.saturating_sub(started_ms);
        let left_ms = self.pace.start_period_ms.saturating_sub(runs_for_ms);
        *self = Self {
            start: Some(start.clone()),
            start_period_ends: now.at.plus(left_ms),
            ..Self::new(self.pace)
        };
    }

    fn pass(&mut self) -> Option<Verdict> {
        self.has_passed = true;
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        if self.successes < self.pace.successes {
            return None;
        }
        self.told.clear()
    }

    fn fail(&mut self, began: Now) -> Option<Verdict> {
        self.successes = 0;
        if !self.has_passed && began.at < self.start_period_ends {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < self.pace.failures {
            return None;
        }
        let is_due = self.told.fires_again_at(AGAIN_AFTER) <= began.at;
        is_due.then(|| self.told.fire(began.at))
    }
}

#[cfg(test)]
mod tests;
