//! The first look at 32 places at once, by AVX2.
//!
//! The one module of this crate with unsafe code: the intrinsics that read memory take a bare
//! pointer, and calling code that is compiled for a processor's feature asserts that the feature
//! is there. Its twin without either is in `scan`.
#![expect(
    unsafe_code,
    reason = "vector loads, and a call for a feature that was asked for"
)]

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_testz_si256,
};
use std::ops::ControlFlow;

use super::masks::{Masks, Nibbles, TABLES};
use crate::window::WINDOW_BYTES;

/// Places that one vector covers.
const PLACES: usize = 32;
/// Bytes that they need: the last place's fragment reaches further.
const WINDOW: usize = PLACES + WINDOW_BYTES - 1;

/// See `Scan::each`. The processor has AVX2.
pub(super) fn each(
    masks: &Masks,
    text: &[u8],
    from: usize,
    visit: impl FnMut(usize) -> ControlFlow<()>,
) {
    assert!(
        std::arch::is_x86_feature_detected!("avx2"),
        "asked for on a processor without AVX2"
    );
    // SAFETY: the line above.
    unsafe { each_place(masks, text, from, visit) }
}

#[target_feature(enable = "avx2")]
fn each_place(
    masks: &Masks,
    text: &[u8],
    from: usize,
    mut visit: impl FnMut(usize) -> ControlFlow<()>,
) {
    let tables = masks.map(|nibbles| Tables::new(nibbles));
    let mut at = from;
    while let Some(windows) = text.get(at..).and_then(|rest| rest.first_chunk()) {
        let windows: &[u8; PLACES + WINDOW] = windows;
        let first = look(&tables, part(windows, 0));
        let second = look(&tables, part(windows, PLACES));
        let either = _mm256_or_si256(first, second);
        if _mm256_testz_si256(either, either) == 0 {
            let places = u64::from(set(first)) | u64::from(set(second)) << PLACES;
            if visit_each(places, at, &mut visit).is_break() {
                return;
            }
        }
        at += 2 * PLACES;
    }
    // What is left, with zeros behind it.
    while at < text.len() {
        let mut padded = [0; WINDOW];
        let rest = &text[at..];
        let len = rest.len().min(WINDOW);
        padded[..len].copy_from_slice(&rest[..len]);
        let mut places = set(look(&tables, &padded));
        if rest.len() < PLACES {
            places &= (1 << rest.len()) - 1;
        }
        if visit_each(u64::from(places), at, &mut visit).is_break() {
            return;
        }
        at += PLACES;
    }
}

/// Visits the place of each bit, in ascending order.
fn visit_each(
    mut places: u64,
    start: usize,
    visit: &mut impl FnMut(usize) -> ControlFlow<()>,
) -> ControlFlow<()> {
    while places != 0 {
        visit(start + places.trailing_zeros() as usize)?;
        places &= places - 1;
    }
    ControlFlow::Continue(())
}

/// Non-zero for each of the 32 places where a fragment may begin.
#[target_feature(enable = "avx2")]
fn look(tables: &[Tables; WINDOW_BYTES], window: &[u8; WINDOW]) -> __m256i {
    let [first, second, third, fourth] = tables;
    let first = first.look_up(load(part(window, 0)));
    let second = second.look_up(load(part(window, 1)));
    let third = third.look_up(load(part(window, 2)));
    let fourth = fourth.look_up(load(part(window, 3)));
    let all = |table: usize| {
        let head = _mm256_and_si256(first[table], second[table]);
        _mm256_and_si256(head, _mm256_and_si256(third[table], fourth[table]))
    };
    _mm256_or_si256(all(0), all(1))
}

/// One bit for each byte that is not zero.
#[target_feature(enable = "avx2")]
fn set(bytes: __m256i) -> u32 {
    let zeros = _mm256_cmpeq_epi8(bytes, _mm256_setzero_si256());
    !_mm256_movemask_epi8(zeros).cast_unsigned()
}

/// [`Nibbles`] in vectors.
#[derive(Clone, Copy)]
struct Tables {
    low: [__m256i; TABLES],
    high: [__m256i; TABLES],
}

impl Tables {
    #[target_feature(enable = "avx2")]
    fn new(nibbles: Nibbles) -> Self {
        Self {
            low: nibbles.low.map(|table| load_twice(&table)),
            high: nibbles.high.map(|table| load_twice(&table)),
        }
    }

    /// The buckets that accept each byte.
    #[target_feature(enable = "avx2")]
    fn look_up(&self, bytes: __m256i) -> [__m256i; TABLES] {
        let half = _mm256_set1_epi8(15);
        let low = _mm256_and_si256(bytes, half);
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
        std::array::from_fn(|table| {
            _mm256_and_si256(
                _mm256_shuffle_epi8(self.low[table], low),
                _mm256_shuffle_epi8(self.high[table], high),
            )
        })
    }
}

/// `N` of some bytes, from a place on that is known when this is compiled.
#[inline(always)]
fn part<const N: usize>(bytes: &[u8], start: usize) -> &[u8; N] {
    bytes[start..]
        .first_chunk()
        .expect("the caller's array is long enough")
}

#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; PLACES]) -> __m256i {
    // SAFETY: the reference proves 32 bytes readable; the load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn load_twice(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: the reference proves 16 bytes readable; the load asks for no alignment.
    let once = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm256_broadcastsi128_si256(once)
}
