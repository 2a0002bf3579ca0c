//! What the executor counts, for Prometheus. One registry, typed methods, base
//! units, and no label whose values come from outside.
//!
//! Every series that can be known in advance exists from the start with 0, so
//! that a rate or an alert on it works from the first scrape.

mod attempts;
mod checks;
mod evidence;
mod intents;
mod labels;
mod measures;
mod notify;
mod outlook;
mod own;
#[cfg(test)]
mod tests;
mod triggers;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use attempts::AttemptMetrics;
use intents::IntentMetrics;
use own::OwnMetrics;

pub use checks::CheckMetrics;
pub use evidence::EvidenceMetrics;
pub use labels::{KernelLookup, SocketName};
pub use measures::{IncidentEnd, MeasureMetrics, MeasureResult};
pub use notify::{NotifyMetrics, NotifyResult};
pub use outlook::Outlook;
pub use triggers::{StreamEnd, TriggerMetrics};

/// All counters, gauges and histograms.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    intents: IntentMetrics,
    attempts: AttemptMetrics,
    own: OwnMetrics,
    evidence: EvidenceMetrics,
    outlook: Outlook,
    checks: CheckMetrics,
    measures: MeasureMetrics,
    triggers: TriggerMetrics,
    notify: NotifyMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at 0.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("healer"),
            intents: IntentMetrics::new(),
            attempts: AttemptMetrics::new(),
            own: OwnMetrics::new(),
            evidence: EvidenceMetrics::new(),
            outlook: Outlook::new(),
            checks: CheckMetrics::new(),
            measures: MeasureMetrics::new(),
            triggers: TriggerMetrics::new(),
            notify: NotifyMetrics::default(),
        };
        let registry = &mut metrics.registry;
        metrics.own.register(registry);
        metrics.intents.register(registry);
        metrics.attempts.register(registry);
        metrics.evidence.register(registry);
        metrics.outlook.register(registry);
        metrics.checks.register(registry);
        metrics.measures.register(registry);
        metrics.triggers.register(registry);
        metrics.notify.register(registry);
        metrics
    }

    /// How healing goes as a whole.
    pub fn outlook(&self) -> &Outlook {
        &self.outlook
    }

    /// What is counted of evidence; for its own thread.
    pub fn evidence(&self) -> EvidenceMetrics {
        self.evidence.clone()
    }

    /// Counters of the executor's own checks; a clone shares them.
    pub fn checks(&self) -> CheckMetrics {
        self.checks.clone()
    }

    /// What is counted of measures and incidents.
    pub fn measures(&self) -> &MeasureMetrics {
        &self.measures
    }

    /// What is counted of triggers.
    pub fn triggers(&self) -> &TriggerMetrics {
        &self.triggers
    }

    /// What is counted of notifications; for their own thread.
    pub fn notify(&self) -> NotifyMetrics {
        self.notify.clone()
    }

    /// The whole page, in OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("writing to a string does not fail");
        page
    }
}

/// As a gauge takes it.
fn gauge(figure: impl TryInto<i64>) -> i64 {
    figure.try_into().unwrap_or(i64::MAX)
}
