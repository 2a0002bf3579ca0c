//! When a target could be restarted next, by everything that is known of it
//! without asking Docker: for people, never for decisions.

use serde::Serialize;

use crate::state::Spent;
use crate::{Gate, Limits, Now, Policy, Timestamp, holding};

/// What stands between a target and its next restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Possible {
    /// The gate that would refuse for longest, or for good; none = nothing would.
    pub gate: Option<Gate>,
    /// For so long, ms; none where only a person, the configuration or verified health ends it.
    pub left_ms: Option<u64>,
}

impl Policy {
    /// By the limits in force, the labels of the container apart; `off` as [`crate::Off::gate`].
    pub(crate) fn possible(
        &self,
        now: Now,
        name: &str,
        limits: Limits,
        dry_run: bool,
        off: Option<Gate>,
    ) -> Possible {
        let host: Vec<Timestamp> = times(&self.state.host, dry_run);
        let own = self.state.target(name).map(|target| &*target.spent);
        let own = times(own.unwrap_or_default(), dry_run);
        let cooldown = own.last().map(|last| last.plus(limits.cooldown_ms));
        let window = free(&own, limits.max_per_window, limits.window_ms, now.at);
        let closed = self.state.fail_closed.as_ref().map(|closed| closed.until);
        let config = &self.config;
        let by_time = [
            (Gate::Maintenance, self.maintained_until(now, name)),
            (Gate::Cooldown, cooldown),
            (Gate::Window, window.max(closed)),
            (
                Gate::HostLimit,
                free(&host, config.host_max, config.host_window_ms, now.at),
            ),
        ];
        if let Some(gate) = off.or_else(|| self.refused_for_good(now, name)) {
            return Possible {
                gate: Some(gate),
                left_ms: None,
            };
        }
        let longest = by_time
            .into_iter()
            .filter_map(|(gate, until)| Some((until?.since(now.at), gate)))
            .filter(|(left_ms, _)| *left_ms > 0)
            // Of equals the one that is asked first.
            .rev()
            .max_by_key(|(left_ms, _)| *left_ms);
        Possible {
            gate: longest.map(|(_, gate)| gate),
            left_ms: Some(longest.map_or(0, |(left_ms, _)| left_ms)),
        }
    }

    /// What no time ends, in the order of asking.
    fn refused_for_good(&self, now: Now, name: &str) -> Option<Gate> {
        let target = self.state.target(name);
        let own = target.and_then(|target| target.pause.as_ref());
        let pauses = [self.state.pause.as_ref(), own].into_iter().flatten();
        let mut endless = pauses.filter(|p| p.is_on(now.at) && p.until.is_none());
        if self.config.stopped.contains(name) || endless.next().is_some() {
            Some(Gate::Maintenance)
        } else if target.is_some_and(|target| target.held.is_some()) {
            Some(Gate::Held)
        } else if self.state.storms.on.is_some() {
            Some(Gate::Storm)
        } else {
            None
        }
    }

    /// The end of the pause or window that lasts longest.
    fn maintained_until(&self, now: Now, name: &str) -> Option<Timestamp> {
        let own = self.state.target(name).and_then(|t| t.pause.as_ref());
        let pauses = [self.state.pause.as_ref(), own].into_iter().flatten();
        let paused = pauses.filter_map(|pause| pause.until).max();
        let open = holding(&self.config.windows, name, now.wall_ms);
        let open = open.map(|held| now.at.plus(held.until_wall_ms.saturating_sub(now.wall_ms)));
        paused.max(open)
    }
}

fn times(spent: &[Spent], dry_run: bool) -> Vec<Timestamp> {
    crate::state::counting(spent, dry_run)
        .map(|s| s.at)
        .collect()
}

/// When a window that is full has room again.
fn free(spent: &[Timestamp], most: u32, window_ms: u64, now: Timestamp) -> Option<Timestamp> {
    let within: Vec<Timestamp> = spent
        .iter()
        .copied()
        .filter(|at| now.since(*at) < window_ms)
        .collect();
    let first = within.len().checked_sub(most as usize)?;
    within.get(first).map(|at| at.plus(window_ms))
}
