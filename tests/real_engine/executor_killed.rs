//! The executor dies again and again while one restart call is under way: the
//! container is started once, and one charge is all that it cost.

use std::thread;
use std::time::{Duration, Instant};

use super::{assert_started, charge, eventually_restarted, healing, plain};
use crate::support::engine::Spec;

/// The engine waits so long for the application, which does not hear it.
const STOP_GRACE: Duration = Duration::from_secs(8);
const KILLS: u32 = 10;

#[test]
fn an_executor_killed_ten_times_within_one_stop_grace_starts_the_container_once() {
    let grace_s = i64::try_from(STOP_GRACE.as_secs()).expect("short");
    let spec = Spec::deaf_app().stop_timeout(grace_s);
    let Some((engine, mut executor, container)) = healing("killed-ten-times", &spec, plain) else {
        return;
    };
    let started_before = container.started_at();
    charge(&executor, &container.id);
    executor.eventually("the call", |_| {
        let events = engine.events(&container.id);
        events.iter().any(|event| event == "kill").then_some(())
    });
    let called = Instant::now();
    for kill in 1..=KILLS {
        executor.kill();
        executor.start_again();
        // Spread over the grace; the last one is back before it ends.
        let next = STOP_GRACE * kill / (KILLS + 2);
        thread::sleep(next.saturating_sub(called.elapsed()));
    }
    assert_eq!(
        container.started_at(),
        started_before,
        "not within the grace"
    );

    eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
    assert_started(engine, &container, 2);
    assert_eq!(executor.state(&container.name), "idle");
    assert_eq!(executor.report("restarts.log").lines().count(), 1);
}
