//! Which containers processes belong to: those that kernel lines name, the
//! peers of the sockets, and ourselves.

use std::sync::Arc;

use executor_api::TargetRef;
use parking_lot::Mutex;
use policy::WallTime;
use tokio::sync::Notify;

use crate::metrics::KernelLookup;
use crate::resolve::memory::PidMemory;
use crate::resolve::{Miss, OwnContainer, Procfs, containers_of_cgroup};

/// Both views of processes, and what we are.
#[derive(Debug, Clone)]
pub struct Procs {
    host: Procfs,
    ours: Procfs,
    /// The containers that we run in.
    pub own: OwnContainer,
    memory: Arc<Mutex<PidMemory>>,
    named: Arc<Notify>,
}

/// What a target on the wire may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// Ids in the order in which to ask; none for a name.
    pub ids: Option<Vec<String>>,
    /// By what a kernel line's target was found; none for any other.
    pub found: Option<KernelLookup>,
}

impl Procs {
    /// `host_procfs` is where the host's `/proc` is seen; our own is `/proc`.
    pub fn new(host_procfs: &std::path::Path) -> Self {
        let ours = Procfs::new("/proc");
        Self {
            host: Procfs::new(host_procfs),
            own: ours.own_container(),
            ours,
            memory: Arc::default(),
            named: Arc::default(),
        }
    }

    /// What a target on the wire may mean.
    ///
    /// # Errors
    /// Where the process or cgroup belongs to no container (any more).
    pub fn meant(&self, target: &TargetRef, line: WallTime, wall_ms: u64) -> Result<Meant, Miss> {
        let (ids, found) = match target {
            TargetRef::Name(_) => (None, None),
            TargetRef::Id(id) => (Some(vec![id.to_ascii_lowercase()]), None),
            TargetRef::Pid(pid) => {
                self.named.notify_one();
                let (ids, found) = self.of_pid(*pid, line, wall_ms)?;
                (Some(ids), Some(found))
            }
            TargetRef::Cgroup(path) => match containers_of_cgroup(path) {
                ids if ids.is_empty() => return Err(Miss::NoContainer),
                ids => (Some(ids), Some(KernelLookup::Cgroup)),
            },
        };
        Ok(Meant { ids, found })
    }

    fn of_pid(
        &self,
        pid: u32,
        line: WallTime,
        wall_ms: u64,
    ) -> Result<(Vec<String>, KernelLookup), Miss> {
        let miss = match self.host.containers_of_pid(pid, line, wall_ms) {
            Ok(ids) => return Ok((ids, KernelLookup::Process)),
            Err(miss @ (Miss::NoProcess { .. } | Miss::TooYoung { .. })) => miss,
            Err(miss) => return Err(miss),
        };
        let memory = self.memory.lock();
        if memory.is_empty() {
            return Err(miss);
        }
        let now = self.host.moment()?;
        let ids = memory.containers_of(pid, line, now, wall_ms);
        ids.map(|ids| (ids, KernelLookup::Memory)).ok_or(miss)
    }

    /// The containers of a socket's peer; none outside of containers and
    /// across PID namespaces.
    pub fn of_peer(&self, pid: Option<i32>) -> Vec<String> {
        pid.and_then(|pid| u32::try_from(pid).ok())
            .and_then(|pid| self.ours.containers_of_peer(pid).ok())
            .unwrap_or_default()
    }

    /// Whether processes that kernel lines name can be looked up at all.
    pub(crate) fn shows_the_host(&self) -> bool {
        self.host.shows_the_host()
    }

    /// Waits until a line has named a process.
    pub(crate) async fn named(&self) {
        self.named.notified().await;
    }

    /// Looks at all processes that are there now; how many are remembered then.
    /// Blocks for a moment: for the thread that may.
    ///
    /// # Errors
    /// Where procfs cannot be read, or there is no room for all of them.
    pub(crate) fn remember(&self) -> Result<usize, String> {
        let read = || -> Result<_, Miss> {
            let now = self.host.moment()?;
            Ok((now, self.host.pids()?))
        };
        let (now, alive) = read().map_err(|miss| miss.to_string())?;
        let unread = self.memory.lock().look(now, &alive);
        // One that ends meanwhile is no longer there to be read.
        let read = unread
            .into_iter()
            .filter_map(|pid| self.host.process(pid).ok());
        let read = read.collect();
        let mut memory = self.memory.lock();
        if memory.learn(now, read) {
            return Ok(memory.len());
        }
        Err(format!("more than {} processes", memory.len()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const A: &str = "a5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";
    const B: &str = "b5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";
    /// The machine was booted at 1,000 s and has been up for 100 s.
    const WALL_MS: u64 = 1_100_000;

    fn procfs() -> (tempfile::TempDir, Procs) {
        let dir = tempfile::tempdir().unwrap();
        set_forks(dir.path(), 500);
        fs::write(dir.path().join("uptime"), "100.00 7.00\n").unwrap();
        fs::create_dir(dir.path().join("self")).unwrap();
        let procs = Procs::new(dir.path());
        (dir, procs)
    }

    fn set_forks(root: &Path, forks: u64) {
        let stat = format!("cpu  1 2\nctxt 3\nprocesses {forks}\nprocs_running 1\n");
        fs::write(root.join("stat"), stat).unwrap();
    }

    fn start(root: &Path, pid: u32, started_s: u64, cgroup: &str) {
        let at = root.join(pid.to_string());
        fs::create_dir_all(&at).unwrap();
        let zeros = "0 ".repeat(18);
        let stat = format!("{pid} (a) S {zeros}{} 0\n", started_s * 100);
        fs::write(at.join("stat"), stat).unwrap();
        fs::write(at.join("cgroup"), cgroup).unwrap();
    }

    fn end(root: &Path, pid: u32) {
        fs::remove_dir_all(root.join(pid.to_string())).unwrap();
    }

    fn ask(procs: &Procs, pid: u32, line_s: u64) -> Result<Meant, Miss> {
        let line = WallTime {
            secs: line_s,
            nanos: None,
        };
        procs.meant(&TargetRef::Pid(pid), line, WALL_MS)
    }

    fn found(id: &str, by: KernelLookup) -> Result<Meant, Miss> {
        Ok(Meant {
            ids: Some(vec![id.to_owned()]),
            found: Some(by),
        })
    }

    #[test]
    fn with_both_versions_of_cgroups_an_ended_process_is_remembered() {
        for cgroup in [
            format!("12:memory:/docker/{A}\n1:name=systemd:/docker/{A}\n0::/\n"),
            format!("0::/system.slice/docker-{A}.scope\n"),
        ] {
            let (dir, procs) = procfs();
            start(dir.path(), 77, 40, &cgroup);
            start(dir.path(), 78, 40, "0::/user.slice\n");
            assert_eq!(ask(&procs, 77, 1_099), found(A, KernelLookup::Process));
            assert_eq!(procs.remember(), Ok(2));
            end(dir.path(), 77);
            assert_eq!(ask(&procs, 77, 1_099), found(A, KernelLookup::Memory));
            let gone = Err(Miss::NoProcess { pid: 77 });
            assert_eq!(ask(&procs, 77, 1_039), gone, "the line is older than it");
            set_forks(dir.path(), 500 + 16_384);
            assert_eq!(ask(&procs, 77, 1_099), gone, "ids may have come round");
        }
    }

    #[test]
    fn a_process_that_took_an_id_over_is_not_mistaken_for_the_one_before() {
        let (dir, procs) = procfs();
        start(dir.path(), 77, 40, &format!("0::/docker/{A}\n"));
        procs.remember().unwrap();
        end(dir.path(), 77);
        start(dir.path(), 77, 90, &format!("0::/docker/{B}\n"));
        // Older than the one that is there: the one before, which was seen.
        assert_eq!(ask(&procs, 77, 1_080), found(A, KernelLookup::Memory));
        assert_eq!(ask(&procs, 77, 1_095), found(B, KernelLookup::Process));
        set_forks(dir.path(), 500 + 16_384);
        procs.remember().unwrap();
        assert!(matches!(ask(&procs, 77, 1_080), Err(Miss::TooYoung { .. })));
        end(dir.path(), 77);
        assert_eq!(ask(&procs, 77, 1_095), found(B, KernelLookup::Memory));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_says_so() {
        let (dir, procs) = procfs();
        fs::write(dir.path().join("stat"), "cpu 1\n").unwrap();
        let why = procs.remember().unwrap_err();
        assert!(
            why.contains("/stat is not as the kernel writes it"),
            "{why}"
        );
        fs::remove_file(dir.path().join("uptime")).unwrap();
        let why = procs.remember().unwrap_err();
        assert!(why.contains("cannot read"), "{why}");
    }
}
