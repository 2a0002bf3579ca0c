//! `healer drill`: a test container made sick on purpose, healed, and timed; any
//! other is left alone.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use super::{add_rules, assert_started, healing, plain};
use crate::support::engine::{Container, Engine, Spec, eventually};
use crate::support::healer::{Executor, by_id, oom};

const LABEL: &str = "healer.drill";

fn drilled() -> Spec {
    Spec::app().label(LABEL, "true")
}

/// The steps of a drill with `--json`, in order.
fn steps(stdout: &str) -> Vec<String> {
    let step = |line: &str| {
        let step: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(step["ms"].is_u64(), "{line}");
        step["step"].as_str().expect("a word").to_owned()
    };
    stdout.lines().map(step).collect()
}

fn log(engine: &Engine, container: &Container) -> String {
    let path = format!("/containers/{}/logs?stdout=1", container.id);
    let (status, log) = engine.try_request("GET", &path, None).expect("a log");
    assert_eq!(status, 200);
    String::from_utf8_lossy(&log).into_owned()
}

#[test]
fn a_container_that_is_drilled_by_an_intent_is_seen_healed() {
    let Some((engine, executor, container)) = healing("drill-intent", &drilled(), plain) else {
        return;
    };
    let drill = executor.cli(&["drill", &container.name, "--how", "intent", "--json"]);
    assert_eq!(drill.code, Some(0), "{drill:?}");
    let steps = steps(&drill.stdout);
    assert_eq!(steps.first().map(String::as_str), Some("sick"), "{drill:?}");
    assert_eq!(
        steps.last().map(String::as_str),
        Some("healed"),
        "{drill:?}"
    );
    assert!(steps.iter().any(|step| step == "recovered"), "{drill:?}");
    assert_started(engine, &container, 2);
    // The figures know of it.
    let stats = executor.cli(&["stats", "--json"]).json()["data"].clone();
    assert_eq!(stats["all"]["success_percent"], 100.0, "{stats}");
    assert_eq!(stats["targets"][0]["name"], container.name.as_str());
    assert_eq!(stats["rules"][0]["name"], "cuda-oom");
    assert_eq!(stats["rules"][0]["recoveries"], 1);
}

#[test]
fn a_container_without_the_label_is_left_alone() {
    for (hint, value) in [("drill-none", None), ("drill-no", Some("false"))] {
        let spec = match value {
            Some(value) => Spec::app().label(LABEL, value),
            None => Spec::app(),
        };
        let Some((engine, executor, container)) = healing(hint, &spec, plain) else {
            return;
        };
        for how in [
            &["--how", "log"][..],
            &["--how", "intent"],
            &["--how", "exec", "--", "touch", "/sick"],
        ] {
            let arguments = [&["drill", &*container.name], how].concat();
            let drill = executor.cli(&arguments);
            assert_eq!(drill.code, Some(2), "{drill:?}");
            assert!(
                drill
                    .stderr
                    .contains("does not bear the label healer.drill=true"),
                "{drill:?}"
            );
        }
        assert_started(engine, &container, 1);
        assert!(!log(engine, &container).contains("CUDA"));
        assert!(executor.history(&container.name).is_empty());
    }
}

#[test]
fn a_drill_by_a_line_prints_it_into_the_containers_own_log_and_waits_for_what_comes_of_it() {
    let Some((engine, executor, container)) = healing("drill-log", &drilled(), plain) else {
        return;
    };
    let mut command = executor.command(&["drill", &container.name, "--timeout", "60s"]);
    let mut drill = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("healer starts");
    eventually("the line", || {
        log(engine, &container)
            .to_lowercase()
            .contains("out of memory")
            .then_some(())
    });
    // What Fluent Bit and its plugin do of it.
    executor.decide(&oom(by_id(&container.id)));
    let status = eventually("the end of the drill", || {
        drill.try_wait().expect("our child")
    });
    let mut told = String::new();
    let mut stdout = drill.stdout.take().expect("piped");
    stdout.read_to_string(&mut told).expect("text");
    assert_eq!(status.code(), Some(0), "{told}");
    assert!(
        told.contains("healed: healed and verified within "),
        "{told}"
    );
    assert_started(engine, &container, 2);
}

/// The watchdog's own check: a container whose process lives and whose health check
/// fails is restarted, and is well again.
#[test]
fn a_container_whose_health_check_is_made_to_fail_is_healed() {
    let spec = drilled().health_command("test ! -e /dev/shm/sick", Duration::from_secs(1));
    let Some((engine, executor, container)) = healing("drill-unhealthy", &spec, |setup| {
        setup.set("defaults.unhealthy_checks", 3)
    }) else {
        return;
    };
    container.eventually("a passed check", |state| {
        state["Health"]["Status"] == "healthy"
    });
    let arguments = [
        "drill",
        &container.name,
        "--how",
        "exec",
        "--timeout",
        "90s",
        "--",
        "touch",
        "/dev/shm/sick",
    ];
    let drill = executor.cli(&arguments);
    assert_eq!(drill.code, Some(0), "{drill:?}");
    assert!(
        drill.stdout.contains("restarting: called for by unhealthy"),
        "{drill:?}"
    );
    assert_started(engine, &container, 2);
}

#[test]
fn what_is_refused_or_waits_is_said() {
    let Some((engine, executor, container)) = healing("drill-gates", &drilled(), |setup| {
        setup.set("defaults.cooldown", "300s")
    }) else {
        return;
    };
    let name = &*container.name;
    assert_eq!(
        executor
            .cli(&["pause", name, "--reason", "new driver"])
            .code,
        Some(0)
    );
    let paused = executor.cli(&["drill", name, "--how", "intent"]);
    assert_eq!(paused.code, Some(3), "{paused:?}");
    let why = "Paused until `healer resume`: new driver (gate maintenance)";
    assert!(paused.stdout.contains(why), "{paused:?}");
    let held_back = executor.status()["held_back"].clone();
    assert_eq!(held_back[0]["target"], name, "{held_back}");
    assert_eq!(held_back[0]["rule"], "cuda-oom", "{held_back}");
    assert!(
        executor
            .cli(&["status"])
            .stdout
            .contains("held back by maintenance:")
    );
    assert_eq!(executor.cli(&["resume", name]).code, Some(0));
    assert_eq!(
        executor.status()["held_back"].as_array().map(Vec::len),
        Some(0)
    );

    let drill = executor.cli(&["drill", name, "--how", "intent"]);
    assert_eq!(drill.code, Some(0), "{drill:?}");
    let again = executor.cli(&["drill", name, "--how", "intent", "--timeout", "1s"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again.stdout.contains("waits: cooldown for rule cuda-oom"),
        "{again:?}"
    );
    assert!(
        again.stdout.contains("not healed: still waiting after 1s"),
        "{again:?}"
    );
    let target = executor.target(name);
    assert_eq!(target["blocked_by"], "cooldown", "{target}");
    assert!(target["next_possible"].is_u64(), "{target}");
    assert_started(engine, &container, 2);
}

#[test]
fn wrong_use_of_a_drill_is_said_before_anything_is_done() {
    let Some((engine, mut executor, container)) = healing("drill-use", &drilled(), plain) else {
        return;
    };
    add_rules(
        &mut executor,
        "[[rule]]\nname = \"mine\"\nsummary = \"s\"\nremedy = \"note\"\nliterals = [\"out of luck\"]\n\
         examples = [\"out of luck\"]\n",
    );
    let name = &*container.name;
    for (arguments, words) in [
        (&["drill", "nobody-here"][..], "no container 'nobody-here'"),
        (
            &["drill", name, "--rule", "nonsense"],
            "no rule \"nonsense\" among",
        ),
        (
            &["drill", name, "--rule", "mine"],
            "does not restart a container by its lines alone",
        ),
        (
            &["drill", name, "--how", "exec"],
            "a COMMAND belongs to --how exec",
        ),
        (
            &["drill", name, "--", "true"],
            "a COMMAND belongs to --how exec",
        ),
        (
            &["drill", name, "--timeout", "0s"],
            "is not between 1s and 24h",
        ),
    ] {
        let drill = executor.cli(arguments);
        assert_eq!(drill.code, Some(2), "{arguments:?}: {drill:?}");
        assert!(drill.stderr.contains(words), "{arguments:?}: {drill:?}");
    }
    let fails = executor.cli(&["drill", name, "--how", "exec", "--", "cat", "/nothing"]);
    assert_eq!(fails.code, Some(1), "{fails:?}");
    assert!(fails.stderr.contains("exited with 1"), "{fails:?}");
    assert_started(engine, &container, 1);
}

#[test]
fn a_drill_with_nobody_to_heal_fails_and_harms_nothing() {
    let Some((engine, mut executor, container)) = healing("drill-alone", &drilled(), plain) else {
        return;
    };
    stop(&mut executor);
    let drill = executor.cli(&["drill", &container.name]);
    assert_eq!(drill.code, Some(1), "{drill:?}");
    assert!(
        drill.stderr.contains("is `healer run` running?"),
        "{drill:?}"
    );
    assert!(!log(engine, &container).contains("CUDA"));
}

fn stop(executor: &mut Executor) {
    assert!(executor.stop().success());
}
