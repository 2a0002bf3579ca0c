//! A worker that is down and has left the file that says that its work is not done is started,
//! or a person is told of it; one that has done its work, or that somebody stopped, is left.

use serde_json::{Value, json};

use super::died::{assert_left_alone, end, ends_with, start, until_followed, watching};
use super::{Container, Engine, EngineProxy, Setup, engine};

const FILE: &str = "/progress.json";

/// A worker that ends with 0 when it is told to, and has work left.
fn worker(engine: &Engine, hint: &str) -> Container {
    let container = engine.run(hint, &ends_with(0));
    container.exec(&["touch", FILE]);
    container
}

fn settings(gap: &str) -> Value {
    json!({"file": FILE, "after": "1s", "gap": gap})
}

/// All are listed, and their files looked for.
fn looking(engine: &Engine, containers: &[&Container], gap: &str) -> Setup {
    let setup = watching(engine, containers);
    let set = |setup: Setup, container: &&Container| {
        setup.set_for(&container.name, "unfinished", settings(gap))
    };
    containers.iter().fold(setup, set)
}

fn ended(container: &Container) {
    container.eventually("its end", |state| state["Status"] == "exited");
}

#[test]
fn one_that_ends_with_0_and_leaves_its_file_is_started_and_one_that_is_done_is_not() {
    let Some(engine) = engine() else { return };
    let proxy = EngineProxy::before(engine);
    let unfinished = worker(engine, "unfinished");
    let done = worker(engine, "done");
    done.exec(&["rm", FILE]);
    let setup = looking(engine, &[&unfinished, &done], "tell");
    let socket = proxy.socket();
    let setup = setup.set("docker_socket", socket.to_str().expect("UTF-8"));
    let executor = start(setup);

    end(&done);
    ended(&done);
    executor.eventually("a look for its file", |_| {
        let asked = proxy.requests("HEAD ");
        asked.iter().any(|ask| ask.contains(&done.id)).then_some(())
    });
    executor.eventually_tells_started(&unfinished);

    assert_left_alone(&executor, &done);
    let log = executor.log();
    let words = "ended by itself with exit code 0, and it has left /progress.json (0 bytes)";
    assert!(log.contains(words), "{log}");
    let asked = proxy.requests("HEAD ");
    let of = |id: &str| asked.iter().filter(|ask| ask.contains(id)).count();
    assert_eq!((of(&done.id), of(&unfinished.id)), (1, 1), "{asked:?}");
    let (_, metrics) = executor.http("/metrics");
    let fired = r#"healer_triggers_total{trigger="unfinished"} 1"#;
    assert!(metrics.lines().any(|line| line == fired), "{metrics}");
}

#[test]
fn what_somebody_stopped_stays_down_though_its_work_is_not_done() {
    let Some(engine) = engine() else { return };
    let (stopped, killed) = (worker(engine, "stopped"), worker(engine, "killed"));
    let labelled = engine.run("labelled", &ends_with(0).label("healer.died", "off"));
    labelled.exec(&["touch", FILE]);
    let canary = worker(engine, "canary");
    let all = [&stopped, &killed, &labelled, &canary];
    // Even where everything that nobody saw is started.
    let executor = start(looking(engine, &all, "start"));

    stopped.stop();
    let kill = format!("/containers/{}/kill", killed.id);
    engine.request("POST", &kill, None);
    end(&labelled);
    for container in [&stopped, &killed, &labelled] {
        ended(container);
    }
    executor.eventually_tells_started(&canary);

    for container in [&stopped, &killed, &labelled] {
        assert_left_alone(&executor, container);
    }
}

#[test]
fn of_one_that_ended_while_the_executor_was_away_a_person_is_told() {
    let Some(engine) = engine() else { return };
    let container = worker(engine, "away");
    let mut executor = start(looking(engine, &[&container], "tell"));
    assert!(executor.stop().success());
    end(&container);
    ended(&container);
    executor.start_again();
    until_followed(&executor);

    executor.eventually_logs("so it may have been stopped on purpose: nothing is started");
    let log = executor.log();
    let words = "does not run, and it has left /progress.json (0 bytes)";
    assert!(log.contains(words), "{log}");
    assert_eq!(container.status(), "exited");
    assert_ne!(executor.state(&container.name), "held");

    // A person starts it; how it ends after that is seen.
    container.start();
    executor.eventually_tells_started(&container);
}

#[test]
fn where_the_owner_says_so_it_is_started_though_nobody_saw_how_it_ended() {
    let Some(engine) = engine() else { return };
    let container = worker(engine, "start");
    let mut executor = start(looking(engine, &[&container], "start"));
    assert!(executor.stop().success());
    let before = container.started_at();
    end(&container);
    ended(&container);
    executor.start_again();
    executor.eventually_starts(&container, &before);
}

#[test]
fn a_file_that_cannot_be_looked_for_is_told_and_is_no_reason_to_act() {
    let Some(engine) = engine() else { return };
    let container = worker(engine, "circle");
    container.exec(&[
        "sh",
        "-c",
        "rm /progress.json; ln -s /progress.json /progress.json",
    ]);
    let directory = engine.run("directory", &ends_with(0));
    directory.exec(&["busybox", "mkdir", FILE]);
    let executor = start(looking(engine, &[&container, &directory], "start"));
    end(&container);
    end(&directory);
    executor.eventually_logs("does the path lead in a circle of links");
    executor.eventually_logs("/progress.json is no file there");
    for container in [&container, &directory] {
        assert_left_alone(&executor, container);
    }
}
