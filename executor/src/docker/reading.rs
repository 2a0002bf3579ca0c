//! What is read of a container without being understood here.

use std::fmt;

/// Most bytes of an inspect for evidence; usual are ten thousand.
const INSPECT_BYTES_MAX: usize = 1 << 20;
/// Most bytes of a container's stats; usual are three thousand.
const MEMORY_BYTES_MAX: usize = 256 << 10;
/// Most bytes of log lines.
const LOGS_BYTES_MAX: usize = 1 << 20;

/// One thing to read of a container, by its full id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// `GET /containers/{id}/json`
    Inspect {
        /// 64 hex digits.
        id: String,
    },
    /// `GET /containers/{id}/stats`, once and without the pause for a second
    /// look at the CPU.
    Memory {
        /// 64 hex digits.
        id: String,
    },
    /// `GET /containers/{id}/logs`: both streams, with times. The engine takes
    /// the newest `tail` lines, and of them leaves out those after `until_ms`.
    Logs {
        /// 64 hex digits.
        id: String,
        /// Since the epoch.
        until_ms: u64,
        /// Lines.
        tail: u32,
    },
}

impl Reading {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Inspect { id } | Self::Memory { id } | Self::Logs { id, .. } => id,
        }
    }

    /// Path and query; the id can name a container.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Inspect { id } => format!("/containers/{id}/json"),
            Self::Memory { id } => format!("/containers/{id}/stats?stream=false&one-shot=true"),
            Self::Logs { id, until_ms, tail } => {
                let (secs, ms) = (until_ms / 1_000, until_ms % 1_000);
                format!(
                    "/containers/{id}/logs?stdout=1&stderr=1&timestamps=1&tail={tail}\
                     &until={secs}.{ms:03}000000"
                )
            }
        }
    }

    pub(super) fn body_bytes_max(&self) -> usize {
        match self {
            Self::Inspect { .. } => INSPECT_BYTES_MAX,
            Self::Memory { .. } => MEMORY_BYTES_MAX,
            Self::Logs { .. } => LOGS_BYTES_MAX,
        }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Inspect { .. } => "inspect",
            Self::Memory { .. } => "memory",
            Self::Logs { .. } => "logs",
        };
        write!(f, "{what} of container '{}'", self.id())
    }
}
