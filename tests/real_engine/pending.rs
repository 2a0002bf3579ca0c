//! A hung container prints one line and falls silent: a refusal by time is
//! decided again, and ends when the trouble is over.

use std::time::Duration;

use serde_json::Value;

use super::{assert_answer, assert_started, charge, eventually_restarted, healing};
use crate::support::engine::{Container, Spec, eventually};
use crate::support::healer::{Executor, Setup, by_id, by_name, oom};

fn cooldown_of_3s(setup: Setup) -> Setup {
    setup.set("defaults.cooldown", "3s")
}

/// One restart, then a line that has to wait for the cooldown.
fn make_pending(executor: &Executor, container: &Container) -> String {
    let started_before = container.started_at();
    charge(executor, &container.id);
    let started = eventually_restarted(container, &started_before);
    // Until the engine's answer is known the attempt itself is in the way.
    let answer = eventually("the attempt to be over", || {
        let answer = executor.decide(&oom(by_id(&container.id)));
        (answer["gate"] != "in-progress").then_some(answer)
    });
    assert_answer(&answer, "pending", "cooldown", "s < 3s)");
    assert_eq!(executor.state(&container.name), "pending");
    started
}

#[test]
fn pending_is_decided_again_when_the_cooldown_is_over() {
    let Some((engine, executor, container)) = healing("pending", &Spec::app(), cooldown_of_3s)
    else {
        return;
    };
    let started = make_pending(&executor, &container);

    eventually_restarted(&container, &started);

    assert_started(engine, &container, 3);
    let log = executor.eventually("two lines in restarts.log", |it| {
        let log = it.report("restarts.log");
        (log.lines().count() == 2).then_some(log)
    });
    let times: Vec<u64> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["timestamp"].as_u64())
        .map(|epoch| epoch.expect("seconds"))
        .collect();
    assert!(times[1] - times[0] >= 3, "{times:?}");
}

#[test]
fn pending_waits_for_the_window() {
    let Some((engine, executor, container)) = healing("window", &Spec::app(), |setup| {
        setup
            .set("defaults.cooldown", 0)
            .set("defaults.window", "4s")
            .set("defaults.max_per_window", 1)
    }) else {
        return;
    };
    let started_before = container.started_at();
    charge(&executor, &container.id);
    let started = eventually_restarted(&container, &started_before);
    executor.eventually_is(&container.name, "idle");

    let answer = executor.decide(&oom(by_id(&container.id)));

    assert_answer(
        &answer,
        "pending",
        "window",
        "Max restarts (1) in last 4s reached",
    );
    eventually_restarted(&container, &started);
    assert_started(engine, &container, 3);
}

#[test]
fn pending_outlives_a_crash_of_the_executor() {
    let Some((engine, mut executor, container)) = healing("crash", &Spec::app(), cooldown_of_3s)
    else {
        return;
    };
    let started = make_pending(&executor, &container);

    executor.kill();
    executor.start_again();

    assert_eq!(executor.state(&container.name), "pending");
    eventually_restarted(&container, &started);
    assert_started(engine, &container, 3);
}

#[test]
fn pending_ends_when_the_container_is_started_anew() {
    let Some((engine, executor, container)) = healing("anew", &Spec::app(), cooldown_of_3s) else {
        return;
    };
    make_pending(&executor, &container);

    engine.request(
        "POST",
        &format!("/containers/{}/restart?t=0", container.id),
        None,
    );

    executor.eventually_logs("no longer pending");
    executor.eventually_is(&container.name, "idle");
    assert_started(engine, &container, 3);
}

#[test]
fn pending_ends_when_the_container_is_another_and_the_new_one_is_not_held() {
    let Some((engine, executor, container)) = healing("other", &Spec::app(), cooldown_of_3s) else {
        return;
    };
    make_pending(&executor, &container);

    container.remove();
    let other = engine.create(&container.name, &Spec::app());
    other.start();

    executor.eventually_logs("no longer pending");
    executor.eventually_is(&container.name, "idle");
    assert_started(engine, &other, 1);
    // Its budget is its name's.
    let started_before = other.started_at();
    let answer = executor.decide(&oom(by_name(&other.name)));
    assert!(
        matches!(answer["decision"].as_str(), Some("restart" | "pending")),
        "{answer}"
    );
    eventually_restarted(&other, &started_before);
}

#[test]
fn pending_ends_when_the_container_is_stopped_and_it_stays_stopped() {
    let Some((engine, executor, container)) = healing("stop", &Spec::app(), cooldown_of_3s) else {
        return;
    };
    make_pending(&executor, &container);

    container.stop();

    executor.eventually_logs("no longer pending");
    executor.eventually_is(&container.name, "idle");
    assert_eq!(container.status(), "exited");
    assert_started(engine, &container, 2);
}

#[test]
fn pending_ends_when_the_containers_own_check_says_healthy_since() {
    let spec = Spec::app().health_check(Duration::from_secs(1));
    let Some((engine, executor, container)) = healing("health", &spec, |setup| {
        setup.set("defaults.cooldown", "6s")
    }) else {
        return;
    };
    let started_before = container.started_at();
    charge(&executor, &container.id);
    eventually_restarted(&container, &started_before);
    container.eventually("a healthy check", |state| {
        state["Health"]["Status"] == "healthy"
    });
    executor.eventually_tells(&container.name, "recovered");

    let answer = executor.decide(&oom(by_id(&container.id)));

    assert_answer(&answer, "pending", "cooldown", "s < 6s)");
    executor.eventually_logs("recovered by itself");
    assert_started(engine, &container, 2);
}
