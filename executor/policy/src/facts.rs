//! What Docker says about a container, as far as decisions need it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, WallTime};

/// The result of asking Docker about a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It exists.
    Found(Facts),
    /// Docker answered that there is no such container.
    Gone,
    /// Docker did not answer, or not in time, or wrongly: nothing is known.
    Unavailable {
        /// For people: `inspect timed out after 100 ms`.
        why: String,
    },
}

/// One container, from one `GET /containers/{id}/json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// 64 hex digits.
    pub id: String,
    /// Canonical name, without the leading `/`: the key of all state.
    pub name: String,
    /// `State.Status`.
    pub state: ContainerState,
    /// `State.StartedAt`, with nanoseconds; none where it never started.
    pub started_at: Option<WallTime>,
    /// `State.FinishedAt`; none where it never finished.
    pub finished_at: Option<WallTime>,
    /// `State.Health`, none without a health check.
    pub health: Option<Health>,
    /// `Config.Labels`.
    pub labels: BTreeMap<String, String>,
    /// `Config.StopTimeout` in seconds; negative waits for ever; none = 10 s.
    pub stop_timeout_s: Option<i64>,
    /// True for the executor's own container, or the container of the intent
    /// socket's peer (worked out by the executor).
    pub is_self_or_peer: bool,
    /// The containers that it depends on, as seen at the same time; one that could not be seen
    /// is [`Seen::Unknown`] where that is to be waited for, and left out elsewhere.
    pub parents: Vec<Parent>,
    /// When it was last asked to end, by whomever, where it has not started anew since: by the
    /// engine's events, on the policy's clock. None where nothing is known of it.
    pub asked_to_end_at: Option<Timestamp>,
    /// When Docker was asked, on the policy's clock.
    pub read_at: Timestamp,
}

/// A container that another one depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Canonical name; the id where it is gone and was known by that alone; words for people
    /// where not even its name is known.
    pub name: String,
    /// How.
    pub relation: Relation,
    /// What Docker shows of it.
    pub seen: Seen,
}

/// How a container depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// It needs it to work.
    Needs,
    /// It lives in its network: `network_mode: container:…`.
    Network,
}

/// What Docker shows of a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// There is no such container.
    Gone,
    /// It has done its work: it was to run once, and has ended with exit code 0.
    Done,
    /// Docker did not show it in the short time that there was.
    Unknown,
    /// `State.Status` and `State.Health.Status`.
    Found {
        /// See above.
        state: ContainerState,
        /// None without a health check.
        health: Option<HealthStatus>,
    },
}

/// `State.Status` of the Engine API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum ContainerState {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

impl ContainerState {
    /// As the Engine API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }
}

/// `State.Health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// `State.Health.Status`.
    pub status: HealthStatus,
    /// `Start` of the newest entry in `State.Health.Log` if it agrees with the
    /// status (exit code 0 for `healthy`): what that status was last confirmed
    /// for. A check that was under way already says nothing about a later line.
    /// None where there is no entry, or where the newest one disagrees (a
    /// container stays `healthy` until several checks in a row have failed).
    pub checked_at: Option<WallTime>,
    /// `Config.Healthcheck.StartPeriod`, milliseconds.
    pub start_period_ms: u64,
    /// `Config.Healthcheck.Interval`, milliseconds (Docker's default 30 s where 0).
    pub interval_ms: u64,
}

/// `State.Health.Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum HealthStatus {
    Starting,
    Healthy,
    Unhealthy,
}
