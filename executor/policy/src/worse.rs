//! The storm breaker: restarts that make it worse are no cure.
//!
//! It begins when the last attempts in a row, of two targets or more, did not
//! cure (one target alone is what `max_attempts` is for, so of one target no more
//! than half of them count; nor does what is old or held by now), or when one rule calls
//! for restarts of many targets at once: a fault of the host, not of the
//! containers. From then on nothing is restarted, until a person says so or all
//! is clear, see [`crate::well`].

use std::collections::{BTreeMap, BTreeSet};

use crate::figures::limit;
use crate::gates::{self, Ask, Refusal, Who};
use crate::state::Storm;
use crate::{AttemptId, Entry, Event, Now, Outcome, Policy, STORM_TARGETS_MAX, Step, Timestamp};

/// What is named in its words; the rest is a number.
const NAMED_MAX: usize = 8;

/// A storm that begins.
pub(crate) struct Begun {
    why: String,
    targets: BTreeSet<String>,
}

impl Policy {
    /// Whether this end of an attempt is one too many over all targets. Where `step`
    /// holds its target, that one alone counts of it.
    pub(crate) fn uncured_too_often(
        &self,
        step: &Step,
        id: AttemptId,
        target: &str,
        outcome: Outcome,
    ) -> Option<Begun> {
        let most = usize::try_from(self.config.storm.attempts).ok()?;
        let is_uncured = matches!(outcome, Outcome::Relapsed | Outcome::Failed);
        if most == 0 || !is_uncured || self.state.storms.on.is_some() {
            return None;
        }
        let is_hold =
            |entry: &Entry| matches!(entry, Entry::Held { target: of, .. } if of == target);
        let is_held = step.entries.iter().any(is_hold);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::from([(target, 1)]);
        let mut last: Vec<(AttemptId, &str)> = vec![(id, target)];
        for (id, of) in self.state.storms.uncured.iter().rev() {
            if is_held && of == target {
                continue;
            }
            let count = counts.entry(of).or_default();
            if *count < most.div_ceil(2) {
                *count += 1;
                last.push((*id, of));
            }
        }
        if last.len() < most || counts.len() < 2 {
            return None;
        }
        last.truncate(most);
        last.reverse();
        let targets = last.iter().map(|(_, of)| (*of).to_owned()).collect();
        let named = last.iter().map(|(id, target)| format!("{id} of {target}"));
        let why = format!(
            "the last {most} attempts did not cure (attempts {})",
            listed(named, most)
        );
        Some(Begun { why, targets })
    }

    /// Whether a new match makes it too many targets for one rule. What only
    /// would be restarted does not count.
    pub(crate) fn called_too_often(&self, asking: &Ask<'_>) -> Option<Begun> {
        let limits = self.config.storm;
        let Who::Match(matched) = asking.who else {
            return None;
        };
        let may_begin = matched.is_news
            && limits.targets > 0
            && !asking.is_dry_run()
            && self.state.storms.on.is_none();
        if !may_begin {
            return None;
        }
        let from = Timestamp(asking.now.at.0.saturating_sub(limits.within_ms));
        let called = self.state.storms.called_by(matched.rule, from);
        let mut targets = BTreeSet::from([asking.facts.name.clone()]);
        targets.extend(called.take(STORM_TARGETS_MAX - 1).map(str::to_owned));
        if targets.len() < usize::try_from(limits.targets).ok()? {
            return None;
        }
        let why = format!(
            "rule '{}' matched in {} targets within {} ({})",
            matched.rule,
            targets.len(),
            limit(limits.within_ms),
            listed(targets.iter().cloned(), targets.len())
        );
        Some(Begun { why, targets })
    }

    pub(crate) fn begin_storm(&self, step: &mut Step, begun: Begun) {
        let is_storm = |entry: &Entry| matches!(entry, Entry::Storm { .. });
        if step.entries.iter().any(is_storm) {
            return;
        }
        step.durable = true;
        step.tell(Event::Storm {
            why: begun.why.clone(),
        });
        step.entries.push(Entry::Storm {
            why: begun.why,
            targets: begun.targets,
        });
    }

    /// The refusal by a storm that begins in this very step.
    pub(crate) fn storm_begun(&self, step: &Step, now: Now) -> Option<Refusal> {
        step.entries.iter().find_map(|entry| {
            let Entry::Storm { why, targets } = entry else {
                return None;
            };
            let storm = Storm {
                at: now.at,
                wall_ms: now.wall_ms,
                why: why.clone(),
                targets: targets.clone(),
                last_match: now.at,
            };
            Some(gates::storm_because(&storm, &self.config, now))
        })
    }

    pub(crate) fn end_storm(&self, step: &mut Step, by: &str) {
        step.durable = true;
        step.entries.push(Entry::StormEnded { by: by.to_owned() });
        step.tell(Event::StormEnded { by: by.to_owned() });
    }
}

fn listed(names: impl Iterator<Item = String>, count: usize) -> String {
    let named: Vec<String> = names.take(NAMED_MAX).collect();
    let named = named.join(", ");
    match count.checked_sub(NAMED_MAX) {
        Some(more) if more > 0 => format!("{named} and {more} more"),
        _ => named,
    }
}
