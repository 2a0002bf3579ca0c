//! Metrics that remember, and instances of the plugin that tell them what they match and send
//! nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use out_healer::config::{Config, RawConfig};
use out_healer::instance::Instance;
use out_healer::metrics::{Counter, Gauge, Metrics};

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Figures>>);

#[derive(Default)]
struct Figures {
    counters: BTreeMap<(Counter, String), u64>,
    gauges: BTreeMap<Gauge, u64>,
}

/// An instance with `Dry_Run on`, the built-in rules or those of a file, and a `Target`.
pub(crate) fn dry_instance(rules: Option<&Path>, target: &str) -> (Instance, Recorder) {
    let raw = RawConfig {
        dry_run: Some("on".into()),
        target: Some(target.into()),
        rules: rules.map(|path| path.to_str().expect("UTF-8").into()),
        ..RawConfig::default()
    };
    let recorder = Recorder::default();
    let config = Config::new(&raw).expect("valid settings");
    (Instance::new(config, Box::new(recorder.clone())), recorder)
}

/// A rule file of this text, removed when dropped.
pub(crate) fn rule_file(toml: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new()
        .suffix(".toml")
        .tempfile()
        .expect("a temporary file");
    std::fs::write(file.path(), toml).expect("written");
    file
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
