//! From what the kernel says to a container: a process id (NVIDIA's Xid lines)
//! or a cgroup path (oom-kill lines) to container ids; and which containers
//! are ourselves and our peers, which are never restarted.
//!
//! What it keeps true:
//! * A process that is younger than the line is not the one that the line is
//!   about (its id was given out again): such a line names nobody.
//! * Ids come from the cgroup path alone, which the kernel keeps and a
//!   container cannot choose. Where containers are nested the outermost comes
//!   first: a container may make cgroups below its own, and so may only ever
//!   name itself, or what lies within it.
//! * Reads are small and capped; the parsers are pure.
//!
//! What it deliberately does not do: ask Docker. An id found here may be
//! another engine's; the caller inspects the ids in order, and the first one
//! that the engine knows is the container.

mod cgroup;
pub mod memory;
mod miss;
mod own;
mod stat;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use policy::WallTime;

pub use cgroup::containers_of_cgroup;
use memory::{Moment, Process};
pub use miss::Miss;
pub use own::OwnContainer;

/// Most bytes read of one file below procfs. A mount table of a busy host has
/// some hundred thousand; the others are far smaller.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A procfs: the host's for what kernel lines name, our own for peers and ourselves.
#[derive(Debug, Clone)]
pub struct Procfs {
    root: PathBuf,
}

impl Procfs {
    /// `/proc`, or where the host's is mounted in our container.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The containers that this process is in, outermost first, at least one;
    /// if the process is older than the line.
    ///
    /// `line` is the time of the line that named it, `wall_ms` the wall clock
    /// now (milliseconds since the epoch). The kernel keeps start times to
    /// 10 ms, which is how exact the comparison is.
    pub fn containers_of_pid(
        &self,
        pid: u32,
        line: WallTime,
        wall_ms: u64,
    ) -> Result<Vec<String>, Miss> {
        let start_ticks = self.start_ticks(pid)?;
        let containers = self.containers_of_peer(pid)?;
        // The id may have been given out again between the two reads.
        if self.start_ticks(pid)? != start_ticks {
            return Err(Miss::NoProcess { pid });
        }
        let uptime = self.read(&self.root.join("uptime"))?;
        let uptime_ms = stat::uptime_ms(&uptime).ok_or_else(|| self.garbled("uptime", &uptime))?;
        let started = stat::started(start_ticks, uptime_ms, wall_ms);
        if line.is_before(started) {
            return Err(Miss::TooYoung { pid, started, line });
        }
        Ok(containers)
    }

    /// The same for a process that is known to be there: the peer of a socket.
    ///
    /// Process ids of peers are those of *our* PID namespace, so this wants our
    /// own `/proc`; across PID namespaces the kernel says 0, which is nobody.
    pub fn containers_of_peer(&self, pid: u32) -> Result<Vec<String>, Miss> {
        let path = self.of_process(pid, "cgroup");
        let text = self.read_of_process(pid, &path)?;
        let containers = cgroup::containers_of_process(&text)
            .map_err(|cgroup::Disagree| Miss::Disagree { pid })?;
        if containers.is_empty() {
            return Err(Miss::NotInAContainer { pid });
        }
        Ok(containers)
    }

    /// Now, for [`memory::PidMemory`]. To be read before what it is to date.
    pub fn moment(&self) -> Result<Moment, Miss> {
        let stat = self.read(&self.root.join("stat"))?;
        let uptime = self.read(&self.root.join("uptime"))?;
        Ok(Moment {
            forks: stat::forks(&stat).ok_or_else(|| self.garbled("stat", &stat))?,
            uptime_ms: stat::uptime_ms(&uptime).ok_or_else(|| self.garbled("uptime", &uptime))?,
        })
    }

    /// The ids of all processes, ascending.
    pub fn pids(&self) -> Result<Vec<u32>, Miss> {
        let unreadable = |e: io::Error| Miss::Unreadable {
            path: self.root.clone(),
            kind: e.kind(),
            why: e.to_string(),
        };
        let mut pids = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            pids.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        pids.sort_unstable();
        Ok(pids)
    }

    /// A process that is there, in a container or not.
    pub fn process(&self, pid: u32) -> Result<Process, Miss> {
        let start_ticks = self.start_ticks(pid)?;
        let containers = match self.containers_of_peer(pid) {
            Err(Miss::NotInAContainer { .. } | Miss::Disagree { .. }) => Vec::new(),
            containers => containers?,
        };
        if self.start_ticks(pid)? != start_ticks {
            return Err(Miss::NoProcess { pid });
        }
        Ok(Process {
            pid,
            start_ticks,
            containers,
        })
    }

    /// Which container we run in, as far as can be told; wants our own `/proc`.
    pub fn own_container(&self) -> OwnContainer {
        let read = |file| {
            self.read(&self.root.join("self").join(file))
                .unwrap_or_default()
        };
        let hostname = self
            .read(&self.root.join("sys/kernel/hostname"))
            .unwrap_or_default();
        OwnContainer::from_parts(&read("cgroup"), &read("mountinfo"), hostname.trim_end())
    }

    /// Whether this procfs shows the host's processes: kernel threads are seen
    /// in the host's PID namespace only, and the second process is always
    /// their parent. False also where nothing can be read.
    pub fn shows_the_host(&self) -> bool {
        self.read(&self.of_process(2, "comm"))
            .is_ok_and(|comm| comm.trim_end() == "kthreadd")
    }

    fn start_ticks(&self, pid: u32) -> Result<u64, Miss> {
        let path = self.of_process(pid, "stat");
        let text = self.read_of_process(pid, &path)?;
        stat::start_ticks(&text).ok_or_else(|| Miss::Garbled {
            path,
            text: text.chars().take(80).collect(),
        })
    }

    fn garbled(&self, file: &str, text: &str) -> Miss {
        Miss::Garbled {
            path: self.root.join(file),
            text: text.chars().take(80).collect(),
        }
    }

    fn of_process(&self, pid: u32, file: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(file)
    }

    /// A process that ends while it is read gives "no such process" (ESRCH).
    fn read_of_process(&self, pid: u32, path: &Path) -> Result<String, Miss> {
        self.read(path).map_err(|miss| match miss {
            Miss::Unreadable {
                kind: io::ErrorKind::NotFound,
                ..
            } => Miss::NoProcess { pid },
            other => other,
        })
    }

    fn read(&self, path: &Path) -> Result<String, Miss> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes))
            .map_err(|error| {
                let ended = error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error());
                Miss::Unreadable {
                    path: path.to_owned(),
                    kind: if ended {
                        io::ErrorKind::NotFound
                    } else {
                        error.kind()
                    },
                    why: error.to_string(),
                }
            })?;
        // A process may have any bytes for a name.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "a5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";

    /// A procfs with process 77, started 40 s after boot, 60 s ago.
    fn procfs(cgroup: &str) -> (tempfile::TempDir, Procfs) {
        let dir = tempfile::tempdir().unwrap();
        let process = dir.path().join("77");
        std::fs::create_dir(&process).unwrap();
        let stat = "77 (a) b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4000 0 0\n";
        std::fs::write(process.join("stat"), stat).unwrap();
        std::fs::write(process.join("cgroup"), cgroup).unwrap();
        std::fs::write(dir.path().join("uptime"), "100.00 7.00\n").unwrap();
        let procfs = Procfs::new(dir.path());
        (dir, procfs)
    }

    const WALL_MS: u64 = 1_000_000;

    fn line(secs: u64, nanos: Option<u32>) -> WallTime {
        WallTime { secs, nanos }
    }

    #[test]
    fn a_line_names_a_process_only_if_that_is_older() {
        let (_dir, procfs) = procfs(&format!("0::/docker/{ID}\n"));
        for (line, found) in [
            (line(940, Some(0)), true),
            (line(940, None), true),
            (line(999, Some(0)), true),
            (line(939, Some(999_999_999)), false),
            (line(939, None), false),
        ] {
            let containers = procfs.containers_of_pid(77, line, WALL_MS);
            match containers {
                Ok(ids) if found => assert_eq!(ids, [ID]),
                Err(Miss::TooYoung { pid: 77, .. }) if !found => {}
                other => panic!("{line:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn misses_say_why() {
        let (dir, host) = procfs("0::/user.slice\n");
        let now = line(1_000, None);
        assert_eq!(
            host.containers_of_pid(77, now, WALL_MS),
            Err(Miss::NotInAContainer { pid: 77 })
        );
        assert_eq!(
            host.containers_of_pid(78, now, WALL_MS),
            Err(Miss::NoProcess { pid: 78 })
        );
        assert_eq!(host.containers_of_peer(0), Err(Miss::NoProcess { pid: 0 }));
        std::fs::write(dir.path().join("77/stat"), "77 (cat) S").unwrap();
        let garbled = host.containers_of_pid(77, now, WALL_MS).unwrap_err();
        assert!(garbled.to_string().contains("77/stat"), "{garbled}");
        std::fs::remove_file(dir.path().join("77/stat")).unwrap();
        std::fs::create_dir(dir.path().join("77/stat")).unwrap();
        let unreadable = host.containers_of_pid(77, now, WALL_MS).unwrap_err();
        assert!(
            unreadable.to_string().contains("cannot read"),
            "{unreadable}"
        );
    }

    #[test]
    fn this_very_process_is_found_in_the_real_procfs() {
        let procfs = Procfs::new("/proc");
        let pid = std::process::id();
        let now_ms = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_millis();
        let now_ms = u64::try_from(now_ms).unwrap();
        let far_past = procfs.containers_of_pid(pid, line(1_000, None), now_ms);
        let own = procfs.own_container();
        match far_past {
            // Tests may themselves run in a container.
            Err(Miss::TooYoung { started, .. }) => {
                assert!(started.secs.abs_diff(now_ms / 1_000) < 3_600, "{started:?}");
            }
            Err(Miss::NotInAContainer { .. }) => assert_eq!(own.ids(), [""; 0]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_hosts_procfs_has_kernel_threads() {
        let dir = tempfile::tempdir().unwrap();
        let procfs = Procfs::new(dir.path());
        assert!(!procfs.shows_the_host());
        std::fs::create_dir(dir.path().join("2")).unwrap();
        std::fs::write(dir.path().join("2/comm"), "sh\n").unwrap();
        assert!(!procfs.shows_the_host());
        std::fs::write(dir.path().join("2/comm"), "kthreadd\n").unwrap();
        assert!(procfs.shows_the_host());
    }
}
