//! What can go wrong between us and the engine, in words that say what to do.

use std::fmt;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::version::ApiVersion;

/// Why a request to the engine has no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerError {
    /// The socket could not be connected to.
    Socket {
        /// Its path.
        socket: PathBuf,
        /// What is wrong with it.
        problem: SocketProblem,
    },
    /// The engine was too slow.
    TimedOut {
        /// `inspect of container 'x'`.
        what: String,
        /// What was being waited for.
        phase: Phase,
        /// The whole request's limit.
        limit: Duration,
    },
    /// The connection ended in the middle, or what came was not HTTP.
    Broken {
        /// As above.
        what: String,
        /// hyper's words.
        why: String,
    },
    /// The engine answered with an error.
    Status {
        /// As above.
        what: String,
        /// HTTP status.
        status: u16,
        /// The engine's own words, cut to 512 bytes.
        message: String,
    },
    /// The reply is larger than anything that is expected.
    TooLarge {
        /// As above.
        what: String,
        /// The limit for this kind of reply, bytes.
        limit_bytes: usize,
    },
    /// The reply could not be understood.
    Reply {
        /// As above.
        what: String,
        /// Which part of it, and why.
        why: String,
    },
    /// The engine and we have no API version in common.
    Version {
        /// What the engine speaks, as far as it said: `1.40 or older`.
        engine: String,
    },
}

/// What was being waited for when time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Phase {
    Connect,
    Head,
    Body,
}

/// Why the socket could not be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketProblem {
    /// There is no such file.
    Missing,
    /// The file is there, but it is no socket.
    NotASocket,
    /// Nobody listens on it.
    Refused,
    /// The file mode, or a directory above it, keeps us out.
    Denied(Denied),
    /// The operating system's words.
    Other(String),
}

/// Who may, and who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// (user id, group id, mode) of the socket; none where a directory above
    /// it cannot be entered.
    pub socket: Option<(u32, u32, u32)>,
    /// Our effective user id.
    pub our_uid: u32,
    /// Our effective group id and supplementary groups, ascending.
    pub our_gids: Vec<u32>,
}

impl DockerError {
    /// Looks at the socket's file to say what a failed connect means.
    pub(super) fn from_connect(socket: &Path, error: &io::Error) -> Self {
        let problem = match error.kind() {
            io::ErrorKind::NotFound => SocketProblem::Missing,
            io::ErrorKind::PermissionDenied => SocketProblem::Denied(Denied::look(socket)),
            io::ErrorKind::ConnectionRefused if is_no_socket(socket) => SocketProblem::NotASocket,
            io::ErrorKind::ConnectionRefused => SocketProblem::Refused,
            _ => SocketProblem::Other(error.to_string()),
        };
        Self::Socket {
            socket: socket.to_owned(),
            problem,
        }
    }
}

fn is_no_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| !meta.file_type().is_socket())
}

impl Denied {
    fn look(socket: &Path) -> Self {
        let meta = std::fs::metadata(socket).ok();
        let mut our_gids: Vec<u32> = rustix::process::getgroups()
            .unwrap_or_default()
            .into_iter()
            .map(|gid| gid.as_raw())
            .chain([rustix::process::getegid().as_raw()])
            .collect();
        our_gids.sort_unstable();
        our_gids.dedup();
        Self {
            socket: meta.map(|meta| (meta.uid(), meta.gid(), meta.mode() & 0o7777)),
            our_uid: rustix::process::geteuid().as_raw(),
            our_gids,
        }
    }
}

impl std::error::Error for DockerError {}

impl fmt::Display for DockerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket { socket, problem } => {
                write!(
                    f,
                    "cannot connect to the Docker socket {}: {problem}",
                    socket.display()
                )
            }
            Self::TimedOut { what, phase, limit } => write!(
                f,
                "{what} timed out after {} ms {phase}; the engine is overloaded or hung \
                 (see `docker info` and the engine's log)",
                limit.as_millis()
            ),
            Self::Broken { what, why } => write!(
                f,
                "{what}: the connection to the engine broke ({why}); it was stopped or crashed \
                 (see the engine's log)"
            ),
            Self::Status {
                what,
                status,
                message,
            } => write!(
                f,
                "{what}: the engine answered {status}: {message}{}",
                hint(*status)
            ),
            Self::TooLarge { what, limit_bytes } => write!(
                f,
                "{what}: the reply is larger than {limit_bytes} bytes, the limit; is this really \
                 a Docker Engine?"
            ),
            Self::Reply { what, why } => write!(
                f,
                "{what}: the reply cannot be understood: {why}; is this really a Docker Engine?"
            ),
            Self::Version { engine } => write!(
                f,
                "the engine speaks API {engine}, this healer {} to {}: upgrade the older of the two",
                ApiVersion::OLDEST,
                ApiVersion::NEWEST
            ),
        }
    }
}

/// A proxy in front of the socket answers 403 for what it does not let through.
fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            " (a socket proxy or an authorization plugin forbids it: allow GET and POST on \
             containers, _ping and version)"
        }
        _ => "",
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "while connecting",
            Self::Head => "waiting for the reply",
            Self::Body => "in the middle of the reply",
        })
    }
}

impl fmt::Display for SocketProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "there is no such file; is Docker running, and in a container: is the socket mounted?",
            ),
            Self::NotASocket => f.write_str("this file is not a socket; check the configured path"),
            Self::Refused => {
                f.write_str("nobody listens on it; is Docker running? (systemctl status docker)")
            }
            Self::Denied(denied) => denied.fmt(f),
            Self::Other(why) => write!(f, "{why}"),
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gids: Vec<String> = self.our_gids.iter().map(u32::to_string).collect();
        write!(
            f,
            "permission denied: we are user {} in group(s) {}",
            self.our_uid,
            gids.join(", ")
        )?;
        let Some((uid, gid, mode)) = self.socket else {
            return f.write_str(", and a directory above it does not let us in");
        };
        write!(
            f,
            ", the socket is of user {uid}, group {gid}, mode {mode:04o}; "
        )?;
        if mode & 0o060 != 0o060 {
            write!(
                f,
                "its mode lets no group in: chmod g+rw it, or run the healer as user {uid}"
            )
        } else if self.our_gids.contains(&gid) {
            f.write_str("its mode should let us in: look for SELinux or AppArmor refusals")
        } else {
            write!(
                f,
                "put us in group {gid} (compose: group_add: [\"{gid}\"], systemd: \
                 SupplementaryGroups={gid}, docker run: --group-add {gid})"
            )
        }
    }
}
