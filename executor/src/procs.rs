//! Which containers processes belong to: those that kernel lines name, the
//! peers of the sockets, and ourselves.

use executor_api::TargetRef;
use policy::WallTime;

use crate::resolve::{Miss, OwnContainer, Procfs, containers_of_cgroup};

/// Both views of processes, and what we are.
#[derive(Debug, Clone)]
pub struct Procs {
    host: Procfs,
    ours: Procfs,
    /// The containers that we run in.
    pub own: OwnContainer,
}

impl Procs {
    /// `host_procfs` is where the host's `/proc` is seen; our own is `/proc`.
    pub fn new(host_procfs: &std::path::Path) -> Self {
        let ours = Procfs::new("/proc");
        Self {
            host: Procfs::new(host_procfs),
            own: ours.own_container(),
            ours,
        }
    }

    /// The ids that a target on the wire may mean, in the order in which to
    /// ask; none for a name.
    ///
    /// # Errors
    /// Where the process or cgroup belongs to no container (any more).
    pub fn ids(
        &self,
        target: &TargetRef,
        line: WallTime,
        wall_ms: u64,
    ) -> Result<Option<Vec<String>>, Miss> {
        match target {
            TargetRef::Name(_) => Ok(None),
            TargetRef::Id(id) => Ok(Some(vec![id.to_ascii_lowercase()])),
            TargetRef::Pid(pid) => self.host.containers_of_pid(*pid, line, wall_ms).map(Some),
            TargetRef::Cgroup(path) => Ok(Some(containers_of_cgroup(path))),
        }
    }

    /// The containers of a socket's peer; none outside of containers and
    /// across PID namespaces.
    pub fn of_peer(&self, pid: Option<i32>) -> Vec<String> {
        pid.and_then(|pid| u32::try_from(pid).ok())
            .and_then(|pid| self.ours.containers_of_peer(pid).ok())
            .unwrap_or_default()
    }
}
