//! Cooldown and window, as refusals (`on_refusal = "drop"`); what becomes of
//! them otherwise is in `pending`.

use super::{assert_answer, assert_started, charge, eventually_restarted, healing, plain};
use crate::support::engine::Spec;
use crate::support::healer::{by_id, oom};

#[test]
fn cooldown_refuses_in_the_originals_words() {
    let Some((engine, executor, container)) = healing("cooldown", &Spec::app(), |setup| {
        setup
            .set("defaults.cooldown", "300s")
            .set("policy.on_refusal", "drop")
    }) else {
        return;
    };
    let started_before = container.started_at();
    charge(&executor, &container.id);
    let started = eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");

    let answer = executor.decide(&oom(by_id(&container.id)));

    assert_answer(&answer, "refused", "cooldown", "Cooldown active (");
    assert_answer(&answer, "refused", "cooldown", "s < 300s)");
    executor.eventually_logs("s < 300s) — skipping.");
    assert_eq!(container.started_at(), started);
    assert_started(engine, &container, 2);
}

#[test]
fn window_refuses_in_the_originals_words() {
    let Some((engine, executor, container)) = healing("window", &Spec::app(), |setup| {
        setup
            .set("defaults.cooldown", 0)
            .set("defaults.window", "600s")
            .set("defaults.max_per_window", 2)
            .set("policy.on_refusal", "drop")
    }) else {
        return;
    };
    for _ in 0..2 {
        let started_before = container.started_at();
        charge(&executor, &container.id);
        eventually_restarted(&container, &started_before);
        executor.eventually_is(&container.name, "idle");
    }

    let answer = executor.decide(&oom(by_id(&container.id)));

    assert_answer(
        &answer,
        "refused",
        "window",
        "Max restarts (2) in last 600s reached",
    );
    executor.eventually_logs("Max restarts (2) in last 600s reached — skipping.");
    assert_started(engine, &container, 3);
    let last: serde_json::Value =
        serde_json::from_str(&executor.report("last_restart.json")).expect("JSON");
    assert_eq!(last["window_count"], 2);
    let history = executor.report(&format!("{}.restart_hist", container.name));
    assert_eq!(history.lines().count(), 2, "{history}");
}

#[test]
fn the_hosts_limit_counts_all_targets_together() {
    let Some((engine, mut executor, container)) = healing("host", &Spec::app(), |setup| {
        setup
            .set("policy.host_max", 1)
            .set("policy.on_refusal", "drop")
    }) else {
        return;
    };
    let other = engine.run("other", &Spec::app());
    executor.reconfigure(|setup| setup.target(&other.name));
    executor.reload();
    let started_before = container.started_at();
    charge(&executor, &container.id);
    eventually_restarted(&container, &started_before);

    let answer = executor.decide(&oom(by_id(&other.id)));

    assert_answer(
        &answer,
        "refused",
        "host-limit",
        "Max restarts on this host (1) in last 600s",
    );
    assert_started(engine, &other, 1);
}

#[test]
fn attempts_that_do_not_cure_end_in_a_hold_until_a_person_resumes() {
    let Some((engine, executor, container)) = healing("uncured", &Spec::app(), |setup| {
        setup
            .set("defaults.cooldown", 0)
            .set("defaults.stable_for", "60s")
            .set("defaults.max_attempts", 2)
    }) else {
        return;
    };
    for _ in 0..2 {
        let started_before = container.started_at();
        charge(&executor, &container.id);
        eventually_restarted(&container, &started_before);
        executor.eventually_is(&container.name, "verifying");
    }

    let answer = executor.decide(&oom(by_id(&container.id)));

    assert_answer(&answer, "refused", "held", "healer resume");
    executor.eventually_logs("held, no more restarts until `healer resume");
    assert_eq!(executor.state(&container.name), "held");
    assert_eq!(container.status(), "running");
    assert_started(engine, &container, 3);
    let person = executor.cli(&["restart", &container.name]);
    assert_eq!(person.code, Some(3), "{person:?}");
    assert!(person.stdout.contains("healer resume"), "{person:?}");
    let resume = executor.cli(&["resume", &container.name]);
    assert_eq!(resume.code, Some(0), "{resume:?}");
    charge(&executor, &container.id);
}

#[test]
fn one_slow_container_delays_no_other() {
    let Some((engine, mut executor, slow)) =
        healing("slow", &Spec::deaf_app().stop_timeout(12), plain)
    else {
        return;
    };
    let quick = engine.run("quick", &Spec::app());
    executor.reconfigure(|setup| setup.target(&quick.name));
    executor.reload();
    let (slow_before, quick_before) = (slow.started_at(), quick.started_at());
    charge(&executor, &slow.id);
    executor.eventually_is(&slow.name, "in-progress");

    charge(&executor, &quick.id);
    eventually_restarted(&quick, &quick_before);

    assert_eq!(
        slow.started_at(),
        slow_before,
        "its stop wait of 12 s is not over"
    );
    assert_answer(
        &executor.decide(&oom(by_id(&slow.id))),
        "pending",
        "in-progress",
        "in progress",
    );
    // The client has to be more patient than the longest of usual time-outs.
    eventually_restarted(&slow, &slow_before);
    executor.eventually_tells(&slow.name, "recovered");
    let log = executor.log();
    assert!(
        !log.contains("no clear answer"),
        "it gave up too early:\n{log}"
    );
    assert_started(engine, &slow, 2);
}
