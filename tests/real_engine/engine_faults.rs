//! Engines that refuse, hang, are away, keep us out, or speak another version:
//! each with a clear error, and afterwards the container runs, or its target is
//! held and told.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::{
    assert_answer, assert_started, charge, eventually_restarted, side_by_side, until_charged,
};
use crate::support::engine::{Spec, engine, eventually};
use crate::support::engine_proxy::{EngineProxy, Moment};
use crate::support::fake_engine::{FakeEngine, Fault};
use crate::support::healer::{Executor, Setup, by_id, by_name, oom};

/// A fake engine with a running container `app`, and an executor on it.
fn faking(fake: FakeEngine) -> (FakeEngine, Executor, String) {
    let id = fake.add("app");
    fake.with(&id, |container| container.stop_timeout = Some(0));
    let executor = Executor::start(Setup::new(&fake.socket()).target("app").with_http());
    (fake, executor, id)
}

fn refusing(status: u16, message: &str, acts: bool) -> Fault {
    Fault::Answer {
        status,
        message: message.to_owned(),
        acts,
    }
}

fn restarts(fake: &FakeEngine) -> usize {
    fake.requests()
        .iter()
        .filter(|line| line.contains("/restart"))
        .count()
}

#[test]
fn refusals_and_hangs_end_in_a_running_container() {
    side_by_side(&[
        (
            "500 twice: failed, told, tried again",
            failed_attempts_are_tried_again,
        ),
        (
            "409 once: the second call does it",
            a_conflict_is_tried_once_more,
        ),
        ("500 although it was done", a_refusal_that_was_none),
        ("a hang: the answer never comes", a_hang_has_an_end),
        ("the connection breaks", a_broken_connection_is_looked_into),
    ]);
}

fn failed_attempts_are_tried_again() {
    let (fake, executor, id) = faking(FakeEngine::speaking((1, 24), (1, 41)));
    let words = "Cannot restart container app: driver failed programming";
    fake.fault("/restart", 2, refusing(500, words, false));

    charge(&executor, &id);

    let failed = executor.eventually_tells("app", "failed");
    let detail = failed["detail"].as_str().expect("words");
    assert!(detail.contains("500") && detail.contains(words), "{failed}");
    executor.eventually_logs(words);
    // A failed attempt makes the target pending: it is not given up.
    executor.eventually_tells("app", "recovered");
    assert_eq!(
        restarts(&fake),
        3,
        "two calls of the first charge, one of the second"
    );
    fake.with(&id, |container| assert_eq!(container.starts, 1));
    assert_eq!(executor.state("app"), "idle");
    // It counts like any other, in the report files too.
    let log = executor.report("restarts.log");
    let results: Vec<&str> = log
        .lines()
        .map(|line| match line {
            line if line.contains(r#""window_count":1,"attempt":1,"result":"failed""#) => "failed",
            line if line.contains(r#""window_count":2,"attempt":2,"result":"restarted""#) => "done",
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(results, ["failed", "done"]);
    assert_eq!(executor.report("app.restart_hist").lines().count(), 2);
    assert!(
        executor
            .report("last_restart.json")
            .contains("\"window_count\": 2")
    );
}

fn a_conflict_is_tried_once_more() {
    let (fake, executor, id) = faking(FakeEngine::speaking((1, 24), (1, 41)));
    let words = "container is marked for removal and cannot be started";
    fake.fault("/restart", 1, refusing(409, words, false));

    charge(&executor, &id);

    executor.eventually_tells("app", "recovered");
    executor.eventually_logs(words);
    assert_eq!(restarts(&fake), 2);
    fake.with(&id, |container| assert_eq!(container.starts, 1));
}

fn a_refusal_that_was_none() {
    let (fake, executor, id) = faking(FakeEngine::speaking((1, 24), (1, 41)));
    fake.fault(
        "/restart",
        1,
        refusing(500, "context deadline exceeded", true),
    );
    let asked = Instant::now();

    charge(&executor, &id);

    executor.eventually_tells("app", "recovered");
    assert!(
        asked.elapsed() < Duration::from_secs(8),
        "one look says that it is done"
    );
    assert_eq!(restarts(&fake), 1);
}

fn a_hang_has_an_end() {
    let (fake, executor, id) = faking(FakeEngine::speaking((1, 24), (1, 41)));
    fake.fault("/restart", 1, Fault::Hang { acts: false });

    charge(&executor, &id);

    executor.eventually_logs("timed out after");
    executor.eventually_tells("app", "recovered");
    assert_eq!(restarts(&fake), 2);
    fake.with(&id, |container| assert_eq!(container.starts, 1));
}

fn a_broken_connection_is_looked_into() {
    let Some(engine) = engine() else { return };
    let proxy = EngineProxy::before(engine);
    let container = engine.run("broken", &Spec::app().stop_timeout(0));
    let executor = Executor::start(Setup::new(&proxy.socket()).target(&container.name));
    let started_before = container.started_at();
    let held = proxy.hold("/restart", Moment::During);
    charge(&executor, &container.id);
    held.reached();

    held.cut();

    eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
    assert_eq!(proxy.requests("/restart").len(), 1);
    assert_started(engine, &container, 2);
}

#[test]
fn removed_just_before_the_call_is_aborted_and_not_held() {
    let Some(engine) = engine() else { return };
    let proxy = EngineProxy::before(engine);
    let container = engine.run("removed", &Spec::app());
    let executor = Executor::start(Setup::new(&proxy.socket()).target(&container.name));
    let held = proxy.hold("/restart", Moment::Before);
    charge(&executor, &container.id);
    held.reached();
    container.remove();

    held.let_go();

    executor.eventually_tells(&container.name, "aborted");
    assert_ne!(executor.state(&container.name), "held");
}

#[test]
fn stopped_just_before_the_last_look_is_aborted_and_stays_stopped() {
    let Some(engine) = engine() else { return };
    let proxy = EngineProxy::before(engine);
    let container = engine.run("stopped", &Spec::app());
    // Looks are told by their requests, and evidence makes one like them.
    let setup = Setup::new(&proxy.socket())
        .target(&container.name)
        .set("evidence.keep", "off");
    let executor = Executor::start(setup);
    let held = proxy.hold_after(1, "/json", Moment::Before);
    executor.send(&oom(by_id(&container.id)));
    let held = until_charged(&proxy, held, &executor);
    container.stop();

    held.let_go();

    let aborted = executor.eventually_tells(&container.name, "aborted");
    assert_eq!(aborted["gate"], "not-running", "{aborted}");
    assert_eq!(container.status(), "exited");
    assert_eq!(proxy.requests("/restart").len(), 0);
    assert_ne!(executor.state(&container.name), "held");
}

#[test]
fn the_newest_engines_are_spoken_to_in_their_own_version() {
    for with_header in [true, false] {
        let fake = FakeEngine::speaking((1, 44), (1, 52));
        if !with_header {
            // Then we begin with 1.41, and the refusal's words name the way on.
            fake.without_api_header();
        }
        let (fake, executor, id) = faking(fake);

        charge(&executor, &id);

        executor.eventually_tells("app", "recovered");
        fake.with(&id, |container| assert_eq!(container.starts, 1));
        let prefix = if with_header {
            "POST /v1.52/"
        } else {
            "POST /v1.44/"
        };
        assert!(
            fake.requests().iter().any(|line| line.starts_with(prefix)),
            "{:?}",
            fake.requests()
        );
    }
}

#[test]
fn an_engine_without_a_common_version_is_a_clear_error() {
    let (_fake, executor, id) = faking(FakeEngine::speaking((1, 60), (1, 70)));
    let words = "the engine speaks API 1.60 or newer, this healer 1.41 to 1.52";

    // A first answer may come before the engine's: it is still the same that waits.
    eventually("an answer that says why", || {
        // Each line another one: the same would be answered as before.
        let answer = executor.send(&oom(by_id(&id)));
        assert_answer(&answer, "pending", "no-facts", "");
        answer["detail"].as_str()?.contains(words).then_some(())
    });
    executor.eventually_logs(words);
}

#[test]
fn a_slow_engine_makes_it_pending_and_facts_restart_it_without_a_new_line() {
    let (fake, executor, id) = faking(FakeEngine::start());
    fake.fault("/json", 1, Fault::Delay(Duration::from_secs(2)));
    let asked = Instant::now();

    let answer = executor.send(&oom(by_id(&id)));

    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "the answer does not wait on a slow engine"
    );
    assert_answer(&answer, "pending", "no-facts", "100 ms");
    executor.eventually_tells("app", "recovered");
    fake.with(&id, |container| assert_eq!(container.starts, 1));
}

#[test]
fn a_container_that_hangs_delays_no_other_however_many_intents_it_gets() {
    const HUNG: usize = 200;
    let (fake, executor, id) = faking(FakeEngine::start());
    let hung = fake.add("hung");
    let hangs = Fault::Hang { acts: false };
    fake.fault(&format!("{hung}/json"), u32::MAX, hangs);
    let socket = executor.path("intents/intents.sock");
    let began = Instant::now();
    let mut storm = UnixStream::connect(socket).expect("it listens");
    for _ in 0..HUNG {
        writeln!(storm, "{}", oom(by_id(&hung))).expect("it reads");
    }
    let inspects = |of: &str| {
        let path = format!("{of}/json");
        let requests = fake.requests();
        requests.iter().filter(|line| line.contains(&path)).count()
    };
    eventually("a look at the one that hangs", || {
        (inspects(&hung) > 0).then_some(())
    });

    let answer = executor.decide(&oom(by_id(&id)));

    assert_answer(&answer, "restart", "", "");
    let answers: Vec<String> = BufReader::new(storm)
        .lines()
        .take(HUNG)
        .map(|line| line.expect("an answer"))
        .collect();
    let other = answers.iter().find(|line| !line.contains("\"no-facts\""));
    assert_eq!(other, None);
    // Their own, those that came during it, and what is pending: a look takes 100 ms, however
    // many wait for it, so that a slow machine may take more of them.
    let looks = inspects(&hung) as u128;
    let looks_max = 10 * began.elapsed().as_secs_f64().ceil() as u128;
    assert!(
        looks <= looks_max,
        "{looks} looks for {HUNG} intents, not {looks_max}"
    );
}

#[test]
fn an_engine_that_is_away_is_told_and_the_target_decided_when_it_is_back() {
    let (fake, executor, id) = faking(FakeEngine::start());
    executor.eventually("readiness", |it| {
        (it.http("/readyz").0 == 200).then_some(())
    });
    let (socket, away) = (fake.socket(), fake.socket().with_extension("away"));
    std::fs::rename(&socket, &away).expect("it can be moved");

    let answer = executor.send(&oom(by_id(&id)));

    let words = format!("cannot connect to the Docker socket {}", socket.display());
    assert_answer(&answer, "pending", "no-facts", &words);
    executor.eventually_logs(&words);
    let (status, body) = executor.http("/readyz");
    assert!(status == 503 && body.contains(&words), "{status} {body}");
    let (_, metrics) = executor.http("/metrics");
    assert!(metrics.contains("healer_engine_up 0"), "{metrics}");
    assert!(
        !metrics.contains("errors_total{socket=\"docker\"} 0"),
        "{metrics}"
    );
    std::fs::rename(&away, &socket).expect("it can be moved back");
    executor.eventually_tells("app", "recovered");
    fake.with(&id, |container| assert_eq!(container.starts, 1));
    executor.eventually("readiness", |it| {
        (it.http("/readyz").0 == 200).then_some(())
    });
}

#[test]
fn a_socket_that_keeps_us_out_is_told_with_what_to_do() {
    if !rustix::process::geteuid().is_root() {
        crate::support::tools::skipped(
            "the socket permission test",
            "only root can become another user",
        );
        return;
    }
    let Some(engine) = engine() else { return };
    let container = engine.run("denied", &Spec::app());
    let setup = Setup::new(engine.socket())
        .target(&container.name)
        .run_by(65_534)
        .with_http();
    let executor = Executor::start(setup);
    let socket = engine.socket().display().to_string();
    let mode = std::fs::metadata(engine.socket())
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o007, 0, "{socket} lets everybody in");

    let answer = executor.send(&oom(by_name(&container.name)));

    let words = format!("cannot connect to the Docker socket {socket}: permission denied");
    assert_answer(&answer, "pending", "no-facts", &words);
    let log = executor.eventually_logs(&words);
    assert!(log.contains("group"), "what to do: {log}");
    let (status, body) = eventually("the fault", || {
        Some(executor.http("/readyz")).filter(|(_, body)| body.contains(&words))
    });
    assert_eq!(status, 503, "{body}");
    assert_started(engine, &container, 1);
}
