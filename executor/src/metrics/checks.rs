//! What is counted of the executor's own checks. Targets and rules in labels are the
//! configuration's, and go with it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::labels::Word;

/// Seconds: from a connection on this host to a slow command.
const PROBE_BUCKETS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0];

/// Results, durations and verdicts of checks; clones share them.
#[derive(Debug, Clone)]
pub struct CheckMetrics {
    probes: Family<ProbeLabels, Counter>,
    durations: Family<KindLabels, Histogram>,
    failing: Family<CheckLabels, Gauge>,
    /// (target, rule) of the series that are 1: as many as are configured at most.
    failing_now: Rc<RefCell<BTreeSet<(String, String)>>>,
    execs_outlived: Counter,
    deaf: Counter,
    beats: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProbeLabels {
    kind: Word,
    result: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    target: String,
    rule: String,
}

impl CheckMetrics {
    /// All at 0.
    pub(super) fn new() -> Self {
        let metrics = Self {
            probes: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(PROBE_BUCKETS)),
            failing: Family::default(),
            failing_now: Rc::default(),
            execs_outlived: Counter::default(),
            deaf: Counter::default(),
            beats: Counter::default(),
        };
        for kind in ["http", "tcp", "process", "exec"].map(Word) {
            for result in ["passed", "failed", "unable"].map(Word) {
                let _ = metrics.probes.get_or_create(&ProbeLabels { kind, result });
            }
            let _ = metrics.durations.get_or_create(&KindLabels { kind });
        }
        metrics
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "probes",
            "Probes that were tried, by kind and by what came of them; unable = not the \
             container's doing",
            self.probes.clone(),
        );
        registry.register_with_unit(
            "probe_duration",
            "How long probes took, by kind",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "check_failing",
            "Whether a check has fired and not cleared since",
            self.failing.clone(),
        );
        registry.register(
            "execs_outlived",
            "Commands of probes that outlived their time; the engine cannot end them",
            self.execs_outlived.clone(),
        );
        registry.register(
            "silence_suppressed",
            "How often a silence could not be told from a source that is away",
            self.deaf.clone(),
        );
        registry.register(
            "beats",
            "Beats of targets that ought to send some",
            self.beats.clone(),
        );
    }

    /// A probe was tried: `passed`, `failed` or `unable`.
    pub(crate) fn probed(&self, kind: &'static str, result: &'static str, took: Duration) {
        let (kind, result) = (Word(kind), Word(result));
        self.probes
            .get_or_create(&ProbeLabels { kind, result })
            .inc();
        self.durations
            .get_or_create(&KindLabels { kind })
            .observe(took.as_secs_f64());
    }

    /// A check has a verdict.
    pub(crate) fn set_failing(&self, target: &str, rule: &str, is_failing: bool) {
        self.failing
            .get_or_create(&check(target, rule))
            .set(i64::from(is_failing));
        let key = (target.to_owned(), rule.to_owned());
        let mut failing = self.failing_now.borrow_mut();
        let _is_news = match is_failing {
            true => failing.insert(key),
            false => failing.remove(&key),
        };
    }

    /// The rules of a target's checks that have fired and not cleared since, by name.
    pub(crate) fn failing(&self, target: &str) -> Vec<String> {
        let failing = self.failing_now.borrow();
        let from = (target.to_owned(), String::new());
        let its = failing.range(from..).take_while(|(of, _)| of == target);
        its.map(|(_, rule)| rule.clone()).collect()
    }

    /// A check is no more.
    pub(crate) fn forget(&self, target: &str, rule: &str) {
        self.failing.remove(&check(target, rule));
        let key = (target.to_owned(), rule.to_owned());
        self.failing_now.borrow_mut().remove(&key);
    }

    /// Nothing counts as silence, as nothing would be heard.
    pub(crate) fn deaf(&self) {
        self.deaf.inc();
    }

    /// A beat that was waited for.
    pub(crate) fn beat(&self) {
        self.beats.inc();
    }

    /// A command goes on beyond its time.
    pub(crate) fn exec_outlived(&self) {
        self.execs_outlived.inc();
    }
}

fn check(target: &str, rule: &str) -> CheckLabels {
    CheckLabels {
        target: target.to_owned(),
        rule: rule.to_owned(),
    }
}
