//! What is done about matches, measure by measure, and how long incidents take.

use policy::{Call, Called};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{EndLabels, Word};

/// Seconds: from what is handed to a person at once to a back-off of hours.
const INCIDENT_BUCKETS: [f64; 10] = [
    1.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MeasureLabels {
    measure: Word,
    result: Word,
}

/// How a measure went, as far as its own answer says; whether it cured is the attempt's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeasureResult {
    /// The engine did it; a command ended with exit code 0.
    Done,
    /// A command ended otherwise, or was given up.
    Failed,
    /// The engine would not, or a command could not be begun.
    Refused,
    /// Nobody knows.
    Unclear,
}

/// How an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum IncidentEnd {
    Recovered,
    Resolved,
    Aborted,
    Unknown,
    Expired,
    Held,
    Escalated,
}

/// See the module.
#[derive(Debug)]
pub struct MeasureMetrics {
    measures: Family<MeasureLabels, Counter>,
    incidents: Family<EndLabels, Histogram>,
}

impl MeasureMetrics {
    /// All at 0.
    pub(super) fn new() -> Self {
        let metrics = Self {
            measures: Family::default(),
            incidents: Family::new_with_constructor(|| Histogram::new(INCIDENT_BUCKETS)),
        };
        for call in [Call::Restart, Call::Start, Call::Stop] {
            for result in [
                MeasureResult::Done,
                MeasureResult::Refused,
                MeasureResult::Unclear,
            ] {
                metrics.measure(call, result);
            }
        }
        for result in MeasureResult::ALL {
            metrics.measure(Call::Exec, result);
        }
        metrics.escalation();
        for end in IncidentEnd::ALL {
            metrics.incident(end);
        }
        metrics
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "measures",
            "What was done about matches and requests, by how it went; whether it cured is \
             healer_attempts_total",
            self.measures.clone(),
        );
        registry.register_with_unit(
            "incident",
            "From a match to the incident's end, by how it ended",
            Unit::Seconds,
            self.incidents.clone(),
        );
    }

    /// A call was made, or a command run.
    pub fn taken(&self, call: Call, result: MeasureResult) {
        self.measure(call, result).inc();
    }

    /// A target was handed to a person by its remedy.
    pub fn escalated(&self) {
        self.escalation().inc();
    }

    /// An incident is over, after so long.
    pub fn incident_ended(&self, end: IncidentEnd, seconds: f64) {
        self.incident(end).observe(seconds);
    }

    fn measure(&self, call: Call, result: MeasureResult) -> Counter {
        let measure = match call {
            Call::Restart => "restart",
            Call::Start => "start",
            Call::Stop => "stop",
            Call::Exec => "exec",
        };
        self.labelled(measure, result)
    }

    fn escalation(&self) -> Counter {
        self.labelled("escalate", MeasureResult::Done)
    }

    fn labelled(&self, measure: &'static str, result: MeasureResult) -> Counter {
        let (measure, result) = (Word(measure), result.word());
        self.measures
            .get_or_create_owned(&MeasureLabels { measure, result })
    }

    fn incident(&self, end: IncidentEnd) -> Histogram {
        let end = end.word();
        self.incidents.get_or_create_owned(&EndLabels { end })
    }
}

impl MeasureResult {
    const ALL: [Self; 4] = [Self::Done, Self::Failed, Self::Refused, Self::Unclear];

    fn word(self) -> Word {
        Word(match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Unclear => "unclear",
        })
    }
}

impl From<&Called> for MeasureResult {
    fn from(called: &Called) -> Self {
        match called {
            Called::Done => Self::Done,
            Called::Failed { .. } => Self::Failed,
            Called::Refused { .. } => Self::Refused,
            Called::Unclear { .. } => Self::Unclear,
        }
    }
}

impl IncidentEnd {
    const ALL: [Self; 7] = [
        Self::Recovered,
        Self::Resolved,
        Self::Aborted,
        Self::Unknown,
        Self::Expired,
        Self::Held,
        Self::Escalated,
    ];

    fn word(self) -> Word {
        Word(match self {
            Self::Recovered => "recovered",
            Self::Resolved => "resolved",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Held => "held",
            Self::Escalated => "escalated",
        })
    }
}
