//! How many restarts, and how soon.

use super::{Ask, Refusal};
use crate::figures::{left, less_than, limit};
use crate::state::{Spent, counting};
use crate::{ATTEMPTS_MAX, Gate, Timestamp};

pub(super) fn cooldown(ask: &Ask<'_>) -> Option<Refusal> {
    let cooldown_ms = ask.limits.cooldown_ms;
    let last = ask.target()?.counting(ask.is_dry_run()).next_back()?;
    let elapsed_ms = ask.now.at.since(last.at);
    (elapsed_ms < cooldown_ms).then(|| {
        let figures = less_than(elapsed_ms, cooldown_ms);
        let detail = format!("Cooldown active ({figures}){}", grown_from(ask));
        Refusal::new(Gate::Cooldown, detail).until(last.at.plus(cooldown_ms))
    })
}

/// What has made the cooldown longer than it is set to, where that is so.
fn grown_from(ask: &Ask<'_>) -> String {
    let own_ms = ask.settings.limits.cooldown_ms;
    if ask.uncured == 0 || ask.limits.cooldown_ms <= own_ms {
        return String::new();
    }
    let attempts = match ask.uncured {
        1 => "1 attempt".to_owned(),
        n => format!("{n} attempts"),
    };
    format!(
        ", grown from {} by {attempts} without recovery",
        limit(own_ms)
    )
}

/// After a damaged journal nobody knows what was spent: everything.
pub(super) fn window(ask: &Ask<'_>) -> Option<Refusal> {
    let limits = ask.limits;
    let reached = format!(
        "Max restarts ({}) in last {} reached",
        limits.max_per_window,
        limit(limits.window_ms)
    );
    if let Some(closed) = &ask.state.fail_closed
        && ask.now.at < closed.until
    {
        let detail = format!(
            "{reached} (counted as spent for another {}: {})",
            left(closed.until, ask.now.at),
            closed.why
        );
        return Some(Refusal::new(Gate::Window, detail).until(closed.until));
    }
    let spent = ask.target().map_or(&[][..], |target| &target.spent);
    let free = when_free(ask, spent, limits.max_per_window, limits.window_ms)?;
    Some(Refusal::new(Gate::Window, reached).until(free))
}

pub(super) fn host_limit(ask: &Ask<'_>) -> Option<Refusal> {
    let (max, window_ms) = (ask.config.host_max, ask.config.host_window_ms);
    if ask.state.attempts.len() >= ATTEMPTS_MAX {
        let detail = format!("{ATTEMPTS_MAX} attempts are remembered, all within limits");
        let until = ask.now.at.plus(window_ms);
        return Some(Refusal::new(Gate::HostLimit, detail).until(until));
    }
    let free = when_free(ask, &ask.state.host, max, window_ms)?;
    let detail = format!(
        "Max restarts on this host ({max}) in last {} reached",
        limit(window_ms)
    );
    Some(Refusal::new(Gate::HostLimit, detail).until(free))
}

pub(super) fn dry_run(ask: &Ask<'_>) -> Option<Refusal> {
    ask.is_dry_run().then(|| {
        let detail = format!("Dry run: would restart '{}'", ask.facts.name);
        Refusal::new(Gate::DryRun, detail)
    })
}

/// None where fewer than `max` charges lie within the window that ends now;
/// else when that will be so. A charge exactly `window_ms` ago is out of it.
fn when_free(ask: &Ask<'_>, spent: &[Spent], max: u32, window_ms: u64) -> Option<Timestamp> {
    let within: Vec<&Spent> = counting(spent, ask.is_dry_run())
        .rev()
        .take_while(|s| ask.now.at.since(s.at) < window_ms)
        .collect();
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    if within.len() < max {
        return None;
    }
    // Newest first: the one whose leaving makes room. With `max` 0 none does.
    let leaving = max.checked_sub(1).and_then(|i| within.get(i));
    Some(leaving.map_or(ask.now.at.plus(window_ms.max(1)), |s| s.at.plus(window_ms)))
}
