//! Whether a file is there in a container that may be down: the engine's archive call, asked
//! for its head alone. Nothing of the file is read.
//!
//! Keeps true:
//! - a file counts as missing only where the engine itself says so of a container that is
//!   there: its 404 to a HEAD has no words, so the container is asked for afterwards, and one
//!   without the engine's own header (a proxy's) is an error;
//! - links are followed as the container would, [`LINKS_MAX`] of them, and never lead out of it;
//! - every look has one deadline over all its requests.
//!
//! The engine sees the container's own files, its volumes and bind mounts. What it had on a
//! tmpfs is gone with its end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::ask::{self, Ask};
use super::client::Client;
use super::error::DockerError;
use super::exchange::{Deadline, Reply};
use super::wire;

/// Engines say where a link leads in the end; those that say the next step only are asked so
/// often.
const LINKS_MAX: usize = 8;

/// The kinds of file in the mode that the engine tells: Go's `os.FileMode`.
const MODE_DIR: u32 = 1 << 31;
const MODE_LINK: u32 = 1 << 27;
/// Directory, link, device, pipe, socket, character device, irregular.
const MODE_KINDS: u32 =
    MODE_DIR | MODE_LINK | (1 << 26) | (1 << 25) | (1 << 24) | (1 << 21) | (1 << 19);

/// What is at a path in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtPath {
    /// A file, of any size.
    File {
        /// Bytes.
        size: u64,
    },
    /// Nothing, or a link to nothing.
    Nothing,
    /// A directory.
    Directory,
    /// A device, a pipe, a socket.
    Special,
}

impl Client {
    /// What is at this absolute path in a container, running or not:
    /// `HEAD /containers/{id}/archive`. None where the engine says that there is no such
    /// container.
    ///
    /// # Errors
    /// Also where the path leads in a circle of links, or through something that is no
    /// directory: the engine answers 500 then, without a reason.
    pub async fn at_path(
        &self,
        container_id: &str,
        path: &str,
        deadline: Duration,
    ) -> Result<Option<AtPath>, DockerError> {
        if !ask::can_name_a_container(container_id) {
            return Ok(None);
        }
        let deadline = Deadline::after(deadline);
        let mut path = PathBuf::from(path);
        for _ in 0..=LINKS_MAX {
            let ask = Ask::archive_head(container_id, &path.to_string_lossy());
            let reply = self.ask(&ask, deadline).await?;
            let Some(stat) = read(&ask, &reply)? else {
                let is_there = self.is_there(container_id, deadline).await?;
                return Ok(is_there.then_some(AtPath::Nothing));
            };
            match stat.kind() {
                Kind::Is(found) => return Ok(Some(found)),
                Kind::LinkTo(target) => path = beside(&path, &target),
            }
        }
        let ask = Ask::archive_head(container_id, &path.to_string_lossy());
        Err(cannot_be_read(
            &ask,
            format!("more than {LINKS_MAX} links lead on"),
        ))
    }

    async fn is_there(&self, id: &str, deadline: Deadline) -> Result<bool, DockerError> {
        let ask = Ask::inspect(id);
        let reply = self.ask(&ask, deadline).await?;
        wire::read_inspect(&ask, id, reply).map(|container| container.is_some())
    }
}

/// None where the engine says that there is no such file, or no such container.
fn read(ask: &Ask, reply: &Reply) -> Result<Option<Stat>, DockerError> {
    match (reply.status, &reply.path_stat) {
        (200, Some(stat)) => Stat::parse(stat)
            .map(Some)
            .map_err(|why| cannot_be_read(ask, why)),
        (200, None) => {
            let why = format!("it has no header {PATH_STAT}");
            Err(cannot_be_read(ask, why))
        }
        (404, _) if reply.api_version.is_some() => Ok(None),
        (status, _) => Err(DockerError::Status {
            what: ask.what.clone(),
            status,
            message: match status {
                404 => "not in the engine's own words: is there a proxy before it?".to_owned(),
                500 => "without a reason: does the path lead in a circle of links, or through \
                        something that is no directory?"
                    .to_owned(),
                _ => "without a reason, as to every HEAD".to_owned(),
            },
        }),
    }
}

/// The header that tells of the file.
pub(super) const PATH_STAT: &str = "x-docker-container-path-stat";

/// Most bytes of it: two paths of 4,096 bytes each, in JSON and base64.
const PATH_STAT_BYTES_MAX: usize = 64 << 10;

/// The header's content: base64 of JSON.
#[derive(Debug, Deserialize)]
struct Stat {
    #[serde(default)]
    size: i64,
    mode: u32,
    #[serde(default, rename = "linkTarget")]
    link_target: String,
}

enum Kind {
    Is(AtPath),
    LinkTo(String),
}

impl Stat {
    fn parse(header: &str) -> Result<Self, String> {
        if header.len() > PATH_STAT_BYTES_MAX {
            return Err(format!(
                "{PATH_STAT} has {} bytes, {PATH_STAT_BYTES_MAX} are the most",
                header.len()
            ));
        }
        let json = BASE64_STANDARD
            .decode(header.trim())
            .map_err(|error| format!("{PATH_STAT} is no base64: {error}"))?;
        serde_json::from_slice(&json).map_err(|error| format!("{PATH_STAT}: {error}"))
    }

    fn kind(self) -> Kind {
        if self.mode & MODE_LINK != 0 {
            return Kind::LinkTo(self.link_target);
        }
        Kind::Is(match self.mode & MODE_KINDS {
            0 => AtPath::File {
                size: u64::try_from(self.size).unwrap_or(0),
            },
            MODE_DIR => AtPath::Directory,
            _ => AtPath::Special,
        })
    }
}

/// Where a link at `path` leads: the engine resolves it, and so never out of the container.
fn beside(path: &Path, target: &str) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).join(target)
}

fn cannot_be_read(ask: &Ask, why: String) -> DockerError {
    DockerError::Reply {
        what: ask.what.clone(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, api_version: Option<&str>, stat: Option<&str>) -> Reply {
        Reply {
            status,
            api_version: api_version.map(str::to_owned),
            path_stat: stat.map(|stat| BASE64_STANDARD.encode(stat)),
            body: Ok(Vec::new()),
        }
    }

    fn ask() -> Ask {
        Ask::archive_head("ab", "/x")
    }

    #[test]
    fn the_header_tells_what_it_is() {
        for (mode, size, expected) in [
            (0o644_u32, 42, AtPath::File { size: 42 }),
            (0o644, 0, AtPath::File { size: 0 }),
            // What an engine of Docker 20.10 tells.
            (2_147_484_141, 4_096, AtPath::Directory),
            (33_554_852, 0, AtPath::Special),
            ((1 << 26) | (1 << 21), 0, AtPath::Special),
        ] {
            let stat = format!(r#"{{"name":"x","size":{size},"mode":{mode},"linkTarget":""}}"#);
            let stat = read(&ask(), &reply(200, Some("1.41"), Some(&stat)));
            let Kind::Is(found) = stat.unwrap().unwrap().kind() else {
                panic!("{mode} is no link");
            };
            assert_eq!(found, expected, "{mode:o}");
        }
        let link = r#"{"name":"l","size":9,"mode":134218239,"linkTarget":"/vol/p"}"#;
        let stat = read(&ask(), &reply(200, Some("1.41"), Some(link)));
        assert!(
            matches!(stat.unwrap().unwrap().kind(), Kind::LinkTo(target) if target == "/vol/p")
        );
    }

    #[test]
    fn only_the_engines_own_404_is_an_absence() {
        assert!(
            read(&ask(), &reply(404, Some("1.41"), None))
                .unwrap()
                .is_none()
        );
        for (reply, words) in [
            (reply(404, None, None), "a proxy before it?"),
            (reply(403, None, None), "forbids it"),
            (reply(500, Some("1.41"), None), "circle of links"),
            (reply(200, Some("1.41"), None), PATH_STAT),
            (reply(200, Some("1.41"), Some("{}")), "mode"),
            (reply(200, Some("1.41"), Some("not JSON")), PATH_STAT),
        ] {
            let error = read(&ask(), &reply).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn the_header_has_a_limit() {
        let pad = |bytes: usize| "A".repeat(bytes);
        let why = |bytes| Stat::parse(&pad(bytes)).unwrap_err();
        assert!(!why(PATH_STAT_BYTES_MAX).contains("are the most"));
        assert!(why(PATH_STAT_BYTES_MAX + 1).contains("are the most"));
    }

    #[test]
    fn a_link_leads_on_from_where_it_is() {
        for (path, target, leads) in [
            ("/a/b", "/c/d", "/c/d"),
            ("/a/b", "d", "/a/d"),
            ("/b", "d", "/d"),
        ] {
            assert_eq!(beside(Path::new(path), target), Path::new(leads));
        }
    }
}
