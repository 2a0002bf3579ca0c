//! The second look: needs found by their fragments, in raw bytes without escape sequences.

use std::collections::BTreeMap;

use crate::ansi::ESC;
use crate::need::Need;
use crate::normalise::is_space;
use crate::rule::RuleIndex;

use super::fragment::{FRAGMENT_BYTES, Fragment};
use super::masks::raw_forms;

/// Bits of the filter for each key, at least: one key in so many is there by chance.
const FILTER_BITS_PER_KEY: usize = 64;
/// Bounds of the filter's size: a quarter of a first-level cache, and what many rules need.
const FILTER_BITS: std::ops::RangeInclusive<usize> = 1 << 14..=1 << 22;

/// All needs, by the four bytes that a fragment of theirs may be in raw bytes.
#[derive(Debug)]
pub(super) struct Words {
    needs: Vec<Wanted>,
    /// By key, sorted: which of `places`.
    keys: Vec<(u32, std::ops::Range<u32>)>,
    /// Needs and offsets of each fragment, fragment by fragment.
    places: Vec<(u32, u32)>,
    /// One bit for a hash of a key: most places end here.
    filter: Box<[u64]>,
    filter_shift: u32,
}

/// A need and whose it is.
#[derive(Debug)]
struct Wanted {
    text: Vec<u8>,
    rules: Vec<RuleIndex>,
}

impl Words {
    /// `needs` are distinct; `fragments` stand for their indexes.
    pub(super) fn new(needs: BTreeMap<&Need, Vec<RuleIndex>>, fragments: &[Fragment]) -> Self {
        let needs: Vec<Wanted> = needs
            .into_iter()
            .map(|(need, rules)| Wanted {
                text: need.text.clone(),
                rules,
            })
            .collect();
        let mut places = Vec::new();
        let mut by_key: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
        for fragment in fragments {
            for key in keys_of(&fragment.bytes) {
                let of_key = by_key.entry(key).or_default();
                of_key.extend(
                    fragment
                        .places
                        .iter()
                        .map(|&(need, at)| (small(need), small(at))),
                );
            }
        }
        let mut keys = Vec::new();
        for (key, of_key) in by_key {
            let start = places.len();
            places.extend(of_key);
            keys.push((key, small(start)..small(places.len())));
        }
        let bits = (keys.len() * FILTER_BITS_PER_KEY)
            .next_power_of_two()
            .clamp(*FILTER_BITS.start(), *FILTER_BITS.end());
        let mut words = Self {
            needs,
            keys: Vec::new(),
            places,
            filter: vec![0; bits / 64].into_boxed_slice(),
            filter_shift: u32::BITS - bits.trailing_zeros(),
        };
        for (key, _) in &keys {
            let bit = words.bit(*key);
            words.filter[bit / 64] |= 1 << (bit % 64);
        }
        words.keys = keys;
        words
    }

    /// Whether a need stands around its fragment at `at`.
    pub(super) fn stand_at(&self, raw: &[u8], at: usize) -> bool {
        self.around(raw, at).next().is_some()
    }

    /// Sets the bit of each rule that has a need around its fragment at `at`.
    pub(super) fn call_at(&self, normal: &[u8], at: usize, called: &mut [u64]) {
        for &rule in self.around(normal, at).flat_map(|wanted| &wanted.rules) {
            called[rule / 64] |= 1 << (rule % 64);
        }
    }

    fn around(&self, raw: &[u8], at: usize) -> impl Iterator<Item = &Wanted> {
        let key = key_at(raw, at);
        let bit = self.bit(key);
        let places = if self.filter[bit / 64] >> (bit % 64) & 1 == 1 {
            self.places_of(key)
        } else {
            &[]
        };
        places.iter().filter_map(move |&(need, offset)| {
            let wanted = &self.needs[need as usize];
            wanted.is_at(raw, at, offset as usize).then_some(wanted)
        })
    }

    fn places_of(&self, key: u32) -> &[(u32, u32)] {
        match self.keys.binary_search_by_key(&key, |(known, _)| *known) {
            Ok(found) => {
                let places = &self.keys[found].1;
                &self.places[places.start as usize..places.end as usize]
            }
            Err(_) => &[],
        }
    }

    fn bit(&self, key: u32) -> usize {
        (key.wrapping_mul(0x9E37_79B1) >> self.filter_shift) as usize
    }
}

impl Wanted {
    /// Whether the need stands in raw bytes, its byte at `offset` at `at`.
    fn is_at(&self, raw: &[u8], at: usize, offset: usize) -> bool {
        // White space at `at` belongs to the part before: it may be the last of a run.
        goes_on_as(raw[at + 1..].iter(), self.text[offset + 1..].iter(), false)
            && goes_on_as(
                raw[..=at].iter().rev(),
                self.text[..=offset].iter().rev(),
                false,
            )
    }
}

/// Four raw bytes with the bit set that tells lower from upper case; zeros behind the end.
fn key_at(raw: &[u8], at: usize) -> u32 {
    let bytes = match raw[at..].first_chunk() {
        Some(bytes) => *bytes,
        None => {
            let mut bytes = [0; FRAGMENT_BYTES];
            let rest = raw.len() - at;
            bytes[..rest].copy_from_slice(&raw[at..]);
            bytes
        }
    };
    key(bytes)
}

fn key(bytes: [u8; FRAGMENT_BYTES]) -> u32 {
    u32::from_le_bytes(bytes) | 0x2020_2020
}

/// The keys of all raw forms of a fragment.
fn keys_of(fragment: &[u8]) -> Vec<u32> {
    let mut forms = vec![[0; FRAGMENT_BYTES]];
    for place in 0..FRAGMENT_BYTES {
        let bytes = match fragment.get(place) {
            Some(&byte) => raw_forms(byte),
            None => (0..=u8::MAX).collect(),
        };
        forms = forms
            .iter()
            .flat_map(|form| {
                bytes.iter().map(|&byte| {
                    let mut form = *form;
                    form[place] = byte;
                    form
                })
            })
            .collect();
    }
    let mut keys: Vec<u32> = forms.into_iter().map(key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn small(index: usize) -> u32 {
    u32::try_from(index).expect("the limits on rules are far below")
}

/// Whether raw bytes go on as a normal text does, both read in the same direction: a space is
/// any run of white space, letters have no case. What an escape sequence on the way means is
/// for the caller to say: `at_escape` is the answer then.
pub(super) fn goes_on_as<'a>(
    mut raw: impl Iterator<Item = &'a u8> + Clone,
    normal: impl Iterator<Item = &'a u8>,
    at_escape: bool,
) -> bool {
    for &wanted in normal {
        match raw.next() {
            Some(&byte) if wanted != b' ' && byte.to_ascii_lowercase() == wanted => {}
            Some(&byte) if wanted == b' ' && is_space(byte) => {
                while raw.clone().next().is_some_and(|&byte| is_space(byte)) {
                    raw.next();
                }
            }
            Some(&ESC) => return at_escape,
            _ => return false,
        }
    }
    true
}
