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
        /// The rule's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// As [`HistoryEntry::what`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        what: Option<String>,
        /// From then on, seconds since the epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<u64>,
    },
    /// Success rates and times to recovery.
    Stats {
        /// A container's canonical name.
        #[serde(default)]
        target: Option<String>,
        /// The rule's name.
        #[serde(default)]
        rule: Option<String>,
        /// From then on, seconds since the epoch.
        #[serde(default)]
        since: Option<u64>,
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

/// `data` of the answers to [`AdminRequest::Pause`] and [`AdminRequest::Resume`] of one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Named {
    /// As it was asked for.
    pub target: String,
    /// A target of the configuration, one that something was done for, or a container that is
    /// watched or labelled off bears this name now; one that is only paused may be mistyped.
    pub known: bool,
    /// The known name that was probably meant, where the name is not known and one is near.
    pub nearest: Option<String>,
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
    /// Maintenance windows of the configuration.
    pub windows: Vec<Window>,
    /// What maintenance holds back, by name.
    pub held_back: Vec<HeldBack>,
    /// Every target that is listed or has a state, by name.
    pub targets: Vec<TargetStatus>,
}

/// A maintenance window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// As in the configuration.
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Patterns of names; none = all targets.
    pub targets: Vec<String>,
    /// Open until then; none = not open.
    pub until: Option<u64>,
    /// Opens next then, where that is within some days.
    pub next: Option<u64>,
}

/// A target whose restart maintenance holds back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeldBack {
    /// Canonical name.
    pub target: String,
    /// The newest match's rule.
    pub rule: String,
    /// The first match.
    pub since: u64,
    /// So many matches were held back since.
    pub matches: u64,
    /// What holds them back.
    pub detail: String,
    /// Decided again then; none = not by itself.
    pub decided_at: Option<u64>,
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
    /// `idle`, `in-progress`, `verifying`, `pending`, `held`, `paused`, `off`. `off`: nothing is
    /// ever done for it by itself; by the configuration, and by its container's labels where
    /// the executor has seen it.
    pub state: String,
    /// The rules of its checks (`probe-NAME`, `silent`, `no-beat`) that have fired and have not
    /// cleared since, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<String>,
    /// For people: why it is held or off, what it waits for.
    pub detail: String,
    /// The rule that it waits for, or that its latest restart was for; none for a
    /// person's request.
    pub rule: Option<String>,
    /// The charge of the latest restart.
    pub last_restart: Option<u64>,
    /// Its outcome, where there is one.
    pub last_outcome: Option<String>,
    /// How it ended, for people.
    pub last_detail: String,
    /// Charges in the current window.
    pub used: u32,
    /// Of so many that are allowed.
    pub max_per_window: u32,
    /// The cooldown in force, seconds: grown where attempts did not cure.
    pub cooldown_sec: u64,
    /// Attempts in a row that did not cure.
    pub uncured: u32,
    /// Restarts left in the current window.
    pub budget_left: u32,
    /// When the next restart is possible; none = now, or where `blocked_by` says so,
    /// not by time alone, or never (`protected`, `orchestrated`, `not-enabled`).
    pub next_possible: Option<u64>,
    /// The gate that is in the way for longest, or for good.
    pub blocked_by: Option<String>,
}

/// `data` of the answer to [`AdminRequest::Stats`]. Times are seconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// From when on; none = all that is remembered.
    pub since: Option<u64>,
    /// Attempts before this are not remembered any more.
    pub known_from: u64,
    /// Of all together.
    pub all: Figures,
    /// By target, those with most attempts first.
    pub targets: Vec<Figures>,
    /// So many targets more are left out.
    pub more_targets: u32,
    /// By rule, those with most attempts first; a person's requests have none: empty.
    pub rules: Vec<Figures>,
    /// So many rules more are left out.
    pub more_rules: u32,
}

/// What came of the restarts of one target, or for one rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// The target or rule.
    pub name: String,
    /// Restarts that were charged, dry runs apart.
    pub attempts: u64,
    /// Of these: the container stayed well.
    pub recovered: u64,
    /// It did not.
    pub relapsed: u64,
    /// The engine would not.
    pub failed: u64,
    /// Nothing was done: facts changed before the act.
    pub aborted: u64,
    /// Nobody knows.
    pub unknown: u64,
    /// It was to be stopped, and is.
    #[serde(default)]
    pub stopped: u64,
    /// Not known yet.
    pub open: u64,
    /// Recovered of recovered, relapsed and failed; none where there are none.
    pub success_percent: Option<f64>,
    /// Incidents that ended well; the times below are of these.
    pub recoveries: u64,
    /// From an incident's first line to the restart after which all was well, mean.
    pub mean_recovery_ms: Option<u64>,
    /// The same, median.
    pub median_recovery_ms: Option<u64>,
    /// Matches and requests that were refused.
    pub refused: u64,
    /// Dry runs.
    pub dry_runs: u64,
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
