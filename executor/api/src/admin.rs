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
        /// For people; at most 255 bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
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

/// `data` of the answer to [`AdminRequest::Status`]. Times are seconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The executor's version.
    pub version: String,
    /// Why it could not heal now, one line each; empty = ready.
    pub faults: Vec<String>,
    /// What the engine is, or why it is not known: `Docker 20.10.24, API 1.41`.
    pub engine: String,
    /// Nothing is restarted, only recorded.
    pub dry_run: bool,
    /// All targets are paused.
    pub paused: Option<Pause>,
    /// The storm breaker has stopped all restarts.
    pub storm: Option<Storm>,
    /// Every target that is listed or has a state, by name.
    pub targets: Vec<TargetStatus>,
}

/// A pause in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pause {
    /// Its end; none = until resumed.
    pub until: Option<u64>,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A storm that is on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Storm {
    /// For people.
    pub why: String,
    /// When it began.
    pub since: u64,
    /// Canonical names of the targets that are involved.
    pub targets: Vec<String>,
    /// When it may be over, if none of them matches until then.
    pub quiet_at: u64,
}

/// One target of [`Status`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetStatus {
    /// Canonical name.
    pub name: String,
    /// `idle`, `in-progress`, `verifying`, `pending`, `held`, `paused`.
    pub state: String,
    /// For people: why it is held, what it waits for.
    pub detail: String,
    /// The charge of the latest restart.
    pub last_restart: Option<u64>,
    /// Its outcome, where there is one.
    pub last_outcome: Option<String>,
    /// Charges in the current window.
    pub used: u32,
    /// Of so many that are allowed.
    pub max_per_window: u32,
    /// The cooldown in force, seconds: grown where attempts did not cure.
    pub cooldown_sec: u64,
    /// Attempts in a row that did not cure.
    pub uncured: u32,
    /// When the next restart is possible by the limits; none = now.
    pub next_possible: Option<u64>,
}

/// One line of `healer history`; `data` of that answer is a list of them, the
/// newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryEntry {
    /// Seconds since the epoch.
    pub at: u64,
    /// Canonical name; empty where it is about all targets.
    pub target: String,
    /// `restarting`, an attempt's outcome, a decision, `held`, `released`, `storm`, ...
    pub what: String,
    /// The gate that refused, or aborted the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// The rule that matched; none for a person's request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// 12 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// The file with an attempt's evidence, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// With figures.
    pub detail: String,
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
