//! What a `handle_*` method answers: entries to write, actions to perform.

use crate::{
    AttemptId, Call, Entry, Exec, ExecEnd, Gate, MeasureView, Outcome, PendingKey, Verdict,
};

/// See the crate's calling order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// To be written in order, before anything else happens.
    pub entries: Vec<Entry>,
    /// Fsync them, and all that was written before, ahead of the answer and the
    /// actions; also where there are no entries.
    pub durable: bool,
    /// The answer to the intent or request, where there is one.
    pub answer: Option<Decided>,
    /// To be performed in order, after the entries are written and applied.
    pub actions: Vec<Action>,
}

/// A decision with its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// As on the wire.
    pub verdict: Verdict,
    /// The refusing (or delaying) gate.
    pub gate: Option<Gate>,
    /// In the original's words where it had them:
    /// `Cooldown active (45s < 300s)`.
    pub detail: String,
    /// The attempt that was charged.
    pub attempt: Option<AttemptId>,
}

/// Something for the engine to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Inspect the container by `container_id`, afresh, then call
    /// [`crate::Policy::handle_attempt_look`].
    LookForAttempt {
        /// Whose.
        attempt: AttemptId,
        /// 64 hex digits.
        container_id: String,
    },
    /// Inspect the target afresh, then call [`crate::Policy::handle_pending_look`].
    LookForPending {
        /// Which.
        key: PendingKey,
    },
    /// Inspect the target by its name, afresh, then call
    /// [`crate::Policy::handle_target_look`].
    LookForTarget {
        /// Canonical name.
        target: String,
    },
    /// Make the call with a client time-out of `wait_ms`, then call
    /// [`crate::Policy::handle_called`].
    Call {
        /// Whose.
        attempt: AttemptId,
        /// Which.
        call: Call,
        /// 64 hex digits.
        container_id: String,
        /// The stop wait; for a command the time that it may run, and a margin.
        wait_ms: u64,
        /// For [`Call::Exec`]: the command.
        exec: Option<Exec>,
    },
    /// Tell people (log, counter, report files, later notifications).
    Tell(Event),
}

/// Something worth telling. The executor turns each into a log line and a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Event {
    /// `Restarting container '…' ...`
    Restarting {
        attempt: AttemptId,
        target: String,
        container_id: String,
    },
    /// `Restart complete.` With what the report files need.
    Restarted {
        attempt: AttemptId,
        target: String,
        container_id: String,
    },
    /// A command is about to be run, or the container to be stopped.
    Healing {
        attempt: AttemptId,
        target: String,
        container_id: String,
        measure: MeasureView,
    },
    /// A command's end.
    Executed {
        attempt: AttemptId,
        target: String,
        end: ExecEnd,
        /// The command's name.
        name: String,
        detail: String,
    },
    /// A measure did not cure: the next one of the same attempt.
    NextMeasure {
        attempt: AttemptId,
        target: String,
        measure: MeasureView,
        why: String,
    },
    /// An attempt's end.
    Ended {
        attempt: AttemptId,
        target: String,
        outcome: Outcome,
        detail: String,
    },
    /// An intent or request was decided (also each time it is pending anew).
    Decided {
        target: String,
        rule: String,
        decided: Decided,
        /// By a dry run of its rule, its target or of everything: it leads to nothing.
        dry: bool,
    },
    /// A pending target's end without a charge.
    PendingEnded {
        target: String,
        why: String,
        /// Given up: what it called for may still be needed.
        expired: bool,
        /// As in `Decided`, by the settings alone: its container's labels are not asked.
        dry: bool,
    },
    /// Remedy `escalate`; and whether the target is held by it.
    Escalated {
        target: String,
        rule: String,
        held: bool,
    },
    /// A target is down, by a trigger's word, and nobody saw how it ended: left to a person,
    /// nothing is held. Once for each end.
    EndedUnseen { target: String, rule: String },
    /// A target is held.
    Held {
        target: String,
        why: String,
        /// That is its remedy's own measure, [`crate::Measure::Escalate`].
        escalates: bool,
    },
    /// A held target is free again.
    Released { target: String, by: String },
    /// No more restarts of any target.
    Storm { why: String },
    /// That is over.
    StormEnded { by: String },
    /// A `healer.*` label of a container is ignored: not a value it can have,
    /// or it would loosen what the configuration does not let labels loosen.
    /// Told once per container, label and value while the executor runs.
    LabelIgnored {
        target: String,
        label: String,
        value: String,
        why: String,
    },
}

/// How a call to Docker went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// 2xx (or 304 for start): done, as far as the engine says.
    Done,
    /// The engine refused: status and its message.
    Refused {
        /// HTTP status.
        status: u16,
        /// The engine's own words, cut to 512 bytes.
        message: String,
    },
    /// A command was run and did not end well, or could not be run: nothing is under way.
    Failed {
        /// For people: `exit code 1`.
        why: String,
    },
    /// No answer, a broken one, or not in time: it may have happened or not.
    Unclear {
        /// For people.
        why: String,
    },
}
