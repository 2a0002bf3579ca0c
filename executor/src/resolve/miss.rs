//! Why no container could be found.

use std::fmt;
use std::io;
use std::path::PathBuf;

use policy::WallTime;

/// Why a process names no container. Counted and told, never guessed around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// It has ended, or this procfs does not show it.
    NoProcess {
        /// As in the line.
        pid: u32,
    },
    /// It runs on the host itself.
    NotInAContainer {
        /// As in the line.
        pid: u32,
    },
    /// No part of the cgroup's path is a container's id. Its text stays out of logs.
    NoContainer,
    /// It started after the line was written: the id was given out again.
    TooYoung {
        /// As in the line.
        pid: u32,
        /// When this process started.
        started: WallTime,
        /// The line's time.
        line: WallTime,
    },
    /// Its cgroup hierarchies name different containers.
    Disagree {
        /// As in the line.
        pid: u32,
    },
    /// A file below procfs cannot be read.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The error's kind.
        kind: io::ErrorKind,
        /// The operating system's words.
        why: String,
    },
    /// A file below procfs does not look as the kernel writes it.
    Garbled {
        /// Which.
        path: PathBuf,
        /// Its beginning.
        text: String,
    },
}

impl std::error::Error for Miss {}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProcess { pid } => write!(
                f,
                "there is no process {pid}: it has ended, or procfs does not show it (it has to \
                 be the host's, mounted without hidepid)"
            ),
            Self::NotInAContainer { pid } => {
                write!(f, "process {pid} runs on the host, in no container")
            }
            Self::NoContainer => {
                write!(
                    f,
                    "the cgroup belongs to the host: its path names no container"
                )
            }
            Self::TooYoung { pid, started, line } => write!(
                f,
                "process {pid} started at {} s, after the line of {} s: its id was given out again",
                started.secs, line.secs
            ),
            Self::Disagree { pid } => write!(
                f,
                "the cgroups of process {pid} name different containers; none is taken"
            ),
            Self::Unreadable { path, why, .. } => {
                write!(f, "cannot read {}: {why}", path.display())
            }
            Self::Garbled { path, text } => write!(
                f,
                "{} is not as the kernel writes it: '{}'",
                path.display(),
                text.escape_debug()
            ),
        }
    }
}
