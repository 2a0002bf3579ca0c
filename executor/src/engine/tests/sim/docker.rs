//! Containers that are restarted in the steps in which a real engine does it,
//! whether or not whoever asked still lives. Sees to it that nothing is ever asked
//! for that is not on record.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use policy::{Call, Called, ContainerState, Entry, WallTime};
use tokio::time::{Duration, sleep, timeout};

use super::Rng;
use crate::clock;
use crate::dependencies::Member;
use crate::docker::{ApiVersion, Docker, DockerError, EngineVersion, Inspected, Ran, Reading};
use crate::journal::Journal;
use crate::journal::faults::Faults;
use crate::journal::tests::State;

/// What virtual boot time begins with, ms.
const BOOT0_MS: u64 = 1_000_000;

/// How often what goes wrong, per mille of the calls.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Troubles {
    pub(super) refuses: u64,
    pub(super) hangs: u64,
    pub(super) stops_only: u64,
    pub(super) slow: u64,
    pub(super) away: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) state: ContainerState,
    /// On the wall clock, ms since the epoch.
    pub(super) started_ms: u64,
    pub(super) finished_ms: Option<u64>,
    /// How often the engine has started it for us.
    pub(super) starts: u32,
    job: Option<Job>,
}

/// What the engine is about to do.
#[derive(Debug, Clone, Copy)]
struct Job {
    stops_ms: Option<u64>,
    starts_ms: u64,
    starts: bool,
}

#[derive(Debug)]
pub(super) struct Containers {
    pub(super) all: RefCell<BTreeMap<String, Container>>,
    pub(super) troubles: Cell<Troubles>,
    rng: RefCell<Rng>,
    journal: PathBuf,
    trace: Rc<RefCell<Vec<String>>>,
}

impl Containers {
    pub(super) fn new(
        names: &[&str],
        rng: Rng,
        state: &State,
        trace: Rc<RefCell<Vec<String>>>,
    ) -> Self {
        let container = |(n, name): (usize, &&str)| {
            let container = Container {
                id: format!("{:064x}", n + 1),
                state: ContainerState::Running,
                started_ms: super::WALL0_MS - 3_600_000,
                finished_ms: None,
                starts: 0,
                job: None,
            };
            ((*name).to_owned(), container)
        };
        Self {
            all: RefCell::new(names.iter().enumerate().map(container).collect()),
            troubles: Cell::default(),
            rng: RefCell::new(rng),
            journal: state.path.clone(),
            trace,
        }
    }

    /// Since the beginning, whatever the wall clock says.
    pub(super) fn now_ms(&self) -> u64 {
        clock::read_system().expect("virtual").boot_ms - BOOT0_MS
    }

    pub(super) fn wall_ms(&self) -> u64 {
        clock::read_system().expect("virtual").wall_ms
    }

    /// What has happened by now to one of them, by name or id.
    pub(super) fn get(&self, reference: &str) -> Option<(String, Container)> {
        let now_ms = self.now_ms();
        let mut all = self.all.borrow_mut();
        let (name, container) = all
            .iter_mut()
            .find(|(name, c)| *name == reference || c.id == reference)?;
        container.catch_up(now_ms, self.wall_ms());
        Some((name.clone(), container.clone()))
    }

    /// Somebody else stops one, or starts it.
    pub(super) fn by_hand(&self, name: &str, to: ContainerState) {
        let now_ms = self.now_ms();
        let mut all = self.all.borrow_mut();
        let container = all.get_mut(name).expect("named");
        container.catch_up(now_ms, self.wall_ms());
        let wall_ms = self.wall_ms();
        match (container.state, to) {
            (ContainerState::Running, ContainerState::Exited) => container.stop(wall_ms),
            (ContainerState::Exited, ContainerState::Running) => container.start(wall_ms),
            _ => {}
        }
    }

    /// Charge before act: both are in the file when the engine is asked.
    fn check_on_record(&self, id: &str, call: Call) {
        let records = Journal::peek(&self.journal).expect("a journal that can be read");
        let charge = records.iter().rev().find_map(|record| match &record.entry {
            Entry::Charge(charge) if charge.container_id == id => Some(charge.attempt),
            _ => None,
        });
        let attempt = charge.expect("a call without a charge on record");
        let is_mark = |entry: &Entry| matches!(entry, Entry::Sent { attempt: a, call: c } if (*a, *c) == (attempt, call));
        let marks = records.iter().filter(|r| is_mark(&r.entry)).count();
        assert!(
            (1..=2).contains(&marks),
            "{marks} marks of {call:?} under {attempt}"
        );
        let ended = records
            .iter()
            .any(|r| matches!(&r.entry, Entry::Outcome { attempt: a, .. } if *a == attempt));
        assert!(!ended, "a call after attempt {attempt} has ended");
    }

    fn begin(&self, id: &str, call: Call) -> Result<u64, Called> {
        let (now_ms, troubles) = (self.now_ms(), self.troubles.get());
        let mut rng = self.rng.borrow_mut();
        let mut all = self.all.borrow_mut();
        let refused = |status, message: &str| {
            Err(Called::Refused {
                status,
                message: message.to_owned(),
            })
        };
        let Some(container) = all.values_mut().find(|c| c.id == id) else {
            return refused(404, "no such container");
        };
        container.catch_up(now_ms, self.wall_ms());
        if container.job.is_some() {
            return refused(409, "conflict");
        }
        if rng.chance(troubles.refuses) {
            return refused(500, "no");
        }
        let delay_ms = if rng.chance(troubles.hangs) {
            rng.range(15_000, 60_000)
        } else {
            rng.range(1, 50)
        };
        let is_running = container.state == ContainerState::Running;
        let stops_ms =
            (call == Call::Restart && is_running).then(|| now_ms + delay_ms + rng.range(10, 9_000));
        let starts_ms = stops_ms.unwrap_or(now_ms + delay_ms) + rng.range(5, 500);
        container.job = Some(Job {
            stops_ms,
            starts_ms,
            starts: !rng.chance(troubles.stops_only),
        });
        Ok(starts_ms - now_ms)
    }
}

impl Container {
    fn catch_up(&mut self, now_ms: u64, wall_ms: u64) {
        // Docker's times are the wall's.
        let wall_of = |at_ms: u64| wall_ms.saturating_sub(now_ms - at_ms);
        let Some(mut job) = self.job.take() else {
            return;
        };
        if let Some(at) = job.stops_ms.filter(|at| *at <= now_ms) {
            job.stops_ms = None;
            if self.state == ContainerState::Running {
                self.stop(wall_of(at));
            }
        }
        if job.stops_ms.is_some() || now_ms < job.starts_ms {
            self.job = Some(job);
        } else if job.starts {
            self.starts += 1;
            self.start(wall_of(job.starts_ms));
        }
    }

    fn stop(&mut self, at_ms: u64) {
        self.state = ContainerState::Exited;
        self.finished_ms = Some(at_ms);
    }

    fn start(&mut self, at_ms: u64) {
        self.state = ContainerState::Running;
        self.started_ms = at_ms;
    }

    pub(super) fn is_busy(&self) -> bool {
        self.job.is_some()
    }
}

/// The socket as one process has it; a dead one asks for nothing more.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) containers: Rc<Containers>,
    pub(super) faults: Faults,
}

impl Socket {
    async fn pass(&self) -> Result<(), DockerError> {
        let (latency, away) = {
            let troubles = self.containers.troubles.get();
            let mut rng = self.containers.rng.borrow_mut();
            let slow = rng.chance(troubles.slow);
            let latency = if slow {
                rng.range(50, 3_000)
            } else {
                rng.range(1, 5)
            };
            (latency, rng.chance(troubles.away))
        };
        sleep(Duration::from_millis(latency)).await;
        if self.faults.is_dead() {
            std::future::pending::<()>().await;
        }
        if away {
            return Err(DockerError::Broken {
                what: "a request".into(),
                why: "the engine is away".into(),
            });
        }
        Ok(())
    }
}

impl Docker for Socket {
    async fn ping(&self, _: Duration) -> Result<ApiVersion, DockerError> {
        self.pass().await.map(|()| ApiVersion::OLDEST)
    }

    async fn version(&self, _: Duration) -> Result<EngineVersion, DockerError> {
        std::future::pending().await
    }

    async fn inspect(
        &self,
        reference: &str,
        deadline: Duration,
    ) -> Result<Option<Inspected>, DockerError> {
        let late = DockerError::Broken {
            what: "inspect".into(),
            why: "timed out".into(),
        };
        timeout(deadline, self.pass()).await.map_err(|_| late)??;
        let wall = |ms: u64| WallTime {
            secs: ms / 1_000,
            nanos: u32::try_from(ms % 1_000).ok().map(|ms| ms * 1_000_000),
        };
        let found = self.containers.get(reference);
        Ok(found.map(|(name, container)| Inspected {
            id: container.id,
            name,
            state: container.state,
            started_at: Some(wall(container.started_ms)),
            finished_at: container.finished_ms.map(wall),
            health: None,
            labels: BTreeMap::from([("healer.enable".into(), "true".into())]),
            stop_timeout_s: None,
            network: Default::default(),
            exit: Default::default(),
        }))
    }

    async fn exec(&self, _: &str, _: &[String], _: Duration) -> Ran {
        unreachable!("no remedy runs a command here")
    }

    async fn members(&self, _: Duration) -> Result<Vec<Member>, DockerError> {
        Ok(Vec::new())
    }

    /// Evidence is off here: its thread goes by the machine's own clock.
    async fn read(&self, _: &Reading, _: Duration) -> Result<Vec<u8>, DockerError> {
        std::future::pending().await
    }

    async fn call(&self, call: Call, id: &str, wait: Duration, _: Option<i64>) -> Called {
        let unclear = |why: &str| Called::Unclear { why: why.into() };
        if self.pass().await.is_err() {
            return unclear("the engine is away");
        }
        self.containers.check_on_record(id, call);
        let now_ms = self.containers.now_ms();
        let asked = format!("{now_ms} {call:?} {}", &id[60..]);
        self.containers.trace.borrow_mut().push(asked);
        let took_ms = match self.containers.begin(id, call) {
            Ok(took_ms) => took_ms,
            Err(refused) => return refused,
        };
        let done = sleep(Duration::from_millis(took_ms));
        if timeout(wait, done).await.is_err() {
            return unclear("timed out");
        }
        match self.containers.get(id) {
            Some((_, container)) if container.state == ContainerState::Running => Called::Done,
            _ => Called::Refused {
                status: 500,
                message: "cannot start".into(),
            },
        }
    }
}
