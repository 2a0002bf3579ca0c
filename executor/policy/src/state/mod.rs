//! The state: a fold over journal records, and nothing else. Two policies that
//! applied the same records are equal, whatever their transient bookkeeping.

mod attempts;
mod counts;
mod fold;
mod happened;
mod held_back;
mod ids;
mod kept;
mod refusals;
mod said;
mod storm;
mod targets;

use std::collections::BTreeMap;

pub(crate) use attempts::{Attempt, End, Restarted, Sent, Stepped};
pub(crate) use counts::{Counted, most_within};
pub use happened::Happened;
pub(crate) use happened::Happenings;
pub(crate) use held_back::AllHeldBack;
pub use held_back::HeldBack;
pub(crate) use ids::{Ids, Known};
pub(crate) use refusals::{Refusal1, Refusals};
pub(crate) use storm::{Storm, Storms};
pub(crate) use targets::{Held, Pause, Spent, Target, counting};

use crate::{AttemptId, Pending, PendingKey, Timestamp};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// Open ones, and finished ones while they are kept.
    pub(crate) attempts: BTreeMap<AttemptId, Attempt>,
    /// The newest attempt's number; 0 before the first.
    pub(crate) last_attempt: AttemptId,
    /// Targets with anything to remember, by canonical name.
    pub(crate) targets: BTreeMap<String, Target>,
    /// Charges over all targets, oldest first: for the host's limit.
    pub(crate) host: Vec<Spent>,
    pub(crate) pendings: BTreeMap<PendingKey, Pending>,
    pub(crate) ids: Ids,
    pub(crate) counted: Counted,
    /// Everything is paused.
    pub(crate) pause: Option<Pause>,
    pub(crate) fail_closed: Option<FailClosed>,
    pub(crate) refusals: Refusals,
    pub(crate) storms: Storms,
    pub(crate) happenings: Happenings,
    /// What maintenance holds back.
    pub(crate) held_back: AllHeldBack,
    /// When an unknown rule was last named, and which.
    pub(crate) unknown_rule: Option<(Timestamp, String)>,
}

/// See [`crate::Entry::FailClosed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailClosed {
    pub(crate) at: Timestamp,
    pub(crate) wall_ms: u64,
    pub(crate) until: Timestamp,
    pub(crate) why: String,
}

impl State {
    pub(crate) fn target(&self, name: &str) -> Option<&Target> {
        self.targets.get(name)
    }

    /// An attempt that has not ended.
    pub(crate) fn open(&self, id: AttemptId) -> Option<&Attempt> {
        self.attempts.get(&id).filter(|a| a.end.is_none())
    }

    pub(crate) fn open_attempts(&self) -> impl Iterator<Item = (AttemptId, &Attempt)> {
        self.targets
            .values()
            .flat_map(|target| [target.in_progress, target.verified])
            .flatten()
            .filter_map(|id| Some((id, self.open(id)?)))
    }
}
