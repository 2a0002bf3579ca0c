//! The storm breaker: restarts that make it worse stop, for all targets, until a
//! person says so or all is clear.

use std::time::Duration;

use super::{assert_answer, assert_started, charge, eventually_restarted, healing};
use crate::support::engine::{Container, Spec, engine};
use crate::support::healer::{Executor, Setup, by_id, oom};

/// A restart of a container that is still being watched.
fn restarted(executor: &Executor, container: &Container) {
    let started_before = container.started_at();
    charge(executor, &container.id);
    eventually_restarted(container, &started_before);
    executor.eventually_is(&container.name, "verifying");
}

#[test]
fn attempts_that_do_not_cure_stop_all_restarts_until_a_person_says_so() {
    let Some((engine, mut executor, first)) = healing("storm", &Spec::app(), |setup| {
        setup
            .with_http()
            .set("defaults.cooldown", 0)
            .set("defaults.stable_for", "60s")
            .set("policy.storm_attempts", 2)
    }) else {
        return;
    };
    let second = engine.run("storm-too", &Spec::app());
    let third = engine.run("storm-other", &Spec::app());
    executor.reconfigure(|setup| setup.target(&second.name).target(&third.name));
    executor.reload();
    restarted(&executor, &first);
    restarted(&executor, &second);
    // The first match again: one attempt has not cured. The second: two.
    restarted(&executor, &first);

    let answer = executor.decide(&oom(by_id(&second.id)));

    assert_answer(
        &answer,
        "pending",
        "storm",
        "Storm: the last 2 attempts did not cure",
    );
    executor.eventually_logs("ERROR storm: the last 2 attempts did not cure");
    assert_eq!(executor.log().matches("ERROR storm:").count(), 1);
    let (ready, why) = executor.http("/readyz");
    assert!(ready == 503 && why.contains("storm: the last 2"), "{why}");
    let (_, metrics) = executor.http("/metrics");
    assert!(metrics.contains("healer_storm 1\n"), "{metrics}");
    assert!(metrics.contains("healer_storms_total 1\n"), "{metrics}");
    assert_eq!(executor.status()["storm"]["targets"][1], *second.name);
    let table = executor.cli(&["status"]);
    assert!(table.stdout.contains("storm since"), "{table:?}");
    // For every other target too, whoever asks, and over a kill -9.
    executor.kill();
    executor.start_again();
    assert_answer(
        &executor.decide(&oom(by_id(&third.id))),
        "pending",
        "storm",
        "",
    );
    let person = executor.cli(&["restart", &third.name]);
    assert_eq!(person.code, Some(3), "{person:?}");
    assert!(
        person.stdout.contains("`healer resume` ends it"),
        "{person:?}"
    );
    assert_started(engine, &second, 2);
    assert_started(engine, &third, 1);

    let (second_before, third_before) = (second.started_at(), third.started_at());
    let resume = executor.cli(&["resume"]);
    assert!(resume.stdout.contains("Ended the storm"), "{resume:?}");

    // What waited is decided at once.
    eventually_restarted(&second, &second_before);
    eventually_restarted(&third, &third_before);
    let history = executor.told(&first.name);
    assert!(history.contains(&"storm over".to_owned()), "{history:?}");
}

#[test]
fn a_storm_over_many_targets_is_over_when_all_is_clear() {
    let Some(engine) = engine() else { return };
    let spec = Spec::app().health_check(Duration::from_millis(300));
    let first = engine.run("clear", &Spec::app());
    let second = engine.run("clear-too", &spec);
    let setup = Setup::new(engine.socket())
        .target(&first.name)
        .target(&second.name)
        .set("policy.storm_targets", 2)
        .set("policy.storm_quiet", "2s");
    let executor = Executor::start(setup);
    second.exec(&["touch", "/sick"]);
    second.eventually("sickness", |state| state["Health"]["Status"] == "unhealthy");
    charge(&executor, &first.id);

    let answer = executor.decide(&oom(by_id(&second.id)));

    let words = "rule 'cuda-oom' matched in 2 targets within 60s";
    assert_answer(&answer, "pending", "storm", words);
    // It has been quiet for long enough, and one of them is still sick.
    std::thread::sleep(Duration::from_secs(5));
    assert!(executor.status()["storm"].is_object(), "{}", executor.log());

    second.exec(&["rm", "/sick"]);

    executor.eventually_logs("the storm is over (all clear)");
    assert!(executor.status()["storm"].is_null());
    // It is well again by itself: no restart is called for any more.
    executor.eventually_logs("recovered by itself");
    assert_started(engine, &second, 1);
}

#[test]
fn the_marker_resume_ends_it() {
    let Some((engine, mut executor, first)) = healing("marker", &Spec::app(), |setup| {
        setup.set("policy.storm_targets", 2)
    }) else {
        return;
    };
    let second = engine.run("marker-too", &Spec::app());
    executor.reconfigure(|setup| setup.target(&second.name));
    executor.reload();
    charge(&executor, &first.id);
    let answer = executor.decide(&oom(by_id(&second.id)));
    assert_answer(&answer, "pending", "storm", "");
    let started_before = second.started_at();

    let marker = executor.path("reports").join("resume");
    std::fs::create_dir_all(executor.path("reports")).expect("a directory");
    std::fs::write(&marker, "").expect("a marker");

    executor.eventually_logs("the storm is over (marker)");
    eventually_restarted(&second, &started_before);
    executor.eventually("the marker to be removed", |_| {
        (!marker.exists()).then_some(())
    });
}
