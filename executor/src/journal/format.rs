//! The journal's lines: 8 hex digits of CRC-32, a space, JSON, a newline.
//!
//! The JSON is a header (what anchors the clock; the first line of every file
//! and one more at each open), one record, or an array of records. An append
//! is always one line, so that after a crash it is there whole or not at all.

use policy::Record;
use serde::{Deserialize, Serialize};

use crate::clock::Anchor;

/// Raised when an older executor could misread what a newer one writes.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Longest line, newline included. The largest append is a few thousand
/// targets at once, of a few hundred bytes each.
pub(crate) const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Checksum and space.
const PREFIX_BYTES: usize = 9;

/// Every header begins so, and no record does.
const HEADER_START: &[u8] = b"{\"v\":";

/// No time in a journal lies after the year 9999: more is damage, and would
/// stop the policy's clock for good.
const TIME_MS_MAX: u64 = 253_402_300_799_999;

/// The first line of a file and of each opening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// [`FORMAT_VERSION`].
    v: u32,
    #[serde(flatten)]
    pub(crate) anchor: Anchor,
}

impl Header {
    pub(crate) fn new(anchor: Anchor) -> Self {
        Self {
            v: FORMAT_VERSION,
            anchor,
        }
    }
}

/// A line, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Header(Header),
    Records(Vec<Record>),
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadLine {
    /// It is not what was written: too short, no checksum, or a wrong one.
    Checksum,
    /// The checksum is right, but another version wrote it.
    Version(u32),
    /// The checksum is right, but it is no entry that this version knows.
    Unknown(String),
    /// A time that cannot be.
    Time(u64),
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Checksum => write!(f, "wrong checksum"),
            Self::Version(v) => {
                write!(
                    f,
                    "format version {v}, this executor knows {FORMAT_VERSION}"
                )
            }
            Self::Unknown(why) => write!(f, "right checksum, but no known entry: {why}"),
            Self::Time(ms) => write!(f, "a time after the year 9999 ({ms} ms)"),
        }
    }
}

/// One header line.
pub(crate) fn encode_header(header: &Header) -> Vec<u8> {
    encode(&serde_json::to_vec(header).expect("strings and integers always serialise"))
}

/// One line for all of them; `records` is not empty.
pub(crate) fn encode_records(records: &[Record]) -> Result<Vec<u8>, serde_json::Error> {
    let json = match records {
        [one] => serde_json::to_vec(one)?,
        many => serde_json::to_vec(many)?,
    };
    Ok(encode(&json))
}

fn encode(json: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(PREFIX_BYTES + json.len() + 1);
    line.extend_from_slice(format!("{:08x} ", crc32fast::hash(json)).as_bytes());
    line.extend_from_slice(json);
    line.push(b'\n');
    line
}

/// Reads a line, given without its newline.
pub(crate) fn decode(line: &[u8]) -> Result<Line, BadLine> {
    let json = checked_json(line).ok_or(BadLine::Checksum)?;
    if json.starts_with(HEADER_START) {
        return decode_header(json);
    }
    let records = if json.first() == Some(&b'[') {
        serde_json::from_slice(json)
    } else {
        serde_json::from_slice(json).map(|record| vec![record])
    };
    let records: Vec<Record> = records.map_err(|e| BadLine::Unknown(without_content(&e)))?;
    for record in &records {
        check_times(record.at.0, record.wall_ms)?;
    }
    Ok(Line::Records(records))
}

fn decode_header(json: &[u8]) -> Result<Line, BadLine> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    // The version first: another one's header may look different.
    let Version { v } =
        serde_json::from_slice(json).map_err(|e| BadLine::Unknown(without_content(&e)))?;
    if v != FORMAT_VERSION {
        return Err(BadLine::Version(v));
    }
    let header: Header =
        serde_json::from_slice(json).map_err(|e| BadLine::Unknown(without_content(&e)))?;
    check_times(header.anchor.at.0, header.anchor.wall_ms)?;
    Ok(Line::Header(header))
}

fn checked_json(line: &[u8]) -> Option<&[u8]> {
    let (prefix, json) = line.split_at_checked(PREFIX_BYTES)?;
    let digits = std::str::from_utf8(prefix.strip_suffix(b" ")?).ok()?;
    let is_hex = digits
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let crc = u32::from_str_radix(digits, 16).ok()?;
    (is_hex && crc == crc32fast::hash(json)).then_some(json)
}

fn check_times(at_ms: u64, wall_ms: u64) -> Result<(), BadLine> {
    match at_ms.max(wall_ms) {
        ms if ms > TIME_MS_MAX => Err(BadLine::Time(ms)),
        _ => Ok(()),
    }
}

/// Serde's messages may quote the line; a journal's text stays out of logs.
fn without_content(error: &serde_json::Error) -> String {
    format!("{:?} error at column {}", error.classify(), error.column())
}
