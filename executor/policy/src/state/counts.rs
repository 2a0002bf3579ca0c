//! Matches counted towards thresholds, per target (or container id while the
//! name is unknown) and rule.

use std::collections::BTreeMap;

use crate::{COUNT_SECONDS_MAX, COUNTED_MAX, PendingKey};

/// Seconds since the epoch and the matches in each.
type Seconds = BTreeMap<u64, u32>;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Counted {
    pairs: BTreeMap<(PendingKey, String), Seconds>,
}

impl Counted {
    pub(crate) fn add(&mut self, key: PendingKey, rule: &str, times: &[(u64, u32)]) {
        if times.is_empty() {
            return;
        }
        let seconds = self.pairs.entry((key, rule.to_owned())).or_default();
        for &(second, matches) in times {
            let sum = seconds.entry(second).or_default();
            *sum = sum.saturating_add(matches);
        }
        while seconds.len() > COUNT_SECONDS_MAX {
            seconds.pop_first();
        }
        if self.pairs.len() > COUNTED_MAX {
            self.forget_oldest();
        }
    }

    /// The name of a container is known now: its counts go there.
    pub(crate) fn rename(&mut self, from: &PendingKey, to: &PendingKey) {
        let moved: Vec<_> = self
            .pairs
            .extract_if(.., |(key, _), _| key == from)
            .collect();
        for ((_, rule), seconds) in moved {
            let times: Vec<_> = seconds.into_iter().collect();
            self.add(to.clone(), &rule, &times);
        }
    }

    /// The matches of one pair in one map with `more`, not before `from`.
    pub(crate) fn with(
        &self,
        key: &PendingKey,
        rule: &str,
        more: &[(u64, u32)],
        from: u64,
    ) -> Seconds {
        let mut all = Seconds::new();
        let stored = self.pairs.get(&(key.clone(), rule.to_owned()));
        let stored = stored.into_iter().flatten().map(|(s, n)| (*s, *n));
        for (second, matches) in stored.chain(more.iter().copied()) {
            if second >= from {
                let sum = all.entry(second).or_default();
                *sum = sum.saturating_add(matches);
            }
        }
        all
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&(PendingKey, String), &Seconds)> {
        self.pairs.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    fn forget_oldest(&mut self) {
        let oldest = self
            .pairs
            .iter()
            .min_by_key(|(_, seconds)| newest(seconds))
            .map(|(pair, _)| pair.clone());
        if let Some(pair) = oldest {
            self.pairs.remove(&pair);
        }
    }
}

fn newest(seconds: &Seconds) -> u64 {
    seconds.last_key_value().map_or(0, |(second, _)| *second)
}

/// The most matches in any span of `within_ms` that holds one of `new`'s
/// seconds. Seconds are all that is known, so both ends of the span count.
pub(crate) fn most_within(all: &Seconds, new: &[u64], within_ms: u64) -> u64 {
    let within_s = within_ms.div_ceil(1_000);
    all.keys()
        .map(|&end| {
            let begin = end.saturating_sub(within_s);
            if !new.iter().any(|s| (begin..=end).contains(s)) {
                return 0;
            }
            all.range(begin..=end).map(|(_, n)| u64::from(*n)).sum()
        })
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> PendingKey {
        PendingKey::Target(text.into())
    }

    #[test]
    fn the_densest_span_around_the_new_matches_counts() {
        let all = Seconds::from([(100, 1), (130, 2), (160, 1), (500, 9)]);
        for (new, within_ms, want) in [
            (&[160][..], 60_000, 4),
            (&[160], 59_000, 3),
            (&[160], 30_000, 3),
            (&[160], 29_999, 3),
            (&[160], 1_000, 1),
            (&[100], 30_000, 3),
            (&[500], 60_000, 9),
            (&[], 60_000, 0),
        ] {
            assert_eq!(
                most_within(&all, new, within_ms),
                want,
                "{new:?} {within_ms}"
            );
        }
    }

    #[test]
    fn matches_before_the_start_do_not_count() {
        let mut counted = Counted::default();
        counted.add(name("a"), "r", &[(10, 5), (20, 1)]);
        let all = counted.with(&name("a"), "r", &[(20, 2), (9, 9)], 20);
        assert_eq!(all, Seconds::from([(20, 3)]));
    }

    #[test]
    fn counts_are_kept_per_rule_and_move_with_the_name() {
        let mut counted = Counted::default();
        let id = PendingKey::Id("aa".into());
        counted.add(id.clone(), "r", &[(10, 1)]);
        counted.add(id.clone(), "q", &[(11, 1)]);
        counted.add(name("a"), "r", &[(10, 2)]);
        counted.rename(&id, &name("a"));
        assert_eq!(
            counted.with(&name("a"), "r", &[], 0),
            Seconds::from([(10, 3)])
        );
        assert_eq!(
            counted.with(&name("a"), "q", &[], 0),
            Seconds::from([(11, 1)])
        );
        assert_eq!(counted.len(), 2);
    }

    #[test]
    fn beyond_the_limits_the_oldest_is_forgotten() {
        let mut counted = Counted::default();
        let many: Vec<_> = (0..=COUNT_SECONDS_MAX as u64).map(|s| (s, 1)).collect();
        counted.add(name("a"), "r", &many);
        let kept = counted.with(&name("a"), "r", &[], 0);
        assert_eq!(kept.len(), COUNT_SECONDS_MAX);
        assert!(!kept.contains_key(&0));
        for n in 1..=COUNTED_MAX as u64 {
            counted.add(name(&n.to_string()), "r", &[(1_000 + n, 1)]);
        }
        assert_eq!(counted.len(), COUNTED_MAX);
        assert!(counted.with(&name("a"), "r", &[], 0).is_empty());
    }
}
