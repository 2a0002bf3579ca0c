//! Start, SIGTERM, SIGHUP, and a second executor on the same state.

use std::time::{Duration, Instant};

use super::{assert_answer, assert_started, charge, eventually_restarted, healing, plain};
use crate::support::engine::{Spec, engine};
use crate::support::healer::{Executor, Setup, by_id, oom};

#[test]
fn sigterm_waits_for_the_restart_in_flight_and_records_it() {
    let spec = Spec::deaf_app().stop_timeout(3);
    let Some((engine, mut executor, container)) = healing("term", &spec, plain) else {
        return;
    };
    let started_before = container.started_at();
    charge(&executor, &container.id);
    executor.eventually("the call", |_| {
        let events = engine.events(&container.id);
        events.iter().any(|event| event == "kill").then_some(())
    });

    let status = executor.stop();

    assert!(status.success(), "{status}");
    assert!(
        executor.log().contains("Restart complete."),
        "{}",
        executor.log()
    );
    assert_ne!(container.started_at(), started_before);
    assert_eq!(executor.report("restarts.log").lines().count(), 1);
    assert!(
        !executor.path("intents/intents.sock").exists(),
        "its sockets are gone"
    );
    executor.start_again();
    executor.eventually_tells(&container.name, "recovered");
    assert_started(engine, &container, 2);
}

#[test]
fn sigterm_leaves_what_takes_longer_than_the_grace_and_the_next_start_resolves_it() {
    let spec = Spec::deaf_app().stop_timeout(6);
    let Some((engine, mut executor, container)) =
        healing("grace", &spec, |setup| setup.set("shutdown_grace", "1s"))
    else {
        return;
    };
    let started_before = container.started_at();
    charge(&executor, &container.id);
    executor.eventually_is(&container.name, "in-progress");

    let asked = Instant::now();
    let status = executor.stop();

    assert!(status.success(), "{status}");
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
    executor.eventually_logs("left open: the next start takes it up again");
    executor.start_again();
    eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
    assert_started(engine, &container, 2);
}

#[test]
fn sighup_with_a_bad_configuration_keeps_the_old_and_a_good_one_takes_effect() {
    let Some((engine, mut executor, container)) = healing("hup", &Spec::app(), |setup| {
        setup.set("policy.on_refusal", "drop")
    }) else {
        return;
    };
    let bad = [
        ("defaults.window", "soon"),
        ("rules", "no-such-pack"),
        ("no_such_key", "1"),
    ];
    for (count, (key, value)) in bad.into_iter().enumerate() {
        executor.reconfigure(|setup| {
            setup
                .set_for(&container.name, "enabled", false)
                .set(key, value)
        });
        executor.signal(rustix::process::Signal::HUP);
        executor.eventually("the refusal", |it| {
            (it.log().matches("not reloaded").count() == count + 1).then_some(())
        });
        executor.reconfigure(|setup| setup.without(key));
    }
    let started_before = container.started_at();
    let answer = executor.decide(&oom(by_id(&container.id)));
    assert_answer(&answer, "restart", "", "");
    eventually_restarted(&container, &started_before);

    executor.reload();

    let answer = executor.decide(&oom(by_id(&container.id)));
    assert_answer(&answer, "refused", "not-enabled", "switched off");
    assert_started(engine, &container, 2);
}

#[test]
fn a_second_executor_on_the_same_state_names_the_first_and_ends() {
    let executor = Executor::start(Setup::new("/nonexistent/docker.sock".as_ref()));

    let second = executor.cli(&["run"]);

    assert_eq!(second.code, Some(1), "{second:?}");
    let holder = format!("is held by `healer run` (pid {} on host ", executor.pid());
    assert!(second.stderr.contains(&holder), "{second:?}");
    assert_eq!(
        executor.cli(&["status"]).code,
        Some(0),
        "the first one is not disturbed"
    );
}

#[test]
fn a_run_waits_for_a_one_shot() {
    let Some(engine) = engine() else { return };
    let container = engine.run("waits", &Spec::deaf_app().stop_timeout(3));
    let mut executor = Executor::not_started(Setup::new(engine.socket()));
    let mut one_shot = executor
        .command(&["restart", &container.name])
        .spawn()
        .expect("it starts");
    executor.eventually("the lock", |it| {
        it.path("state/lock").exists().then_some(())
    });
    executor.eventually("the charge", |it| {
        let journal = std::fs::read_to_string(it.path("state/journal")).unwrap_or_default();
        journal.contains(&container.id).then_some(())
    });

    executor.start_again();

    let ended = one_shot
        .try_wait()
        .expect("our child")
        .expect("it ended before");
    assert!(ended.success(), "{ended}");
    assert_started(engine, &container, 2);
    assert_eq!(executor.target(&container.name)["used"], 1);
}

#[test]
fn a_bad_configuration_is_wrong_use_with_its_place() {
    let setup = Setup::new("/nonexistent/docker.sock".as_ref()).set("defaults.cooldwon", "1s");
    let executor = Executor::not_started(setup);
    let run = executor.cli(&["run"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(
        run.stderr.contains("cooldwon") && run.stderr.contains("healer.toml"),
        "{run:?}"
    );
}

#[test]
fn a_labelled_container_is_in_the_status_before_anything_has_happened_to_it() {
    let Some(engine) = engine() else { return };
    let executor = Executor::start(Setup::new(engine.socket()));
    let labelled = Spec::app().label("healer.enable", "true");
    let container = engine.run("labelled", &labelled);
    executor.eventually_is(&container.name, "idle");
    let target = executor.target(&container.name);
    assert_eq!(target["budget_left"], target["max_per_window"], "{target}");
    container.remove();
    executor.eventually("its going", |executor| {
        let status = executor.status();
        let targets = status["targets"].as_array()?;
        let mut names = targets.iter().map(|target| &target["name"]);
        names.all(|name| *name != *container.name).then_some(())
    });
}
