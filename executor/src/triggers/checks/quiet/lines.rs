//! From the engine's log stream to the times of lines that matter: pure.
//!
//! Keeps true: of each stream at most [`LINE_BYTES_MAX`] of a line are kept; what a line has
//! beyond that is not looked at.

use policy::WallTime;

use crate::docker::{Frames, parse_rfc3339};
use crate::pattern::Pattern;

/// An engine hands out longer lines in pieces of this many bytes.
const LINE_BYTES_MAX: usize = 16 << 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lines {
    frames: Frames,
    /// Of each stream, its line that has not ended.
    open: [Vec<u8>; 3],
}

impl Lines {
    /// The time of the newest line in there that matches, after `after`; of any line where
    /// there is no pattern.
    pub(super) fn newest(
        &mut self,
        bytes: &[u8],
        pattern: Option<&Pattern>,
        after: WallTime,
    ) -> Option<WallTime> {
        let mut newest = None;
        let open = &mut self.open;
        self.frames.take(bytes, |stream, payload| {
            let open = &mut open[usize::from(stream)];
            for piece in payload.split_inclusive(|byte| *byte == b'\n') {
                let room = LINE_BYTES_MAX.saturating_sub(open.len());
                open.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.ends_with(b"\n") {
                    newest = matched(open, pattern, after).or(newest);
                    open.clear();
                }
            }
        });
        newest
    }
}

/// `2026-11-22T12:00:00.123456789Z text`
fn matched(line: &[u8], pattern: Option<&Pattern>, after: WallTime) -> Option<WallTime> {
    let blank = line.iter().position(|byte| *byte == b' ')?;
    let (time, text) = line.split_at(blank);
    let time = parse_rfc3339(std::str::from_utf8(time).ok()?).ok()??;
    let text = text[1..].trim_ascii_end();
    let is_new = after.is_before(time);
    (is_new && pattern.is_none_or(|pattern| pattern.is_in(text))).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, payload: &str) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0][..], &length, payload.as_bytes()].concat()
    }

    const BEFORE: WallTime = WallTime {
        secs: 0,
        nanos: Some(0),
    };

    fn secs(bytes: &[u8], at_once: usize, after: WallTime) -> Option<u64> {
        let pattern = Pattern::new("batch [0-9]+$").unwrap();
        let mut lines = Lines::default();
        bytes
            .chunks(at_once)
            .filter_map(|piece| lines.newest(piece, Some(&pattern), after))
            .last()
            .map(|time| time.secs)
    }

    #[test]
    fn the_newest_matching_line_counts_however_it_is_cut() {
        let bytes = [
            frame(1, "1970-01-01T00:00:01.5Z Processed batch 1\r\n"),
            frame(2, "1970-01-01T00:00:02Z Processed ba"),
            frame(1, "1970-01-01T00:00:03Z other\n"),
            frame(2, "tch 2\n"),
            frame(1, "1970-01-01T00:00:04Z Processed batch"),
        ]
        .concat();
        for at_once in [1, 3, 7, bytes.len()] {
            assert_eq!(secs(&bytes, at_once, BEFORE), Some(2), "{at_once}");
        }
        let after = WallTime {
            secs: 2,
            nanos: Some(0),
        };
        assert_eq!(secs(&bytes, 9, after), None);
        let terminal = b"1970-01-01T00:00:09Z batch 3\n";
        assert_eq!(secs(terminal, 4, BEFORE), Some(9));
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::default();
        let time = "1970-01-01T00:00:01Z ";
        lines.newest(&frame(1, time), None, BEFORE);
        for _ in 0..100 {
            assert_eq!(
                lines.newest(&frame(1, &"x".repeat(1_000)), None, BEFORE),
                None
            );
        }
        assert_eq!(lines.open[1].len(), LINE_BYTES_MAX);
        let end = lines.newest(&frame(1, "\n"), None, BEFORE);
        assert_eq!(
            end.map(|time| time.secs),
            Some(1),
            "what there is of it counts"
        );
        assert!(lines.open[1].is_empty());
        let next = frame(1, &format!("{time}y\n"));
        assert_eq!(
            lines.newest(&next, None, BEFORE).map(|time| time.secs),
            Some(1)
        );
    }
}
