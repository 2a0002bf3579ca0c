//! What a seed draws beside the usual: remedies that the host's owner has set, what
//! commands in containers do, and which containers depend on which. Many seeds have
//! none of it.

use std::collections::BTreeMap;

use policy::{Config, Exec, Measure, Relation, Remedies, Remedy};

use crate::rng::Rng;

/// A container that nobody watches or heals, and that others may depend on.
pub(crate) const OUTER: &str = "outer";

/// Chances are per mille.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    /// That a target's remedies are not the rules' own; 0 = never.
    pub(crate) remedies: u64,
    /// That a command fails, hangs, or nobody can tell how it ended.
    pub(crate) fails: u64,
    pub(crate) hangs: u64,
    pub(crate) unclear: u64,
    /// That it cures, whatever it says.
    pub(crate) cures: u64,
    /// That it makes its container end, mostly to start anew at once.
    pub(crate) ends: u64,
    /// By name: what it depends on, and how.
    pub(crate) parents: BTreeMap<String, Vec<(String, Relation)>>,
    /// That nothing can be learnt of a parent in time.
    pub(crate) blind: u64,
    /// That a person's stop takes its time and the executor is told of it; 0 = it is told of
    /// no signals.
    pub(crate) asks: u64,
    /// That the end of a container is told of though nobody saw how it came.
    pub(crate) unseen: u64,
    /// That what others depend on is one that runs once.
    pub(crate) done: u64,
}

impl Means {
    /// `names` in their order: a container depends on earlier ones only.
    pub(crate) fn draw(rng: &mut Rng, names: &[&str]) -> Self {
        let has_remedies = rng.chance(550);
        let has_parents = rng.chance(350);
        let mut sometimes = |low: u64, high: u64| {
            if rng.chance(300) {
                0
            } else {
                rng.range(low, high)
            }
        };
        let (fails, hangs, unclear) = (sometimes(50, 600), sometimes(10, 200), sometimes(10, 200));
        let (cures, ends, blind) = (sometimes(50, 900), sometimes(20, 300), sometimes(5, 200));
        Self {
            remedies: if has_remedies {
                rng.range(400, 1_000)
            } else {
                0
            },
            fails,
            hangs,
            unclear,
            cures,
            ends,
            parents: if has_parents {
                parents(rng, names)
            } else {
                BTreeMap::new()
            },
            blind,
            asks: 0,
            unseen: 0,
            done: 0,
        }
    }

    /// What came later still, from a stream of its own.
    pub(crate) fn draw_later(&mut self, rng: &mut Rng) {
        let mut sometimes = |high: u64| {
            if rng.chance(500) {
                0
            } else {
                rng.range(100, high)
            }
        };
        (self.asks, self.unseen, self.done) = (sometimes(900), sometimes(900), sometimes(900));
    }

    /// What the owner has set for work that is left undone.
    pub(crate) fn set_unfinished(&self, rng: &mut Rng, config: &mut Config) {
        if self.remedies == 0 {
            return;
        }
        for target in config.targets.values_mut().chain([&mut config.defaults]) {
            if rng.chance(450) {
                let by_rule = &mut target.remedies.by_rule;
                by_rule.insert("unfinished".to_owned(), remedy(rng));
            }
        }
    }

    /// What is no target of ours changes about so often, ms; 0 = never.
    pub(crate) fn outer_every_ms(&self) -> u64 {
        if self.parents.is_empty() { 0 } else { 120_000 }
    }

    /// Commands work out, and all can be seen.
    pub(crate) fn calm_down(&mut self) {
        (self.fails, self.hangs, self.unclear) = (0, 0, 0);
        (self.cures, self.ends, self.blind) = (1_000, 0, 0);
    }

    /// Sets the remedies of every target anew, as the owner would by a reload.
    pub(crate) fn set_remedies(&self, rng: &mut Rng, config: &mut Config) {
        if self.remedies == 0 {
            return;
        }
        let targets = config.targets.values_mut().chain([&mut config.defaults]);
        for target in targets {
            target.remedies = if rng.chance(self.remedies) {
                remedies(rng)
            } else {
                Remedies::default()
            };
        }
    }
}

fn parents(rng: &mut Rng, names: &[&str]) -> BTreeMap<String, Vec<(String, Relation)>> {
    let mut all = BTreeMap::new();
    for (n, name) in names.iter().enumerate() {
        let mut own: Vec<(String, Relation)> = Vec::new();
        for parent in names[..n].iter().chain([&OUTER]) {
            if rng.chance(350) {
                let has_network = own.iter().any(|(_, how)| *how == Relation::Network);
                let relation = match rng.chance(250) && !has_network {
                    true => Relation::Network,
                    false => Relation::Needs,
                };
                own.push(((*parent).to_owned(), relation));
            }
        }
        all.insert((*name).to_owned(), own);
    }
    all
}

fn remedies(rng: &mut Rng) -> Remedies {
    let mut remedies = Remedies::default();
    for rule in [
        "oom",
        "nccl",
        "rare",
        "dead gpu",
        "xids",
        "retried",
        "probe-api",
        "died",
    ] {
        if rng.chance(450) {
            remedies.by_rule.insert(rule.to_owned(), remedy(rng));
        }
    }
    if rng.chance(300) {
        remedies.other = Some(remedy(rng));
    }
    remedies
}

/// As the configuration allows it: commands come first, then one restart or stop, then
/// a person; nothing twice.
fn remedy(rng: &mut Rng) -> Remedy {
    match rng.range(0, 20) {
        0 => return Remedy::Note,
        1 => return Remedy::Escalate,
        _ => {}
    }
    let commands = rng.pick(&[0, 1, 1, 1, 1, 2, 2, 3, 6]);
    let mut plan: Vec<Measure> = (0..commands).map(|n| command(rng, n)).collect();
    match rng.range(0, 9) {
        0 => plan.push(Measure::Stop),
        1 | 2 if commands > 0 => {}
        _ => plan.push(Measure::Restart),
    }
    if rng.chance(300) {
        plan.push(Measure::Escalate);
    }
    Remedy::Heal(plan)
}

/// No two of one plan have the same name.
fn command(rng: &mut Rng, n: u64) -> Measure {
    let word = rng.range(0, 1_000);
    Measure::Exec(Exec {
        name: format!("command {n}"),
        argv: vec!["/bin/heal".into(), word.to_string()],
        timeout_ms: rng.pick(&[500, 5_000, 5_000, 60_000]),
    })
}
