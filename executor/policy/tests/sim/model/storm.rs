//! Whether restarts make it worse, when that is over, and when a hold is.

use std::collections::{BTreeMap, BTreeSet};

use policy::{
    ContainerState, Entry, Facts, Gate, HealthStatus, Look, Outcome, RuleRemedy, Step, Timestamp,
    Verdict, WallTime,
};

use super::Model;
use super::attempts::Seen;
use super::gates::Question;
use super::past::Past;
use crate::check::wall_ms;

/// A look at a target of a storm is worth so much, ms.
const CLEAR_FOR_MS: u64 = 60_000;

/// What did not cure counts towards a storm for so long at least, ms.
const HOUR_MS: u64 = 3_600_000;

/// One that is on.
#[derive(Debug, Clone)]
pub(super) struct Storm {
    pub(super) targets: BTreeSet<String>,
    pub(super) last_match: Timestamp,
}

/// A hold that is on.
#[derive(Debug, Clone)]
struct Hold {
    wall_ms: u64,
    container_id: Option<String>,
    started_at: Option<WallTime>,
}

/// What one process has seen of a target that is held or in a storm.
#[derive(Debug, Clone, Default)]
pub(super) struct SeenTarget {
    /// Well since then, by one and the same start.
    well: Option<(Timestamp, WallTime)>,
    clear_at: Option<Timestamp>,
}

impl Past<'_> {
    pub(super) fn storm(self) -> Option<Storm> {
        let mut storm: Option<Storm> = None;
        for record in self.records {
            match &record.entry {
                Entry::Storm { targets, .. } => {
                    storm = Some(Storm {
                        targets: targets.clone(),
                        last_match: record.at,
                    });
                }
                Entry::StormEnded { .. } => storm = None,
                Entry::Decided {
                    target,
                    rule,
                    remedy,
                    gate,
                    dry: false,
                    ..
                } if is_named(target, rule, *remedy) && *remedy == RuleRemedy::Restart => {
                    let is_known = gate.is_none_or(|gate| gate >= Gate::InProgress);
                    if let Some(storm) = &mut storm
                        && is_known
                        && (*gate == Some(Gate::Storm) || storm.targets.contains(target))
                    {
                        storm.last_match = record.at;
                        storm.targets.insert(target.clone());
                    }
                }
                _ => {}
            }
        }
        storm
    }

    /// The attempts that did not cure, since the last one that did or the last
    /// storm's end.
    fn uncured_in_a_row(self) -> Vec<String> {
        let within_ms = HOUR_MS
            .max(self.config.storm.quiet_ms)
            .max(self.config.host_window_ms);
        let mut row: Vec<(Timestamp, String)> = Vec::new();
        for record in self.records {
            match &record.entry {
                Entry::StormEnded { .. } => row.clear(),
                Entry::Held { target, .. } | Entry::Released { target, .. } => {
                    row.retain(|(_, of)| of != target);
                }
                Entry::Outcome {
                    attempt, outcome, ..
                } => {
                    let Some((_, charge)) = self.charge(*attempt).filter(|(_, c)| !c.shadow) else {
                        continue;
                    };
                    match outcome {
                        Outcome::Recovered => row.clear(),
                        Outcome::Relapsed | Outcome::Failed => {
                            row.push((record.at, charge.target.clone()));
                        }
                        Outcome::Aborted | Outcome::Unknown | Outcome::Stopped => {}
                    }
                }
                _ => {}
            }
            row.retain(|(at, _)| record.at.since(*at) < within_ms);
        }
        row.into_iter().map(|(_, target)| target).collect()
    }

    /// The targets that a rule has called for a restart of in the last so many
    /// milliseconds, as far as a storm has not answered that.
    fn called_by(self, rule: &str, now: Timestamp, within_ms: u64) -> BTreeSet<String> {
        let mut called = BTreeSet::new();
        for record in self.records {
            match &record.entry {
                Entry::StormEnded { .. } => called.clear(),
                Entry::Decided {
                    target,
                    rule: of,
                    remedy,
                    decision,
                    gate,
                    dry: false,
                    ..
                } if of == rule && is_named(target, of, *remedy) => {
                    let is_call = match gate {
                        None => *decision == Verdict::Restart,
                        Some(gate) => matches!(
                            gate,
                            Gate::Storm | Gate::Cooldown | Gate::Window | Gate::HostLimit
                        ),
                    };
                    if is_call && now.since(record.at) < within_ms {
                        called.insert(target.clone());
                    }
                }
                _ => {}
            }
        }
        called
    }

    fn hold(self, of: &str) -> Option<Hold> {
        let mut hold: Option<Hold> = None;
        for record in self.records {
            match &record.entry {
                Entry::Held {
                    target,
                    container_id,
                    started_at,
                    ..
                } if target == of => {
                    hold = Some(Hold {
                        wall_ms: record.wall_ms,
                        container_id: container_id.clone(),
                        started_at: *started_at,
                    });
                }
                Entry::Released { target, .. } if target == of => hold = None,
                // Ours: no sign that somebody has seen to it.
                Entry::Restarted {
                    attempt,
                    started_at,
                } if self.charge(*attempt).is_some_and(|(_, c)| c.target == of) => {
                    if let Some(hold) = &mut hold {
                        hold.started_at = Some(*started_at);
                    }
                }
                _ => {}
            }
        }
        hold
    }
}

fn is_named(target: &str, rule: &str, remedy: RuleRemedy) -> bool {
    !target.is_empty() && !rule.is_empty() && remedy != RuleRemedy::Note
}

impl Model<'_> {
    /// Whether such an end is one too many in a row, over two targets or more.
    /// Of one target half of them count at most; of one that is held by it the
    /// newest alone.
    pub(super) fn storm_after(&self, target: &str, outcome: Outcome, is_held: bool) -> bool {
        let most = self.past.config.storm.attempts as usize;
        let is_uncured = matches!(outcome, Outcome::Relapsed | Outcome::Failed);
        if most == 0 || !is_uncured || self.past.storm().is_some() {
            return false;
        }
        let mut of_each: BTreeMap<String, usize> = BTreeMap::new();
        for name in self.past.uncured_in_a_row() {
            *of_each.entry(name).or_default() += 1;
        }
        if is_held {
            of_each.remove(target);
        }
        *of_each.entry(target.to_owned()).or_default() += 1;
        let half = most - most / 2;
        let count: usize = of_each.values().map(|n| half.min(*n)).sum();
        count >= most && of_each.len() >= 2
    }

    /// Whether a new match makes it too many targets for one rule.
    pub(super) fn storm_of(&self, question: &Question<'_>) -> bool {
        let limits = self.past.config.storm;
        let Some(matched) = &question.matched else {
            return false;
        };
        let is_dry_run = self.past.settings(question.facts).is_dry_run;
        if !matched.is_news || limits.targets == 0 || is_dry_run || self.past.storm().is_some() {
            return false;
        }
        let now = self.now.at;
        let mut called = self.past.called_by(matched.rule, now, limits.within_ms);
        called.insert(question.facts.name.clone());
        called.len() >= limits.targets as usize
    }

    /// When a match that a storm refuses is decided again.
    pub(super) fn storm_until(&self, last_match: Timestamp) -> Timestamp {
        let quiet_ms = self.past.config.storm.quiet_ms;
        let wait_ms = (quiet_ms / 4).max(30_000);
        last_match.plus(quiet_ms).max(self.now.at.plus(wait_ms))
    }

    pub(crate) fn check_target_look(
        &self,
        seen: &mut Seen,
        target: &str,
        look: &Look,
        step: &Step,
    ) {
        let Some(one) = seen.targets.get_mut(target) else {
            assert!(step.entries.is_empty(), "model: nobody asks after {target}");
            return;
        };
        if let Look::Unavailable { .. } = look {
            *one = SeenTarget::default();
            assert!(step.entries.is_empty(), "model: decided without facts");
            return;
        }
        let released = self.must_release(one, target, look);
        let got = step.entries.iter().find_map(|entry| match entry {
            Entry::Released { uncured, .. } => Some(*uncured),
            _ => None,
        });
        assert_eq!(got, released, "model: released, with so much to its name");
        let is_over = self.storm_is_over(seen, target, look);
        let ends = |entry: &Entry| matches!(entry, Entry::StormEnded { .. });
        let got = step.entries.iter().any(ends);
        assert_eq!(got, is_over, "model: the storm is over");
        assert!(
            step.durable || step.entries.is_empty(),
            "model: not durable"
        );
    }

    /// With how many attempts that still count.
    fn must_release(&self, one: &mut SeenTarget, target: &str, look: &Look) -> Option<u32> {
        let hold = self.past.hold(target)?;
        let Some((facts, started_at)) = well(&hold, look) else {
            one.well = None;
            return None;
        };
        let since = match one.well {
            Some((since, of)) if of == started_at => since,
            _ => self.now.at,
        };
        one.well = Some((since, started_at));
        let recovery = self.past.config.target(target).recovery;
        let waited_ms = self.now.at.since(since);
        if recovery.release_after_ms == 0 || waited_ms < recovery.release_after_ms {
            return None;
        }
        let is_another = hold.container_id.is_some_and(|id| id != facts.id);
        let uncured = self.past.uncured(target).min(recovery.max_attempts - 1);
        Some(if is_another { 0 } else { uncured })
    }

    fn storm_is_over(&self, seen: &mut Seen, target: &str, look: &Look) -> bool {
        let Some(storm) = self.past.storm() else {
            return false;
        };
        if let Some(one) = seen.targets.get_mut(target) {
            one.clear_at = is_clear(look).then_some(self.now.at);
        }
        let quiet_at = storm.last_match.plus(self.past.config.storm.quiet_ms);
        let is_clear = |name: &String| {
            let at = seen.targets.get(name).and_then(|one| one.clear_at);
            at.is_some_and(|at| at >= quiet_at && self.now.at.since(at) <= CLEAR_FOR_MS)
        };
        self.now.at >= quiet_at && storm.targets.iter().all(is_clear)
    }

    /// After a long calm nothing is left on that all is clear for.
    pub(crate) fn check_calm(&self, looks: &BTreeMap<String, Look>) {
        if let Some(storm) = self.past.storm() {
            let is_clear = |name: &String| looks.get(name).is_none_or(is_clear);
            let all_clear = storm.targets.iter().all(is_clear);
            assert!(!all_clear, "over: the storm goes on though all is clear");
        }
        for (name, look) in looks {
            let may_end = self.past.config.target(name).recovery.release_after_ms > 0;
            if let Some(hold) = self.past.hold(name).filter(|_| may_end) {
                let is_well = well(&hold, look).is_some();
                assert!(!is_well, "over: {name} is held though it is well: {hold:?}");
            }
        }
    }
}

impl Seen {
    /// What is on record about a target that is held or in a storm.
    pub(super) fn target_written(&mut self, entry: &Entry) {
        match entry {
            Entry::Held { target, .. } => {
                self.targets.entry(target.clone()).or_default().well = None;
            }
            Entry::Released { target, .. } => {
                self.targets.remove(target);
            }
            Entry::StormEnded { .. } => {
                self.targets.retain(|_, one| one.well.is_some());
                for one in self.targets.values_mut() {
                    one.clear_at = None;
                }
            }
            Entry::Decided {
                target,
                rule,
                remedy,
                gate,
                dry: false,
                ..
            } => {
                let speaks = gate.is_none_or(|gate| gate >= Gate::NotRunning);
                if speaks
                    && is_named(target, rule, *remedy)
                    && let Some(one) = self.targets.get_mut(target)
                {
                    one.well = None;
                }
            }
            _ => {}
        }
    }

    pub(crate) fn target_look_out(&mut self, target: &str) {
        self.targets.entry(target.to_owned()).or_default();
    }
}

/// A held container that is well since the hold: its check says so, or somebody
/// has started it anew.
fn well<'a>(hold: &Hold, look: &'a Look) -> Option<(&'a Facts, WallTime)> {
    let Look::Found(facts) = look else {
        return None;
    };
    let started_at = facts.started_at?;
    if facts.state != ContainerState::Running {
        return None;
    }
    let is_another = hold.container_id.as_ref().is_some_and(|id| *id != facts.id);
    let is_well = match facts.health {
        Some(health) => {
            let found_ms = health.checked_at.map_or(0, wall_ms);
            health.status == HealthStatus::Healthy && found_ms > hold.wall_ms
        }
        None => {
            is_another
                || hold.started_at.map_or_else(
                    || wall_ms(started_at) > hold.wall_ms,
                    |then| started_at != then,
                )
        }
    };
    is_well.then_some((facts, started_at))
}

fn is_clear(look: &Look) -> bool {
    match look {
        Look::Gone => true,
        Look::Unavailable { .. } => false,
        Look::Found(facts) => {
            let is_bad = |status| status != HealthStatus::Healthy;
            let is_ill = facts.health.is_some_and(|health| is_bad(health.status));
            facts.state != ContainerState::Running || !is_ill
        }
    }
}
