//! The first look of the scan: fragments in eight buckets, bytes by their halves.
//!
//! For each of a fragment's four places there are two tables of sixteen entries, one by a byte's
//! low half, one by its high half; an entry has one bit a bucket. A bucket's bit that survives
//! all eight look-ups at a place means that one of its fragments *may* begin there. A vector
//! unit looks sixteen or more bytes up at once (see `avx2`). The technique is known as Teddy,
//! from the Hyperscan project.
//!
//! Upper and lower case differ in the high half alone, and white space is six bytes of two high
//! halves, so both come for nothing. What fragments share a bucket decides how often the look is
//! wrong, so fragments that look alike are put together.

use super::fragment::FRAGMENT_BYTES;
use super::rarity::per_mille;

/// One bit each in the tables.
const BUCKETS: usize = 8;
/// Rounds in which each fragment may change its bucket.
const ROUNDS: usize = 4;
/// With more fragments than this each is placed once: what is gained is not worth the time then.
const REARRANGED_MAX: usize = 512;

/// Tables for one place in a fragment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nibbles {
    /// Buckets by the byte's low half.
    pub(super) low: [u8; 16],
    /// And by its high half.
    pub(super) high: [u8; 16],
}

impl Nibbles {
    pub(super) fn buckets(&self, byte: u8) -> u8 {
        self.low[usize::from(byte & 15)] & self.high[usize::from(byte >> 4)]
    }
}

/// The tables of all fragments.
pub(super) type Masks = [Nibbles; FRAGMENT_BYTES];

/// Puts the fragments into buckets.
pub(super) fn of(fragments: &[&[u8]]) -> Masks {
    let frequencies = Frequencies::new();
    let shapes: Vec<Shape> = fragments.iter().map(|bytes| Shape::of(bytes)).collect();
    let mut buckets = vec![Bucket::default(); BUCKETS];
    for index in 0..shapes.len() {
        place(&mut buckets, &shapes, index, &frequencies);
    }
    if shapes.len() <= REARRANGED_MAX {
        for _ in 0..ROUNDS {
            for index in 0..shapes.len() {
                for bucket in &mut buckets {
                    bucket.remove(index, &shapes);
                }
                place(&mut buckets, &shapes, index, &frequencies);
            }
        }
    }
    let mut masks = Masks::default();
    for (at, bucket) in buckets.iter().enumerate() {
        for (nibbles, place) in masks.iter_mut().zip(bucket.shape.0) {
            for half in 0..16 {
                nibbles.low[half] |= u8::from(place.low >> half & 1 == 1) << at;
                nibbles.high[half] |= u8::from(place.high >> half & 1 == 1) << at;
            }
        }
    }
    masks
}

/// Into the bucket that it makes wrong the least.
fn place(buckets: &mut [Bucket], shapes: &[Shape], index: usize, frequencies: &Frequencies) {
    let worse = |bucket: &Bucket| {
        let with = frequencies.share(&bucket.shape.with(&shapes[index]));
        let without = if bucket.members.is_empty() {
            0.0
        } else {
            frequencies.share(&bucket.shape)
        };
        with - without
    };
    let best = (0..buckets.len())
        .min_by(|&a, &b| worse(&buckets[a]).total_cmp(&worse(&buckets[b])))
        .expect("there are buckets");
    buckets[best].shape = buckets[best].shape.with(&shapes[index]);
    buckets[best].members.push(index);
}

/// Low and high halves of the bytes that are accepted at one place, one bit each.
#[derive(Debug, Default, Clone, Copy)]
struct Halves {
    low: u16,
    high: u16,
}

/// What is accepted at each place.
#[derive(Debug, Default, Clone, Copy)]
struct Shape([Halves; FRAGMENT_BYTES]);

impl Shape {
    fn of(fragment: &[u8]) -> Self {
        let mut shape = Self::default();
        for (at, halves) in shape.0.iter_mut().enumerate() {
            let Some(&byte) = fragment.get(at) else {
                // Behind a short one anything may follow.
                *halves = Halves {
                    low: u16::MAX,
                    high: u16::MAX,
                };
                continue;
            };
            for raw in raw_forms(byte) {
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
    shape: Shape,
}

impl Bucket {
    fn remove(&mut self, index: usize, shapes: &[Shape]) {
        let before = self.members.len();
        self.members.retain(|&member| member != index);
        if self.members.len() < before {
            let members = self.members.iter().map(|&member| &shapes[member]);
            self.shape = members.fold(Shape::default(), |shape, member| shape.with(member));
        }
    }
}

/// How often bytes are met, by their halves.
struct Frequencies([[f32; 16]; 16]);

impl Frequencies {
    fn new() -> Self {
        let mut table = [[0.0; 16]; 16];
        for byte in 0..=255_u8 {
            let share = per_mille(byte) as f32 / 1_000.0;
            // Most letters are lower case.
            let share = match byte {
                b'A'..=b'Z' => share / 8.0,
                _ => share,
            };
            table[usize::from(byte >> 4)][usize::from(byte & 15)] = share;
        }
        Self(table)
    }

    /// The share of places in a text that a shape accepts, if bytes came independently.
    fn share(&self, shape: &Shape) -> f32 {
        shape
            .0
            .iter()
            .map(|halves| self.of_place(*halves))
            .product()
    }

    fn of_place(&self, halves: Halves) -> f32 {
        let rows = (0..16).filter(|row| halves.high >> row & 1 == 1);
        rows.map(|row| {
            let columns = (0..16).filter(|column| halves.low >> column & 1 == 1);
            columns.map(|column| self.0[row][column]).sum::<f32>()
        })
        .sum()
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
        let masks = of(&fragments);
        for fragment in fragments {
            let mut buckets = u8::MAX;
            for (at, nibbles) in masks.iter().enumerate() {
                let forms = fragment
                    .get(at)
                    .map_or((0..=255).collect(), |&byte| raw_forms(byte));
                let accepted = forms.iter().map(|&raw| nibbles.buckets(raw));
                buckets &= accepted.fold(u8::MAX, |all, one| all & one);
            }
            assert_ne!(buckets, 0, "{}", String::from_utf8_lossy(fragment));
        }
    }

    #[test]
    fn nothing_is_accepted_without_fragments() {
        let masks = of(&[]);
        assert_eq!(masks, Masks::default());
    }
}
