//! Which process was in which container, for lines about processes that have
//! ended since. Pure: what is seen is handed in.
//!
//! What it keeps true:
//! * A process id stands for one process only. Ids are given out in turn, so an
//!   id is not given out again before [`REUSE_FORKS_MAX`] more processes and
//!   threads were made, which the kernel counts. What was last seen alive longer
//!   ago than that is not believed any more.
//! * A line is about a process only if that was older than the line, and was not
//!   known to be gone before it.
//! * At most [`PIDS_MAX`] processes, those that are gone for at most
//!   [`GONE_MS_MAX`].
//!
//! What it deliberately does not do: see a process that lives shorter than the
//! time between two looks. Such a line names nobody, and is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy::WallTime;

use super::stat;

/// Most processes remembered, running and gone.
pub const PIDS_MAX: usize = 32_768;
/// Most processes read anew in one look; more are left for the next.
pub const READS_MAX: usize = 2_048;
/// How long a process is remembered that has ended: as old as a line may be by
/// default, and more.
pub const GONE_MS_MAX: u64 = 20 * 60 * 1_000;
/// Half of the least range of process ids that kernels come with (32,768): what
/// may be set for a namespace says nothing about the host's.
pub const REUSE_FORKS_MAX: u64 = 16_384;
/// A process this young may not be in its container yet: the runtime makes it
/// first and moves it then.
const MOVING_MS_MAX: u64 = 30_000;
/// A line may be so much later than the look that missed its process: clocks
/// differ, and the kernel still speaks of a process that ends.
const LATE_MS_MAX: u64 = 1_000;

/// When something was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Since boot, time asleep included, in milliseconds.
    pub uptime_ms: u64,
    /// Processes and threads made since boot, read before anything else.
    pub forks: u64,
}

/// A process, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// In ticks since boot.
    pub start_ticks: u64,
    /// Outermost first; empty for one of the host.
    pub containers: Vec<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct PidMemory {
    seen: BTreeMap<u32, Seen>,
    /// Each list of containers once.
    containers: BTreeSet<Arc<[String]>>,
}

#[derive(Debug)]
struct Seen {
    start_ticks: u64,
    containers: Arc<[String]>,
    /// Forks when it was last known to be alive, or fewer.
    forks: u64,
    /// It may be moved into a container yet.
    is_moving: bool,
    /// When it was first missed, since boot.
    gone_ms: Option<u64>,
}

impl Seen {
    fn may_be_another(&self, now: Moment) -> bool {
        now.forks.saturating_sub(self.forks) >= REUSE_FORKS_MAX
    }
}

impl PidMemory {
    /// Takes in which processes are there now, ascending; those to be read.
    pub fn look(&mut self, now: Moment, alive: &[u32]) -> Vec<u32> {
        for (pid, seen) in &mut self.seen {
            if seen.gone_ms.is_none() && alive.binary_search(pid).is_err() {
                seen.gone_ms = Some(now.uptime_ms);
            }
        }
        self.forget(now);
        let mut unread = Vec::new();
        for pid in alive {
            match self.seen.get_mut(pid) {
                Some(seen) if seen.gone_ms.is_none() && !seen.is_moving => seen.forks = now.forks,
                _ if unread.len() < READS_MAX => unread.push(*pid),
                _ => {}
            }
        }
        if self.seen.len() + unread.len() > PIDS_MAX {
            // Those that are there are the likelier ones to be named.
            self.seen.retain(|_, seen| seen.gone_ms.is_none());
        }
        unread
    }

    /// Takes in what was read after [`PidMemory::look`] at the same moment.
    /// False where there was no room for all.
    pub fn learn(&mut self, now: Moment, read: Vec<Process>) -> bool {
        let mut had_room = true;
        for process in read {
            if self.seen.len() >= PIDS_MAX && !self.seen.contains_key(&process.pid) {
                had_room = false;
                continue;
            }
            let started_ms = process.start_ticks.saturating_mul(stat::MS_PER_TICK);
            let is_young = now.uptime_ms.saturating_sub(started_ms) < MOVING_MS_MAX;
            let seen = Seen {
                start_ticks: process.start_ticks,
                is_moving: process.containers.is_empty() && is_young,
                containers: self.shared(process.containers),
                forks: now.forks,
                gone_ms: None,
            };
            self.seen.insert(process.pid, seen);
        }
        had_room
    }

    /// The containers of the process that a line of this time named; none where
    /// that is not known for sure. `wall_ms` is the wall clock now.
    pub fn containers_of(
        &self,
        pid: u32,
        line: WallTime,
        now: Moment,
        wall_ms: u64,
    ) -> Option<Vec<String>> {
        let seen = self.seen.get(&pid).filter(|s| !s.may_be_another(now))?;
        let started = stat::started(seen.start_ticks, now.uptime_ms, wall_ms);
        let line_ms =
            line.secs.saturating_mul(1_000) + u64::from(line.nanos.unwrap_or(0)) / 1_000_000;
        let is_after_its_end = |gone_ms: u64| {
            let gone_wall_ms = wall_ms.saturating_sub(now.uptime_ms.saturating_sub(gone_ms));
            line_ms > gone_wall_ms.saturating_add(LATE_MS_MAX)
        };
        if line.is_before(started) || seen.gone_ms.is_some_and(is_after_its_end) {
            return None;
        }
        Some(seen.containers.to_vec()).filter(|ids| !ids.is_empty())
    }

    /// How many processes are remembered.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn forget(&mut self, now: Moment) {
        let is_old = |gone_ms: u64| now.uptime_ms.saturating_sub(gone_ms) > GONE_MS_MAX;
        self.seen
            .retain(|_, seen| !seen.may_be_another(now) && !seen.gone_ms.is_some_and(is_old));
        self.containers.retain(|ids| Arc::strong_count(ids) > 1);
    }

    fn shared(&mut self, ids: Vec<String>) -> Arc<[String]> {
        if let Some(known) = self.containers.get(ids.as_slice()) {
            return Arc::clone(known);
        }
        let ids: Arc<[String]> = ids.into();
        self.containers.insert(Arc::clone(&ids));
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "a5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";
    /// The machine was booted at 1,000 s.
    const BOOT_S: u64 = 1_000;

    fn at(uptime_s: u64, forks: u64) -> Moment {
        Moment {
            uptime_ms: uptime_s * 1_000,
            forks,
        }
    }

    fn process(pid: u32, started_s: u64, containers: &[&str]) -> Process {
        Process {
            pid,
            start_ticks: started_s * 100,
            containers: containers.iter().map(|&id| id.to_owned()).collect(),
        }
    }

    /// A look at these, each read as one that was started at 10 s.
    fn look(memory: &mut PidMemory, now: Moment, alive: &[(u32, &[&str])]) -> Vec<u32> {
        let pids: Vec<u32> = alive.iter().map(|(pid, _)| *pid).collect();
        let unread = memory.look(now, &pids);
        let read = alive.iter().filter(|(pid, _)| unread.contains(pid));
        let read = read.map(|(pid, ids)| process(*pid, 10, ids)).collect();
        assert!(memory.learn(now, read));
        unread
    }

    /// What a line of `line_s` after boot means, asked for `later`.
    fn ask(memory: &PidMemory, pid: u32, line_s: u64, later: Moment) -> Option<Vec<String>> {
        let line = WallTime {
            secs: BOOT_S + line_s,
            nanos: Some(0),
        };
        memory.containers_of(pid, line, later, BOOT_S * 1_000 + later.uptime_ms)
    }

    #[test]
    fn a_process_that_has_ended_still_leads_to_its_container() {
        let mut memory = PidMemory::default();
        let found = Some(vec![A.to_owned()]);
        assert_eq!(
            look(&mut memory, at(100, 0), &[(7, &[A]), (8, &[])]),
            [7, 8]
        );
        assert_eq!(ask(&memory, 7, 101, at(102, 9)), found);
        assert_eq!(ask(&memory, 8, 101, at(102, 9)), None, "on the host");
        assert_eq!(ask(&memory, 9, 101, at(102, 9)), None, "never seen");
        assert_eq!(look(&mut memory, at(105, 9), &[(8, &[])]), [0; 0]);
        assert_eq!(ask(&memory, 7, 104, at(200, 99)), found);
        assert_eq!(ask(&memory, 7, 10, at(200, 99)), found);
        assert_eq!(ask(&memory, 7, 9, at(200, 99)), None, "the line is older");
        assert_eq!(ask(&memory, 7, 106, at(200, 99)), found, "clocks differ");
        assert_eq!(ask(&memory, 7, 107, at(200, 99)), None, "it was gone");
    }

    #[test]
    fn an_id_that_may_have_been_given_out_again_names_nobody() {
        let mut memory = PidMemory::default();
        look(&mut memory, at(100, 50), &[(7, &[A])]);
        let last = 50 + REUSE_FORKS_MAX - 1;
        assert!(ask(&memory, 7, 100, at(101, last)).is_some());
        assert_eq!(ask(&memory, 7, 100, at(101, last + 1)), None);
        // Seen alive in between, it is still the same one.
        assert_eq!(look(&mut memory, at(101, last), &[(7, &[A])]), [0; 0]);
        assert!(ask(&memory, 7, 100, at(102, last + 1)).is_some());
        // After too many it is read anew.
        let many = last + REUSE_FORKS_MAX;
        assert_eq!(look(&mut memory, at(103, many), &[(7, &[A])]), [7]);
        // And so is one that was missed once.
        look(&mut memory, at(104, many), &[]);
        assert_eq!(look(&mut memory, at(105, many), &[(7, &[])]), [7]);
        assert_eq!(ask(&memory, 7, 105, at(105, many)), None);
    }

    #[test]
    fn a_young_process_of_the_host_is_read_again_until_it_cannot_be_moved() {
        let mut memory = PidMemory::default();
        // Started at 10 s.
        assert_eq!(look(&mut memory, at(11, 0), &[(7, &[])]), [7]);
        assert_eq!(look(&mut memory, at(16, 0), &[(7, &[A])]), [7]);
        assert!(ask(&memory, 7, 12, at(17, 0)).is_some());
        assert_eq!(look(&mut memory, at(39, 0), &[(7, &[A]), (8, &[])]), [8]);
        assert_eq!(look(&mut memory, at(40, 0), &[(7, &[A]), (8, &[])]), [8]);
        assert_eq!(look(&mut memory, at(45, 0), &[(7, &[A]), (8, &[])]), [0; 0]);
    }

    #[test]
    fn processes_and_their_time_are_bounded() {
        let mut memory = PidMemory::default();
        look(&mut memory, at(100, 0), &[(7, &[A])]);
        look(&mut memory, at(105, 0), &[]);
        let last_s = 105 + GONE_MS_MAX / 1_000;
        look(&mut memory, at(last_s, 0), &[]);
        assert_eq!(memory.len(), 1);
        look(&mut memory, at(last_s + 1, 0), &[]);
        assert!(memory.is_empty());
        assert!(memory.containers.len() <= 1);

        let alive: Vec<u32> = (1..=u32::try_from(PIDS_MAX).unwrap() + 1).collect();
        let now = at(2_000, 0);
        let mut looks = 0;
        loop {
            let unread = memory.look(now, &alive);
            assert!(unread.len() <= READS_MAX);
            looks += 1;
            let read = unread.iter().map(|pid| process(*pid, 10, &[A])).collect();
            if !memory.learn(now, read) {
                break;
            }
        }
        assert_eq!(memory.len(), PIDS_MAX);
        assert_eq!(looks, PIDS_MAX / READS_MAX + 1);
        assert_eq!(memory.containers.len(), 1, "one list for all");
        // Those that have ended make room.
        assert_eq!(memory.look(at(2_005, 0), &[99_999]), [99_999]);
        assert!(memory.learn(at(2_005, 0), vec![process(99_999, 10, &[A])]));
    }
}
