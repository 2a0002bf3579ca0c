//! What every check's state is made of: a start, a verdict, and what was told of it. Pure.

use std::time::Duration;

use policy::{Timestamp, WallTime};

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

/// The last verdict of a start that was told, and the one before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    last: Last,
    before: Last,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Cleared,
    FiredAt(Timestamp),
}

impl Told {
    /// None where that was told last.
    pub(crate) fn clear(&mut self) -> Option<Verdict> {
        (self.last != Last::Cleared).then(|| {
            self.tell(Last::Cleared);
            Verdict::Cleared
        })
    }

    /// When it may fire again; in the past where it has not.
    pub(crate) fn fires_again_at(&self, after: Duration) -> Timestamp {
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        match self.last {
            Last::FiredAt(at) => at.plus(after_ms),
            Last::Nothing | Last::Cleared => Timestamp(0),
        }
    }

    /// Fires, whatever was told last.
    pub(crate) fn fire(&mut self, now: Timestamp) -> Verdict {
        self.tell(Last::FiredAt(now));
        Verdict::Fired
    }

    /// The last could not be told.
    pub(crate) fn take_back(&mut self) {
        self.last = self.before;
    }

    /// Whether the last is that it fired.
    pub(crate) fn is_failing(&self) -> bool {
        matches!(self.last, Last::FiredAt(_))
    }

    fn tell(&mut self, last: Last) {
        self.before = self.last;
        self.last = last;
    }
}
