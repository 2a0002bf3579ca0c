//! Needs with an escape sequence inside, found at that sequence.
//!
//! A *gap* is what stands between two neighbouring bytes of a need in raw bytes: white space and
//! escape sequences. At each `ESC` the gap around it is measured; the bytes on its two sides,
//! with or without a space between them, are looked up in a table of what stands next to each
//! other in some need; and these needs are compared on both sides.

use crate::ansi::{ESC, sequence_len};
use crate::normalise::is_space;

use super::words::goes_on_as;

/// Bytes of a gap that are looked through; a longer one is a candidate. Keeps the scan linear.
const GAP_BYTES_MAX: usize = 64;

/// Where needs can be split by an escape sequence.
#[derive(Debug)]
pub(super) struct Splits {
    needs: Vec<Vec<u8>>,
    /// Sorted by their sides.
    splits: Vec<Split>,
    /// One bit for two neighbours of any kind: most gaps end here.
    known: Box<[u64]>,
}

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
enum Gap {
    /// Nothing before it or after it.
    AtTheEnd,
    /// Too long, or of an end that depends on where the text ends.
    Unclear,
    /// Raw bytes go up to `before_end`, and on at `after_start`.
    Between {
        sides: Sides,
        before_end: usize,
        after_start: usize,
    },
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
        let mut known = vec![0; (1 << 16) / 64].into_boxed_slice();
        for split in &splits {
            let bit = split.sides.bit();
            known[bit / 64] |= 1 << (bit % 64);
        }
        Self {
            needs,
            splits,
            known,
        }
    }

    /// Whether the `ESC` at `at` may be the first one inside a need.
    pub(super) fn may_split(&self, chunk: &[u8], at: usize) -> bool {
        match gap(chunk, at) {
            Gap::AtTheEnd => false,
            Gap::Unclear => true,
            Gap::Between {
                sides,
                before_end,
                after_start,
            } => {
                let (before, after) = (&chunk[..before_end], &chunk[after_start..]);
                let bit = sides.bit();
                self.known[bit / 64] >> (bit % 64) & 1 == 1
                    && self
                        .of(sides)
                        .iter()
                        .any(|split| self.fits(split, before, after))
            }
        }
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

impl Sides {
    fn bit(self) -> usize {
        usize::from(self.before) << 8 | usize::from(self.after)
    }
}

/// The gap around the `ESC` at `at`, which is taken for its first one.
fn gap(chunk: &[u8], at: usize) -> Gap {
    let spaces = chunk[..at].iter().rev().take(GAP_BYTES_MAX + 1);
    let spaces = spaces.take_while(|&&byte| is_space(byte)).count();
    if spaces > GAP_BYTES_MAX {
        return Gap::Unclear;
    }
    let before_end = at - spaces;
    let Some(&before) = chunk[..before_end].last() else {
        return Gap::AtTheEnd;
    };
    // One byte more than allowed, so that a longer gap is seen to be longer.
    let reach = &chunk[..chunk.len().min(at + GAP_BYTES_MAX + 1)];
    let mut space = spaces > 0;
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
            Some(after) => {
                let (before, after) = (before.to_ascii_lowercase(), after.to_ascii_lowercase());
                let sides = Sides {
                    before,
                    after,
                    space,
                };
                return Gap::Between {
                    sides,
                    before_end,
                    after_start: next,
                };
            }
        }
    }
    Gap::Unclear
}
