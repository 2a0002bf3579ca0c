//! One container out of `GET /containers/{id}/json`: pure.

use std::collections::BTreeMap;

use policy::{ContainerState, Facts, Health, HealthStatus, Timestamp, WallTime};
use serde::Deserialize;

use super::network::{Network, NetworkSettingsJson, read_network};
use super::rfc3339::parse_rfc3339;

/// Docker's own interval of health checks, where a container sets none.
const HEALTH_INTERVAL_DEFAULT_MS: u64 = 30_000;

/// What the engine says about one container, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// 64 hex digits.
    pub id: String,
    /// Canonical name, without the leading `/`.
    pub name: String,
    /// `State.Status`.
    pub state: ContainerState,
    /// `State.StartedAt`; none where it never started.
    pub started_at: Option<WallTime>,
    /// `State.FinishedAt`; none where it never finished.
    pub finished_at: Option<WallTime>,
    /// `State.Health`; none without a health check.
    pub health: Option<Health>,
    /// `Config.Labels`.
    pub labels: BTreeMap<String, String>,
    /// `Config.StopTimeout` in seconds; none = the engine's default, 10 s.
    pub stop_timeout_s: Option<i64>,
    /// Where it can be reached.
    pub network: Network,
    /// How it ends.
    pub exit: Exit,
}

/// How a container ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exit {
    /// `State.ExitCode`; means something only where it has ended.
    pub code: i64,
    /// Whether its own restart policy brings it back whatever that code (see
    /// [`always_restarts`]): then it is not one that runs once and is done.
    pub is_always_restarted: bool,
}

/// Whether a restart policy of this name starts a container again however it ends, unless
/// somebody stops it.
pub fn always_restarts(policy: &str) -> bool {
    matches!(policy, "always" | "unless-stopped")
}

impl Inspected {
    /// For the policy: with when it was asked, and whether this is a container
    /// that must not be touched because it is part of the healing itself.
    pub fn into_facts(self, read_at: Timestamp, is_self_or_peer: bool) -> Facts {
        Facts {
            id: self.id,
            name: self.name,
            state: self.state,
            started_at: self.started_at,
            finished_at: self.finished_at,
            health: self.health,
            labels: self.labels,
            stop_timeout_s: self.stop_timeout_s,
            is_self_or_peer,
            parents: Vec::new(),
            asked_to_end_at: None,
            read_at,
        }
    }

    /// Reads the reply's body. The error names the field.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let json: Json = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if json.id.len() != 64 || !json.id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("Id is not 64 hex digits".to_owned());
        }
        let name = json.name.strip_prefix('/').unwrap_or(&json.name);
        if name.is_empty() {
            return Err("Name is empty".to_owned());
        }
        let time = |field: &str, text: &str| {
            parse_rfc3339(text).map_err(|error| format!("State.{field}: {error}"))
        };
        let host = json.host_config.unwrap_or_default();
        let restart_policy = host.restart_policy.and_then(|policy| policy.name);
        Ok(Self {
            name: name.to_owned(),
            state: read_state(&json.state.status)?,
            started_at: time("StartedAt", &json.state.started_at)?,
            finished_at: time("FinishedAt", &json.state.finished_at)?,
            health: read_health(json.state.health, json.config.healthcheck)?,
            labels: json.config.labels.unwrap_or_default(),
            stop_timeout_s: json.config.stop_timeout,
            exit: Exit {
                code: json.state.exit_code,
                is_always_restarted: restart_policy.is_some_and(|name| always_restarts(&name)),
            },
            network: read_network(host.network_mode, json.network_settings),
            id: json.id,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Json {
    id: String,
    name: String,
    state: StateJson,
    config: ConfigJson,
    #[serde(default)]
    host_config: Option<HostConfigJson>,
    #[serde(default)]
    network_settings: Option<NetworkSettingsJson>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfigJson {
    network_mode: Option<String>,
    restart_policy: Option<RestartPolicyJson>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RestartPolicyJson {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StateJson {
    status: String,
    started_at: String,
    finished_at: String,
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    health: Option<HealthJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthJson {
    #[serde(default)]
    status: String,
    #[serde(default)]
    log: Option<Vec<CheckJson>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CheckJson {
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    start: String,
    #[serde(default)]
    end: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigJson {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    stop_timeout: Option<i64>,
    #[serde(default)]
    healthcheck: Option<HealthcheckJson>,
}

/// Nanoseconds.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct HealthcheckJson {
    #[serde(default)]
    interval: i64,
    #[serde(default)]
    start_period: i64,
}

fn read_state(status: &str) -> Result<ContainerState, String> {
    Ok(match status {
        "created" => ContainerState::Created,
        "running" => ContainerState::Running,
        "paused" => ContainerState::Paused,
        "restarting" => ContainerState::Restarting,
        "removing" => ContainerState::Removing,
        "exited" => ContainerState::Exited,
        "dead" => ContainerState::Dead,
        other => {
            let shown: String = other.chars().take(40).collect();
            return Err(format!(
                "State.Status is '{shown}', which this healer does not know"
            ));
        }
    })
}

fn read_health(
    health: Option<HealthJson>,
    check: Option<HealthcheckJson>,
) -> Result<Option<Health>, String> {
    let Some(health) = health else {
        return Ok(None);
    };
    let status = match health.status.as_str() {
        "starting" => HealthStatus::Starting,
        "healthy" => HealthStatus::Healthy,
        "unhealthy" => HealthStatus::Unhealthy,
        "" | "none" => return Ok(None),
        other => {
            let shown: String = other.chars().take(40).collect();
            return Err(format!(
                "State.Health.Status is '{shown}', which this healer does not know"
            ));
        }
    };
    let check = check.unwrap_or_default();
    let ms = |nanos: i64| u64::try_from(nanos / 1_000_000).unwrap_or(0);
    Ok(Some(Health {
        status,
        checked_at: confirmed_at(status, &health.log.unwrap_or_default()),
        start_period_ms: ms(check.start_period),
        interval_ms: match ms(check.interval) {
            0 => HEALTH_INTERVAL_DEFAULT_MS,
            interval => interval,
        },
    }))
}

/// When the newest check began, if it agrees with the status: a container stays
/// `healthy` until several checks in a row have failed, and a check that was
/// under way already says nothing about a later line. One that cannot be read
/// confirms nothing, which is the safe side: nothing counts as recovered by it.
fn confirmed_at(status: HealthStatus, log: &[CheckJson]) -> Option<WallTime> {
    let end = |check: &&CheckJson| parse_rfc3339(&check.end).ok().flatten();
    let newest = log
        .iter()
        .filter(|check| end(check).is_some())
        .max_by_key(|check| end(check).map(|end| (end.secs, end.nanos)))?;
    let agrees = match status {
        HealthStatus::Healthy => newest.exit_code == 0,
        HealthStatus::Unhealthy => newest.exit_code != 0,
        HealthStatus::Starting => false,
    };
    let began = parse_rfc3339(&newest.start).ok().flatten()?;
    agrees.then_some(began)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "a5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";

    fn parse(state: &str, config: &str) -> Result<Inspected, String> {
        let body = format!(
            r#"{{"Id":"{ID}","Name":"/web","RestartCount":0,"State":{{"Status":"running",
            "StartedAt":"2026-11-22T01:13:21.5Z","FinishedAt":"0001-01-01T00:00:00Z"{state}}},
            "Config":{{{config}}}}}"#
        );
        Inspected::parse(body.as_bytes())
    }

    #[test]
    fn reads_every_field_that_decisions_need() {
        let check = r#""Healthcheck":{"Test":["CMD","true"],"Interval":2000000000,
            "StartPeriod":1500000},"#;
        let container = parse(
            r#","Health":{"Status":"healthy","FailingStreak":0,"Log":[
                {"Start":"2026-11-22T02:13:30.25+01:00","End":"2026-11-22T02:13:31+01:00","ExitCode":0},
                {"Start":"2026-11-22T02:13:28.25+01:00","End":"2026-11-22T02:13:29+01:00","ExitCode":1},
                {"Start":"2026-11-22T02:13:40Z","End":"garbled"}]}"#,
            &format!(r#"{check}"StopTimeout":-1,"Labels":{{"healer.enable":"true"}}"#),
        )
        .unwrap();
        assert_eq!(
            container,
            Inspected {
                id: ID.to_owned(),
                name: "web".to_owned(),
                state: ContainerState::Running,
                started_at: Some(WallTime {
                    secs: 1_795_310_001,
                    nanos: Some(500_000_000)
                }),
                finished_at: None,
                health: Some(Health {
                    status: HealthStatus::Healthy,
                    checked_at: Some(WallTime {
                        secs: 1_795_310_010,
                        nanos: Some(250_000_000)
                    }),
                    start_period_ms: 1,
                    interval_ms: 2_000,
                }),
                labels: BTreeMap::from([("healer.enable".to_owned(), "true".to_owned())]),
                stop_timeout_s: Some(-1),
                network: Network::default(),
                exit: Exit::default(),
            }
        );
    }

    #[test]
    fn a_check_confirms_only_what_it_found_itself() {
        let checked_at = |status: &str, exit_code: i64| {
            let health = format!(
                r#","Health":{{"Status":"{status}","Log":[
                    {{"Start":"2026-11-22T01:13:20Z","End":"2026-11-22T01:13:21Z","ExitCode":0}},
                    {{"Start":"2026-11-22T01:13:30Z","End":"2026-11-22T01:13:31Z","ExitCode":{exit_code}}}]}}"#
            );
            let health = parse(&health, "").unwrap().health.unwrap();
            health.checked_at.map(|at| at.secs - 1_795_310_000)
        };
        assert_eq!(checked_at("healthy", 0), Some(10));
        // Healthy still, until several in a row have failed.
        assert_eq!(checked_at("healthy", 1), None);
        assert_eq!(checked_at("unhealthy", 1), Some(10));
        assert_eq!(checked_at("unhealthy", 0), None);
        assert_eq!(checked_at("starting", 0), None);
    }

    #[test]
    fn absent_and_null_fields_have_dockers_defaults() {
        let bare = parse("", "").unwrap();
        assert_eq!(bare.health, None);
        assert_eq!(bare.stop_timeout_s, None);
        assert!(bare.labels.is_empty());
        let nulls = parse(
            r#","Health":null"#,
            r#""Labels":null,"StopTimeout":null,"Healthcheck":null"#,
        );
        assert_eq!(nulls, Ok(bare.clone()));
        let no_check = parse(r#","Health":{"Status":"none"}"#, "");
        assert_eq!(no_check, Ok(bare));
        let no_log = parse(r#","Health":{"Status":"starting","Log":null}"#, "").unwrap();
        assert_eq!(
            no_log.health,
            Some(Health {
                status: HealthStatus::Starting,
                checked_at: None,
                start_period_ms: 0,
                interval_ms: HEALTH_INTERVAL_DEFAULT_MS,
            })
        );
    }

    #[test]
    fn reads_how_it_ends() {
        let exit = |name: &str| {
            let body = format!(
                r#"{{"Id":"{ID}","Name":"/web","State":{{"Status":"exited","StartedAt":"",
                "FinishedAt":"","ExitCode":3}},"Config":{{}},
                "HostConfig":{{"RestartPolicy":{{"Name":{name},"MaximumRetryCount":0}}}}}}"#
            );
            Inspected::parse(body.as_bytes()).unwrap().exit
        };
        for (name, is_always_restarted) in [
            ("\"always\"", true),
            ("\"unless-stopped\"", true),
            ("\"on-failure\"", false),
            ("\"no\"", false),
            ("\"\"", false),
            ("null", false),
        ] {
            let code = 3;
            assert_eq!(
                exit(name),
                Exit {
                    code,
                    is_always_restarted
                }
            );
        }
    }

    #[test]
    fn knows_all_states_and_no_others() {
        for (text, state) in [
            ("created", ContainerState::Created),
            ("running", ContainerState::Running),
            ("paused", ContainerState::Paused),
            ("restarting", ContainerState::Restarting),
            ("removing", ContainerState::Removing),
            ("exited", ContainerState::Exited),
            ("dead", ContainerState::Dead),
        ] {
            assert_eq!(read_state(text), Ok(state));
        }
        for text in ["", "Running", "stopping"] {
            let error = read_state(text).unwrap_err();
            assert!(
                error.contains(&format!("State.Status is '{text}'")),
                "{error}"
            );
        }
    }

    #[test]
    fn errors_name_the_field() {
        for (body, field) in [
            (r#"{}"#, "Id"),
            (
                r#"{"Id":"a5e0","Name":"/web","State":{"Status":"running","StartedAt":"","FinishedAt":""},"Config":{}}"#,
                "Id",
            ),
            ("[]", "Json"),
            ("", "EOF"),
        ] {
            let error = Inspected::parse(body.as_bytes()).unwrap_err();
            assert!(error.contains(field), "{error}");
        }
        let error = parse(r#","Health":{"Status":"dizzy"}"#, "").unwrap_err();
        assert!(error.contains("State.Health.Status is 'dizzy'"), "{error}");
        let body = format!(
            r#"{{"Id":"{ID}","Name":"/web","State":{{"Status":"running",
            "StartedAt":"soon","FinishedAt":""}},"Config":{{}}}}"#
        );
        let error = Inspected::parse(body.as_bytes()).unwrap_err();
        assert!(error.contains("State.StartedAt: 'soon'"), "{error}");
        let nameless = body.replace("/web", "/").replace("soon", "");
        assert_eq!(
            Inspected::parse(nameless.as_bytes()),
            Err("Name is empty".to_owned())
        );
    }
}
