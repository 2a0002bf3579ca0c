//! The one writer of a journal file.
//!
//! It keeps true: whatever was answered `Ok` is whole in the file, in order,
//! and (when durable) on the disk; whatever was answered with an error is not
//! in the file. Where an error leaves this in doubt, nothing further is
//! accepted until it has been put right, which every append tries first.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::content::{self, Content};
use super::dir::is_same_file;
use super::faults::Faults;
use super::format::{self, Header};
use super::read::{self, End};
use super::{JOURNAL, JournalError, NEW, StateDir};
use policy::Record;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Writer {
    dir: StateDir,
    content: Content,
    doubt: Doubt,
    /// To be written before the next record.
    header_due: Option<Header>,
    pub(crate) faults: Faults,
}

/// What has to be put right before anything further is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Doubt {
    /// There may be bytes beyond the good ones.
    tail: bool,
    /// An fsync failed: what the disk holds is unknown, and a later fsync
    /// would claim success. Only writing it all anew helps.
    content: bool,
    /// A rename may not be on disk, and with it all that was appended since:
    /// nothing durable is accepted.
    name: bool,
}

impl Writer {
    /// Goes on with an open journal whose good part is `content`; a new header
    /// is due before the first record. Where its last line is `torn`, that is
    /// cut first. Its name may not be on disk yet: whoever wrote it may have
    /// been killed just before.
    pub(crate) fn resume(dir: StateDir, content: Content, torn: bool, header: Header) -> Self {
        let doubt = Doubt {
            tail: torn,
            name: true,
            ..Doubt::default()
        };
        let (header_due, faults) = (Some(header), Faults::default());
        Self {
            dir,
            content,
            doubt,
            header_due,
            faults,
        }
    }

    /// Begins a journal under a directory that holds none.
    pub(crate) fn begin(
        dir: StateDir,
        header: &Header,
        records: &[Record],
    ) -> Result<Self, JournalError> {
        let content = Content::create(&dir, NEW, header, records)?;
        dir.rename(NEW, JOURNAL)?;
        dir.sync()?;
        let (doubt, faults) = (Doubt::default(), Faults::default());
        Ok(Self {
            dir,
            content,
            doubt,
            header_due: None,
            faults,
        })
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.content.bytes
    }

    /// All of `records` or none; on disk when it returns where `durable`.
    /// Without records and `durable`, everything so far is on disk.
    pub(crate) fn append(&mut self, records: &[Record], durable: bool) -> Result<(), JournalError> {
        self.put_right()?;
        if durable && self.doubt.name {
            self.sync_name()?;
        }
        if records.is_empty() {
            return if durable { self.sync_file() } else { Ok(()) };
        }
        let line = content::encode(&self.path(), records)?;
        self.append_line(&line, records.len(), durable)
    }

    /// Cuts what an earlier process left unfinished and writes the header.
    pub(crate) fn put_right(&mut self) -> Result<(), JournalError> {
        self.check_in_place()?;
        if self.doubt.tail {
            self.cut_tail()?;
        }
        if self.doubt.content {
            self.write_anew()?;
        }
        if let Some(header) = self.header_due.take()
            && let Err(error) = self.append_line(&format::encode_header(&header), 0, false)
        {
            self.header_due = Some(header);
            return Err(error);
        }
        Ok(())
    }

    fn append_line(
        &mut self,
        line: &[u8],
        records: usize,
        durable: bool,
    ) -> Result<(), JournalError> {
        let bytes = self.content.bytes + line.len() as u64;
        let records_max = self.faults.records_max();
        content::check_size(
            &self.path(),
            bytes,
            self.content.records + records,
            records_max,
        )?;
        let written = self.write_at_end(line);
        let done = if durable {
            written.and_then(|()| self.sync_file())
        } else {
            written
        };
        if let Err(error) = done {
            self.doubt.tail = true;
            // Now, so that the file is whole even if nothing is appended again.
            // Where this fails too, the next append tries it first and reports it.
            let _left_in_doubt = self.cut_tail();
            return Err(error);
        }
        self.content.bytes = bytes;
        self.content.records += records;
        Ok(())
    }

    /// Replaces the file's content by a header and these records, atomically.
    /// That also removes any doubt about the old content.
    pub(crate) fn replace(
        &mut self,
        header: &Header,
        records: &[Record],
    ) -> Result<(), JournalError> {
        self.check_in_place()?;
        self.faults
            .check("replace")
            .map_err(|e| JournalError::io("create", &self.dir.path_of(NEW), e))?;
        let content = Content::create(&self.dir, NEW, header, records)?;
        self.take_over(content)?;
        self.header_due = None;
        Ok(())
    }

    fn take_over(&mut self, content: Content) -> Result<(), JournalError> {
        self.faults
            .check("rename")
            .map_err(|e| JournalError::io("rename a file to", &self.path(), e))?;
        self.dir.rename(NEW, JOURNAL)?;
        self.content = content;
        self.doubt = Doubt {
            name: true,
            ..Doubt::default()
        };
        self.sync_name()
    }

    /// Copies the good lines, as the kernel still has them, into a new file.
    fn write_anew(&mut self) -> Result<(), JournalError> {
        let length = usize::try_from(self.content.bytes).expect("files are limited far below");
        let mut bytes = vec![0; length];
        let read_back = |e| JournalError::io("read back", &self.path(), e);
        self.content
            .file
            .read_exact_at(&mut bytes, 0)
            .map_err(read_back)?;
        if read::scan(bytes.as_slice()).map_err(read_back)?.end != End::Clean {
            let why = "the disk lost entries that were written; start the executor again, which \
                       sets the file aside and restarts nothing for a full window";
            return Err(JournalError::Gone {
                path: self.path(),
                why: why.into(),
            });
        }
        let file = self.dir.create_anew(NEW)?;
        self.faults
            .check("fsync")
            .map_err(|e| JournalError::io("fsync", &self.path(), e))?;
        content::write_and_sync(&self.dir.path_of(NEW), &file, &bytes)?;
        let (bytes, records) = (self.content.bytes, self.content.records);
        self.take_over(Content {
            file,
            bytes,
            records,
        })
    }

    /// One call in all but the rarest case: a short write is gone on with, which
    /// brings out its reason.
    fn write_at_end(&mut self, line: &[u8]) -> Result<(), JournalError> {
        let (file, bytes) = (&self.content.file, self.content.bytes);
        let half = || file.write_all_at(&line[..line.len() / 2], bytes);
        self.faults
            .check_after("write", half)
            .and_then(|()| file.write_all_at(line, bytes))
            .map_err(|e| JournalError::io("write to", &self.path(), e))
    }

    fn sync_file(&mut self) -> Result<(), JournalError> {
        let synced = self
            .faults
            .check("fsync")
            .and_then(|()| self.content.file.sync_data());
        synced.map_err(|e| {
            self.doubt.content = true;
            JournalError::io("fsync", &self.path(), e)
        })
    }

    fn cut_tail(&mut self) -> Result<(), JournalError> {
        self.faults
            .check("truncate")
            .and_then(|()| self.content.file.set_len(self.content.bytes))
            .map_err(|e| JournalError::io("cut an unfinished line from", &self.path(), e))?;
        self.doubt.tail = false;
        Ok(())
    }

    fn sync_name(&mut self) -> Result<(), JournalError> {
        self.faults
            .check("fsync-dir")
            .map_err(|e| JournalError::io("fsync the directory", self.dir.path(), e))?;
        self.dir.sync()?;
        self.doubt.name = false;
        Ok(())
    }

    /// Whether the file we hold is still the journal of this directory: writing
    /// to one that was removed would succeed and record nothing.
    fn check_in_place(&mut self) -> Result<(), JournalError> {
        self.dir.check_in_place()?;
        let own = rustix::fs::fstat(&self.content.file)
            .map_err(|e| JournalError::io("examine", &self.path(), e))?;
        match self.dir.stat(JOURNAL)? {
            Some(there) if is_same_file(&own, &there) => Ok(()),
            Some(_) => {
                let why = "another file took its place while running; remove that one, or start \
                           the executor again";
                Err(JournalError::Gone {
                    path: self.path(),
                    why: why.into(),
                })
            }
            None => {
                // We still hold its content: it gets its name back.
                self.doubt.content = true;
                Ok(())
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path_of(JOURNAL)
    }
}
