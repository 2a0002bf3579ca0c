//! The reasons not to restart now, in the order in which they are asked; the
//! first refusal wins.

use serde::{Deserialize, Serialize};

/// One gate. The order of the variants is the order of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Gate {
    UnknownRule,
    UnknownTarget,
    Protected,
    Orchestrated,
    NotEnabled,
    Stale,
    NotRunning,
    NotEnded,
    Maintenance,
    Held,
    InProgress,
    BelowThreshold,
    Unconfirmed,
    Dependency,
    Storm,
    Cooldown,
    Window,
    HostLimit,
    DryRun,
    /// Not one of the row: no fresh facts could be had in time.
    NoFacts,
}

impl Gate {
    /// All of them, in order.
    pub const ALL: [Self; 20] = [
        Self::UnknownRule,
        Self::UnknownTarget,
        Self::Protected,
        Self::Orchestrated,
        Self::NotEnabled,
        Self::Stale,
        Self::NotRunning,
        Self::NotEnded,
        Self::Maintenance,
        Self::Held,
        Self::InProgress,
        Self::BelowThreshold,
        Self::Unconfirmed,
        Self::Dependency,
        Self::Storm,
        Self::Cooldown,
        Self::Window,
        Self::HostLimit,
        Self::DryRun,
        Self::NoFacts,
    ];

    /// The name on the wire, in metrics and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownRule => "unknown-rule",
            Self::UnknownTarget => "unknown-target",
            Self::Protected => "protected",
            Self::Orchestrated => "orchestrated",
            Self::NotEnabled => "not-enabled",
            Self::Stale => "stale",
            Self::NotRunning => "not-running",
            Self::NotEnded => "not-ended",
            Self::Maintenance => "maintenance",
            Self::Held => "held",
            Self::InProgress => "in-progress",
            Self::BelowThreshold => "below-threshold",
            Self::Unconfirmed => "unconfirmed",
            Self::Dependency => "dependency",
            Self::Storm => "storm",
            Self::Cooldown => "cooldown",
            Self::Window => "window",
            Self::HostLimit => "host-limit",
            Self::DryRun => "dry-run",
            Self::NoFacts => "no-facts",
        }
    }
}
