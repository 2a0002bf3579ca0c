//! The end of a hold by health: what a person has put right needs no word to the
//! healer.

use std::time::Duration;

use super::{assert_answer, assert_started, charge, eventually_restarted, healing};
use crate::support::engine::{Container, Engine, Spec};
use crate::support::healer::{Executor, Setup, by_id, oom};

/// A container that is held because its one attempt did not cure.
fn held(hint: &str, spec: &Spec) -> Option<(&'static Engine, Executor, Container)> {
    let (engine, executor, container) = healing(hint, spec, |setup: Setup| {
        setup
            .set("defaults.cooldown", 0)
            .set("defaults.stable_for", "60s")
            .set("defaults.max_attempts", 1)
            .set("defaults.release_after", "2s")
    })?;
    let started_before = container.started_at();
    charge(&executor, &container.id);
    eventually_restarted(&container, &started_before);
    executor.eventually_is(&container.name, "verifying");
    let answer = executor.decide(&oom(by_id(&container.id)));
    assert_answer(&answer, "refused", "held", "1 restart without recovery");
    Some((engine, executor, container))
}

#[test]
fn a_container_that_somebody_started_anew_is_released_and_one_that_runs_on_is_not() {
    let Some((engine, executor, container)) = held("anew", &Spec::app()) else {
        return;
    };
    // Two looks and more, and nobody has done anything about it.
    std::thread::sleep(Duration::from_secs(14));
    assert_eq!(
        executor.state(&container.name),
        "held",
        "{}",
        executor.log()
    );

    container.stop();
    container.start();

    executor.eventually_logs("released by its health: well for 2s");
    assert_started(engine, &container, 3);
    let history = executor.told(&container.name);
    let is = |what: &str| history.iter().any(|one| one == what);
    assert!(is("held") && is("released"), "{history:?}");
    charge(&executor, &container.id);
}

#[test]
fn a_container_whose_own_check_says_healthy_since_is_released() {
    let spec = Spec::app().health_check(Duration::from_millis(300));
    let Some((engine, executor, container)) = held("healthy", &spec) else {
        return;
    };
    executor.eventually_logs("released by its health: well for 2s");
    assert_started(engine, &container, 2);
}
