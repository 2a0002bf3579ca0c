//! The executor around the policy, in the real calling order, dying wherever
//! the seed wants it to.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Instant;

use policy::{Action, AttemptId, Config, Entry, Now, Policy, Record, Step};

use crate::check::History;
use crate::rng::Rng;

/// The process is no more; what was not written has not happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Died,
    /// The disk refused: nothing has happened.
    Disk,
}

#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) config: Config,
    pub(crate) policy: Option<Policy>,
    /// Counts processes.
    pub(crate) epoch: u64,
    journal: Vec<Record>,
    /// So much of the journal survives a power cut.
    durable: usize,
    pub(crate) history: History,
    /// Attempts whose mark of a call a power cut has taken: nobody can know
    /// then that it was us who stopped the container.
    pub(crate) marks_lost: BTreeSet<AttemptId>,
    /// How often the policy was asked for a step.
    pub(crate) steps: u64,
}

/// Chances per mille.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) dies: u64,
    pub(crate) disk: u64,
    pub(crate) compacts: u64,
}

impl Exec {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            policy: None,
            epoch: 0,
            journal: Vec::new(),
            durable: 0,
            history: History::default(),
            marks_lost: BTreeSet::new(),
            steps: 0,
        }
    }

    /// The policy, to be asked for a step; none while no process lives.
    pub(crate) fn asked(&mut self) -> Option<&mut Policy> {
        self.steps += u64::from(self.policy.is_some());
        self.policy.as_mut()
    }

    /// A new process reads the journal.
    pub(crate) fn boot(&mut self, now: Now) -> Step {
        self.epoch += 1;
        self.steps += 1;
        let mut policy = Policy::new(self.config.clone());
        for record in &self.journal {
            policy.apply(record);
        }
        let step = timed(|| policy.handle_start(now));
        self.policy = Some(policy);
        step
    }

    /// Journal first. `Err` where the process died or the disk refused.
    pub(crate) fn commit(
        &mut self,
        rng: &mut Rng,
        faults: Faults,
        now: Now,
        step: &Step,
    ) -> Result<(), Stop> {
        if step.entries.is_empty() && !step.durable {
            return Ok(());
        }
        if rng.chance(faults.disk) {
            return Err(Stop::Disk);
        }
        let records: Vec<Record> = step
            .entries
            .iter()
            .map(|entry| Record {
                at: now.at,
                wall_ms: now.wall_ms,
                entry: entry.clone(),
            })
            .collect();
        if rng.chance(faults.dies) {
            let torn = usize::try_from(rng.range(0, records.len() as u64)).expect("an index");
            self.write(&records[..torn]);
            return Err(Stop::Died);
        }
        self.write(&records);
        if step.durable {
            self.durable = self.journal.len();
        }
        let policy = self.policy.as_mut().expect("it runs");
        timed(|| records.iter().for_each(|record| policy.apply(record)));
        if rng.chance(faults.compacts) {
            self.journal = policy.snapshot(now);
            self.durable = self.journal.len();
        }
        if rng.chance(faults.dies) {
            return Err(Stop::Died);
        }
        Ok(())
    }

    /// The journal is set aside; a new one begins with this.
    pub(crate) fn begin_anew(&mut self, first: Record) {
        let old = std::mem::take(&mut self.history);
        self.history.before.extend(old.before);
        self.history.before.extend(old.records);
        self.history.records.push(first.clone());
        self.journal = vec![first];
        self.durable = 1;
        self.marks_lost.clear();
    }

    /// From the original's report files, into an empty journal.
    pub(crate) fn import(&mut self, record: Record) {
        self.write(&[record]);
        self.durable = self.journal.len();
    }

    /// Whether no power cut can take the charge any more.
    pub(crate) fn is_on_disk(&self, attempt: AttemptId) -> bool {
        let is_its = |r: &Record| matches!(&r.entry, Entry::Charge(c) if c.attempt == attempt);
        self.journal[..self.durable].iter().any(is_its)
    }

    fn write(&mut self, records: &[Record]) {
        self.journal.extend_from_slice(records);
        self.history.records.extend_from_slice(records);
    }

    /// What memory holds is what the journal gives.
    pub(crate) fn check_memory(&self, now: Now) {
        let Some(policy) = &self.policy else {
            return;
        };
        let mut again = Policy::new(self.config.clone());
        for record in &self.journal {
            again.apply(record);
        }
        assert_eq!(
            again.snapshot(now),
            policy.snapshot(now),
            "memory: not what the disk gives"
        );
    }

    pub(crate) fn die(&mut self) {
        self.policy = None;
    }

    /// Appended and not flushed is gone.
    pub(crate) fn power_cut(&mut self) {
        self.policy = None;
        let lost = self.journal.len() - self.durable;
        for record in &self.journal[self.durable..] {
            if let Entry::Sent { attempt, .. } = record.entry {
                self.marks_lost.insert(attempt);
            }
        }
        self.journal.truncate(self.durable);
        let kept = self.history.records.len() - lost;
        self.history.records.truncate(kept);
    }

    /// A kernel writes back in the end.
    pub(crate) fn flush(&mut self) {
        self.durable = self.journal.len();
    }
}

/// A step's calls, for the checks.
pub(crate) fn calls(step: &Step) -> impl Iterator<Item = &Action> {
    let is_call = |action: &&Action| matches!(action, Action::Call { .. });
    step.actions.iter().filter(is_call)
}

thread_local! {
    static POLICY_NS: Cell<u64> = const { Cell::new(0) };
}

/// Counts the time that the policy itself takes, looks at the clock included.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    POLICY_NS.set(POLICY_NS.get().saturating_add(took));
    done
}

/// What was counted on this thread since the last time.
pub(crate) fn policy_ns() -> u64 {
    POLICY_NS.replace(0)
}
