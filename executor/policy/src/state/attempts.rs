//! Charges and what became of them.

use crate::{Call, Charge, Gate, Outcome, Timestamp, WallTime};

/// A charge with everything that followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Its intent ids live in [`super::Ids`], not here.
    pub(crate) charge: Charge,
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
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

/// The engine's answer is known; verification runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restarted {
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
    pub(crate) started_at: WallTime,
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
