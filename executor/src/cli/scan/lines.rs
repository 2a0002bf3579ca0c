//! Lines of bounded length from any input, and when to wait for more.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Most bytes of a line that are judged; the rest of it is skipped.
pub(in crate::cli) const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A file, or stdin.
pub(in crate::cli) struct Lines {
    reader: BufReader<File>,
    /// Pauses in it mean something: it is a pipe, not a regular file.
    pub(in crate::cli) is_stream: bool,
    line: Vec<u8>,
}

/// One line, without its newline.
pub(in crate::cli) struct Line<'a> {
    pub(in crate::cli) bytes: &'a [u8],
    /// It was longer than [`LINE_BYTES_MAX`].
    pub(in crate::cli) cut: bool,
}

impl Lines {
    /// `-` is stdin.
    pub(in crate::cli) fn open(path: &Path) -> io::Result<Self> {
        let file = if path == Path::new("-") {
            File::from(io::stdin().as_fd().try_clone_to_owned()?)
        } else {
            File::open(path)?
        };
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok(Self {
            is_stream: !kind.is_file(),
            reader: BufReader::with_capacity(64 * 1024, file),
            line: Vec::new(),
        })
    }

    /// True where the next line is in memory already.
    pub(in crate::cli) fn has_line(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }

    /// Waits until there is something to read; false where `wait_ms` passed first.
    pub(in crate::cli) fn wait(&self, wait_ms: u64) -> io::Result<bool> {
        let input = self.reader.get_ref();
        let mut fds = [PollFd::new(input, PollFlags::IN)];
        let wait = Timespec {
            tv_sec: (wait_ms / 1000).try_into().unwrap_or(i64::MAX),
            tv_nsec: ((wait_ms % 1000) * 1_000_000) as i64,
        };
        match poll(&mut fds, Some(&wait)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(true),
            Err(e) => Err(e.into()),
        }
    }

    /// The next line; none at the end.
    pub(in crate::cli) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut self.reader)
            .take(limit)
            .read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        let ended = self.line.pop_if(|b| *b == b'\n').is_some();
        let cut = !ended && self.line.len() > LINE_BYTES_MAX;
        if cut {
            self.line.truncate(LINE_BYTES_MAX);
            self.reader.skip_until(b'\n')?;
        }
        Ok(Some(Line {
            bytes: &self.line,
            cut,
        }))
    }
}
