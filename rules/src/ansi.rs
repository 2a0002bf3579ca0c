//! ANSI escape sequences, as terminals read them.
//!
//! * CSI: `ESC [`, parameter bytes `0x30–0x3F`, intermediate bytes `0x20–0x2F`, one final byte
//!   `0x40–0x7E`. One that is broken off (by any other byte, or by the end) reaches up to there.
//! * OSC: `ESC ]`, bytes from `0x20`, then BEL or `ESC \`. One that never ends hides nothing but
//!   its two first bytes: else a stray `ESC ]` would swallow the line's message.
//! * Others: `ESC`, intermediate bytes `0x21–0x2F`, one byte `0x30–0x7E`.
//! * An `ESC` followed by anything else stands alone.
//!
//! The single-byte forms of ISO 8859 (`0x9B` for `ESC [`) are not escapes here: in UTF-8 they
//! are parts of letters.

/// The byte that begins every escape sequence.
pub(crate) const ESC: u8 = 0x1B;
const BEL: u8 = 0x07;

/// The length, 1 or more, of the escape sequence that begins at `text[0]`, an [`ESC`].
pub(crate) fn sequence_len(text: &[u8]) -> usize {
    debug_assert_eq!(text.first(), Some(&ESC));
    match text.get(1) {
        Some(b'[') => csi_len(text),
        Some(b']') => osc_len(text),
        _ => other_len(text),
    }
}

fn csi_len(text: &[u8]) -> usize {
    if let Some(len) = short_csi_len(text) {
        return len;
    }
    let mut at = 2;
    at += count_while(&text[at..], |byte| (0x30..=0x3F).contains(&byte));
    at += count_while(&text[at..], |byte| (0x20..=0x2F).contains(&byte));
    at + usize::from(matches!(text.get(at), Some(0x40..=0x7E)))
}

/// Colours are CSI sequences with few parameter bytes and nothing else before the final byte:
/// these eight bytes are looked at together, without a loop. None for all others.
fn short_csi_len(text: &[u8]) -> Option<usize> {
    let bytes = u64::from_le_bytes(*text.get(2..)?.first_chunk()?);
    // What is left of a byte is zero for 0x30–0x3F alone.
    let others = (bytes ^ 0x3030_3030_3030_3030) & 0xF0F0_F0F0_F0F0_F0F0;
    let parameters = others.trailing_zeros() as usize / 8;
    let last = *text.get(2 + parameters)?;
    (parameters < 8 && (0x40..=0x7E).contains(&last)).then_some(2 + parameters + 1)
}

fn osc_len(text: &[u8]) -> usize {
    let end = 2 + count_while(&text[2..], |byte| byte >= 0x20);
    match (text.get(end), text.get(end + 1)) {
        (Some(&BEL), _) => end + 1,
        (Some(&ESC), Some(b'\\')) => end + 2,
        _ => 2,
    }
}

fn other_len(text: &[u8]) -> usize {
    let at = 1 + count_while(&text[1..], |byte| (0x21..=0x2F).contains(&byte));
    match text.get(at) {
        Some(0x30..=0x7E) => at + 1,
        None => at,
        Some(_) => 1,
    }
}

fn count_while(text: &[u8], holds: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|&&byte| holds(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::sequence_len;

    #[test]
    fn each_kind_of_sequence_has_its_length() {
        let cases: [(&[u8], usize); 17] = [
            (b"\x1b[31mX", 5),
            (b"\x1b[mX", 3),
            (b"\x1b[?25lX", 6),
            (b"\x1b[1 qX", 5),
            (b"\x1b[31\x01X", 4),
            (b"\x1b[31", 4),
            (b"\x1b[", 2),
            (b"\x1b", 1),
            (b"\x1b]0;title\x07X", 10),
            (b"\x1b]8;;http://h/\x1b\\X", 16),
            (b"\x1b]0;never ends", 2),
            (b"\x1b]0;cut\nX\x07", 2),
            (b"\x1b(BX", 3),
            (b"\x1b(", 2),
            (b"\x1bMX", 2),
            (b"\x1b X", 1),
            (b"\x1b\x1b[mX", 1),
        ];
        for (text, len) in cases {
            assert_eq!(
                sequence_len(text),
                len,
                "{:?}",
                String::from_utf8_lossy(text)
            );
        }
    }
}
