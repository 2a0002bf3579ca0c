//! Which records hold a line only in part: the container runtime cut it, and
//! the next record of the same container and stream goes on where it ends.
//!
//! Docker cuts every line at [`PIECE_BYTES`]. Its fluentd and journald drivers
//! say so in the record, its json-file driver only by leaving out the newline;
//! the CRI format has a flag.
//!
//! Kept true: a chunk without such a record is known for one by a look at one
//! byte in some hundreds, without reading a record ([`may_hold_piece`]).
//!
//! Not here: putting pieces together (`lines`).

use memchr::memchr;

use crate::chunk::{Body, Value};
use crate::config::LogKeys;
use crate::intent::IdHasher;
use crate::target::Target;

/// Where Docker cuts a line, bytes.
pub const PIECE_BYTES: usize = 16 * 1_024;

/// What the rules' scan looks for besides the rules' own words: the flags of
/// pieces that may be shorter, as MessagePack writes key and value (a string
/// of less than 32 bytes begins with 0xa0 plus its length).
pub const FLAGS: [&[u8]; 2] = [b"partial_message\xa4true", b"logtag\xa1p"];

/// The fields that hold the text where `Log_Key` is `*`.
const TEXT_KEYS: [&[u8]; 5] = [b"log", b"message", b"MESSAGE", b"msg", b"body"];

/// Bytes of each sample of [`may_hold_piece`].
const SAMPLE_BYTES: usize = 4 * 1_024;

/// Whether a chunk may hold a text of [`PIECE_BYTES`]. The time of each event
/// is written as the bytes 0xd7 0x00, which stand in no UTF-8 text: a sample
/// that has them lies in no such text, and every such text has a sample within.
pub fn may_hold_piece(chunk: &[u8]) -> bool {
    let starts = (0..).step_by(PIECE_BYTES - SAMPLE_BYTES);
    let mut samples = starts.map_while(|start| chunk.get(start..start + SAMPLE_BYTES));
    samples.any(|sample| !holds_time(sample))
}

fn holds_time(sample: &[u8]) -> bool {
    let mut rest = sample;
    while let Some(at) = memchr(0xd7, rest) {
        rest = &rest[at + 1..];
        if rest.first() == Some(&0x00) {
            return true;
        }
    }
    false
}

/// A record's text that may be a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The field that holds it.
    pub key: &'a [u8],
    /// The text.
    pub text: &'a [u8],
    /// Whether another piece follows.
    pub goes_on: bool,
}

impl<'a> Piece<'a> {
    /// The longest of the texts that `Log_Key` selects.
    pub fn of(keys: &LogKeys, body: Body<'a>) -> Option<Self> {
        let (mut longest, mut flag): (Option<(&[u8], &[u8])>, _) = (None, None);
        for (key, value) in body.fields() {
            let Value::Text(text) = value else { continue };
            if is_text_key(keys, key) && longest.is_none_or(|(_, known)| known.len() < text.len()) {
                longest = Some((key, text));
            }
            flag = read_flag(key, text, flag);
        }
        longest.map(|(key, text)| Self {
            key,
            text,
            goes_on: flag.unwrap_or_else(|| is_cut_at_its_size(text)),
        })
    }
}

fn is_text_key(keys: &LogKeys, key: &[u8]) -> bool {
    match keys {
        LogKeys::Every => TEXT_KEYS.contains(&key),
        LogKeys::Named(names) => names.iter().any(|name| name == key),
    }
}

/// Whether a flag says that the line goes on; what one says of the last piece
/// outweighs what another says of all of them.
fn read_flag(key: &[u8], text: &[u8], known: Option<bool>) -> Option<bool> {
    match (key, text) {
        (b"partial_last" | b"CONTAINER_PARTIAL_LAST", b"true") | (b"logtag", b"F") => Some(false),
        (b"partial_message" | b"CONTAINER_PARTIAL_MESSAGE", b"true") | (b"logtag", b"P") => {
            known.or(Some(true))
        }
        _ => known,
    }
}

/// Docker's json-file driver replaces each byte that is no UTF-8 by the three
/// bytes of U+FFFD, the halves of a character that it cuts among them.
fn is_cut_at_its_size(text: &[u8]) -> bool {
    let Some(more) = text.len().checked_sub(PIECE_BYTES) else {
        return false;
    };
    if more > 2 * PIECE_BYTES || text.ends_with(b"\n") {
        return false;
    }
    more == 0 || more <= 2 * replacements(text)
}

fn replacements(text: &[u8]) -> usize {
    let replaced = |three: &&[u8]| *three == "\u{fffd}".as_bytes();
    text.windows(3).filter(replaced).count()
}

/// Whose text, in which stream, in which field. Two of them are the same only
/// where all of that is the same (but for a chance of 2^-64).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey(u128);

impl StreamKey {
    /// Of a record that `target` printed.
    pub fn new(tag: &[u8], target: Target<'_>, body: Body<'_>, field: &[u8]) -> Self {
        let mut hasher = IdHasher::new("stream");
        let number;
        let (kind, who): (u8, &[u8]) = match target {
            Target::Id(id) => (0, id.as_bytes()),
            Target::Name(name) => (1, name.as_bytes()),
            Target::Cgroup(path) => (2, path.as_bytes()),
            Target::Pid(pid) => {
                number = pid.to_be_bytes();
                (3, &number)
            }
        };
        for part in [tag, &[kind], who, field] {
            hasher.part(part);
        }
        for (key, value) in body.fields() {
            if let Value::Text(text) = value
                && is_stream_key(key)
            {
                hasher.part(key);
                hasher.part(text);
            }
        }
        Self(hasher.number())
    }
}

impl StreamKey {
    /// For what is kept of the same stream's whole lines.
    pub fn of_lines(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// What tells a container's streams, or its broken lines, apart.
fn is_stream_key(key: &[u8]) -> bool {
    matches!(
        key,
        b"stream" | b"source" | b"PRIORITY" | b"partial_id" | b"CONTAINER_PARTIAL_ID"
    )
}

#[cfg(test)]
mod tests;
