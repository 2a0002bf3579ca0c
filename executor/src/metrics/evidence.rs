//! What is counted of evidence; handed to its thread.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{ResultLabels, Word};
use crate::evidence::Written;

/// Seconds: to the longest that a call waits for evidence, and a little more.
const READ_BUCKETS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25];

/// Bundles by what came of them, and how long calls waited; clones share them.
#[derive(Debug, Clone)]
pub struct EvidenceMetrics {
    bundles: Family<ResultLabels, Counter>,
    read: Histogram,
}

impl EvidenceMetrics {
    /// All at 0.
    pub(super) fn new() -> Self {
        let metrics = Self {
            bundles: Family::default(),
            read: Histogram::new(READ_BUCKETS),
        };
        for written in [Written::Whole, Written::Partly, Written::Failed] {
            metrics.written(written);
        }
        metrics
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "evidence",
            "Attempts whose evidence was gathered, by what came of it",
            self.bundles.clone(),
        );
        registry.register_with_unit(
            "evidence_read",
            "How long calls to the engine waited for evidence",
            Unit::Seconds,
            self.read.clone(),
        );
    }

    /// One more bundle.
    pub fn ended(&self, written: Written) {
        self.written(written).inc();
    }

    /// A call waited so long.
    pub fn waited(&self, seconds: f64) {
        self.read.observe(seconds);
    }

    fn written(&self, written: Written) -> Counter {
        let result = Word(match written {
            Written::Whole => "whole",
            Written::Partly => "partly",
            Written::Failed => "failed",
        });
        self.bundles.get_or_create_owned(&ResultLabels { result })
    }
}
