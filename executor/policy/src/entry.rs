//! What the journal holds. The policy's state is a fold over these.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    ExecEnd, Gate, Happened, HeldBack, Limits, Measure, Pending, PendingKey, RuleRemedy, Sign,
    Timestamp, WallTime,
};

/// One journal entry with its times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The policy's clock when it was written.
    pub at: Timestamp,
    /// The wall clock then, milliseconds since the epoch.
    pub wall_ms: u64,
    /// See [`Entry`].
    #[serde(flatten)]
    pub entry: Entry,
}

/// An attempt's number: unique in a journal, ascending.
pub type AttemptId = u64;

/// Things that happened. Extend at will while version 1 has not been released;
/// a field added later needs a serde default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "e", rename_all = "kebab-case")]
pub enum Entry {
    /// Spends one restart of a target's budget, before the act. Durable.
    Charge(Charge),
    /// An API call is about to be made.
    Sent {
        /// Whose.
        attempt: AttemptId,
        /// Which.
        call: Call,
    },
    /// The engine's answer is known: the container runs anew. Verification begins.
    Restarted {
        /// Whose.
        attempt: AttemptId,
        /// The new `StartedAt`.
        started_at: WallTime,
    },
    /// A command's end is known, or that nobody will know it.
    Executed {
        /// Whose.
        attempt: AttemptId,
        /// How.
        end: ExecEnd,
    },
    /// A measure did not cure: the attempt goes on with the next one.
    NextMeasure {
        /// Whose.
        attempt: AttemptId,
        /// Its place in the plan, from 0.
        step: usize,
        /// For people: what came of the one before.
        why: String,
        /// What called for the attempt has matched again: that it was over meanwhile
        /// counts no more.
        #[serde(default, skip_serializing_if = "is_false")]
        refired: bool,
    },
    /// An attempt's one and only end.
    Outcome {
        /// Whose.
        attempt: AttemptId,
        /// Which.
        outcome: Outcome,
        /// The gate's name, for `aborted`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate: Option<Gate>,
        /// For people.
        detail: String,
    },
    /// A target becomes pending (durable), or its pending is renewed.
    Pending(Pending),
    /// A pending target's end, other than by a charge.
    PendingEnded {
        /// [`Pending::key`].
        key: PendingKey,
        /// For people: `recovered by itself`, `expired`.
        why: String,
        /// What its intents are answered with from now on.
        #[serde(default = "refused", skip_serializing_if = "is_refused")]
        decision: Verdict,
    },
    /// An intent was decided; sent again it is answered with its current state.
    Decided {
        /// The intent's id.
        id: String,
        /// The target's canonical name, empty where unknown.
        target: String,
        /// The container id on the wire, where the name is unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wire_id: Option<String>,
        /// The rule's name.
        rule: String,
        /// What it calls for.
        #[serde(default, skip_serializing_if = "RuleRemedy::is_restart")]
        remedy: RuleRemedy,
        /// As on the wire: `restart`, `pending`, `refused`, `noted`, `escalated`.
        decision: Verdict,
        /// The refusing gate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate: Option<Gate>,
        /// With figures.
        detail: String,
        /// The intent's newest line.
        line: WallTime,
        /// Counted towards the rule's threshold: (seconds since the epoch, matches).
        /// Empty where the rule has none.
        times: Vec<(u64, u32)>,
        /// The attempt that answers it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<AttemptId>,
        /// Of a rule or target that is run dry: nothing that is done for real
        /// depends on it.
        #[serde(default, skip_serializing_if = "is_false")]
        dry: bool,
    },
    /// No restarts of this target until a person says otherwise, or its verified
    /// health releases it.
    Held {
        /// Canonical name.
        target: String,
        /// For people.
        why: String,
        /// The container that it is about, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        container_id: Option<String>,
        /// Its `StartedAt` then: another one later is somebody's new start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started_at: Option<WallTime>,
    },
    /// A held target is free again.
    Released {
        /// Canonical name.
        target: String,
        /// `healer resume`, `marker`, or how it got well.
        by: String,
        /// Attempts in a row that did not cure and still count.
        #[serde(default, skip_serializing_if = "is_zero")]
        uncured: u32,
    },
    /// Restarts make it worse: none of any target until that is over. Durable.
    Storm {
        /// For people.
        why: String,
        /// Canonical names of those that are involved.
        targets: BTreeSet<String>,
    },
    /// It is over.
    StormEnded {
        /// `healer resume`, `marker`, `all clear`.
        by: String,
    },
    /// A pause began.
    Paused {
        /// Canonical name; none = all targets.
        target: Option<String>,
        /// Its end; none = until resumed.
        until: Option<Timestamp>,
        /// For people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// A pause ended.
    Resumed {
        /// Canonical name; none = all targets and every single pause.
        target: Option<String>,
    },
    /// A restart known from the original's report files, counted as a charge.
    Imported {
        /// Canonical name.
        target: String,
        /// When, on the policy's clock.
        restarted_at: Timestamp,
    },
    /// The journal was damaged: every target counts as spent until then.
    FailClosed {
        /// A full window after the damage was found.
        until: Timestamp,
        /// For people.
        why: String,
    },
    /// A person ended that.
    FailClosedEnded,
    /// A part of the state as compaction writes it; never written otherwise.
    Kept(Kept),
}

/// What only compaction writes: state that would else need the entries that
/// it was folded from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kept", rename_all = "kebab-case")]
pub enum Kept {
    /// An intent id and its current answer.
    Id {
        /// The intent's id.
        id: String,
        /// Forgotten from then on.
        until: Timestamp,
        /// Where the target is pending: which.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<PendingKey>,
        /// The current answer.
        decision: Verdict,
        /// Its gate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate: Option<Gate>,
        /// With figures.
        detail: String,
        /// The attempt that answers it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<AttemptId>,
    },
    /// Matches counted towards a threshold.
    Counts {
        /// Whose.
        key: PendingKey,
        /// The rule's name.
        rule: String,
        /// (seconds since the epoch, matches), ascending.
        times: Vec<(u64, u32)>,
    },
    /// Attempts in a row that did not cure.
    Uncured {
        /// Canonical name.
        target: String,
        /// How many.
        attempts: u32,
    },
    /// Attempts in a row over all targets that did not cure.
    StormUncured {
        /// (attempt, its target's canonical name), oldest first.
        attempts: Vec<(AttemptId, String)>,
    },
    /// When a rule last called for a restart of a target: this record's time.
    Called {
        /// Canonical name.
        target: String,
        /// The rule's name.
        rule: String,
    },
    /// The newest match in a storm: this record's time.
    StormMatch,
    /// Refusals of one kind, as `healer history` shows them.
    Refusals {
        /// The target's canonical name, or as the wire names it.
        target: String,
        /// The rule's name, empty for a person's request.
        rule: String,
        /// The refusing gate.
        gate: Option<Gate>,
        /// The newest one's figures.
        detail: String,
        /// How many in a row.
        count: u64,
    },
    /// What happened beside attempts and refusals, as `healer history` shows it.
    Happened {
        /// Oldest first.
        newest: Vec<Happened>,
    },
    /// What maintenance holds back.
    HeldBack {
        /// By name.
        targets: Vec<HeldBack>,
    },
    /// The rule that was last unknown.
    UnknownRule {
        /// Its name on the wire.
        rule: String,
    },
    /// The newest attempt's number, so that numbers are never used again.
    LastAttempt {
        /// See [`AttemptId`].
        attempt: AttemptId,
    },
}

/// See [`Entry::Charge`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Its number.
    pub attempt: AttemptId,
    /// The target's canonical name.
    pub target: String,
    /// 64 hex digits: the very container that was meant.
    pub container_id: String,
    /// Its `StartedAt` when the decision fell.
    pub started_at: WallTime,
    /// Why.
    pub cause: Cause,
    /// The limits in force for this request.
    pub limits: Limits,
    /// The container's stop timeout plus a margin: how long a restart call may take.
    pub stop_wait_ms: u64,
    /// What is to be done, in its order, fixed when it was charged: a reload of the
    /// settings does not change it under way. Empty: one restart (or start).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<Measure>,
    /// A dry run's shadow budget: nothing is done.
    #[serde(default)]
    pub shadow: bool,
    /// A dry run of the rule, not of the target: what is pending for real stays so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shadow_rule: bool,
}

impl Charge {
    /// The rule that called for it; empty for a person's request.
    pub(crate) fn rule(&self) -> &str {
        match &self.cause {
            Cause::Match { rule, .. } => rule,
            Cause::Person => "",
        }
    }
}

/// Why an attempt was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A match.
    Match {
        /// The rule's name.
        rule: String,
        /// The newest line.
        line: WallTime,
        /// The intents that it answers.
        ids: Vec<String>,
        /// What it stands on.
        #[serde(default, skip_serializing_if = "Sign::is_line")]
        sign: Sign,
    },
    /// A person or a script asked for it.
    Person,
}

/// An API call of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// `POST /containers/{id}/restart`
    Restart,
    /// `POST /containers/{id}/start`: what ended by itself, and what our own restart
    /// stopped, which must not stay down.
    Start,
    /// `POST /containers/{id}/stop`
    Stop,
    /// `POST /containers/{id}/exec` and what follows.
    Exec,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It ran, healthy if it has a check, for `stable_for`.
    Recovered,
    /// It matched again, fell over or became unhealthy while being watched.
    Relapsed,
    /// The engine would not restart it.
    Failed,
    /// Not done: facts changed, or the container went.
    Aborted,
    /// Nobody knows; the target is held where it may be down.
    Unknown,
    /// It was to be stopped, and is; the target is held.
    Stopped,
}

impl Cause {
    /// What it stands on, where it is a match.
    pub(crate) fn sign(&self) -> Sign {
        match self {
            Self::Match { sign, .. } => *sign,
            Self::Person => Sign::Line,
        }
    }

    /// The rule's name, where it is a match.
    pub(crate) fn rule(&self) -> Option<&str> {
        match self {
            Self::Match { rule, .. } => Some(rule),
            Self::Person => None,
        }
    }
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Recovered,
        Self::Relapsed,
        Self::Failed,
        Self::Aborted,
        Self::Unknown,
        Self::Stopped,
    ];

    /// The name in metrics and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Relapsed => "relapsed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
            Self::Stopped => "stopped",
        }
    }
}

/// A decision, as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Charged.
    Restart,
    /// Decided again later.
    Pending,
    /// A gate said no.
    Refused,
    /// Counted.
    Noted,
    /// A person is told.
    Escalated,
}

fn refused() -> Verdict {
    Verdict::Refused
}

fn is_refused(verdict: &Verdict) -> bool {
    *verdict == Verdict::Refused
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}
