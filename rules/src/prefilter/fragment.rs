//! Which few bytes stand for a need in the scan.
//!
//! A fragment is four bytes in a row of a need (three, where that is the whole need). White space
//! may be its first or its last byte, not one inside: a run of white space in raw bytes is as
//! long as it likes, but one of it stands directly beside the word. So wherever a need stands in
//! raw bytes without escape sequences, its fragment does, byte by byte.
//!
//! One fragment may stand for many needs (`_err` for a hundred error names). They are chosen
//! greedily: the least time lost over healthy logs for each need that is covered.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::rarity::Rarity;

/// Bytes of a fragment.
pub(super) const FRAGMENT_BYTES: usize = 4;

/// Nanoseconds, roughly, to find out that a fragment is there by chance.
const HIT_NS: u64 = 10;
/// And to compare one need that it stands for.
const COMPARE_NS: u64 = 3;
/// What one fragment more costs over a GiB, however rare: the more the scan looks for, the more
/// often its first look is wrong.
const FRAGMENT_NS: u64 = 400_000;

/// Bytes of some needs, and where each of those needs has them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    /// In normal form; three or four.
    pub(super) bytes: Vec<u8>,
    /// Indexes of needs, and offsets in them.
    pub(super) places: Vec<(usize, usize)>,
}

/// Fragments for all needs, each need under exactly one.
pub(super) fn choose(needs: &[&[u8]]) -> Vec<Fragment> {
    let rarity = Rarity::new();
    let worth = |bytes, count| worth(&rarity, bytes, count);
    let mut candidates: BTreeMap<&[u8], Vec<(usize, usize)>> = BTreeMap::new();
    for (index, need) in needs.iter().enumerate() {
        for (offset, window) in windows(need) {
            let places = candidates.entry(window).or_default();
            // The same bytes twice in one need: the first place will do.
            if places.last().is_none_or(|&(last, _)| last != index) {
                places.push((index, offset));
            }
        }
    }
    let mut queue: BinaryHeap<(u64, Reverse<&[u8]>)> = candidates
        .iter()
        .map(|(&bytes, places)| (worth(bytes, places.len()), Reverse(bytes)))
        .collect();
    let mut covered = vec![false; needs.len()];
    let mut chosen = Vec::new();
    while let Some((promised, Reverse(bytes))) = queue.pop() {
        let places = candidates
            .get_mut(bytes)
            .expect("each is queued from there");
        places.retain(|&(need, _)| !covered[need]);
        let now = worth(bytes, places.len());
        if places.is_empty() {
            continue;
        }
        // Others took needs from it since it was queued: it has to queue again.
        if now < promised {
            queue.push((now, Reverse(bytes)));
            continue;
        }
        for &(need, _) in places.iter() {
            covered[need] = true;
        }
        chosen.push(Fragment {
            bytes: bytes.to_vec(),
            places: std::mem::take(places),
        });
    }
    chosen
}

/// The parts of a need that may stand for it, with their offsets.
fn windows(need: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let len = need.len().min(FRAGMENT_BYTES);
    need.windows(len)
        .enumerate()
        .filter(move |(_, window)| !window[1..len - 1].contains(&b' '))
}

/// Needs covered for the time lost; more is better, 0 for none.
fn worth(rarity: &Rarity, bytes: &[u8], needs: usize) -> u64 {
    let needs = needs as u64;
    let lost_ns = FRAGMENT_NS + rarity.per_gib(bytes) * (HIT_NS + COMPARE_NS * needs);
    (needs << 40) / lost_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragments(needs: &[&str]) -> Vec<Fragment> {
        let needs: Vec<&[u8]> = needs.iter().map(|need| need.as_bytes()).collect();
        choose(&needs)
    }

    #[test]
    fn every_need_has_one_fragment_at_its_place() {
        let needs = [
            "cuda out of memory",
            "xid",
            "out of",
            "cuda_error_launch_failed",
            "cuda_error_illegal_address",
            "oom oom oom",
            "\u{663e}\u{5b58}",
        ];
        let mut seen = vec![0; needs.len()];
        for Fragment { bytes, places } in fragments(&needs) {
            for (need, offset) in places {
                seen[need] += 1;
                assert_eq!(needs[need].as_bytes()[offset..][..bytes.len()], *bytes);
            }
        }
        assert_eq!(seen, [1; 7]);
    }

    #[test]
    fn white_space_stands_at_the_ends_only() {
        for (need, expected) in [
            ("ab cde", &[" cde"][..]),
            ("a bcd e", &[" bcd", "bcd "]),
            ("ab cd ef", &[" cd "]),
            ("xid", &["xid"]),
            ("abcd", &["abcd"]),
        ] {
            let found: Vec<&[u8]> = windows(need.as_bytes()).map(|(_, window)| window).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|text| text.as_bytes()).collect();
            assert_eq!(found, expected, "{need}");
        }
    }

    #[test]
    fn a_shared_rare_fragment_is_preferred() {
        let chosen = fragments(&[
            "cuda_error_launch_failed",
            "cuda_error_assert",
            "cuda_error_unknown",
        ]);
        assert_eq!(chosen.len(), 1, "{chosen:?}");
    }
}
