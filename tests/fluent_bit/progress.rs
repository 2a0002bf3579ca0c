//! A worker's progress, seen by the plugin: a stuck one is restarted, and nobody is
//! blamed for what a Fluent Bit that is away does not hear.

use serde_json::json;

use crate::support::engine::{Container, Spec, engine};
use crate::support::healer::{Executor, Setup as ExecutorSetup};
use crate::support::shipped::{FluentBit, Setup};

/// Works: a batch five times a second. With the file `/stuck` it lives on and prints
/// nothing more; a start removes it.
const WORKER: &str = "trap 'exit 0' TERM; /bin/busybox rm -f /stuck; n=0; \
    while :; do n=$((n+1)); [ -e /stuck ] || echo Processed batch $n; \
    sleep 0.2 & wait $!; done";

/// What the plugin needs beside `conf/fluent-bit.conf`: the text, and flushes while the
/// only container is silent (docs/fluent-bit.md).
const HEARTBEAT: &str =
    "[INPUT]\n    Name dummy\n    Tag docker.heartbeat\n    Interval_Sec 1\n    Samples 100000";

/// A worker, a Fluent Bit that looks for `progress` in what it prints, and an executor
/// that expects it.
fn working(hint: &str, silence: serde_json::Value) -> Option<(Container, Executor, FluentBit)> {
    let engine = engine()?;
    let container = engine.run(hint, &Spec::command(&["sh", "-c", WORKER]));
    let setup = ExecutorSetup::new(engine.socket())
        .target(&container.name)
        .set_for(&container.name, "silence", silence);
    let executor = Executor::start(setup.with_http());
    let setup = Setup::new(&executor.path("intents/intents.sock"))
        .tailing(&container.log_path())
        .edit(
            "Ack_Timeout               250ms",
            "Ack_Timeout 250ms\n    Progress Processed batch",
        )
        .add(HEARTBEAT);
    let mut fluent_bit = FluentBit::start(setup)?;
    fluent_bit.eventually_counts("healer_plugin_progress_total", "", |n| n >= 2.0);
    Some((container, executor, fluent_bit))
}

#[test]
fn a_worker_whose_progress_ends_is_restarted_and_recovers_with_the_next() {
    let silence = json!({"pattern": "Processed batch", "first": "30s", "then": "20s",
        "source": "plugin"});
    let Some((container, executor, _fluent_bit)) = working("stuck-worker", silence) else {
        return;
    };
    let before = container.started_at();

    container.exec(&["touch", "/stuck"]);

    container.eventually("a restart", |state| {
        state["Status"] == "running" && state["StartedAt"] != *before
    });
    executor.eventually_logs("no progress \"Processed batch\" for 2");
    executor.eventually_tells(&container.name, "recovered");
}

#[test]
fn a_fluent_bit_that_is_away_makes_nobody_silent_and_is_told_of() {
    let silence = json!({"pattern": "Processed batch", "first": "20s", "then": "20s",
        "source": "plugin"});
    let Some((container, executor, mut fluent_bit)) = working("unheard-worker", silence) else {
        return;
    };
    let before = container.started_at();

    // It works on, and nobody hears it.
    fluent_bit.kill();

    executor.eventually_logs("no plugin has said for 15 s");
    assert_eq!(container.started_at(), before);
    fluent_bit.start_again();
    executor.eventually_logs("it can be heard again");
    assert_eq!(container.started_at(), before);
}
