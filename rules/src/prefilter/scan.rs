//! The pass over all bytes: which places deserve a second look?
//!
//! The same answer two ways: by vectors where the processor has AVX2, else byte by byte. A test
//! holds the two equal.

use std::ops::ControlFlow;

use super::masks::{Masks, Nibbles};
use crate::window::WINDOW_BYTES;

/// The first look at every byte.
#[derive(Debug)]
pub(super) struct Scan {
    masks: Masks,
    /// Buckets by whole bytes, for the way without vectors.
    bytes: Box<[[u16; 256]; WINDOW_BYTES]>,
}

impl Scan {
    pub(super) fn new(masks: Masks) -> Self {
        let buckets = |nibbles: Nibbles| {
            std::array::from_fn(|byte| nibbles.buckets(u8::try_from(byte).expect("below 256")))
        };
        Self {
            masks,
            bytes: Box::new(masks.map(buckets)),
        }
    }

    /// Visits, in ascending order, each place from `from` on where a fragment may begin, until
    /// the visitor breaks off. Behind the end of the text stand zeros.
    pub(super) fn each(
        &self,
        text: &[u8],
        from: usize,
        visit: impl FnMut(usize) -> ControlFlow<()>,
    ) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            super::avx2::each(&self.masks, text, from, visit);
            return;
        }
        self.each_by_bytes(text, from, visit);
    }

    fn each_by_bytes(
        &self,
        text: &[u8],
        from: usize,
        mut visit: impl FnMut(usize) -> ControlFlow<()>,
    ) {
        let [first, second, third, fourth] = &*self.bytes;
        let by = |table: &[u16; 256], byte: u8| table[usize::from(byte)];
        let mut windows = text.get(from..).unwrap_or_default().windows(WINDOW_BYTES);
        let mut at = from;
        for window in windows.by_ref() {
            let &[a, b, c, d] = window else { return };
            let buckets = by(first, a) & by(second, b) & by(third, c) & by(fourth, d);
            if buckets != 0 && visit(at).is_break() {
                return;
            }
            at += 1;
        }
        for at in at..text.len() {
            let byte = |place: usize| text.get(at + place).copied().unwrap_or(0);
            let tables = self.bytes.iter().enumerate();
            let buckets = tables.fold(u16::MAX, |all, (place, table)| all & by(table, byte(place)));
            if buckets != 0 && visit(at).is_break() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::masks;
    use super::*;
    use crate::rarity::Rarity;

    fn places(run: impl FnOnce(&mut dyn FnMut(usize) -> ControlFlow<()>)) -> Vec<usize> {
        let mut places = Vec::new();
        run(&mut |at| {
            places.push(at);
            ControlFlow::Continue(())
        });
        places
    }

    fn scan() -> Scan {
        let fragments: [&[u8]; 6] = [b"_err", b"out ", b"xid", b" of ", b"tchd", b"\x1b"];
        Scan::new(masks::of(&fragments, &Rarity::default()))
    }

    proptest! {
        #[test]
        fn vectors_and_bytes_see_the_same(
            text in proptest::collection::vec(
                prop_oneof![
                    4 => proptest::sample::select(&b"_errout xidoftchXID\t\x1b\0"[..]),
                    1 => any::<u8>(),
                ],
                0..300,
            ),
            from in 0..310_usize,
        ) {
            let scan = scan();
            let either = places(|visit| scan.each(&text, from, visit));
            let by_bytes = places(|visit| scan.each_by_bytes(&text, from, visit));
            prop_assert_eq!(either, by_bytes);
        }
    }

    #[test]
    fn every_place_of_a_fragment_in_a_text_is_seen() {
        let scan = scan();
        for len in 0..200 {
            for (fragment, text) in [("out ", &b"OUT\t"[..]), ("xid", b"xId"), ("esc", b"\x1b")] {
                let mut whole = vec![b'.'; len];
                whole.extend(text);
                assert_eq!(
                    places(|visit| scan.each(&whole, 0, visit)),
                    [len],
                    "{fragment}"
                );
                whole.extend(vec![b'.'; 77]);
                assert_eq!(
                    places(|visit| scan.each(&whole, 0, visit)),
                    [len],
                    "{fragment}"
                );
            }
        }
    }

    #[test]
    fn a_visitor_can_break_off() {
        let text = b"xid.xid".repeat(40);
        for from in [0, 1] {
            let mut seen = Vec::new();
            scan().each(&text, from, |at| {
                seen.push(at);
                if seen.len() == 2 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            assert_eq!(seen.len(), 2);
        }
    }
}
