//! Which few bytes of a need can be looked for in raw bytes.
//!
//! A *window* is four bytes in a row of a need (three, where that is the whole need). White space
//! may be its first or its last byte, not one inside: a run of white space in raw bytes is as
//! long as it likes, but one of it stands directly beside the word. So wherever a need stands in
//! raw bytes without escape sequences, each of its windows does, byte by byte.

/// Bytes of a window.
pub(crate) const WINDOW_BYTES: usize = 4;

/// The windows of a need, with their offsets.
pub(crate) fn windows(need: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let len = need.len().min(WINDOW_BYTES);
    need.windows(len.max(1))
        .enumerate()
        .filter(move |(_, window)| {
            !window
                .get(1..len - 1)
                .is_some_and(|within| within.contains(&b' '))
        })
}

#[cfg(test)]
mod tests {
    use super::windows;

    #[test]
    fn white_space_stands_at_the_ends_only() {
        for (need, expected) in [
            ("ab cde", &[" cde"][..]),
            ("a bcd e", &[" bcd", "bcd "]),
            ("ab cd ef", &[" cd "]),
            ("xid", &["xid"]),
            ("abcd", &["abcd"]),
        ] {
            let found: Vec<&[u8]> = windows(need.as_bytes()).map(|(_, window)| window).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|text| text.as_bytes()).collect();
            assert_eq!(found, expected, "{need}");
        }
    }
}
