//! What waits for a later decision, as the journal holds it.

use serde::{Deserialize, Serialize};

use crate::{Confirm, Gate, RuleRemedy, Sign, Timestamp, WallTime};

/// A target that waits for a later decision. One per key: the newest line wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Which.
    pub key: PendingKey,
    /// The gate that refused.
    pub gate: Gate,
    /// The rule of the newest line.
    pub rule: String,
    /// The newest line.
    pub line: WallTime,
    /// The container that printed it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// The intents that it answers (newest 64). None after a failed attempt,
    /// whose charge has answered them already.
    pub ids: Vec<String>,
    /// What the rule calls for.
    #[serde(default, skip_serializing_if = "RuleRemedy::is_restart")]
    pub remedy: RuleRemedy,
    /// The rule's threshold: (count, within_ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<(u32, u64)>,
    /// What has yet to confirm it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<Awaits>,
    /// What it stands on.
    #[serde(default, skip_serializing_if = "Sign::is_line")]
    pub sign: Sign,
    /// The key it had before the canonical name was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<PendingKey>,
    /// When to decide again.
    pub due: Timestamp,
    /// When to give up.
    pub expires: Timestamp,
}

/// A match that has to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaits {
    /// By what.
    #[serde(flatten)]
    pub confirm: Confirm,
    /// Until when.
    pub until: Timestamp,
}

/// Pending targets are keyed by canonical name; where no facts could be had
/// the name may not be known yet, and the reference on the wire stands in.
/// Beside it wait the matches that nothing has confirmed yet, each rule's apart,
/// and those of rules that are run dry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PendingKey {
    /// Canonical name.
    Target(String),
    /// A container id from the wire.
    Id(String),
    /// A rule's matches that have to be confirmed.
    Rule {
        /// Canonical name, or as the wire names it while that is unknown.
        target: String,
        /// The rule's name.
        rule: String,
    },
    /// Matches of rules that are run dry, by canonical name.
    Shadow(String),
}

impl Pending {
    /// When it is decided again at the latest.
    pub(crate) fn next(&self) -> Timestamp {
        let awaits = self
            .awaits
            .as_ref()
            .filter(|_| self.gate == Gate::Unconfirmed);
        awaits.map_or(self.due, |awaits| awaits.until)
    }
}

impl PendingKey {
    /// The name or the id.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Target(text) | Self::Id(text) | Self::Shadow(text) => text,
            Self::Rule { target, .. } => target,
        }
    }

    /// Whether it is of this target, by its canonical name.
    pub fn is_of(&self, name: &str) -> bool {
        !matches!(self, Self::Id(_)) && self.as_str() == name
    }
}
