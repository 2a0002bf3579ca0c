//! Frames of the engine's raw streams (logs, exec): stream, length, payload. Pure.
//!
//! Keeps true: no more is kept than a header and what the caller keeps; a length may be
//! anything, its payload is handed on in the pieces that come.

/// Stream, three zeros, length.
const HEADER_BYTES: usize = 8;

/// Takes frames apart as their bytes come, cut anywhere.
#[derive(Debug, Default)]
pub struct Frames {
    header: [u8; HEADER_BYTES],
    header_len: usize,
    payload_left: usize,
    is_bare: bool,
    has_begun: bool,
}

impl Frames {
    /// A terminal's output has no frames; its first byte tells, where that cannot be
    /// 0, 1 or 2: a time, say.
    pub fn or_bare() -> Self {
        Self::default()
    }

    /// Hands each piece of payload on, with its stream: 1 or 2, 0 for bare output.
    pub fn take(&mut self, mut bytes: &[u8], mut piece: impl FnMut(u8, &[u8])) {
        if let (false, Some(first)) = (self.has_begun, bytes.first()) {
            self.has_begun = true;
            self.is_bare = *first > 2;
        }
        if self.is_bare {
            return piece(0, bytes);
        }
        while !bytes.is_empty() {
            if self.payload_left == 0 {
                let wanted = HEADER_BYTES - self.header_len;
                let (header, rest) = bytes.split_at(wanted.min(bytes.len()));
                self.header[self.header_len..self.header_len + header.len()]
                    .copy_from_slice(header);
                self.header_len += header.len();
                bytes = rest;
                if self.header_len == HEADER_BYTES {
                    self.header_len = 0;
                    let [_, _, _, _, a, b, c, d] = self.header;
                    self.payload_left =
                        usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                }
                continue;
            }
            let (payload, rest) = bytes.split_at(self.payload_left.min(bytes.len()));
            self.payload_left -= payload.len();
            piece(self.header[0].min(2), payload);
            bytes = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0][..], &length, payload].concat()
    }

    /// The payloads of each stream, `bytes` coming `at_once` at a time.
    fn taken(bytes: &[u8], at_once: usize) -> [Vec<u8>; 3] {
        let mut frames = Frames::or_bare();
        let mut streams = [const { Vec::new() }; 3];
        for piece in bytes.chunks(at_once) {
            frames.take(piece, |stream, payload| {
                streams[usize::from(stream)].extend_from_slice(payload);
            });
        }
        streams
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let bytes = [
            frame(1, b"out\n"),
            frame(2, b""),
            frame(2, b"err"),
            frame(1, b"more"),
        ]
        .concat();
        for at_once in 1..=bytes.len() {
            let streams = taken(&bytes, at_once);
            assert_eq!(
                streams,
                [b"".to_vec(), b"out\nmore".to_vec(), b"err".to_vec()]
            );
        }
    }

    #[test]
    fn bare_output_is_handed_on_and_a_frame_that_never_ends_too() {
        assert_eq!(taken(b"2026 text\n", 3)[0], b"2026 text\n");
        let endless = [&[1, 0, 0, 0, 255, 255, 255, 255][..], b"abc"].concat();
        assert_eq!(taken(&endless, 2)[1], b"abc");
    }
}
