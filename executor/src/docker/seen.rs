//! One container out of inspect as triggers need it: more than decisions do. Pure, but for
//! the request itself.

use std::time::Duration;

use policy::WallTime;
use serde::Deserialize;

use super::ask::{self, Ask};
use super::client::Client;
use super::error::DockerError;
use super::events::signal_number;
use super::exchange::Deadline;
use super::inspected::Inspected;
use super::rfc3339::parse_rfc3339;
use super::wire;

/// Most entries of a health log; Docker keeps 5, Podman as many as it is told to.
const CHECKS_MAX: usize = 5;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What decisions need.
    pub container: Inspected,
    /// `State.OOMKilled`: of any process of its.
    pub is_oom_killed: bool,
    /// `RestartCount`: by its own restart policy, since somebody started it.
    pub restart_count: u64,
    /// `Config.StopSignal`; none = the default, 15, or one that is not known here.
    pub stop_signal: Option<u8>,
    /// Of its health check; none without one.
    pub checks: Option<Checks>,
}

/// What its health check has found lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    /// `State.Health.FailingStreak`: so many in a row have failed.
    pub failing_streak: u64,
    /// Oldest first, the newest few.
    pub log: Vec<Check>,
    /// `Config.Healthcheck.Timeout`, milliseconds; 30,000 where it sets none.
    pub timeout_ms: u64,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// When it ended; its start where that is not told.
    pub at: WallTime,
    /// 0 = healthy.
    pub exit_code: i64,
    /// What it printed, opaque; the engine keeps 4,096 bytes of it.
    pub output: String,
}

impl Client {
    /// One container by its full id, as triggers need it. None where the engine says that
    /// there is none.
    pub async fn see(&self, id: &str, deadline: Duration) -> Result<Option<Seen>, DockerError> {
        if !ask::can_name_a_container(id) {
            return Ok(None);
        }
        let ask = Ask::inspect(id);
        let reply = self.ask(&ask, Deadline::after(deadline)).await?;
        let more = match &reply.body {
            Ok(body) if reply.status == 200 => serde_json::from_slice::<More>(body),
            // Why there is none is said by what follows.
            _ => Ok(More::default()),
        };
        let Some(container) = wire::read_inspect(&ask, id, reply)? else {
            return Ok(None);
        };
        let more = more.map_err(|error| DockerError::Reply {
            what: ask.what.clone(),
            why: error.to_string(),
        })?;
        Ok(Some(more.with(container)))
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct More {
    restart_count: u64,
    state: State,
    config: Config,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    health: Option<HealthJson>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct HealthJson {
    failing_streak: u64,
    log: Option<Vec<CheckJson>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct CheckJson {
    start: String,
    end: String,
    exit_code: i64,
    output: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    stop_signal: Option<String>,
    healthcheck: Option<HealthcheckJson>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct HealthcheckJson {
    /// Nanoseconds; 0 = 30 s.
    timeout: u64,
}

impl More {
    fn with(self, container: Inspected) -> Seen {
        let timeout = self.config.healthcheck.map_or(0, |check| check.timeout);
        let checks = |health: HealthJson| Checks {
            failing_streak: health.failing_streak,
            log: newest(health.log.unwrap_or_default()),
            timeout_ms: match timeout / 1_000_000 {
                0 => 30_000,
                timeout_ms => timeout_ms,
            },
        };
        let has_check = container.health.is_some();
        Seen {
            is_oom_killed: self.state.oom_killed,
            restart_count: self.restart_count,
            stop_signal: self.config.stop_signal.as_deref().and_then(signal_number),
            checks: self.state.health.filter(|_| has_check).map(checks),
            container,
        }
    }
}

fn newest(log: Vec<CheckJson>) -> Vec<Check> {
    let check = |check: CheckJson| {
        let time = |text: &str| parse_rfc3339(text).ok().flatten();
        let at = time(&check.end).or_else(|| time(&check.start))?;
        Some(Check {
            at,
            exit_code: check.exit_code,
            output: check.output,
        })
    };
    let mut checks: Vec<Check> = log.into_iter().filter_map(check).collect();
    checks.sort_by_key(|check| (check.at.secs, check.at.nanos));
    checks.split_off(checks.len().saturating_sub(CHECKS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "a5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";

    fn seen(state: &str, config: &str) -> Seen {
        let body = format!(
            r#"{{"Id":"{ID}","Name":"/web","RestartCount":3,"State":{{"Status":"running",
            "StartedAt":"2026-11-22T01:13:21.5Z","FinishedAt":"0001-01-01T00:00:00Z"{state}}},
            "Config":{{{config}}}}}"#
        );
        let container = Inspected::parse(body.as_bytes()).unwrap();
        let more: More = serde_json::from_slice(body.as_bytes()).unwrap();
        more.with(container)
    }

    #[test]
    fn reads_every_field_that_triggers_need() {
        let seen = seen(
            r#","ExitCode":137,"OOMKilled":true,"Health":{"Status":"unhealthy","FailingStreak":4,
            "Log":[{"Start":"2026-11-22T01:13:30Z","End":"garbled","ExitCode":1,"Output":"b"},
            {"Start":"2026-11-22T01:13:20Z","End":"2026-11-22T01:13:21.5Z","ExitCode":2,"Output":"a"},
            {"Start":"","End":"","ExitCode":0}]}"#,
            r#""StopSignal":"SIGQUIT","Healthcheck":{"Timeout":2000000000}"#,
        );
        assert!(!seen.container.exit.is_always_restarted);
        assert_eq!(
            (
                seen.container.exit.code,
                seen.is_oom_killed,
                seen.restart_count
            ),
            (137, true, 3)
        );
        assert_eq!(seen.stop_signal, Some(3));
        let checks = seen.checks.unwrap();
        assert_eq!((checks.failing_streak, checks.timeout_ms), (4, 2_000));
        let log: Vec<(u64, i64, &str)> = checks
            .log
            .iter()
            .map(|check| {
                (
                    check.at.secs - 1_795_310_000,
                    check.exit_code,
                    &*check.output,
                )
            })
            .collect();
        assert_eq!(log, [(1, 2, "a"), (10, 1, "b")]);
    }

    #[test]
    fn a_container_without_a_check_has_none() {
        for state in [
            "",
            r#","Health":null"#,
            r#","Health":{"Status":"none","FailingStreak":0}"#,
        ] {
            let seen = seen(state, "");
            assert_eq!(seen.checks, None);
            assert_eq!(
                (
                    seen.container.exit.code,
                    seen.is_oom_killed,
                    seen.stop_signal
                ),
                (0, false, None)
            );
        }
    }
}
