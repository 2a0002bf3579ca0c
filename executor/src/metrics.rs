//! What the executor counts, for Prometheus. One registry, typed methods, base
//! units, and no label whose values come from outside.
//!
//! Every series that can be known in advance exists from the start with 0, so
//! that a rate or an alert on it works from the first scrape.

mod checks;
mod evidence;
mod labels;
mod measures;
mod notify;
mod outlook;
mod triggers;

use policy::{Gate, Outcome};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use executor_api::Decision;

use labels::{DecisionLabels, LookupLabels, OutcomeLabels, ResultLabels, SocketLabels, Word};

pub use checks::CheckMetrics;
pub use evidence::EvidenceMetrics;
pub use labels::{KernelLookup, SocketName};
pub use measures::{IncidentEnd, MeasureMetrics, MeasureResult};
pub use notify::{NotifyMetrics, NotifyResult};
pub use outlook::Outlook;
pub use triggers::{StreamEnd, TriggerMetrics};

/// Seconds: from a container that stops at once to the longest stop time-out.
const ATTEMPT_BUCKETS: [f64; 12] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 120.0, 600.0,
];

/// All counters, gauges and histograms.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    intents_received: Counter,
    ids_forgotten: Gauge,
    intents_repeated: Counter,
    kernel_lookups: Family<LookupLabels, Counter>,
    process_looks: Counter,
    processes_remembered: Gauge,
    decisions: Family<DecisionLabels, Counter>,
    attempts: Family<OutcomeLabels, Counter>,
    attempts_in_flight: Gauge,
    attempt_duration: Histogram,
    last_restart: Gauge,
    targets_pending: Gauge,
    targets_held: Gauge,
    storm: Gauge,
    storms: Counter,
    socket_errors: Family<SocketLabels, Counter>,
    journal_errors: Counter,
    report_errors: Counter,
    evidence: EvidenceMetrics,
    outlook: Outlook,
    checks: CheckMetrics,
    measures: MeasureMetrics,
    triggers: TriggerMetrics,
    notify: NotifyMetrics,
    config_reloads: Family<ResultLabels, Counter>,
    engine_up: Gauge,
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
            intents_received: Counter::default(),
            ids_forgotten: Gauge::default(),
            intents_repeated: Counter::default(),
            kernel_lookups: Family::default(),
            process_looks: Counter::default(),
            processes_remembered: Gauge::default(),
            decisions: Family::default(),
            attempts: Family::default(),
            attempts_in_flight: Gauge::default(),
            attempt_duration: Histogram::new(ATTEMPT_BUCKETS),
            last_restart: Gauge::default(),
            targets_pending: Gauge::default(),
            targets_held: Gauge::default(),
            storm: Gauge::default(),
            storms: Counter::default(),
            socket_errors: Family::default(),
            journal_errors: Counter::default(),
            report_errors: Counter::default(),
            evidence: EvidenceMetrics::new(),
            outlook: Outlook::new(),
            checks: CheckMetrics::new(),
            measures: MeasureMetrics::new(),
            triggers: TriggerMetrics::new(),
            notify: NotifyMetrics::default(),
            config_reloads: Family::default(),
            engine_up: Gauge::default(),
        };
        metrics.create_series();
        metrics.register_work();
        metrics.register_states();
        metrics.register_faults();
        metrics.evidence.register(&mut metrics.registry);
        metrics.outlook.register(&mut metrics.registry);
        metrics.checks.register(&mut metrics.registry);
        metrics.measures.register(&mut metrics.registry);
        metrics.triggers.register(&mut metrics.registry);
        metrics.notify.register(&mut metrics.registry);
        metrics
    }

    fn create_series(&self) {
        for decision in Decision::ALL {
            match decision {
                Decision::Refused => {
                    for gate in Gate::ALL {
                        self.decision(decision, Some(gate));
                    }
                }
                Decision::Pending => {
                    for gate in [
                        Gate::NoFacts,
                        Gate::Maintenance,
                        Gate::InProgress,
                        Gate::Unconfirmed,
                        Gate::Dependency,
                        Gate::Storm,
                        Gate::Cooldown,
                        Gate::Window,
                        Gate::HostLimit,
                    ] {
                        self.decision(decision, Some(gate));
                    }
                }
                _ => {
                    self.decision(decision, None);
                }
            }
        }
        for outcome in [
            Outcome::Recovered,
            Outcome::Relapsed,
            Outcome::Failed,
            Outcome::Aborted,
            Outcome::Unknown,
            Outcome::Stopped,
        ] {
            self.outcome(outcome);
        }
        for found in KernelLookup::ALL {
            self.lookup(found);
        }
        for socket in SocketName::ALL {
            self.socket(socket);
        }
        for result in [Word("done"), Word("failed")] {
            let _ = self.config_reloads.get_or_create(&ResultLabels { result });
        }
    }

    fn register_work(&mut self) {
        let r = &mut self.registry;
        r.register(
            "build",
            "The running executor's version",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        r.register(
            "intents_received",
            "Intents read from the intent socket",
            self.intents_received.clone(),
        );
        r.register(
            "intents_repeated",
            "Intents whose id was known already; they count once",
            self.intents_repeated.clone(),
        );
        r.register(
            "intent_ids_forgotten",
            "Intent ids forgotten before their time since start: sent again they count anew",
            self.ids_forgotten.clone(),
        );
        r.register(
            "kernel_lookups",
            "Kernel lines whose container was looked for, by what it was found",
            self.kernel_lookups.clone(),
        );
        r.register(
            "decisions",
            "Decisions on intents and requests, by the gate that refused or delayed",
            self.decisions.clone(),
        );
        r.register(
            "attempts",
            "Attempts that ended, by outcome",
            self.attempts.clone(),
        );
        r.register_with_unit(
            "attempt_duration",
            "From the charge to the engine's answer",
            Unit::Seconds,
            self.attempt_duration.clone(),
        );
    }

    fn register_states(&mut self) {
        let r = &mut self.registry;
        r.register(
            "attempts_in_flight",
            "Attempts whose answer from the engine is not known yet",
            self.attempts_in_flight.clone(),
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
        r.register(
            "process_looks",
            "Looks at the host's processes for kernel lines; 0 = none are looked at",
            self.process_looks.clone(),
        );
        r.register(
            "processes_remembered",
            "Processes that are remembered for kernel lines, running and gone",
            self.processes_remembered.clone(),
        );
        r.register(
            "engine_up",
            "Whether the engine answered when last asked",
            self.engine_up.clone(),
        );
    }

    fn register_faults(&mut self) {
        let r = &mut self.registry;
        r.register(
            "socket_errors",
            "Errors on the executor's sockets and on the engine's",
            self.socket_errors.clone(),
        );
        r.register(
            "journal_errors",
            "Entries that could not be written to the journal",
            self.journal_errors.clone(),
        );
        r.register(
            "report_errors",
            "Report files that could not be written",
            self.report_errors.clone(),
        );
        r.register(
            "config_reloads",
            "Reloads of the configuration, by result",
            self.config_reloads.clone(),
        );
    }

    /// An intent was read from its socket.
    pub fn intent_received(&self) {
        self.intents_received.inc();
    }

    /// Its id was known already.
    pub fn intent_repeated(&self) {
        self.intents_repeated.inc();
    }

    /// Intent ids forgotten before their time since start: too many came.
    pub fn set_ids_forgotten(&self, ids: u64) {
        self.ids_forgotten
            .set(i64::try_from(ids).unwrap_or(i64::MAX));
    }

    /// The container of a kernel line was looked for.
    pub fn kernel_lookup(&self, found: KernelLookup) {
        self.lookup(found).inc();
    }

    /// The host's processes were looked at; how many are remembered now.
    pub fn processes_looked_at(&self, processes: usize) {
        self.process_looks.inc();
        self.processes_remembered
            .set(i64::try_from(processes).unwrap_or(i64::MAX));
    }

    /// An intent or request was answered.
    pub fn decided(&self, decision: Decision, gate: Option<Gate>) {
        self.decision(decision, gate).inc();
    }

    /// How many charges have no answer of the engine yet.
    pub fn set_attempts_in_flight(&self, attempts: usize) {
        self.attempts_in_flight
            .set(i64::try_from(attempts).unwrap_or(i64::MAX));
    }

    /// A container runs anew, so long after the charge.
    pub fn attempt_answered(&self, seconds: f64) {
        self.attempt_duration.observe(seconds);
    }

    /// An attempt has its outcome.
    pub fn attempt_ended(&self, outcome: Outcome) {
        self.outcome(outcome).inc();
    }

    /// A restart was charged at this time, seconds since the epoch.
    pub fn restarted(&self, epoch_secs: u64) {
        self.last_restart
            .set(i64::try_from(epoch_secs).unwrap_or(i64::MAX));
    }

    /// How many targets wait, and how many are held.
    pub fn set_targets(&self, pending: usize, held: usize) {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.targets_pending.set(gauge(pending));
        self.targets_held.set(gauge(held));
    }

    /// Whether the storm breaker is on.
    pub fn set_storm(&self, is_on: bool) {
        self.storm.set(i64::from(is_on));
    }

    /// The storm breaker has stopped all restarts.
    pub fn storm_began(&self) {
        self.storms.inc();
    }

    /// Something failed on a socket.
    pub fn socket_error(&self, socket: SocketName) {
        self.socket(socket).inc();
    }

    /// The journal could not be written.
    pub fn journal_error(&self) {
        self.journal_errors.inc();
    }

    /// Counts report files that could not be written; for their own thread.
    pub fn report_errors(&self) -> Counter {
        self.report_errors.clone()
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

    /// The configuration was read again.
    pub fn config_reloaded(&self, done: bool) {
        let result = Word(if done { "done" } else { "failed" });
        self.config_reloads
            .get_or_create(&ResultLabels { result })
            .inc();
    }

    /// Whether the engine answered.
    pub fn set_engine_up(&self, up: bool) {
        self.engine_up.set(i64::from(up));
    }

    /// The whole page, in OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("writing to a string does not fail");
        page
    }

    fn decision(&self, decision: Decision, gate: Option<Gate>) -> Counter {
        self.decisions.get_or_create_owned(&DecisionLabels {
            decision: Word(decision.as_str()),
            gate: Word(gate.map_or("", Gate::as_str)),
        })
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
        self.attempts
            .get_or_create_owned(&OutcomeLabels { outcome })
    }

    fn lookup(&self, found: KernelLookup) -> Counter {
        self.kernel_lookups.get_or_create_owned(&LookupLabels {
            found: found.word(),
        })
    }

    fn socket(&self, socket: SocketName) -> Counter {
        self.socket_errors.get_or_create_owned(&SocketLabels {
            socket: socket.word(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_series_exist_from_the_start() {
        let page = Metrics::new().encode();
        for line in [
            "healer_build_info{version=\"0.1.0\"} 1",
            "healer_intents_received_total 0",
            "healer_decisions_total{decision=\"restart\",gate=\"\"} 0",
            "healer_decisions_total{decision=\"refused\",gate=\"cooldown\"} 0",
            "healer_decisions_total{decision=\"pending\",gate=\"no-facts\"} 0",
            "healer_kernel_lookups_total{found=\"nothing\"} 0",
            "healer_processes_remembered 0",
            "healer_attempts_total{outcome=\"relapsed\"} 0",
            "healer_attempts_in_flight 0",
            "healer_attempt_duration_seconds_count 0",
            "healer_last_restart_timestamp_seconds 0",
            "healer_targets_pending 0",
            "healer_targets_held 0",
            "healer_storm 0",
            "healer_storms_total 0",
            "healer_decisions_total{decision=\"pending\",gate=\"storm\"} 0",
            "healer_socket_errors_total{socket=\"docker\"} 0",
            "healer_journal_errors_total 0",
            "healer_evidence_total{result=\"failed\"} 0",
            "healer_evidence_read_seconds_count 0",
            "healer_config_reloads_total{result=\"failed\"} 0",
            "healer_measures_total{measure=\"start\",result=\"unclear\"} 0",
            "healer_measures_total{measure=\"escalate\",result=\"done\"} 0",
            "healer_incident_seconds_count{end=\"held\"} 0",
            "healer_triggers_total{trigger=\"network-lost\"} 0",
            "# EOF",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn events_move_their_series() {
        let metrics = Metrics::new();
        metrics.intent_received();
        metrics.decided(Decision::Refused, Some(Gate::Cooldown));
        metrics.kernel_lookup(KernelLookup::Memory);
        metrics.processes_looked_at(7);
        metrics.set_attempts_in_flight(0);
        metrics.attempt_answered(0.3);
        metrics.attempt_ended(Outcome::Recovered);
        metrics.restarted(1_760_978_852);
        metrics
            .measures()
            .taken(policy::Call::Exec, MeasureResult::Failed);
        metrics.measures().escalated();
        metrics
            .measures()
            .incident_ended(IncidentEnd::Expired, 61.0);
        metrics.set_targets(2, 1);
        metrics.socket_error(SocketName::Intents);
        metrics.journal_error();
        metrics.report_errors().inc();
        metrics.evidence().ended(crate::evidence::Written::Partly);
        metrics.evidence().waited(0.003);
        metrics.config_reloaded(true);
        metrics.set_engine_up(true);
        let page = metrics.encode();
        for line in [
            "healer_intents_received_total 1",
            "healer_decisions_total{decision=\"refused\",gate=\"cooldown\"} 1",
            "healer_kernel_lookups_total{found=\"memory\"} 1",
            "healer_process_looks_total 1",
            "healer_processes_remembered 7",
            "healer_attempts_in_flight 0",
            "healer_attempt_duration_seconds_bucket{le=\"0.25\"} 0",
            "healer_attempt_duration_seconds_bucket{le=\"0.5\"} 1",
            "healer_attempts_total{outcome=\"recovered\"} 1",
            "healer_last_restart_timestamp_seconds 1760978852",
            "healer_targets_pending 2",
            "healer_targets_held 1",
            "healer_socket_errors_total{socket=\"intents\"} 1",
            "healer_journal_errors_total 1",
            "healer_report_errors_total 1",
            "healer_evidence_total{result=\"partly\"} 1",
            "healer_evidence_read_seconds_bucket{le=\"0.005\"} 1",
            "healer_config_reloads_total{result=\"done\"} 1",
            "healer_engine_up 1",
            "healer_measures_total{measure=\"exec\",result=\"failed\"} 1",
            "healer_measures_total{measure=\"escalate\",result=\"done\"} 1",
            "healer_incident_seconds_bucket{le=\"60.0\",end=\"expired\"} 0",
            "healer_incident_seconds_bucket{le=\"120.0\",end=\"expired\"} 1",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
    }
}
