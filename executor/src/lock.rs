//! One executor per state directory.
//!
//! An advisory lock (flock) on a file in the private directory: the kernel
//! releases it when its holder ends, however it ends, so no lock can be left
//! behind. The file's content only says whom to name; it is never removed, as
//! two processes could then hold locks on two files of that name.
//!
//! `run` waits for a one-shot to finish. Whoever waits for a `run`, or for
//! somebody without a name, gives up after [`PATIENCE`] and names the holder.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::journal::{JournalError, StateDir};

/// The file's name in the state directory.
pub const LOCK: &str = "lock";

/// How long a holder that may not end soon is waited for.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long `run` waits for a one-shot: longer than any may take, which is two
/// stop waits of 10 min and a margin.
pub const ONE_SHOT_PATIENCE: Duration = Duration::from_secs(26 * 60);

/// How often it is tried anew: neither felt by a person nor seen in a profile.
const RETRY_EVERY: Duration = Duration::from_millis(50);

/// More than this is not our own name tag.
const HOLDER_BYTES_MAX: u64 = 1024;

/// What a process holds the state for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The executor, for as long as it lives.
    Run,
    /// A single request, such as `healer restart`.
    OneShot,
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id, in its own PID namespace.
    pub pid: u32,
    /// Its host name, which in a container is the container's.
    pub host: String,
    /// What for.
    pub role: Role,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Run => "`healer run`",
            Role::OneShot => "a one-shot such as `healer restart`",
        };
        write!(f, "{role} (pid {} on host {})", self.pid, self.host)
    }
}

/// Why there is no lock.
#[derive(Debug)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody else has it.
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who; none where the file does not say.
        holder: Option<Holder>,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The lock file cannot be opened or locked.
    Dir(JournalError),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held {
                path,
                holder,
                waited,
            } => {
                let (path, waited) = (path.display(), waited.as_secs());
                match holder {
                    Some(holder) => write!(f, "{path} is held by {holder}")?,
                    None => write!(f, "{path} is held by a process that left no name")?,
                }
                write!(
                    f,
                    "; waited {waited} s: stop it, or use another state directory"
                )
            }
            Self::Dir(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Held { .. } => None,
            Self::Dir(error) => Some(error),
        }
    }
}

impl From<JournalError> for LockError {
    fn from(error: JournalError) -> Self {
        Self::Dir(error)
    }
}

/// The lock, held until dropped.
#[derive(Debug)]
pub struct StateLock {
    dir: StateDir,
    _file: File,
}

impl StateLock {
    /// Waits for the lock as long as is fitting. `on_wait` is called once, with
    /// the first holder waited for.
    ///
    /// # Errors
    /// [`LockError::Held`] when patience is at its end.
    pub async fn acquire(
        dir: StateDir,
        role: Role,
        on_wait: impl FnOnce(Option<&Holder>),
    ) -> Result<Self, LockError> {
        let path = dir.path_of(LOCK);
        let mut file = dir
            .open_file(LOCK, OFlags::RDWR | OFlags::CREATE)
            .map_err(|e| JournalError::io("open", &path, e))?;
        let start = Instant::now();
        let mut on_wait = Some(on_wait);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => {
                    return Err(JournalError::io("lock", &path, e).into());
                }
            }
            let holder = read_holder(&mut file);
            let waited = start.elapsed();
            if waited >= patience(role, holder.as_ref()) {
                return Err(LockError::Held {
                    path,
                    holder,
                    waited,
                });
            }
            if let Some(on_wait) = on_wait.take() {
                on_wait(holder.as_ref());
            }
            sleep(RETRY_EVERY).await;
        }
        dir.check_holds(LOCK, &file)?;
        // A full disk may keep us from leaving our name; the lock counts without.
        let _nameless = write_holder(&mut file, role);
        Ok(Self { dir, _file: file })
    }

    /// The directory that it locks.
    pub fn dir(&self) -> &StateDir {
        &self.dir
    }
}

fn patience(role: Role, holder: Option<&Holder>) -> Duration {
    match (role, holder.map(|holder| holder.role)) {
        (Role::Run, Some(Role::OneShot)) => ONE_SHOT_PATIENCE,
        _ => PATIENCE,
    }
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(HOLDER_BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn write_holder(file: &mut File, role: Role) -> io::Result<()> {
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let holder = Holder {
        pid: std::process::id(),
        host,
        role,
    };
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(&holder)?)
}

#[cfg(test)]
mod tests;
