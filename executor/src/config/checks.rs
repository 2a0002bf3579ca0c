//! What the executor itself checks of each target, as resolved: probes, silence, activity.
//!
//! How it is written is in `written`, what is allowed in `probe` and `quiet`.

mod probe;
mod quiet;
mod written;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use policy::RuleRemedy;

use super::bounds::Fault;
use super::file::TargetSection;
use crate::pattern::Pattern;
pub use probe::from_url;
pub(super) use written::{ActivitySection, ProbeSection, SilenceSection};

/// Most probes of one target.
pub const PROBES_MAX: usize = 16;

/// All checks, by the target's canonical name; those without any are not in it.
pub type Checks = BTreeMap<String, TargetChecks>;

/// The checks of one target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetChecks {
    /// At most [`PROBES_MAX`], their names distinct.
    pub probes: Vec<Probe>,
    /// None = it may be silent.
    pub silence: Option<Silence>,
    /// None = nobody has to send beats.
    pub activity: Option<Activity>,
}

/// One active probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Lower-case letters, digits and `-`; its rule is `probe-` and this.
    pub name: String,
    /// What is tried.
    pub kind: ProbeKind,
    /// How often, and what counts.
    pub pace: Pace,
    /// What a failure calls for.
    pub remedy: RuleRemedy,
}

/// When a probe is due, and how many results make a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From the beginning of one to the beginning of the next.
    pub interval_ms: u64,
    /// Longest time of one, at most the interval.
    pub timeout_ms: u64,
    /// So many in a row fire.
    pub failures: u32,
    /// So many in a row clear.
    pub successes: u32,
    /// Failures so soon after the container's start do not count, until one has passed.
    pub start_period_ms: u64,
}

/// See [`Probe::kind`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// Nothing is run in the container.
    Outside(Outside),
    /// A command in the container that exits with 0: an argument list, no shell.
    Exec(Vec<String>),
}

/// See [`ProbeKind::Outside`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outside {
    /// `GET` by the executor.
    Http(HttpProbe),
    /// A connection by the executor.
    Tcp(Endpoint),
    /// One of the container's processes has this in its command line.
    Process(Pattern),
}

impl ProbeKind {
    /// As the configuration calls it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Outside(Outside::Http(_)) => "http",
            Self::Outside(Outside::Tcp(_)) => "tcp",
            Self::Outside(Outside::Process(_)) => "process",
            Self::Exec(_) => "exec",
        }
    }
}

/// Where something listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, without brackets; none = the container's own address.
    pub host: Option<String>,
    /// 1 to 65535.
    pub port: u16,
}

/// See [`Outside::Http`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// Path and query, with its leading `/`.
    pub path: String,
    /// Statuses that pass.
    pub status: Vec<RangeInclusive<u16>>,
    /// Found in the first 64 KiB of the body; none = any body.
    pub body: Option<Pattern>,
    /// How many redirects are followed; where none are, 3xx is a status like another.
    pub redirects: u8,
}

/// A container that ought to print progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// What progress is; none = any output.
    pub pattern: Option<Pattern>,
    /// Longest time from the container's start to its first progress.
    pub first_ms: u64,
    /// Longest time from one progress to the next.
    pub then_ms: u64,
    /// Where its output is seen.
    pub source: OutputSource,
    /// What silence calls for.
    pub remedy: RuleRemedy,
}

/// See [`Silence::source`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputSource {
    /// The Engine's log stream, followed by the executor.
    Engine,
    /// Progress messages of the Fluent Bit plugin.
    Plugin,
}

/// A dead man's switch: somebody has to send beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Longest time from one beat to the next.
    pub within_ms: u64,
    /// Longest time from the start of container and executor to the first beat.
    pub start_period_ms: u64,
    /// What its lack calls for.
    pub remedy: RuleRemedy,
}

pub(super) fn resolve(targets: &BTreeMap<String, TargetSection>) -> Result<Checks, Fault> {
    let mut checks = Checks::new();
    for (name, written) in targets {
        let place = format!("targets.{name}");
        let own = TargetChecks {
            probes: probe::resolve(&place, &written.probes)?,
            silence: quiet::silence(&place, written.silence.as_ref())?,
            activity: quiet::activity(&place, written.activity.as_ref())?,
        };
        if own != TargetChecks::default() {
            checks.insert(name.clone(), own);
        }
    }
    Ok(checks)
}
