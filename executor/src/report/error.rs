//! What can be wrong with a report file, in words that say what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a report file was not written, read or trusted. Never a reason not to
/// restart.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReportError {
    /// A file operation failed.
    Io {
        /// What was being done.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not ours, or nothing that we would write to: left as it is.
    NotOurs {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// The command to type.
        fix: String,
    },
    /// No file name can be made of this target's name.
    Name {
        /// The name's length in bytes; its text stays out of logs.
        bytes: usize,
    },
    /// It was read, but not all of its content counts.
    Content {
        /// Which.
        path: PathBuf,
        /// What was ignored, and why.
        why: String,
    },
    /// So many files in the directory that not all can be looked at.
    Crowded {
        /// The directory.
        path: PathBuf,
        /// How many are.
        entries_max: usize,
    },
    /// The disk was slower than the restarts.
    Behind {
        /// Reports left out since the last one that was written.
        left_out: usize,
    },
}

impl ReportError {
    pub(crate) fn io(step: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io {
            step,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { step, path, source } => {
                write!(f, "cannot {step} {}: {source}", path.display())
            }
            Self::NotOurs { path, why, fix } => {
                write!(f, "{} {why}; left as it is; type: {fix}", path.display())
            }
            Self::Name { bytes } => write!(
                f,
                "a target's name of {bytes} bytes is no container name \
                 ([a-zA-Z0-9][a-zA-Z0-9_.-]*, up to {NAME_BYTES_MAX} bytes): none are written for it"
            ),
            Self::Content { path, why } => {
                write!(f, "{}: {why}", path.display())
            }
            Self::Crowded { path, entries_max } => write!(
                f,
                "{} holds more than {entries_max} files: what people set or the original wrote \
                 cannot be found among them, so nothing new there counts until some are removed",
                path.display()
            ),
            Self::Behind { left_out } => write!(
                f,
                "the disk was too slow, {left_out} restarts were left out (`healer \
                 history` has them)"
            ),
        }
    }
}

impl std::error::Error for ReportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Longest target name: a file name holds 255 bytes, of which the longest
/// pattern around it (`restart-` … `-<20 digits>.marker`) takes 36.
pub const NAME_BYTES_MAX: usize = 200;

/// Docker's own rule for names; nothing else becomes part of a file name.
pub(crate) fn is_target_name(name: &str) -> bool {
    let is_first = |b: u8| b.is_ascii_alphanumeric();
    let is_next = |b: u8| is_first(b) || matches!(b, b'_' | b'.' | b'-');
    name.len() <= NAME_BYTES_MAX
        && name.bytes().next().is_some_and(is_first)
        && name.bytes().all(is_next)
}
