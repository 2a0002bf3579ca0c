//! An attempt and its evidence: in which order, and what one never does to the other.

use policy::{AttemptId, Cause, Charge, Entry, Limits, Record, Timestamp};
use tokio::time::Instant;

use super::*;
use crate::engine::inbox::Completion;
use crate::evidence::{BEFORE_MAX, Evidence};

/// Evidence that tells nobody anything.
fn evidence(state: &State, clock: crate::clock::Clock) -> Evidence {
    let settings = Config::default().evidence;
    let metrics = crate::metrics::Metrics::new().evidence();
    Evidence::start(&settings, &state.path, clock, metrics, |_| {}).expect("a thread")
}

fn charged(attempt: AttemptId) -> Record {
    let charge = Charge {
        attempt,
        target: "app".into(),
        container_id: "a5e0".repeat(16),
        started_at: WallTime {
            secs: 1_760_000_000,
            nanos: Some(0),
        },
        cause: Cause::Person,
        limits: Limits {
            cooldown_ms: 1_000,
            window_ms: 1_000,
            max_per_window: 10,
        },
        stop_wait_ms: 20_000,
        plan: Vec::new(),
        shadow: false,
        shadow_rule: false,
    };
    Record {
        at: Timestamp(attempt),
        wall_ms: 1_760_978_852_000,
        entry: Entry::Charge(charge),
    }
}

/// An engine with one open charge, and what it works with.
fn charged_engine(state: &State) -> (Engine<Fake>, Rc<Fake>) {
    let mut opened = state.open();
    opened.records = vec![charged(1)];
    let clock = opened.clock.clone();
    let docker = Rc::<Fake>::default();
    let mut parts = parts(opened, Rc::clone(&docker));
    parts.evidence = evidence(state, clock);
    (Engine::new(parts), docker)
}

fn in_virtual_time(test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(LocalSet::new().run_until(test()));
}

/// When the fake has heard so much; the clock moves as the tasks wait.
async fn heard(docker: &Fake, count: usize) -> Instant {
    for _ in 0..1_000 {
        if docker.order.borrow().len() >= count {
            return Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("only {:?}", docker.order.borrow());
}

fn look(engine: &mut Engine<Fake>) {
    engine.look_for_attempt(1, "a5e0".repeat(16));
}

fn call(engine: &mut Engine<Fake>, call: Call) {
    engine.call(1, call, "a5e0".repeat(16), Duration::from_secs(20));
}

/// The look that a call rests on is the last thing before it.
#[test]
fn evidence_that_hangs_is_asked_for_first_and_delays_the_look_by_its_limit_and_no_more() {
    in_virtual_time(async || {
        let state = State::new();
        let (mut engine, docker) = charged_engine(&state);
        let begin = Instant::now();
        look(&mut engine);
        let looked = heard(&docker, 3).await;
        assert_eq!(*docker.order.borrow(), ["inspect", "memory", "look"]);
        let delay = looked - begin;
        let a_little = Duration::from_millis(5);
        assert!(
            delay >= BEFORE_MAX && delay < BEFORE_MAX + a_little,
            "{delay:?}"
        );
    });
}

#[test]
fn calls_and_further_looks_of_one_charge_wait_for_no_evidence() {
    in_virtual_time(async || {
        let state = State::new();
        let (mut engine, docker) = charged_engine(&state);
        for what in [Call::Start, Call::Restart] {
            docker.order.borrow_mut().clear();
            call(&mut engine, what);
            heard(&docker, 1).await;
            assert_eq!(*docker.order.borrow(), [format!("{what:?}")]);
        }
        look(&mut engine);
        heard(&docker, 4).await;
        look(&mut engine);
        heard(&docker, 5).await;
        assert_eq!(
            docker.order.borrow()[1..],
            ["inspect", "memory", "look", "look"]
        );
    });
}

#[test]
fn an_attempt_that_ends_without_its_call_has_its_whole_evidence_all_the_same() {
    in_virtual_time(async || {
        let state = State::new();
        let (mut engine, docker) = charged_engine(&state);
        look(&mut engine);
        let completion = engine.completions.recv().await.expect("the look");
        let Completion::AttemptLook {
            evidence: Some(half),
            ..
        } = completion
        else {
            panic!("{completion:?}");
        };
        engine.halves.insert(1, half);
        engine.tell(&policy::Event::Ended {
            attempt: 1,
            target: "app".into(),
            outcome: policy::Outcome::Aborted,
            detail: "it is exited by now".into(),
        });
        heard(&docker, 4).await;
        assert_eq!(docker.order.borrow()[3..], ["logs"]);
        assert!(engine.halves.is_empty());
    });
}

#[test]
fn an_intent_is_answered_and_its_restart_made_while_evidence_hangs() {
    on_one_thread(async || {
        let state = State::new();
        let opened = state.open();
        let clock = opened.clock.clone();
        let docker = Rc::<Fake>::default();
        let mut parts = parts(opened, Rc::clone(&docker));
        parts.evidence = evidence(&state, clock);
        let (handle, inbox) = Engine::<Fake>::inbox();
        let (stop, stopped) = oneshot::channel::<()>();
        let engine = spawn_local(Engine::new(parts).run(inbox, async {
            // Stopped or dropped: both end it.
            let _ = stopped.await;
        }));
        let answer = handle.intent(intent(1), peer()).await;
        assert_eq!(answer.decision, Decision::Restart, "{answer:?}");
        // The loop goes on meanwhile.
        let answer = handle.intent(intent(2), peer()).await;
        assert_eq!(answer.decision, Decision::Restart, "{answer:?}");
        eventually("the restarts", || docker.restarts.borrow().len() == 2).await;
        drop(stop);
        engine.await.expect("no panic");
        let dir = crate::evidence::dir(&state.path);
        let bundles = std::fs::read_dir(dir).expect("a directory").count();
        assert_eq!(bundles, 2, "each with what it misses");
    });
}
