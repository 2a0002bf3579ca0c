//! One `[OUTPUT]` section as the host knows it: active, or disabled by a bad
//! setting in a hot reload.
//!
//! Kept true: at a cold start a bad setting fails Init with a message that
//! names key and value; in a hot reload it must not, as Fluent Bit would exit,
//! so the instance is there, says once a minute that it does nothing, and
//! answers every chunk with an error that the host counts.

use std::path::PathBuf;
use std::time::Instant;

use crate::config::{Config, ConfigError, RawConfig};
use crate::guard::{Caught, Verdict};
use crate::instance::{Instance, Report};
use crate::log::{Level, Limiter, Line};
use crate::metrics::{Counter, Gauge, Metrics};
use crate::reload::Generations;

/// See the module's description.
pub struct Output {
    state: State,
    panics: Limiter,
    born: Instant,
}

enum State {
    Active(Box<Instance>),
    Disabled(Disabled),
}

struct Disabled {
    why: ConfigError,
    metrics: Box<dyn Metrics>,
    reminder: Limiter,
}

impl Output {
    /// Init. `make_metrics` gets the names of the rules. Gives lines to print
    /// as well; an error is for a cold start to fail with.
    pub fn start(
        raw: &RawConfig,
        generations: &mut Generations,
        make_metrics: impl FnOnce(&[String]) -> Box<dyn Metrics>,
    ) -> Result<(Self, Vec<Line>), ConfigError> {
        let (state, lines) = match Config::new(raw) {
            Ok(config) => {
                let (instance, lines) = activate(config, generations, make_metrics);
                (State::Active(Box::new(instance)), lines)
            }
            Err(why) if generations.is_hot() => {
                let metrics = make_metrics(&[]);
                metrics.set(Gauge::Disabled, 1);
                let disabled = Disabled {
                    why,
                    metrics,
                    reminder: Limiter::new(1, 60_000),
                };
                let lines = disabled.remind(0).into_iter().collect();
                (State::Disabled(disabled), lines)
            }
            Err(why) => return Err(why),
        };
        let output = Self {
            state,
            panics: Limiter::new(5, 60_000),
            born: Instant::now(),
        };
        Ok((output, lines))
    }

    /// Flush.
    pub fn flush(&self, chunk: &[u8], tag: &[u8]) -> Report {
        match &self.state {
            State::Active(instance) => instance.flush(instance.now_ms(), chunk, tag),
            State::Disabled(disabled) => disabled.flush(self.now_ms()),
        }
    }

    /// What a panic in [`Self::flush`] becomes.
    pub fn flush_panicked(&self, caught: &Caught) -> Report {
        self.metrics().add(Counter::Panics, "", 1);
        let line = self.panics.line(self.now_ms(), Level::Error, || {
            format!(
                "a fault in the plugin cost one chunk: {} at {}; please report it",
                caught.message, caught.place
            )
        });
        Report {
            verdict: Verdict::Error,
            lines: line.into_iter().collect(),
        }
    }

    /// Exit: leaves what could not be delivered to a successor, or says that
    /// it is lost.
    pub fn stop(&self, generations: &mut Generations) -> Vec<Line> {
        let State::Active(instance) = &self.state else {
            return Vec::new();
        };
        let (kept, mut lines) = instance.finish(instance.now_ms());
        let matches: u64 = kept.iter().map(executor_api::Intent::matches).sum();
        if generations.has_successor() {
            generations.bequeath(&self.socket(), kept);
        } else if matches > 0 {
            lines.push(Line::new(
                Level::Error,
                format!(
                    "{matches} matches of {} containers and rules are lost: the executor did not \
                     come back before Fluent Bit stops",
                    kept.len()
                ),
            ));
        }
        lines
    }

    fn socket(&self) -> PathBuf {
        match &self.state {
            State::Active(instance) => instance.config().socket.clone(),
            State::Disabled(_) => PathBuf::new(),
        }
    }

    fn metrics(&self) -> &dyn Metrics {
        match &self.state {
            State::Active(instance) => instance.metrics(),
            State::Disabled(disabled) => &*disabled.metrics,
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn activate(
    config: Config,
    generations: &mut Generations,
    make_metrics: impl FnOnce(&[String]) -> Box<dyn Metrics>,
) -> (Instance, Vec<Line>) {
    let names: Vec<String> = config
        .rules
        .rules()
        .iter()
        .map(|rule| rule.name.clone())
        .collect();
    let metrics = make_metrics(&names);
    metrics.set(Gauge::Disabled, 0);
    // A dry run sends nothing, what an earlier configuration kept included.
    let inherited = match config.dry_run {
        true => Vec::new(),
        false => generations.inherit(&config.socket),
    };
    let mut lines = vec![Line::new(
        Level::Info,
        format!(
            "{} rules, target {}, socket {}{}",
            names.len(),
            config.target,
            config.socket.display(),
            if config.dry_run { ", dry run" } else { "" }
        ),
    )];
    let instance = Instance::new(config, metrics);
    lines.extend(instance.start(instance.now_ms(), inherited));
    (instance, lines)
}

impl Disabled {
    fn flush(&self, now_ms: u64) -> Report {
        self.metrics.add(Counter::Refused, "", 1);
        Report {
            verdict: Verdict::Error,
            lines: self.remind(now_ms).into_iter().collect(),
        }
    }

    fn remind(&self, now_ms: u64) -> Option<Line> {
        self.reminder.line(now_ms, Level::Error, || {
            format!(
                "disabled by a bad setting, nothing is healed: {}; mend it and reload",
                self.why
            )
        })
    }
}
