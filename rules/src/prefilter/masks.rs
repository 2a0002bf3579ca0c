//! The first look of the scan: fragments in sixteen buckets.
//!
//! For each of a fragment's four places tables say which buckets accept a byte there; an entry
//! has one bit a bucket (and is cut into two bytes, the unit of the vectors' look-up). A bucket's
//! bit that survives all look-ups at a place means that one of its fragments *may* begin there. A
//! vector unit looks many bytes up at once (see `vectors`). The technique is known as Teddy, from
//! the Hyperscan project.
//!
//! The tables come in two forms. By halves: one of sixteen entries by a byte's low half, one by
//! its high half; upper and lower case differ in the high half alone, and white space is six bytes
//! of two high halves, so both come for nothing. Folded: one of sixty-four entries by what
//! [`folded`] leaves of a byte, for units that can look that many up.
//!
//! What fragments share a bucket decides how often the look is wrong, so fragments that look
//! alike are put together.

use super::frequencies::Frequencies;
use super::scan::{Stretch, blocks};
use crate::ansi::ESC;
use crate::rarity::Rarity;
use crate::window::WINDOW_BYTES;

/// Tables of bytes, and so of eight buckets each, for one half of a byte.
pub(super) const TABLES: usize = 2;
/// One bit each in the tables.
const BUCKETS: usize = 8 * TABLES;
/// Fragments that are grouped by comparing each with each; further ones join a group one by one.
const COMPARED_MAX: usize = 512;
/// Rounds in which each fragment may change its bucket.
const ROUNDS: usize = 2;

/// Tables for one place in a fragment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nibbles {
    /// Buckets by the byte's low half.
    pub(super) low: [[u8; 16]; TABLES],
    /// And by its high half.
    pub(super) high: [[u8; 16]; TABLES],
}

impl Nibbles {
    /// One bit for each bucket that accepts the byte.
    pub(super) fn buckets(&self, byte: u8) -> u16 {
        let of_table = |table: usize| {
            self.low[table][usize::from(byte & 15)] & self.high[table][usize::from(byte >> 4)]
        };
        u16::from_le_bytes(std::array::from_fn(of_table))
    }
}

/// Buckets by [`folded`] bytes: as many as a vector unit of 64 bytes looks up at once.
pub(super) type Folded = [[u8; 64]; TABLES];

/// Six bits of a byte. Of the bytes that logs are full of only the two cases of a letter, and two
/// kinds of brackets, fall together.
#[inline(always)]
pub(super) fn folded(byte: u8) -> u8 {
    byte >> 1 & 0x20 | byte & 0x1F
}

/// The tables of all fragments, for each place in a fragment, in two forms.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Masks {
    pub(super) nibbles: [Nibbles; WINDOW_BYTES],
    pub(super) folded: [Folded; WINDOW_BYTES],
}

impl Default for Masks {
    fn default() -> Self {
        Self {
            nibbles: Default::default(),
            folded: [[[0; 64]; TABLES]; WINDOW_BYTES],
        }
    }
}

impl Masks {
    /// Sets the places of a text of whole blocks (and a window more) where a fragment may begin
    /// or an `ESC` stands, by halves of bytes.
    pub(super) fn look_by_halves(&self, text: &[u8], stretch: &mut Stretch) {
        let accept = |window: &[u8]| {
            let each = self.nibbles.iter().zip(window);
            each.fold(u16::MAX, |all, (nibbles, &byte)| {
                all & nibbles.buckets(byte)
            }) != 0
        };
        for (block, bytes) in blocks(text) {
            let (mut words, mut escapes) = (0, 0);
            for (at, window) in bytes.windows(WINDOW_BYTES).enumerate() {
                words |= u64::from(accept(window)) << at;
                escapes |= u64::from(window[0] == ESC) << at;
            }
            stretch.set(block, words, escapes);
        }
    }
}

/// Puts the fragments into buckets.
pub(super) fn of(fragments: &[&[u8]], rarity: &Rarity) -> Masks {
    let frequencies = Frequencies::new(rarity);
    let shapes: Vec<Shape> = fragments.iter().map(|bytes| Shape::of(bytes)).collect();
    let compared = shapes.len().min(COMPARED_MAX);
    let mut buckets = groups(&shapes[..compared], &frequencies);
    for index in compared..shapes.len() {
        place(&mut buckets, &shapes, index, &frequencies);
    }
    for index in (0..compared).cycle().take(compared * ROUNDS) {
        for bucket in &mut buckets {
            bucket.remove(index, &shapes, &frequencies);
        }
        place(&mut buckets, &shapes, index, &frequencies);
    }
    let mut masks = Masks::default();
    for (at, bucket) in buckets.iter().enumerate() {
        for (nibbles, place) in masks.nibbles.iter_mut().zip(bucket.shape.0) {
            for half in 0..16 {
                let bit = |set: u16| u8::from(set >> half & 1 == 1) << (at % 8);
                nibbles.low[at / 8][half] |= bit(place.low);
                nibbles.high[at / 8][half] |= bit(place.high);
            }
        }
        for fragment in bucket.members.iter().map(|&member| fragments[member]) {
            for (place, tables) in masks.folded.iter_mut().enumerate() {
                for raw in accepted(fragment, place) {
                    tables[at / 8][usize::from(folded(raw))] |= 1 << (at % 8);
                }
            }
        }
    }
    masks
}

/// As many groups as there are buckets: of all pairs of groups the two are joined, again and
/// again, that make the look wrong the least.
fn groups(shapes: &[Shape], frequencies: &Frequencies) -> Vec<Bucket> {
    let mut groups: Vec<Bucket> = (0..shapes.len())
        .map(|index| Bucket {
            members: vec![index],
            shape: shapes[index],
            share: frequencies.share(&shapes[index]),
        })
        .collect();
    let worse = |one: &Bucket, other: &Bucket| {
        frequencies.share(&one.shape.with(&other.shape)) - one.share - other.share
    };
    // For each group the best partner among those before it.
    let best = |groups: &[Bucket], at: usize| {
        (0..at)
            .map(|other| (worse(&groups[at], &groups[other]), other))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .unwrap_or((f32::INFINITY, at))
    };
    let mut partners: Vec<(f32, usize)> = (0..groups.len()).map(|at| best(&groups, at)).collect();
    while groups.len() > BUCKETS {
        let from = (0..groups.len())
            .min_by(|&a, &b| partners[a].0.total_cmp(&partners[b].0))
            .expect("there are groups");
        let into = partners[from].1;
        let joined = groups.swap_remove(from);
        partners.swap_remove(from);
        let moved = groups.len();
        groups[into].join(joined, frequencies);
        for at in 0..groups.len() {
            // What the two were to others, and what the one that moved is, is new.
            let partner = partners[at].1;
            if at == into || at == from || [into, from, moved].contains(&partner) {
                partners[at] = best(&groups, at);
            } else if at > into {
                let worse = worse(&groups[at], &groups[into]);
                if worse < partners[at].0 {
                    partners[at] = (worse, into);
                }
            }
        }
    }
    groups.resize(BUCKETS, Bucket::default());
    groups
}

/// Into the bucket that it makes wrong the least.
fn place(buckets: &mut [Bucket], shapes: &[Shape], index: usize, frequencies: &Frequencies) {
    let shape = &shapes[index];
    let worse = |bucket: &Bucket| {
        let shape = match bucket.members.is_empty() {
            true => *shape,
            false => bucket.shape.with(shape),
        };
        frequencies.share(&shape) - bucket.share
    };
    let best = (0..buckets.len())
        .min_by(|&a, &b| worse(&buckets[a]).total_cmp(&worse(&buckets[b])))
        .expect("there are buckets");
    let alone = Bucket {
        members: vec![index],
        shape: *shape,
        share: 0.0,
    };
    buckets[best].join(alone, frequencies);
}

/// Low and high halves of the bytes that are accepted at one place, one bit each.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Halves {
    pub(super) low: u16,
    pub(super) high: u16,
}

/// What is accepted at each place.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Shape(pub(super) [Halves; WINDOW_BYTES]);

impl Shape {
    fn of(fragment: &[u8]) -> Self {
        let mut shape = Self::default();
        for (at, halves) in shape.0.iter_mut().enumerate() {
            for raw in accepted(fragment, at) {
                halves.low |= 1 << (raw & 15);
                halves.high |= 1 << (raw >> 4);
            }
        }
        shape
    }

    fn with(&self, other: &Self) -> Self {
        let mut both = *self;
        for (one, two) in both.0.iter_mut().zip(other.0) {
            one.low |= two.low;
            one.high |= two.high;
        }
        both
    }
}

/// The raw bytes that may stand at a place of a fragment; behind a short one anything may.
pub(super) fn accepted(fragment: &[u8], place: usize) -> Vec<u8> {
    fragment
        .get(place)
        .map_or_else(|| (0..=u8::MAX).collect(), |&byte| raw_forms(byte))
}

/// The raw bytes that a byte in normal form stands for.
pub(super) fn raw_forms(byte: u8) -> Vec<u8> {
    match byte {
        b' ' => b" \t\n\x0b\x0c\r".to_vec(),
        b'a'..=b'z' => vec![byte, byte.to_ascii_uppercase()],
        _ => vec![byte],
    }
}

#[derive(Debug, Default, Clone)]
struct Bucket {
    members: Vec<usize>,
    /// All that the members accept.
    shape: Shape,
    /// The share of places that it accepts.
    share: f32,
}

impl Bucket {
    fn join(&mut self, other: Self, frequencies: &Frequencies) {
        self.members.extend(other.members);
        self.shape = self.shape.with(&other.shape);
        self.share = frequencies.share(&self.shape);
    }

    fn remove(&mut self, index: usize, shapes: &[Shape], frequencies: &Frequencies) {
        let before = self.members.len();
        self.members.retain(|&member| member != index);
        if self.members.len() < before {
            let members = self.members.iter().map(|&member| &shapes[member]);
            self.shape = members.fold(Shape::default(), |shape, member| shape.with(member));
            self.share = frequencies.share(&self.shape);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fragment_is_accepted_in_every_raw_form() {
        let fragments: [&[u8]; 12] = [
            b"_err",
            b" of ",
            b"out ",
            b"xid",
            b"tchd",
            b"oom ",
            b"qzxj",
            b"\xe6\x98\xbe\xe5",
            b"egal",
            b"9: x",
            b"[dea",
            b"aaaa",
        ];
        let masks = of(&fragments, &Rarity::default());
        for fragment in fragments {
            let mut buckets = u16::MAX;
            let mut by_folded = u16::MAX;
            for at in 0..WINDOW_BYTES {
                for raw in accepted(fragment, at) {
                    buckets &= masks.nibbles[at].buckets(raw);
                    let of_table = |table: usize| masks.folded[at][table][usize::from(folded(raw))];
                    by_folded &= u16::from_le_bytes(std::array::from_fn(of_table));
                }
            }
            assert_ne!(buckets, 0, "{}", String::from_utf8_lossy(fragment));
            assert_ne!(by_folded, 0, "{}", String::from_utf8_lossy(fragment));
        }
    }

    #[test]
    fn nothing_is_accepted_without_fragments() {
        let masks = of(&[], &Rarity::default());
        assert_eq!(masks, Masks::default());
    }
}
