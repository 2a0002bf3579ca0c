//! What can go wrong with the journal, in words that say what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why the journal could not be opened, read or written. Nothing was recorded.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// A file operation failed.
    Io {
        /// What was being done: `write to`, `fsync`.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The state directory is not private.
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// The command to type.
        fix: String,
    },
    /// The state directory, or the journal in it, was removed, moved or replaced.
    Gone {
        /// What is no longer where it was.
        path: PathBuf,
        /// What was found instead, and what to do.
        why: String,
    },
    /// One of the journal's own limits.
    Limit {
        /// The journal.
        path: PathBuf,
        /// Which, with the figures.
        why: String,
    },
    /// The journal's thread has ended: nothing can be recorded any more.
    Closed,
}

impl JournalError {
    pub(crate) fn io(step: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io {
            step,
            path: path.to_owned(),
            source: source.into(),
        }
    }

    /// A label of few values, for metrics: `full`, `read-only`, `permission`,
    /// `gone`, `unsafe`, `limit`, `closed`, `io`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Io { source, .. } => match Errno::from_io_error(source) {
                Some(Errno::NOSPC | Errno::DQUOT) => "full",
                Some(Errno::ROFS) => "read-only",
                Some(Errno::ACCESS | Errno::PERM) => "permission",
                Some(Errno::NOENT) => "gone",
                _ => "io",
            },
            Self::Unsafe { .. } => "unsafe",
            Self::Gone { .. } => "gone",
            Self::Limit { .. } => "limit",
            Self::Closed => "closed",
        }
    }

    /// What a person can do about it.
    fn advice(&self) -> &'static str {
        match self.kind() {
            "full" => "free some space there; nothing is restarted until then",
            "read-only" => {
                "remount it writable and look for disk errors; nothing is restarted until then"
            }
            "permission" => "let the executor's user own it and write to it",
            "gone" => "put it back, or create it and start the executor again",
            _ => "see the kernel's log for disk errors; nothing is restarted until it works again",
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { step, path, source } => {
                write!(
                    f,
                    "cannot {step} {}: {source}: {}",
                    path.display(),
                    self.advice()
                )
            }
            Self::Unsafe { path, why, fix } => {
                write!(f, "state directory {} {why}; type: {fix}", path.display())
            }
            Self::Gone { path, why } | Self::Limit { path, why } => {
                write!(f, "{}: {why}", path.display())
            }
            Self::Closed => write!(f, "the journal is closed: start the executor again"),
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
