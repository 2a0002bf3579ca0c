//! `healer drill`: a test container made sick on purpose, healed, and timed; any
//! other is left alone.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::died::until_followed;
use super::{add_rules, assert_started, healing, plain};
use crate::support::engine::{Container, Engine, Spec, engine, eventually};
use crate::support::healer::{Executor, Setup, by_id, oom};
use crate::support::shipped::{self, FluentBit};
use crate::support::tools::{program, skipped};

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
            &["--how", "kill"],
            &["--how", "unhealthy"],
        ] {
            let arguments = [&["drill", &*container.name], how].concat();
            let drill = executor.cli(&arguments);
            assert_eq!(drill.code, Some(2), "{drill:?}");
            drill.complains("does not bear the label healer.drill=true");
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
    for (how, starts) in [("exec", 2), ("unhealthy", 3)] {
        container.eventually("a passed check", |state| {
            state["Health"]["Status"] == "healthy"
        });
        let arguments = [
            "drill",
            &*container.name,
            "--how",
            how,
            "--timeout",
            "90s",
            "--",
        ];
        let drill = executor.cli(&[&arguments[..], &["touch", "/dev/shm/sick"]].concat());
        assert_eq!(drill.code, Some(0), "{drill:?}");
        drill.says("restarting: called for by unhealthy");
        assert_started(engine, &container, starts);
    }
}

/// Serves on loopback of its own, and its check asks there.
fn serving() -> Spec {
    let serve = "busybox=/bin/busybox; $busybox mkdir -p /tmp/www; echo fine > /tmp/www/health; \
                 echo started; exec $busybox httpd -f -p 127.0.0.1:8080 -h /tmp/www";
    let ask =
        "/bin/busybox timeout 1 /bin/busybox wget -q -O /dev/null http://127.0.0.1:8080/health";
    Spec::command(&["sh", "-c", serve])
        .label(LABEL, "true")
        .stop_timeout(1)
        .health_command(ask, Duration::from_secs(1))
}

/// The watchdog's other case: all processes live, and none does anything.
#[test]
fn a_container_that_is_made_to_hang_is_restarted() {
    let Some((engine, executor, container)) = healing("drill-hang", &serving(), |setup| {
        setup.set("defaults.unhealthy_checks", 2)
    }) else {
        return;
    };
    let name = &*container.name;
    let is_well = |container: &Container| {
        container.eventually("a passed check", |state| {
            state["Health"]["Status"] == "healthy"
        });
    };
    is_well(&container);
    // Refused, it goes on as if nothing had been.
    assert_eq!(executor.cli(&["pause", name]).code, Some(0));
    let refused = executor.cli(&["drill", name, "--how", "unhealthy", "--timeout", "60s"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    is_well(&container);
    assert_started(engine, &container, 1);
    assert_eq!(executor.cli(&["resume", name]).code, Some(0));

    let drill = executor.cli(&["drill", name, "--how", "unhealthy", "--timeout", "90s"]);
    assert_eq!(drill.code, Some(0), "{drill:?}");
    for words in [
        "by SIGSTOP)",
        "restarting: called for by unhealthy",
        "healed: healed and verified within ",
    ] {
        drill.says(words);
    }
    assert_started(engine, &container, 2);
}

/// By `timeout 60 healer drill`, or a terminal that is closed.
#[test]
fn a_drill_that_is_ended_in_the_middle_lets_the_processes_go_on() {
    let Some((engine, executor, container)) = healing("drill-ended", &serving(), |setup| {
        setup.set("defaults.unhealthy_checks", 100)
    }) else {
        return;
    };
    container.eventually("a passed check", |state| {
        state["Health"]["Status"] == "healthy"
    });
    let pid = container.pid();
    let state = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let state = status.lines().find_map(|line| line.strip_prefix("State:"));
        state.expect("a state").trim().chars().next()
    };
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut command = executor.command(&["drill", &container.name, "--how", "unhealthy"]);
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let drill = piped.spawn().expect("healer starts");
        eventually("stopped processes", || (state() == Some('T')).then_some(()));
        kill_process(Pid::from_child(&drill), signal).expect("it lives");
        let ended = drill.wait_with_output().expect("our child");
        assert_eq!(ended.status.code(), Some(1), "{signal:?}: {ended:?}");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("no longer watched"), "{said}");
        eventually("processes that go on", || {
            (state() != Some('T')).then_some(())
        });
        container.eventually("a passed check", |state| {
            state["Health"]["Status"] == "healthy"
        });
    }
    assert_started(engine, &container, 1);
}

#[test]
fn a_container_that_is_killed_is_started() {
    let Some((engine, executor, container)) = healing("drill-kill", &drilled(), |setup| {
        setup.set("defaults.died", "failed").with_http()
    }) else {
        return;
    };
    until_followed(&executor);
    let drill = executor.cli(&[
        "drill",
        &container.name,
        "--how",
        "kill",
        "--timeout",
        "60s",
    ]);
    assert_eq!(drill.code, Some(0), "{drill:?}");
    for words in [
        "sick: killed its main process (SIGKILL, from the host)",
        "ended: exit code 137",
        "restarting: called for by died",
        "healed: healed and verified within ",
    ] {
        drill.says(words);
    }
    assert_started(engine, &container, 2);
}

/// As in a container of the executor's own, where the host's processes are out of reach.
#[test]
fn from_another_pid_namespace_a_container_is_ended_from_within() {
    let Some(engine) = engine() else { return };
    let Some(unshare) = program("unshare") else {
        return skipped(
            "a drill in a PID namespace of its own",
            "no unshare was found",
        );
    };
    // A shell ends by SIGINT with 130; this one takes it for the end of its work.
    let done = "trap 'exit 0' INT TERM; echo started; while :; do sleep 3600 & wait $!; done";
    let done = Spec::command(&["sh", "-c", done]).label(LABEL, "true");
    let dies = engine.run("drill-within-dies", &drilled());
    let done = engine.run("drill-within-done", &done);
    let setup = Setup::new(engine.socket())
        .target(&dies.name)
        .target(&done.name)
        .set("defaults.died", "failed")
        .with_http();
    let executor = Executor::start(setup);
    until_followed(&executor);
    let drill = |container: &Container| {
        let healer = executor.command(&["drill", &container.name, "--how", "kill"]);
        let mut inside = std::process::Command::new(&unshare);
        inside.args(["--pid", "--fork", "--mount-proc"]);
        inside.arg(healer.get_program()).args(healer.get_args());
        let envs = healer.get_envs();
        inside.envs(envs.filter_map(|(key, value)| Some((key, value?))));
        let output = inside.output().expect("unshare starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text, output.stderr)
    };
    let (code, told, errors) = drill(&dies);
    let errors = String::from_utf8_lossy(&errors);
    if errors.contains("unshare failed") {
        return skipped("a drill in a PID namespace of its own", &errors);
    }
    assert_eq!(code, Some(0), "{told}{errors}");
    assert!(
        told.contains("sick: ended its main process from within"),
        "{told}"
    );
    assert_started(engine, &dies, 2);
    let (code, told, _) = drill(&done);
    assert_eq!(code, Some(1), "{told}");
    let words = "not healed: exit code 0 is taken for work that is done (died = \"failed\")";
    assert!(told.contains(words), "{told}");
    assert_eq!(done.status(), "exited");
}

#[test]
fn what_nobody_would_heal_is_neither_killed_nor_stopped() {
    let Some(engine) = engine() else { return };
    let always = json!({"Name": "always"});
    let specs = [
        ("off", drilled()),
        ("label", drilled().label("healer.died", "off")),
        ("policy", drilled().host_config("RestartPolicy", always)),
        ("rm", drilled().host_config("AutoRemove", json!(true))),
        (
            "checked",
            drilled().health_command("true", Duration::from_secs(1)),
        ),
    ];
    let containers = specs.map(|(hint, spec)| engine.run(&format!("drill-{hint}"), &spec));
    let [off, label, policy, rm, checked] = &containers;
    let setup = containers
        .iter()
        .fold(Setup::new(engine.socket()), |setup, one| {
            setup.set_for(&one.name, "died", "failed")
        });
    let executor = Executor::start(setup.set_for(&off.name, "died", "off"));
    for (container, how, words) in [
        (off, "kill", "would stay down: died is off for it"),
        (
            label,
            "kill",
            "would stay down: its label healer.died says so",
        ),
        (policy, "kill", "the restart policy always of its own"),
        (rm, "kill", "is removed when it ends (--rm)"),
        (off, "unhealthy", "has no health check that could fail"),
        (checked, "unhealthy", "unhealthy_checks is 0 for"),
    ] {
        let drill = executor.cli(&["drill", &container.name, "--how", how]);
        assert_eq!(drill.code, Some(2), "{how}: {drill:?}");
        drill.complains(words);
        assert_started(engine, container, 1);
        assert_eq!(container.status(), "running");
    }
}

/// The whole way: the line in the container's log, Fluent Bit, the plugin, the executor.
#[test]
fn a_drill_by_a_line_is_healed_through_a_real_fluent_bit() {
    let Some((engine, executor, container)) = healing("drill-whole-way", &drilled(), plain) else {
        return;
    };
    let socket = executor.path("intents/intents.sock");
    let setup = shipped::Setup::new(&socket).tailing(&container.log_path());
    let Some(mut fluent_bit) = FluentBit::start(setup) else {
        return;
    };
    let drill = executor.cli(&["drill", &container.name, "--timeout", "60s", "--json"]);
    assert_eq!(drill.code, Some(0), "{drill:?}");
    let steps = steps(&drill.stdout);
    assert_eq!(steps.first().map(String::as_str), Some("sick"), "{drill:?}");
    assert_eq!(
        steps.last().map(String::as_str),
        Some("healed"),
        "{drill:?}"
    );
    assert_started(engine, &container, 2);
    fluent_bit.eventually_counts("healer_plugin_intents_total", "", |n| n == 1.0);
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
    paused.says(why);
    let held_back = executor.status()["held_back"].clone();
    assert_eq!(held_back[0]["target"], name, "{held_back}");
    assert_eq!(held_back[0]["rule"], "cuda-oom", "{held_back}");
    executor.cli(&["status"]).says("held back by maintenance:");
    assert_eq!(executor.cli(&["resume", name]).code, Some(0));
    assert_eq!(
        executor.status()["held_back"].as_array().map(Vec::len),
        Some(0)
    );

    let drill = executor.cli(&["drill", name, "--how", "intent"]);
    assert_eq!(drill.code, Some(0), "{drill:?}");
    let again = executor.cli(&["drill", name, "--how", "intent", "--timeout", "1s"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    again.says("waits: cooldown for rule cuda-oom");
    again.says("not healed: still waiting after 1s");
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
            &["drill", name, "--how", "kill"],
            "would stay down: died is off for it",
        ),
        (
            &["drill", name, "--timeout", "0s"],
            "is not between 1s and 24h",
        ),
    ] {
        let drill = executor.cli(arguments);
        assert_eq!(drill.code, Some(2), "{arguments:?}: {drill:?}");
        drill.complains(words);
    }
    let fails = executor.cli(&["drill", name, "--how", "exec", "--", "cat", "/nothing"]);
    assert_eq!(fails.code, Some(1), "{fails:?}");
    fails.complains("exited with 1");
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
    drill.complains("is `healer run` running?");
    assert!(!log(engine, &container).contains("CUDA"));
}

fn stop(executor: &mut Executor) {
    assert!(executor.stop().success());
}
