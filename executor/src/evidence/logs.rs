//! From the engine's reply to a request for logs to lines. Pure.
//!
//! A reply is a row of frames (stream, length, payload), or, from a container
//! with a terminal, bare text. Both are asked for with times, so the first byte
//! tells them apart: a frame begins with 0, 1 or 2, a time with a digit.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::mask::{InPem, Mask};
use super::text::{cut, plain};
use crate::docker::parse_rfc3339;

/// Longest line that is kept, bytes; `…` stands where there was more.
pub(super) const LINE_BYTES_MAX: usize = 2 * 1024;
/// Longest line that is looked at: twice what an engine hands out as one piece.
const RAW_BYTES_MAX: usize = 32 * 1024;
/// Stream, three zeros, length.
const HEADER_BYTES: usize = 8;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// As the engine gives it.
    pub(super) time: String,
    /// `stdout`, `stderr` or `terminal`.
    pub(super) stream: Cow<'static, str>,
    /// Masked and cut.
    pub(super) text: String,
}

/// How many lines, about; those that come in pieces count several times.
pub(super) fn count(reply: &[u8]) -> usize {
    pieces(reply).count()
}

/// The lines up to `until_ms` (since the epoch), oldest first.
pub(super) fn lines(reply: &[u8], until_ms: u64, mask: &Mask) -> Vec<Line> {
    let mut in_pem = [InPem::default(); 3];
    let mut lines = Vec::new();
    for raw in joined(reply) {
        if !is_until(raw.time, until_ms) {
            continue;
        }
        let text = String::from_utf8_lossy(&raw.text);
        let text = plain(text.trim_end_matches(['\n', '\r']));
        let text = match raw.is_cut {
            // A secret that was cut in two might not look like one.
            true => &text[..text.rfind(' ').unwrap_or(0)],
            false => &text,
        };
        let mut masked = mask.line(text, &mut in_pem[usize::from(raw.stream)]);
        if raw.is_cut {
            masked.push('…');
        }
        lines.push(Line {
            time: raw.time.to_owned(),
            stream: ["terminal", "stdout", "stderr"][usize::from(raw.stream)].into(),
            text: cut(masked, LINE_BYTES_MAX),
        });
    }
    lines
}

/// An engine that does not know `until` gives newer lines, too. What has no
/// time goes with them.
fn is_until(time: &str, until_ms: u64) -> bool {
    let Ok(Some(time)) = parse_rfc3339(time) else {
        return false;
    };
    let ms = u64::from(time.nanos.unwrap_or(0) / 1_000_000);
    time.secs.saturating_mul(1_000).saturating_add(ms) <= until_ms
}

struct Raw<'a> {
    time: &'a str,
    stream: u8,
    text: Vec<u8>,
    is_cut: bool,
}

/// Pieces of long lines put together again.
fn joined(reply: &[u8]) -> Vec<Raw<'_>> {
    let mut lines: Vec<Raw<'_>> = Vec::new();
    // For each stream, its line that has not ended.
    let mut open: [Option<usize>; 3] = [None; 3];
    for (stream, piece) in pieces(reply) {
        let blank = piece.iter().position(|byte| *byte == b' ');
        let (time, text) = piece.split_at(blank.unwrap_or(piece.len()));
        let text = text.strip_prefix(b" ").unwrap_or(text);
        let at = open[usize::from(stream)].unwrap_or(lines.len());
        if at == lines.len() {
            lines.push(Raw {
                time: std::str::from_utf8(time).unwrap_or_default(),
                stream,
                text: Vec::new(),
                is_cut: false,
            });
        }
        let line = &mut lines[at];
        let room = RAW_BYTES_MAX.saturating_sub(line.text.len());
        line.is_cut |= text.len() > room;
        line.text.extend_from_slice(&text[..text.len().min(room)]);
        open[usize::from(stream)] = (!piece.ends_with(b"\n")).then_some(at);
    }
    lines
}

/// Streams and payloads; a last frame that is not whole is left out.
fn pieces(reply: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let is_framed = reply.first().is_some_and(|first| *first <= 2);
    let mut rest = reply;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if !is_framed {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, behind) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            rest = behind;
            return Some((0, line));
        }
        let (header, behind) = rest.split_at_checked(HEADER_BYTES)?;
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let (payload, behind) = behind.split_at_checked(usize::try_from(length).ok()?)?;
        rest = behind;
        Some((header[0].min(2), payload))
    })
}

#[cfg(test)]
mod tests;
