//! The intent protocol, version 1: what the plugin, scripts and Fluentd say to
//! the executor over `intents.sock`, and what the CLI says over `admin.sock`.
//!
//! One JSON object a line, UTF-8, at most [`LINE_BYTES_MAX`] bytes with its
//! newline, so that `socat` or a shell script can speak it too.
//!
//! Kept true here:
//! - every string and list has a limit, chosen so that no valid intent exceeds
//!   a line even when each byte of it has to be escaped ([`Intent::clamp`]);
//! - an unknown version, type or value is an [`Reject`] that can be answered,
//!   never a reason to drop the connection; an over-long line is the one
//!   exception.
//!
//! Not here: sockets, time, and any decision.

#![forbid(unsafe_code)]

mod admin;
mod answer;
mod frame;
mod intent;

pub use admin::{
    AdminAnswer, AdminRequest, ExitCode, Figures, HeldBack, HistoryEntry, Named, Pause,
    RestartRequest, Stats, Status, Storm, TargetStatus, Window,
};
pub use answer::{Answer, Decision};
pub use frame::{
    LINE_BYTES_MAX, LineBuffer, LineError, Message, Reject, decode_admin, decode_answer,
    decode_intent, decode_message, encode,
};
pub use intent::{
    Beat, Intent, LastMatch, PATTERNS_MAX, Ping, Progress, Remedy, SAMPLE_BYTES_MAX,
    STRING_BYTES_MAX, TIMES_MAX, TargetRef, clamp_str, merge_times,
};

/// The protocol version that this code speaks.
pub const VERSION: u32 = 1;
