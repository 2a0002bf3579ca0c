//! Reading a journal file from front to back.
//!
//! A crash can leave two traces only, both at the very end: a last line
//! without its newline, and one with bytes that never reached the disk (NUL,
//! which JSON never holds). Both are a torn tail: nothing in it was promised
//! to anybody. Whatever else does not read is damage.

use std::io::{self, BufRead, BufReader, Read};

use policy::{Now, Record};

use super::format::{self, BadLine, Header, LINE_BYTES_MAX, Line};
use super::{FILE_BYTES_MAX, RECORDS_MAX};

/// A file's content as far as it is good.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) records: Vec<Record>,
    /// The newest header, and the newest time of header or record.
    pub(crate) newest: Option<(Header, Now)>,
    /// Bytes of whole, good lines.
    pub(crate) good_bytes: u64,
    pub(crate) end: End,
}

/// How it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Clean,
    /// So many bytes after the good ones are an unfinished write.
    Torn {
        bytes: u64,
    },
    /// Not to be trusted.
    Damaged {
        why: String,
    },
}

/// Reads everything.
///
/// # Errors
/// Where the file cannot be read.
pub(crate) fn scan(file: impl Read) -> io::Result<Scan> {
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let mut scan = Scan {
        records: Vec::new(),
        newest: None,
        good_bytes: 0,
        end: End::Clean,
    };
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = reader.by_ref().take(limit).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        number += 1;
        if let Err(end) = scan.take_line(&line, number, || Ok(reader.fill_buf()?.is_empty()))? {
            scan.end = end;
            break;
        }
    }
    if scan.newest.is_none() && !matches!(scan.end, End::Damaged { .. }) {
        // A file gets its name only once its header is on disk: no crash empties it.
        scan.end = damaged(0, 0, "the file has no header");
    }
    Ok(scan)
}

impl Scan {
    /// Takes one line in, or says how the file ends with it.
    fn take_line(
        &mut self,
        line: &[u8],
        number: u64,
        is_last: impl FnOnce() -> io::Result<bool>,
    ) -> io::Result<Result<(), End>> {
        let start = self.good_bytes;
        let damaged = |why: &str| Ok(Err(damaged(number, start, why)));
        let Some(content) = line.strip_suffix(b"\n") else {
            if line.len() > LINE_BYTES_MAX {
                return damaged("longer than any line of ours");
            }
            return Ok(Err(End::Torn {
                bytes: line.len() as u64,
            }));
        };
        let decoded = match format::decode(content) {
            Ok(decoded) => decoded,
            Err(BadLine::Checksum) if content.contains(&0) && is_last()? => {
                return Ok(Err(End::Torn {
                    bytes: line.len() as u64,
                }));
            }
            Err(bad) => return damaged(&bad.to_string()),
        };
        match decoded {
            Line::Header(header) => self.take_header(header),
            Line::Records(_) if self.newest.is_none() => return damaged("no header before it"),
            Line::Records(records) => self.take_records(records),
        }
        self.good_bytes += line.len() as u64;
        if self.good_bytes > FILE_BYTES_MAX || self.records.len() > RECORDS_MAX {
            return damaged("larger than any journal of ours");
        }
        Ok(Ok(()))
    }

    fn take_header(&mut self, header: Header) {
        let now = Now {
            at: header.anchor.at,
            wall_ms: header.anchor.wall_ms,
        };
        let last = match &self.newest {
            Some((_, last)) if last.at > now.at => *last,
            _ => now,
        };
        self.newest = Some((header, last));
    }

    fn take_records(&mut self, records: Vec<Record>) {
        if let Some((_, last)) = &mut self.newest {
            for record in &records {
                if record.at >= last.at {
                    *last = Now {
                        at: record.at,
                        wall_ms: record.wall_ms,
                    };
                }
            }
        }
        self.records.extend(records);
    }
}

fn damaged(line: u64, offset: u64, why: &str) -> End {
    End::Damaged {
        why: format!("line {line} at byte {offset}: {why}"),
    }
}
