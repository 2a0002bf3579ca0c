//! What stands directly beside a fragment in a need: the second half of the second look.

use std::collections::BTreeMap;

use super::fragment::Fragment;
use super::masks::{folded, raw_forms};
use crate::window::WINDOW_BYTES;

/// Not a folded byte: the need ends here, and anything may follow.
const ANY: u8 = 64;

/// The [`folded`] bytes directly before and behind a fragment in raw bytes, or [`ANY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Neighbours {
    before: u8,
    after: u8,
}

impl Neighbours {
    /// Those that some need has to have, where these raw bytes stand there.
    #[inline]
    pub(super) fn wanted(before: u8, after: u8) -> impl Iterator<Item = Self> {
        let (before, after) = (folded(before), folded(after));
        [(before, after), (ANY, after), (before, ANY), (ANY, ANY)]
            .into_iter()
            .map(|(before, after)| Self { before, after })
    }

    /// One number for these beside a fragment that is known by its key.
    #[inline]
    pub(super) fn of(self, key: u32) -> u64 {
        u64::from(key) | u64::from(self.before) << 32 | u64::from(self.after) << 40
    }
}

/// The numbers of all keys (of the fragments at some indexes) with what may stand beside them.
pub(super) fn of_keys(
    needs: &[&[u8]],
    by_key: &BTreeMap<u32, Vec<usize>>,
    fragments: &[Fragment],
) -> Vec<u64> {
    let of_fragments: Vec<Vec<Neighbours>> = fragments
        .iter()
        .map(|fragment| of_fragment(needs, fragment))
        .collect();
    let mut numbers = Vec::new();
    for (&key, indexes) in by_key {
        for &index in indexes {
            numbers.extend(of_fragments[index].iter().map(|one| one.of(key)));
        }
    }
    numbers
}

fn of_fragment(needs: &[&[u8]], fragment: &Fragment) -> Vec<Neighbours> {
    let mut all = Vec::new();
    for &(need, offset) in &fragment.places {
        let need = needs[need];
        let end = need.len().min(offset + WINDOW_BYTES);
        let before = beside(offset.checked_sub(1).map(|at| need[at]), need[offset]);
        let after = beside(need.get(end).copied(), need[end - 1]);
        for &before in &before {
            all.extend(after.iter().map(|&after| Neighbours { before, after }));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// What may stand beside `edge`, an end of a fragment, where a need has `byte` there, or ends.
/// White space at the edge may be a part of a run.
fn beside(byte: Option<u8>, edge: u8) -> Vec<u8> {
    let Some(byte) = byte else {
        return vec![ANY];
    };
    let spaces = (edge == b' ').then_some(b' ');
    let forms = [Some(byte), spaces]
        .into_iter()
        .flatten()
        .flat_map(raw_forms);
    forms.map(folded).collect()
}
