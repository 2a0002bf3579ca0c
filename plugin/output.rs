//! One `[OUTPUT]` section as the host knows it: active, or disabled by a bad
//! setting in a hot reload.
//!
//! Kept true: at a cold start a bad setting fails Init with a message that
//! names key and value; in a hot reload it must not, as Fluent Bit would exit,
//! so the instance is there, says once a minute that it does nothing, and
//! answers every chunk with an error that the host counts.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use executor_api::Intent;

use crate::config::{Config, ConfigError, RawConfig};
use crate::guard::{Caught, Verdict};
use crate::instance::{Instance, Report};
use crate::log::{Level, Limiter, Line};
use crate::metrics::{Counter, Gauge, Metrics};
use crate::reload::{self, Generations};

/// See the module's description.
pub struct Output {
    state: State,
    panics: Limiter,
    /// No flush yet, and what an earlier instance left may lie about.
    is_fresh: AtomicBool,
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
        // A disabled one takes nothing, and the next configuration may.
        let is_heir = generations.is_hot() && matches!(state, State::Active(_));
        let output = Self {
            state,
            panics: Limiter::new(5, 60_000),
            is_fresh: AtomicBool::new(is_heir),
            born: Instant::now(),
        };
        Ok((output, lines))
    }

    /// Flush.
    pub fn flush(&self, chunk: &[u8], tag: &[u8]) -> Report {
        let mut report = match &self.state {
            State::Active(instance) => instance.flush(instance.now_ms(), chunk, tag),
            State::Disabled(disabled) => disabled.flush(self.now_ms()),
        };
        if self.is_fresh.load(Ordering::Relaxed) && self.is_fresh.swap(false, Ordering::Relaxed) {
            let unclaimed = self.tell_unclaimed(&mut reload::generations());
            report.lines.extend(unclaimed);
        }
        report
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

    /// Exit: tries once more to deliver what is kept, and gives what is left.
    pub fn finish(&self) -> (Vec<Intent>, Vec<Line>) {
        match &self.state {
            State::Active(instance) => instance.finish(instance.now_ms()),
            State::Disabled(_) => Default::default(),
        }
    }

    /// Leaves what [`Self::finish`] gave to a successor, or says that it is lost.
    pub fn hand_over(&self, generations: &mut Generations, kept: Vec<Intent>) -> Vec<Line> {
        let mut lines = self.tell_unclaimed(generations);
        let what = Amount::of(&kept);
        if what.matches == 0 {
            return lines;
        }
        let socket = self.socket();
        if generations.has_successor() {
            lines.push(Line::new(
                Level::Warn,
                format!(
                    "{what} wait for the executor and go to the new configuration's section with \
                     Socket {}; without one they are lost",
                    socket.display()
                ),
            ));
            generations.bequeath(&socket, kept);
        } else {
            lines.push(self.tell_lost(
                &what,
                "the executor did not answer before this section or Fluent Bit ended",
            ));
        }
        lines
    }

    /// What earlier instances left and no section of this configuration took.
    fn tell_unclaimed(&self, generations: &mut Generations) -> Vec<Line> {
        let unclaimed = generations.take_unclaimed().into_iter();
        let tell = |(socket, intents): (PathBuf, Vec<Intent>)| {
            let why = format!(
                "they waited for an executor at {}, and since the hot reload no section sends there",
                socket.display()
            );
            self.tell_lost(&Amount::of(&intents), &why)
        };
        unclaimed.map(tell).collect()
    }

    fn tell_lost(&self, what: &Amount, why: &str) -> Line {
        self.metrics().add(Counter::Lost, "", what.matches);
        Line::new(Level::Error, format!("{what} are lost: {why}"))
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

/// How much is kept or lost.
struct Amount {
    matches: u64,
    pairs: usize,
}

impl Amount {
    fn of(intents: &[Intent]) -> Self {
        let pairs: BTreeSet<_> = intents.iter().map(|i| (&i.target, &i.rule)).collect();
        Self {
            matches: intents.iter().map(Intent::matches).sum(),
            pairs: pairs.len(),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { matches, pairs } = self;
        write!(f, "{matches} matches of {pairs} containers and rules")
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
