//! A container's processes as this host has them: killed, or stopped for a while, the way a
//! crash and a hang look to the engine. A kill by the engine would count as asked for, and
//! from within a container nobody can kill its first process.
//!
//! Keeps true: a signal reaches only a process that is in that very container, by its cgroup;
//! it is sent to a descriptor, so that an id that is given out again is never hit.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;

use crate::docker::{Client, Docker as _, Inspected, Reading};
use crate::resolve::Procfs;

/// Longest wait for the engine.
const ASK_MAX: Duration = Duration::from_secs(5);
/// Most processes of a container that are stopped.
const PROCESSES_MAX: usize = 4_096;
/// What is made while others are stopped is found by looking again, so many times.
const ROUNDS_MAX: usize = 5;

/// What its inspect says beside the facts that decisions need.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// The main process in the engine's own PID namespace.
    pub(super) pid: u32,
    /// `no`, `always`, ...
    pub(super) restart_policy: String,
    /// It is removed when it ends.
    pub(super) is_removed: bool,
}

/// Asks the engine.
pub(super) async fn host(engine: &Client, container: &Inspected) -> Result<Host, String> {
    let id = container.id.clone();
    let read = engine.read(&Reading::Inspect { id }, ASK_MAX).await;
    let read = read.map_err(|e| e.to_string())?;
    let inspect: Value = serde_json::from_slice(&read).map_err(|e| e.to_string())?;
    let pid = inspect["State"]["Pid"].as_u64().unwrap_or_default();
    let host = &inspect["HostConfig"];
    let policy = host["RestartPolicy"]["Name"].as_str().unwrap_or_default();
    Ok(Host {
        pid: u32::try_from(pid).unwrap_or_default(),
        restart_policy: if policy.is_empty() { "no" } else { policy }.to_owned(),
        is_removed: host["AutoRemove"].as_bool().unwrap_or_default(),
    })
}

/// Kills its main process by SIGKILL.
pub(super) fn kill(pid: u32, container: &Inspected) -> Result<(), String> {
    send(&open(pid, container)?, pid, Signal::KILL)
}

/// Processes that are stopped; dropping it lets them go on.
#[derive(Debug)]
pub(super) struct Frozen(Vec<OwnedFd>);

impl Frozen {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for process in &self.0 {
            // Healed is ended: then there is none.
            let _gone = pidfd_send_signal(process, Signal::CONT);
        }
    }
}

/// Stops all its processes by SIGSTOP.
pub(super) async fn freeze(engine: &Client, container: &Inspected) -> Result<Frozen, String> {
    let mut frozen = Frozen(Vec::new());
    let mut known = BTreeSet::new();
    for _ in 0..ROUNDS_MAX {
        let before = known.len();
        for pid in pids(engine, container).await? {
            if !known.insert(pid) {
                continue;
            }
            if known.len() > PROCESSES_MAX {
                return Err(format!("it has more than {PROCESSES_MAX} processes"));
            }
            match open(pid, container) {
                Ok(process) => {
                    send(&process, pid, Signal::STOP)?;
                    frozen.0.push(process);
                }
                // It has ended meanwhile, unless that is all there is.
                Err(why) if frozen.0.is_empty() => return Err(why),
                Err(_) => {}
            }
        }
        if known.len() == before {
            break;
        }
    }
    Ok(frozen)
}

/// By the engine's own `ps`, the main process first.
async fn pids(engine: &Client, container: &Inspected) -> Result<Vec<u32>, String> {
    let top = engine.top(&container.id, ASK_MAX).await;
    let top = top.map_err(|e| e.to_string())?.ok_or("it is gone")?;
    let column = top.titles.iter().position(|title| title == "PID");
    let column = column.ok_or("the engine's list of processes has no column PID")?;
    let rows = top.rows.unwrap_or_default();
    let pids = rows.iter().filter_map(|row| row.get(column)?.parse().ok());
    Ok(pids.collect())
}

fn open(pid: u32, container: &Inspected) -> Result<OwnedFd, String> {
    let unseen = |why: &dyn Display| {
        format!(
            "process {pid} of '{}' cannot be reached from here ({why})",
            container.name
        )
    };
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let number = number.ok_or_else(|| unseen(&"no such process"))?;
    let process = pidfd_open(number, PidfdFlags::empty()).map_err(|e| unseen(&e))?;
    // Of our own PID namespace, as the descriptor is; and after it, so that it is the same one
    // or has ended.
    let containers = Procfs::new("/proc").containers_of_peer(pid);
    let containers = containers.map_err(|e| unseen(&e))?;
    match containers.contains(&container.id) {
        true => Ok(process),
        false => Err(unseen(&"here that is another container's")),
    }
}

fn send(process: &OwnedFd, pid: u32, signal: Signal) -> Result<(), String> {
    match pidfd_send_signal(process, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => Err(format!(
            "process {pid} takes no signal of ours: {e}: run this as root"
        )),
    }
}

#[cfg(test)]
mod tests {
    use policy::ContainerState;

    use super::*;
    use crate::docker::Network;

    #[test]
    fn a_process_of_another_container_or_of_none_is_never_reached() {
        let container = Inspected {
            id: "a".repeat(64),
            name: "web".into(),
            state: ContainerState::Running,
            started_at: None,
            finished_at: None,
            health: None,
            labels: Default::default(),
            stop_timeout_s: None,
            exit: Default::default(),
            network: Network::default(),
        };
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        for pid in [0, child.id(), std::process::id(), u32::MAX] {
            let why = kill(pid, &container).unwrap_err();
            assert!(
                why.contains("of 'web' cannot be reached from here"),
                "{why}"
            );
        }
        assert_eq!(child.try_wait().unwrap(), None, "it lives");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
