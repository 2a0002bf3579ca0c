//! Every gate a small function of one [`Ask`]; the row of them is data, so the
//! order stands in one place and can be tested as such.
//!
//! No gate changes anything, and none knows who asks after it.

mod budget;
mod confirm;
mod dependency;
mod identity;
mod liveness;
mod people;
mod storm;
mod threshold;

use crate::labels::Settings;
use crate::state::{State, Target};
use crate::{
    AttemptId, Awaits, Config, Facts, Gate, Limits, Now, PendingKey, RuleRemedy, Sign, Timestamp,
    WallTime,
};

pub(crate) use liveness::too_old;
pub(crate) use people::{held_because, in_progress_with};
pub(crate) use storm::storm_because;

/// One refusal with its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) gate: Gate,
    pub(crate) detail: String,
    /// Where it is a refusal by time: when to ask again.
    pub(crate) until: Option<Timestamp>,
}

impl Refusal {
    /// For good, as long as nothing changes.
    pub(crate) fn new(gate: Gate, detail: impl Into<String>) -> Self {
        Self {
            gate,
            detail: detail.into(),
            until: None,
        }
    }

    /// By time.
    pub(crate) fn until(self, until: Timestamp) -> Self {
        Self {
            until: Some(until),
            ..self
        }
    }
}

/// Who asks for a restart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who<'a> {
    Match(Matched<'a>),
    Person,
}

impl<'a> Who<'a> {
    /// A match's.
    pub(crate) fn rule(&self) -> Option<&'a str> {
        match self {
            Self::Match(matched) => Some(matched.rule),
            Self::Person => None,
        }
    }
}

/// What a match brings along.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matched<'a> {
    pub(crate) rule: &'a str,
    pub(crate) remedy: RuleRemedy,
    /// The newest line; never after its arrival.
    pub(crate) line: WallTime,
    pub(crate) threshold: Option<(u32, u64)>,
    /// What has to confirm it.
    pub(crate) awaits: Option<&'a Awaits>,
    /// What it stands on.
    pub(crate) sign: Sign,
    /// Not counted yet.
    pub(crate) times: &'a [(u64, u32)],
    /// Where its earlier matches were counted, if not under the name.
    pub(crate) counted_as: Option<&'a PendingKey>,
    /// Its age is judged once, on arrival.
    pub(crate) is_arrival: bool,
    /// No gate behind `unconfirmed` has been asked for it before.
    pub(crate) is_news: bool,
}

/// Everything that a gate may look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) config: &'a Config,
    pub(crate) state: &'a State,
    pub(crate) now: Now,
    pub(crate) who: Who<'a>,
    pub(crate) facts: &'a Facts,
    pub(crate) settings: &'a Settings,
    /// The container id on the wire.
    pub(crate) wire_id: Option<&'a str>,
    /// In force for this request.
    pub(crate) limits: Limits,
    /// Attempts in a row that did not cure, by which they have grown.
    pub(crate) uncured: u32,
    /// The attempt that asks, before it acts: not in its own way.
    pub(crate) attempt: Option<AttemptId>,
}

impl Ask<'_> {
    pub(crate) fn target(&self) -> Option<&Target> {
        self.state.target(&self.facts.name)
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.settings.dry_run || self.is_shadow_rule()
    }

    /// A dry run because of the rule alone.
    pub(crate) fn is_shadow_rule(&self) -> bool {
        let Who::Match(matched) = self.who else {
            return false;
        };
        !self.settings.dry_run && self.config.shadow_rules.contains(matched.rule)
    }
}

type Asked = fn(&Ask<'_>) -> Option<Refusal>;

/// The row from the facts on; `unknown-rule` and `unknown-target` come before
/// there are any.
const ROW: [(Gate, Asked); 17] = [
    (Gate::Protected, identity::protected),
    (Gate::Orchestrated, identity::orchestrated),
    (Gate::NotEnabled, identity::not_enabled),
    (Gate::Stale, liveness::stale),
    (Gate::NotRunning, liveness::not_running),
    (Gate::NotEnded, liveness::not_ended),
    (Gate::Maintenance, people::maintenance),
    (Gate::Held, people::held),
    (Gate::InProgress, people::in_progress),
    (Gate::BelowThreshold, threshold::below_threshold),
    (Gate::Unconfirmed, confirm::unconfirmed),
    (Gate::Dependency, dependency::dependency),
    (Gate::Storm, storm::storm),
    (Gate::Cooldown, budget::cooldown),
    (Gate::Window, budget::window),
    (Gate::HostLimit, budget::host_limit),
    (Gate::DryRun, budget::dry_run),
];

/// Asks the gates from `first` to `last`, both included; the first refusal wins.
pub(crate) fn ask(ask: &Ask<'_>, first: Gate, last: Gate) -> Option<Refusal> {
    ROW.iter()
        .filter(|(gate, _)| (first..=last).contains(gate))
        .find_map(|(_, asked)| asked(ask))
}

/// The gates that are asked anew just before a restart call: everything that a
/// person or Docker can have changed since the charge, its parents included, and a storm.
pub(crate) fn ask_before_acting(asking: &Ask<'_>) -> Option<Refusal> {
    ask(asking, Gate::Protected, Gate::Held)
        .or_else(|| dependency::dependency(asking))
        .or_else(|| storm::storm(asking))
        .or_else(|| budget::dry_run(asking))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_is_in_the_order_of_the_gates() {
        let row: Vec<Gate> = ROW.iter().map(|(gate, _)| *gate).collect();
        assert_eq!(row, Gate::ALL[2..19]);
        assert!(row.is_sorted());
    }
}
