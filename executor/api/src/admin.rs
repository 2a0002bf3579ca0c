//! What the CLI asks of a running executor over `admin.sock`.

use serde::{Deserialize, Serialize};

/// One request a line: `{"v":1,"type":"status"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum AdminRequest {
    /// One restart through the same policy and state; answered when the
    /// engine's answer is known.
    Restart(RestartRequest),
    /// Everything `healer status` shows.
    Status {},
    /// The newest `limit` attempts and refusals, of one target or of all.
    History {
        /// A container's canonical name.
        #[serde(default)]
        target: Option<String>,
        /// At most 1,000.
        limit: u32,
    },
    /// No restarts: of one target, or of all; until a time, or until resumed.
    Pause {
        /// A container's canonical name; none means all.
        #[serde(default)]
        target: Option<String>,
        /// How long; none means until `resume`.
        #[serde(default)]
        seconds: Option<u64>,
    },
    /// Ends a pause and releases a held target.
    Resume {
        /// A container's canonical name; none means all.
        #[serde(default)]
        target: Option<String>,
    },
}

/// A person's (or a script's) request to restart one container.
/// Limits that are given are the limits of this request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartRequest {
    /// A container's name or id.
    pub target: String,
    /// `COOLDOWN_SEC`.
    #[serde(default)]
    pub cooldown_sec: Option<u64>,
    /// `WINDOW_SEC`.
    #[serde(default)]
    pub window_sec: Option<u64>,
    /// `MAX_PER_WINDOW`.
    #[serde(default)]
    pub max_per_window: Option<u32>,
}

/// The answer: an exit code for the CLI, a sentence, and data for `--json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdminAnswer {
    /// What the CLI exits with.
    pub code: ExitCode,
    /// One or more lines for a person.
    pub message: String,
    /// The same for a program; its shape depends on the request.
    #[serde(default)]
    pub data: serde_json::Value,
}

/// Exit codes of the CLI. On the wire a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum ExitCode {
    /// 0
    Done,
    /// 1
    Failed,
    /// 2
    WrongUse,
    /// 3: refused by a gate.
    Refused,
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> Self {
        match code {
            ExitCode::Done => 0,
            ExitCode::Failed => 1,
            ExitCode::WrongUse => 2,
            ExitCode::Refused => 3,
        }
    }
}

impl TryFrom<u8> for ExitCode {
    type Error = String;

    fn try_from(code: u8) -> Result<Self, String> {
        Ok(match code {
            0 => Self::Done,
            1 => Self::Failed,
            2 => Self::WrongUse,
            3 => Self::Refused,
            other => return Err(format!("unknown exit code {other}")),
        })
    }
}
