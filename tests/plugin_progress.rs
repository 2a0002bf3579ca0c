//! Progress: told to the executor at a bounded price, whose it is as the host vouches for it,
//! and nothing of it in anybody's way.

use executor_api::{Decision, Progress, TargetRef};
use out_healer::config::{Config, RawConfig};
use out_healer::guard::Verdict;
use out_healer::instance::Instance;
use out_healer::metrics::NoMetrics;
use out_healer::progress::{EVERY_MS, PING_MS};

use crate::support::events::{Chunk, Stamp, map};
use crate::support::executor::{Executor, Manner};

const ID: &str = "a5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234";

struct Scene {
    dir: tempfile::TempDir,
    instance: Instance,
}

impl Scene {
    fn new(progress: &str, target: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = dir.path().join("intents.sock");
        let config = Config::new(&RawConfig {
            socket: Some(socket.to_str().expect("UTF-8").into()),
            progress: Some(progress.into()),
            target: Some(target.into()),
            ..RawConfig::default()
        });
        let config = config.expect("valid settings");
        Self {
            dir,
            instance: Instance::new(config, Box::new(NoMetrics)),
        }
    }

    fn executor(&self) -> Executor {
        let manner = Manner::Answer(Decision::Pending);
        Executor::start(&self.dir.path().join("intents.sock"), manner)
    }

    fn flush(&self, now_ms: u64, chunk: Chunk, tag: &str) {
        let report = self.instance.flush(now_ms, &chunk.0, tag.as_bytes());
        assert_eq!(report.verdict, Verdict::Ok);
    }
}

/// Pattern, target and second of each.
fn told(executor: &Executor) -> Vec<(String, TargetRef, u64)> {
    let short = |progress: Progress| (progress.pattern, progress.target, progress.last.0);
    executor.take_progress().into_iter().map(short).collect()
}

fn line(second: i64, text: &str) -> Chunk {
    Chunk::default().v2(Stamp::Int(second), &map(&[("log", text.into())]))
}

#[test]
fn it_is_told_once_in_a_while_with_what_came_meanwhile() {
    let scene = Scene::new("Processed batch", "auto");
    let executor = scene.executor();
    let tag = format!("docker.{ID}");
    let target = TargetRef::Id(ID.into());
    let batch = |second| line(second, "INFO Processed batch 7 of 9");
    scene.flush(0, batch(100), &tag);
    assert_eq!(
        told(&executor),
        [("Processed batch".into(), target.clone(), 100)]
    );
    assert_eq!(executor.looked_for(), ["Processed batch"]);
    scene.flush(500, batch(101), &tag);
    scene.flush(900, line(102, "nothing of note"), &tag);
    assert_eq!(told(&executor), []);
    scene.flush(EVERY_MS, line(103, "nothing of note"), &tag);
    assert_eq!(told(&executor), [("Processed batch".into(), target, 101)]);
    scene.flush(
        3 * EVERY_MS,
        line(104, "processed batch, in other letters"),
        &tag,
    );
    assert_eq!(told(&executor), []);
}

#[test]
fn any_output_counts_where_that_is_asked_for_each_container() {
    let scene = Scene::new("*", "record");
    let executor = scene.executor();
    let record = |second, name: &str, key: &str| {
        let body = map(&[(key, "text".into()), ("container_name", name.into())]);
        Chunk::default().v2(Stamp::Int(second), &body).0
    };
    let bytes = [
        record(1, "web", "log"),
        record(2, "db", "log"),
        record(3, "web", "log"),
        // Nothing that is searched.
        record(4, "cache", "other"),
    ];
    scene.flush(0, Chunk(bytes.concat()), "app");
    let name = |name: &str| TargetRef::Name(name.into());
    let any = || "*".to_owned();
    assert_eq!(
        told(&executor),
        [(any(), name("db"), 2), (any(), name("web"), 3)]
    );
}

#[test]
fn the_pattern_counts_in_the_text_only_and_never_without_a_container() {
    let scene = Scene::new("batch", "auto");
    let executor = scene.executor();
    let body = map(&[("log", "idle".into()), ("job", "batch".into())]);
    let elsewhere = Chunk::default().v2(Stamp::Int(1), &body);
    scene.flush(0, elsewhere, &format!("docker.{ID}"));
    scene.flush(0, line(1, "batch"), "no-container");
    assert_eq!(told(&executor), []);
}

#[test]
fn that_somebody_looks_is_said_every_five_seconds_whatever_else_is_said() {
    let scene = Scene::new("*", "web");
    let executor = scene.executor();
    for second in 0..60 {
        scene.flush(
            second * 1_000,
            line(1, "RuntimeError: CUDA out of memory"),
            "t",
        );
    }
    let pings = usize::try_from(60_000 / PING_MS).expect("few");
    assert!(
        (pings - 1..=pings + 1).contains(&executor.pings()),
        "{}",
        executor.pings()
    );
    assert_eq!(executor.received().len(), 60, "matches go on");
}

#[test]
fn what_finds_the_executor_away_waits_and_holds_nothing_up() {
    let scene = Scene::new("*", "web");
    scene.flush(0, line(7, "text"), "t");
    scene.flush(100, line(8, "text"), "t");
    let executor = scene.executor();
    scene.flush(1_900, line(9, "text"), "t");
    let expected = ("*".to_owned(), TargetRef::Name("web".into()), 9);
    assert_eq!(told(&executor), [expected]);
    assert_eq!(executor.looked_for(), ["*"]);
}
