//! What is remembered of one target.

use crate::{AttemptId, Timestamp, WallTime};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Target {
    /// Charges, oldest first.
    pub(crate) spent: Vec<Spent>,
    pub(crate) held: Option<Held>,
    pub(crate) pause: Option<Pause>,
    /// Charged, and the engine's answer is not known yet.
    pub(crate) in_progress: Option<AttemptId>,
    /// Restarted, and being watched.
    pub(crate) verified: Option<AttemptId>,
    /// Attempts in a row that did not cure.
    pub(crate) uncured: u32,
}

/// One charge as the limits count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
    /// None for one imported from the original's files.
    pub(crate) attempt: Option<AttemptId>,
    /// Of a dry run: counts for dry runs only.
    pub(crate) shadow: bool,
}

/// No restarts until a person says otherwise, or its verified health releases it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
    pub(crate) why: String,
    pub(crate) container_id: Option<String>,
    pub(crate) started_at: Option<WallTime>,
}

/// No restarts until it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
    /// None: until resumed.
    pub(crate) until: Option<Timestamp>,
    /// For people; may be empty.
    pub(crate) reason: String,
}

impl Pause {
    pub(crate) fn is_on(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Target {
    /// Charges that count: a dry run counts real ones and its own, a real
    /// decision real ones only.
    pub(crate) fn counting(&self, dry_run: bool) -> impl DoubleEndedIterator<Item = &Spent> {
        counting(&self.spent, dry_run)
    }

    pub(crate) fn is_paused(&self, now: Timestamp) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.is_on(now))
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// See [`Target::counting`].
pub(crate) fn counting(spent: &[Spent], dry_run: bool) -> impl DoubleEndedIterator<Item = &Spent> {
    spent.iter().filter(move |s| dry_run || !s.shadow)
}

/// Keeps `spent` in order of time; imported charges may come late.
pub(crate) fn insert(spent: &mut Vec<Spent>, new: Spent) {
    let index = spent.partition_point(|s| s.at <= new.at);
    spent.insert(index, new);
}
