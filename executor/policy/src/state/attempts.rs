//! Charges and what became of them.

use crate::{Call, Charge, Exec, ExecEnd, Gate, Outcome, Timestamp, WallTime};

/// A charge with everything that followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Its intent ids live in [`super::Ids`], not here.
    pub(crate) charge: Charge,
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
    /// Which measure of the plan is under way, from 0, since when, and why it is not the
    /// first.
    pub(crate) step: usize,
    pub(crate) stepped: Option<Stepped>,
    /// Of that measure.
    pub(crate) sent: Vec<Sent>,
    pub(crate) restarted: Option<Restarted>,
    pub(crate) end: Option<End>,
}

/// A call was about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) call: Call,
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
}

/// See [`crate::Entry::NextMeasure`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stepped {
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
    pub(crate) why: String,
}

/// The measure is taken; verification runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restarted {
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
    /// Of the container that is watched.
    pub(crate) started_at: WallTime,
    /// By a command, which ended so: the container runs on as it did.
    pub(crate) by_exec: Option<ExecEnd>,
}

impl Restarted {
    /// A line from then on speaks against the cure.
    pub(crate) fn since(&self) -> WallTime {
        match self.by_exec {
            None => self.started_at,
            Some(_) => WallTime::from_ms(self.wall_ms),
        }
    }
}

impl Attempt {
    /// The call that takes the measure that is under way.
    pub(crate) fn call(&self) -> Call {
        self.charge.call(self.step)
    }

    /// The command that is under way.
    pub(crate) fn exec(&self) -> Option<&Exec> {
        self.charge.exec(self.step)
    }

    /// Whether a command is under way or being watched, and nothing else has been done.
    pub(crate) fn is_by_exec(&self) -> bool {
        self.exec().is_some() && self.restarted.is_none_or(|r| r.by_exec.is_some())
    }

    /// Since when the measure is under way.
    pub(crate) fn begun_at(&self) -> Timestamp {
        self.stepped.as_ref().map_or(self.at, |stepped| stepped.at)
    }
}

/// The one and only end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
    pub(crate) outcome: Outcome,
    pub(crate) gate: Option<Gate>,
    pub(crate) detail: String,
}
