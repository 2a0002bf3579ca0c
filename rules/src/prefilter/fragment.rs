//! Which window of its bytes stands for a need in the scan.
//!
//! One fragment may stand for many needs (`_err` for a hundred error names). They are chosen
//! greedily: the least time lost over healthy logs for each need that is covered.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::rarity::Rarity;
use crate::window::windows;

/// Nanoseconds, roughly, to compare one need more where a fragment is.
const COMPARE_NS: u64 = 3;

/// Bytes of some needs, and where each of those needs has them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    /// In normal form; a window of each of those needs.
    pub(super) bytes: Vec<u8>,
    /// Indexes of needs, and offsets in them.
    pub(super) places: Vec<(usize, usize)>,
}

/// Fragments for all needs, each need under exactly one.
pub(super) fn choose(needs: &[&[u8]], rarity: &Rarity) -> Vec<Fragment> {
    let worth = |bytes, count| worth(rarity, bytes, count);
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

/// Needs covered for the time lost; more is better, 0 for none.
fn worth(rarity: &Rarity, bytes: &[u8], needs: usize) -> u64 {
    let needs = needs as u64;
    let lost_ns = rarity.cost_ns(bytes) + rarity.per_gib(bytes) * COMPARE_NS * needs;
    (needs << 40) / lost_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragments(needs: &[&str]) -> Vec<Fragment> {
        let needs: Vec<&[u8]> = needs.iter().map(|need| need.as_bytes()).collect();
        choose(&needs, &Rarity::default())
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
    fn a_shared_rare_fragment_is_preferred() {
        let chosen = fragments(&[
            "cuda_error_launch_failed",
            "cuda_error_assert",
            "cuda_error_unknown",
        ]);
        assert_eq!(chosen.len(), 1, "{chosen:?}");
    }
}
