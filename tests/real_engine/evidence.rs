//! What a restart leaves behind for people who ask why: whole, private, without
//! secrets, and never in the restart's way.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{charge, eventually_restarted, healing, plain};
use crate::support::engine::{Container, Spec, engine, eventually};
use crate::support::engine_proxy::{EngineProxy, Moment};
use crate::support::healer::{Executor, Setup, by_id, oom};

/// Stands in every secret of these tests.
const PLANTED: &str = "planted";

/// The evidence that the history names for the newest attempt.
fn evidence(executor: &Executor, container: &Container) -> (PathBuf, Value) {
    let entry = executor.eventually("named evidence", |it| {
        let history = it.history(&container.name);
        history
            .into_iter()
            .rev()
            .find(|e| e["evidence"].is_string())
    });
    let path = PathBuf::from(entry["evidence"].as_str().expect("a path"));
    let bundle = bundle(&path);
    (path, bundle)
}

fn bundle(path: &Path) -> Value {
    let text = std::fs::read(path).expect("what is named is there");
    serde_json::from_slice(&text).expect("JSON")
}

/// The same once its second half is in it.
fn completed(executor: &Executor, container: &Container) -> (PathBuf, Value) {
    executor.eventually("a completed bundle", |it| {
        let (path, bundle) = evidence(it, container);
        bundle["read_ms"]["after_the_call"]
            .is_u64()
            .then_some((path, bundle))
    })
}

fn texts(bundle: &Value) -> Vec<&str> {
    let lines = bundle["logs"]["lines"].as_array().expect("lines");
    lines
        .iter()
        .filter_map(|line| line["text"].as_str())
        .collect()
}

fn missing(bundle: &Value) -> Vec<&str> {
    let missing = bundle["missing"].as_array().expect("a list");
    missing.iter().filter_map(|m| m["what"].as_str()).collect()
}

fn in_any_file(dir: &Path, words: &str) -> Option<PathBuf> {
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let entry = entry.expect("an entry");
            let kind = entry.file_type().expect("its type");
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() {
                let bytes = std::fs::read(entry.path()).expect("read");
                if String::from_utf8_lossy(&bytes).contains(words) {
                    return Some(entry.path());
                }
            }
        }
    }
    None
}

#[test]
fn a_restart_leaves_private_evidence_without_secrets_of_what_it_destroyed() {
    let spec = Spec::command(&["/app", "--api-key", "planted-key-1"])
        .env("DB_PASSWORD", "planted-password-2")
        .env("MODEL", "planted-model-3")
        .host_config("Memory", (64 << 20).into())
        .health_command("echo token=planted-token-4; true", Duration::from_secs(1));
    let Some((_, executor, container)) = healing("evidence", &spec, Setup::with_http) else {
        return;
    };
    container.print("Authorization: Bearer planted-bearer-5");
    container.print("connecting with planted-password-2");
    container.print("CUDA out of memory");
    container.eventually("a health check", |state| {
        state["Health"]["Status"] == "healthy"
    });
    let started_before = container.started_at();

    charge(&executor, &container.id);

    eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
    let (path, bundle) = completed(&executor, &container);
    assert_memory(&bundle);
    assert_eq!(bundle["container"]["state"]["started_at"], *started_before);
    assert_eq!(bundle["container_id"], container.id.as_str());
    assert_eq!(bundle["rule"], "cuda-oom");
    let health = &bundle["container"]["health"];
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["checks"][0]["output"], "token=[masked]");
    assert_eq!(bundle["container"]["memory_limit_bytes"], 64 << 20);
    let names = bundle["container"]["environment"]["first"].to_string();
    assert!(
        names.contains("\"MODEL\"") && names.contains("\"DB_PASSWORD\""),
        "{names}"
    );
    // Those of the new start are from after the charge.
    let expected = [
        "started",
        "Authorization: [masked]",
        "connecting with [masked]",
        "CUDA out of memory",
    ];
    assert_eq!(texts(&bundle), expected, "{bundle}");
    assert_private(&executor, &path);
    assert_named(&executor, &path);
    assert_eq!(in_any_file(&executor.path(""), PLANTED), None);
}

/// An engine that measures once a second, for whoever asked first, may be late.
fn assert_memory(bundle: &Value) {
    let why = bundle["missing"][0]["why"].as_str().unwrap_or_default();
    match missing(bundle)[..] {
        [] => assert!(
            bundle["memory"]["usage_bytes"].as_u64() > Some(0),
            "{bundle}"
        ),
        ["memory"] => assert!(why.contains("timed out"), "{bundle}"),
        _ => panic!("{bundle}"),
    }
}

fn assert_private(executor: &Executor, path: &Path) {
    let dir = executor.path("state/evidence");
    assert_eq!(path.parent(), Some(dir.as_path()));
    for (path, mode) in [(dir.as_path(), 0o700), (path, 0o600)] {
        let meta = std::fs::metadata(path).expect("it is there");
        assert_eq!(
            meta.permissions().mode() & 0o7777,
            mode,
            "{}",
            path.display()
        );
    }
}

fn assert_named(executor: &Executor, path: &Path) {
    let shown = path.to_str().expect("UTF-8");
    let last: Value = serde_json::from_str(&executor.report("last_restart.json")).expect("JSON");
    assert_eq!(last["evidence"], shown);
    let log: Value = serde_json::from_str(&executor.report("restarts.log")).expect("one line");
    assert_eq!(log["evidence"], shown);
    let history = executor.cli(&["history"]);
    assert!(history.stdout.contains(shown), "{history:?}");
    let (_, metrics) = executor.http("/metrics");
    let has = |line: &str| metrics.lines().any(|found| found == line);
    assert!(
        has("healer_evidence_total{result=\"failed\"} 0"),
        "{metrics}"
    );
    assert!(has("healer_evidence_read_seconds_count 1"), "{metrics}");
}

#[test]
fn a_containers_terminal_is_read_too() {
    let Some((_, executor, container)) = healing("terminal", &Spec::app().tty(), plain) else {
        return;
    };
    eventually("its first line", || {
        let log = std::fs::read_to_string(container.log_path()).ok()?;
        log.contains("started").then_some(())
    });
    charge(&executor, &container.id);
    let (_, bundle) = completed(&executor, &container);
    assert_eq!(texts(&bundle), ["started"]);
    assert_eq!(bundle["logs"]["lines"][0]["stream"], "terminal");
}

#[test]
fn an_engine_that_hangs_on_a_reading_delays_the_restart_by_its_limit_only() {
    let Some(engine) = engine() else { return };
    let proxy = EngineProxy::before(engine);
    let container = engine.run("hung-stats", &Spec::app());
    let executor = Executor::start(Setup::new(&proxy.socket()).target(&container.name));
    let started_before = container.started_at();
    let stats = proxy.hold("/stats", Moment::Before);
    let call = proxy.hold("/restart", Moment::Before);
    executor.decide(&oom(by_id(&container.id)));
    stats.reached();
    let asked = Instant::now();

    call.reached();

    // 200 ms on a machine that has nothing else to do.
    let waited = asked.elapsed();
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    call.let_go();
    eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
    let (_, bundle) = completed(&executor, &container);
    assert_eq!(missing(&bundle), ["memory"], "{bundle}");
    let read_ms = bundle["read_ms"]["before_the_call"].as_u64();
    assert!(read_ms >= Some(200), "{bundle}");
    assert_eq!(texts(&bundle), ["started"]);
}

#[test]
fn logs_that_hang_hold_up_neither_the_attempt_nor_the_way_out() {
    let Some(engine) = engine() else { return };
    let proxy = EngineProxy::before(engine);
    let container = engine.run("hung-logs", &Spec::app());
    let setup = Setup::new(&proxy.socket()).target(&container.name);
    let mut executor = Executor::start(setup);
    let logs = proxy.hold("/logs", Moment::Before);
    charge(&executor, &container.id);
    logs.reached();
    let asked = Instant::now();
    let (path, _) = evidence(&executor, &container);

    assert!(executor.stop().success());

    let waited = asked.elapsed();
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    let bundle = bundle(&path);
    assert_eq!(missing(&bundle).last(), Some(&"logs"), "{bundle}");
    executor.start_again();
    executor.eventually_tells(&container.name, "recovered");
    let (again, _) = evidence(&executor, &container);
    assert_eq!(again, path, "named after a restart of the executor, too");
}

#[test]
fn lines_of_the_new_start_do_not_push_out_those_before_the_charge() {
    const LINES: usize = 300;
    let Some(engine) = engine() else { return };
    let proxy = EngineProxy::before(engine);
    let script = format!(
        "trap 'exit 0' TERM; n=0; while [ $n -lt {LINES} ]; do echo line $n; n=$((n+1)); done; \
         while :; do sleep 3600 & wait $!; done"
    );
    let container = engine.run("many-lines", &Spec::command(&["sh", "-c", &script]));
    let executor = Executor::start(Setup::new(&proxy.socket()).target(&container.name));
    let printed = |count: usize| {
        eventually("its lines", || {
            let log = std::fs::read_to_string(container.log_path()).ok()?;
            (log.lines().count() >= count).then_some(())
        });
    };
    printed(LINES);
    let logs = proxy.hold("/logs", Moment::Before);
    charge(&executor, &container.id);
    logs.reached();
    printed(2 * LINES);

    logs.let_go();

    let (_, bundle) = completed(&executor, &container);
    let expected: Vec<String> = (LINES - 100..LINES).map(|n| format!("line {n}")).collect();
    assert_eq!(texts(&bundle), expected);
}

#[test]
fn a_one_shot_leaves_evidence_too_and_off_leaves_none() {
    for keep in ["7d", "off"] {
        let Some(engine) = engine() else { return };
        let container = engine.run("one-shot-evidence", &Spec::app());
        let setup = Setup::new(engine.socket()).target(&container.name);
        let executor = Executor::not_started(setup.set("evidence.keep", keep));
        let done = executor.cli(&["restart", &container.name]);
        assert_eq!(done.code, Some(0), "{done:?}");
        let dir = executor.path("state/evidence");
        let bundles: Vec<PathBuf> = std::fs::read_dir(&dir)
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert_eq!(bundles.len(), usize::from(keep != "off"), "{bundles:?}");
        for path in bundles {
            let bundle = bundle(&path);
            assert_eq!(bundle["cause"], "person");
            assert_eq!(texts(&bundle), ["started"], "{bundle}");
        }
    }
}
