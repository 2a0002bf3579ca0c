//! From a probe's results to what is told: pure, time is an argument.
//!
//! Keeps true:
//! - every start of the container is counted anew, and only what began after it;
//! - so many failures in a row fire and so many successes in a row clear, never one alone
//!   unless that is configured; a failure within the start period counts only after a success;
//! - what could not be tried is neither;
//! - one condition fires once, and again every [`AGAIN_AFTER`] while it goes on.

use policy::{Now, Timestamp, WallTime};

use crate::config::Pace;
use crate::triggers::AGAIN_AFTER;

/// Beyond what a healthy container needs to be seen so: for a busy machine, milliseconds.
const MARGIN_MS: u64 = 10_000;

/// One start of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    /// 64 hex digits.
    pub(crate) container_id: String,
    /// `State.StartedAt`.
    pub(crate) started_at: WallTime,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// See [`crate::triggers::Signal::Fired`].
    Fired,
    /// See [`crate::triggers::Signal::Cleared`].
    Cleared,
}

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
    told_before: Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Cleared,
    FiredAt(Timestamp),
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
            told: Told::Nothing,
            told_before: Told::Nothing,
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
        self.told = self.told_before;
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether it has fired and not cleared since.
    pub(crate) fn is_failing(&self) -> bool {
        matches!(self.told, Told::FiredAt(_))
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
        if self.successes < self.pace.successes || self.told == Told::Cleared {
            return None;
        }
        self.tell(Told::Cleared);
        Some(Verdict::Cleared)
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
        let again_after = u64::try_from(AGAIN_AFTER.as_millis()).unwrap_or(u64::MAX);
        if let Told::FiredAt(at) = self.told
            && began.at.since(at) < again_after
        {
            return None;
        }
        self.tell(Told::FiredAt(began.at));
        Some(Verdict::Fired)
    }

    fn tell(&mut self, told: Told) {
        self.told_before = self.told;
        self.told = told;
    }
}

#[cfg(test)]
mod tests;
