//! A container whose health check goes on failing is restarted, without a line in any log.

use std::time::Duration;

use super::{assert_started, eventually_restarted, healing};
use crate::support::engine::Spec;
use crate::support::healer::Setup;

/// Between two health checks.
const CHECK: Duration = Duration::from_millis(300);

fn after_three(setup: Setup) -> Setup {
    setup.set("defaults.unhealthy_checks", 3).with_http()
}

#[test]
fn a_container_that_was_broken_on_purpose_is_healed() {
    // Only a restart cures it.
    let spec = Spec::command(&["sh", "-c", "rm -f /sick; exec /app"]).health_check(CHECK);
    let Some((engine, executor, container)) = healing("unhealthy", &spec, after_three) else {
        return;
    };
    container.eventually("health", |state| state["Health"]["Status"] == "healthy");
    let started_before = container.started_at();
    container.exec(&["touch", "/sick"]);

    let told = executor.eventually_logs("checks in a row have failed");
    eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
    let (before, _) = told.split_once(" checks in a row").expect("it is there");
    let (_, failed) = before.rsplit_once("unhealthy: ").expect("its word");
    // No fewer; on a busy machine the next ones may be there before they are asked for. Docker
    // keeps five.
    let failed: u32 = failed.parse().expect("a number");
    assert!((3..=5).contains(&failed), "{told}");
    assert_started(engine, &container, 2);
    let (_, metrics) = executor.http("/metrics");
    for line in [
        r#"healer_triggers_total{trigger="unhealthy"} 1"#,
        "healer_containers_watched 1",
        "healer_events_up 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} in\n{metrics}"
        );
    }
}

#[test]
fn one_bad_check_restarts_nothing() {
    // So seldom that it is well again before three have failed.
    let spec = Spec::app().health_check(Duration::from_secs(2));
    let Some((engine, executor, container)) = healing("once-sick", &spec, after_three) else {
        return;
    };
    container.eventually("health", |state| state["Health"]["Status"] == "healthy");
    // Docker itself says unhealthy after one check here; the next one is good again.
    container.exec(&["touch", "/sick"]);
    container.eventually("one bad check", |state| {
        state["Health"]["Status"] == "unhealthy"
    });
    container.exec(&["rm", "/sick"]);
    container.eventually("health", |state| state["Health"]["Status"] == "healthy");
    let (_, metrics) = executor.http("/metrics");
    let none = r#"healer_triggers_total{trigger="unhealthy"} 0"#;
    assert!(metrics.lines().any(|line| line == none), "{metrics}");
    assert_started(engine, &container, 1);
}
