//! Attempts and what they make of targets.

use policy::Outcome;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{OutcomeLabels, Word};
use super::{Metrics, gauge};

/// Seconds: from a container that stops at once to the longest stop time-out.
const DURATION_BUCKETS: [f64; 12] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 120.0, 600.0,
];

/// See the module.
#[derive(Debug)]
pub(super) struct AttemptMetrics {
    ended: Family<OutcomeLabels, Counter>,
    in_flight: Gauge,
    duration: Histogram,
    last_restart: Gauge,
    targets_pending: Gauge,
    targets_held: Gauge,
    storm: Gauge,
    storms: Counter,
}

impl AttemptMetrics {
    /// All at 0.
    pub(super) fn new() -> Self {
        let metrics = Self {
            ended: Family::default(),
            in_flight: Gauge::default(),
            duration: Histogram::new(DURATION_BUCKETS),
            last_restart: Gauge::default(),
            targets_pending: Gauge::default(),
            targets_held: Gauge::default(),
            storm: Gauge::default(),
            storms: Counter::default(),
        };
        for outcome in [
            Outcome::Recovered,
            Outcome::Relapsed,
            Outcome::Failed,
            Outcome::Aborted,
            Outcome::Unknown,
            Outcome::Stopped,
        ] {
            metrics.outcome(outcome);
        }
        metrics
    }

    pub(super) fn register(&self, r: &mut Registry) {
        r.register(
            "attempts",
            "Attempts that ended, by outcome",
            self.ended.clone(),
        );
        r.register_with_unit(
            "attempt_duration",
            "From the charge to the engine's answer",
            Unit::Seconds,
            self.duration.clone(),
        );
        r.register(
            "attempts_in_flight",
            "Attempts whose answer from the engine is not known yet",
            self.in_flight.clone(),
        );
        r.register_with_unit(
            "last_restart_timestamp",
            "Charge of the latest restart, since the epoch; 0 = none known",
            Unit::Seconds,
            self.last_restart.clone(),
        );
        r.register(
            "targets_pending",
            "Targets that wait for a later decision",
            self.targets_pending.clone(),
        );
        r.register(
            "targets_held",
            "Targets that are not restarted until a person says so or their health releases them",
            self.targets_held.clone(),
        );
        r.register(
            "storm",
            "Whether the storm breaker has stopped all restarts",
            self.storm.clone(),
        );
        r.register(
            "storms",
            "How often the storm breaker has stopped all restarts",
            self.storms.clone(),
        );
    }

    fn outcome(&self, outcome: Outcome) -> Counter {
        let outcome = Word(match outcome {
            Outcome::Recovered => "recovered",
            Outcome::Relapsed => "relapsed",
            Outcome::Failed => "failed",
            Outcome::Aborted => "aborted",
            Outcome::Unknown => "unknown",
            Outcome::Stopped => "stopped",
        });
        self.ended.get_or_create_owned(&OutcomeLabels { outcome })
    }
}

impl Metrics {
    /// How many charges have no answer of the engine yet.
    pub fn set_attempts_in_flight(&self, attempts: usize) {
        self.attempts.in_flight.set(gauge(attempts));
    }

    /// A container runs anew, so long after the charge.
    pub fn attempt_answered(&self, seconds: f64) {
        self.attempts.duration.observe(seconds);
    }

    /// An attempt has its outcome.
    pub fn attempt_ended(&self, outcome: Outcome) {
        self.attempts.outcome(outcome).inc();
    }

    /// A restart was charged at this time, seconds since the epoch.
    pub fn restarted(&self, epoch_secs: u64) {
        self.attempts.last_restart.set(gauge(epoch_secs));
    }

    /// How many targets wait, and how many are held.
    pub fn set_targets(&self, pending: usize, held: usize) {
        self.attempts.targets_pending.set(gauge(pending));
        self.attempts.targets_held.set(gauge(held));
    }

    /// Whether the storm breaker is on.
    pub fn set_storm(&self, is_on: bool) {
        self.attempts.storm.set(i64::from(is_on));
    }

    /// The storm breaker has stopped all restarts.
    pub fn storm_began(&self) {
        self.attempts.storms.inc();
    }
}
