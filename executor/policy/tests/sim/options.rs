//! What a seed draws before a run begins: settings of the executor, and how
//! often what goes wrong.

use std::collections::{BTreeMap, BTreeSet};

use policy::{Config, Limits, OnRefusal, Recovery, Remedies, StormLimits, TargetConfig, Window};

use crate::means::Means;
use crate::rng::Rng;

/// Chances are per mille.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) config: Config,
    pub(crate) containers: u64,
    /// How long faults and matches go on, ms.
    pub(crate) busy_ms: u64,
    /// A container prints a match about so often while it is sick, ms.
    pub(crate) print_every_ms: u64,
    /// That a restart cures.
    pub(crate) cures: u64,
    /// That a container hangs without a word.
    pub(crate) hung: u64,
    /// That an intent is sent twice, or late.
    pub(crate) doubles: u64,
    pub(crate) late: u64,
    /// That the executor dies, at each of several places in each step.
    pub(crate) dies: u64,
    /// That such a death is a power cut: the machine starts anew.
    pub(crate) power: u64,
    /// That the disk refuses a write.
    pub(crate) disk: u64,
    /// That the journal is compacted after a step.
    pub(crate) compacts: u64,
    /// That the engine refuses, hangs, or fails half-way through a restart.
    pub(crate) refuses: u64,
    pub(crate) hangs: u64,
    pub(crate) halves: u64,
    /// That the engine says what is not so.
    pub(crate) lies: u64,
    /// That a look's result never comes.
    pub(crate) loses: u64,
    /// That the journal turns out to be damaged at a start.
    pub(crate) damages: u64,
    /// How far the wall clock goes astray in a million milliseconds, ms.
    pub(crate) drift_ppm: i64,
    /// That an inspect is slow, or is not answered.
    pub(crate) slow: u64,
    /// The engine goes away about so often, ms; 0 = never.
    pub(crate) engine_away_every_ms: u64,
    /// A person does something about so often, ms; 0 = never.
    pub(crate) people_every_ms: u64,
    /// The wall clock jumps about so often, ms; 0 = never.
    pub(crate) jumps_every_ms: u64,
    /// The owner's remedies, what commands do, and who depends on whom.
    pub(crate) means: Means,
}

/// Names of the containers; the last is enabled by a label only.
pub(crate) const NAMES: [&str; 5] = ["alpha", "beta", "gamma", "delta", "labelled"];

impl Options {
    /// `apart` draws what came later, so that a seed without it is what it was.
    pub(crate) fn draw(rng: &mut Rng, apart: &mut Rng) -> Self {
        // Some seeds are calm in one way or another, so that what only shows
        // without a certain fault is seen, too.
        let mut sometimes = |low: u64, high: u64| {
            if rng.chance(400) {
                0
            } else {
                rng.range(low, high)
            }
        };
        let (doubles, late) = (sometimes(50, 400), sometimes(20, 200));
        let (dies, disk) = (sometimes(2, 60), sometimes(5, 80));
        let (power, compacts) = (sometimes(100, 500), sometimes(3, 60));
        let (refuses, hangs, halves) = (sometimes(20, 400), sometimes(10, 200), sometimes(20, 300));
        let slow = sometimes(10, 300);
        let engine_away_every_ms = sometimes(120_000, 900_000);
        let people_every_ms = sometimes(30_000, 600_000);
        let jumps_every_ms = sometimes(200_000, 900_000);
        let (lies, loses, damages) = (sometimes(5, 100), sometimes(1, 30), sometimes(5, 50));
        let drift_ppm = i64::try_from(sometimes(1, 500)).expect("small") - 250;
        let mut config = config(rng);
        let containers = rng.range(1, NAMES.len() as u64);
        let means = Means::draw(apart, &NAMES[..usize::try_from(containers).expect("few")]);
        means.set_remedies(apart, &mut config);
        Self {
            config,
            containers,
            busy_ms: rng.range(600_000, 2_400_000),
            print_every_ms: rng.pick(&[5_000, 15_000, 60_000, 300_000]),
            cures: rng.range(0, 1_000),
            hung: rng.pick(&[0, 0, 300, 900]),
            doubles,
            late,
            dies,
            power,
            disk,
            compacts,
            refuses,
            hangs,
            halves,
            slow,
            lies,
            loses,
            damages,
            drift_ppm,
            engine_away_every_ms,
            people_every_ms,
            jumps_every_ms,
            means,
        }
    }
}

fn config(rng: &mut Rng) -> Config {
    let defaults = target(rng);
    let mut targets = BTreeMap::new();
    for name in &NAMES[..NAMES.len() - 1] {
        targets.insert((*name).to_owned(), target(rng));
    }
    Config {
        defaults,
        targets,
        labels_may_loosen: rng.chance(300),
        on_refusal: if rng.chance(850) {
            OnRefusal::Pending
        } else {
            OnRefusal::Drop
        },
        max_age_ms: rng.pick(&[60_000, 900_000]),
        pending_max_ms: rng.chance(300).then(|| rng.range(1_000, 900_000)),
        host_max: rng.pick(&[2, 5, 10, 100]),
        host_window_ms: rng.pick(&[60_000, 600_000]),
        attempts_parallel: rng.pick(&[1, 2, 4]),
        storm: StormLimits {
            attempts: rng.pick(&[0, 3, 5]),
            targets: rng.pick(&[0, 3]),
            within_ms: 60_000,
            quiet_ms: rng.pick(&[30_000, 600_000]),
        },
        dry_run: rng.chance(50),
        shadow_rules: BTreeSet::new(),
        stopped: BTreeSet::new(),
        windows: Vec::new(),
    }
}

/// Maintenance windows about a moment of wall time, none of them for ever: some
/// open, some to come, some of all targets.
pub(crate) fn windows(rng: &mut Rng, wall_ms: u64) -> Vec<Window> {
    let mut windows = Vec::new();
    for n in 0..rng.range(0, 3) {
        let mut open = Vec::new();
        for _ in 0..rng.range(0, 3) {
            let from = wall_ms.saturating_sub(300_000) + rng.range(0, 1_200_000);
            open.push((from, from + rng.pick(&[1, 30_000, 240_000, 900_000])));
        }
        let targets = rng.pick(&["", "*", "alpha", "*ta", "?e*a", "nobody"]);
        windows.push(Window {
            name: format!("window {n}"),
            reason: String::new(),
            targets: Some(targets.to_owned())
                .filter(|t| !t.is_empty())
                .into_iter()
                .collect(),
            open,
        });
    }
    windows
}

fn target(rng: &mut Rng) -> TargetConfig {
    TargetConfig {
        enabled: rng.chance(950),
        protected: rng.chance(30),
        dry_run: rng.chance(30),
        limits: Limits {
            cooldown_ms: rng.pick(&[0, 1_500, 20_000, 60_000, 300_000]),
            window_ms: rng.pick(&[30_000, 120_000, 600_000]),
            max_per_window: rng.pick(&[1, 2, 4, 10]),
        },
        recovery: Recovery {
            stable_for_ms: rng.pick(&[0, 5_000, 60_000]),
            backoff: rng.pick(&[1_000, 1_500, 2_000]),
            cooldown_max_ms: rng.pick(&[60_000, 600_000]),
            max_attempts: rng.pick(&[2, 5, 100]),
            release_after_ms: rng.pick(&[0, 60_000, 600_000]),
            start_delay_ms: 0,
        },
        remedies: Remedies::default(),
        depends_on: BTreeSet::new(),
    }
}
