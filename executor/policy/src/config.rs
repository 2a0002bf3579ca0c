//! The settings that decisions depend on, already checked and in milliseconds.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Remedies, Remedy, RuleRemedy, Sign, Window};

/// Limits of one target, or of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Least time between two charges of a target.
    pub cooldown_ms: u64,
    /// The span in which `max_per_window` counts.
    pub window_ms: u64,
    /// Most charges of a target in any window; 1 or more.
    pub max_per_window: u32,
}

/// How attempts of one target are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// How long it has to run undisturbed before it counts as recovered.
    pub stable_for_ms: u64,
    /// The cooldown's factor after an attempt that did not cure.
    pub backoff: f64Milli,
    /// Its ceiling.
    pub cooldown_max_ms: u64,
    /// Attempts without recovery after which the target is held.
    pub max_attempts: u32,
    /// How long a held target has to be well before it is released by itself;
    /// 0 = never.
    pub release_after_ms: u64,
    /// How long a container is given after a measure before anything but its end and
    /// another match counts against it, milliseconds.
    pub start_delay_ms: u64,
}

/// A factor in thousandths (2,000 = twice), so that decisions stay exact.
#[allow(non_camel_case_types)]
pub type f64Milli = u32;

/// When all restarts stop: the host's fault, not the containers'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StormLimits {
    /// So many attempts in a row that did not cure, of two targets or more;
    /// 0 = never.
    pub attempts: u32,
    /// One rule called for a restart of so many targets within `within_ms`;
    /// 0 = never.
    pub targets: u32,
    /// See `targets`.
    pub within_ms: u64,
    /// No match for so long, and it is over.
    pub quiet_ms: u64,
}

/// What a refusal by time leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// Decided again when the time has come.
    Pending,
    /// Skipped, as the original did.
    Drop,
}

/// One target as listed in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetConfig {
    /// Listed and not switched off.
    pub enabled: bool,
    /// Never restarted.
    pub protected: bool,
    /// Decide and record, do not act.
    pub dry_run: bool,
    /// Its limits.
    pub limits: Limits,
    /// How its attempts are judged.
    pub recovery: Recovery,
    /// What is done about its matches.
    pub remedies: Remedies,
    /// Canonical names of the containers that it needs.
    pub depends_on: BTreeSet<String>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// For targets enabled by a label only.
    pub defaults: TargetConfig,
    /// By canonical name.
    pub targets: BTreeMap<String, TargetConfig>,
    /// Labels may loosen limits too, not only tighten them.
    pub labels_may_loosen: bool,
    /// See [`OnRefusal`].
    pub on_refusal: OnRefusal,
    /// Intents whose newest line is older on arrival are `stale`.
    pub max_age_ms: u64,
    /// How long a target stays pending; none = the largest limit in force plus 15 min.
    pub pending_max_ms: Option<u64>,
    /// Most attempts over all targets in `host_window_ms`.
    pub host_max: u32,
    /// See `host_max`.
    pub host_window_ms: u64,
    /// See [`StormLimits`].
    pub storm: StormLimits,
    /// Most calls to Docker's restart under way at once.
    pub attempts_parallel: u32,
    /// Dry run for everything.
    pub dry_run: bool,
    /// Dry run for the matches of these rules.
    pub shadow_rules: BTreeSet<String>,
    /// Targets that a person keeps stopped by a marker file, by canonical name;
    /// see [`crate::Policy::set_stopped`].
    pub stopped: BTreeSet<String>,
    /// Maintenance windows, some days ahead; see [`crate::Policy::set_windows`].
    pub windows: Vec<Window>,
}

impl Config {
    /// The settings of a target by its canonical name.
    pub fn target(&self, name: &str) -> &TargetConfig {
        self.targets.get(name).unwrap_or(&self.defaults)
    }

    /// What a match of `rule` calls for at a target; `own` is what the rule says itself.
    pub fn remedy(&self, target: &str, rule: &str, own: RuleRemedy, sign: Sign) -> Remedy {
        self.target(target).remedies.of(rule, own, sign)
    }

    /// Whether a match of `rule` at a target is run dry; a label may say so, too.
    pub(crate) fn is_dry(&self, target: &str, rule: &str) -> bool {
        self.dry_run || self.target(target).dry_run || self.shadow_rules.contains(rule)
    }

    /// Whether a match of `rule` may call for something to be done, at any target.
    pub(crate) fn may_heal(&self, rule: &str, own: RuleRemedy, sign: Sign) -> bool {
        let heals =
            |t: &TargetConfig| matches!(t.remedies.by_rule.get(rule), Some(Remedy::Heal(_)));
        let may =
            own == RuleRemedy::Restart || self.targets.values().chain([&self.defaults]).any(heals);
        may && sign != Sign::EndedUnseen
    }

    /// Whether a match of `rule` calls for something to be done at every target.
    pub(crate) fn always_heals(&self, rule: &str, own: RuleRemedy, sign: Sign) -> bool {
        let heals = |t: &TargetConfig| t.remedies.of(rule, own, sign).kind().is_restart();
        self.targets.values().chain([&self.defaults]).all(heals)
    }

    /// The longest cooldown or window of any target or of the host, ms: after
    /// so long without a charge no configured limit remembers one.
    pub fn largest_limit_ms(&self) -> u64 {
        let targets = self.targets.values().chain([&self.defaults]);
        let largest = |t: &TargetConfig| {
            let grown_ms = t.limits.cooldown_ms.max(t.recovery.cooldown_max_ms);
            grown_ms.max(t.limits.window_ms)
        };
        targets
            .map(largest)
            .chain([self.host_window_ms])
            .max()
            .unwrap_or(0)
    }
}
