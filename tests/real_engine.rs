//! A real Docker Engine, the real `healer` process, real containers: intents
//! in at the socket, and what the engine, the files and the log show after.
//!
//! One module for each theme. What takes a container's stop wait (10 s and
//! more) runs side by side, see [`side_by_side`].

mod check;
mod confirm;
mod dependencies;
mod died;
mod drill;
mod engine_faults;
mod engine_killed;
mod evidence;
mod executor_killed;
mod exhausted;
mod gates;
mod healing;
mod kernel;
mod lifecycle;
mod limits;
mod maintenance;
mod markers;
mod pending;
mod person;
mod plugin;
mod probes;
mod quiet;
mod release;
mod resolution;
mod restart;
mod states;
mod storage;
mod storm;
mod switched_off;
mod unfinished;
mod unhealthy;

use std::path::Path;
use std::thread;

use healer::journal::Journal;
use policy::Entry;
use serde_json::Value;

use crate::support::engine::{Container, Engine, Spec, engine, eventually};
use crate::support::engine_proxy::{EngineProxy, Held, Moment};
use crate::support::healer::{Executor, Setup, by_id, oom};

/// An engine, an executor on it and a container that it may heal; none, said
/// loudly, where there is no engine.
fn healing(
    hint: &str,
    spec: &Spec,
    configure: impl FnOnce(Setup) -> Setup,
) -> Option<(&'static Engine, Executor, Container)> {
    let engine = engine()?;
    let container = engine.run(hint, spec);
    let setup = Setup::new(engine.socket()).target(&container.name);
    Some((engine, Executor::start(configure(setup)), container))
}

/// Gives a running executor these rules beside the built-in ones.
fn add_rules(executor: &mut Executor, toml: &str) {
    let file = executor.path("my.toml");
    std::fs::write(&file, toml).expect("the file can be written");
    executor.reconfigure(|setup| setup.set("rules", format!("gpu,{}", file.display())));
    executor.reload();
}

/// A notifier that appends each message to a file.
fn telling(setup: Setup, file: &Path) -> Setup {
    let script = "cat >> \"$0\"; echo >> \"$0\"";
    setup
        .set("notify.desk.type", "command")
        .set(
            "notify.desk.command",
            serde_json::json!(["/bin/sh", "-c", script, file.to_str().expect("UTF-8")]),
        )
        .set("notify.desk.sample", true)
        .set("notify.desk.cooldown", 0)
}

/// What it was told.
fn messages(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().map(serde_json::from_str);
    lines.map_while(Result::ok).collect()
}

/// No change to the usual set-up.
fn plain(setup: Setup) -> Setup {
    setup
}

/// Its container ran out of memory: the answer is `restart`.
#[track_caller]
fn charge(executor: &Executor, container_id: &str) {
    assert_answer(
        &executor.decide(&oom(by_id(container_id))),
        "restart",
        "",
        "",
    );
}

/// Waits until the container runs and was started since `before`; its StartedAt.
fn eventually_restarted(container: &Container, before: &str) -> String {
    let inspect = container.eventually("a restart", |state| {
        state["Status"] == "running" && state["StartedAt"] != *before
    });
    inspect["State"]["StartedAt"]
        .as_str()
        .expect("a time")
        .to_owned()
}

/// Checks decision and gate (`""` = none) of an answer, and that its detail
/// contains the words.
#[track_caller]
fn assert_answer(answer: &Value, decision: &str, gate: &str, words: &str) {
    let gate_is = answer["gate"].as_str().unwrap_or_default();
    let detail = answer["detail"].as_str().unwrap_or_default();
    assert!(
        answer["decision"] == decision && gate_is == gate && detail.contains(words),
        "expected {decision} {gate} {words:?}, got {answer}"
    );
}

/// Checks how often this container was started; its application prints a word
/// each time. (The engine's own list of events is short and everybody's.)
#[track_caller]
fn assert_started(engine: &Engine, container: &Container, times: usize) {
    let path = format!("/containers/{}/logs?stdout=1", container.id);
    let count = || {
        let (status, log) = engine
            .try_request("GET", &path, None)
            .expect("the container's log");
        let log = String::from_utf8_lossy(&log);
        assert_eq!(status, 200, "{log}");
        log.matches("started").count()
    };
    // The word follows a moment after the start.
    let count = eventually("the application's word", || {
        Some(count()).filter(|&n| n >= times)
    });
    assert_eq!(count, times, "{} was started {count} times", container.name);
}

/// Lets looks pass that were asked for before the charge.
fn until_charged(proxy: &EngineProxy, mut held: Held, executor: &Executor) -> Held {
    loop {
        held.reached();
        let records = Journal::peek(&executor.path("state")).expect("the journal is whole");
        if records
            .iter()
            .any(|record| matches!(record.entry, Entry::Charge(_)))
        {
            return held;
        }
        let next = proxy.hold("/json", Moment::Before);
        held.let_go();
        held = next;
    }
}

/// Runs scenarios that mostly wait, all at once; says which ones failed.
fn side_by_side(scenarios: &[(&str, fn())]) {
    let failed: Vec<&str> = thread::scope(|scope| {
        let mut running = Vec::new();
        for (name, run) in scenarios {
            let thread = thread::Builder::new().name((*name).to_owned());
            running.push((*name, thread.spawn_scoped(scope, run).expect("a thread")));
        }
        let failed = running
            .into_iter()
            .filter_map(|(name, thread)| thread.join().err().map(|_| name));
        failed.collect()
    });
    assert!(failed.is_empty(), "failed: {}", failed.join(", "));
}
