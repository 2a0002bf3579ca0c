//! `healer restart`, with and without a running executor: what it prints and
//! what it exits with.

use super::{assert_started, healing, plain};
use crate::support::engine::{Container, Engine, Spec, engine};
use crate::support::healer::{Cli, Executor, Setup};

/// The lines of the original, each with its prefix and time.
fn assert_printed(cli: &Cli, lines: &[&str]) {
    let printed: Vec<&str> = cli
        .stdout
        .lines()
        .map(|line| {
            let rest = line
                .strip_prefix("[healer] ")
                .unwrap_or_else(|| panic!("{cli:?}"));
            let (time, words) = rest.split_once(' ').unwrap_or_else(|| panic!("{cli:?}"));
            assert!(time.len() == 20 && time.ends_with('Z'), "{cli:?}");
            words
        })
        .collect();
    assert_eq!(printed, lines, "{cli:?}");
}

/// What a person sees is the same with an executor and without one.
fn restart_twice(engine: &Engine, executor: &Executor, container: &Container) {
    let name = container.name.as_str();
    let started_before = container.started_at();

    let first = executor.cli(&["restart", name, "--cooldown", "300s"]);

    let restarting = format!("Restarting container '{name}' ...");
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_printed(&first, &[&restarting, "Restart complete."]);
    assert_ne!(
        container.started_at(),
        started_before,
        "it returns when the restart is done"
    );

    let second = executor.cli(&["restart", name, "--cooldown", "300s"]);
    assert_eq!(second.code, Some(3), "{second:?}");
    assert!(second.stdout.contains("Cooldown active ("), "{second:?}");
    assert!(
        second.stdout.trim_end().ends_with("s < 300s) — skipping."),
        "{second:?}"
    );
    assert_started(engine, container, 2);

    let third = executor.cli_with(
        &["restart"],
        &[("TARGET_CONTAINER", name), ("COOLDOWN_SEC", "0")],
    );
    assert_eq!(third.code, Some(0), "{third:?}");
    let fourth = executor.cli_with(
        &["restart"],
        &[
            ("TARGET_CONTAINER", name),
            ("COOLDOWN_SEC", "0"),
            ("MAX_PER_WINDOW", "2"),
        ],
    );
    assert_eq!(fourth.code, Some(3), "{fourth:?}");
    assert!(
        fourth
            .stdout
            .contains("Max restarts (2) in last 60s reached — skipping."),
        "{fourth:?}"
    );
    assert_started(engine, container, 3);
    assert_eq!(executor.report("restarts.log").lines().count(), 2);
}

#[test]
fn a_person_restarts_through_the_running_executor() {
    let Some(engine) = engine() else { return };
    // Not listed: naming a target enables it.
    let container = engine.run("person", &Spec::app());
    let executor = Executor::start(Setup::new(engine.socket()));
    restart_twice(engine, &executor, &container);
    assert!(
        executor.log().contains("Restart complete."),
        "{}",
        executor.log()
    );
}

#[test]
fn a_person_restarts_without_an_executor_and_a_later_one_knows() {
    let Some(engine) = engine() else { return };
    let container = engine.run("one-shot", &Spec::app());
    let mut executor = Executor::not_started(Setup::new(engine.socket()));
    restart_twice(engine, &executor, &container);

    executor.start_again();

    let answer = executor.cli(&["restart", &container.name, "--cooldown", "300s"]);
    assert_eq!(answer.code, Some(3), "{answer:?}");
    assert_started(engine, &container, 3);
    let restarts = executor.told(&container.name);
    assert_eq!(executor.target(&container.name)["used"], 2, "{restarts:?}");
}

#[test]
fn refusals_and_failures_have_their_own_exit_codes() {
    let Some(engine) = engine() else { return };
    let protected = engine.run("protected", &Spec::app().label("healer.protect", "true"));
    let stopped = engine.create(
        &crate::support::engine::unique_name("stopped"),
        &Spec::app(),
    );
    let mut executor = Executor::not_started(Setup::new(engine.socket()));
    for running in [false, true] {
        if running {
            executor.start_again();
        }
        for (target, words) in [
            (protected.name.as_str(), "is protected"),
            (&stopped.name, "is created, not running"),
            ("no-such-container", "no-such-container"),
        ] {
            let cli = executor.cli(&["restart", target]);
            assert_eq!(cli.code, Some(3), "{cli:?}");
            assert!(
                cli.stdout.contains(words) && cli.stdout.contains("skipping"),
                "{cli:?}"
            );
        }
        let nothing = executor.cli(&["restart"]);
        assert_eq!(nothing.code, Some(2), "{nothing:?}");
        // Longer than charges are kept: no gate refuses it, it cannot be judged.
        let longest = executor.cli(&["restart", &protected.name, "--cooldown", "7d"]);
        assert_eq!(longest.code, Some(3), "{longest:?}");
        let too_long = executor.cli(&["restart", &protected.name, "--cooldown", "8d"]);
        assert_eq!(too_long.code, Some(2), "{too_long:?}");
        let said = format!("{}{}", too_long.stdout, too_long.stderr);
        assert!(said.contains("cannot be judged"), "{too_long:?}");
        assert!(!said.contains("skipping"), "{too_long:?}");
    }
    assert_started(engine, &protected, 1);
    assert_eq!(stopped.status(), "created");
}

#[test]
fn without_an_engine_a_restart_fails_and_says_what_to_look_at() {
    let mut executor = Executor::not_started(Setup::new("/nonexistent/docker.sock".as_ref()));
    for running in [false, true] {
        if running {
            executor.start_again();
        }
        let cli = executor.cli(&["restart", "app"]);
        assert_eq!(cli.code, Some(1), "{cli:?}");
        let words = "cannot connect to the Docker socket /nonexistent/docker.sock";
        assert!(cli.stderr.contains(words), "{cli:?}");
    }
}

#[test]
fn status_history_pause_and_resume_want_a_running_executor() {
    let executor = Executor::not_started(Setup::new("/nonexistent/docker.sock".as_ref()));
    for command in ["status", "history", "pause", "resume"] {
        let cli = executor.cli(&[command]);
        assert_eq!(cli.code, Some(1), "{cli:?}");
        assert!(cli.stderr.contains("is `healer run` running?"), "{cli:?}");
    }
}

#[test]
fn a_persons_request_during_a_restart_is_refused_as_in_progress() {
    let spec = Spec::deaf_app().stop_timeout(3);
    let Some((engine, executor, container)) = healing("busy", &spec, plain) else {
        return;
    };
    let name = container.name.as_str();
    let mut first = executor
        .command(&["restart", name])
        .spawn()
        .expect("healer starts");
    executor.eventually_is(name, "in-progress");

    let second = executor.cli(&["restart", name]);

    assert_eq!(second.code, Some(3), "{second:?}");
    assert!(second.stdout.contains("in progress"), "{second:?}");
    assert!(first.wait().expect("our child").success());
    assert_started(engine, &container, 2);
}
