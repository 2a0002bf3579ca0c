//! The engine on a real journal whose disk can be made to fail, with an engine
//! of containers that answers at once and never ends a restart.

mod evidence;
mod naming;
mod notices;
mod shown;
mod sim;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use executor_api::{AdminRequest, Answer, Decision, Intent, Remedy, TargetRef};
use policy::{Call, Called, ContainerState, WallTime};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::inbox::Handle;
use super::{Engine, Parts, Settings};
use crate::config::{self, Config};
use crate::dependencies::Member;
use crate::docker::{ApiVersion, Docker, DockerError, EngineVersion, Inspected, Ran, Reading};
use crate::http::Site;
use crate::journal::faults::Faults;
use crate::journal::tests::{FAIL_CLOSED_MS, State};
use crate::journal::{Journal, Opened};
use crate::listen::Peer;
use crate::procs::Procs;
use crate::report::Reports;

const EIO: i32 = 5;
const TARGETS: usize = 10;

/// Every id is a container that runs since long ago; a restart is counted and never answered.
#[derive(Debug, Default)]
struct Fake {
    inspects: Cell<u32>,
    restarts: RefCell<BTreeMap<String, u32>>,
    /// Looks, readings for evidence and calls, in order.
    order: RefCell<Vec<String>>,
}

impl Docker for Fake {
    async fn ping(&self, _deadline: Duration) -> Result<ApiVersion, DockerError> {
        Ok(ApiVersion::OLDEST)
    }

    async fn version(&self, _deadline: Duration) -> Result<EngineVersion, DockerError> {
        std::future::pending().await
    }

    async fn inspect(
        &self,
        reference: &str,
        _deadline: Duration,
    ) -> Result<Option<Inspected>, DockerError> {
        self.inspects.set(self.inspects.get() + 1);
        self.order.borrow_mut().push("look".to_owned());
        Ok(Some(Inspected {
            id: reference.to_owned(),
            name: format!("t{reference}"),
            state: ContainerState::Running,
            started_at: Some(WallTime {
                secs: 1_760_000_000,
                nanos: Some(0),
            }),
            finished_at: None,
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

    async fn members(&self, _deadline: Duration) -> Result<Vec<Member>, DockerError> {
        Ok(Vec::new())
    }

    async fn read(&self, what: &Reading, _: Duration) -> Result<Vec<u8>, DockerError> {
        let what = what.to_string();
        let what = what.split(' ').next().unwrap_or_default().to_owned();
        self.order.borrow_mut().push(what);
        std::future::pending().await
    }

    async fn call(&self, call: Call, id: &str, _: Duration, _: Option<i64>) -> Called {
        self.order.borrow_mut().push(format!("{call:?}"));
        *self.restarts.borrow_mut().entry(id.to_owned()).or_default() += 1;
        std::future::pending().await
    }
}

struct Bench {
    handle: Handle,
    docker: Rc<Fake>,
    faults: Faults,
    site: Rc<Site>,
    state: State,
    stop: Option<oneshot::Sender<()>>,
    engine: JoinHandle<()>,
}

impl Bench {
    fn start() -> Self {
        Self::start_in(State::new())
    }

    fn start_in(state: State) -> Self {
        let (opened, faults) =
            Journal::open_with_faults(&state.dir(), FAIL_CLOSED_MS).expect("a journal");
        let docker = Rc::<Fake>::default();
        let (handle, inbox) = Engine::<Fake>::inbox();
        let (stop, stopped) = oneshot::channel();
        let parts = parts(opened, Rc::clone(&docker));
        let site = Rc::clone(&parts.site);
        let engine = Engine::new(parts);
        let engine = spawn_local(engine.run(inbox, async {
            // Stopped or dropped: both end it.
            let _ = stopped.await;
        }));
        Self {
            handle,
            docker,
            faults,
            site,
            state,
            stop: Some(stop),
            engine,
        }
    }

    /// All of them at once; the answers in the same order.
    async fn send(&self, intents: Vec<Intent>) -> Vec<Answer> {
        let sent: Vec<_> = intents
            .into_iter()
            .map(|intent| {
                let handle = self.handle.clone();
                spawn_local(async move { handle.intent(intent, peer()).await })
            })
            .collect();
        let mut answers = Vec::new();
        for one in sent {
            answers.push(one.await.expect("no panic"));
        }
        answers
    }

    /// What `/readyz` says about the journal, empty where it is well.
    fn journal_fault(&self) -> String {
        let faults = self.site.health.faults(policy::Timestamp(0));
        let of_journal = |fault: &String| fault.starts_with("journal: ");
        faults.into_iter().find(of_journal).unwrap_or_default()
    }

    fn restarts(&self) -> usize {
        self.docker.restarts.borrow().len()
    }

    /// Ends it; what it leaves behind.
    async fn end(mut self) -> State {
        drop(self.stop.take());
        self.engine.await.expect("no panic");
        self.state
    }

    /// Ends it; how many charges the journal holds, and for how many targets.
    async fn charges(self) -> (usize, usize) {
        let mut charges = BTreeMap::<String, usize>::new();
        for record in self.end().await.open().records {
            if let policy::Entry::Charge(charge) = record.entry {
                *charges.entry(charge.target).or_default() += 1;
            }
        }
        (charges.values().sum(), charges.len())
    }
}

fn parts(opened: Opened, docker: Rc<Fake>) -> Parts<Fake> {
    let mut config = Config::default();
    config.policy.host_max = 1_000;
    config.policy.attempts_parallel = 1_000;
    Parts {
        settings: Settings {
            calendar: Default::default(),
            policy: config.policy,
            rules: rules::RuleBook::load("gpu").expect("a built-in pack"),
            stop_timeouts: config.stop_timeouts,
            shutdown_grace: Duration::ZERO,
        },
        docker,
        journal: opened.journal,
        journal_failing: false,
        records: opened.records,
        clock: opened.clock,
        procs: Procs::new("/proc".as_ref()),
        site: Rc::default(),
        reports: Reports::start(
            config::Reports {
                dir: None,
                ..config.reports
            },
            |_| {},
        )
        .expect("switched off"),
        evidence: crate::evidence::Evidence::off(),
        notifications: crate::notify::Notifications::off(),
    }
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

fn peer() -> Peer {
    Peer { uid: 0, pid: None }
}

fn intent(n: usize) -> Intent {
    Intent {
        id: format!("i{n}"),
        target: TargetRef::Id(format!("{:064x}", n % TARGETS)),
        rule: "cuda-oom".into(),
        remedy: Remedy::Restart,
        times: vec![(now_s(), 1)],
        last: executor_api::LastMatch(now_s(), None),
        sample: String::new(),
        tag: String::new(),
        source: "test".into(),
    }
}

fn intents(range: std::ops::Range<usize>) -> Vec<Intent> {
    range.map(intent).collect()
}

fn count(answers: &[Answer], decision: Decision) -> usize {
    answers.iter().filter(|a| a.decision == decision).count()
}

fn on_one_thread(test: impl AsyncFnOnce()) {
    crate::journal::tests::block_on(LocalSet::new().run_until(test()));
}

/// Polls; the engine's tasks run meanwhile.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_burst_of_intents_shares_fsyncs_and_looks() {
    on_one_thread(async || {
        let bench = Bench::start();
        let before = bench.faults.taken("fsync");
        let answers = bench.send(intents(0..500)).await;
        assert_eq!(count(&answers, Decision::Restart), TARGETS);
        let other = |a: &&Answer| !matches!(a.decision, Decision::Restart | Decision::Pending);
        assert_eq!(answers.iter().find(other), None);
        assert_eq!(count(&answers, Decision::Pending), 500 - TARGETS);
        // Each target's charge and its becoming pending would be one by itself.
        let fsyncs = bench.faults.taken("fsync") - before;
        assert!(fsyncs < 2 * TARGETS as u32, "{fsyncs} fsyncs");
        eventually("the restarts", || bench.restarts() == TARGETS).await;
        assert_eq!(bench.charges().await, (TARGETS, TARGETS));
    });
}

#[test]
fn while_a_batchs_fsync_fails_all_hear_retry_and_sent_again_each_target_is_restarted_once() {
    on_one_thread(async || {
        let bench = Bench::start();
        bench.faults.fail("fsync", EIO);
        let answers = bench.send(intents(0..100)).await;
        assert_eq!(count(&answers, Decision::Retry), 100, "{answers:?}");
        // What may be known by now is not promised either.
        let again = bench.send(intents(0..100)).await;
        assert_eq!(count(&again, Decision::Retry), 100, "{again:?}");
        assert_eq!(bench.restarts(), 0, "nothing rests on what may be lost");
        bench.faults.heal();
        let answers = bench.send(intents(0..100)).await;
        assert_eq!(count(&answers, Decision::Retry), 0, "{answers:?}");
        eventually("the restarts", || bench.restarts() == TARGETS).await;
        let restarts = bench.docker.restarts.borrow().clone();
        assert!(restarts.values().all(|times| *times == 1), "{restarts:?}");
        assert_eq!(bench.charges().await, (TARGETS, TARGETS));
    });
}

#[test]
fn what_was_answered_retry_is_neither_on_record_nor_ever_done_unless_sent_again() {
    on_one_thread(async || {
        let bench = Bench::start();
        for step in ["fsync", "write"] {
            bench.faults.fail(step, EIO);
            let answers = bench.send(intents(0..100)).await;
            assert_eq!(count(&answers, Decision::Retry), 100, "{step}: {answers:?}");
            bench.faults.heal();
        }
        // Another one makes the journal whole again.
        let known = bench.send(intents(101..102)).await;
        assert_eq!(count(&known, Decision::Restart), 1, "{known:?}");
        eventually("its restart", || bench.restarts() == 1).await;
        let records = format!("{:?}", bench.end().await.open().records);
        assert!(records.contains("\"i101\""), "{records}");
        assert!(!records.contains("\"i1\""), "{records}");
        assert_eq!(records.matches("Charge(").count(), 1, "{records}");
    });
}

#[test]
fn a_one_shot_that_cannot_write_says_so_at_once() {
    on_one_thread(async || {
        let id = format!("{:064x}", 7);
        let state = State::new();
        let charged = Bench::start_in(state);
        assert_eq!(
            count(&charged.send(vec![intent(7)]).await, Decision::Restart),
            1
        );
        eventually("the call", || charged.restarts() == 1).await;
        // Its charge is open: the one-shot would take it up first.
        let state = charged.end().await;
        let (opened, faults) =
            Journal::open_with_faults(&state.dir(), FAIL_CLOSED_MS).expect("a journal");
        faults.fail("fsync", EIO);
        let request = executor_api::RestartRequest {
            target: id,
            cooldown_sec: None,
            window_sec: None,
            max_per_window: None,
        };
        let answer = super::restart_once(parts(opened, Rc::default()), request);
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
        let answer = answer.expect("at once");
        assert_eq!(answer.code, executor_api::ExitCode::Failed);
        assert!(answer.message.contains("nothing was decided"), "{answer:?}");
    });
}

/// Polls in real time, while Tokio's clock runs faster.
async fn eventually_says(bench: &Bench, words: &str) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let fault = bench.journal_fault();
        if fault.contains(words) && fault.is_empty() == words.is_empty() {
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{words:?} is not in {fault:?}"
        );
        std::thread::sleep(Duration::from_millis(1));
        tokio::time::advance(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_disk_that_fails_after_a_long_wait_leaves_the_executor_not_ready() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let test = async {
        let bench = Bench::start();
        bench.site.health.set_journal(Ok(()));
        bench.faults.fail("fsync", EIO);
        bench.send(vec![intent(1)]).await;
        eventually_says(&bench, "cannot fsync").await;
        bench.faults.stall("fsync");
        let slow = spawn_local({
            let handle = bench.handle.clone();
            async move { handle.intent(intent(1), peer()).await }
        });
        eventually_says(&bench, "the disk has not answered").await;
        bench.faults.go_on();
        assert_eq!(slow.await.expect("no panic").decision, Decision::Retry);
        eventually_says(&bench, "cannot fsync").await;
        bench.faults.heal();
        bench.send(vec![intent(1)]).await;
        eventually_says(&bench, "").await;
    };
    runtime.block_on(LocalSet::new().run_until(test));
}

#[test]
fn a_journal_at_its_limit_makes_room_as_soon_as_it_can() {
    on_one_thread(async || {
        let bench = Bench::start();
        for _ in 0..20 {
            let (target, seconds) = (None, Some(60));
            let pause = AdminRequest::Pause {
                target,
                seconds,
                reason: None,
            };
            bench.handle.admin(pause).await;
            let resume = AdminRequest::Resume { target: None };
            bench.handle.admin(resume).await;
        }
        let written = Journal::peek(&bench.state.path).expect("readable").len();
        assert!(written >= 40, "{written}");
        bench.faults.limit_records(written);
        bench.faults.fail("replace", EIO);
        let answers = bench.send(vec![intent(1)]).await;
        assert_eq!(count(&answers, Decision::Retry), 1, "{answers:?}");
        assert!(bench.journal_fault().contains("full: "), "told");
        bench.faults.heal();
        let answers = bench.send(vec![intent(1)]).await;
        assert_eq!(count(&answers, Decision::Restart), 1, "{answers:?}");
        assert_eq!(bench.journal_fault(), "");
    });
}
