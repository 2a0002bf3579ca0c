//! What is counted of triggers, and of the stream of events that some of them stand on.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{EndLabels, ResultLabels, TriggerLabels, Word};
use crate::triggers;

/// How a stream of the engine's events ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The engine, or a proxy before it, ended it in good order.
    Closed,
    /// In the middle.
    Broken,
    /// What came was no event, or too long for one.
    Unreadable,
    /// It was never opened.
    Refused,
    /// Something happened that it did not tell.
    Missed,
}

impl StreamEnd {
    const ALL: [Self; 5] = [
        Self::Closed,
        Self::Broken,
        Self::Unreadable,
        Self::Refused,
        Self::Missed,
    ];

    fn word(self) -> Word {
        Word(match self {
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
            Self::Missed => "missed",
        })
    }
}

/// The triggers' names in metrics; probes count as one, as their names come from outside.
const NAMES: [&str; 9] = [
    triggers::UNHEALTHY,
    triggers::DIED,
    triggers::OOM_KILLED,
    triggers::UNFINISHED,
    triggers::CRASH_LOOP,
    triggers::NETWORK_LOST,
    triggers::SILENT,
    triggers::NO_BEAT,
    PROBE,
];
const PROBE: &str = "probe";

/// Clones share them.
#[derive(Debug, Clone, Default)]
pub struct TriggerMetrics {
    fired: Family<TriggerLabels, Counter>,
    watched: Gauge,
    stream_up: Gauge,
    streams: Family<EndLabels, Counter>,
    lists: Family<ResultLabels, Counter>,
}

impl TriggerMetrics {
    /// All at 0.
    pub(super) fn new() -> Self {
        let metrics = Self::default();
        for trigger in NAMES {
            metrics.of(trigger);
        }
        for end in StreamEnd::ALL {
            metrics.end(end);
        }
        for is_done in [true, false] {
            metrics.list(is_done);
        }
        metrics
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "triggers",
            "What the executor itself found of containers, by trigger",
            self.fired.clone(),
        );
        registry.register(
            "containers_watched",
            "Containers whose health and ends are watched",
            self.watched.clone(),
        );
        registry.register(
            "events_up",
            "Whether the engine's events are followed",
            self.stream_up.clone(),
        );
        registry.register(
            "events_streams",
            "Streams of the engine's events that ended, by how; each is opened again",
            self.streams.clone(),
        );
        registry.register(
            "container_lists",
            "Lists of all containers, by result",
            self.lists.clone(),
        );
    }

    /// A trigger has told something new.
    pub fn fired(&self, rule: &str) {
        let known = NAMES.into_iter().find(|name| *name == rule);
        self.of(known.unwrap_or(PROBE)).inc();
    }

    /// How many containers are watched.
    pub fn set_watched(&self, containers: usize) {
        self.watched
            .set(i64::try_from(containers).unwrap_or(i64::MAX));
    }

    /// Whether the stream of events is open.
    pub fn set_stream_up(&self, is_up: bool) {
        self.stream_up.set(i64::from(is_up));
    }

    /// A stream of events has ended.
    pub fn stream_ended(&self, end: StreamEnd) {
        self.end(end).inc();
    }

    /// All containers were listed, or not.
    pub fn listed(&self, is_done: bool) {
        self.list(is_done).inc();
    }

    fn of(&self, trigger: &'static str) -> Counter {
        let trigger = Word(trigger);
        self.fired.get_or_create_owned(&TriggerLabels { trigger })
    }

    fn end(&self, end: StreamEnd) -> Counter {
        let end = end.word();
        self.streams.get_or_create_owned(&EndLabels { end })
    }

    fn list(&self, is_done: bool) -> Counter {
        let result = Word(if is_done { "done" } else { "failed" });
        self.lists.get_or_create_owned(&ResultLabels { result })
    }
}
