//! Needs with an escape sequence inside, found at that sequence.
//!
//! A *gap* is what stands between two neighbouring bytes of a need in raw bytes: white space and
//! escape sequences. At each `ESC` the gap around it is measured; the bytes on its two sides,
//! with or without a space between them, are looked up in a table of what stands next to each
//! other in some need; and these needs are compared on both sides. In coloured logs there are
//! such sequences at every other word, so nearly all have to be turned away at once: two bytes
//! on each side are hashed, and a bit says whether some need has them so.
//!
//! An `ESC` directly behind a colour is taken for not the first one. That is wrong only where a
//! text begins within that colour, its beginning being the header of the text in the chunk, and a
//! need begins there, too: a line that a program wrote broken, and of one length in a million.

use crate::ansi::{ESC, sequence_len};
use crate::normalise::is_space;

use super::filter::Filter;
use super::masks::raw_forms;
use super::words::skip_space;

/// Bytes of a gap that are looked through; a longer one is a candidate. Keeps the scan linear.
const GAP_BYTES_MAX: usize = 64;
/// In the place of a byte that is not there, since the need ends or begins at the gap.
const NONE: u8 = 0;

/// Where needs can be split by an escape sequence.
#[derive(Debug)]
pub(super) struct Splits {
    needs: Vec<Vec<u8>>,
    /// Sorted by their sides.
    splits: Vec<Split>,
    /// One bit for two raw bytes that may stand before a gap in some need.
    heads: Box<Heads>,
    /// What stands around a gap in some need.
    known: Filter,
}

/// One bit for each two bytes.
type Heads = [u64; (1 << 16) / 64];

/// A place in a need between two of its bytes; a space there belongs to the place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Split {
    sides: Sides,
    need: usize,
    /// The offset of the byte before the gap.
    before: usize,
}

/// The bytes on both sides of a gap in normal form, and whether it is a space in normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sides {
    before: u8,
    after: u8,
    space: bool,
}

/// What an `ESC` in raw bytes stands in.
enum Gap<'a> {
    /// Nothing after it.
    AtTheEnd,
    /// Too long, or of an end that depends on where the text ends.
    Unclear,
    /// These stand on both sides, and the raw bytes go on so.
    Between { sides: Sides, after: &'a [u8] },
}

impl Splits {
    pub(super) fn new<'a>(needs: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut needs: Vec<Vec<u8>> = needs.map(<[u8]>::to_vec).collect();
        needs.sort();
        needs.dedup();
        let mut splits: Vec<Split> = Vec::new();
        for (index, need) in needs.iter().enumerate() {
            for before in (0..need.len() - 1).filter(|&at| need[at] != b' ') {
                let space = need[before + 1] == b' ';
                let after = need[before + 1 + usize::from(space)];
                let sides = Sides {
                    before: need[before],
                    after,
                    space,
                };
                splits.push(Split {
                    sides,
                    need: index,
                    before,
                });
            }
        }
        splits.sort();
        let heads = heads(&needs, &splits);
        let around = splits.iter();
        let mut known: Vec<u64> = around
            .map(|split| around_split(&needs[split.need], split))
            .collect();
        known.sort_unstable();
        known.dedup();
        Self {
            needs,
            splits,
            heads,
            known: Filter::of(known.into_iter()),
        }
    }

    /// Whether the `ESC` at `at` may be the first one inside a need.
    #[inline]
    pub(super) fn may_split(&self, chunk: &[u8], at: usize) -> bool {
        self.may_be_first(chunk, at) && self.is_split(chunk, at)
    }

    /// The same by the bytes before it alone, which is the end for most of them. One that stands
    /// behind a colour is not the first one.
    #[inline]
    fn may_be_first(&self, chunk: &[u8], at: usize) -> bool {
        let bytes = u64::from_be_bytes(before(chunk, at));
        let space = bytes as u8 == b' ';
        let bytes = bytes >> (8 * u32::from(space));
        self.may_end_with(bytes as u16) && !ends_a_colour(bytes)
    }

    fn is_split(&self, chunk: &[u8], at: usize) -> bool {
        let before = match text_before(&chunk[..at]) {
            Some([]) => return false,
            Some(before) => before,
            None => return true,
        };
        match gap(chunk, before.len(), at) {
            Gap::AtTheEnd => false,
            Gap::Unclear => true,
            Gap::Between { sides, after } => {
                self.may_know(sides, before, after)
                    && self
                        .of(sides)
                        .iter()
                        .any(|split| self.fits(split, before, after))
            }
        }
    }

    /// Whether some need may have two raw bytes, the last one lowest, before a gap, or begin with
    /// the last one.
    #[inline]
    fn may_end_with(&self, bytes: u16) -> bool {
        let bit = usize::from(bytes);
        self.heads[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Whether some need has, around a gap, the two bytes before it and the two after it.
    fn may_know(&self, sides: Sides, before: &[u8], after: &[u8]) -> bool {
        let second = match after.get(1) {
            // What comes behind a further sequence is not looked up.
            Some(&ESC) => return true,
            Some(&byte) => normal(byte),
            None => NONE,
        };
        let last_but_one = match before {
            [.., byte, _] => normal(*byte),
            _ => NONE,
        };
        let is_known = |last_but_one, second| {
            let around = around(last_but_one, sides, second);
            self.known.may_hold(around)
        };
        is_known(last_but_one, second) || is_known(NONE, second) || is_known(last_but_one, NONE)
    }

    /// Whether a need, split there, may stand in raw bytes around a gap: plain before it, up to
    /// the next escape sequence after it.
    fn fits(&self, split: &Split, before: &[u8], after: &[u8]) -> bool {
        let (head, tail) = self.needs[split.need].split_at(split.before + 1);
        let tail = &tail[usize::from(split.sides.space)..];
        goes_on_as(before.iter().rev(), head.iter().rev(), false)
            && goes_on_as(after.iter(), tail.iter(), true)
    }

    fn of(&self, sides: Sides) -> &[Split] {
        let start = self.splits.partition_point(|split| split.sides < sides);
        let count = self.splits[start..].partition_point(|split| split.sides == sides);
        &self.splits[start..start + count]
    }
}

/// The eight bytes before a place; white space where there are none.
#[inline]
fn before(chunk: &[u8], at: usize) -> [u8; 8] {
    match chunk[..at].last_chunk() {
        Some(bytes) => *bytes,
        None => {
            let mut bytes = [b' '; 8];
            bytes[8 - at..].copy_from_slice(&chunk[..at]);
            bytes
        }
    }
}

/// Whether bytes, the last one lowest, end with a CSI sequence: `ESC [`, up to five bytes
/// `0x30–0x3F`, `m`.
#[inline]
fn ends_a_colour(bytes: u64) -> bool {
    // What is left of a byte is zero for 0x30–0x3F alone.
    let others = ((bytes >> 8) ^ 0x3030_3030_3030_3030) & 0xF0F0_F0F0_F0F0_F0F0;
    let bracket = 8 * (1 + others.trailing_zeros() / 8);
    let begin = bytes.checked_shr(bracket).unwrap_or(0) as u16;
    (bytes as u8 == b'm') & (begin == u16::from_be_bytes([ESC, b'[']))
}

/// What stands around a gap: the last byte but one before it, the bytes beside it, the second
/// byte after it.
fn around(last_but_one: u8, sides: Sides, second: u8) -> u64 {
    let bytes = [
        last_but_one,
        sides.before,
        u8::from(sides.space),
        sides.after,
        second,
    ];
    bytes
        .iter()
        .fold(0, |all, &byte| all << 8 | u64::from(byte))
}

/// The same of a need.
fn around_split(need: &[u8], split: &Split) -> u64 {
    let after = split.before + 1 + usize::from(split.sides.space);
    let second = need.get(after + 1).map_or(NONE, |&byte| byte);
    around(last_but_one(need, split), split.sides, second)
}

fn last_but_one(need: &[u8], split: &Split) -> u8 {
    split.before.checked_sub(1).map_or(NONE, |at| need[at])
}

/// One bit for each two raw bytes that may stand before a gap: of each need in all raw forms, any
/// byte before the first one of a need, and white space, of which there may be more.
fn heads(needs: &[Vec<u8>], splits: &[Split]) -> Box<Heads> {
    let mut pairs: Vec<(u8, u8)> = splits
        .iter()
        .map(|split| (last_but_one(&needs[split.need], split), split.sides.before))
        .chain([(NONE, b' ')])
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut heads = Box::new([0; _]);
    for (last_but_one, last) in pairs {
        let before = match last_but_one {
            NONE => (0..=u8::MAX).collect(),
            byte => raw_forms(byte),
        };
        for last in raw_forms(last) {
            for &before in &before {
                let bit = usize::from(u16::from_be_bytes([before, last]));
                heads[bit / 64] |= 1 << (bit % 64);
            }
        }
    }
    heads
}

/// A raw byte as it stands in a normal text.
fn normal(byte: u8) -> u8 {
    if is_space(byte) {
        b' '
    } else {
        byte.to_ascii_lowercase()
    }
}

/// What stands before white space at the end; None where that is too long to be measured.
fn text_before(bytes: &[u8]) -> Option<&[u8]> {
    let mut before = bytes;
    while let [rest @ .., last] = before
        && is_space(*last)
    {
        before = rest;
        if bytes.len() - before.len() > GAP_BYTES_MAX {
            return None;
        }
    }
    Some(before)
}

/// The gap behind `start`, not empty, around the `ESC` at `at`, which is taken for its first one.
fn gap(chunk: &[u8], start: usize, at: usize) -> Gap<'_> {
    // One byte more than allowed, so that a longer gap is seen to be longer.
    let reach = &chunk[..chunk.len().min(at + GAP_BYTES_MAX + 1)];
    let mut space = start < at;
    let mut next = at;
    while next - at <= GAP_BYTES_MAX {
        match reach.get(next) {
            None => return Gap::AtTheEnd,
            // Where an OSC ends depends on where its text ends.
            Some(&ESC) if chunk.get(next + 1) == Some(&b']') => return Gap::Unclear,
            Some(&ESC) => next += sequence_len(&reach[next..]),
            Some(&byte) if is_space(byte) => {
                space = true;
                next += 1;
            }
            Some(&after) => {
                let sides = Sides {
                    before: chunk[start - 1].to_ascii_lowercase(),
                    after: after.to_ascii_lowercase(),
                    space,
                };
                let after = &chunk[next..];
                return Gap::Between { sides, after };
            }
        }
    }
    Gap::Unclear
}

/// Whether raw bytes go on as a normal text does, both read in the same direction: a space is
/// any run of white space, letters have no case. What an escape sequence on the way means is
/// for the caller to say: `at_escape` is the answer then.
fn goes_on_as<'a>(
    mut raw: impl Iterator<Item = &'a u8> + Clone,
    normal: impl Iterator<Item = &'a u8>,
    at_escape: bool,
) -> bool {
    for &wanted in normal {
        match raw.next() {
            Some(&byte) if wanted != b' ' && byte.to_ascii_lowercase() == wanted => {}
            Some(&byte) if wanted == b' ' && is_space(byte) => skip_space(&mut raw),
            Some(&ESC) => return at_escape,
            _ => return false,
        }
    }
    true
}
