//! Metrics that remember, for instances that a test makes itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use out_healer::metrics::{Counter, Gauge, Metrics};

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Figures>>);

#[derive(Default)]
struct Figures {
    counters: BTreeMap<(Counter, String), u64>,
    gauges: BTreeMap<Gauge, u64>,
}

impl Recorder {
    /// The sum over all labels.
    pub(crate) fn counter(&self, counter: Counter) -> u64 {
        self.labels(counter).values().sum()
    }

    /// By the second label.
    pub(crate) fn labels(&self, counter: Counter) -> BTreeMap<String, u64> {
        let figures = self.figures();
        let mine = figures
            .counters
            .iter()
            .filter(|((it, _), _)| *it == counter);
        mine.map(|((_, label), amount)| (label.clone(), *amount))
            .collect()
    }

    /// As it was set last.
    pub(crate) fn gauge(&self, gauge: Gauge) -> Option<u64> {
        self.figures().gauges.get(&gauge).copied()
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.0.lock().expect("not poisoned")
    }
}

impl Metrics for Recorder {
    fn add(&self, counter: Counter, label: &str, amount: u64) {
        let series = (counter, label.to_string());
        *self.figures().counters.entry(series).or_default() += amount;
    }

    fn set(&self, gauge: Gauge, value: u64) {
        self.figures().gauges.insert(gauge, value);
    }
}
