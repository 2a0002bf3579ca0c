//! What the executor tries and waits for by itself, on an engine of which much hangs or is gone.

use std::io::Read;
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

use crate::support::engine::eventually;
use crate::support::fake_engine::{FakeEngine, Fault};
use crate::support::healer::{Executor, Setup, by_name, oom};

/// A port of loopback at which every connection is taken and nothing said.
fn hanging() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut said = [0; 4_096];
                while matches!(client.read(&mut said), Ok(1..)) {}
            });
        }
    });
    port
}

fn http(name: &str, port: u16, every: &str) -> Value {
    json!({"name": name, "type": "http", "host": "127.0.0.1", "port": port, "interval": every,
        "timeout": every, "failures": 2, "start_period": "0s", "remedy": "note"})
}

/// More probes hang, with their interval for a time-out, than are tried at once.
#[test]
fn probes_that_hang_all_the_time_leave_room_for_the_others() {
    let fake = FakeEngine::start();
    let port = hanging();
    let mut setup = Setup::new(&fake.socket());
    for target in ["hangs-1", "hangs-2", "hangs-3"] {
        fake.add(target);
        let probes = (0..16).map(|n| http(&format!("hangs-{n}"), port, "4s"));
        let probes: Vec<Value> = probes.collect();
        setup = setup
            .target(target)
            .set_for(target, "probes", json!(probes));
    }
    fake.add("well");
    let tcp = json!([{"name": "up", "type": "tcp", "host": "127.0.0.1", "port": port,
        "interval": "1s", "timeout": "1s", "remedy": "note"}]);
    let setup = setup.target("well").set_for("well", "probes", tcp);
    let executor = Executor::start(setup.with_http());
    let failed = |executor: &Executor| {
        executor.metric(r#"healer_probes_total{kind="http",result="failed"}"#)
    };
    let passed =
        |executor: &Executor| executor.metric(r#"healer_probes_total{kind="tcp",result="passed"}"#);
    // Each of them has been found out.
    executor.eventually("a round of all", |it| (failed(it) >= 48).then_some(()));
    let (failed_before, passed_before) = (failed(&executor), passed(&executor));
    executor.eventually("two rounds more of what has room", |it| {
        (failed(it) >= failed_before + 40).then_some(())
    });
    // 40 of them, 20 at once and 4 s each, take 8 s.
    let passed = passed(&executor) - passed_before;
    assert!(passed >= 5, "{passed} passed");
}

#[test]
fn a_beat_that_is_missing_is_told_though_the_container_is_down_or_gone() {
    let fake = FakeEngine::start();
    let id = fake.add("down");
    fake.with(&id, |down| down.status = "exited".to_owned());
    let waits = |within: &str, remedy: &str| json!({"within": within, "remedy": remedy});
    let setup = Setup::new(&fake.socket())
        .target("down")
        .set_for("down", "activity", waits("1s", "escalate"))
        .target("gone")
        .set_for("gone", "activity", waits("1s", "escalate"))
        .target("later")
        .set_for("later", "activity", waits("3s", "escalate"))
        .target("left")
        .set_for("left", "activity", waits("1s", "restart"));
    let executor = Executor::start(setup);
    executor.eventually("it is held", |executor| {
        (executor.state("down") == "held").then_some(())
    });
    // By the time that the last is missed, what was missed before has long been told.
    for gone in ["gone", "later"] {
        let words = format!("a person is needed target={gone:?} rule=\"no-beat\"");
        executor.eventually_logs(&words);
    }
    let log = executor.log();
    assert!(!log.contains(r#"target="left""#), "{log}");
    assert_eq!(fake.with(&id, |down| down.starts), 0);
}

/// A child by Compose's label, on an engine whose list of containers takes its time.
#[test]
fn a_list_that_is_slow_costs_a_child_a_second_and_no_charge() {
    let fake = FakeEngine::start();
    for (service, needs) in [("web", "db:service_started:false"), ("db", "")] {
        let id = fake.add(&format!("app-{service}-1"));
        fake.with(&id, |container| {
            for (key, value) in [
                ("project", "app"),
                ("service", service),
                ("depends_on", needs),
            ] {
                let key = format!("com.docker.compose.{key}");
                container.labels.insert(key, value.to_owned());
            }
        });
    }
    let (web, db) = (fake.id_of("app-web-1"), fake.id_of("app-db-1"));
    fake.with(&db, |db| db.status = "paused".to_owned());
    let setup = Setup::new(&fake.socket()).target("app-web-1");
    let executor = Executor::start(setup);
    let slow = std::time::Duration::from_millis(1_500);
    fake.fault("/containers/json", 100, Fault::Delay(slow));
    // Not `decide`, which asks until all is known.
    let answer = eventually("an answer on the container itself", || {
        let answer = executor.send(&oom(by_name("app-web-1")));
        (answer["gate"] != "no-facts").then_some(answer)
    });
    assert_eq!(answer["decision"], "pending", "{answer}");
    assert_eq!(answer["gate"], "dependency", "{answer}");
    let words = answer["detail"].as_str().unwrap_or_default();
    assert!(
        words.starts_with("No facts from Docker in time"),
        "{answer}"
    );
    // The next look waits for the list, and then looks at the parent.
    executor.eventually("its next look", |_| {
        let requests = fake.requests();
        let is_parents = |line: &String| line.contains("/containers/app-db-1/json");
        requests.iter().any(is_parents).then_some(())
    });
    assert_eq!(fake.with(&web, |web| web.starts), 0);
    assert_eq!(executor.state("app-web-1"), "pending");
    fake.with(&db, |db| db.status = "running".to_owned());
    executor.eventually("a restart", |_| {
        fake.with(&web, |web| (web.starts == 1).then_some(()))
    });
}
