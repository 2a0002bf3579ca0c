//! What may not be restarted, and what need not be.

use std::time::Duration;

use super::{
    add_rules, assert_answer, assert_started, charge, eventually_restarted, healing, plain,
};
use crate::support::engine::{Spec, engine};
use crate::support::healer::{Executor, Setup, at, by_id, now, oom};

/// A container that is listed: what it is called, its labels, and the gate that
/// refuses it all the same.
type Listed = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

#[test]
fn labels_and_listings_say_who_is_never_restarted() {
    let Some(engine) = engine() else { return };
    let cases: [Listed; 5] = [
        ("protected", &[("healer.protect", "true")], "protected"),
        (
            "swarm",
            &[("com.docker.swarm.service.id", "x")],
            "orchestrated",
        ),
        ("kube", &[("io.kubernetes.pod.uid", "x")], "orchestrated"),
        ("off", &[("healer.enable", "false")], "not-enabled"),
        ("listed", &[], "protected"),
    ];
    let mut setup = Setup::new(engine.socket());
    let mut containers = Vec::new();
    for (hint, labels, gate) in cases {
        let spec = labels
            .iter()
            .fold(Spec::app(), |spec, (key, value)| spec.label(key, value));
        let container = engine.run(hint, &spec);
        setup = setup.target(&container.name);
        if hint == "listed" {
            setup = setup.set_for(&container.name, "protect", true);
        }
        containers.push((container, gate));
    }
    let unlisted = engine.run("unlisted", &Spec::app());
    containers.push((unlisted, "not-enabled"));
    let executor = Executor::start(setup);

    for (container, gate) in &containers {
        let answer = executor.decide(&oom(by_id(&container.id)));
        assert_answer(&answer, "refused", gate, &container.name);
        assert_started(engine, container, 1);
    }
}

#[test]
fn a_label_enables_and_may_tighten() {
    let Some(engine) = engine() else { return };
    let spec = Spec::app()
        .label("healer.enable", "true")
        .label("healer.cooldown", "120s");
    let container = engine.run("label", &spec);
    let executor = Executor::start(Setup::new(engine.socket()).set("policy.on_refusal", "drop"));
    let started_before = container.started_at();

    charge(&executor, &container.id);
    eventually_restarted(&container, &started_before);
    executor.eventually_is(&container.name, "idle");

    let answer = executor.decide(&oom(by_id(&container.id)));
    assert_answer(&answer, "refused", "cooldown", "s < 120s)");
}

#[test]
fn stale_lines_restart_nothing() {
    let Some((engine, executor, container)) = healing("stale", &Spec::app(), plain) else {
        return;
    };
    let target = || by_id(&container.id);
    let before_start = at(now() - Duration::from_secs(60), "cuda-oom", target());
    let too_old = at(now() - Duration::from_secs(16 * 60), "cuda-oom", target());

    assert_answer(
        &executor.decide(&before_start),
        "refused",
        "stale",
        "Line is older than",
    );
    assert_answer(
        &executor.decide(&too_old),
        "refused",
        "stale",
        "Line is too old",
    );

    assert_started(engine, &container, 1);
}

#[test]
fn a_line_in_the_second_of_the_start_counts_where_its_source_has_whole_seconds() {
    let Some((_, executor, container)) = healing("seconds", &Spec::app(), plain) else {
        return;
    };
    let started_before = container.started_at();
    let mut intent = oom(by_id(&container.id));
    // The very second in which the container started, as `date` reads it.
    let out = std::process::Command::new("date")
        .args(["-d", &started_before, "+%s"])
        .output();
    let second: u64 = String::from_utf8_lossy(&out.expect("date runs").stdout)
        .trim()
        .parse()
        .expect("seconds");
    intent["times"] = serde_json::json!([[second, 1]]);
    intent["last"] = serde_json::json!([second, null]);

    assert_answer(&executor.decide(&intent), "restart", "", "");

    eventually_restarted(&container, &started_before);
}

#[test]
fn a_dry_run_answers_as_the_real_one_and_restarts_nothing() {
    let Some((engine, executor, container)) = healing("dry", &Spec::app(), |setup| {
        setup
            .set("dry_run", true)
            .set("defaults.cooldown", "300s")
            .set("policy.on_refusal", "drop")
    }) else {
        return;
    };
    let name = &container.name;

    let first = executor.decide(&oom(by_id(&container.id)));
    let second = executor.decide(&oom(by_id(&container.id)));

    assert_answer(
        &first,
        "refused",
        "dry-run",
        &format!("Dry run: would restart '{name}'"),
    );
    assert_answer(&second, "refused", "cooldown", "s < 300s)");
    assert_eq!(executor.status()["dry_run"], true);
    assert_started(engine, &container, 1);
    assert_eq!(
        executor.reports(),
        [""; 0],
        "no report of a restart that was none"
    );
}

#[test]
fn what_a_restart_cannot_cure_is_told_and_what_is_only_counted_is_counted() {
    let Some((engine, mut executor, container)) = healing("remedies", &Spec::app(), plain) else {
        return;
    };
    let rules = r#"
        [[rule]]
        name = "my-note"
        summary = "Counted only"
        remedy = "note"
        literals = ["note this"]
        [[rule]]
        name = "my-threshold"
        summary = "Three times"
        remedy = "restart"
        literals = ["not once"]
        threshold = { count = 3, within = "60s" }
    "#;
    add_rules(&mut executor, rules);
    let send = |rule: &str| executor.decide(&at(now(), rule, by_id(&container.id)));

    assert_answer(&send("cuda-driver-mismatch"), "escalated", "", "");
    executor.eventually_logs("a person is needed");
    assert_eq!(executor.state(&container.name), "held");
    assert_answer(&send("my-note"), "noted", "", "");
    assert_answer(&send("cuda-oom"), "refused", "held", "needs a person");
    assert_eq!(executor.cli(&["resume", &container.name]).code, Some(0));
    assert_answer(
        &send("my-threshold"),
        "refused",
        "below-threshold",
        "1 of 3",
    );
    assert_answer(
        &send("my-threshold"),
        "refused",
        "below-threshold",
        "2 of 3",
    );
    assert_started(engine, &container, 1);
    let started_before = container.started_at();
    assert_answer(&send("my-threshold"), "restart", "", "");
    eventually_restarted(&container, &started_before);
}

#[test]
fn an_unknown_rule_is_refused_and_makes_the_executor_not_ready() {
    let Some((engine, executor, container)) = healing("rule", &Spec::app(), Setup::with_http)
    else {
        return;
    };
    executor.eventually("readiness", |it| {
        (it.http("/readyz").0 == 200).then_some(())
    });

    let answer = executor.decide(&at(now(), "no-such-rule", by_id(&container.id)));

    assert_answer(&answer, "refused", "unknown-rule", "no-such-rule");
    let (status, body) = executor.http("/readyz");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("no-such-rule"), "{body}");
    executor.eventually_logs("ERROR");
    let errors = executor
        .log()
        .lines()
        .filter(|line| line.contains("no-such-rule"))
        .count();
    executor.decide(&at(now(), "no-such-rule", by_id(&container.id)));
    let log = executor.log();
    let after = log
        .lines()
        .filter(|l| l.contains("ERROR") && l.contains("no-such-rule"))
        .count();
    assert!(errors >= 1 && after == 1, "an error once per rule:\n{log}");
    assert_eq!(executor.http("/healthz").0, 200);
    assert_started(engine, &container, 1);
}

#[test]
fn a_pause_without_an_end_refuses_and_one_with_an_end_only_delays() {
    let Some((engine, executor, container)) = healing("pause", &Spec::app(), plain) else {
        return;
    };
    let name = container.name.as_str();
    assert_eq!(executor.cli(&["pause", name]).code, Some(0));

    let answer = executor.decide(&oom(by_id(&container.id)));

    assert_answer(
        &answer,
        "refused",
        "maintenance",
        "Paused until `healer resume`",
    );
    assert_eq!(executor.state(name), "paused");
    assert_eq!(executor.cli(&["resume", name]).code, Some(0));
    assert_eq!(executor.cli(&["pause", "--for", "2s"]).code, Some(0));
    let started_before = container.started_at();
    let answer = executor.decide(&oom(by_id(&container.id)));
    assert_answer(&answer, "pending", "maintenance", "Paused for another");
    eventually_restarted(&container, &started_before);
    assert_started(engine, &container, 2);
}
