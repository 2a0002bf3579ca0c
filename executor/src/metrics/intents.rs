//! What comes in and what is decided about it.

use executor_api::Decision;
use policy::Gate;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{DecisionLabels, LookupLabels, Word};
use super::{KernelLookup, Metrics, gauge};

/// Gates whose refusal makes a target wait.
const WAITS: [Gate; 9] = [
    Gate::NoFacts,
    Gate::Maintenance,
    Gate::InProgress,
    Gate::Unconfirmed,
    Gate::Dependency,
    Gate::Storm,
    Gate::Cooldown,
    Gate::Window,
    Gate::HostLimit,
];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct IntentMetrics {
    received: Counter,
    repeated: Counter,
    forgotten: Gauge,
    kernel_lookups: Family<LookupLabels, Counter>,
    process_looks: Counter,
    processes_remembered: Gauge,
    decisions: Family<DecisionLabels, Counter>,
}

impl IntentMetrics {
    /// All at 0.
    pub(super) fn new() -> Self {
        let metrics = Self::default();
        for decision in Decision::ALL {
            match decision {
                Decision::Refused => {
                    for gate in Gate::ALL {
                        metrics.decision(decision, Some(gate));
                    }
                }
                Decision::Pending => {
                    for gate in WAITS {
                        metrics.decision(decision, Some(gate));
                    }
                }
                _ => {
                    metrics.decision(decision, None);
                }
            }
        }
        for found in KernelLookup::ALL {
            metrics.lookup(found);
        }
        metrics
    }

    pub(super) fn register(&self, r: &mut Registry) {
        r.register(
            "intents_received",
            "Intents read from the intent socket",
            self.received.clone(),
        );
        r.register(
            "intents_repeated",
            "Intents whose id was known already; they count once",
            self.repeated.clone(),
        );
        r.register(
            "intent_ids_forgotten",
            "Intent ids forgotten before their time since start: sent again they count anew",
            self.forgotten.clone(),
        );
        r.register(
            "kernel_lookups",
            "Kernel lines whose container was looked for, by what it was found",
            self.kernel_lookups.clone(),
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
            "decisions",
            "Decisions on intents and requests, by the gate that refused or delayed",
            self.decisions.clone(),
        );
    }

    fn decision(&self, decision: Decision, gate: Option<Gate>) -> Counter {
        self.decisions.get_or_create_owned(&DecisionLabels {
            decision: Word(decision.as_str()),
            gate: Word(gate.map_or("", Gate::as_str)),
        })
    }

    fn lookup(&self, found: KernelLookup) -> Counter {
        self.kernel_lookups.get_or_create_owned(&LookupLabels {
            found: found.word(),
        })
    }
}

impl Metrics {
    /// An intent was read from its socket.
    pub fn intent_received(&self) {
        self.intents.received.inc();
    }

    /// Its id was known already.
    pub fn intent_repeated(&self) {
        self.intents.repeated.inc();
    }

    /// Intent ids forgotten before their time since start: too many came.
    pub fn set_ids_forgotten(&self, ids: u64) {
        self.intents.forgotten.set(gauge(ids));
    }

    /// The container of a kernel line was looked for.
    pub fn kernel_lookup(&self, found: KernelLookup) {
        self.intents.lookup(found).inc();
    }

    /// The host's processes were looked at; how many are remembered now.
    pub fn processes_looked_at(&self, processes: usize) {
        self.intents.process_looks.inc();
        self.intents.processes_remembered.set(gauge(processes));
    }

    /// An intent or request was answered.
    pub fn decided(&self, decision: Decision, gate: Option<Gate>) {
        self.intents.decision(decision, gate).inc();
    }
}
