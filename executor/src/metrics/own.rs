//! How the executor itself is: its sockets, its files, its settings, its engine.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::labels::{ResultLabels, SocketLabels, Word};
use super::{Metrics, SocketName};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OwnMetrics {
    socket_errors: Family<SocketLabels, Counter>,
    journal_errors: Counter,
    report_errors: Counter,
    config_reloads: Family<ResultLabels, Counter>,
    engine_up: Gauge,
}

impl OwnMetrics {
    /// All at 0.
    pub(super) fn new() -> Self {
        let metrics = Self::default();
        for socket in SocketName::ALL {
            metrics.socket(socket);
        }
        for done in [true, false] {
            metrics.reload(done);
        }
        metrics
    }

    pub(super) fn register(&self, r: &mut Registry) {
        r.register(
            "build",
            "The running executor's version",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        r.register(
            "engine_up",
            "Whether the engine answered when last asked",
            self.engine_up.clone(),
        );
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

    fn socket(&self, socket: SocketName) -> Counter {
        self.socket_errors.get_or_create_owned(&SocketLabels {
            socket: socket.word(),
        })
    }

    fn reload(&self, done: bool) -> Counter {
        let result = Word(if done { "done" } else { "failed" });
        self.config_reloads
            .get_or_create_owned(&ResultLabels { result })
    }
}

impl Metrics {
    /// Something failed on a socket.
    pub fn socket_error(&self, socket: SocketName) {
        self.own.socket(socket).inc();
    }

    /// The journal could not be written.
    pub fn journal_error(&self) {
        self.own.journal_errors.inc();
    }

    /// Counts report files that could not be written; for their own thread.
    pub fn report_errors(&self) -> Counter {
        self.own.report_errors.clone()
    }

    /// The configuration was read again.
    pub fn config_reloaded(&self, done: bool) {
        self.own.reload(done).inc();
    }

    /// Whether the engine answered.
    pub fn set_engine_up(&self, up: bool) {
        self.own.engine_up.set(i64::from(up));
    }
}
