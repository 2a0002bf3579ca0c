//! The engine's replies as typed results: pure.

use std::collections::BTreeMap;

use policy::{Call, Called};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ask::Ask;
use super::error::DockerError;
use super::exchange::Reply;
use super::inspected::Inspected;
use super::version::{ApiVersion, Refusal};

/// The engine's own words in errors are cut to this many bytes.
pub const MESSAGE_BYTES_MAX: usize = 512;
/// A beginning of an id names a container from this length on; the engine
/// itself shows ids so.
const ID_PREFIX_MIN: usize = 12;

/// Whether the reply is the engine's refusal of our API version.
pub(super) fn version_refusal(reply: &Reply) -> Option<Refusal> {
    if reply.status != 400 {
        return None;
    }
    Refusal::read(&message(reply))
}

/// The newest version that the engine speaks, from its answer to a ping. An
/// answer without it (a proxy dropped the header) counts as the oldest that we
/// speak: if the engine is beyond that, its refusal will say so.
pub(super) fn read_ping(ask: &Ask, reply: &Reply) -> Result<ApiVersion, DockerError> {
    succeeded(ask, reply)?;
    let Some(text) = &reply.api_version else {
        return Ok(ApiVersion::OLDEST);
    };
    let engine_newest = ApiVersion::parse(text).ok_or_else(|| DockerError::Reply {
        what: ask.what.clone(),
        why: format!("the header Api-Version is '{}'", cut(text)),
    })?;
    ApiVersion::agree(engine_newest).ok_or_else(|| DockerError::Version {
        engine: format!("{engine_newest} or older"),
    })
}

/// A container, or that there is none.
pub(super) fn read_inspect(
    ask: &Ask,
    reference: &str,
    reply: Reply,
) -> Result<Option<Inspected>, DockerError> {
    if reply.status == 404 && says_no_such_container(&message(&reply)) {
        return Ok(None);
    }
    succeeded(ask, &reply)?;
    let container = Inspected::parse(&reply.body?).map_err(|why| DockerError::Reply {
        what: ask.what.clone(),
        why,
    })?;
    if container.id == reference || container.name == reference {
        return Ok(Some(container));
    }
    if !container.id.starts_with(reference) {
        return Err(DockerError::Reply {
            what: ask.what.clone(),
            why: format!("it is about '{}' ({})", cut(&container.name), container.id),
        });
    }
    Ok((reference.len() >= ID_PREFIX_MIN).then_some(container))
}

/// The engine writes `No such container: x`, Podman
/// `no container with name or ID "x" found: no such container`.
pub(super) fn says_no_such_container(message: &str) -> bool {
    message.to_ascii_lowercase().contains("no such container")
}

/// How a restart or start went, from the reply's head alone where that suffices.
pub(super) fn read_called(call: Call, reply: &Reply) -> Called {
    match (call, reply.status) {
        (_, 200..=299) | (Call::Start | Call::Stop, 304) => Called::Done,
        (_, status) => Called::Refused {
            status,
            message: message(reply),
        },
    }
}

/// What `GET /version` tells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EngineVersion {
    /// `20.10.24`.
    #[serde(rename = "Version")]
    pub version: String,
    /// The newest API version that the engine speaks: `1.41`.
    #[serde(rename = "ApiVersion")]
    pub api_version: String,
    /// The oldest, empty where it does not say.
    #[serde(rename = "MinAPIVersion", default)]
    pub api_version_min: String,
    /// Operating system of the engine.
    #[serde(rename = "Os", default)]
    pub os: String,
    /// Its machine's architecture.
    #[serde(rename = "Arch", default)]
    pub arch: String,
    #[serde(rename = "Components", default)]
    components: Option<Vec<Component>>,
}

/// A part of the engine, as `GET /version` lists them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Component {
    #[serde(rename = "Name", default)]
    name: String,
}

impl EngineVersion {
    /// What people call it, with its version: `Docker 20.10.24`, `Podman 4.3.1`.
    pub fn named(&self) -> String {
        let is_podman = |part: &Component| part.name.starts_with("Podman");
        let name = match self.components.iter().flatten().any(is_podman) {
            true => "Podman",
            false => "Docker",
        };
        format!("{name} {}", self.version)
    }
}

/// One line of the list of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// 64 hex digits.
    pub id: String,
    /// Canonical name, without the leading `/`.
    pub name: String,
    /// As the engine calls it: `running`, `exited`, …
    pub state: String,
    /// The container's labels.
    pub labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ListedJson {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Names", default)]
    names: Option<Vec<String>>,
    #[serde(rename = "State", default)]
    state: String,
    #[serde(rename = "Labels", default)]
    labels: Option<BTreeMap<String, String>>,
}

pub(super) fn read_list(ask: &Ask, reply: Reply) -> Result<Vec<Listed>, DockerError> {
    let rows: Vec<ListedJson> = read_json(ask, reply)?;
    let mut listed: Vec<Listed> = rows
        .into_iter()
        .map(|row| Listed {
            name: canonical_name(row.names.unwrap_or_default()),
            id: row.id,
            state: row.state,
            labels: row.labels.unwrap_or_default(),
        })
        .collect();
    listed.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(listed)
}

/// Links add names such as `/web/db`: the canonical one has a single slash.
pub(super) fn canonical_name(names: Vec<String>) -> String {
    names
        .into_iter()
        .filter_map(|name| name.strip_prefix('/').map(str::to_owned))
        .find(|name| !name.contains('/'))
        .unwrap_or_default()
}

pub(super) fn read_json<T: DeserializeOwned>(ask: &Ask, reply: Reply) -> Result<T, DockerError> {
    succeeded(ask, &reply)?;
    serde_json::from_slice(&reply.body?).map_err(|error| DockerError::Reply {
        what: ask.what.clone(),
        why: error.to_string(),
    })
}

/// The body as it is.
pub(super) fn read_bytes(ask: &Ask, reply: Reply) -> Result<Vec<u8>, DockerError> {
    succeeded(ask, &reply)?;
    reply.body
}

fn succeeded(ask: &Ask, reply: &Reply) -> Result<(), DockerError> {
    if (200..=201).contains(&reply.status) {
        return Ok(());
    }
    Err(refused(ask, reply))
}

/// A status that is none of those hoped for.
pub(super) fn refused(ask: &Ask, reply: &Reply) -> DockerError {
    DockerError::Status {
        what: ask.what.clone(),
        status: reply.status,
        message: message(reply),
    }
}

/// The engine's own words: `{"message":"…"}`, or (old engines and proxies) plain text.
pub(super) fn message(reply: &Reply) -> String {
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let body = match &reply.body {
        Ok(body) => body,
        Err(error) => return cut(&format!("(no words: {error})")),
    };
    match serde_json::from_slice::<Message>(body) {
        Ok(Message { message }) => cut(&message),
        Err(_) => cut(&String::from_utf8_lossy(body)),
    }
}

/// At most [`MESSAGE_BYTES_MAX`] bytes, on one line, without control characters.
fn cut(text: &str) -> String {
    let mut end = MESSAGE_BYTES_MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let line = text[..end].trim();
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "a5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            api_version: None,
            path_stat: None,
            body: Ok(body.as_bytes().to_vec()),
        }
    }

    fn broken_body(status: u16) -> Reply {
        Reply {
            body: Err(DockerError::Broken {
                what: "restart".to_owned(),
                why: "reset".to_owned(),
            }),
            ..reply(status, "")
        }
    }

    #[test]
    fn an_engine_is_called_what_it_is() {
        for (components, named) in [
            ("", "Docker 4.3.1"),
            (r#","Components":null"#, "Docker 4.3.1"),
            (
                r#","Components":[{"Name":"Engine"},{"Name":"containerd"}]"#,
                "Docker 4.3.1",
            ),
            (
                r#","Components":[{"Name":"Podman Engine"},{"Name":"Conmon"}]"#,
                "Podman 4.3.1",
            ),
        ] {
            let body = format!(r#"{{"Version":"4.3.1","ApiVersion":"1.41"{components}}}"#);
            let read = read_json::<EngineVersion>(&Ask::version(), reply(200, &body));
            assert_eq!(read.unwrap().named(), named);
        }
    }

    fn container(id: &str, name: &str) -> String {
        format!(
            r#"{{"Id":"{id}","Name":"/{name}","State":{{"Status":"running",
            "StartedAt":"2026-11-22T01:13:21.5Z","FinishedAt":"0001-01-01T00:00:00Z"}},
            "Config":{{}}}}"#
        )
    }

    #[test]
    fn inspect_answers_only_about_the_container_that_was_meant() {
        let check = |reference: &str, reply: Reply| {
            let ask = Ask::inspect(reference);
            read_inspect(&ask, reference, reply)
                .map(|found| found.map(|container| container.name))
                .map_err(|error| error.to_string())
        };
        let web = container(ID, "web");
        let found = Ok(Some("web".to_owned()));
        assert_eq!(check("web", reply(200, &web)), found);
        assert_eq!(check(ID, reply(200, &web)), found);
        assert_eq!(check(&ID[..12], reply(200, &web)), found);
        assert_eq!(
            check(&ID[..11], reply(200, &web)),
            Ok(None),
            "too short a prefix"
        );
        let lie = check("other", reply(200, &web)).unwrap_err();
        assert!(lie.contains("it is about 'web'"), "{lie}");

        let gone = r#"{"message":"No such container: web"}"#;
        assert_eq!(check("web", reply(404, gone)), Ok(None));
        let podman =
            r#"{"message":"no container with name or ID \"web\" found: no such container"}"#;
        assert_eq!(check("web", reply(404, podman)), Ok(None));
    }

    #[test]
    fn a_404_of_another_kind_is_no_absence() {
        let ask = Ask::inspect("web");
        for body in [r#"{"message":"page not found"}"#, "404 page not found", ""] {
            let error = read_inspect(&ask, "web", reply(404, body)).unwrap_err();
            assert!(
                matches!(error, DockerError::Status { status: 404, .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn errors_carry_the_engines_words_and_the_request() {
        let ask = Ask::inspect("web");
        for (reply, expected) in [
            (
                reply(500, r#"{"message":"disk I/O error"}"#),
                "answered 500: disk I/O error",
            ),
            (reply(500, "plain\nwords\x1b"), "answered 500: plain words"),
            (reply(403, "Forbidden"), "socket proxy"),
            (reply(204, ""), "answered 204"),
            (reply(200, "{"), "cannot be understood"),
            (broken_body(500), "no words"),
        ] {
            let error = read_inspect(&ask, "web", reply).unwrap_err().to_string();
            assert!(error.contains("inspect of container 'web'"), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn long_words_are_cut_at_the_limit_on_a_character() {
        let at_limit = "x".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(cut(&at_limit), at_limit);
        assert_eq!(cut(&format!("{at_limit}y")), at_limit);
        let two_bytes_each = "é".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(
            cut(&format!("x{two_bytes_each}")).len(),
            MESSAGE_BYTES_MAX - 1
        );
    }

    #[test]
    fn calls_are_done_only_when_the_engine_says_so() {
        let refused = |status, message: &str| Called::Refused {
            status,
            message: message.to_owned(),
        };
        for (call, reply, expected) in [
            (Call::Restart, reply(204, ""), Called::Done),
            (Call::Restart, reply(200, "{}"), Called::Done),
            (Call::Restart, broken_body(204), Called::Done),
            (Call::Start, reply(204, ""), Called::Done),
            (Call::Start, reply(304, ""), Called::Done),
            (Call::Restart, reply(304, ""), refused(304, "")),
            (
                Call::Restart,
                reply(409, r#"{"message":"container is marked for removal"}"#),
                refused(409, "container is marked for removal"),
            ),
            (Call::Restart, reply(301, "moved"), refused(301, "moved")),
            (Call::Start, reply(500, "oops"), refused(500, "oops")),
        ] {
            assert_eq!(read_called(call, &reply), expected);
        }
    }

    #[test]
    fn ping_agrees_the_version() {
        let ask = Ask::ping();
        let ping = |header: Option<&str>| Reply {
            api_version: header.map(str::to_owned),
            path_stat: None,
            ..reply(200, "OK")
        };
        let read = |header| read_ping(&ask, &ping(header)).map_err(|error| error.to_string());
        assert_eq!(read(Some("1.41")), Ok(ApiVersion::new(1, 41)));
        assert_eq!(read(Some("1.99")), Ok(ApiVersion::NEWEST));
        assert_eq!(read(None), Ok(ApiVersion::OLDEST));
        assert!(
            read(Some("1.40"))
                .unwrap_err()
                .contains("speaks API 1.40 or older")
        );
        assert!(
            read(Some("latest"))
                .unwrap_err()
                .contains("Api-Version is 'latest'")
        );
    }

    #[test]
    fn lists_are_ordered_by_canonical_name() {
        let body = r#"[
            {"Id":"2","Names":["/web/db","/zeta"],"State":"running","Labels":{"healer.enable":"true"}},
            {"Id":"1","Names":["/alpha"],"State":"exited","Labels":null,"Extra":1},
            {"Id":"0","Names":null}]"#;
        let listed = read_list(&Ask::list(), reply(200, body)).unwrap();
        let names: Vec<&str> = listed.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["", "alpha", "zeta"]);
        assert_eq!(listed[2].labels["healer.enable"], "true");
        assert_eq!(listed[1].state, "exited");
    }
}
