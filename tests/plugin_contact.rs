//! The gauge that people alert on: whether the executor answers, also while no
//! line matches, at a bounded price.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use executor_api::Decision;
use out_healer::config::{Config, RawConfig};
use out_healer::delivery::PROBE_MS;
use out_healer::guard::Verdict;
use out_healer::instance::Instance;
use out_healer::metrics::Gauge;

use crate::support::events::Chunk;
use crate::support::executor::{Executor, Manner};
use crate::support::recorder::Recorder;
use crate::support::stack::SmallStack;

struct Scene {
    dir: tempfile::TempDir,
    figures: Recorder,
    instance: Instance,
}

impl Scene {
    fn new(settings: RawConfig) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = dir.path().join("intents.sock");
        let raw = RawConfig {
            socket: Some(socket.to_str().expect("UTF-8").into()),
            ..settings
        };
        let figures = Recorder::default();
        let config = Config::new(&raw).expect("valid settings");
        Self {
            dir,
            instance: Instance::new(config, Box::new(figures.clone())),
            figures,
        }
    }

    fn executor(&self, manner: Manner) -> Executor {
        Executor::start(&self.dir.path().join("intents.sock"), manner)
    }

    /// One chunk in which nothing matches.
    fn flush(&self, now_ms: u64) {
        let chunk = Chunk::default().log(1, "all is well").0;
        let report = self.instance.flush(now_ms, &chunk, b"t");
        assert_eq!(report.verdict, Verdict::Ok);
    }

    fn is_up(&self) -> bool {
        self.figures.gauge(Gauge::ExecutorUp) == Some(1)
    }
}

#[test]
fn the_gauge_follows_the_executor_while_nothing_matches() {
    let scene = Scene::new(RawConfig::default());
    scene.instance.start(0, Vec::new());
    assert!(!scene.is_up());
    assert_eq!(scene.figures.gauge(Gauge::AnsweredAt), None);

    let executor = scene.executor(Manner::Answer(Decision::Pending));
    scene.flush(PROBE_MS + 1_000);
    assert!(scene.is_up());
    assert!(scene.figures.gauge(Gauge::AnsweredAt) > Some(1_700_000_000));

    drop(executor);
    scene.flush(2 * (PROBE_MS + 1_000));
    assert!(!scene.is_up(), "it has died without a match");
}

#[test]
fn the_gauge_follows_the_executor_in_a_dry_run_of_matches_only() {
    let scene = Scene::new(RawConfig {
        dry_run: Some("on".into()),
        target: Some("app".into()),
        ..RawConfig::default()
    });
    scene.instance.start(0, Vec::new());
    assert!(!scene.is_up());
    let executor = scene.executor(Manner::Answer(Decision::Pending));
    let chunk = Chunk::default()
        .log(1, "RuntimeError: CUDA out of memory.")
        .0;
    let report = scene.instance.flush(PROBE_MS + 1_000, &chunk, b"t");
    assert!(
        report
            .lines
            .iter()
            .any(|line| line.text.contains("not sent")),
        "{report:?}"
    );
    assert!(scene.is_up());
    assert_eq!(executor.received(), []);
}

#[test]
fn to_be_connected_is_not_to_be_answered() {
    let scene = Scene::new(RawConfig::default());
    // The kernel accepts for it; it never reads.
    let _hung = UnixListener::bind(scene.dir.path().join("intents.sock")).expect("bound");
    let lines = scene.instance.start(0, Vec::new());
    assert!(!scene.is_up());
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn an_executor_that_does_not_know_the_question_is_up() {
    let scene = Scene::new(RawConfig::default());
    let answer = r#"{"v":1,"id":"ping","decision":"error","detail":"unknown type"}"#;
    let _executor = scene.executor(Manner::Say(format!("{answer}\n").into()));
    scene.instance.start(0, Vec::new());
    assert!(scene.is_up());
}

#[test]
fn it_is_asked_once_in_a_while_however_many_flush() {
    let scene = Scene::new(RawConfig::default());
    let executor = scene.executor(Manner::Answer(Decision::Pending));
    scene.instance.start(0, Vec::new());
    for round in 1..=10 {
        let now_ms = round * (PROBE_MS + 1_000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| flush_ten_times(&scene, now_ms));
            }
        });
    }
    assert_eq!(executor.pings(), 11);
}

fn flush_ten_times(scene: &Scene, now_ms: u64) {
    (0..10).for_each(|i| scene.flush(now_ms + i));
}

#[test]
fn a_hung_executor_costs_one_timeout_in_five_seconds_while_nothing_matches() {
    let scene = Scene::new(RawConfig {
        ack_timeout: Some("100ms".into()),
        ..RawConfig::default()
    });
    let executor = scene.executor(Manner::Hang);
    scene.instance.start(0, Vec::new());
    let began = Instant::now();
    for now_ms in (1_000..4 * PROBE_MS).step_by(10) {
        scene.flush(now_ms);
    }
    let took = began.elapsed();
    assert_eq!(executor.pings(), 4);
    assert!(took < Duration::from_millis(600), "{took:?}");
}

#[test]
fn to_ask_fits_the_stack_budget() {
    const BUDGET: usize = 16 * 1_024;
    let scene = Scene::new(RawConfig::default());
    let deep = format!("{{\"v\":1,\"id\":{}\n", "[".repeat(10_000));
    for (round, manner) in [
        Manner::Answer(Decision::Pending),
        Manner::Say(deep.into_bytes()),
    ]
    .into_iter()
    .enumerate()
    {
        let executor = scene.executor(manner);
        let stack = SmallStack::new(256 * 1_024);
        let now_ms = (round as u64 + 1) * 2 * PROBE_MS;
        let ((), used) = stack.run(|| scene.flush(now_ms));
        assert_eq!(executor.pings(), 1, "it was not asked");
        assert!(used > 512 && used <= BUDGET, "{used} bytes of stack");
    }
}
