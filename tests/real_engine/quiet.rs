//! Containers that ought to be heard of and are not: stuck workers, missing beats.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{assert_started, eventually_restarted};
use crate::support::engine::{Container, Engine, Spec, engine, eventually};
use crate::support::healer::{Executor, Setup, now};

/// Works: a batch ten times a second. With the file `/stuck` it lives on and does nothing;
/// a start removes it.
const WORKER: &str = "trap 'exit 0' TERM; /bin/busybox rm -f /stuck; echo started; n=0; \
    while :; do n=$((n+1)); [ -e /stuck ] || echo Processed batch $n; echo noise; \
    sleep 0.1 & wait $!; done";

fn worker() -> Spec {
    Spec::command(&["sh", "-c", WORKER])
}

fn begin(
    hint: &str,
    spec: &Spec,
    check: &str,
    keys: Value,
    configure: impl FnOnce(Setup) -> Setup,
) -> Option<(&'static Engine, Executor, Container)> {
    let engine = engine()?;
    let container = engine.run(&format!("probes-{hint}"), spec);
    let name = &container.name;
    let setup = Setup::new(engine.socket()).target(name);
    let setup = setup.set_for(name, check, keys).with_http();
    Some((engine, Executor::start(configure(setup)), container))
}

/// It has printed this batch: so many tenths of a second have passed since its start.
fn until_batch(engine: &Engine, container: &Container, number: u32) {
    let path = format!("/containers/{}/logs?stdout=1", container.id);
    let batch = format!("Processed batch {number}\n");
    eventually(&batch, || {
        let (_, log) = engine.try_request("GET", &path, None).expect("its log");
        let log = String::from_utf8_lossy(&log);
        log.contains(&batch).then_some(())
    });
}

#[test]
fn a_stuck_worker_is_found_by_its_silence_and_works_on_after_a_restart() {
    // Longer than a busy machine may keep its lines from us.
    let keys = json!({"pattern": "Processed batch [0-9]+$", "first": "20s", "then": "5s"});
    let started = begin("stuck", &worker(), "silence", keys, |setup| setup);
    let Some((engine, executor, container)) = started else {
        return;
    };
    // Longer than the silence that is allowed: progress keeps it well.
    until_batch(engine, &container, 61);
    assert_started(engine, &container, 1);
    let started_before = container.started_at();
    container.exec(&["touch", "/stuck"]);
    eventually_restarted(&container, &started_before);
    let secs = silent_secs(&executor, "no progress \"Processed batch [0-9]+$\" for ");
    assert!((5..15).contains(&secs), "{secs} s");
    executor.eventually_logs("s since the last; 5s are allowed");
    executor.eventually_tells(&container.name, "recovered");
    assert_started(engine, &container, 2);
}

/// So long it has been silent, by the executor's words.
fn silent_secs(executor: &Executor, words: &str) -> u32 {
    let log = executor.eventually_logs(words);
    let (_, silent) = log.split_once(words).expect("they are there");
    let (secs, _) = silent.split_once("s since").expect("seconds");
    secs.parse().expect("a number")
}

#[test]
fn a_worker_that_never_begins_has_the_time_of_a_first_progress() {
    let keys = json!({"any": true, "first": "3s", "then": "1s"});
    let deaf = Spec::command(&["sleep", "3600"]);
    let started = begin("never", &deaf, "silence", keys, |setup| {
        setup.set("dry_run", true)
    });
    let Some((_, executor, container)) = started else {
        return;
    };
    let log = executor.eventually_logs("no output for 3s since its start or ours; 3s are allowed");
    assert!(!log.contains("no output for 1s"), "{log}");
    executor.eventually_tells(&container.name, "dry-run");
}

#[test]
fn nothing_is_silent_while_the_engine_cannot_be_asked() {
    let Some(engine) = engine() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("docker.sock");
    let appear = || std::os::unix::fs::symlink(engine.socket(), &socket).expect("a link");
    appear();
    let container = engine.run("probes-cut", &worker());
    let name = &container.name;
    let keys = json!({"pattern": "Processed batch", "first": "3s", "then": "2s"});
    let setup = Setup::new(&socket).target(name);
    let executor = Executor::start(setup.set_for(name, "silence", keys).with_http());
    // Its HTTP endpoint is there a moment after its sockets.
    executor.eventually_logs("listening");
    let well = format!(r#"healer_check_failing{{target="{name}",rule="silent"}} 0"#);
    executor.eventually("its first progress", |executor| {
        let (_, metrics) = executor.http("/metrics");
        metrics.lines().any(|line| line == well).then_some(())
    });

    std::fs::remove_file(&socket).expect("it is there");
    container.exec(&["touch", "/stuck"]);
    let log = executor.eventually_logs("nothing counts as silence for now");
    assert!(log.contains(socket.to_str().expect("UTF-8")), "{log}");
    // Twice as long as it may be silent. Nothing at all can be told of it meanwhile.
    std::thread::sleep(Duration::from_secs(4));
    let log = executor.log();
    assert!(!log.contains("no progress"), "{log}");
    assert_eq!(executor.metric("healer_silence_suppressed_total"), 1);

    let started_before = container.started_at();
    appear();
    executor.eventually_logs("it can be heard again");
    eventually_restarted(&container, &started_before);
    assert_started(engine, &container, 2);
}

/// As a suspended machine does, or `docker pause` of the executor.
#[test]
fn an_executor_that_was_stopped_for_a_while_takes_nobody_for_silent() {
    let keys = json!({"pattern": "Processed batch", "first": "3s", "then": "2s"});
    let started = begin("slept", &worker(), "silence", keys, |setup| setup);
    let Some((engine, executor, container)) = started else {
        return;
    };
    let name = &container.name;
    let series = format!("healer_check_failing{{target=\"{name}\",rule=\"silent\"}} 0");
    eventually("its first progress", || {
        let metrics = executor.http("/metrics").1;
        metrics.contains(&series).then_some(())
    });
    executor.signal(rustix::process::Signal::STOP);
    // Longer than a turn may be late; the worker goes on all the while.
    std::thread::sleep(Duration::from_secs(13));
    executor.signal(rustix::process::Signal::CONT);

    // Had it fired, it would have been at once: a later silence does.
    let started_before = container.started_at();
    container.exec(&["touch", "/stuck"]);
    let secs = silent_secs(&executor, "no progress \"Processed batch\" for ");
    let log = executor.log();
    // Counted from when it went on, not from before: the rest is what a busy machine is late.
    assert!((2..13).contains(&secs), "{log}");
    assert_eq!(log.matches("no progress").count(), 1, "{log}");
    eventually_restarted(&container, &started_before);
    assert_started(engine, &container, 2);
}

/// The rest of it, in a real Fluent Bit: `fluent_bit::progress`.
#[test]
fn only_the_progress_of_a_plugin_that_somebody_waits_for_counts() {
    let keys = json!({"pattern": "batch", "first": "20s", "then": "20s", "source": "plugin"});
    let started = begin("plugin", &worker(), "silence", keys, |setup| setup);
    let Some((_, executor, container)) = started else {
        return;
    };
    // Nobody has said that they look for it.
    executor.eventually_logs("no plugin has said for 15 s that it looks for progress \"batch\"");

    let ping = json!({"v": 1, "type": "ping", "id": "p", "progress": ["batch"]});
    assert_eq!(executor.send(&ping)["decision"], "noted");
    executor.eventually_logs("it can be heard again");
    let progress = |pattern: &str| {
        let answer = executor.send(&json!({
            "v": 1, "type": "progress", "id": "q", "target": {"id": container.id},
            "pattern": pattern, "last": [now().as_secs(), null],
        }));
        assert_eq!(answer["decision"], "noted", "{answer}");
        answer["detail"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(progress("other"), "nobody waits for progress \"other\"");
    assert_eq!(progress("batch"), "");
}

#[test]
fn a_missing_beat_restarts_and_beats_by_socket_and_http_keep_it_well() {
    let keys = json!({"within": "2s", "start_period": "3s"});
    let token = "0123456789abcdef0123456789abcdef";
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("token");
    std::fs::write(&file, format!("{token}\n")).expect("it can be written");
    let started = begin("beat", &Spec::app(), "activity", keys, |setup| {
        setup.set("beats.token_file", file.to_str().expect("UTF-8"))
    });
    let Some((engine, executor, container)) = started else {
        return;
    };
    let name = &container.name;
    let by_http = |token: &str| {
        let port = executor.http_port();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let request = format!(
            "POST /beat/{name} HTTP/1.0\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("it answers");
        reply[9..12].to_owned()
    };
    for turn in 0..12 {
        if turn % 2 == 0 {
            let beat = executor.cli(&["beat", name]);
            assert_eq!((beat.code, &*beat.stdout), (Some(0), ""), "{beat:?}");
        } else {
            assert_eq!(by_http(token), "200");
        }
        std::thread::sleep(Duration::from_millis(400));
    }
    assert_eq!(by_http("wrong"), "401");
    assert_eq!(executor.cli(&["beat", "no-such"]).code, Some(2));
    assert_eq!(executor.metric("healer_beats_total"), 12);
    assert_started(engine, &container, 1);

    let started_before = container.started_at();
    eventually_restarted(&container, &started_before);
    executor.eventually_logs("no beat for 2s since the last; 2s are allowed");
    eventually("a beat that clears it", || {
        executor.cli(&["beat", name]);
        executor
            .told(name)
            .contains(&"recovered".to_owned())
            .then_some(())
    });
    assert!(!executor.log().contains(token));
}
