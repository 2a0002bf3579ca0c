//! The configuration as written: every key optional, unknown keys refused.
//! What it means, and which values are allowed, is `resolve`'s part.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use policy::OnRefusal;
use serde::Deserialize;

use super::beats::BeatsSection;
use super::checks::{ActivitySection, ProbeSection, SilenceSection};
use super::maintenance::MaintenanceSection;
use super::notify::NotifierSection;
use super::remedies::{ActionSection, RemediesSection};
use super::unfinished::UnfinishedSection;
use super::values::{Factor, Millis, Mode, OrOff, duration_or_off, text};
use super::{Died, LogFormat, LogLevel};

/// `healer.toml`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ConfigFile {
    pub(super) rules: Option<String>,
    pub(super) dry_run: Option<bool>,
    pub(super) intents_socket: Option<PathBuf>,
    #[serde(deserialize_with = "text")]
    pub(super) intents_mode: Option<Mode>,
    pub(super) intents_group: Option<String>,
    pub(super) admin_socket: Option<PathBuf>,
    pub(super) docker_socket: Option<String>,
    pub(super) state_dir: Option<PathBuf>,
    #[serde(deserialize_with = "text")]
    pub(super) report_dir: Option<OrOff<PathBuf>>,
    pub(super) procfs: Option<PathBuf>,
    pub(super) kernel_records: Option<bool>,
    pub(super) shutdown_grace: Option<Millis>,
    pub(super) http: HttpSection,
    pub(super) beats: BeatsSection,
    pub(super) log: LogSection,
    pub(super) reports: ReportsSection,
    pub(super) evidence: EvidenceSection,
    pub(super) policy: PolicySection,
    pub(super) defaults: DefaultsSection,
    pub(super) actions: BTreeMap<String, ActionSection>,
    pub(super) targets: BTreeMap<String, TargetSection>,
    pub(super) maintenance: Vec<MaintenanceSection>,
    pub(super) notify: BTreeMap<String, NotifierSection>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HttpSection {
    #[serde(deserialize_with = "text")]
    pub(super) listen: Option<OrOff<SocketAddr>>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogSection {
    #[serde(deserialize_with = "text")]
    pub(super) format: Option<LogFormat>,
    #[serde(deserialize_with = "text")]
    pub(super) level: Option<LogLevel>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ReportsSection {
    pub(super) rotate_bytes: Option<u64>,
    pub(super) rotated_files: Option<u32>,
    pub(super) marker_keep: Option<Millis>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EvidenceSection {
    #[serde(deserialize_with = "duration_or_off")]
    pub(super) keep: Option<OrOff<Millis>>,
    pub(super) log_lines: Option<u32>,
}

/// What holds for all targets together.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PolicySection {
    pub(super) max_age: Option<Millis>,
    pub(super) pending_max: Option<Millis>,
    #[serde(deserialize_with = "text")]
    pub(super) on_refusal: Option<OnRefusal>,
    pub(super) host_max: Option<u32>,
    pub(super) host_window: Option<Millis>,
    pub(super) attempts_parallel: Option<u32>,
    pub(super) storm_attempts: Option<u32>,
    pub(super) storm_targets: Option<u32>,
    pub(super) storm_within: Option<Millis>,
    pub(super) storm_quiet: Option<Millis>,
    pub(super) shadow_rules: Option<String>,
    pub(super) labels_may_loosen: Option<bool>,
}

/// The limits of each target that does not state its own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DefaultsSection {
    pub(super) cooldown: Option<Millis>,
    pub(super) window: Option<Millis>,
    pub(super) max_per_window: Option<u32>,
    pub(super) stable_for: Option<Millis>,
    pub(super) backoff: Option<Factor>,
    pub(super) cooldown_max: Option<Millis>,
    pub(super) max_attempts: Option<u32>,
    pub(super) release_after: Option<Millis>,
    pub(super) start_delay: Option<Millis>,
    pub(super) stop_timeout: Option<Millis>,
    pub(super) unhealthy_checks: Option<u32>,
    #[serde(deserialize_with = "text")]
    pub(super) died: Option<Died>,
    pub(super) oom_killed: Option<bool>,
    pub(super) crash_loop_starts: Option<u32>,
    pub(super) crash_loop_within: Option<Millis>,
    pub(super) remedies: RemediesSection,
}

/// `[targets.NAME]`: the same, three switches, and what is checked of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TargetSection {
    pub(super) enabled: Option<bool>,
    pub(super) protect: Option<bool>,
    pub(super) dry_run: Option<bool>,
    pub(super) cooldown: Option<Millis>,
    pub(super) window: Option<Millis>,
    pub(super) max_per_window: Option<u32>,
    pub(super) stable_for: Option<Millis>,
    pub(super) backoff: Option<Factor>,
    pub(super) cooldown_max: Option<Millis>,
    pub(super) max_attempts: Option<u32>,
    pub(super) release_after: Option<Millis>,
    pub(super) start_delay: Option<Millis>,
    pub(super) stop_timeout: Option<Millis>,
    pub(super) unhealthy_checks: Option<u32>,
    #[serde(deserialize_with = "text")]
    pub(super) died: Option<Died>,
    pub(super) oom_killed: Option<bool>,
    pub(super) crash_loop_starts: Option<u32>,
    pub(super) crash_loop_within: Option<Millis>,
    pub(super) probes: Vec<ProbeSection>,
    pub(super) silence: Option<SilenceSection>,
    pub(super) activity: Option<ActivitySection>,
    pub(super) unfinished: Option<UnfinishedSection>,
    pub(super) depends_on: Vec<String>,
    pub(super) remedies: RemediesSection,
}

impl TargetSection {
    /// The limits alone, in the shape that they share with `[defaults]`.
    pub(super) fn limits(&self) -> DefaultsSection {
        DefaultsSection {
            cooldown: self.cooldown,
            window: self.window,
            max_per_window: self.max_per_window,
            stable_for: self.stable_for,
            backoff: self.backoff,
            cooldown_max: self.cooldown_max,
            max_attempts: self.max_attempts,
            release_after: self.release_after,
            start_delay: self.start_delay,
            stop_timeout: self.stop_timeout,
            unhealthy_checks: self.unhealthy_checks,
            died: self.died,
            oom_killed: self.oom_killed,
            crash_loop_starts: self.crash_loop_starts,
            crash_loop_within: self.crash_loop_within,
            remedies: RemediesSection::new(),
        }
    }
}
