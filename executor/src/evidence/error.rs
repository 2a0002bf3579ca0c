//! What can be wrong with evidence, in words that say what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::report::ReportError;

/// Why a bundle was not written, or an old one not removed. Never a reason not
/// to restart.
#[derive(Debug)]
#[non_exhaustive]
pub enum EvidenceError {
    /// No thread for it.
    Thread(io::Error),
    /// The directory or a file in it.
    File(ReportError),
    /// What is left on the disk is the journal's.
    NoRoom {
        /// On what.
        dir: PathBuf,
        /// So much is free.
        free_bytes: u64,
    },
    /// A panic.
    Fault,
    /// A bundle is there that is none of ours, or damaged.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The disk was slower than the restarts.
    Behind {
        /// Halves of bundles that were left out since the last one was written.
        left_out: usize,
    },
}

impl EvidenceError {
    /// What stays the same while a problem lasts.
    pub(super) fn topic(&self) -> String {
        match self {
            Self::Thread(_) => "thread".to_owned(),
            Self::File(ReportError::Io { source, .. }) => {
                format!("disk {:?}", source.raw_os_error())
            }
            Self::File(error) => error.to_string(),
            Self::NoRoom { .. } => "room".to_owned(),
            Self::Fault => "fault".to_owned(),
            Self::Unreadable { .. } => "unreadable".to_owned(),
            Self::Behind { .. } => "behind".to_owned(),
        }
    }
}

impl From<ReportError> for EvidenceError {
    fn from(error: ReportError) -> Self {
        Self::File(error)
    }
}

impl fmt::Display for EvidenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread(error) => write!(f, "cannot start a thread for evidence: {error}"),
            Self::File(error) => error.fmt(f),
            Self::NoRoom { dir, free_bytes } => write!(
                f,
                "{}: only {} MiB are free, which are left to the journal; make room, or set \
                 evidence.keep = \"off\"",
                dir.display(),
                free_bytes >> 20
            ),
            Self::Fault => f.write_str(
                "a fault of our own: one is incomplete or not there (please report this)",
            ),
            Self::Unreadable { path, why } => write!(
                f,
                "{}: what a command printed cannot be added to it, as it cannot be read back: \
                 {why}; it is left as it is",
                path.display()
            ),
            Self::Behind { left_out } => write!(
                f,
                "the disk was too slow, {left_out} halves of bundles were left out"
            ),
        }
    }
}

impl std::error::Error for EvidenceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            Self::File(error) => Some(error),
            _ => None,
        }
    }
}
