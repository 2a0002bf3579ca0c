//! The client against a real engine: every field, every call, and what the
//! engine itself does with containers in each state.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use healer::docker::{Docker, DockerError, Inspected, SocketProblem, parse_rfc3339};
use policy::{Call, Called, ContainerState, HealthStatus, WallTime};

use super::{Blocking, LONG, SHORT, block_on, within};
use crate::support::engine::{Container, Engine, Spec, engine, eventually, unique_name};
use crate::support::tools::skipped;

fn client(engine: &Engine) -> Blocking {
    Blocking::new(engine.socket())
}

fn time(text: &str) -> Option<WallTime> {
    parse_rfc3339(text).expect("the engine writes times")
}

/// What the client reads is what the engine says.
fn check(client: &Blocking, container: &Container, state: ContainerState) -> Inspected {
    let seen = client.found(&container.id);
    let raw = container.inspect();
    let text = |field: &str| raw["State"][field].as_str().expect("a text").to_owned();
    assert_eq!(seen.id, container.id);
    assert_eq!(seen.name, container.name);
    assert_eq!(seen.state, state);
    assert_eq!(seen.started_at, time(&text("StartedAt")));
    assert_eq!(seen.finished_at, time(&text("FinishedAt")));
    seen
}

#[test]
fn reads_containers_in_every_state() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let spec = Spec::app().label("healer.enable", "true").stop_timeout(-1);

    let web = engine.create(&unique_name("states"), &spec);
    let created = check(&client, &web, ContainerState::Created);
    assert_eq!((created.started_at, created.finished_at), (None, None));
    assert_eq!(created.labels["healer.enable"], "true");
    assert_eq!(created.stop_timeout_s, Some(-1));
    assert_eq!(created.health, None);

    web.start();
    let running = check(&client, &web, ContainerState::Running);
    assert!(running.started_at.is_some());
    assert_eq!(running.finished_at, None);
    web.pause();
    check(&client, &web, ContainerState::Paused);
    web.unpause();
    web.stop();
    let exited = check(&client, &web, ContainerState::Exited);
    let (started, finished) = (exited.started_at.unwrap(), exited.finished_at.unwrap());
    assert!(started.is_before(finished));

    let plain = engine.run("plain", &Spec::app());
    let plain = check(&client, &plain, ContainerState::Running);
    assert_eq!(plain.stop_timeout_s, None);
    assert!(plain.labels.is_empty(), "{:?}", plain.labels);
}

#[test]
fn reads_a_container_that_its_restart_policy_keeps_restarting() {
    let Some(engine) = engine() else { return };
    let policy = serde_json::json!({"Name": "always"});
    let spec = Spec::command(&["sh", "-c", "exit 3"]).host_config("RestartPolicy", policy);
    let looping = engine.run("looping", &spec);
    let client = client(engine);
    eventually("the state restarting", || {
        (client.found(&looping.id).state == ContainerState::Restarting).then_some(())
    });
}

#[test]
fn follows_a_health_check() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let spec = Spec::app().health_check(Duration::from_millis(500));
    let web = engine.run("health", &spec);
    let health = || client.found(&web.id).health.expect("it has a check");
    let healthy = eventually("healthy", || {
        Some(health()).filter(|health| health.status == HealthStatus::Healthy)
    });
    assert_eq!(healthy.interval_ms, 500);
    assert_eq!(healthy.start_period_ms, 0);
    let checked_at = healthy.checked_at.expect("it was checked");
    let started_at = client.found(&web.id).started_at.expect("it runs");
    assert!(started_at.is_before(checked_at));

    web.exec(&["touch", "/sick"]);
    let unhealthy = eventually("unhealthy", || {
        Some(health()).filter(|health| health.status == HealthStatus::Unhealthy)
    });
    assert!(checked_at.is_before(unhealthy.checked_at.expect("it was checked again")));
}

#[test]
fn containers_are_found_by_name_id_and_long_enough_a_beginning() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let web = engine.run("names", &Spec::app());
    for reference in [&web.name, &format!("/{}", web.name), &web.id, &web.id[..12]] {
        assert_eq!(client.found(reference).id, web.id, "{reference}");
    }
    for nobody in [
        &web.id[..11],
        &web.name[..web.name.len() - 1],
        "..",
        &web.id.replace('a', "b"),
    ] {
        if *nobody != web.id {
            assert_eq!(client.inspect(nobody), Ok(None), "{nobody}");
        }
    }
    let listed = block_on(client.0.list(LONG)).unwrap();
    let row = listed
        .iter()
        .find(|row| row.id == web.id)
        .expect("it is listed");
    assert_eq!(
        (row.name.as_str(), row.state.as_str()),
        (web.name.as_str(), "running")
    );
    assert!(listed.is_sorted_by_key(|row| &row.name));
}

#[test]
fn a_recreated_container_has_another_id_under_the_same_name() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let first = engine.run("recreated", &Spec::app());
    let name = first.name.clone();
    first.remove();
    assert_eq!(client.inspect(&name), Ok(None));
    let second = engine.create(&name, &Spec::app());
    second.start();
    assert_eq!(client.found(&name).id, second.id);
    assert_eq!(client.inspect(&first.id), Ok(None));
    match client.restart(&first.id) {
        Called::Refused {
            status: 404,
            message,
        } => {
            assert!(message.contains(&first.id), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_restart_starts_the_container_anew() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let web = engine.run("restart", &Spec::app());
    let before = client.found(&web.id);
    assert_eq!(client.restart(&web.id), Called::Done);
    let after = check(&client, &web, ContainerState::Running);
    assert!(
        before
            .started_at
            .unwrap()
            .is_before(after.started_at.unwrap())
    );
    assert!(
        before
            .started_at
            .unwrap()
            .is_before(after.finished_at.unwrap())
    );
    assert!(
        after
            .finished_at
            .unwrap()
            .is_before(after.started_at.unwrap())
    );
}

#[test]
fn start_starts_what_is_stopped_and_leaves_alone_what_runs() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let web = engine.run("start", &Spec::app());
    let before = client.found(&web.id);
    assert_eq!(client.call(Call::Start, &web.id, LONG), Called::Done);
    assert_eq!(client.found(&web.id), before);
    web.stop();
    assert_eq!(client.call(Call::Start, &web.id, LONG), Called::Done);
    check(&client, &web, ContainerState::Running);
}

/// Why the policy looks before it acts: the engine would start it.
#[test]
fn the_engines_restart_starts_a_stopped_container() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let web = engine.run("stopped", &Spec::app());
    web.stop();
    assert_eq!(client.restart(&web.id), Called::Done);
    check(&client, &web, ContainerState::Running);
}

/// Stopped, and then not to be started: what a mount that has vanished does.
#[test]
fn a_restart_that_fails_halfway_is_refused_and_leaves_the_container_down() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("models");
    std::fs::create_dir(&source).unwrap();
    let mounts = serde_json::json!([{"Type": "bind", "Source": source, "Target": "/models"}]);
    let web = engine.run("halfway", &Spec::app().host_config("Mounts", mounts));
    let before = client.found(&web.id);
    std::fs::remove_dir(&source).unwrap();
    match client.restart(&web.id) {
        Called::Refused {
            status: 500,
            message,
        } => {
            assert!(message.contains("no such file or directory"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let after = check(&client, &web, ContainerState::Exited);
    assert_eq!(after.started_at, before.started_at);
    assert!(
        before
            .started_at
            .unwrap()
            .is_before(after.finished_at.unwrap())
    );
    // Once the cause is mended a start brings it back.
    std::fs::create_dir(&source).unwrap();
    assert_eq!(client.call(Call::Start, &web.id, LONG), Called::Done);
    check(&client, &web, ContainerState::Running);
}

#[test]
fn a_paused_container_is_not_started() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let web = engine.run("conflict", &Spec::app());
    web.pause();
    match client.call(Call::Start, &web.id, LONG) {
        Called::Refused {
            status: 409,
            message,
        } => {
            assert!(message.contains("paused"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    check(&client, &web, ContainerState::Paused);
}

#[test]
fn the_engine_goes_on_with_a_restart_that_we_no_longer_wait_for() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let deaf = engine.run("deaf", &Spec::deaf_app().stop_timeout(2));
    let before = client.found(&deaf.id).started_at.unwrap();
    let called = within(SHORT, || client.call(Call::Restart, &deaf.id, SHORT));
    match called {
        Called::Unclear { why } => assert!(why.contains("timed out after 200 ms"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.found(&deaf.id).state, ContainerState::Running);
    eventually("the restart after the stop timeout", || {
        let now = client.found(&deaf.id);
        (now.state == ContainerState::Running && before.is_before(now.started_at?)).then_some(())
    });
}

#[test]
fn the_containers_own_stop_timeout_counts_unless_another_is_given() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let deaf = engine.run("stop-timeout", &Spec::deaf_app().stop_timeout(1));
    let took = |stop_timeout: Option<i64>| {
        let start = std::time::Instant::now();
        let called = block_on(client.0.call(Call::Restart, &deaf.id, LONG, stop_timeout));
        assert_eq!(called, Called::Done);
        start.elapsed()
    };
    assert!(took(None) >= Duration::from_secs(1));
    assert!(took(Some(2)) >= Duration::from_secs(2));
}

#[test]
fn a_slow_restart_holds_up_no_other_container() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let deaf = engine.run("slow", &Spec::deaf_app().stop_timeout(3));
    let web = engine.run("quick", &Spec::app());
    let order = block_on(async {
        let slow = async {
            client.0.call(Call::Restart, &deaf.id, LONG, None).await;
            std::time::Instant::now()
        };
        let quick = async {
            let called = client.0.call(Call::Restart, &web.id, LONG, None).await;
            assert_eq!(called, Called::Done);
            std::time::Instant::now()
        };
        tokio::join!(slow, quick)
    });
    assert!(order.1 < order.0, "the quick one was held up");
}

/// Another reason to look before acting: the engine would unpause it.
#[test]
fn the_engines_restart_unpauses_a_paused_container() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let web = engine.run("paused", &Spec::app().stop_timeout(1));
    let before = client.found(&web.id).started_at.unwrap();
    web.pause();
    assert_eq!(client.restart(&web.id), Called::Done);
    let after = check(&client, &web, ContainerState::Running);
    assert!(before.is_before(after.started_at.unwrap()));
}

#[test]
fn the_engine_says_what_it_is() {
    let Some(engine) = engine() else { return };
    let client = client(engine);
    let version = block_on(client.0.version(LONG)).unwrap();
    let raw = engine.request("GET", "/version", None);
    assert_eq!(raw["Version"], version.version.as_str());
    assert_eq!(raw["ApiVersion"], version.api_version.as_str());
    let newest = client.ping().unwrap();
    assert!(
        newest == version.api_version || newest == "1.52",
        "{version:?}"
    );
}

/// Set in the copy of this program that runs as another user.
const AS_NOBODY: &str = "LOG_HEALER_TEST_SOCKET";
const NOBODY: u32 = 65_534;
/// Where the copy writes what it was told, in its working directory.
const ANSWER: &str = "answer";

#[test]
fn permission_denied_names_the_group_to_join() {
    if let Some(socket) = std::env::var_os(AS_NOBODY) {
        let error = Blocking::new(socket.as_ref()).ping().unwrap_err();
        let DockerError::Socket {
            problem: SocketProblem::Denied(denied),
            ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(
            (denied.our_uid, denied.our_gids.as_slice()),
            (NOBODY, &[NOBODY][..])
        );
        std::fs::write(ANSWER, error.to_string()).unwrap();
        return;
    }
    let Some(engine) = engine() else { return };
    if !rustix::process::geteuid().is_root() {
        return skipped(
            "permission denied on the Docker socket",
            "wants root to be nobody",
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let program = dir.path().join("tests");
    // By another process: what this one has open for writing another test's child may have, too,
    // for a moment, and nobody may run it then.
    let copied = Command::new("cp")
        .args([&std::env::current_exe().unwrap(), &program])
        .status();
    assert!(copied.unwrap().success());
    let output = Command::new(&program)
        .args([
            "--exact",
            "docker::real::permission_denied_names_the_group_to_join",
        ])
        .env(AS_NOBODY, engine.socket())
        .current_dir(&dir)
        .gid(NOBODY)
        .uid(NOBODY)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let words = std::fs::read_to_string(dir.path().join(ANSWER)).unwrap();
    let meta = std::fs::metadata(engine.socket()).unwrap();
    let gid = std::os::unix::fs::MetadataExt::gid(&meta);
    assert!(
        words.starts_with("cannot connect to the Docker socket"),
        "{words}"
    );
    assert!(
        words.contains(&format!("group_add: [\"{gid}\"]")),
        "{words}"
    );
}

/// What other tests build on: lines get into the log as the application's own.
#[test]
fn a_test_container_prints_to_its_log() {
    let Some(engine) = engine() else { return };
    let web = engine.run("prints", &Spec::app());
    assert_eq!(web.status(), "running");
    let line = r#"RuntimeError: "CUDA" out of memory \ %s"#;
    web.print(line);
    let log = eventually("the line is in the log", || {
        let log = std::fs::read_to_string(web.log_path()).ok()?;
        (log.lines().count() == 2).then_some(log)
    });
    let texts: Vec<String> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|entry| entry["log"].as_str().expect("a text").to_owned())
        .collect();
    assert_eq!(texts, ["started\n".to_owned(), format!("{line}\n")]);
    let started_at = web.started_at();
    web.stop();
    web.start();
    let after = web.eventually("a new start", |state| state["StartedAt"] != started_at);
    assert_eq!(after["State"]["Status"], "running");
}
