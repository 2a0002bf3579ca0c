//! The plugin's own metrics: what is counted, under which name.
//!
//! Where the host exports its metrics library they appear on its own
//! `/api/v2/metrics/prometheus`, each with the label `name`, the instance's
//! name. Every series is created in Init, so that a lookup in Flush finds it.
//!
//! Not here: the calls into the host (`ffi`), and any decision.

use executor_api::Decision;

use crate::target::Untargeted;

/// A counter. Those with a second label take its values from [`Counter::labels`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Calls of Flush.
    Chunks,
    /// Their bytes.
    Bytes,
    /// Records read because something in the chunk looked like a match.
    Records,
    /// Matching records, by rule.
    Matches,
    /// Intents by answer.
    Intents,
    /// Matching records kept in the plugin because an earlier chunk of the same
    /// container and rule waits for the executor already.
    Folded,
    /// Chunks handed back to the host because the executor gave no answer.
    Undelivered,
    /// Matching records without a target, by reason.
    Untargeted,
    /// Chunks that could not be read to their end.
    Damaged,
    /// Chunks lost for want of room in a bounded table.
    Overflow,
    /// Matching records that are lost, whatever the reason.
    Lost,
    /// Ids of sent intents forgotten for want of room.
    Forgotten,
    /// Lines put together from several records.
    Joined,
    /// Beginnings of broken lines forgotten for want of room.
    Unjoined,
    /// Messages of progress that the executor has taken.
    Progress,
    /// Chunks refused because the instance is disabled.
    Refused,
    /// Panics that were fenced off the host.
    Panics,
}

/// A gauge without further labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gauge {
    /// 1 when the executor answered when it was asked last.
    ExecutorUp,
    /// When the executor answered last, seconds since the epoch; 0: not yet.
    AnsweredAt,
    /// 1 when a bad setting in a hot reload disabled the instance.
    Disabled,
    /// Intents kept in the plugin until the executor is back.
    Held,
}

/// Label value of an intent that nobody answered.
pub const UNANSWERED: &str = "none";
/// Label value of an intent that `Dry_Run` kept back.
pub const DRY_RUN: &str = "dry-run";

impl Counter {
    /// In the order of their creation.
    pub const ALL: [Self; 17] = [
        Self::Chunks,
        Self::Bytes,
        Self::Records,
        Self::Matches,
        Self::Intents,
        Self::Folded,
        Self::Undelivered,
        Self::Untargeted,
        Self::Damaged,
        Self::Overflow,
        Self::Lost,
        Self::Forgotten,
        Self::Joined,
        Self::Unjoined,
        Self::Progress,
        Self::Refused,
        Self::Panics,
    ];

    /// Name behind `healer_plugin_`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chunks => "chunks_total",
            Self::Bytes => "bytes_total",
            Self::Records => "records_decoded_total",
            Self::Matches => "matches_total",
            Self::Intents => "intents_total",
            Self::Folded => "folded_total",
            Self::Undelivered => "undelivered_total",
            Self::Untargeted => "untargeted_total",
            Self::Damaged => "damaged_chunks_total",
            Self::Overflow => "overflow_chunks_total",
            Self::Lost => "lost_matches_total",
            Self::Forgotten => "forgotten_ids_total",
            Self::Joined => "joined_lines_total",
            Self::Unjoined => "unjoined_lines_total",
            Self::Progress => "progress_total",
            Self::Refused => "refused_chunks_total",
            Self::Panics => "panics_total",
        }
    }

    /// One sentence.
    pub fn help(self) -> &'static str {
        match self {
            Self::Chunks => "Chunks scanned.",
            Self::Bytes => "Bytes scanned.",
            Self::Records => {
                "Records decoded because something in their chunk looked like a match."
            }
            Self::Matches => "Matching records by rule.",
            Self::Intents => "Intents by the executor's answer.",
            Self::Folded => "Matching records kept until the executor is back.",
            Self::Undelivered => "Chunks handed back for want of an answer.",
            Self::Untargeted => "Matching records that name no container, by reason.",
            Self::Damaged => "Chunks that could not be read to their end.",
            Self::Overflow => "Chunks lost because a bounded table was full.",
            Self::Lost => "Matching records lost: no room, or no executor until the end.",
            Self::Forgotten => {
                "Ids of waiting chunks forgotten for want of room: matches may count twice."
            }
            Self::Joined => "Lines put together from several records.",
            Self::Unjoined => "Beginnings of broken lines forgotten for want of room.",
            Self::Progress => "Messages of progress that the executor has taken.",
            Self::Refused => "Chunks refused because the instance is disabled.",
            Self::Panics => "Panics fenced off Fluent Bit.",
        }
    }

    /// The second label's name.
    pub fn label(self) -> Option<&'static str> {
        match self {
            Self::Matches => Some("rule"),
            Self::Intents => Some("answer"),
            Self::Untargeted => Some("reason"),
            _ => None,
        }
    }

    /// All values of the second label; one empty value where there is none.
    pub fn labels(self, rules: &[String]) -> Vec<String> {
        match self {
            Self::Matches => rules.to_vec(),
            Self::Intents => Decision::ALL
                .iter()
                .map(|decision| decision.as_str())
                .chain([UNANSWERED, DRY_RUN])
                .map(String::from)
                .collect(),
            Self::Untargeted => Untargeted::ALL
                .iter()
                .map(|reason| reason.as_str().into())
                .collect(),
            _ => vec![String::new()],
        }
    }
}

impl Gauge {
    /// In the order of their creation.
    pub const ALL: [Self; 4] = [
        Self::ExecutorUp,
        Self::AnsweredAt,
        Self::Disabled,
        Self::Held,
    ];

    /// Name behind `healer_plugin_`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExecutorUp => "executor_up",
            Self::AnsweredAt => "executor_answered_timestamp_seconds",
            Self::Disabled => "disabled",
            Self::Held => "held_intents",
        }
    }

    /// One sentence.
    pub fn help(self) -> &'static str {
        match self {
            Self::ExecutorUp => "1 when the executor answered when it was asked last.",
            Self::AnsweredAt => "When the executor answered last, seconds since the epoch.",
            Self::Disabled => "1 when a bad setting in a hot reload disabled this instance.",
            Self::Held => "Intents kept in the plugin until the executor is back.",
        }
    }
}

/// Where figures go. Called from several threads at once.
pub trait Metrics: Send + Sync {
    /// Adds to a counter; `label` is the second label's value, or empty.
    fn add(&self, counter: Counter, label: &str, amount: u64);
    /// Sets a gauge.
    fn set(&self, gauge: Gauge, value: u64);
}

/// For a host without a metrics library.
#[derive(Debug)]
pub struct NoMetrics;

impl Metrics for NoMetrics {
    fn add(&self, _: Counter, _: &str, _: u64) {}
    fn set(&self, _: Gauge, _: u64) {}
}
