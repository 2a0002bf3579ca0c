//! The executor's settings: read from defaults, file, environment and flags
//! (later ones win), checked once, then typed and in milliseconds.
//!
//! Kept true here:
//! - a `Config` that exists is valid: ranges are checked when it is made, and
//!   a fault names the key, the place (file, line and column; variable; flag)
//!   and what is allowed;
//! - an unknown key is a fault, never ignored;
//! - no setting holds a secret, only where it is, so all of them may be shown.
//!
//! Not here: what the settings do, and opening what they name.

mod beats;
mod bounds;
mod checks;
mod error;
mod file;
mod keys;
mod limits;
mod load;
mod maintenance;
mod notify;
mod reload;
mod remedies;
mod resolve;
mod unfinished;
mod values;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::calendar::Planned;

pub use beats::TokenPlace;
pub use checks::{
    Activity, Checks, Endpoint, HttpProbe, OutputSource, Outside, PROBES_MAX, Pace, Probe,
    ProbeKind, Silence, TargetChecks, from_url,
};
pub use error::ConfigError;
pub use keys::{is_key, nearest};
pub use load::{CONFIG_PATH, Sources};
pub use notify::{Email, MailTls, Notifier, NotifierKind, Rate, Route};
pub use reload::Reload;
pub use unfinished::{Gap, Unfinished};
pub use values::{parse_duration_ms, show_duration_ms};
pub use watch::{Died, Watch, WatchTarget};

/// Everything that `healer run` and the other commands go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the plugin and the CLI reach the executor.
    pub sockets: Sockets,
    /// The engine's Unix socket.
    pub docker_socket: PathBuf,
    /// The journal's private directory.
    pub state_dir: PathBuf,
    /// The original's report files.
    pub reports: Reports,
    /// Evidence of attempts, in the state directory.
    pub evidence: Evidence,
    /// Built-in packs and rule files, comma-separated; checked by `rules`.
    pub rules: String,
    /// Where the host's `/proc` is seen.
    pub procfs: PathBuf,
    /// Kernel records are sent: processes are remembered from the start.
    pub kernel_records: bool,
    /// The HTTP endpoint; none = off.
    pub http_listen: Option<SocketAddr>,
    /// The executor's own log.
    pub log: Log,
    /// How long SIGTERM waits for calls in flight, milliseconds.
    pub shutdown_grace_ms: u64,
    /// What decisions depend on.
    pub policy: policy::Config,
    /// Windows in which nothing is restarted.
    pub maintenance: Vec<Planned>,
    /// Where the token of beats over HTTP is; none = they are off.
    pub beats: Option<TokenPlace>,
    /// What the executor itself checks of each target.
    pub checks: Checks,
    /// What is sent as `t` to the engine.
    pub stop_timeouts: StopTimeouts,
    /// When what Docker says about a container is a trigger.
    pub watch: Watch,
    /// Who is told what.
    pub notifiers: Vec<Notifier>,
    /// Names of those that are switched off.
    pub notifiers_off: Vec<String>,
    /// The file that was read, where there was one.
    pub file: Option<PathBuf>,
    /// Things that are allowed but hardly meant, for `run` and `check` to say.
    pub warnings: Vec<String>,
}

/// The two Unix sockets. They never share a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sockets {
    /// Takes intents; shared with the plugin by group.
    pub intents: PathBuf,
    /// Its permission bits.
    pub intents_mode: u32,
    /// Its group, a name or a number; none = as created.
    pub intents_group: Option<String>,
    /// Takes the CLI's requests; always 0600.
    pub admin: PathBuf,
}

/// Report files, views for people and the original's tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reports {
    /// None = off.
    pub dir: Option<PathBuf>,
    /// `restarts.log` is rotated when it would grow beyond this many bytes.
    pub rotate_bytes: u64,
    /// How many rotated files are kept.
    pub rotated_files: u32,
    /// How long markers are kept, milliseconds.
    pub marker_keep_ms: u64,
}

/// What is kept about each attempt for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// How long, milliseconds; none = off.
    pub keep_ms: Option<u64>,
    /// Most log lines of each.
    pub log_lines: u32,
}

/// The executor's own log, on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// See [`LogFormat`].
    pub format: LogFormat,
    /// See [`LogLevel`].
    pub level: LogLevel,
}

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogFormat {
    Human,
    Json,
}

/// The least level that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Stop timeouts that replace the containers' own, whole seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopTimeouts {
    /// `[defaults] stop_timeout`; none = the container's own.
    pub default_s: Option<u32>,
    /// Of single targets.
    pub targets_s: BTreeMap<String, u32>,
}

impl StopTimeouts {
    /// What to send as `t` for this target; none = send none.
    pub fn of(&self, target: &str) -> Option<u32> {
        self.targets_s.get(target).copied().or(self.default_s)
    }
}

impl Default for Config {
    fn default() -> Self {
        resolve::resolve(&file::ConfigFile::default(), None)
            .expect("a test checks that the defaults go together")
    }
}
