//! What tells how healing goes as a whole: whether it could heal now, what
//! maintenance holds back, and how long troubles last.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Seconds: from a restart that cures at once to a back-off of hours.
const RECOVERY_BUCKETS: [f64; 12] = [
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0,
];

/// Set by the engine and by `/metrics` itself.
#[derive(Debug)]
pub struct Outlook {
    ready: Gauge,
    targets_held_back: Gauge,
    recovery: Histogram,
}

impl Outlook {
    /// All at 0.
    pub(super) fn new() -> Self {
        Self {
            ready: Gauge::default(),
            targets_held_back: Gauge::default(),
            recovery: Histogram::new(RECOVERY_BUCKETS),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "ready",
            "Whether the executor could heal now, as /readyz says",
            self.ready.clone(),
        );
        registry.register(
            "targets_held_back",
            "Targets whose restart maintenance holds back",
            self.targets_held_back.clone(),
        );
        registry.register_with_unit(
            "recovery",
            "From an incident's first line to the restart after which all was well",
            Unit::Seconds,
            self.recovery.clone(),
        );
    }

    /// Whether it could heal now.
    pub fn set_ready(&self, is_ready: bool) {
        self.ready.set(i64::from(is_ready));
    }

    /// What maintenance holds back.
    pub fn set_targets_held_back(&self, targets: usize) {
        let targets = i64::try_from(targets).unwrap_or(i64::MAX);
        self.targets_held_back.set(targets);
    }

    /// An incident ended well, after so long.
    pub fn recovered(&self, seconds: f64) {
        self.recovery.observe(seconds);
    }
}
