//! The executor's answer to one intent.

use serde::{Deserialize, Serialize};

/// What the executor decided about one intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The intent's id; empty where the line was too broken to hold one.
    #[serde(default)]
    pub id: String,
    /// See [`Decision`].
    pub decision: Decision,
    /// The gate that refused or delayed, by its name in the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Figures for a person: `Cooldown active (45s < 300s)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The kinds of answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Charged; the restart is under way.
    Restart,
    /// Refused by time for now; decided again without a new line.
    Pending,
    /// A gate said no.
    Refused,
    /// Counted (remedy `note`).
    Noted,
    /// A person is told (remedy `escalate`).
    Escalated,
    /// Nothing could be made durable; send the same again later.
    Retry,
    /// The message itself is wrong and would be wrong again.
    Error,
}

impl Decision {
    /// All of them, in the order of the protocol's description.
    pub const ALL: [Self; 7] = [
        Self::Restart,
        Self::Pending,
        Self::Refused,
        Self::Noted,
        Self::Escalated,
        Self::Retry,
        Self::Error,
    ];

    /// The word on the wire and in metrics labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Pending => "pending",
            Self::Refused => "refused",
            Self::Noted => "noted",
            Self::Escalated => "escalated",
            Self::Retry => "retry",
            Self::Error => "error",
        }
    }
}
