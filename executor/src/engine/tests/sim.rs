//! One level above the policy's own simulation: the engine's loop and the real
//! journal in a real directory, with an engine of containers, a disk and clocks
//! that a seed lets fail. Time is Tokio's, paused: a run takes no longer than its
//! work, and the same seed gives the same run.
//!
//! `ENGINE_SIM_SEEDS=n` runs n seeds, `ENGINE_SIM_SEED=s` one, with its trace.

mod crash_points;
mod docker;
mod life;
mod seeds;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use executor_api::{Answer, Decision, Intent, LastMatch, Remedy, TargetRef};
use policy::Config;
use tokio::task::LocalSet;
use tokio::time::{Duration, sleep};

use super::Handle;
use super::peer;
use crate::clock::virtual_time::{self, VirtualTime};
use crate::journal::faults::Faults;
use crate::journal::tests::State;
use docker::Containers;

/// The wall clock at the beginning, ms since the epoch.
const WALL0_MS: u64 = 1_760_000_000_000;

/// SplitMix64 (Steele, Lea and Flood, 2014): whatever is drawn is drawn here.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Self {
        Self(seed ^ 0x2545_f491_4f6c_dd1d)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    fn chance(&mut self, per_mille: u64) -> bool {
        self.next() % 1_000 < per_mille
    }
}

/// What all processes of a run live in.
pub(super) struct World {
    config: Config,
    state: State,
    containers: Rc<Containers>,
    time: VirtualTime,
    /// Of the process that lives now.
    now: RefCell<Option<(Handle, Faults)>>,
    lives: Cell<u32>,
    answers: RefCell<Vec<(String, Decision)>>,
    trace: Rc<RefCell<Vec<String>>>,
}

impl World {
    fn new(config: Config, names: &[&str], rng: Rng) -> Rc<Self> {
        let trace = Rc::<RefCell<Vec<String>>>::default();
        let state = State::new();
        Rc::new(Self {
            config,
            time: virtual_time::begin(WALL0_MS),
            containers: Rc::new(Containers::new(names, rng, &state, Rc::clone(&trace))),
            state,
            now: RefCell::new(None),
            lives: Cell::new(0),
            answers: RefCell::default(),
            trace,
        })
    }

    fn note(&self, what: &str) {
        let now = self.containers.now_ms();
        self.trace.borrow_mut().push(format!("{now} {what}"));
    }

    /// As Fluent Bit: again and again, until it is answered with a decision.
    async fn send(&self, intent: Intent, mut patience: Rng) -> Answer {
        loop {
            let living = self.now.borrow().clone();
            if let Some((handle, faults)) = living {
                let answer = handle.intent(intent.clone(), peer()).await;
                // What a dead process would have said nobody has heard.
                if !faults.is_dead() && answer.decision != Decision::Retry {
                    self.note(&format!("{} {:?}", intent.id, answer.decision));
                    let mut answers = self.answers.borrow_mut();
                    answers.push((intent.id.clone(), answer.decision));
                    return answer;
                }
            }
            sleep(Duration::from_millis(patience.range(1_000, 5_000))).await;
        }
    }

    /// A line that is printed now.
    fn intent(&self, id: &str, container: &str) -> Intent {
        let ms = self.containers.wall_ms();
        let nanos = u32::try_from(ms % 1_000).expect("below 1,000") * 1_000_000;
        Intent {
            id: id.to_owned(),
            target: TargetRef::Id(container.to_owned()),
            rule: "cuda-oom".into(),
            remedy: Remedy::Restart,
            times: vec![(ms / 1_000, 1)],
            last: LastMatch(ms / 1_000, Some(nanos)),
            sample: String::new(),
            tag: String::new(),
            source: "sim".into(),
        }
    }
}

/// Runs it in virtual time on this thread.
fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(LocalSet::new().run_until(test))
}
