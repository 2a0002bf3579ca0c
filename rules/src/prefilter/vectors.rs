//! The first look at 64 places at once, by AVX-512 (VBMI) or AVX2.
//!
//! The one module of this crate with unsafe code: the intrinsics that read memory take a bare
//! pointer, and calling code that is compiled for a processor's feature asserts that the feature
//! is there. The same without either: [`Masks::look_by_halves`].
#![expect(
    unsafe_code,
    reason = "vector loads, and calls for features that were asked for"
)]

use std::arch::x86_64::{
    __m256i, __m512i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm512_and_si512,
    _mm512_cmpeq_epi8_mask, _mm512_loadu_si512, _mm512_or_si512, _mm512_permutexvar_epi8,
    _mm512_set1_epi8, _mm512_srli_epi16, _mm512_ternarylogic_epi32, _mm512_test_epi8_mask,
};

use super::masks::{Folded, Masks, Nibbles, TABLES};
use super::scan::{BLOCK, Stretch, blocks};
use crate::ansi::ESC;
use crate::window::WINDOW_BYTES;

/// Places that one vector of AVX2 covers.
const HALF: usize = BLOCK / 2;
/// The bytes that they need.
const HALF_BYTES: usize = HALF + WINDOW_BYTES - 1;

/// Vectors that the processor is known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vectors(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Avx512,
    Avx2,
}

impl Vectors {
    /// All that this processor has, the best first.
    pub(super) fn of_this_processor() -> impl Iterator<Item = Self> {
        let avx2 = is_x86_feature_detected!("avx2");
        let avx512 = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vbmi");
        let kinds = [(avx512, Kind::Avx512), (avx2, Kind::Avx2)];
        let there = kinds.into_iter().filter(|(is_there, _)| *is_there);
        there.map(|(_, kind)| Self(kind))
    }

    /// Whether they look folded bytes up, not halves.
    #[cfg(test)]
    pub(super) fn look_up_folded(self) -> bool {
        self.0 == Kind::Avx512
    }

    /// See [`Masks::look_by_halves`].
    pub(super) fn look(self, masks: &Masks, text: &[u8], stretch: &mut Stretch) {
        match self.0 {
            // SAFETY: made by `of_this_processor` alone, so the processor has it.
            Kind::Avx512 => unsafe { look_by_avx512(masks, text, stretch) },
            // SAFETY: as above.
            Kind::Avx2 => unsafe { look_by_avx2(masks, text, stretch) },
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_by_avx512(masks: &Masks, text: &[u8], stretch: &mut Stretch) {
    let escape = _mm512_set1_epi8(ESC.cast_signed());
    let tables = masks.folded.each_ref().map(|folded| load_each(folded));
    for (block, bytes) in blocks(text) {
        let looked: [[__m512i; TABLES]; WINDOW_BYTES] = std::array::from_fn(|place| {
            let folded = fold_block(load_block(part(bytes, place)));
            tables[place].map(|table| _mm512_permutexvar_epi8(folded, table))
        });
        let all = |table: usize| {
            let rest = looked[1..].iter();
            rest.fold(looked[0][table], |all, one| {
                _mm512_and_si512(all, one[table])
            })
        };
        let any = _mm512_or_si512(all(0), all(1));
        let escapes = _mm512_cmpeq_epi8_mask(load_block(part(bytes, 0)), escape);
        stretch.set(block, _mm512_test_epi8_mask(any, any), escapes);
    }
}

/// See [`super::masks::folded`]. The look-up does not see the two uppermost bits.
#[target_feature(enable = "avx512f,avx512bw")]
fn fold_block(bytes: __m512i) -> __m512i {
    /// Where a bit of the third argument is set the first one's, else the second one's.
    const SELECT: i32 = 0b1110_0100;
    let sixth = _mm512_set1_epi8(0x20);
    _mm512_ternarylogic_epi32::<SELECT>(_mm512_srli_epi16::<1>(bytes), bytes, sixth)
}

#[target_feature(enable = "avx512f")]
fn load_each(tables: &Folded) -> [__m512i; TABLES] {
    tables.each_ref().map(|table| load_block(table))
}

#[target_feature(enable = "avx512f")]
fn load_block(bytes: &[u8; BLOCK]) -> __m512i {
    // SAFETY: the reference proves 64 bytes readable; the load asks for no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn look_by_avx2(masks: &Masks, text: &[u8], stretch: &mut Stretch) {
    let tables = masks.nibbles.map(|nibbles| Tables::new(nibbles));
    for (block, bytes) in blocks(text) {
        let first = look_at_half(&tables, part(bytes, 0));
        let second = look_at_half(&tables, part(bytes, HALF));
        let both =
            |bits: fn([u32; 2]) -> u32| u64::from(bits(first)) | u64::from(bits(second)) << HALF;
        stretch.set(
            block,
            both(|[words, _]| words),
            both(|[_, escapes]| escapes),
        );
    }
}

/// One bit for each of the 32 places where a fragment may begin, and where an `ESC` stands.
#[target_feature(enable = "avx2")]
fn look_at_half(tables: &[Tables; WINDOW_BYTES], bytes: &[u8; HALF_BYTES]) -> [u32; 2] {
    let here = load_half(part(bytes, 0));
    let escapes = _mm256_cmpeq_epi8(here, _mm256_set1_epi8(ESC.cast_signed()));
    let [first, second, third, fourth] = tables;
    let first = first.look_up(here);
    let second = second.look_up(load_half(part(bytes, 1)));
    let third = third.look_up(load_half(part(bytes, 2)));
    let fourth = fourth.look_up(load_half(part(bytes, 3)));
    let all = |table: usize| {
        let head = _mm256_and_si256(first[table], second[table]);
        _mm256_and_si256(head, _mm256_and_si256(third[table], fourth[table]))
    };
    let any = _mm256_or_si256(all(0), all(1));
    let none = _mm256_cmpeq_epi8(any, _mm256_setzero_si256());
    [
        !_mm256_movemask_epi8(none).cast_unsigned(),
        _mm256_movemask_epi8(escapes).cast_unsigned(),
    ]
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

#[target_feature(enable = "avx2")]
fn load_half(bytes: &[u8; HALF]) -> __m256i {
    // SAFETY: the reference proves 32 bytes readable; the load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn load_twice(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: the reference proves 16 bytes readable; the load asks for no alignment.
    let once = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm256_broadcastsi128_si256(once)
}

/// `N` bytes from a place on.
#[inline(always)]
fn part<const N: usize>(bytes: &[u8], start: usize) -> &[u8; N] {
    bytes[start..]
        .first_chunk()
        .expect("the text holds all blocks that are asked for, and a window more")
}
