//! The second look: needs found by their fragments, in raw bytes without escape sequences.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range, RangeInclusive};

use crate::ansi::ESC;
use crate::need::Need;
use crate::normalise::is_space;
use crate::rule::RuleIndex;
use crate::window::WINDOW_BYTES;

use super::fragment::Fragment;
use super::masks::raw_forms;

/// Bits of the filter for each key, at least: one key in so many is there by chance.
const FILTER_BITS_PER_KEY: usize = 32;
/// Bounds of the filter's size: small ones may as well be sparse.
const FILTER_BITS: RangeInclusive<usize> = 1 << 14..=1 << 22;
/// Slots for each key.
const SLOTS_PER_KEY: usize = 4;
/// Bytes on each side of a fragment that are compared at once.
const SIDE_BYTES: usize = 4;

/// All needs, by the four bytes that a fragment of theirs may be in raw bytes.
#[derive(Debug)]
pub(super) struct Words {
    needs: Vec<Wanted>,
    /// Where needs have fragments, those of one fragment together.
    places: Vec<Place>,
    /// One bit for a hash of a key: most places of the first look end here.
    filter: Box<[u64]>,
    filter_shift: u32,
    /// By hash, a key at the next free slot where its own is taken.
    slots: Box<[Slot]>,
    slots_shift: u32,
}

/// A need and whose it is.
#[derive(Debug)]
struct Wanted {
    text: Vec<u8>,
    rules: Vec<RuleIndex>,
}

/// Where a need has its fragment, and what stands beside it.
#[derive(Debug, Clone)]
struct Place {
    need: u32,
    offset: u32,
    sides: u64,
    /// Which bits of `sides` say something.
    known: u64,
    /// How many bytes the place before in the list has in common with this one, read backwards
    /// from the fragment's first byte.
    shared: u32,
}

/// A key and its fragment's `places`; empty where there are none.
#[derive(Debug, Clone, Default)]
struct Slot {
    key: u32,
    places: Range<u32>,
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
        let mut by_key: BTreeMap<u32, Vec<Place>> = BTreeMap::new();
        for fragment in fragments {
            let places = fragment
                .places
                .iter()
                .map(|&(need, offset)| Place::new(need, &needs[need].text, offset));
            let places: Vec<Place> = places.collect();
            for key in keys_of(&fragment.bytes) {
                by_key
                    .entry(key)
                    .or_default()
                    .extend(places.iter().cloned());
            }
        }
        let filter_bits = (by_key.len() * FILTER_BITS_PER_KEY)
            .next_power_of_two()
            .clamp(*FILTER_BITS.start(), *FILTER_BITS.end());
        let slots = (by_key.len() * SLOTS_PER_KEY).next_power_of_two().max(2);
        let mut words = Self {
            needs,
            places: Vec::new(),
            filter: vec![0; filter_bits / 64].into_boxed_slice(),
            filter_shift: u32::BITS - filter_bits.trailing_zeros(),
            slots: vec![Slot::default(); slots].into_boxed_slice(),
            slots_shift: u32::BITS - slots.trailing_zeros(),
        };
        for (key, places) in by_key {
            let places = words.in_order(places);
            words.add(key, places);
        }
        words
    }

    /// Sorted by what stands before the fragment, read backwards.
    fn in_order(&self, mut places: Vec<Place>) -> Vec<Place> {
        let head = |place: &Place| self.needs[place.need as usize].head(place).rev();
        places.sort_by(|one, other| head(one).cmp(head(other)));
        let mut before: Option<Place> = None;
        for place in &mut places {
            let common = before.iter().flat_map(|before| {
                head(before)
                    .zip(head(place))
                    .take_while(|(one, other)| one == other)
            });
            place.shared = small(common.count());
            before = Some(place.clone());
        }
        places
    }

    fn add(&mut self, key: u32, places: Vec<Place>) {
        let bit = hash(key, self.filter_shift);
        self.filter[bit / 64] |= 1 << (bit % 64);
        let start = small(self.places.len());
        self.places.extend(places);
        let mut at = hash(key, self.slots_shift);
        while !self.slots[at].places.is_empty() {
            at = (at + 1) % self.slots.len();
        }
        self.slots[at] = Slot {
            key,
            places: start..small(self.places.len()),
        };
    }

    /// Whether a need stands around its fragment at `at`.
    pub(super) fn stand_at(&self, raw: &[u8], at: usize) -> bool {
        self.around(raw, at, |_| ControlFlow::Break(())).is_break()
    }

    /// Sets the bit of each rule that has a need around its fragment at `at`.
    pub(super) fn call_at(&self, normal: &[u8], at: usize, called: &mut [u64]) {
        let whole = self.around(normal, at, |wanted| {
            for &rule in &wanted.rules {
                called[rule / 64] |= 1 << (rule % 64);
            }
            ControlFlow::Continue(())
        });
        debug_assert!(whole.is_continue());
    }

    /// Visits each need that stands around its fragment at `at`.
    fn around<'a>(
        &'a self,
        raw: &[u8],
        at: usize,
        visit: impl FnMut(&'a Wanted) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let key = key_at(raw, at);
        let bit = hash(key, self.filter_shift);
        if self.filter[bit / 64] >> (bit % 64) & 1 == 0 {
            return ControlFlow::Continue(());
        }
        self.compare(self.places_of(key), raw, at, visit)
    }

    /// Many needs end alike before a fragment (`… out` before ` of `): where one of them fails,
    /// those fail with it that are the same up to there.
    fn compare<'a>(
        &'a self,
        places: &[Place],
        raw: &[u8],
        at: usize,
        mut visit: impl FnMut(&'a Wanted) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let sides = sides_at(raw, at);
        // What the last one that failed had in common with the text, and with those after it.
        let (mut failed, mut common) = (u32::MAX, 0);
        for place in places {
            common = common.min(place.shared);
            if common > failed || sides & place.known != place.sides {
                continue;
            }
            let wanted = &self.needs[place.need as usize];
            match wanted.stands(raw, at, place) {
                Ok(()) => visit(wanted)?,
                Err(at_depth) => (failed, common) = (at_depth, u32::MAX),
            }
        }
        ControlFlow::Continue(())
    }

    fn places_of(&self, key: u32) -> &[Place] {
        let mut at = hash(key, self.slots_shift);
        loop {
            let slot = &self.slots[at];
            let places = slot.places.start as usize..slot.places.end as usize;
            if slot.key == key || places.is_empty() {
                return &self.places[places];
            }
            at = (at + 1) % self.slots.len();
        }
    }
}

impl Place {
    /// Up to four bytes on each side are known: not beyond white space, which may be of any
    /// length in raw bytes, nor beyond the need.
    fn new(index: usize, need: &[u8], offset: usize) -> Self {
        let (mut sides, mut known) = ([0; 2 * SIDE_BYTES], [0; 2 * SIDE_BYTES]);
        let word = |byte: &&u8| **byte != b' ';
        let before = need[..=offset].iter().rev().take_while(word).skip(1);
        for (place, &byte) in (0..SIDE_BYTES).rev().zip(before) {
            (sides[place], known[place]) = (byte, u8::MAX);
        }
        let last = need.len().min(offset + WINDOW_BYTES) - 1;
        let after = need[last..].iter().take_while(word).skip(1);
        for (place, &byte) in (SIDE_BYTES..2 * SIDE_BYTES).zip(after) {
            (sides[place], known[place]) = (byte, u8::MAX);
        }
        let known = u64::from_le_bytes(known);
        Self {
            need: small(index),
            offset: small(offset),
            sides: (u64::from_le_bytes(sides) | CASE_OF_EIGHT) & known,
            known,
            shared: 0,
        }
    }
}

impl Wanted {
    /// Up to the fragment's first byte. White space there belongs to this part: in raw bytes it
    /// may be the last of a run.
    fn head(&self, place: &Place) -> std::slice::Iter<'_, u8> {
        self.text[..=place.offset as usize].iter()
    }

    /// Whether the need stands in raw bytes around its fragment at `at`; else how many bytes of
    /// its head do, backwards, or `u32::MAX` if all of them.
    fn stands(&self, raw: &[u8], at: usize, place: &Place) -> Result<(), u32> {
        let before = raw[..=at].iter().rev();
        goes_on_as(before, self.head(place).rev(), false).map_err(small)?;
        let tail = self.text[place.offset as usize + 1..].iter();
        goes_on_as(raw[at + 1..].iter(), tail, false).map_err(|_| u32::MAX)
    }
}

/// The bit that tells lower from upper case, in each byte. Other bytes fall together by it, too:
/// what is compared without it is compared again with care.
const CASE_OF_FOUR: u32 = 0x2020_2020;
const CASE_OF_EIGHT: u64 = 0x2020_2020_2020_2020;

/// The four bytes at `at`; zeros behind the end.
fn key_at(raw: &[u8], at: usize) -> u32 {
    key(padded(&raw[at..]))
}

fn key(bytes: [u8; WINDOW_BYTES]) -> u32 {
    u32::from_le_bytes(bytes) | CASE_OF_FOUR
}

/// The four bytes before a fragment and the four behind it; zeros beyond the ends.
fn sides_at(raw: &[u8], at: usize) -> u64 {
    let before = match raw[..at].last_chunk() {
        Some(before) => *before,
        None => {
            let mut before = [0; SIDE_BYTES];
            before[SIDE_BYTES - at..].copy_from_slice(&raw[..at]);
            before
        }
    };
    let after: [u8; SIDE_BYTES] = padded(raw.get(at + WINDOW_BYTES..).unwrap_or_default());
    let sides = u64::from(u32::from_le_bytes(before)) | u64::from(u32::from_le_bytes(after)) << 32;
    sides | CASE_OF_EIGHT
}

/// The first bytes; zeros behind the end.
fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    match bytes.first_chunk() {
        Some(bytes) => *bytes,
        None => {
            let mut padded = [0; N];
            padded[..bytes.len()].copy_from_slice(bytes);
            padded
        }
    }
}

/// The upper bits of a product: as many as there are below `shift`.
fn hash(key: u32, shift: u32) -> usize {
    (key.wrapping_mul(0x9E37_79B1) >> shift) as usize
}

/// The keys of all raw forms of a fragment.
fn keys_of(fragment: &[u8]) -> Vec<u32> {
    let mut forms = vec![[0; WINDOW_BYTES]];
    for place in 0..WINDOW_BYTES {
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
/// any run of white space, letters have no case; else how many bytes of the normal text they go
/// on for. What an escape sequence on the way means is for the caller to say: `at_escape` is the
/// answer then.
pub(super) fn goes_on_as<'a>(
    mut raw: impl Iterator<Item = &'a u8> + Clone,
    normal: impl Iterator<Item = &'a u8>,
    at_escape: bool,
) -> Result<(), usize> {
    for (depth, &wanted) in normal.enumerate() {
        match raw.next() {
            Some(&byte) if wanted != b' ' && byte.to_ascii_lowercase() == wanted => {}
            Some(&byte) if wanted == b' ' && is_space(byte) => {
                while raw.clone().next().is_some_and(|&byte| is_space(byte)) {
                    raw.next();
                }
            }
            Some(&ESC) if at_escape => return Ok(()),
            _ => return Err(depth),
        }
    }
    Ok(())
}
