//! A charge without an outcome: every line of the table by which it is
//! resolved, each reached by killing the executor at that very moment (a proxy
//! before the engine holds the request) and doing to the container what the
//! line speaks of.
//!
//! The stop wait of a container without a stop timeout to speak of is 10 s.

use std::time::{Duration, Instant};

use super::{assert_answer, assert_started, eventually_restarted, side_by_side, until_charged};
use crate::support::engine::{Container, Engine, Spec, engine};
use crate::support::engine_proxy::{EngineProxy, Moment};
use crate::support::healer::{Executor, Setup, by_id, oom};

/// What the engine's margin adds to a stop timeout of 0.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// An executor that was killed in the middle of an attempt.
struct Crashed {
    engine: &'static Engine,
    proxy: EngineProxy,
    executor: Executor,
    container: Container,
    started_at: String,
    /// When it was killed; what was sent was sent just before.
    at: Instant,
}

/// What the executor had done when it was killed.
enum Done {
    /// The charge is on disk; the look before acting was under way.
    Charged,
    /// The call is marked as sent; the engine never got it.
    Sent,
    /// The engine has done it; its answer was never heard.
    Restarted,
}

impl Crashed {
    fn after(done: &Done) -> Option<Self> {
        let engine = engine()?;
        let container = engine.run("crashed", &Spec::app().stop_timeout(0));
        let proxy = EngineProxy::before(engine);
        // Looks are told by their requests, and evidence makes one like them.
        let setup = Setup::new(&proxy.socket())
            .target(&container.name)
            .set("evidence.keep", "off");
        let mut executor = Executor::start(setup);
        let started_at = container.started_at();
        let held = match done {
            // The first look is the decision's.
            Done::Charged => proxy.hold_after(1, "/json", Moment::Before),
            Done::Sent => proxy.hold("/restart", Moment::Before),
            Done::Restarted => proxy.hold("/restart", Moment::After),
        };
        // `pending` where the engine was slow; facts then charge it all the same.
        let answer = executor.send(&oom(by_id(&container.id)));
        let decision = answer["decision"].as_str();
        assert!(matches!(decision, Some("restart" | "pending")), "{answer}");
        let held = until_charged(&proxy, held, &executor);
        executor.kill();
        held.cut();
        let at = Instant::now();
        Some(Self {
            engine,
            proxy,
            executor,
            container,
            started_at,
            at,
        })
    }

    fn name(&self) -> &str {
        &self.container.name
    }

    /// How many restart and start calls the executor has made.
    fn calls(&self) -> (usize, usize) {
        (
            self.proxy.requests("/restart").len(),
            self.proxy.requests("/start").len(),
        )
    }

    fn assert_aborted_and_not_held(&self) {
        self.executor.eventually_tells(self.name(), "aborted");
        assert_ne!(self.executor.state(self.name()), "held");
        assert!(self.executor.log().contains("aborted"), "told");
    }

    fn assert_recovered(&self) {
        self.executor.eventually_tells(self.name(), "recovered");
        assert_eq!(self.container.status(), "running");
        let restarts = self.executor.report("restarts.log");
        assert_eq!(restarts.lines().count(), 1, "{restarts}");
    }
}

#[test]
fn line_1_a_removed_container_is_aborted() {
    let Some(mut crashed) = Crashed::after(&Done::Sent) else {
        return;
    };
    crashed.container.remove();
    crashed.executor.start_again();
    crashed.assert_aborted_and_not_held();
    assert_eq!(crashed.calls(), (1, 0));
}

#[test]
fn line_1_a_recreated_container_is_aborted_and_the_new_one_left_alone() {
    let Some(mut crashed) = Crashed::after(&Done::Sent) else {
        return;
    };
    crashed.container.remove();
    let other = crashed.engine.create(crashed.name(), &Spec::app());
    other.start();
    crashed.executor.start_again();
    crashed.assert_aborted_and_not_held();
    assert_eq!(crashed.calls(), (1, 0));
    assert_started(crashed.engine, &other, 1);
}

#[test]
fn line_2_running_anew_is_done_and_verified() {
    let Some(mut crashed) = Crashed::after(&Done::Restarted) else {
        return;
    };
    eventually_restarted(&crashed.container, &crashed.started_at);
    crashed.executor.start_again();
    crashed.assert_recovered();
    assert_eq!(crashed.calls(), (1, 0));
    assert_started(crashed.engine, &crashed.container, 2);
}

#[test]
fn line_3_running_as_before_and_nothing_sent_is_sent() {
    let Some(mut crashed) = Crashed::after(&Done::Charged) else {
        return;
    };
    crashed.executor.start_again();
    eventually_restarted(&crashed.container, &crashed.started_at);
    crashed.assert_recovered();
    assert!(
        crashed.at.elapsed() < STOP_WAIT,
        "there was nothing to wait for"
    );
    assert_eq!(crashed.calls(), (1, 0));
}

#[test]
fn line_6_stopped_before_anything_was_sent_is_left_alone() {
    let Some(mut crashed) = Crashed::after(&Done::Charged) else {
        return;
    };
    crashed.container.stop();
    crashed.executor.start_again();
    crashed.assert_aborted_and_not_held();
    assert_eq!(crashed.container.status(), "exited");
    assert_eq!(crashed.calls(), (0, 0));
}

#[test]
fn a_one_shot_resolves_its_own_targets_charge_and_no_other() {
    let Some(mut crashed) = Crashed::after(&Done::Charged) else {
        return;
    };
    let other = crashed.engine.run("other", &Spec::app());

    let restart = crashed.executor.cli(&["restart", &other.name]);

    assert_eq!(restart.code, Some(0), "{restart:?}");
    assert_eq!(crashed.container.started_at(), crashed.started_at);
    let own = ["restart", crashed.name(), "--cooldown", "300s"];
    let restart = crashed.executor.cli(&own);
    // The open charge is carried out, and then stands in the request's way.
    assert_eq!(restart.code, Some(3), "{restart:?}");
    assert!(restart.stdout.contains("s < 300s)"), "{restart:?}");
    assert_started(crashed.engine, &crashed.container, 2);
    crashed.executor.start_again();
    crashed
        .executor
        .eventually_tells(crashed.name(), "recovered");
    assert_started(crashed.engine, &crashed.container, 2);
    assert_started(crashed.engine, &other, 2);
}

#[test]
fn lines_that_wait_for_the_stop_wait() {
    if engine().is_none() {
        return;
    }
    side_by_side(&[
        (
            "line 4: sent again after the stop wait",
            line_4_is_sent_again,
        ),
        ("line 4: never a third time", line_4_never_a_third_time),
        ("line 5: stopped by us is started", line_5_is_started),
        ("line 6: stopped later is left alone", line_6_stopped_later),
        ("line 7: anything else is held", line_7_is_held),
    ]);
}

fn line_4_is_sent_again() {
    let mut crashed = Crashed::after(&Done::Sent).expect("an engine");
    crashed.executor.start_again();
    eventually_restarted(&crashed.container, &crashed.started_at);
    assert!(
        crashed.at.elapsed() >= STOP_WAIT - Duration::from_millis(500),
        "too early"
    );
    crashed.assert_recovered();
    assert_eq!(crashed.calls(), (2, 0));
    assert_started(crashed.engine, &crashed.container, 2);
}

fn line_4_never_a_third_time() {
    let mut crashed = Crashed::after(&Done::Sent).expect("an engine");
    let held = crashed.proxy.hold("/restart", Moment::Before);
    crashed.executor.start_again();
    held.reached();
    crashed.executor.kill();
    held.cut();
    crashed.executor.start_again();

    crashed.executor.eventually_is(crashed.name(), "held");

    assert_eq!(crashed.calls(), (2, 0));
    assert_eq!(crashed.container.started_at(), crashed.started_at);
    crashed.executor.eventually_tells(crashed.name(), "unknown");
    crashed
        .executor
        .eventually_logs("held, no more restarts until `healer resume ");
    let refused = crashed.executor.decide(&oom(by_id(&crashed.container.id)));
    assert_answer(&refused, "refused", "held", "healer resume");
    // A hold outlives a crash, and ends when a person says so.
    crashed.executor.kill();
    crashed.executor.start_again();
    assert_eq!(crashed.executor.state(crashed.name()), "held");
    let resume = crashed.executor.cli(&["resume", crashed.name()]);
    assert_eq!(resume.code, Some(0), "{resume:?}");
    let answer = crashed.executor.decide(&oom(by_id(&crashed.container.id)));
    assert_answer(&answer, "restart", "", "");
    eventually_restarted(&crashed.container, &crashed.started_at);
}

fn line_5_is_started() {
    let mut crashed = Crashed::after(&Done::Sent).expect("an engine");
    // As our own call would have left it, had the engine died in the middle.
    crashed.container.stop();
    crashed.executor.start_again();
    crashed
        .container
        .eventually("a start", |state| state["Status"] == "running");
    assert!(
        crashed.at.elapsed() >= STOP_WAIT - Duration::from_millis(500),
        "too early"
    );
    crashed.assert_recovered();
    assert_eq!(crashed.calls(), (1, 1));
}

fn line_6_stopped_later() {
    let mut crashed = Crashed::after(&Done::Sent).expect("an engine");
    // Only time makes it certain that this stop is none of ours.
    std::thread::sleep((STOP_WAIT + Duration::from_secs(1)).saturating_sub(crashed.at.elapsed()));
    crashed.container.stop();
    crashed.executor.start_again();
    crashed.assert_aborted_and_not_held();
    assert_eq!(crashed.container.status(), "exited");
    assert_eq!(crashed.calls(), (1, 0));
}

fn line_7_is_held() {
    let mut crashed = Crashed::after(&Done::Sent).expect("an engine");
    crashed.container.pause();
    crashed.executor.start_again();
    crashed.executor.eventually_is(crashed.name(), "held");
    assert!(
        crashed.at.elapsed() >= STOP_WAIT - Duration::from_millis(500),
        "too early"
    );
    crashed.executor.eventually_tells(crashed.name(), "unknown");
    crashed
        .executor
        .eventually_logs("held, no more restarts until `healer resume ");
    assert_eq!(crashed.container.status(), "paused");
    assert_eq!(crashed.calls(), (1, 0));
    crashed.container.unpause();
}
