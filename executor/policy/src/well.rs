//! Looks at targets that nobody's intent speaks of: what is held is released
//! when it has got well, and a storm is over when all is clear.
//!
//! A held target is *well* while its container runs, and either has a health
//! check that says healthy and has found so since the hold, or has no check and
//! has been started anew since the hold, by somebody else. After `release_after`
//! of that, by one and the same start and without a match, it is released. Where
//! the very container goes on, the attempts that did not cure stay counted but
//! one: a single further one that does not cure holds it again.
//!
//! A storm is over when none of its targets has matched for `quiet`, and each was
//! then found clear: gone, not running, without a health check, or healthy.
//!
//! Both are found by looks alone, so a new process takes no less time over them.

use std::collections::BTreeSet;

use crate::bounds::look_wait_ms;
use crate::figures::{limit, wall_ms};
use crate::state::{Held, Storm};
use crate::{
    Action, CLEAR_FOR_MS, ContainerState, Entry, Event, Facts, HealthStatus, LOOK_LOST_MS, Look,
    Now, Policy, Step, TARGET_LOOK_MS, TARGET_LOOKS_MAX, Timestamp, WallTime,
};

impl Policy {
    pub(crate) fn target_look(&mut self, now: Now, target: &str, look: &Look) -> Step {
        let mut step = Step::default();
        let Some(live) = self.live.targets.get_mut(target) else {
            return step;
        };
        live.lost_at = None;
        live.next = now.at.plus(TARGET_LOOK_MS);
        if let Look::Unavailable { .. } = look {
            live.next = now.at.plus(look_wait_ms(4));
            (live.well, live.clear_at) = (None, None);
            return step;
        }
        self.held_look(&mut step, now, target, look);
        self.storm_look(&mut step, now, target, look);
        step
    }

    fn held_look(&mut self, step: &mut Step, now: Now, target: &str, look: &Look) {
        let Some(held) = self.state.target(target).and_then(|t| t.held.as_ref()) else {
            return;
        };
        let Some(live) = self.live.targets.get_mut(target) else {
            return;
        };
        let Some((facts, started_at)) = well(held, look) else {
            live.well = None;
            return;
        };
        let since = match live.well {
            Some((since, of)) if of == started_at => since,
            _ => now.at,
        };
        live.well = Some((since, started_at));
        let recovery = self.config.target(target).recovery;
        // Looked at because of a storm: its hold is for a person to end.
        if recovery.release_after_ms == 0 {
            return;
        }
        let over = since.plus(recovery.release_after_ms);
        if now.at < over {
            live.next = live.next.min(over);
            return;
        }
        let is_another = held.container_id.as_ref().is_some_and(|id| *id != facts.id);
        let uncured = self.state.target(target).map_or(0, |t| t.uncured);
        let by = format!("its health: well for {}", limit(recovery.release_after_ms));
        step.entries.push(Entry::Released {
            target: target.to_owned(),
            by: by.clone(),
            uncured: if is_another {
                0
            } else {
                uncured.min(recovery.max_attempts.saturating_sub(1))
            },
        });
        step.durable = true;
        step.tell(Event::Released {
            target: target.to_owned(),
            by,
        });
    }

    fn storm_look(&mut self, step: &mut Step, now: Now, target: &str, look: &Look) {
        let Some(storm) = &self.state.storms.on else {
            return;
        };
        if let Some(live) = self.live.targets.get_mut(target) {
            live.clear_at = is_clear(look).then_some(now.at);
        }
        let quiet = self.quiet_at(storm);
        let clear = |name: &String| {
            let live = self.live.targets.get(name);
            let at = live.and_then(|live| live.clear_at);
            at.is_some_and(|at| at >= quiet && now.at.since(at) <= CLEAR_FOR_MS)
        };
        if now.at >= quiet && storm.targets.iter().all(clear) {
            self.end_storm(step, "all clear");
        }
    }

    fn quiet_at(&self, storm: &Storm) -> Timestamp {
        storm.last_match.plus(self.config.storm.quiet_ms)
    }

    /// Asks for the looks that are due.
    pub(crate) fn targets_due(&mut self, step: &mut Step, now: Now) {
        if self.live.only.is_some() {
            return;
        }
        let mut due: Vec<(Timestamp, String)> = self
            .target_wakes()
            .filter(|(at, _)| *at <= now.at)
            .map(|(at, name)| (at, name.clone()))
            .collect();
        due.sort();
        // Held, and in the storm as well: one look serves both.
        let mut named = BTreeSet::new();
        due.retain(|(_, name)| named.insert(name.clone()));
        let free = TARGET_LOOKS_MAX.saturating_sub(self.target_looks_out(now.at));
        for (_, target) in due.into_iter().take(free) {
            let live = self.live.targets.entry(target.clone()).or_default();
            live.lost_at = Some(now.at.plus(LOOK_LOST_MS));
            step.actions.push(Action::LookForTarget { target });
        }
    }

    /// When the next of them is due; none while as many looks as allowed are out.
    pub(crate) fn targets_wake(&self) -> Option<Timestamp> {
        if self.live.only.is_some() {
            return None;
        }
        let is_out = |name: &String| {
            let live = self.live.targets.get(name);
            live.is_some_and(|live| live.lost_at.is_some())
        };
        let out = self.live.targets.values().filter(|t| t.lost_at.is_some());
        let is_full = out.count() >= TARGET_LOOKS_MAX;
        let wakes = self.target_wakes();
        wakes
            .filter(|(_, name)| !is_full || is_out(name))
            .map(|(at, _)| at)
            .min()
    }

    fn target_wakes(&self) -> impl Iterator<Item = (Timestamp, &String)> {
        let held = self.state.targets.iter().filter_map(|(name, target)| {
            let may_end = self.config.target(name).recovery.release_after_ms > 0;
            let held = target.held.as_ref().filter(|_| may_end)?;
            Some((held.at, name))
        });
        let storm = self.state.storms.on.iter();
        let stormy = storm.flat_map(|storm| {
            let quiet = self.quiet_at(storm);
            storm.targets.iter().map(move |name| (quiet, name))
        });
        held.chain(stormy).map(|(from, name)| {
            let live = self.live.targets.get(name);
            let at = live.map_or(Timestamp(0), |live| live.wake());
            (at.max(from), name)
        })
    }

    fn target_looks_out(&self, now: Timestamp) -> usize {
        let looks = self.live.targets.values().filter_map(|t| t.lost_at);
        looks.filter(|at| now < *at).count()
    }
}

/// The container and its start, where it is well again since the hold.
fn well<'a>(held: &Held, look: &'a Look) -> Option<(&'a Facts, WallTime)> {
    let Look::Found(facts) = look else {
        return None;
    };
    if facts.state != ContainerState::Running {
        return None;
    }
    let started_at = facts.started_at?;
    let is_well = match facts.health {
        Some(health) => {
            let found_ms = health.checked_at.map(wall_ms);
            health.status == HealthStatus::Healthy && found_ms.is_some_and(|ms| ms > held.wall_ms)
        }
        None => is_anew(held, facts, started_at),
    };
    is_well.then_some((facts, started_at))
}

/// Started since the hold, by whoever did: none of our attempts can have.
fn is_anew(held: &Held, facts: &Facts, started_at: WallTime) -> bool {
    if held.container_id.as_ref().is_some_and(|id| *id != facts.id) {
        return true;
    }
    match held.started_at {
        Some(then) => started_at != then,
        None => wall_ms(started_at) > held.wall_ms,
    }
}

fn is_clear(look: &Look) -> bool {
    match look {
        Look::Gone => true,
        Look::Unavailable { .. } => false,
        Look::Found(facts) => {
            let is_healthy = facts
                .health
                .is_none_or(|h| h.status == HealthStatus::Healthy);
            facts.state != ContainerState::Running || is_healthy
        }
    }
}
