//! Containers that depend on others: parent first, child once, and what shares a network.

use serde_json::{Value, json};

use super::{assert_answer, assert_started, eventually_restarted, messages, telling};
use crate::support::engine::{Container, Spec, engine, eventually};
use crate::support::healer::{Executor, SAMPLE, Setup, by_id, oom};

/// A container in the network of another one.
fn sharing(parent: &Container) -> Spec {
    Spec::app().host_config("NetworkMode", json!(format!("container:{}", parent.id)))
}

#[test]
fn a_sick_child_waits_for_its_parent_and_is_restarted_once_it_is_back() {
    let Some(engine) = engine() else { return };
    let db = engine.run("depends-db", &Spec::app());
    let web = engine.run("depends-web", &Spec::app());
    db.stop();
    let setup = Setup::new(engine.socket()).target(&web.name).set_for(
        &web.name,
        "depends_on",
        json!([db.name]),
    );
    let executor = Executor::start(setup);
    let before = web.started_at();
    let words = format!("Waits for '{}', which is exited", db.name);
    let answer = executor.decide(&oom(by_id(&web.id)));
    assert_answer(&answer, "pending", "dependency", &words);
    assert_eq!(db.status(), "exited", "what somebody stopped stays stopped");
    db.start();
    eventually_restarted(&web, &before);
    executor.eventually_tells(&web.name, "recovered");
    assert_started(engine, &web, 2);
    assert_started(engine, &db, 2);
}

#[test]
fn a_container_whose_network_parent_was_created_anew_is_left_and_it_is_said_why() {
    let Some(engine) = engine() else { return };
    let parent = engine.run("net-gone", &Spec::app());
    let child = engine.run("net-orphan", &sharing(&parent));
    let desk = tempfile::tempdir().expect("a directory");
    let file = desk.path().join("told");
    let setup = Setup::new(engine.socket()).target(&child.name);
    let executor = Executor::start(telling(setup, &file));
    parent.remove();
    for _ in 0..3 {
        let answer = executor.decide(&oom(by_id(&child.id)));
        assert_answer(&answer, "refused", "dependency", "no restart can cure that");
    }
    assert_started(engine, &child, 1);
    // A person, too: what comes next is told after all that came before.
    executor.cli(&["restart", &child.name]);
    let told = eventually("the person's restart is told", || {
        let told = messages(&file);
        let is_it = |m: &Value| m["step"] == "restarting";
        told.iter().any(is_it).then_some(told)
    });
    let steps: Vec<_> = told.iter().filter_map(|m| m["step"].as_str()).collect();
    assert_eq!(steps[..2], ["escalated", "restarting"], "once: {told:?}");
    let detail = told[0]["detail"].as_str().expect("text");
    assert!(detail.contains("docker compose up -d"), "{detail}");
    assert_eq!(told[0]["sample"], SAMPLE);
    assert_eq!(
        told[1]["sample"],
        Value::Null,
        "nobody's line has led to it"
    );
}

#[test]
fn what_shares_a_network_is_restarted_once_after_its_parent_was() {
    let Some(engine) = engine() else { return };
    let parent = engine.run("net-parent", &Spec::app());
    let child = engine.run("net-child", &sharing(&parent));
    let setup = Setup::new(engine.socket()).target(&child.name).with_http();
    let executor = Executor::start(setup);
    executor.eventually("a list with its events followed", |executor| {
        let (_, metrics) = executor.http("/metrics");
        let is_there = |line: &str| metrics.lines().any(|found| found == line);
        let listed = !is_there(r#"healer_container_lists_total{result="done"} 0"#);
        (listed && is_there("healer_events_up 1")).then_some(())
    });
    let before = child.started_at();
    let path = format!("/containers/{}/restart?t=1", parent.id);
    engine.request("POST", &path, None);
    eventually_restarted(&child, &before);
    executor.eventually_tells(&child.name, "recovered");
    let log = executor.log();
    assert!(
        log.contains("network lost: it shares the network of"),
        "{log}"
    );
    assert_started(engine, &child, 2);
    assert_started(engine, &parent, 2);
}
