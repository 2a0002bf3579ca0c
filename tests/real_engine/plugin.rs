//! The built plugin, the real executor, a real container: lines that come while
//! the executor is away or hangs are decided when it is back, once each, and
//! nothing is restarted twice.

use rustix::process::Signal;

use super::{assert_started, eventually_restarted};
use crate::support::engine::{Container, Spec, engine, eventually};
use crate::support::events::{Chunk, Stamp, map};
use crate::support::healer::{Executor, Setup, now};
use crate::support::host::{FLB_OK, FLB_RETRY, Output, Plugin};

/// A chunk that Fluent Bit's tail would make of a line printed just now.
fn line_of(container: &Container) -> Vec<u8> {
    let time = now();
    let second = u32::try_from(time.as_secs()).expect("before 2106");
    let body = map(&[
        (
            "log",
            "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB".into(),
        ),
        (
            "filepath",
            container.log_path().to_str().expect("UTF-8").into(),
        ),
    ]);
    Chunk::default()
        .v2(Stamp::EventTime(second, time.subsec_nanos()), &body)
        .0
}

fn output<'p>(plugin: &'p Plugin, name: &str, executor: &Executor) -> Output<'p> {
    let socket = executor.path("intents/intents.sock");
    let socket = socket.to_str().expect("UTF-8");
    plugin
        .init(name, &[("Socket", socket)])
        .expect("valid settings")
}

/// As Fluent Bit's engine does with a chunk that is to be retried.
fn flush_until_ok(output: &Output<'_>, chunk: &[u8]) {
    eventually("FLB_OK", || {
        (output.flush(chunk, "docker.test") == FLB_OK).then_some(())
    });
}

#[test]
fn lines_from_before_the_executor_came_are_decided_once() {
    let Some(engine) = engine() else { return };
    let container = engine.run("away", &Spec::app());
    let setup = Setup::new(engine.socket())
        .target(&container.name)
        .set("defaults.cooldown", 0);
    let mut executor = Executor::not_started(setup);
    let plugin = Plugin::load();
    plugin.start();
    let output = output(&plugin, "away", &executor);
    let started_before = container.started_at();
    let (first, second) = (line_of(&container), line_of(&container));
    assert_eq!(output.flush(&first, "docker.test"), FLB_RETRY);
    assert_eq!(
        output.flush(&second, "docker.test"),
        FLB_OK,
        "folded into the first"
    );

    executor.start_again();
    flush_until_ok(&output, &first);

    eventually_restarted(&container, &started_before);
    executor.eventually_is(&container.name, "idle");
    // The same chunk once more, as after a crash of Fluent Bit.
    flush_until_ok(&output, &first);
    assert_started(engine, &container, 2);
    assert_eq!(executor.report("restarts.log").lines().count(), 1);
}

#[test]
fn a_line_sent_to_an_executor_that_hangs_is_decided_once() {
    let Some(engine) = engine() else { return };
    let container = engine.run("hangs", &Spec::app());
    let setup = Setup::new(engine.socket())
        .target(&container.name)
        .set("defaults.cooldown", 0);
    let executor = Executor::start(setup);
    let plugin = Plugin::load();
    plugin.start();
    let output = output(&plugin, "hangs", &executor);
    let started_before = container.started_at();
    let chunk = line_of(&container);

    executor.signal(Signal::STOP);
    assert_eq!(output.flush(&chunk, "docker.test"), FLB_RETRY);
    // What it finds in its socket when it goes on is this very intent.
    executor.signal(Signal::CONT);
    flush_until_ok(&output, &chunk);

    eventually_restarted(&container, &started_before);
    executor.eventually_is(&container.name, "idle");
    flush_until_ok(&output, &chunk);
    assert_started(engine, &container, 2);
}

#[test]
fn an_executor_killed_before_its_answer_was_heard_decides_once() {
    let Some(engine) = engine() else { return };
    let container = engine.run("killed", &Spec::app());
    let setup = Setup::new(engine.socket())
        .target(&container.name)
        .set("defaults.cooldown", 0);
    let mut executor = Executor::start(setup);
    let plugin = Plugin::load();
    plugin.start();
    let output = output(&plugin, "killed", &executor);
    let started_before = container.started_at();
    let chunk = line_of(&container);
    flush_until_ok(&output, &chunk);

    executor.kill();
    executor.start_again();
    // Fluent Bit, killed at the same time, finds the chunk in its storage.
    flush_until_ok(&output, &chunk);

    eventually_restarted(&container, &started_before);
    executor.eventually_is(&container.name, "idle");
    assert_started(engine, &container, 2);
}
