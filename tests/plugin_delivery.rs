//! The executor away, slow, hung, closing in the middle, talking rubbish:
//! Flush comes back in time, and every match arrives once the executor is back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use executor_api::{Decision, Intent, LINE_BYTES_MAX, TargetRef};
use out_healer::config::{Config, RawConfig};
use out_healer::guard::Verdict;
use out_healer::held::{HOLDER_MS, PAIRS_MAX};
use out_healer::instance::Instance;
use out_healer::log::{Level, Line};
use out_healer::metrics::{Counter, NoMetrics};

use crate::support::events::{Chunk, Stamp, map};
use crate::support::executor::{Executor, Manner};
use crate::support::host::{FLB_ERROR, FLB_OK, FLB_RETRY, Output, Plugin};
use crate::support::recorder::Recorder;

const OOM: &str = "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB";
const OTHER: &str = "RuntimeError: CUDA error: device-side assert triggered";

/// The setting under test.
const TIMEOUT: Duration = Duration::from_millis(250);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_millis(400);
/// How long the plugin holds an executor to be away, and a little.
const AWAY: Duration = Duration::from_millis(1_020);

struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("intents.sock")
    }

    fn executor(&self, manner: Manner) -> Executor {
        Executor::start(&self.socket(), manner)
    }

    fn output<'p>(&self, plugin: &'p Plugin, name: &str) -> Output<'p> {
        let socket = self.socket();
        let settings = [
            ("Socket", socket.to_str().expect("UTF-8")),
            ("Target", "record"),
            ("Ack_Timeout", "250ms"),
        ];
        plugin.init(name, &settings).expect("valid settings")
    }
}

fn plugin() -> Plugin {
    let plugin = Plugin::load();
    plugin.start();
    plugin
}

/// One line of each container.
fn chunk(second: u32, containers: &[&str], text: &str) -> Vec<u8> {
    containers
        .iter()
        .fold(Chunk::default(), |chunk, name| {
            let body = map(&[("log", text.into()), ("container_name", (*name).into())]);
            chunk.v2(Stamp::EventTime(second, 7), &body)
        })
        .0
}

/// Matches by container, each id counted once, as the executor does.
fn counted(received: &[Intent]) -> BTreeMap<String, u64> {
    let mut seen = BTreeSet::new();
    let mut matches = BTreeMap::new();
    for intent in received {
        if seen.insert(&intent.id) {
            let TargetRef::Name(name) = &intent.target else {
                panic!("{intent:?}");
            };
            *matches.entry(name.clone()).or_default() += intent.matches();
        }
    }
    matches
}

fn timed(work: impl FnOnce() -> i32) -> (i32, Duration) {
    let began = Instant::now();
    let code = work();
    (code, began.elapsed())
}

#[test]
fn with_the_executor_away_one_chunk_goes_back_and_the_others_are_folded() {
    let scene = Scene::new();
    let plugin = plugin();
    let output = scene.output(&plugin, "folding");
    let (first, second, third) = (
        chunk(1, &["a"], OOM),
        chunk(2, &["a"], OOM),
        chunk(3, &["a"], OOM),
    );
    assert_eq!(output.flush(&first, "t"), FLB_RETRY);
    assert_eq!(output.flush(&second, "t"), FLB_OK);
    assert_eq!(output.flush(&third, "t"), FLB_OK);
    assert_eq!(output.flush(&first, "t"), FLB_RETRY);
    // Another container, another rule: pairs of their own.
    assert_eq!(output.flush(&chunk(4, &["b"], OOM), "t"), FLB_RETRY);
    assert_eq!(output.flush(&chunk(4, &["a"], OTHER), "t"), FLB_RETRY);
    // A chunk that must go back for one container is folded for none.
    assert_eq!(output.flush(&chunk(5, &["a", "c"], OOM), "t"), FLB_RETRY);
    assert_eq!(output.metric("folded_total", ""), 2.0);
    assert_eq!(output.metric("undelivered_total", ""), 5.0);
    assert_eq!(output.metric("held_intents", ""), 1.0);
    assert_eq!(output.metric("executor_up", ""), 0.0);

    let executor = scene.executor(Manner::Answer(Decision::Pending));
    std::thread::sleep(AWAY);
    for again in [
        first,
        chunk(4, &["b"], OOM),
        chunk(4, &["a"], OTHER),
        chunk(5, &["a", "c"], OOM),
    ] {
        assert_eq!(output.flush(&again, "t"), FLB_OK);
    }
    let expected = [
        ("a".to_string(), 5),
        ("b".to_string(), 1),
        ("c".to_string(), 1),
    ];
    assert_eq!(counted(&executor.received()), BTreeMap::from(expected));
    assert_eq!(output.metric("held_intents", ""), 0.0);
    assert_eq!(output.metric("executor_up", ""), 1.0);
    let lines = output.lines();
    assert!(
        lines.iter().any(|line| line.contains("does not answer")),
        "{lines:#?}"
    );
    assert!(
        lines.iter().any(|line| line.contains("answers again")),
        "{lines:#?}"
    );
}

#[test]
fn an_executor_that_is_away_costs_no_time() {
    let scene = Scene::new();
    // A socket's file without a listener refuses; no file is another error.
    for name in ["no socket", "refused"] {
        if name == "refused" {
            drop(UnixListener::bind(scene.socket()).expect("bound"));
        }
        let plugin = plugin();
        let output = scene.output(&plugin, name);
        for second in 0..50 {
            let (_, took) = timed(|| output.flush(&chunk(second, &["a"], OOM), "t"));
            assert!(took < Duration::from_millis(100), "{name}: {took:?}");
        }
    }
}

#[test]
fn a_hung_executor_costs_one_timeout_a_second_at_most() {
    let scene = Scene::new();
    let executor = scene.executor(Manner::Answer(Decision::Pending));
    let plugin = plugin();
    let output = scene.output(&plugin, "hung");
    executor.behave(Manner::Hang);
    let (code, took) = timed(|| output.flush(&chunk(1, &["a"], OOM), "t"));
    assert_eq!(code, FLB_RETRY);
    assert!(took >= TIMEOUT && took < TIMEOUT + SLACK, "{took:?}");
    let (code, took) = timed(|| output.flush(&chunk(2, &["a"], OOM), "t"));
    assert_eq!(code, FLB_OK, "folded");
    assert!(took < Duration::from_millis(50), "remembered: {took:?}");

    executor.behave(Manner::Answer(Decision::Pending));
    std::thread::sleep(AWAY);
    assert_eq!(output.flush(&chunk(1, &["a"], OOM), "t"), FLB_OK);
    assert_eq!(
        counted(&executor.received()),
        BTreeMap::from([("a".into(), 2)])
    );
}

#[test]
fn a_full_backlog_does_not_hold_flush_up() {
    let scene = Scene::new();
    // Nobody accepts; a plain connect would wait for ever from some point on.
    let listener = UnixListener::bind(scene.socket()).expect("bound");
    // SAFETY: shrinks the queue of our own listener.
    unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&listener), 0) };
    let fillers: Vec<socket2::Socket> = (0..4)
        .map(|_| {
            let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)
                .expect("a socket");
            socket.set_nonblocking(true).expect("not blocking");
            let address = socket2::SockAddr::unix(scene.socket()).expect("an address");
            // The last ones find the queue full: that is the point.
            let _ = socket.connect(&address);
            socket
        })
        .collect();
    let plugin = plugin();
    let (output, took) = {
        let began = Instant::now();
        (scene.output(&plugin, "backlog"), began.elapsed())
    };
    assert!(
        took < TIMEOUT + SLACK + Duration::from_secs(1),
        "Init: {took:?}"
    );
    std::thread::sleep(AWAY);
    let (code, took) = timed(|| output.flush(&chunk(1, &["a"], OOM), "t"));
    assert_eq!(code, FLB_RETRY);
    assert!(took < TIMEOUT + SLACK, "{took:?}");
    drop(fillers);
}

#[test]
fn a_slow_executor_is_waited_for_within_the_timeout() {
    let scene = Scene::new();
    let executor = scene.executor(Manner::Slow(Duration::from_millis(35)));
    let plugin = plugin();
    let output = scene.output(&plugin, "slow");
    assert_eq!(output.flush(&chunk(1, &["a", "b"], OOM), "t"), FLB_OK);
    // Ten times 35 ms do not fit: some are answered, the chunk comes again.
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let (code, took) = timed(|| output.flush(&chunk(2, &names, OOM), "t"));
    assert_eq!(code, FLB_RETRY);
    assert!(took >= TIMEOUT && took < TIMEOUT + SLACK, "{took:?}");
    executor.behave(Manner::Answer(Decision::Pending));
    std::thread::sleep(AWAY);
    assert_eq!(output.flush(&chunk(2, &names, OOM), "t"), FLB_OK);
    let counts = counted(&executor.received());
    assert_eq!(counts.len(), 10);
    assert_eq!((counts["a"], counts["b"], counts["j"]), (2, 2, 1));
}

#[test]
fn parallel_flushes_at_a_hung_executor_do_not_queue_up() {
    let scene = Scene::new();
    let executor = scene.executor(Manner::Answer(Decision::Pending));
    let plugin = plugin();
    let output = scene.output(&plugin, "parallel");
    executor.behave(Manner::Hang);
    let (_, took) = timed(|| {
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let output = &output;
                scope.spawn(move || output.flush(&chunk(worker, &["a"], OOM), "t"));
            }
        });
        0
    });
    assert!(took < TIMEOUT + SLACK, "{took:?}");
}

#[test]
fn answers_come_in_any_order() {
    let scene = Scene::new();
    let executor = scene.executor(Manner::AnswerBackwards);
    let plugin = plugin();
    let output = scene.output(&plugin, "backwards");
    let names: Vec<String> = (0..500).map(|i| format!("c{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(output.flush(&chunk(1, &names, OOM), "t"), FLB_OK);
    assert_eq!(counted(&executor.received()).len(), 500);
    assert_eq!(executor.connections(), 1, "one connection is kept");
}

#[test]
fn an_executor_that_closes_in_the_middle_is_asked_again() {
    let scene = Scene::new();
    let executor = scene.executor(Manner::CloseAfter(1));
    let plugin = plugin();
    let output = scene.output(&plugin, "closing");
    let three = chunk(1, &["a", "b", "c"], OOM);
    assert_eq!(output.flush(&three, "t"), FLB_RETRY);
    executor.behave(Manner::Answer(Decision::Pending));
    std::thread::sleep(AWAY);
    assert_eq!(output.flush(&three, "t"), FLB_OK);
    let expected = ["a", "b", "c"].map(|name| (name.to_string(), 1));
    assert_eq!(counted(&executor.received()), BTreeMap::from(expected));
}

#[test]
fn an_executor_that_was_started_anew_costs_no_chunk() {
    let scene = Scene::new();
    let plugin = plugin();
    let first = scene.executor(Manner::Answer(Decision::Pending));
    let output = scene.output(&plugin, "anew");
    assert_eq!(output.flush(&chunk(1, &["a"], OOM), "t"), FLB_OK);
    drop(first);
    let second = scene.executor(Manner::Answer(Decision::Pending));
    assert_eq!(output.flush(&chunk(2, &["a"], OOM), "t"), FLB_OK);
    assert_eq!(second.received().len(), 1);
}

#[test]
fn rubbish_in_place_of_an_answer_is_no_answer() {
    let line = |text: &str| format!("{text}\n").into_bytes();
    let stray = "{\"v\":1,\"id\":\"unknown\",\"decision\":\"restart\"}\n";
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no json", line("hello")),
        ("no object", line("[1,2]")),
        (
            "no version",
            line("{\"id\":\"x\",\"decision\":\"restart\"}"),
        ),
        (
            "other version",
            line("{\"v\":2,\"id\":\"x\",\"decision\":\"restart\"}"),
        ),
        (
            "unknown decision",
            line("{\"v\":1,\"id\":\"x\",\"decision\":\"dance\"}"),
        ),
        ("no decision", line("{\"v\":1,\"id\":\"x\"}")),
        (
            "unreadable",
            line("{\"v\":1,\"id\":\"\",\"decision\":\"error\",\"detail\":\"no\"}"),
        ),
        ("no utf-8", b"{\"v\":1,\"id\":\"\xff\xfe\"}\n".to_vec()),
        ("zeros", vec![0; 100]),
        ("endless line", vec![b'x'; 4 * LINE_BYTES_MAX]),
        ("deep nesting", line(&"[".repeat(LINE_BYTES_MAX - 2))),
        ("stray answers", stray.repeat(10_000).into()),
        ("half a line", b"{\"v\":1,\"id\"".to_vec()),
    ];
    let scene = Scene::new();
    let executor = scene.executor(Manner::Answer(Decision::Pending));
    for (name, bytes) in cases {
        let plugin = plugin();
        let output = scene.output(&plugin, name);
        executor.behave(Manner::Say(bytes));
        let (code, took) = timed(|| output.flush(&chunk(1, &["a"], OOM), "t"));
        assert_eq!(code, FLB_RETRY, "{name}");
        assert!(took < TIMEOUT + SLACK, "{name}: {took:?}");
        executor.behave(Manner::Answer(Decision::Pending));
        std::thread::sleep(AWAY);
        assert_eq!(output.flush(&chunk(1, &["a"], OOM), "t"), FLB_OK, "{name}");
    }
}

#[test]
fn retry_is_waited_for_and_error_is_not() {
    let scene = Scene::new();
    let executor = scene.executor(Manner::Answer(Decision::Retry));
    let plugin = plugin();
    let output = scene.output(&plugin, "retry");
    assert_eq!(output.flush(&chunk(1, &["a"], OOM), "t"), FLB_RETRY);
    assert_eq!(output.flush(&chunk(2, &["a"], OOM), "t"), FLB_OK, "folded");
    assert_eq!(output.metric("executor_up", ""), 1.0, "it answers");
    executor.behave(Manner::Answer(Decision::Pending));
    assert_eq!(output.flush(&chunk(1, &["a"], OOM), "t"), FLB_OK);
    assert_eq!(counted(&executor.received())["a"], 2);
    assert_eq!(output.metric("held_intents", ""), 0.0);

    executor.behave(Manner::Answer(Decision::Error));
    assert_eq!(output.flush(&chunk(9, &["a"], OOM), "t"), FLB_ERROR);
    assert_eq!(output.metric("intents_total", "error"), 1.0);
    assert!(
        output
            .lines()
            .iter()
            .any(|line| line.starts_with("1 ") && line.contains(": error"))
    );
}

#[test]
fn an_error_is_neither_sent_nor_counted_again_with_its_chunk() {
    fn is_a(intent: &Intent) -> bool {
        intent.target == TargetRef::Name("a".into())
    }
    let scene = Scene::new();
    let executor = scene.executor(Manner::Decide(|intent| {
        is_a(intent).then_some(Decision::Error)
    }));
    let plugin = plugin();
    let output = scene.output(&plugin, "error-and-none");
    let both = chunk(1, &["a", "b"], OOM);
    for attempt in 1..=2 {
        assert_eq!(output.flush(&both, "t"), FLB_RETRY, "{attempt}");
        std::thread::sleep(AWAY);
    }
    executor.behave(Manner::Answer(Decision::Pending));
    assert_eq!(output.flush(&both, "t"), FLB_ERROR, "it held an error");
    let of_a = |intents: Vec<Intent>| intents.iter().filter(|i| is_a(i)).count();
    assert_eq!(of_a(executor.take_received()), 1);
    assert_eq!(output.metric("intents_total", "error"), 1.0);
    assert_eq!(output.metric("intents_total", "pending"), 1.0);
    // Done with: a chunk of the same content is another chunk.
    assert_eq!(output.flush(&both, "t"), FLB_OK);
    assert_eq!(of_a(executor.take_received()), 1);
}

#[test]
fn what_must_be_told_to_a_person_goes_first() {
    let scene = Scene::new();
    let rules = scene.dir.path().join("own.toml");
    std::fs::write(
        &rules,
        r#"
[[rule]]
name = "again"
summary = "A restart cures it."
remedy = "restart"
literals = ["ordinary mishap"]
examples = ["an ordinary mishap"]
counter_examples = ["all is well"]

[[rule]]
name = "person"
summary = "A restart does not cure it."
remedy = "escalate"
literals = ["broken for good"]
examples = ["it is broken for good"]
counter_examples = ["all is well"]
"#,
    )
    .expect("written");
    let executor = scene.executor(Manner::Answer(Decision::Pending));
    let plugin = plugin();
    let socket = scene.socket();
    let settings = [
        ("Socket", socket.to_str().expect("UTF-8")),
        ("Rules", rules.to_str().expect("UTF-8")),
        ("Target", "app"),
    ];
    let output = plugin.init("first", &settings).expect("valid settings");
    let chunk = Chunk::default()
        .log(1, "an ordinary mishap")
        .log(2, "it is broken for good");
    assert_eq!(output.flush(&chunk.0, "t"), FLB_OK);
    let order: Vec<String> = executor.received().into_iter().map(|i| i.rule).collect();
    assert_eq!(order, ["person", "again"]);
}

/// Fluent Bit's side of a storm: chunks that come, and those that come again.
struct Storm {
    instance: Instance,
    /// (when, second, container) of chunks that the host keeps.
    waiting: VecDeque<(u64, u32, usize)>,
    waiting_max: usize,
    slowest: Duration,
    lost: usize,
}

impl Storm {
    fn new(socket: &Path) -> Self {
        let raw = RawConfig {
            socket: Some(socket.to_str().expect("UTF-8").into()),
            target: Some("record".into()),
            ..RawConfig::default()
        };
        let config = Config::new(&raw).expect("valid settings");
        Self {
            instance: Instance::new(config, Box::new(NoMetrics)),
            waiting: VecDeque::new(),
            waiting_max: 0,
            slowest: Duration::ZERO,
            lost: 0,
        }
    }

    fn flush(&mut self, now_ms: u64, second: u32, container: usize) {
        let name = format!("c{container}");
        let bytes = chunk(second, &[&name], OOM);
        let began = Instant::now();
        let verdict = self.instance.flush(now_ms, &bytes, b"t").verdict;
        self.slowest = self.slowest.max(began.elapsed());
        match verdict {
            Verdict::Ok => {}
            // The host comes again after at most `scheduler.cap`.
            Verdict::Retry => self.waiting.push_back((now_ms + 5_000, second, container)),
            Verdict::Error => self.lost += 1,
        }
        self.waiting_max = self.waiting_max.max(self.waiting.len());
    }

    fn retry_due(&mut self, now_ms: u64) {
        while self
            .waiting
            .front()
            .is_some_and(|(when, ..)| *when <= now_ms)
        {
            let (_, second, container) = self.waiting.pop_front().expect("there is one");
            self.flush(now_ms, second, container);
        }
    }
}

#[test]
fn ten_minutes_of_storm_without_an_executor_hold_nothing_up_and_lose_nothing() {
    const CONTAINERS: usize = 8;
    const MINUTES: u64 = 10;
    let scene = Scene::new();
    let mut storm = Storm::new(&scene.socket());
    let mut now_ms = 0;
    let mut made = 0;
    // 100 flushes a second, as with `Flush 0.01`.
    while now_ms < MINUTES * 60_000 {
        storm.retry_due(now_ms);
        storm.flush(now_ms, made as u32, made % CONTAINERS);
        made += 1;
        now_ms += 10;
    }
    assert_eq!(storm.lost, 0);
    assert_eq!(
        storm.waiting_max, CONTAINERS,
        "chunks with the host, of 2,048"
    );
    assert!(
        storm.slowest < Duration::from_millis(250),
        "{:?}",
        storm.slowest
    );

    let executor = scene.executor(Manner::Answer(Decision::Pending));
    for _ in 0..10 {
        now_ms += 1_000;
        storm.retry_due(now_ms);
    }
    assert_eq!(storm.waiting.len(), 0);
    let counts = counted(&executor.received());
    assert_eq!(counts.len(), CONTAINERS);
    assert_eq!(counts.values().sum::<u64>(), made as u64);
    let intents = executor.received().len();
    assert!(
        intents <= 3 * CONTAINERS,
        "{intents} intents for {made} chunks"
    );
}

#[test]
fn what_the_full_table_loses_or_forgets_is_told_and_counted() {
    let scene = Scene::new();
    let figures = Recorder::default();
    let raw = RawConfig {
        socket: Some(scene.socket().to_str().expect("UTF-8").into()),
        target: Some("record".into()),
        ..RawConfig::default()
    };
    let config = Config::new(&raw).expect("valid settings");
    let instance = Instance::new(config, Box::new(figures.clone()));
    let flush = |now_ms, container: usize| {
        instance.flush(now_ms, &chunk(1, &[&format!("c{container}")], OOM), b"t")
    };
    for container in 0..PAIRS_MAX {
        assert_eq!(flush(0, container).verdict, Verdict::Retry);
    }
    let full = flush(1, PAIRS_MAX);
    assert_eq!(full.verdict, Verdict::Error);
    assert_eq!(figures.counter(Counter::Lost), 1);
    assert!(
        said(&full.lines, Level::Error, "1 matches lost"),
        "{full:?}"
    );
    assert_eq!(figures.counter(Counter::Forgotten), 0);

    let later = flush(1 + HOLDER_MS, PAIRS_MAX);
    assert_eq!(later.verdict, Verdict::Retry);
    assert_eq!(figures.counter(Counter::Forgotten), PAIRS_MAX as u64);
    let words = "4096 waiting chunks are forgotten";
    assert!(said(&later.lines, Level::Warn, words), "{later:?}");
}

fn said(lines: &[Line], level: Level, words: &str) -> bool {
    lines
        .iter()
        .any(|line| line.level == level && line.text.contains(words))
}
