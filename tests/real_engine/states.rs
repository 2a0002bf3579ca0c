//! Containers that are not there, not running, or not the same any more: each
//! is left as it is, none is held.

use serde_json::json;

use super::{assert_answer, assert_started, eventually_restarted, healing, plain};
use crate::support::engine::{Spec, engine};
use crate::support::healer::{Executor, Setup, at, by_id, by_name, now, oom};

#[test]
fn an_unknown_container_is_refused() {
    let Some(engine) = engine() else { return };
    let executor = Executor::start(Setup::new(engine.socket()));
    let long = "fe".repeat(32);
    for target in [
        by_name("no-such-container"),
        by_id(&long),
        json!({"pid": 1}),
        json!({"cgroup": "/x"}),
    ] {
        let answer = executor.decide(&oom(target));
        assert_answer(&answer, "refused", "unknown-target", "");
    }
}

#[test]
fn a_stopped_container_stays_stopped() {
    let Some((engine, executor, container)) = healing("stopped", &Spec::app(), plain) else {
        return;
    };
    container.stop();

    let answer = executor.decide(&oom(by_id(&container.id)));

    assert_answer(&answer, "refused", "not-running", "is exited, not running");
    executor.eventually_logs("is exited, not running — skipping.");
    assert_eq!(container.status(), "exited");
    assert_started(engine, &container, 1);
    assert_ne!(executor.state(&container.name), "held");
    // And when its owner starts it again, it is healed as before.
    container.start();
    let started_before = container.started_at();
    // Facts of the last second may still serve a refusal.
    executor.eventually("a restart", |it| {
        let answer = it.decide(&oom(by_id(&container.id)));
        (answer["decision"] == "restart").then_some(())
    });
    eventually_restarted(&container, &started_before);
}

#[test]
fn a_paused_container_stays_paused() {
    let Some((engine, executor, container)) = healing("paused", &Spec::app(), plain) else {
        return;
    };
    container.pause();

    let answer = executor.decide(&oom(by_id(&container.id)));

    assert_answer(&answer, "refused", "not-running", "is paused, not running");
    assert_eq!(container.status(), "paused");
    assert_ne!(executor.state(&container.name), "held");
    container.unpause();
    assert_started(engine, &container, 1);
}

#[test]
fn lines_of_a_removed_container_touch_nothing_of_its_name() {
    let Some((engine, executor, container)) = healing("recreated", &Spec::app(), plain) else {
        return;
    };
    let line_at = now();
    container.remove();
    let other = engine.create(&container.name, &Spec::app());
    other.start();

    let by_old_id = executor.decide(&oom(by_id(&container.id)));
    let by_old_line = executor.decide(&at(line_at, "cuda-oom", by_name(&container.name)));

    assert_answer(&by_old_id, "refused", "unknown-target", "");
    assert_answer(
        &by_old_line,
        "refused",
        "stale",
        "Line is older than the container's start",
    );
    assert_started(engine, &other, 1);
    assert_ne!(executor.state(&container.name), "held");
    let started_before = other.started_at();
    assert_answer(
        &executor.decide(&oom(by_name(&other.name))),
        "restart",
        "",
        "",
    );
    eventually_restarted(&other, &started_before);
}

/// What a process prints while it is being stopped (CUDA contexts that are torn down, peers
/// that are gone) looks like the failures that call for a restart.
#[test]
fn what_a_person_is_stopping_stays_stopped_whatever_it_says_on_its_way_down() {
    // Hangs on its way down until the file is there.
    let slow = "trap 'while [ ! -e /go ]; do sleep 0.1; done; exit 0' TERM; \
        while :; do sleep 0.1 & wait $!; done";
    let spec = Spec::command(&["sh", "-c", slow]).stop_timeout(8);
    let Some((engine, executor, container)) = healing("going-down", &spec, plain) else {
        return;
    };
    let before = container.started_at();
    let path = format!("/containers/{}/stop", container.id);
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| engine.request("POST", &path, None));
        // The event may come a moment later here than a line does; then the last look
        // before the call knows of it.
        executor.eventually("the engine's event", |_| {
            let events = engine.events(&container.id);
            events.iter().any(|event| event == "kill").then_some(())
        });
        executor.eventually("an answer that knows of the stop", |executor| {
            let answer = executor.decide(&oom(by_id(&container.id)));
            let is_it = answer["gate"] == "not-running";
            is_it.then(|| assert_answer(&answer, "pending", "not-running", "is being stopped"))
        });
        container.exec(&["touch", "/go"]);
        stop.join().expect("it stops");
    });
    container.eventually("its end", |state| state["Status"] == "exited");
    executor.eventually_is(&container.name, "idle");
    assert_eq!(container.started_at(), before);
    assert_eq!(container.status(), "exited");
}
