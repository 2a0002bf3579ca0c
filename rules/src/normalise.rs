//! The form in which texts are compared, written once per text into a reusable buffer.
//!
//! Rules: escape sequences vanish, a run of ASCII white space becomes one space, none stands at
//! either end, ASCII letters become lower case, all other bytes stay. Where white space held a
//! newline, the place is remembered: what excuses a match must stand on the match's own line.

use std::ops::Range;

use crate::ansi::{ESC, sequence_len};
use crate::limits::SCRATCH_KEPT_BYTES_MAX;

/// Reusable buffers of one matching thread. Any [`crate::RuleSet`] may use it.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) text: Normalised,
    /// One bit a rule: the text holds a word that this rule needs.
    pub(crate) called: Vec<u64>,
}

/// A text in the form in which it is compared.
#[derive(Debug, Default)]
pub(crate) struct Normalised {
    bytes: Vec<u8>,
    /// Offsets of the spaces that stand for white space with a newline in it, ascending.
    breaks: Vec<usize>,
}

impl Normalised {
    /// Replaces the content by `raw` in normal form.
    pub(crate) fn set(&mut self, raw: &[u8]) {
        self.bytes.clear();
        self.breaks.clear();
        self.bytes.shrink_to(SCRATCH_KEPT_BYTES_MAX);
        self.breaks
            .shrink_to(SCRATCH_KEPT_BYTES_MAX / size_of::<usize>());
        let (mut space, mut newline) = (false, false);
        let mut at = 0;
        while let Some(&byte) = raw.get(at) {
            // Where nothing has to be left out, eight bytes at a time.
            if let Some(plain) = raw[at..].first_chunk().and_then(plain_in_lower_case)
                && (byte != b' ' || !(space || self.bytes.is_empty()))
            {
                self.end_space(&mut space, &mut newline);
                self.bytes.extend(plain);
                at += plain.len();
                continue;
            }
            if byte == ESC {
                at += sequence_len(&raw[at..]);
                continue;
            }
            at += 1;
            if is_space(byte) {
                space = true;
                newline |= byte == b'\n';
                continue;
            }
            self.end_space(&mut space, &mut newline);
            self.bytes.push(byte.to_ascii_lowercase());
        }
    }

    /// Writes the space that stands for a run of white space, if there was one within the text.
    fn end_space(&mut self, space: &mut bool, newline: &mut bool) {
        if *space && !self.bytes.is_empty() {
            if *newline {
                self.breaks.push(self.bytes.len());
            }
            self.bytes.push(b' ');
        }
        (*space, *newline) = (false, false);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The line, or the neighbouring lines, that a span of [`Self::bytes`] lies on.
    pub(crate) fn lines_of(&self, span: Range<usize>) -> Range<usize> {
        let before = self.breaks.partition_point(|&at| at < span.start);
        let after = self.breaks.partition_point(|&at| at < span.end);
        let start = before
            .checked_sub(1)
            .map_or(0, |last| self.breaks[last] + 1);
        let end = self.breaks.get(after).copied().unwrap_or(self.bytes.len());
        start..end
    }
}

/// ASCII white space: space, tab, newline, vertical tab, form feed, carriage return.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Eight bytes in lower case, if they hold no white space but single spaces, none at the end, and
/// no control character. The bits of all bytes are worked on at once.
fn plain_in_lower_case(bytes: &[u8; 8]) -> Option<[u8; 8]> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = 0x80 * EACH;
    let bytes = u64::from_le_bytes(*bytes);
    let low = bytes & !TOP;
    // The top bit of each byte that is at least so much, of those below 0x80.
    let at_least = |least: u8| low + u64::from(0x80 - least) * EACH;
    let is_ascii = !bytes & TOP;
    let controls = is_ascii & !at_least(b' ');
    let spaces = is_ascii & at_least(b' ') & !at_least(b' ' + 1);
    let is_plain = controls == 0 && spaces & (spaces << 8) == 0 && spaces >> 63 == 0;
    let upper = is_ascii & at_least(b'A') & !at_least(b'Z' + 1);
    is_plain.then(|| (bytes | upper >> 2).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(raw: &[u8]) -> String {
        let mut text = Normalised::default();
        text.set(raw);
        String::from_utf8_lossy(text.bytes()).into_owned()
    }

    #[test]
    fn escapes_white_space_and_case_do_not_count() {
        assert_eq!(normal(b"CUDA out of memory"), "cuda out of memory");
        assert_eq!(
            normal(b"\t CUDA \r\n out\x0b\x0cof  memory \n"),
            "cuda out of memory"
        );
        assert_eq!(normal(b"\x1b[31mCU\x1b[0mDA\x1b[m \x1b[1m out"), "cuda out");
        assert_eq!(normal(b"cuda\x1b[3"), "cuda");
        assert_eq!(normal(b""), "");
        assert_eq!(normal(b" \n\x1b[0m "), "");
    }

    #[test]
    fn other_bytes_stay_as_they_are() {
        assert_eq!(normal("\u{212A}ÄÖ\u{a0}x".as_bytes()), "\u{212A}ÄÖ\u{a0}x");
        let mut text = Normalised::default();
        text.set(b"\x00\xff\x9b31mA");
        assert_eq!(text.bytes(), b"\x00\xff\x9b31ma");
    }

    #[test]
    fn a_span_knows_its_lines() {
        let mut text = Normalised::default();
        text.set(b"\none\n two three\nfour\n");
        assert_eq!(text.bytes(), b"one two three four");
        let lines_of = |span| &text.bytes()[text.lines_of(span)];
        assert_eq!(lines_of(0..3), b"one");
        assert_eq!(lines_of(4..7), b"two three");
        assert_eq!(lines_of(8..13), b"two three");
        assert_eq!(lines_of(14..18), b"four");
        assert_eq!(lines_of(8..15), b"two three four");
        assert_eq!(lines_of(0..18), text.bytes());
    }

    #[test]
    fn room_for_a_giant_text_is_given_back() {
        let mut text = Normalised::default();
        text.set(&vec![b'a'; 4 * SCRATCH_KEPT_BYTES_MAX]);
        text.set(b"a");
        assert!(text.bytes.capacity() <= SCRATCH_KEPT_BYTES_MAX);
    }
}
