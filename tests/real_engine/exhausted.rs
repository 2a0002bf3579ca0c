//! Resource exhaustion: a container that the engine cannot start any more, since what it
//! needs is gone. The attempt fails, is tried again as the limits say, people are told, and
//! once the cause is mended it is healed.
//!
//! What is gone here is a file that is mounted: the runtime refuses the start, as it does for
//! a device, a disk or memory that cannot be had.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::died::{end, ends_with, until_followed};
use super::{assert_started, charge, eventually_restarted, messages, side_by_side, telling};
use crate::support::engine::{Container, Engine, Spec, engine, eventually};
use crate::support::healer::{Executor, Setup};

/// A container that needs a file, and the people who are told of it.
struct Exhausted {
    engine: &'static Engine,
    container: Container,
    executor: Executor,
    dir: tempfile::TempDir,
}

impl Exhausted {
    fn start(hint: &str, spec: &Spec, configure: impl FnOnce(Setup) -> Setup) -> Option<Self> {
        let engine = engine()?;
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(at("weights"), "weights").expect("written");
        let mount = json!([{"Type": "bind", "Source": at("weights"), "Target": "/weights"}]);
        let spec = spec.clone().stop_timeout(1).host_config("Mounts", mount);
        let container = engine.run(&format!("exhausted-{hint}"), &spec);
        let setup = Setup::new(engine.socket())
            .target(&container.name)
            .set("defaults.max_attempts", 3)
            .set("defaults.backoff", 2)
            .with_http();
        let setup = telling(setup, &dir.path().join("told"));
        let executor = Executor::start(configure(setup));
        Some(Self {
            engine,
            container,
            executor,
            dir,
        })
    }

    fn weights(&self) -> PathBuf {
        self.dir.path().join("weights")
    }

    fn is_gone(&self) {
        std::fs::remove_file(self.weights()).expect("removed");
    }

    fn is_mended(&self) {
        std::fs::write(self.weights(), "weights").expect("written");
    }

    /// A person frees what was used up, starts it, and says so.
    fn is_freed(&self) {
        self.is_mended();
        self.container.start();
        let resumed = self.executor.cli(&["resume", &self.container.name]);
        assert_eq!(resumed.code, Some(0), "{resumed:?}");
    }

    /// The next time it falls sick it is restarted, and recovers.
    fn heals_again(&self, falls_sick: impl FnOnce(&Self)) {
        let before = self.container.started_at();
        falls_sick(self);
        eventually_restarted(&self.container, &before);
        self.executor
            .eventually_tells(&self.container.name, "recovered");
    }

    fn is_charged(&self) {
        charge(&self.executor, &self.container.id);
    }

    /// What people were told, each message's step and detail.
    fn told(&self) -> Vec<(String, String)> {
        let text =
            |message: &Value, key: &str| message[key].as_str().unwrap_or_default().to_owned();
        let messages = messages(&self.dir.path().join("told"));
        let told = messages
            .iter()
            .map(|one| (text(one, "step"), text(one, "detail")));
        told.collect()
    }

    fn eventually_told(&self, step: &str) -> String {
        eventually(&format!("people are told: {step}"), || {
            self.told()
                .into_iter()
                .find(|(told, _)| told == step)
                .map(|(_, detail)| detail)
        })
    }
}

#[test]
fn what_the_engine_cannot_start_is_tried_again_told_and_healed_once_it_can() {
    side_by_side(&[
        ("held", a_container_that_its_restart_leaves_down_is_held),
        ("mended", what_is_mended_meanwhile_is_started),
        ("died", what_has_ended_and_cannot_be_started_is_held),
        (
            "starved",
            what_starts_and_falls_is_tried_with_growing_pauses_and_held,
        ),
    ]);
}

/// Nobody but a person can help; the executor has stopped it, and tries to start it for as
/// long as its stop could last.
fn a_container_that_its_restart_leaves_down_is_held() {
    let Some(it) = Exhausted::start("held", &Spec::app(), |setup| setup) else {
        return;
    };
    let (name, words) = (&*it.container.name, "bind source path does not exist");
    it.is_gone();
    it.is_charged();
    let failed = it.executor.eventually_tells(name, "failed");
    let detail = failed["detail"].as_str().expect("words");
    assert!(
        detail.starts_with("it was stopped by the restart and does not start"),
        "{detail}"
    );
    assert!(detail.contains(words), "{detail}");
    it.executor.eventually_is(name, "held");
    for step in ["failed", "held"] {
        let detail = it.eventually_told(step);
        assert!(detail.contains(words), "{step}: {detail}");
    }
    // One charge, however often the start was tried under it.
    assert_eq!(it.executor.target(name)["used"], 1);
    assert!(
        it.executor
            .log()
            .matches("the engine refused the call")
            .count()
            >= 2
    );
    assert_started(it.engine, &it.container, 1);

    it.is_freed();
    it.heals_again(Exhausted::is_charged);
    assert_started(it.engine, &it.container, 3);
}

fn what_is_mended_meanwhile_is_started() {
    let Some(it) = Exhausted::start("mended", &Spec::app(), |setup| setup) else {
        return;
    };
    it.is_gone();
    let before = it.container.started_at();
    it.is_charged();
    it.executor
        .eventually_logs("the engine refused the call (500)");
    assert_eq!(it.container.status(), "exited");
    it.is_mended();
    eventually_restarted(&it.container, &before);
    it.executor
        .eventually_tells(&it.container.name, "recovered");
    it.eventually_told("recovered");
    assert_eq!(it.executor.target(&it.container.name)["used"], 1);
    assert_started(it.engine, &it.container, 2);
}

/// The same where it has ended by itself, with nothing to wait for: people know at once.
fn what_has_ended_and_cannot_be_started_is_held() {
    let died = |setup: Setup| setup.set("defaults.died", "failed");
    let Some(it) = Exhausted::start("died", &ends_with(1), died) else {
        return;
    };
    let (name, words) = (&*it.container.name, "bind source path does not exist");
    until_followed(&it.executor);
    it.is_gone();
    end(&it.container);
    let failed = it.executor.eventually_tells(name, "failed");
    let detail = failed["detail"].as_str().expect("words");
    assert!(
        detail.starts_with("it does not start: the engine said 400: "),
        "{detail}"
    );
    it.executor.eventually_is(name, "held");
    for step in ["failed", "held"] {
        let detail = it.eventually_told(step);
        assert!(detail.contains(words), "{step}: {detail}");
    }
    it.is_freed();
    it.executor
        .eventually("it is seen to run again", |executor| {
            (executor.state(name) == "idle").then_some(())
        });
    it.heals_again(|it| end(&it.container));
}

/// It can be started, and ends at once for want of what it needs, again and again: the time
/// between attempts grows, and after the last of them it is held.
fn what_starts_and_falls_is_tried_with_growing_pauses_and_held() {
    // `/weights` is empty: the disk that they are on is full.
    let starved = "trap 'exit 0' TERM; echo started; while [ -s /weights ]; do sleep 0.1; done; \
                   sleep 0.5; exit 1";
    let spec = Spec::command(&["sh", "-c", starved]);
    let died = |setup: Setup| {
        setup
            .set("defaults.died", "failed")
            .set("defaults.stable_for", "5s")
    };
    let Some(it) = Exhausted::start("starved", &spec, died) else {
        return;
    };
    let name = &*it.container.name;
    until_followed(&it.executor);
    // The very file that is mounted.
    std::fs::write(it.weights(), "").expect("written");
    it.executor.eventually_tells(name, "held");
    let history = it.executor.history(name);
    let attempts: Vec<&Value> = history
        .iter()
        .filter(|one| one["what"] == "relapsed")
        .collect();
    assert_eq!(attempts.len(), 3, "{history:#?}");
    assert!(
        attempts.iter().all(|one| one["rule"] == "died"),
        "{history:#?}"
    );
    // The cooldown of 1 s has doubled with each.
    let grown = it.executor.target(name)["cooldown_sec"]
        .as_u64()
        .expect("seconds");
    assert_eq!(grown, 8, "{}", it.executor.log());
    let detail = it.eventually_told("held");
    assert!(detail.contains("3 restarts without recovery"), "{detail}");
    assert_eq!(it.container.status(), "exited");
    assert_started(it.engine, &it.container, 4);

    it.is_freed();
    it.heals_again(Exhausted::is_charged);
}
