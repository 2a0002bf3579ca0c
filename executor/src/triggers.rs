//! What the executor itself sees of a container, beside log lines: each trigger watches one
//! thing and tells the engine, which treats it as a match like any other: the same gates,
//! limits, verification and history.
//!
//! Keeps true: a trigger decides nothing and restarts nothing; it says what it found, when,
//! and whether it is over. It speaks of one very container by its id, never by a name alone.
//!
//! A trigger fires once when its condition begins to hold, and again every [`AGAIN_AFTER`]
//! while it goes on to hold: a refusal for good (switched off, say) may be none by then.

mod board;
mod checks;
mod stops;
mod watch;

use std::time::Duration;

use policy::{RuleRemedy, Sign, WallTime};

pub use board::Board;
pub use checks::{Checks, Trial, Tried};
pub use stops::Stops;

/// Between two firings of one condition that goes on to hold.
pub const AGAIN_AFTER: Duration = Duration::from_secs(300);
/// Longest text of [`Fired::why`] and [`Fired::sample`], bytes.
pub const TEXT_BYTES_MAX: usize = 4_096;

pub(crate) use watch::watch;

/// What a trigger tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Its condition holds.
    Fired(Fired),
    /// Its condition does not hold, or no more: told when that begins to be so, and for the
    /// first time after each start of the container and of the executor.
    Cleared(Cleared),
}

/// See [`Signal::Fired`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// 64 hex digits.
    pub container_id: String,
    /// Its name, for people until the engine has looked.
    pub target: String,
    /// The trigger's name, as rules are named: `unhealthy`, `died`, `probe-api`. It never
    /// equals a rule's that comes over the socket: see [`is_reserved`].
    pub rule: String,
    /// What it calls for.
    pub remedy: RuleRemedy,
    /// What it stands on.
    pub sign: Sign,
    /// When it was found; for [`Sign::Ended`] and [`Sign::EndedUnseen`] the container's
    /// `FinishedAt`, to the nanosecond.
    pub found: WallTime,
    /// So many times it has fired for the same `found` before: each is a match of its own.
    pub round: u32,
    /// For people and the log: our own words and figures only, at most [`TEXT_BYTES_MAX`].
    pub why: String,
    /// What the container said, opaque: for evidence and notifications, never for the log.
    pub sample: String,
}

/// See [`Signal::Cleared`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    /// 64 hex digits.
    pub container_id: String,
    /// As in [`Fired::rule`].
    pub rule: String,
    /// When it was found.
    pub found: WallTime,
}

/// The container's own health check says unhealthy.
pub const UNHEALTHY: &str = "unhealthy";
/// The container has ended by itself and nothing brings it back.
pub const DIED: &str = "died";
/// The same, killed by the kernel for want of memory.
pub const OOM_KILLED: &str = "oom-killed";
/// It has ended and has left a file that says that its work is not done.
pub const UNFINISHED: &str = "unfinished";
/// Its own restart policy starts it again and again.
pub const CRASH_LOOP: &str = "crash-loop";
/// It shares the network of a container that has been started anew since.
pub const NETWORK_LOST: &str = "network-lost";
/// It ought to print progress and has not.
pub const SILENT: &str = "silent";
/// It ought to send a beat and has not.
pub const NO_BEAT: &str = "no-beat";
/// Before the name of a probe.
pub const PROBE_PREFIX: &str = "probe-";

/// All names but those of probes.
pub(crate) const NAMES: [&str; 8] = [
    UNHEALTHY,
    DIED,
    OOM_KILLED,
    UNFINISHED,
    CRASH_LOOP,
    NETWORK_LOST,
    SILENT,
    NO_BEAT,
];

/// Whether a rule's name belongs to a trigger: rule files and the wire may not use it.
pub fn is_reserved(rule: &str) -> bool {
    NAMES.contains(&rule) || rule.starts_with(PROBE_PREFIX)
}

/// That none of these rules bears a trigger's name. The error is for people.
///
/// # Errors
/// Names the first that does, and says what to do.
pub fn check_names<'a>(mut rules: impl Iterator<Item = &'a str>) -> Result<(), String> {
    match rules.find(|rule| is_reserved(rule)) {
        None => Ok(()),
        Some(rule) => Err(format!(
            "a rule is called '{rule}', which is the name of a trigger of the executor's own \
             ({}, {PROBE_PREFIX}...); call it something else",
            NAMES.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_may_not_bear_a_triggers_name() {
        assert_eq!(
            check_names(["cuda-oom", "probes", "unhealthy-gpu"].into_iter()),
            Ok(())
        );
        for name in [
            "unhealthy",
            "died",
            "oom-killed",
            "unfinished",
            "crash-loop",
            "silent",
            "probe-x",
        ] {
            let error = check_names(["cuda-oom", name].into_iter()).unwrap_err();
            assert!(error.contains(&format!("'{name}'")), "{error}");
        }
    }
}
