//! Matches gathered into intents: one for each target and rule, however many
//! lines.

use std::collections::BTreeMap;
use std::time::Instant;

use executor_api::{Intent, Remedy, SAMPLE_BYTES_MAX, TargetRef, merge_times};

use super::time::RecordTime;

/// Most intents that are gathered before they are sent.
pub(super) const INTENTS_MAX: usize = 4_096;

/// Matches that have not been sent.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Keyed so that `escalate` goes first: in one storm the news that no
    /// restart can help has to arrive before the wish for one.
    intents: BTreeMap<(u8, TargetRef, String), Matches>,
    /// When the oldest match was read.
    pub(super) since: Option<Instant>,
}

#[derive(Debug)]
struct Matches {
    remedy: Remedy,
    times: Vec<(u64, u32)>,
    last: RecordTime,
    sample: Vec<u8>,
    hash: Fnv128,
}

impl Batch {
    pub(super) fn is_full(&self) -> bool {
        self.intents.len() >= INTENTS_MAX
    }

    /// Adds a match. A record without a time of its own happened `now`, and is
    /// never taken for one that was sent before.
    pub(super) fn add(
        &mut self,
        target: TargetRef,
        rule: &str,
        remedy: Remedy,
        time: Option<RecordTime>,
        text: &[u8],
    ) {
        let order = match remedy {
            Remedy::Escalate => 0,
            Remedy::Restart => 1,
            Remedy::Note => 2,
        };
        let time = time.unwrap_or_else(RecordTime::now);
        let hash = Fnv128::of_target(&target, rule);
        let matches = self
            .intents
            .entry((order, target, rule.to_owned()))
            .or_insert_with(|| Matches {
                remedy,
                times: Vec::new(),
                last: time,
                sample: text[..text.len().min(SAMPLE_BYTES_MAX)].to_vec(),
                hash,
            });
        matches.hash.add(&time.secs.to_le_bytes());
        matches
            .hash
            .add(&time.nanos.unwrap_or(u32::MAX).to_le_bytes());
        matches.hash.add(text);
        matches.last = matches.last.max(time);
        match matches.times.last_mut() {
            Some((secs, n)) if *secs == time.secs => *n = n.saturating_add(1),
            _ => matches.times.push((time.secs, 1)),
        }
        if matches.times.len() > 2 * executor_api::TIMES_MAX {
            merge_times(&mut matches.times);
        }
    }

    /// Takes all intents out, ready to be sent in this order.
    pub(super) fn take(&mut self) -> Vec<Intent> {
        self.since = None;
        std::mem::take(&mut self.intents)
            .into_iter()
            .map(|((_, target, rule), matches)| {
                let mut intent = Intent {
                    id: format!("scan-{:032x}", matches.hash.0),
                    target,
                    rule,
                    remedy: matches.remedy,
                    times: matches.times,
                    last: matches.last.to_last(),
                    sample: String::from_utf8_lossy(&matches.sample).into_owned(),
                    tag: String::new(),
                    source: "scan".to_owned(),
                };
                intent.clamp();
                intent
            })
            .collect()
    }
}

/// FNV-1a with 128 bits: the same on every machine and in every version, so
/// that a chunk sent again has the same id.
#[derive(Debug, Clone, Copy)]
struct Fnv128(u128);

impl Fnv128 {
    fn of_target(target: &TargetRef, rule: &str) -> Self {
        let mut hash = Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        let target = serde_json::to_vec(target).expect("a target is plain strings and numbers");
        hash.add(&target);
        hash.add(rule.as_bytes());
        hash
    }

    /// Adds a field with its length, so that fields cannot run into each other.
    fn add(&mut self, field: &[u8]) {
        let length = (field.len() as u64).to_le_bytes();
        for byte in length.iter().chain(field) {
            self.0 ^= u128::from(*byte);
            self.0 = self
                .0
                .wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}

#[cfg(test)]
mod tests {
    use executor_api::{LINE_BYTES_MAX, TIMES_MAX, encode};

    use super::*;

    fn at(secs: u64) -> Option<RecordTime> {
        Some(RecordTime { secs, nanos: None })
    }

    fn app() -> TargetRef {
        TargetRef::Name("app".into())
    }

    #[test]
    fn a_storm_is_one_intent_within_its_limits() {
        let mut batch = Batch::default();
        let text = vec![b'"'; 5_000];
        for second in 0..1_000_u64 {
            // Out of order, twice each.
            batch.add(app(), "cuda-oom", Remedy::Restart, at(second ^ 1), &text);
            batch.add(app(), "cuda-oom", Remedy::Restart, at(second), &text);
        }
        let intents = batch.take();
        assert_eq!(intents.len(), 1);
        let intent = &intents[0];
        assert_eq!(intent.matches(), 2_000);
        assert_eq!(intent.times.len(), TIMES_MAX);
        assert!(intent.times.is_sorted());
        assert_eq!(intent.last.0, 999);
        assert!(encode(Some("intent"), intent).len() <= LINE_BYTES_MAX);
        assert_eq!(batch.take(), [], "taken is taken");
    }

    #[test]
    fn news_that_no_restart_can_help_goes_first() {
        let mut batch = Batch::default();
        for (rule, remedy) in [
            ("a", Remedy::Note),
            ("b", Remedy::Restart),
            ("c", Remedy::Escalate),
        ] {
            batch.add(app(), rule, remedy, at(1), b"x");
        }
        let rules: Vec<_> = batch.take().into_iter().map(|i| i.rule).collect();
        assert_eq!(rules, ["c", "b", "a"]);
    }

    #[test]
    fn the_id_is_of_all_that_the_intent_stands_for_and_of_nothing_else() {
        let id = |matches: &[(&str, u64, &[u8])]| {
            let mut batch = Batch::default();
            for (rule, secs, text) in matches {
                batch.add(app(), rule, Remedy::Restart, at(*secs), text);
            }
            batch.take().remove(0).id
        };
        let first = id(&[("r", 1, b"ab"), ("r", 2, b"c")]);
        // Fixed for ever: a chunk sent again by a newer version is the same chunk.
        assert_eq!(first, "scan-3caa1e83d63fcdea743306f3e6cc89da");
        assert_eq!(first, id(&[("r", 1, b"ab"), ("r", 2, b"c")]));
        for other in [
            id(&[("s", 1, b"ab"), ("s", 2, b"c")]),
            id(&[("r", 1, b"a"), ("r", 2, b"bc")]),
            id(&[("r", 1, b"ab"), ("r", 3, b"c")]),
            id(&[("r", 1, b"ab")]),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn it_is_full_at_its_limit() {
        let mut batch = Batch::default();
        for number in 0..INTENTS_MAX {
            assert!(!batch.is_full());
            let target = TargetRef::Name(format!("app{number}"));
            batch.add(target, "r", Remedy::Restart, at(1), b"x");
        }
        assert!(batch.is_full());
    }
}
