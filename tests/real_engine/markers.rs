//! Marker files in the report directory: `<target>.stopped` and
//! `resume-<target>`.

use std::fs;

use super::{assert_answer, assert_started, eventually_restarted};
use crate::support::engine::{Spec, engine};
use crate::support::healer::{Executor, Setup, by_id, oom};

#[test]
fn a_stop_marker_keeps_restarts_off_until_it_is_removed() {
    let Some(engine) = engine() else { return };
    let container = engine.run("marked", &Spec::app());
    let setup = Setup::new(engine.socket()).target(&container.name);
    let mut executor = Executor::not_started(setup);
    fs::create_dir_all(executor.path("reports")).unwrap();
    let marker = executor
        .path("reports")
        .join(format!("{}.stopped", container.name));
    fs::write(&marker, "").unwrap();
    // It counts from the first decision on, for a one-shot too.
    let by_hand = executor.cli(&["restart", &container.name]);
    assert_eq!(by_hand.code, Some(3), "{by_hand:?}");
    executor.start_again();
    let answer = executor.decide(&oom(by_id(&container.id)));
    assert_answer(&answer, "refused", "maintenance", ".stopped");
    assert_started(engine, &container, 1);

    let started_before = container.started_at();
    fs::remove_file(&marker).unwrap();
    executor.eventually("a restart once the marker is gone", |executor| {
        let answer = executor.decide(&oom(by_id(&container.id)));
        (answer["decision"] == "restart").then_some(())
    });
    eventually_restarted(&container, &started_before);
}

#[test]
fn a_resume_marker_frees_its_target_once_and_goes() {
    let Some(engine) = engine() else { return };
    let container = engine.run("resumed", &Spec::app());
    let executor = Executor::start(Setup::new(engine.socket()).target(&container.name));
    assert_eq!(executor.cli(&["pause", &container.name]).code, Some(0));
    executor.eventually_is(&container.name, "paused");

    fs::create_dir_all(executor.path("reports")).unwrap();
    let marker = executor
        .path("reports")
        .join(format!("resume-{}", container.name));
    fs::write(&marker, "").unwrap();

    executor.eventually_is(&container.name, "idle");
    executor.eventually("the marker to be removed", |_| {
        (!marker.exists()).then_some(())
    });
}
