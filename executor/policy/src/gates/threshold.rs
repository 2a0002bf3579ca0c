//! Whether a rule has matched often enough.

use super::{Ask, Refusal, Who};
use crate::figures::limit;
use crate::state::most_within;
use crate::{Gate, PendingKey};

/// Matches before the container's start do not count.
pub(super) fn below_threshold(ask: &Ask<'_>) -> Option<Refusal> {
    let Who::Match(matched) = ask.who else {
        return None;
    };
    let (count, within_ms) = matched.threshold?;
    let key = PendingKey::Target(ask.facts.name.clone());
    let from = ask.facts.started_at.map_or(0, |start| start.secs);
    let counted = &ask.state.counted;
    let mut all = counted.with(&key, matched.rule, matched.times, from);
    if let Some(other) = matched.counted_as.filter(|other| **other != key) {
        for (second, n) in counted.with(other, matched.rule, &[], from) {
            let sum = all.entry(second).or_default();
            *sum = sum.saturating_add(n);
        }
    }
    let mut new: Vec<u64> = matched.times.iter().map(|(second, _)| *second).collect();
    new.push(matched.line.secs);
    let most = most_within(&all, &new, within_ms);
    (most < u64::from(count)).then(|| {
        let detail = format!(
            "Below threshold ({most} of {count} matches within {})",
            limit(within_ms)
        );
        Refusal::new(Gate::BelowThreshold, detail)
    })
}
