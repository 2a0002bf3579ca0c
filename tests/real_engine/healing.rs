//! Remedies beside one restart: commands, sequences, stops.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    assert_answer, assert_started, charge, eventually_restarted, healing, messages, side_by_side,
    telling,
};
use crate::support::engine::{Container, Engine, Spec, eventually};
use crate::support::healer::{Executor, Setup, by_id, oom};

/// The rule that `oom` is a match of.
const RULE: &str = "cuda-oom";

/// A container whose remedy for an out-of-memory line is this; `act` is the one action.
fn with(
    hint: &str,
    spec: &Spec,
    remedy: Value,
    act: Value,
) -> Option<(&'static Engine, Executor, Container)> {
    let remedies = json!({ RULE: remedy });
    let configure = |setup: Setup| {
        setup
            .set("defaults.remedies", remedies)
            .set("defaults.max_per_window", 1)
            .set("actions.act", act)
    };
    healing(&format!("healing-{hint}"), spec, configure)
}

/// A line of a shell in the container.
fn shell(line: &str) -> Value {
    json!({"exec": line, "shell": true, "timeout": "2s"})
}

#[test]
fn a_command_that_cures_is_run_once_and_nothing_is_restarted() {
    let spec = Spec::app().health_check(Duration::from_millis(200));
    let act = shell("echo ran >> /tmp/ran; rm /sick; echo MY-OUTPUT");
    let remedy = json!(["exec:act", "restart"]);
    let Some((engine, executor, container)) = with("cures", &spec, remedy, act) else {
        return;
    };
    container.exec(&["touch", "/sick"]);
    container.eventually("unhealthy", |state| {
        state["Health"]["Status"] == "unhealthy"
    });
    charge(&executor, &container.id);
    executor.eventually_tells(&container.name, "recovered");
    assert_started(engine, &container, 1);
    assert_eq!(container.exec(&["cat", "/tmp/ran"]).trim(), "ran");
    let log = executor.log();
    assert!(log.contains("exec 'act' done"), "{log}");
    assert!(
        !log.contains("MY-OUTPUT"),
        "what it prints is opaque: {log}"
    );
}

/// Each leads on to the restart, under the one charge that the window allows.
#[test]
fn what_does_not_work_out_is_followed_by_a_restart() {
    side_by_side(&[
        ("exit code", || {
            leads_on("code", shell("exit 3"), "exit code 3")
        }),
        ("hangs", || {
            leads_on("hangs", shell("sleep 3600"), "did not end within 2s")
        }),
        ("prints without end", || {
            let endless = shell("while :; do echo $$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$; done");
            leads_on("endless", endless, "exec 'act': it ");
        }),
        ("no such program", || {
            let act = json!({"exec": ["/no/such/program", "x"]});
            leads_on("no-program", act, "exec 'act'");
        }),
    ]);
}

fn bundle(executor: &Executor, container: &Container) -> Value {
    let entry = executor.eventually_tells(&container.name, "recovered");
    let path = entry["evidence"].as_str().expect("a path");
    let text = std::fs::read(path).expect("what is named is there");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn what_commands_print_is_for_evidence_and_people_with_secrets_masked_and_never_in_the_log() {
    let desk = tempfile::tempdir().expect("a directory");
    let file = desk.path().join("told");
    let spec = Spec::app().env("DB_PASSWORD", "planted-env-1");
    let first = "printf 'FIRST-OUTPUT \\377\\0 binary\\n'; echo token=planted-2; exit 3";
    let second = "echo SECOND-OUTPUT $DB_PASSWORD; yes | head -c 6000; exit 4";
    let configure = |setup: Setup| {
        let remedies = json!({ RULE: ["exec:first", "exec:second", "restart"] });
        telling(setup, &file)
            .set("defaults.remedies", remedies)
            .set("actions.first", shell(first))
            .set("actions.second", shell(second))
            .with_http()
    };
    let Some((_, executor, container)) = healing("healing-output", &spec, configure) else {
        return;
    };
    charge(&executor, &container.id);
    let whole = bundle(&executor, &container);
    let commands = whole["commands"].as_array().expect("a list");
    let [one, two] = &commands[..] else {
        panic!("{whole}");
    };
    assert_eq!(
        (&one["measure"], &one["exit_code"]),
        (&json!("exec 'first'"), &json!(3))
    );
    let printed = "FIRST-OUTPUT \u{fffd}\u{fffd} binary\ntoken=[masked]";
    assert_eq!(one["output"], printed);
    assert_eq!(two["ended"], "exit code 4");
    let output = two["output"].as_str().expect("text");
    assert!(
        output.starts_with("SECOND-OUTPUT [masked]\ny\n"),
        "{output}"
    );
    assert!(output.len() <= 4_096 && output.ends_with('…'), "{output}");

    let told = eventually("all is told", || {
        let told = messages(&file);
        let is_last = |m: &Value| m["step"] == "recovered";
        told.iter().any(is_last).then_some(told)
    });
    let steps: Vec<_> = told.iter().filter_map(|m| m["step"].as_str()).collect();
    let expected = [
        "detected",
        "restarting",
        "next-measure",
        "restarting",
        "next-measure",
        "restarting",
        "recovered",
    ];
    assert_eq!(steps, expected);
    assert_eq!(
        told[0]["next"],
        "exec 'first' at once, then exec 'second', then restart if that does not cure"
    );
    assert_eq!(told[2]["detail"], "Not cured: exec 'first': exit code 3");
    assert_eq!(
        told[2]["next"],
        "exec 'second' at once, unless a gate refuses it"
    );
    assert_eq!(
        told[2]["sample"],
        "exec 'first' exit code 3: FIRST-OUTPUT \u{fffd}  binary token=[masked]"
    );
    let sample = told[4]["sample"].as_str().expect("text");
    assert!(
        sample.starts_with("exec 'second' exit code 4: SECOND-OUTPUT [masked] y y"),
        "{sample}"
    );
    assert_eq!(sample.chars().count(), 400);
    for message in &told {
        assert!(message["container_id"].is_string() && message["attempt"].is_number());
        assert_eq!(
            (&message["rule"], &message["target"]),
            (&json!(RULE), &json!(container.name))
        );
        assert!(
            !message["next"].as_str().unwrap_or_default().is_empty(),
            "{message}"
        );
    }
    let history = executor.cli(&["history"]).stdout;
    assert!(
        history.contains("after exec 'second': exit code 4"),
        "{history}"
    );
    for text in [executor.log(), history, executor.report("restarts.log")] {
        assert!(!text.contains("OUTPUT"), "what it prints is opaque: {text}");
    }
    assert_eq!(
        executor.metric(r#"healer_measures_total{measure="exec",result="failed"}"#),
        2
    );
    assert_eq!(
        executor.metric(r#"healer_measures_total{measure="restart",result="done"}"#),
        1
    );
    assert_eq!(
        executor.metric(r#"healer_incident_seconds_count{end="recovered"}"#),
        1
    );
}

fn leads_on(hint: &str, act: Value, words: &str) {
    let remedy = json!(["exec:act", "restart"]);
    let Some((engine, executor, container)) = with(hint, &Spec::app(), remedy, act) else {
        return;
    };
    let before = container.started_at();
    charge(&executor, &container.id);
    eventually_restarted(&container, &before);
    executor.eventually_tells(&container.name, "recovered");
    assert_started(engine, &container, 2);
    let log = executor.log();
    let told = |line: &&str| line.contains("not cured") && line.contains(words);
    assert!(log.lines().any(|line| told(&line)), "{words:?} in {log}");
}

#[test]
fn a_match_after_the_command_leads_to_the_restart_within_the_same_attempt() {
    let remedy = json!(["exec:act", "restart"]);
    let spec = Spec::app();
    let Some((engine, mut executor, container)) = with("again", &spec, remedy, shell("echo"))
    else {
        return;
    };
    executor.reconfigure(|setup| setup.set("defaults.stable_for", "60s"));
    executor.reload();
    let before = container.started_at();
    charge(&executor, &container.id);
    executor.eventually_logs("exec 'act' done");
    let answer = executor.decide(&oom(by_id(&container.id)));
    assert_answer(&answer, "pending", "in-progress", "in progress");
    eventually_restarted(&container, &before);
    assert_started(engine, &container, 2);
    eventually("nothing pending", || {
        (executor.state(&container.name) == "verifying").then_some(())
    });
}

#[test]
fn a_container_that_is_stopped_stays_down_and_is_held_until_somebody_starts_it() {
    let spec = Spec::app().host_config("RestartPolicy", json!({"Name": "always"}));
    let act = shell("echo");
    let Some((engine, mut executor, container)) = with("stop", &spec, json!("stop"), act) else {
        return;
    };
    charge(&executor, &container.id);
    executor.eventually_tells(&container.name, "stopped");
    executor.eventually_is(&container.name, "held");
    executor.kill();
    executor.start_again();
    assert_eq!(container.status(), "exited");
    executor.eventually_is(&container.name, "held");
    assert_started(engine, &container, 1);
    executor.reconfigure(|setup| setup.set("defaults.release_after", "1s"));
    executor.reload();
    container.start();
    executor.eventually_tells(&container.name, "released");
}

#[test]
fn an_executor_that_dies_during_a_command_never_runs_it_again() {
    let remedy = json!(["exec:act", "restart"]);
    let act = json!({"exec": "echo ran >> /tmp/ran; sleep 3", "shell": true, "timeout": "60s"});
    let Some((engine, mut executor, container)) = with("dies", &Spec::app(), remedy, act) else {
        return;
    };
    charge(&executor, &container.id);
    let ran = || {
        container
            .exec(&["sh", "-c", "cat /tmp/ran || echo none"])
            .trim()
            .to_owned()
    };
    eventually("the command", || (ran() == "ran").then_some(()));
    executor.kill();
    executor.start_again();
    executor.eventually_logs("is not run again");
    executor.eventually_tells(&container.name, "recovered");
    assert_eq!(ran(), "ran");
    assert_started(engine, &container, 1);
}
