//! One intent per (target, rule) of a flush, and its id.
//!
//! The id is a hash of target, rule, and tag, time and text of each matching
//! record, in their order: a chunk that is sent twice has the same ids, so the
//! executor counts it once. The hash is SipHash-2-4 with 128 bits and a fixed
//! key: the same in every build and version, and no container can write lines
//! whose id meets that of another container's intent except by chance.
//!
//! Kept true: memory per group is bounded, however many lines match.

use executor_api::{
    Intent, LastMatch, Remedy, SAMPLE_BYTES_MAX, TIMES_MAX, TargetRef, merge_times,
};
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;

use crate::chunk::Time;

/// What the plugin writes in an intent's `source`.
pub const SOURCE: &str = "fluent-bit";

/// A running hash over length-prefixed parts, so that no two lists of parts
/// run together.
#[derive(Debug, Clone)]
pub struct IdHasher(SipHasher24);

impl IdHasher {
    /// `purpose` keeps ids of different kinds apart.
    pub fn new(purpose: &str) -> Self {
        let mut hasher = Self(SipHasher24::new_with_keys(
            u64::from_le_bytes(*b"log-heal"),
            u64::from_le_bytes(*b"er id v1"),
        ));
        hasher.part(purpose.as_bytes());
        hasher
    }

    /// Adds one part.
    pub fn part(&mut self, bytes: &[u8]) {
        self.0.write(&(bytes.len() as u64).to_le_bytes());
        self.0.write(bytes);
    }

    /// 32 hex digits.
    pub fn id(&self) -> String {
        format!("{:032x}", self.number())
    }

    /// The same as a number, without an allocation.
    pub fn number(&self) -> u128 {
        let hash = self.0.finish128();
        u128::from(hash.h1) << 64 | u128::from(hash.h2)
    }
}

/// The matches of one (target, rule) in one flush.
#[derive(Debug)]
pub struct Group {
    /// Whom they are about.
    pub target: TargetRef,
    /// Index in the rule set.
    pub rule: usize,
    hasher: IdHasher,
    times: Vec<(u64, u32)>,
    last: Time,
    sample: String,
}

impl Group {
    /// A group without matches; the first [`Self::add`] must follow.
    pub fn new(target: TargetRef, rule: usize, rule_name: &str, tag: &[u8]) -> Self {
        let mut hasher = IdHasher::new("intent");
        let (kind, text) = match &target {
            TargetRef::Id(id) => ("id", id.clone()),
            TargetRef::Name(name) => ("name", name.clone()),
            TargetRef::Pid(pid) => ("pid", pid.to_string()),
            TargetRef::Cgroup(path) => ("cgroup", path.clone()),
        };
        for part in [kind.as_bytes(), text.as_bytes(), rule_name.as_bytes(), tag] {
            hasher.part(part);
        }
        Self {
            target,
            rule,
            hasher,
            times: Vec::new(),
            last: Time {
                seconds: 0,
                nanos: None,
            },
            sample: String::new(),
        }
    }

    /// Adds one matching record.
    pub fn add(&mut self, time: Time, text: &[u8]) {
        self.hasher.part(&time.seconds.to_le_bytes());
        self.hasher
            .part(&time.nanos.unwrap_or(u32::MAX).to_le_bytes());
        self.hasher.part(text);
        if self.times.is_empty() {
            self.sample = sample(text);
        }
        match self.times.last_mut() {
            Some((second, count)) if *second == time.seconds => *count = count.saturating_add(1),
            _ => self.times.push((time.seconds, 1)),
        }
        if self.times.len() >= 2 * TIMES_MAX {
            merge_times(&mut self.times);
        }
        self.last = self.last.max(time);
    }

    /// The finished intent, within the protocol's limits.
    pub fn finish(self, rule_name: &str, remedy: Remedy, tag: &[u8]) -> Intent {
        let mut intent = Intent {
            id: self.hasher.id(),
            target: self.target,
            rule: rule_name.into(),
            remedy,
            times: self.times,
            last: LastMatch(self.last.seconds, self.last.nanos),
            sample: self.sample,
            tag: String::from_utf8_lossy(&tag[..tag.len().min(SAMPLE_BYTES_MAX)]).into_owned(),
            source: SOURCE.into(),
        };
        intent.clamp();
        intent
    }
}

/// The text's first bytes as UTF-8; what is none is replaced.
fn sample(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(SAMPLE_BYTES_MAX)]).into_owned()
}

/// The wire's word for a rule's remedy.
pub fn wire_remedy(remedy: rules::Remedy) -> Remedy {
    match remedy {
        rules::Remedy::Restart => Remedy::Restart,
        rules::Remedy::Escalate => Remedy::Escalate,
        rules::Remedy::Note => Remedy::Note,
    }
}

/// Brings what is to be escalated to the front, the order kept otherwise. The
/// library's sort would take 4 KiB of stack for it.
pub fn escalate_first<T>(items: Vec<T>, remedy: impl Fn(&T) -> Remedy) -> Vec<T> {
    let (mut first, rest): (Vec<T>, Vec<T>) = items
        .into_iter()
        .partition(|item| remedy(item) == Remedy::Escalate);
    first.extend(rest);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Time = Time {
        seconds: 1_760_978_851,
        nanos: Some(912_345_678),
    };

    fn group(target: TargetRef, rule: &str, tag: &[u8], records: &[(Time, &[u8])]) -> Intent {
        let mut group = Group::new(target, 0, rule, tag);
        for (time, text) in records {
            group.add(*time, text);
        }
        group.finish(rule, Remedy::Restart, tag)
    }

    fn name(name: &str) -> TargetRef {
        TargetRef::Name(name.into())
    }

    #[test]
    fn the_hash_is_the_reference_siphash() {
        // First vector of the reference implementation's 128-bit table, with
        // its key: pins the algorithm, whatever crate provides it.
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let hash = SipHasher24::new_with_key(&key).finish128().as_bytes();
        let expected: [u8; 16] = [
            0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55,
            0x02, 0x93,
        ];
        assert_eq!(hash, expected);
    }

    #[test]
    fn the_same_records_have_the_same_id_in_every_build() {
        let one = group(
            name("app"),
            "cuda-oom",
            b"docker.app",
            &[(AT, b"CUDA out of memory")],
        );
        assert_eq!(one.id, "10a04b4955f21dd2c47cc5d98c88e207");
    }

    #[test]
    fn everything_that_an_intent_stands_for_changes_its_id() {
        let whole = Time { nanos: None, ..AT };
        let ids: Vec<String> = [
            group(name("app"), "cuda-oom", b"t", &[(AT, b"x")]),
            group(name("apq"), "cuda-oom", b"t", &[(AT, b"x")]),
            group(
                TargetRef::Cgroup("app".into()),
                "cuda-oom",
                b"t",
                &[(AT, b"x")],
            ),
            group(name("app"), "cuda-oon", b"t", &[(AT, b"x")]),
            group(name("app"), "cuda-oom", b"u", &[(AT, b"x")]),
            group(name("app"), "cuda-oom", b"t", &[(whole, b"x")]),
            group(name("app"), "cuda-oom", b"t", &[(AT, b"y")]),
            group(name("app"), "cuda-oom", b"t", &[(AT, b"x"), (AT, b"x")]),
            group(name("app"), "cuda-oo", b"mt", &[(AT, b"x")]),
        ]
        .map(|intent| intent.id)
        .into();
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    }

    #[test]
    fn times_are_counted_by_second_and_bounded() {
        let mut group = Group::new(name("app"), 0, "r", b"t");
        for i in 0..100_000u64 {
            // Out of order, as files of several containers are.
            let seconds = 1_000 + (i * 7_919) % 1_000;
            group.add(
                Time {
                    seconds,
                    nanos: None,
                },
                b"x",
            );
            assert!(group.times.len() <= 2 * TIMES_MAX);
        }
        let intent = group.finish("r", Remedy::Restart, b"t");
        assert_eq!(intent.matches(), 100_000);
        assert_eq!(intent.times.len(), TIMES_MAX);
        assert_eq!(intent.last, LastMatch(1_999, None));
        assert!(intent.times.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn the_newest_match_is_last_whatever_the_order() {
        let earlier = Time {
            seconds: AT.seconds,
            nanos: Some(1),
        };
        let intent = group(name("app"), "r", b"t", &[(AT, b"new"), (earlier, b"old")]);
        assert_eq!(intent.last, LastMatch(AT.seconds, AT.nanos));
        assert_eq!(intent.times, vec![(AT.seconds, 2)]);
        assert_eq!(intent.sample, "new");
    }

    #[test]
    fn text_that_is_no_utf8_makes_a_valid_line() {
        let mut text = b"CUDA out of memory \xff\xfe\x00".to_vec();
        text.extend(vec![0xc3; 10_000]);
        let intent = group(name("app"), "r", &[0xff; 2_000], &[(AT, &text)]);
        let line = executor_api::encode(Some("intent"), &intent);
        assert!(line.len() <= executor_api::LINE_BYTES_MAX);
        assert_eq!(executor_api::decode_intent(&line), Ok(intent));
    }
}
