//! How often a bucket's shape is met in healthy logs: what it costs to put fragments together.

use std::cmp::Reverse;

use super::masks::{Halves, Shape};
use crate::rarity::{Rarity, per_mille};
use crate::window::WINDOW_BYTES;

/// Everyday windows that are told apart, at most: the most frequent ones.
const WINDOWS_MAX: usize = 256;

/// A set of everyday windows, one bit each.
type Windows = [u64; WINDOWS_MAX / 64];

/// How often bytes are met, by their halves, and everyday words.
pub(super) struct Frequencies {
    bytes: [[f32; 16]; 16],
    /// The share of places that begin each everyday window.
    everyday: Vec<f32>,
    /// Which of them have a half of a byte at a place.
    low: [[Windows; 16]; WINDOW_BYTES],
    high: [[Windows; 16]; WINDOW_BYTES],
}

impl Frequencies {
    pub(super) fn new(rarity: &Rarity) -> Self {
        let mut bytes = [[0.0; 16]; 16];
        for byte in 0..=255_u8 {
            let share = per_mille(byte) as f32 / 1_000.0;
            // Most letters are lower case.
            let share = match byte {
                b'A'..=b'Z' => share / 8.0,
                _ => share,
            };
            bytes[usize::from(byte >> 4)][usize::from(byte & 15)] = share;
        }
        let mut frequencies = Self {
            bytes,
            everyday: Vec::new(),
            low: Default::default(),
            high: Default::default(),
        };
        let mut everyday: Vec<([u8; WINDOW_BYTES], u64)> = rarity.everyday().collect();
        everyday.sort_by_key(|&(window, per_gib)| (Reverse(per_gib), window));
        for (index, (window, per_gib)) in everyday.into_iter().take(WINDOWS_MAX).enumerate() {
            let share = per_gib as f32 / (1_u64 << 30) as f32;
            frequencies.everyday.push(share);
            for (place, byte) in window.iter().enumerate() {
                let (low, high) = (usize::from(byte & 15), usize::from(byte >> 4));
                frequencies.low[place][low][index / 64] |= 1 << (index % 64);
                frequencies.high[place][high][index / 64] |= 1 << (index % 64);
            }
        }
        frequencies
    }

    /// The share of places in a text that a shape accepts: if bytes came independently, and by
    /// everyday words.
    pub(super) fn share(&self, shape: &Shape) -> f32 {
        let by_bytes = shape.0.iter().map(|halves| self.of_place(*halves));
        by_bytes.product::<f32>() + self.of_everyday(shape)
    }

    fn of_place(&self, halves: Halves) -> f32 {
        let rows = bits(halves.high).map(|row| &self.bytes[row]);
        rows.map(|row| bits(halves.low).map(|column| row[column]).sum::<f32>())
            .sum()
    }

    fn of_everyday(&self, shape: &Shape) -> f32 {
        let mut accepted: Windows = [u64::MAX; WINDOWS_MAX / 64];
        for (place, halves) in shape.0.iter().enumerate() {
            let low = any_of(&self.low[place], halves.low);
            let high = any_of(&self.high[place], halves.high);
            for (at, accepted) in accepted.iter_mut().enumerate() {
                *accepted &= low[at] & high[at];
            }
        }
        let mut share = 0.0;
        for (at, mut word) in accepted.into_iter().enumerate() {
            while word != 0 {
                let index = at * 64 + word.trailing_zeros() as usize;
                share += self.everyday.get(index).copied().unwrap_or(0.0);
                word &= word - 1;
            }
        }
        share
    }
}

/// The windows that have any of some halves.
fn any_of(windows: &[Windows; 16], halves: u16) -> Windows {
    bits(halves).fold(Windows::default(), |mut all, half| {
        for (all, one) in all.iter_mut().zip(windows[half]) {
            *all |= one;
        }
        all
    })
}

/// The positions of the bits that are set.
fn bits(mut set: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = set.trailing_zeros() as usize;
        set &= set.wrapping_sub(1);
        (lowest < 16).then_some(lowest)
    })
}
