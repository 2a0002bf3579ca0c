//! The pass over all bytes: which places deserve a second look?
//!
//! Vectors (or, on processors without them, plain code) say for 64 places at a time where a
//! fragment may begin and where an `ESC` stands, for some blocks of 64 in a row; then a visitor
//! sees to those places.

use std::ops::ControlFlow;

use super::masks::Masks;
#[cfg(target_arch = "x86_64")]
use super::vectors::Vectors;
use crate::window::WINDOW_BYTES;

/// Places that are looked at together: one bit each.
pub(super) const BLOCK: usize = 64;
/// The bytes that they need: the last place's fragment reaches further.
pub(super) const BLOCK_BYTES: usize = BLOCK + WINDOW_BYTES - 1;
/// Blocks of one stretch: enough to load the tables seldom, and a caller that breaks off has
/// looked at little in vain.
const BLOCKS: usize = 4;

/// The first look at every byte.
#[derive(Debug)]
pub(super) struct Scan {
    masks: Masks,
    #[cfg(target_arch = "x86_64")]
    vectors: Option<Vectors>,
}

impl Scan {
    pub(super) fn new(masks: Masks) -> Self {
        Self {
            masks,
            #[cfg(target_arch = "x86_64")]
            vectors: Vectors::of_this_processor().next(),
        }
    }

    /// Calls `visit` for one stretch after the other, from `from` on, until it breaks off. Behind
    /// the end of the text stand zeros.
    #[inline]
    pub(super) fn each(
        &self,
        text: &[u8],
        from: usize,
        mut visit: impl FnMut(&mut Stretch) -> ControlFlow<()>,
    ) {
        let mut stretch = Stretch::default();
        let mut start = from;
        while start < text.len() {
            stretch.begin(start);
            let looked_at = self.look(&text[start..], &mut stretch);
            if visit(&mut stretch).is_break() {
                return;
            }
            start += looked_at;
        }
    }

    /// Looks at what comes first, and says how many bytes that is.
    fn look(&self, text: &[u8], stretch: &mut Stretch) -> usize {
        let whole = text.len().saturating_sub(WINDOW_BYTES - 1) / BLOCK;
        if whole > 0 {
            let bytes = whole.min(BLOCKS) * BLOCK;
            self.look_at_blocks(&text[..bytes + WINDOW_BYTES - 1], stretch);
            return bytes;
        }
        // What is left, with zeros behind it.
        let mut padded = [0; 2 * BLOCK + WINDOW_BYTES - 1];
        padded[..text.len()].copy_from_slice(text);
        self.look_at_blocks(&padded, stretch);
        // (Zeros are no `ESC`.)
        stretch.words.cut_off(text.len());
        text.len()
    }

    fn look_at_blocks(&self, text: &[u8], stretch: &mut Stretch) {
        #[cfg(target_arch = "x86_64")]
        if let Some(vectors) = self.vectors {
            vectors.look(&self.masks, text, stretch);
            return;
        }
        self.masks.look_by_halves(text, stretch);
    }
}

/// The blocks of a text of whole blocks and a window more.
#[inline(always)]
pub(super) fn blocks(text: &[u8]) -> impl Iterator<Item = (usize, &[u8; BLOCK_BYTES])> {
    let starts = (0..).step_by(BLOCK);
    starts
        .map_while(|start| text.get(start..)?.first_chunk())
        .enumerate()
}

/// The places of one stretch that deserve a second look.
#[derive(Default)]
pub(super) struct Stretch {
    /// Where a fragment may begin.
    pub(super) words: Places,
    /// Where an `ESC` stands.
    pub(super) escapes: Places,
}

impl Stretch {
    fn begin(&mut self, start: usize) {
        for places in [&mut self.words, &mut self.escapes] {
            *places = Places {
                start,
                bits: [0; BLOCKS],
            };
        }
    }

    /// Sets a block's places, one bit each.
    #[inline]
    pub(super) fn set(&mut self, block: usize, words: u64, escapes: u64) {
        self.words.bits[block] = words;
        self.escapes.bits[block] = escapes;
    }
}

/// Places in a stretch, one bit each.
#[derive(Default)]
pub(super) struct Places {
    /// Where the stretch begins.
    start: usize,
    bits: [u64; BLOCKS],
}

impl Places {
    fn cut_off(&mut self, len: usize) {
        for (block, bits) in self.bits.iter_mut().enumerate() {
            let len = len.saturating_sub(block * BLOCK);
            if len < BLOCK {
                *bits &= (1 << len) - 1;
            }
        }
    }

    /// In ascending order.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        let start = self.start;
        self.bits
            .into_iter()
            .enumerate()
            .flat_map(move |(block, bits)| {
                let mut rest = bits;
                std::iter::from_fn(move || {
                    if rest == 0 {
                        return None;
                    }
                    let at = start + block * BLOCK + rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    Some(at)
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::masks;
    use super::*;
    use crate::ansi::ESC;
    use crate::rarity::Rarity;

    fn scan() -> Scan {
        let fragments: [&[u8]; 5] = [b"_err", b"out ", b"xid", b" of ", b"tchd"];
        Scan::new(masks::of(&fragments, &Rarity::default()))
    }

    /// Words, and escapes.
    fn places(scan: &Scan, text: &[u8], from: usize) -> [Vec<usize>; 2] {
        let mut places = [Vec::new(), Vec::new()];
        scan.each(text, from, |stretch| {
            places[0].extend(stretch.words.iter());
            places[1].extend(stretch.escapes.iter());
            ControlFlow::Continue(())
        });
        places
    }

    /// The same the slow way.
    fn places_by(accepts: impl Fn(usize, u8) -> u16, text: &[u8], from: usize) -> [Vec<usize>; 2] {
        let byte = |at: usize| text.get(at).copied().unwrap_or(0);
        let accepted = |at: usize, place: usize| accepts(place, byte(at + place));
        let is_taken = |&at: &usize| {
            (0..WINDOW_BYTES).fold(u16::MAX, |all, place| all & accepted(at, place)) != 0
        };
        let words = (from..text.len()).filter(is_taken);
        let escapes = (from..text.len()).filter(|&at| byte(at) == ESC);
        [words.collect(), escapes.collect()]
    }

    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            4 => proptest::sample::select(&b"_errout xidoftchXID\t\x1b\0"[..]),
            1 => any::<u8>(),
        ];
        proptest::collection::vec(byte, 0..2_500)
    }

    fn by_halves(scan: &Scan, text: &[u8], from: usize) -> [Vec<usize>; 2] {
        let nibbles = &scan.masks.nibbles;
        places_by(|place, byte| nibbles[place].buckets(byte), text, from)
    }

    proptest! {
        #[test]
        fn each_place_that_the_tables_accept_is_seen(text in texts(), from in 0..2_600_usize) {
            let scan = Scan {
                masks: scan().masks,
                #[cfg(target_arch = "x86_64")]
                vectors: None,
            };
            prop_assert_eq!(places(&scan, &text, from), by_halves(&scan, &text, from));
        }

        #[cfg(target_arch = "x86_64")]
        #[test]
        fn each_kind_of_vectors_sees_them_too(text in texts(), from in 0..2_600_usize) {
            for vectors in Vectors::of_this_processor() {
                let scan = Scan { vectors: Some(vectors), ..scan() };
                let expected = if vectors.look_up_folded() {
                    by_folded(&scan, &text, from)
                } else {
                    by_halves(&scan, &text, from)
                };
                prop_assert_eq!(places(&scan, &text, from), expected);
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn by_folded(scan: &Scan, text: &[u8], from: usize) -> [Vec<usize>; 2] {
        let tables = &scan.masks.folded;
        let buckets = |place: usize, byte| {
            let at = usize::from(masks::folded(byte));
            u16::from_le_bytes(std::array::from_fn(|table| tables[place][table][at]))
        };
        places_by(buckets, text, from)
    }

    #[test]
    fn every_place_of_a_fragment_in_a_text_is_seen() {
        let scan = scan();
        for len in 0..200 {
            for (text, seen) in [
                (&b"OUT\t"[..], [vec![len], vec![]]),
                (b"xId", [vec![len], vec![]]),
                (b"\x1b", [vec![], vec![len]]),
            ] {
                let mut whole = vec![b'.'; len];
                whole.extend(text);
                assert_eq!(places(&scan, &whole, 0), seen);
                whole.extend(vec![b'.'; 77]);
                assert_eq!(places(&scan, &whole, 0), seen);
            }
        }
    }

    #[test]
    fn a_visitor_can_break_off() {
        let text = b"xid.xid".repeat(1_000);
        for from in [0, 1] {
            let mut stretches = 0;
            scan().each(&text, from, |_| {
                stretches += 1;
                match stretches {
                    2 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            });
            assert_eq!(stretches, 2);
        }
    }
}
