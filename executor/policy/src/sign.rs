//! What a match stands on, and so what has to be true for its remedy to make sense.

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// A line that the container printed, or the kernel about it.
    #[default]
    Line,
    /// Something that the executor watches, and that is told to be over by
    /// [`crate::Policy::handle_clear`]. An attempt recovers only once it is, and
    /// nobody knows how it ended where neither that nor another match comes in time.
    Watched {
        /// How long after a restart the watch needs at most to say that all is well,
        /// milliseconds.
        clear_within_ms: u64,
    },
    /// The container has ended by itself and stays down: it is started, not
    /// restarted. The match's time is the container's `FinishedAt`.
    Ended,
    /// The container is down, and nobody saw how it ended: somebody may have stopped it. A
    /// person is told, once for each end; nothing is started and nothing held, whatever its
    /// rule's remedy is set to. The match's time is the container's `FinishedAt`.
    EndedUnseen,
}

impl Sign {
    pub(crate) fn is_line(&self) -> bool {
        *self == Self::Line
    }

    /// What it says of the container is true until that has started again, however long it
    /// has been so.
    pub(crate) fn is_an_end(&self) -> bool {
        matches!(self, Self::Ended | Self::EndedUnseen)
    }
}
