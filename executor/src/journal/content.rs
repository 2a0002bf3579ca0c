//! A journal file's content: making one, and its limits.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use policy::Record;

use super::format::{self, Header, LINE_BYTES_MAX};
use super::{FILE_BYTES_MAX, JournalError, RECORDS_MAX, StateDir};

/// An open file and how much of it is whole and accepted.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) file: File,
    pub(crate) bytes: u64,
    pub(crate) records: usize,
}

impl Content {
    /// A new file with these lines under `name`, on disk when it returns.
    pub(crate) fn create(
        dir: &StateDir,
        name: &str,
        header: &Header,
        records: &[Record],
    ) -> Result<Self, JournalError> {
        let path = dir.path_of(name);
        let mut lines = format::encode_header(header);
        for record in records {
            lines.extend(encode(&path, std::slice::from_ref(record))?);
        }
        let bytes = lines.len() as u64;
        check_size(&path, bytes, records.len(), RECORDS_MAX)?;
        let file = dir.create_anew(name)?;
        write_and_sync(&path, &file, &lines)?;
        Ok(Self {
            file,
            bytes,
            records: records.len(),
        })
    }
}

pub(crate) fn write_and_sync(path: &Path, file: &File, bytes: &[u8]) -> Result<(), JournalError> {
    file.write_all_at(bytes, 0)
        .map_err(|e| JournalError::io("write to", path, e))?;
    file.sync_all()
        .map_err(|e| JournalError::io("fsync", path, e))
}

pub(crate) fn encode(path: &Path, records: &[Record]) -> Result<Vec<u8>, JournalError> {
    let limit = |why: String| JournalError::Limit {
        path: path.to_owned(),
        why,
    };
    let line = format::encode_records(records)
        .map_err(|e| limit(format!("an entry cannot be written as JSON: {e}")))?;
    if line.len() > LINE_BYTES_MAX {
        let (count, bytes) = (records.len(), line.len());
        return Err(limit(format!(
            "{count} entries at once make {bytes} bytes, a line holds {LINE_BYTES_MAX}"
        )));
    }
    Ok(line)
}

pub(crate) fn check_size(
    path: &Path,
    bytes: u64,
    records: usize,
    records_max: usize,
) -> Result<(), JournalError> {
    if bytes <= FILE_BYTES_MAX && records <= records_max {
        return Ok(());
    }
    let why = format!(
        "full: {bytes} bytes and {records} entries, at most {FILE_BYTES_MAX} and {records_max}; \
         it is compacted by itself once there is space for a second file"
    );
    Err(JournalError::Limit {
        path: path.to_owned(),
        why,
    })
}
