//! The list of all containers, taken in row by row: a host may have thousands of them, and of
//! most nothing is to be kept.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::HealthStatus;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::ask::Ask;
use super::client::Client;
use super::error::{DockerError, Phase};
use super::events::health_status;
use super::exchange::{Deadline, timed_out};
use super::wire::canonical_name;
use crate::dependencies::network_parent;

/// Most bytes of one row: labels are all of it that can be long.
const ROW_BYTES_MAX: usize = 1 << 20;

/// One container of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// 64 hex digits.
    pub id: String,
    /// Canonical name, without the leading `/`.
    pub name: String,
    /// As the engine calls it: `running`, `exited`, ...
    pub state: String,
    /// What its health check says.
    pub health: RowHealth,
    /// The container's labels.
    pub labels: BTreeMap<String, String>,
    /// The id of the container whose network it shares (`HostConfig.NetworkMode`).
    pub network_parent: Option<String>,
}

/// What a row tells of a container's health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowHealth {
    /// It has none, or the engine does not tell it here.
    Unknown,
    /// This.
    Is(HealthStatus),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RowJson {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    health: Option<HealthJson>,
    #[serde(default)]
    host_config: HostConfigJson,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfigJson {
    network_mode: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthJson {
    #[serde(default)]
    status: String,
}

impl Client {
    /// All containers, running or not, put into `rows` as they come; whoever takes them
    /// out sets the pace. On an error those that came before it have been put in.
    pub async fn each_listed(
        &self,
        deadline: Duration,
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<(), DockerError> {
        let ask = Ask::list();
        let deadline = Deadline::after(deadline);
        let mut stream = self.stream(&ask, deadline).await?;
        let mut objects = Objects::default();
        let unreadable = |why: String| DockerError::Reply {
            what: ask.what.clone(),
            why,
        };
        let mut bytes_read = 0;
        loop {
            let next = timeout_at(deadline.at, stream.next()).await;
            let Some(bytes) = next.map_err(|_| timed_out(&ask, Phase::Body, deadline))?? else {
                break;
            };
            bytes_read += bytes.len();
            if bytes_read > ask.body_bytes_max {
                return Err(DockerError::TooLarge {
                    what: ask.what.clone(),
                    limit_bytes: ask.body_bytes_max,
                });
            }
            let mut read = Vec::new();
            let each = |object: &[u8]| Row::parse(object).map(|row| read.push(row));
            objects.feed(&bytes, each).map_err(unreadable)?;
            // Whoever took them has lost interest only where the process is stopping.
            let _ = rows.send(read).await;
        }
        objects.finish().map_err(unreadable)
    }
}

impl Row {
    fn parse(object: &[u8]) -> Result<Self, String> {
        let json: RowJson = serde_json::from_slice(object).map_err(|error| error.to_string())?;
        let word = json.health.map(|health| health.status).unwrap_or_default();
        let status = health_status(&word).or_else(|| in_words(&json.status));
        Ok(Self {
            name: canonical_name(json.names.unwrap_or_default()),
            id: json.id,
            state: json.state,
            health: status.map_or(RowHealth::Unknown, RowHealth::Is),
            labels: json.labels.unwrap_or_default(),
            network_parent: network_parent(&json.host_config.network_mode).map(str::to_owned),
        })
    }
}

/// `Up 3 minutes (unhealthy)`, `Up 2 seconds (health: starting)`.
fn in_words(status: &str) -> Option<HealthStatus> {
    let (_, inside) = status.rsplit_once('(')?;
    let word = inside.trim_end().strip_suffix(')')?;
    health_status(word.strip_prefix("health: ").unwrap_or(word))
}

/// Cuts an array of objects into its objects as its bytes come: pure. It knows strings and
/// depth and no more of JSON: what an object is made of is for its reader to judge.
#[derive(Debug, Default)]
struct Objects {
    /// The object that has begun.
    object: Vec<u8>,
    depth: u32,
    in_string: bool,
    is_escaped: bool,
    has_begun: bool,
    has_ended: bool,
}

impl Objects {
    fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut from = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if self.depth == 0 {
                if byte == b'{' && self.has_begun && !self.has_ended {
                    self.depth = 1;
                    from = at;
                } else {
                    self.between(byte)?;
                }
                continue;
            }
            self.inside(byte);
            if self.depth == 0 {
                self.keep(&bytes[from..=at])?;
                each(&self.object)?;
                self.object.clear();
            }
        }
        if self.depth > 0 {
            self.keep(&bytes[from..])?;
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.object.len() + bytes.len() > ROW_BYTES_MAX {
            return Err(format!(
                "a container's row is longer than {ROW_BYTES_MAX} bytes"
            ));
        }
        self.object.extend_from_slice(bytes);
        Ok(())
    }

    fn between(&mut self, byte: u8) -> Result<(), String> {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b'[' if !self.has_begun => self.has_begun = true,
            b',' if self.has_begun && !self.has_ended => {}
            b']' if self.has_begun && !self.has_ended => self.has_ended = true,
            _ => return Err("it is not a list of objects".to_owned()),
        }
        Ok(())
    }

    fn inside(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
    }

    /// That the array has ended.
    fn finish(&self) -> Result<(), String> {
        match self.has_ended {
            true => Ok(()),
            false => Err("it is cut off".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(pieces: &[&[u8]]) -> Result<Vec<String>, String> {
        let mut objects = Objects::default();
        let mut found = Vec::new();
        for piece in pieces {
            objects.feed(piece, |object| {
                found.push(String::from_utf8_lossy(object).into_owned());
                Ok(())
            })?;
        }
        objects.finish().map(|()| found)
    }

    #[test]
    fn a_list_is_cut_into_its_objects_wherever_its_pieces_end() {
        let list = br#" [ {"a":"}\"]{"} ,{"b":[{"c":1},[]]},{}]
"#;
        let expected = [r#"{"a":"}\"]{"}"#, r#"{"b":[{"c":1},[]]}"#, "{}"];
        for cut in 0..=list.len() {
            let (a, b) = list.split_at(cut);
            assert_eq!(objects(&[a, b]).unwrap(), expected, "cut at {cut}");
        }
        assert_eq!(objects(&[b"[]"]).unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_no_whole_list_is_an_error() {
        for bytes in [
            "",
            "[",
            "[{}",
            "[{},",
            r#"[{"a":"]}"#,
            "{}",
            "null",
            "[{}]]",
            "[1]",
        ] {
            assert!(objects(&[bytes.as_bytes()]).is_err(), "{bytes}");
        }
    }

    #[test]
    fn a_row_may_be_as_long_as_the_limit_and_no_longer() {
        let row = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
        for (bytes, fits) in [(ROW_BYTES_MAX, true), (ROW_BYTES_MAX + 1, false)] {
            let list = format!("[{}]", row(bytes));
            let pieces: Vec<&[u8]> = list.as_bytes().chunks(4_096).collect();
            assert_eq!(objects(&pieces).is_ok(), fits, "{bytes}");
            assert_eq!(objects(&[list.as_bytes()]).is_ok(), fits, "{bytes}");
        }
    }

    #[test]
    fn rows_tell_health_in_words_or_by_a_field() {
        use HealthStatus::{Healthy, Starting, Unhealthy};
        let health = |more: &str| {
            let row = format!(r#"{{"Id":"1","Names":["/a/b","/web"],"State":"running"{more}}}"#);
            let row = Row::parse(row.as_bytes()).unwrap();
            assert_eq!(row.name, "web");
            row.health
        };
        for (more, expected) in [
            (
                r#","Status":"Up 3 minutes (unhealthy)""#,
                RowHealth::Is(Unhealthy),
            ),
            (
                r#","Status":"Up 3 minutes (healthy)""#,
                RowHealth::Is(Healthy),
            ),
            (
                r#","Status":"Up 1 second (health: starting)""#,
                RowHealth::Is(Starting),
            ),
            (r#","Status":"Up 3 minutes""#, RowHealth::Unknown),
            (
                r#","Status":"Exited (137) 2 hours ago""#,
                RowHealth::Unknown,
            ),
            (r#","Status":"Up 3 minutes (Paused)""#, RowHealth::Unknown),
            (
                r#","Health":{"Status":"unhealthy","FailingStreak":4}"#,
                RowHealth::Is(Unhealthy),
            ),
            (r#","Health":{"Status":"none"}"#, RowHealth::Unknown),
            (r#","Labels":null"#, RowHealth::Unknown),
        ] {
            assert_eq!(health(more), expected, "{more}");
        }
    }
}
