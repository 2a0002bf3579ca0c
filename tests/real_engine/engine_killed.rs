//! The engine itself dies in the middle of a restart and comes back: the
//! container does not stay down. On a private `dockerd`, which may be killed.

use std::sync::{Mutex, PoisonError};

use super::{assert_answer, charge, eventually_restarted, side_by_side};
use crate::support::engine::{Options, PrivateEngine, Spec};
use crate::support::healer::{Executor, Setup, by_id, oom};
use crate::support::tools::skipped;

#[test]
fn an_engine_that_dies_in_the_middle_leaves_no_container_down() {
    side_by_side(&[
        ("containers die with it", || {
            dies_in_the_middle(Options {
                live_restore: false,
            })
        }),
        ("containers outlive it", || {
            dies_in_the_middle(Options { live_restore: true })
        }),
    ]);
}

/// Says once that there is none.
fn private(options: Options) -> Option<PrivateEngine> {
    // Two at once would both pay for the first start of everything.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    PrivateEngine::start(options)
        .map_err(|why| skipped("an engine killed in the middle of a restart", &why))
        .ok()
}

fn dies_in_the_middle(options: Options) {
    let Some(mut private) = private(options) else {
        return;
    };
    // Deaf: the engine waits for it for 8 s, in the middle of which it dies.
    let container = private
        .engine()
        .run("killed", &Spec::deaf_app().stop_timeout(8));
    let setup = Setup::new(private.engine().socket()).target(&container.name);
    let executor = Executor::start(setup);
    let started_before = container.started_at();
    charge(&executor, &container.id);
    executor.eventually_is(&container.name, "in-progress");
    // It has told the application to end, and waits.
    executor.eventually("the call", |_| {
        let events = private.engine().events(&container.id);
        events.iter().any(|event| event == "kill").then_some(())
    });

    private.kill();
    executor.eventually_logs("the connection to the engine broke");
    private.start_again();

    eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
    assert_eq!(executor.state(&container.name), "idle");
    assert_eq!(executor.report("restarts.log").lines().count(), 1);
}

/// Killed in the middle of a restart each time. Twice; `HEALER_ENGINE_STOPS` says otherwise.
#[test]
fn an_engine_that_dies_again_and_again_leaves_no_container_down() {
    let rounds = std::env::var("HEALER_ENGINE_STOPS").map_or(2, |n| n.parse().expect("a number"));
    let Some(mut private) = private(Options::default()) else {
        return;
    };
    let container = private
        .engine()
        .run("dying", &Spec::deaf_app().stop_timeout(2));
    let setup = Setup::new(private.engine().socket())
        .target(&container.name)
        .set("defaults.cooldown", "1s")
        .set("defaults.max_per_window", 1_000)
        .set("policy.host_max", 10_000);
    let executor = Executor::start(setup);
    // The engine's list of events is its own life's.
    let kills = |private: &PrivateEngine| {
        let events = private.engine().events(&container.id);
        events.iter().filter(|event| *event == "kill").count()
    };
    for round in 1..=rounds {
        let started_before = container.started_at();
        let kills_before = kills(&private);
        executor.eventually("a charge", |executor| {
            let answer = executor.decide(&oom(by_id(&container.id)));
            (answer["decision"] == "restart").then_some(())
        });
        executor.eventually("the call", |_| {
            (kills(&private) > kills_before).then_some(())
        });
        private.kill();
        private.start_again();
        eventually_restarted(&container, &started_before);
        executor.eventually("the attempt's end", |executor| {
            (executor.state(&container.name) == "idle").then_some(())
        });
        let charged = executor.report("restarts.log").lines().count();
        assert_eq!(charged, round, "one charge, one restart each time");
    }
}

#[test]
fn an_engine_that_hangs_makes_it_pending_and_is_asked_again() {
    let Some(private) = private(Options::default()) else {
        return;
    };
    let container = private.engine().run("frozen", &Spec::app());
    let executor = Executor::start(Setup::new(private.engine().socket()).target(&container.name));
    let started_before = container.started_at();

    let frozen = private.freeze();
    let answer = executor.send(&oom(by_id(&container.id)));
    drop(frozen);

    assert_answer(&answer, "pending", "no-facts", "100 ms");
    eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
}
