//! Matches that something else has to confirm, and rules on trial.

use std::time::Duration;

use serde_json::Value;

use super::{add_rules, assert_answer, assert_started, eventually_restarted, healing, plain};
use crate::support::engine::{Container, Engine, Spec};
use crate::support::healer::{Executor, at, by_id, now};

const RULES: &str = r#"
    [[rule]]
    name = "my-unsure"
    summary = "Worth a restart where something else goes wrong too"
    remedy = "restart"
    literals = ["not sure"]
    confirm = { by = ["rule:my-witness", "unhealthy", "exit"], within = "20s" }
    [[rule]]
    name = "my-hasty"
    summary = "The same, and soon"
    remedy = "restart"
    literals = ["not sure, hurry"]
    confirm = { by = ["rule:my-witness"], within = "2s" }
    [[rule]]
    name = "my-witness"
    summary = "Counted only"
    remedy = "note"
    literals = ["seen it"]
    [[rule]]
    name = "my-last-words"
    summary = "A person has to know when it ends after this"
    remedy = "escalate"
    literals = ["last words"]
    confirm = { by = ["exit"], within = "20s" }
"#;

/// An executor with these rules, and a container.
fn with_rules(hint: &str, spec: &Spec) -> Option<(&'static Engine, Executor, Container)> {
    let (engine, mut executor, container) = healing(hint, spec, plain)?;
    add_rules(&mut executor, RULES);
    Some((engine, executor, container))
}

fn send(executor: &Executor, container: &Container, rule: &str) -> Value {
    executor.decide(&at(now(), rule, by_id(&container.id)))
}

#[test]
fn another_rules_match_confirms_it_after_and_before() {
    let Some((engine, executor, container)) = with_rules("confirm", &Spec::app()) else {
        return;
    };
    let started_before = container.started_at();
    let answer = send(&executor, &container, "my-unsure");
    assert_answer(
        &answer,
        "pending",
        "unconfirmed",
        "Not confirmed yet by rule 'my-witness'",
    );
    assert_started(engine, &container, 1);

    let witness = send(&executor, &container, "my-witness");
    assert_answer(&witness, "noted", "", "");
    let started_before = eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");

    assert_answer(&send(&executor, &container, "my-witness"), "noted", "", "");
    assert_answer(&send(&executor, &container, "my-unsure"), "restart", "", "");
    eventually_restarted(&container, &started_before);
    assert_started(engine, &container, 3);
    let shown = executor.cli(&["rules", "show", "my-unsure"]);
    let words = "confirmed by: rule `my-witness`, or an unhealthy container, or the \
                 container's exit, within 20 s";
    assert!(shown.stdout.contains(words), "{shown:?}");
}

#[test]
fn an_unhealthy_container_confirms_it_while_it_waits_over_a_crash() {
    let spec = Spec::app().health_check(Duration::from_millis(300));
    let Some((_, mut executor, container)) = with_rules("unhealthy", &spec) else {
        return;
    };
    container.eventually("health", |state| state["Health"]["Status"] == "healthy");
    let started_before = container.started_at();
    let answer = send(&executor, &container, "my-unsure");
    assert_answer(&answer, "pending", "unconfirmed", "");
    executor.kill();
    executor.start_again();

    container.exec(&["touch", "/sick"]);

    eventually_restarted(&container, &started_before);
}

#[test]
fn what_nothing_confirms_in_time_restarts_nothing_and_is_told() {
    let Some((engine, executor, container)) = with_rules("unconfirmed", &Spec::app()) else {
        return;
    };
    let answer = send(&executor, &container, "my-hasty");
    assert_answer(&answer, "pending", "unconfirmed", "");
    executor.eventually_logs("no longer pending: Not confirmed within 2s by rule 'my-witness'");
    // It comes too late.
    assert_answer(&send(&executor, &container, "my-witness"), "noted", "", "");
    assert_eq!(executor.state(&container.name), "idle");
    assert_started(engine, &container, 1);
}

#[test]
fn an_exit_confirms_what_tells_a_person_of_it() {
    let Some((engine, executor, container)) = with_rules("exit", &Spec::app()) else {
        return;
    };
    let answer = send(&executor, &container, "my-last-words");
    assert_answer(&answer, "pending", "unconfirmed", "the container's exit");
    container.stop();
    executor.eventually_logs("a person is needed");
    assert_eq!(executor.state(&container.name), "held");
    assert_eq!(
        container.status(),
        "exited",
        "what has ended is not started"
    );
    assert_started(engine, &container, 1);
}

#[test]
fn a_rule_on_trial_is_decided_and_recorded_beside_one_that_acts() {
    let Some((engine, executor, container)) = healing("trial", &Spec::app(), |setup| {
        setup
            .set("policy.shadow_rules", "cuda-oom")
            .set("defaults.cooldown", "300s")
            .set("policy.on_refusal", "drop")
    }) else {
        return;
    };
    let name = &container.name;
    let would = format!("Dry run: would restart '{name}'");
    assert_answer(
        &send(&executor, &container, "cuda-oom"),
        "refused",
        "dry-run",
        &would,
    );
    assert_answer(
        &send(&executor, &container, "cuda-oom"),
        "refused",
        "cooldown",
        "s < 300s)",
    );
    assert_started(engine, &container, 1);
    assert!(executor.told(name).contains(&"dry-run".to_owned()));
    let started_before = container.started_at();
    assert_answer(
        &send(&executor, &container, "cuda-context-dead"),
        "restart",
        "",
        "",
    );
    eventually_restarted(&container, &started_before);
}
