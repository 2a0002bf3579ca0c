//! From what is heard, and when, to what is told: pure, time is an argument.
//!
//! Keeps true:
//! - silence counts from the container's start, as it was first seen, or from what was heard
//!   last; never over a time in which nothing could have been heard: then it begins anew;
//! - every start is judged anew;
//! - one silence fires once, and again every [`AGAIN_AFTER`] while it goes on.

use policy::{Timestamp, WallTime};

use crate::triggers::AGAIN_AFTER;
use crate::triggers::checks::verdict::{Start, Told, Verdict};

/// Beyond what a healthy container needs to be heard: for a busy machine, milliseconds.
const MARGIN_MS: u64 = 10_000;

/// How long it may be quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// From a start to what is heard first, milliseconds.
    pub(crate) first_ms: u64,
    /// From then on, milliseconds.
    pub(crate) then_ms: u64,
}

impl Limits {
    /// How long after a restart it may take until it has cleared, milliseconds.
    pub(crate) fn clear_within_ms(self) -> u64 {
        self.first_ms.saturating_add(MARGIN_MS)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    limits: Limits,
    start: Option<Start>,
    /// Begin of the silence.
    since: Timestamp,
    has_heard: bool,
    /// Whether anything that it says would be heard.
    listens: bool,
    /// It does not run, and is waited for all the same.
    is_absent: bool,
    told: Told,
}

impl State {
    /// Nothing is known.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            start: None,
            since: Timestamp(0),
            has_heard: false,
            listens: false,
            is_absent: false,
            told: Told::default(),
        }
    }

    /// It runs, and whatever it says is heard from now on.
    pub(crate) fn listen(&mut self, start: &Start, now: Timestamp) {
        let goes_on = std::mem::take(&mut self.is_absent) && self.listens;
        if goes_on {
            // What was waited for while it was down is waited for still.
            self.start = Some(start.clone());
        } else if !self.is_of(start) {
            *self = Self {
                start: Some(start.clone()),
                since: now,
                ..Self::new(self.limits)
            };
        } else if !self.listens {
            self.since = self.since.max(now);
        }
        self.listens = true;
    }

    /// Whether this is the start that was listened to last.
    pub(crate) fn is_of(&self, start: &Start) -> bool {
        self.start.as_ref() == Some(start)
    }

    /// It does not run, and what is waited for may come all the same: the silence goes on.
    /// `container_id` is empty where there is no such container.
    pub(crate) fn absent(&mut self, container_id: &str, now: Timestamp) {
        let started_at = self.start.as_ref().map(|start| start.started_at);
        if started_at.is_none() || !self.listens {
            self.since = self.since.max(now);
        }
        self.start = Some(Start {
            container_id: container_id.to_owned(),
            started_at: started_at.unwrap_or(WallTime {
                secs: 0,
                nanos: None,
            }),
        });
        self.is_absent = true;
        self.listens = true;
    }

    /// It does not run, or nobody would hear it.
    pub(crate) fn deaf(&mut self) {
        self.listens = false;
    }

    /// The start that is listened to; none while nothing is.
    pub(crate) fn listens_to(&self) -> Option<&Start> {
        self.start.as_ref().filter(|_| self.listens)
    }

    /// Whether this start has been heard.
    pub(crate) fn has_heard(&self) -> bool {
        self.has_heard
    }

    /// It has been heard, then.
    pub(crate) fn hear(&mut self, at: Timestamp) -> Option<Verdict> {
        if !self.listens {
            return None;
        }
        self.since = self.since.max(at);
        self.has_heard = true;
        self.told.clear()
    }

    /// When it has been silent for too long; none while nothing is listened to.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let silent = self.since.plus(self.limit_ms());
        let again = self.told.fires_again_at(AGAIN_AFTER);
        self.listens.then(|| silent.max(again))
    }

    /// Whether it has been.
    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<Verdict> {
        (self.due()? <= now).then(|| self.told.fire(now))
    }

    /// How long it has been silent, and how long it may be, milliseconds.
    pub(crate) fn figures(&self, now: Timestamp) -> (u64, u64) {
        (now.since(self.since), self.limit_ms())
    }

    /// See [`Limits::clear_within_ms`].
    pub(crate) fn clear_within_ms(&self) -> u64 {
        self.limits.clear_within_ms()
    }

    /// What was last returned could not be handed on: it will be returned again.
    pub(crate) fn untold(&mut self) {
        self.told.take_back();
    }

    /// Whether it has fired and not cleared since.
    pub(crate) fn is_failing(&self) -> bool {
        self.told.is_failing()
    }

    fn limit_ms(&self) -> u64 {
        match self.has_heard {
            true => self.limits.then_ms,
            false => self.limits.first_ms,
        }
    }
}

#[cfg(test)]
mod tests;
