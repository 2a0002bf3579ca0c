//! The second look: needs found by their fragments, in raw bytes without escape sequences.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::need::{NEED_BYTES_MAX, Need};
use crate::normalise::is_space;
use crate::rule::RuleIndex;
use crate::window::WINDOW_BYTES;

use super::filter::Filter;
use super::fragment::Fragment;
use super::masks::accepted;
use super::neighbours::{self, Neighbours};

/// Slots for each key.
const SLOTS_PER_KEY: usize = 4;
/// Bytes on each side of a fragment that are compared at once.
const SIDE_BYTES: usize = 4;

/// All needs, by the four bytes that a fragment of theirs may be in raw bytes.
#[derive(Debug)]
pub(super) struct Words {
    needs: Vec<Wanted>,
    /// Where needs have fragments, those of one group together.
    places: Vec<Place>,
    /// Those of the fragments that share a key together.
    groups: Vec<Group>,
    /// The keys: most places of the first look end here.
    filter: Filter,
    /// Keys with what may stand beside them.
    neighbours: Filter,
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

/// Where a need has its fragment.
#[derive(Debug)]
struct Place {
    need: u32,
    offset: u32,
}

/// Places with the same bytes beside their fragment.
#[derive(Debug)]
struct Group {
    sides: Sides,
    places: Range<u32>,
    /// Bytes, at most, of its needs before the fragment's second byte, and from there on.
    head_bytes: usize,
    tail_bytes: usize,
}

/// A key and its fragments' `groups`; empty where there are none.
#[derive(Debug, Clone, Default)]
struct Slot {
    key: u32,
    groups: Range<u32>,
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
        // Nearly always one, but what is looked up without case may fall together.
        let mut by_key: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, fragment) in fragments.iter().enumerate() {
            for key in keys_of(&fragment.bytes) {
                by_key.entry(key).or_default().push(index);
            }
        }
        let texts: Vec<&[u8]> = needs.iter().map(|need| need.text.as_slice()).collect();
        let neighbours = neighbours::of_keys(&texts, &by_key, fragments);
        let slots = (by_key.len() * SLOTS_PER_KEY).next_power_of_two().max(2);
        let mut words = Self {
            needs,
            places: Vec::new(),
            groups: Vec::new(),
            filter: Filter::of(by_key.keys().map(|&key| u64::from(key))),
            neighbours: Filter::of(neighbours.into_iter()),
            slots: vec![Slot::default(); slots].into_boxed_slice(),
            slots_shift: u32::BITS - slots.trailing_zeros(),
        };
        let mut groups: BTreeMap<&[usize], Range<u32>> = BTreeMap::new();
        for (&key, indexes) in &by_key {
            let groups = groups
                .entry(indexes)
                .or_insert_with(|| words.add_groups(indexes, fragments));
            words.add_slot(key, groups.clone());
        }
        words
    }

    /// Adds the groups of fragments that have a key in common.
    fn add_groups(&mut self, indexes: &[usize], fragments: &[Fragment]) -> Range<u32> {
        let start = small(self.groups.len());
        let mut by_sides: BTreeMap<Sides, Vec<(usize, usize)>> = BTreeMap::new();
        for &(need, offset) in indexes.iter().flat_map(|&index| &fragments[index].places) {
            let sides = Sides::of(&self.needs[need].text, offset);
            by_sides.entry(sides).or_default().push((need, offset));
        }
        for (sides, places) in by_sides {
            self.add_group(sides, &places);
        }
        start..small(self.groups.len())
    }

    fn add_slot(&mut self, key: u32, groups: Range<u32>) {
        let mut at = hash(key, self.slots_shift);
        while !self.slots[at].groups.is_empty() {
            at = (at + 1) % self.slots.len();
        }
        self.slots[at] = Slot { key, groups };
    }

    fn add_group(&mut self, sides: Sides, places: &[(usize, usize)]) {
        let start = small(self.places.len());
        self.places
            .extend(places.iter().map(|&(need, offset)| Place {
                need: small(need),
                offset: small(offset),
            }));
        let parts = || {
            let needs = places.iter();
            needs.map(|&(need, offset)| self.needs[need].parts(offset))
        };
        self.groups.push(Group {
            sides,
            places: start..small(self.places.len()),
            head_bytes: parts().map(|(head, _)| head.len()).max().unwrap_or(0),
            tail_bytes: parts().map(|(_, tail)| tail.len()).max().unwrap_or(0),
        });
    }

    /// Whether a fragment may stand at `at`, by itself and by what stands beside it.
    #[inline]
    fn may_stand_at(&self, raw: &[u8], at: usize) -> bool {
        let key = key_at(raw, at);
        if !self.filter.may_hold(u64::from(key)) {
            return false;
        }
        let before = at.checked_sub(1).map_or(0, |before| raw[before]);
        let after = raw.get(at + WINDOW_BYTES).copied().unwrap_or(0);
        Neighbours::wanted(before, after).any(|wanted| self.neighbours.may_hold(wanted.of(key)))
    }

    /// Sets the bit of each rule that has a need around its fragment at `at` in a normal text:
    /// what can be compared byte by byte.
    pub(super) fn call_at(&self, normal: &[u8], at: usize, called: &mut [u64]) {
        if !self.may_stand_at(normal, at) {
            return;
        }
        let groups = self.groups_of(key_at(normal, at));
        let sides = normal_sides_at(normal, at);
        for group in groups.iter().filter(|group| group.sides.agree_with(sides)) {
            for place in self.places_of(group) {
                let wanted = &self.needs[place.need as usize];
                let start = at.checked_sub(place.offset as usize);
                if start.is_some_and(|start| normal[start..].starts_with(&wanted.text)) {
                    for &rule in &wanted.rules {
                        called[rule / 64] |= 1 << (rule % 64);
                    }
                }
            }
        }
    }

    /// Whether a need stands around its fragment at `at`.
    #[inline]
    pub(super) fn stand_at(&self, raw: &[u8], at: usize) -> bool {
        self.may_stand_at(raw, at) && self.one_stands_at(raw, at)
    }

    fn one_stands_at(&self, raw: &[u8], at: usize) -> bool {
        let groups = self.groups_of(key_at(raw, at));
        let sides = sides_at(raw, at);
        let mut groups = groups.iter().filter(|group| group.sides.agree_with(sides));
        groups.any(|group| self.one_of_group_stands_at(group, raw, at))
    }

    /// Whether a need of a group stands around its fragment at `at`. The raw bytes are brought
    /// into normal form once for all of them.
    fn one_of_group_stands_at(&self, group: &Group, raw: &[u8], at: usize) -> bool {
        // White space at `at` belongs to the head: it may be the last of a run.
        let (mut head, mut tail) = ([0; NEED_BYTES_MAX], [0; NEED_BYTES_MAX]);
        let raw_head = in_normal_form(raw[..=at].iter().rev());
        for (byte, raw) in head[..group.head_bytes].iter_mut().rev().zip(raw_head) {
            *byte = raw;
        }
        let raw_tail = in_normal_form(raw[at + 1..].iter());
        for (byte, raw) in tail[..group.tail_bytes].iter_mut().zip(raw_tail) {
            *byte = raw;
        }
        self.places_of(group).iter().any(|place| {
            let wanted = &self.needs[place.need as usize];
            let (wanted_head, wanted_tail) = wanted.parts(place.offset as usize);
            tail.starts_with(wanted_tail) && head[..group.head_bytes].ends_with(wanted_head)
        })
    }

    fn places_of(&self, group: &Group) -> &[Place] {
        &self.places[group.places.start as usize..group.places.end as usize]
    }

    fn groups_of(&self, key: u32) -> &[Group] {
        let mut at = hash(key, self.slots_shift);
        loop {
            let slot = &self.slots[at];
            let groups = slot.groups.start as usize..slot.groups.end as usize;
            if slot.key == key || groups.is_empty() {
                return &self.groups[groups];
            }
            at = (at + 1) % self.slots.len();
        }
    }
}

/// Up to four bytes on each side of a fragment in normal form, and which of them are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sides {
    bytes: u64,
    known: u64,
}

impl Sides {
    /// What stands beside a fragment in a need; nothing is known beyond the need.
    fn of(need: &[u8], offset: usize) -> Self {
        let (mut bytes, mut known) = ([0; 2 * SIDE_BYTES], [0; 2 * SIDE_BYTES]);
        let before = need[..offset].iter().rev();
        let after = need.iter().skip(offset + WINDOW_BYTES);
        let places = (0..SIDE_BYTES).rev().zip(before);
        for (place, &byte) in places.chain((SIDE_BYTES..2 * SIDE_BYTES).zip(after)) {
            (bytes[place], known[place]) = (byte, u8::MAX);
        }
        Self {
            bytes: u64::from_le_bytes(bytes),
            known: u64::from_le_bytes(known),
        }
    }

    fn agree_with(self, sides: u64) -> bool {
        sides & self.known == self.bytes
    }
}

impl Wanted {
    /// Up to the byte at `offset`, and what comes behind it.
    fn parts(&self, offset: usize) -> (&[u8], &[u8]) {
        self.text.split_at(offset + 1)
    }
}

/// The bit that tells lower from upper case, in each byte. Other bytes fall together by it, too:
/// what is compared without it is compared again with care.
const CASE: u32 = 0x2020_2020;

/// The four bytes at `at`; zeros behind the end.
fn key_at(raw: &[u8], at: usize) -> u32 {
    key(padded(&raw[at..]))
}

fn key(bytes: [u8; WINDOW_BYTES]) -> u32 {
    u32::from_le_bytes(bytes) | CASE
}

/// The four bytes before a fragment and the four behind it in normal form, zeros beyond the
/// ends. White space at the fragment's own ends may be a part of a run.
fn sides_at(raw: &[u8], at: usize) -> u64 {
    let mut sides = [0; 2 * SIDE_BYTES];
    let mut before = raw[..at].iter().rev();
    if is_space(raw[at]) {
        skip_space(&mut before);
    }
    for (side, byte) in sides[..SIDE_BYTES]
        .iter_mut()
        .rev()
        .zip(in_normal_form(before))
    {
        *side = byte;
    }
    let end = raw.len().min(at + WINDOW_BYTES);
    let mut after = raw[end..].iter();
    if is_space(raw[end - 1]) {
        skip_space(&mut after);
    }
    for (side, byte) in sides[SIDE_BYTES..].iter_mut().zip(in_normal_form(after)) {
        *side = byte;
    }
    u64::from_le_bytes(sides)
}

/// The same in a normal text, where runs are spaces.
fn normal_sides_at(normal: &[u8], at: usize) -> u64 {
    let before: [u8; SIDE_BYTES] = match normal[..at].last_chunk() {
        Some(bytes) => *bytes,
        None => {
            let mut bytes = [0; SIDE_BYTES];
            bytes[SIDE_BYTES - at..].copy_from_slice(&normal[..at]);
            bytes
        }
    };
    let after: [u8; SIDE_BYTES] = padded(normal.get(at + WINDOW_BYTES..).unwrap_or_default());
    u64::from(u32::from_le_bytes(before)) | u64::from(u32::from_le_bytes(after)) << 32
}

fn in_normal_form<'a>(mut raw: impl Iterator<Item = &'a u8> + Clone) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let byte = *raw.next()?;
        if !is_space(byte) {
            return Some(byte.to_ascii_lowercase());
        }
        skip_space(&mut raw);
        Some(b' ')
    })
}

pub(super) fn skip_space<'a>(raw: &mut (impl Iterator<Item = &'a u8> + Clone)) {
    while raw.clone().next().is_some_and(|&byte| is_space(byte)) {
        raw.next();
    }
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
        let bytes = accepted(fragment, place);
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
