//! A container that ends by itself and stays down is started; what anybody stopped is not.

use serde_json::json;

use super::{Container, Engine, Executor, Setup, Spec, engine, eventually_restarted};
use crate::support::engine::{Options, PrivateEngine, unique_name};
use crate::support::tools::skipped;

/// Runs until the file `/end` is there, then ends by itself with this exit code.
pub(super) fn ends_with(exit_code: u8) -> Spec {
    let script = format!("{UNTIL_TOLD}exit {exit_code}");
    Spec::command(&["sh", "-c", &script])
}

const UNTIL_TOLD: &str =
    "trap 'exit 0' TERM; while [ ! -e /end ]; do sleep 0.05; done; rm /end; sleep 0.5; ";

/// Tells it to end.
pub(super) fn end(container: &Container) {
    container.exec(&["touch", "/end"]);
}

/// Listed by name: other tests' executors see the same engine.
pub(super) fn watching(engine: &Engine, containers: &[&Container]) -> Setup {
    let setup = Setup::new(engine.socket())
        .set("defaults.died", "failed")
        .set("defaults.oom_killed", true)
        .with_http();
    let names = containers.iter().map(|container| &container.name);
    names.fold(setup, |setup, name| setup.target(name))
}

/// Started, and its events followed.
pub(super) fn start(setup: Setup) -> Executor {
    let executor = Executor::start(setup);
    until_followed(&executor);
    executor
}

pub(super) fn until_followed(executor: &Executor) {
    // Its sockets are there a moment before its HTTP endpoint.
    executor.eventually("its HTTP endpoint", |executor| {
        let log = executor.log();
        let (_, since_its_start) = log.rsplit_once("stopped\n").unwrap_or(("", &log));
        since_its_start.contains("listening").then_some(())
    });
    for line in [
        "healer_events_up 1",
        r#"healer_container_lists_total{result="failed"} 0"#,
    ] {
        executor.eventually(line, |executor| {
            let (_, metrics) = executor.http("/metrics");
            metrics.lines().any(|found| found == line).then_some(())
        });
    }
    executor.eventually("a whole list", |executor| {
        let (_, metrics) = executor.http("/metrics");
        let none = r#"healer_container_lists_total{result="done"} 0"#;
        (!metrics.lines().any(|line| line == none)).then_some(())
    });
}

/// Ends by itself now and is started again: whatever ended before it has been judged by then.
pub(super) fn canary(engine: &Engine) -> Container {
    engine.run("canary", &ends_with(1))
}

impl Executor {
    /// Ends by itself now, and is started.
    pub(super) fn eventually_tells_started(&self, container: &Container) {
        let before = container.started_at();
        end(container);
        self.eventually_starts(container, &before);
    }

    pub(super) fn eventually_starts(&self, container: &Container, before: &str) {
        eventually_restarted(container, before);
        self.eventually_tells(&container.name, "recovered");
    }
}

/// It is down, and nothing has ever been done about it.
#[track_caller]
pub(super) fn assert_left_alone(executor: &Executor, container: &Container) {
    let name = &container.name;
    assert_eq!(container.status(), "exited", "{name}");
    assert_eq!(executor.told(name), [""; 0], "{name}");
}

#[test]
fn one_that_ends_by_itself_is_started_again() {
    let Some(engine) = engine() else { return };
    let failing = engine.run("failing", &ends_with(3));
    let killed = engine.run("killed", &ends_with(3));
    let executor = start(watching(engine, &[&failing, &killed]));
    executor.eventually_tells_started(&failing);
    assert!(
        executor.log().contains("ended by itself with exit code 3"),
        "{}",
        executor.log()
    );

    let before = killed.started_at();
    let pid = i32::try_from(killed.pid()).expect("a process id");
    let pid = rustix::process::Pid::from_raw(pid).expect("not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("root may");
    eventually_restarted(&killed, &before);
    let log = executor.log();
    assert!(log.contains("ended by itself with exit code 137"), "{log}");
}

#[test]
fn what_somebody_stopped_stays_as_it_is() {
    let Some(engine) = engine() else { return };
    let run = |hint: &str| engine.run(hint, &ends_with(3));
    let post = |container: &Container, verb: &str| {
        engine.request(
            "POST",
            &format!("/containers/{}/{verb}", container.id),
            None,
        );
    };
    let (stopped, killed, terminated) = (run("stopped"), run("killed"), run("terminated"));
    let (paused, removed) = (run("paused"), run("removed"));
    let done = engine.run("done", &ends_with(0));
    let off = engine.run("off", &ends_with(3).label("healer.died", "off"));
    let brought_back = engine.run(
        "always",
        &ends_with(3).host_config("RestartPolicy", json!({"Name": "always"})),
    );
    let canary = canary(engine);
    let all = [
        &stopped,
        &killed,
        &terminated,
        &paused,
        &removed,
        &done,
        &off,
        &brought_back,
    ];
    let executor = start(watching(engine, &[&all[..], &[&canary]].concat()));

    post(&stopped, "stop?t=1");
    post(&killed, "kill");
    post(&terminated, "kill?signal=TERM");
    paused.pause();
    removed.remove();
    end(&done);
    end(&off);
    end(&brought_back);
    executor.eventually_tells_started(&canary);

    for container in [&stopped, &killed, &terminated, &done, &off] {
        assert_left_alone(&executor, container);
    }
    assert_eq!(paused.status(), "paused");
    paused.unpause();
    assert_eq!(brought_back.status(), "running");
    assert_eq!(
        executor.told(&brought_back.name),
        [""; 0],
        "its own policy did it"
    );
    let (_, metrics) = executor.http("/metrics");
    let fired = r#"healer_triggers_total{trigger="died"} 1"#;
    assert!(
        metrics.lines().any(|line| line == fired),
        "the canary's alone:\n{metrics}"
    );
}

#[test]
fn a_compose_project_on_its_way_down_is_left_alone() {
    let Some(engine) = engine() else { return };
    let project = unique_name("project");
    let of_project = || ends_with(3).label("com.docker.compose.project", &project);
    let database = engine.run("database", &of_project());
    let web = engine.run("web", &of_project());
    let canary = canary(engine);
    let executor = start(watching(engine, &[&database, &web, &canary]));

    database.stop();
    // It misses its database before compose comes to it.
    end(&web);
    executor.eventually_tells_started(&canary);

    assert_left_alone(&executor, &web);
    // Had it only been restarted, its own end would count.
    database.start();
    web.eventually("a start", |state| state["Status"] == "running");
}

#[test]
fn one_that_is_killed_for_want_of_memory_is_started_under_its_own_name() {
    let Some(engine) = engine() else { return };
    let script = format!("{UNTIL_TOLD}exec busybox tail /dev/zero");
    let spec = Spec::command(&["sh", "-c", &script]).host_config("Memory", json!(16 << 20));
    let container = engine.run("hungry", &spec);
    let executor = start(watching(engine, &[&container]));
    executor.eventually_tells_started(&container);
    let log = executor.log();
    assert!(log.contains("killed for want of memory"), "{log}");
    let (_, metrics) = executor.http("/metrics");
    let fired = r#"healer_triggers_total{trigger="oom-killed"} 1"#;
    assert!(metrics.lines().any(|line| line == fired), "{metrics}");
}

#[test]
fn what_ended_before_the_executor_was_there_counts_as_stopped() {
    let Some(engine) = engine() else { return };
    let container = engine.run("before", &ends_with(3));
    let canary = canary(engine);
    let mut executor = start(watching(engine, &[&container, &canary]));
    assert!(executor.stop().success());
    end(&container);
    container.eventually("its end", |state| state["Status"] == "exited");
    executor.start_again();
    until_followed(&executor);
    executor.eventually_tells_started(&canary);
    assert_eq!(container.status(), "exited");
}

#[test]
fn a_marker_of_a_manual_stop_keeps_it_down() {
    let Some(engine) = engine() else { return };
    let container = engine.run("marked", &ends_with(3));
    let canary = canary(engine);
    let mut executor = Executor::not_started(watching(engine, &[&container, &canary]));
    let stops = executor.path("reports/manual-stop");
    std::fs::create_dir_all(&stops).expect("made");
    std::fs::write(stops.join(format!("{}.stopped", container.name)), "").expect("written");
    executor.start_again();
    until_followed(&executor);
    end(&container);
    executor.eventually_logs("ended by itself with exit code 3");
    executor.eventually_logs(&format!("remove the marker {}.stopped", container.name));
    executor.eventually_tells_started(&canary);
    assert_eq!(container.status(), "exited");
}

#[test]
fn a_crash_loop_of_its_own_restart_policy_is_told_to_people() {
    let Some(engine) = engine() else { return };
    let spec = Spec::command(&[
        "sh",
        "-c",
        "while [ ! -e /loop ]; do sleep 0.05; done; exit 1",
    ])
    .host_config("RestartPolicy", json!({"Name": "always"}));
    let container = engine.run("loop", &spec);
    let executor = start(watching(engine, &[&container]).set("defaults.crash_loop_starts", 3));
    container.exec(&["touch", "/loop"]);
    executor.eventually_logs("crash loop: its restart policy has started it 3 times");
    executor.eventually_is(&container.name, "held");
}

/// The engine is killed, and its containers with it; one of them it starts again itself.
#[test]
fn an_engine_that_restarts_has_nothing_started_and_no_unhealthy_container_missed() {
    let private = PrivateEngine::start(Options::default());
    let Ok(mut private) = private.map_err(|why| skipped("an engine that restarts", &why)) else {
        return;
    };
    let sick = Spec::app()
        .health_check(std::time::Duration::from_millis(300))
        .host_config("RestartPolicy", json!({"Name": "always"}));
    let sick = private.engine().run("sick", &sick);
    let ending = private.engine().run("ending", &ends_with(3));
    let canary = canary(private.engine());
    let setup = watching(private.engine(), &[&sick, &ending, &canary]);
    let executor = start(setup.set("defaults.unhealthy_checks", 3));
    sick.exec(&["touch", "/sick"]);

    private.kill();
    private.start_again();

    executor.eventually_logs("checks in a row have failed");
    executor.eventually_logs(&format!("Restarting container '{}'", sick.name));
    assert_eq!(ending.status(), "exited");
    canary.start();
    executor.eventually_tells_started(&canary);
    assert_left_alone(&executor, &ending);
}
