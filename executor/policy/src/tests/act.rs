//! From a charge to its outcome.

use crate::judge::Shadow;
use crate::testing::*;
use crate::*;

#[test]
fn a_match_is_charged_looked_at_sent_and_verified() {
    let mut bench = Bench::new();
    let mut facts = facts();
    let intent = bench.new_intent("oom");
    let step = bench.decide(&intent, &found(&facts));
    assert!(step.durable);
    assert!(
        matches!(
            &step.entries[..],
            [Entry::Charge(charge), Entry::Decided { .. }]
                if charge.attempt == 1 && charge.stop_wait_ms == 20_000
        ),
        "{step:?}"
    );
    assert_eq!(
        step.actions[0],
        Action::LookForAttempt {
            attempt: 1,
            container_id: ID.into()
        }
    );
    let answer = step.answer.expect("answered");
    assert_eq!(
        (answer.verdict, answer.attempt, &*answer.detail),
        (Verdict::Restart, Some(1), "Restarting container 'web' ...")
    );

    bench.pass(3);
    let step = bench.look(1, &found(&facts));
    assert!(matches!(
        &step.entries[..],
        [Entry::Sent {
            attempt: 1,
            call: Call::Restart
        }]
    ));
    assert!(matches!(
        &step.actions[..],
        [
            Action::Tell(Event::Restarting { .. }),
            Action::Call {
                attempt: 1,
                call: Call::Restart,
                wait_ms: 20_000,
                ..
            }
        ]
    ));

    bench.pass(900);
    facts.started_at = Some(bench.wall_now());
    let step = bench.called(1, Called::Done);
    assert!(matches!(
        &step.actions[..],
        [Action::LookForAttempt { attempt: 1, .. }]
    ));
    let step = bench.look(1, &found(&facts));
    assert!(matches!(
        &step.entries[..],
        [Entry::Restarted { attempt: 1, .. }]
    ));
    assert!(matches!(
        told(&step)[..],
        [Event::Restarted { attempt: 1, .. }]
    ));

    bench.pass(59_999);
    bench.look(1, &found(&facts));
    assert_eq!(bench.outcome(1), None);
    bench.pass(1);
    let step = bench.look(1, &found(&facts));
    assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
    assert!(matches!(
        told(&step)[..],
        [Event::Ended {
            outcome: Outcome::Recovered,
            ..
        }]
    ));
    assert_eq!(bench.policy.poll_timeout(), None);
}

/// A bench with attempt 1 charged.
fn charged() -> (Bench, Facts) {
    let mut bench = Bench::new();
    let facts = facts();
    assert_eq!(bench.matched(&facts).attempt, Some(1));
    (bench, facts)
}

/// The one look that a step asks for.
#[track_caller]
fn asks_for_look(step: &Step) {
    assert!(
        matches!(step.actions[..], [Action::LookForAttempt { .. }]),
        "{step:?}"
    );
}

#[test]
fn a_change_before_the_first_send_aborts_with_the_gates_name() {
    type Change = fn(&mut Bench, &mut Facts);
    let table: [(Change, Gate); 8] = [
        (|_, f| f.state = ContainerState::Exited, Gate::NotRunning),
        (|_, f| f.state = ContainerState::Paused, Gate::NotRunning),
        (|_, f| f.started_at = Some(wall(T0 - 1)), Gate::Stale),
        (
            |_, f| {
                f.labels.insert("healer.enable".into(), "false".into());
            },
            Gate::NotEnabled,
        ),
        (
            |_, f| {
                f.labels.insert("healer.protect".into(), "true".into());
            },
            Gate::Protected,
        ),
        (
            |_, f| {
                f.labels.insert("healer.dry_run".into(), "true".into());
            },
            Gate::DryRun,
        ),
        (
            |bench, _| {
                let step = bench.policy.handle_pause(bench.now, Some(NAME), None, "");
                bench.take(step);
            },
            Gate::Maintenance,
        ),
        (
            |bench, _| {
                bench.write(Entry::Held {
                    target: NAME.into(),
                    why: "said so".into(),
                    container_id: None,
                    started_at: None,
                });
            },
            Gate::Held,
        ),
    ];
    for (change, gate) in table {
        let (mut bench, mut facts) = charged();
        change(&mut bench, &mut facts);
        let step = bench.look(1, &found(&facts));
        assert_eq!(calls(&step), []);
        let view = bench.policy.attempt(1).expect("known");
        assert_eq!(
            (view.outcome, view.gate),
            (Some(Outcome::Aborted), Some(gate))
        );
        assert_eq!(bench.policy.counts(bench.now).pending, 0, "{gate:?}");
    }
}

#[test]
fn a_pause_with_an_end_before_the_first_send_leaves_the_target_pending() {
    let (mut bench, facts) = charged();
    let step = bench
        .policy
        .handle_pause(bench.now, None, Some(400_000), "");
    bench.take(step);
    let step = bench.look(1, &found(&facts));
    assert_eq!(bench.outcome(1), Some(Outcome::Aborted));
    assert!(step.durable);
    assert_eq!(
        bench.policy.poll_timeout(),
        Some(bench.now.at.plus(400_000))
    );
}

#[test]
fn a_refused_call_is_tried_once_more_and_then_failed_and_pending() {
    let (mut bench, facts) = charged();
    let look = found(&facts);
    assert_eq!(calls(&bench.look(1, &look)), [Call::Restart]);
    let refusal = Called::Refused {
        status: 500,
        message: "cannot stop".into(),
    };
    let step = bench.called(1, refusal.clone());
    asks_for_look(&step);
    assert_eq!(bench.look(1, &look).entries, []);
    // Looked at with growing waits until the stop wait has passed.
    let mut looks = 0;
    let step = loop {
        let due = bench.policy.poll_timeout().expect("it goes on");
        bench.pass(due.since(bench.now.at));
        asks_for_look(&bench.timeout());
        looks += 1;
        let step = bench.look(1, &look);
        if !step.entries.is_empty() {
            break step;
        }
    };
    assert_eq!(looks, 5, "after 1, 2, 4, 8 and then the rest of 20 s");
    assert_eq!(bench.now.at, Timestamp((T0 + 20) * 1_000));
    assert_eq!(calls(&step), [Call::Restart]);
    bench.called(1, refusal);
    bench.pass(20_000);
    bench.timeout();
    let step = bench.look(1, &look);
    assert!(
        matches!(
            &step.entries[..],
            [
                Entry::Pending(pending),
                Entry::Outcome {
                    outcome: Outcome::Failed,
                    ..
                }
            ] if pending.gate == Gate::Cooldown && pending.ids.is_empty()
        ),
        "{step:?}"
    );
    assert!(step.durable);
    assert_eq!(
        bench.policy.attempt(1).expect("known").detail,
        "it still runs as before: the engine said 500: cannot stop"
    );
    assert_eq!(bench.policy.poll_timeout(), Some(at_s(300)));
    // Decided again when the cooldown is over, and charged anew.
    bench.pass(260_000);
    let step = bench.timeout();
    let key = PendingKey::Target(NAME.into());
    assert_eq!(step.actions, [Action::LookForPending { key: key.clone() }]);
    let step = bench.pending_look(&key, &look);
    assert!(matches!(&step.entries[..], [Entry::Charge(c)] if c.attempt == 2));
}

fn at_s(secs: u64) -> Timestamp {
    Timestamp((T0 + secs) * 1_000)
}

#[test]
fn a_call_without_a_clear_answer_is_resolved_by_looking() {
    let (mut bench, mut facts) = charged();
    bench.look(1, &found(&facts));
    bench.pass(20_000);
    let unclear = Called::Unclear {
        why: "connection reset".into(),
    };
    asks_for_look(&bench.called(1, unclear));
    facts.started_at = Some(wall(T0 + 12));
    let step = bench.look(1, &found(&facts));
    assert!(matches!(&step.entries[..], [Entry::Restarted { .. }]));
}

#[test]
fn what_a_crash_left_stopped_is_started() {
    let (mut bench, mut facts) = charged();
    bench.pass(1_000);
    bench.look(1, &found(&facts));
    bench.pass(2_000);
    facts.state = ContainerState::Exited;
    facts.finished_at = Some(bench.wall_now());
    let step = bench.crash();
    asks_for_look(&step);
    assert!(
        step.durable,
        "what was read is on disk before it is acted on"
    );
    assert_eq!(bench.look(1, &found(&facts)).entries, []);
    bench.pass(18_000);
    asks_for_look(&bench.timeout());
    let step = bench.look(1, &found(&facts));
    assert_eq!(calls(&step), [Call::Start]);
    facts.state = ContainerState::Running;
    facts.started_at = Some(bench.wall_now());
    bench.called(1, Called::Done);
    let step = bench.look(1, &found(&facts));
    assert!(matches!(&step.entries[..], [Entry::Restarted { .. }]));
}

#[test]
fn a_third_restart_call_is_never_made_over_any_number_of_crashes() {
    let (mut bench, facts) = charged();
    let mut made = Vec::new();
    for _ in 0..12 {
        made.extend(calls(&bench.look(1, &found(&facts))));
        bench.pass(25_000);
        bench.crash();
    }
    assert_eq!(made, [Call::Restart, Call::Restart]);
    assert_eq!(bench.outcome(1), Some(Outcome::Unknown));
    let status = bench.policy.status(bench.now);
    assert_eq!(status.targets[0].state, TargetState::Held);
    assert_eq!(bench.matched(&facts).gate, Some(Gate::Held));
    let step = bench
        .policy
        .handle_resume(bench.now, Some(NAME), "healer resume");
    bench.take(step);
    assert_eq!(bench.matched(&facts).gate, None, "the cooldown is over too");
}

#[test]
fn a_removed_or_stopped_container_is_not_held() {
    let gone = Look::Gone;
    let stopped = Look::Found(Facts {
        state: ContainerState::Exited,
        finished_at: Some(wall(T0 - 1)),
        ..facts()
    });
    let other = Look::Found(Facts {
        id: "b".repeat(64),
        ..facts()
    });
    for look in [gone, stopped, other] {
        let (mut bench, facts) = charged();
        bench.look(1, &found(&facts));
        bench.called(
            1,
            Called::Refused {
                status: 404,
                message: "no such container".into(),
            },
        );
        bench.look(1, &look);
        assert_eq!(bench.outcome(1), Some(Outcome::Aborted));
        let counts = bench.policy.counts(bench.now);
        assert_eq!((counts.held, counts.pending), (0, 0));
    }
}

#[test]
fn a_container_that_our_restart_stopped_for_good_is_held() {
    let (mut bench, mut facts) = charged();
    bench.look(1, &found(&facts));
    facts.state = ContainerState::Exited;
    facts.finished_at = Some(wall(T0 + 5));
    let refused = Called::Refused {
        status: 500,
        message: "port is taken".into(),
    };
    for _ in 0..3 {
        bench.called(1, refused.clone());
        bench.pass(20_000);
        bench.look(1, &found(&facts));
    }
    assert_eq!(bench.outcome(1), Some(Outcome::Failed));
    let counts = bench.policy.counts(bench.now);
    assert_eq!((counts.held, counts.pending), (1, 0));
}

#[test]
fn calls_under_way_are_limited_and_the_oldest_waits_least() {
    let mut config = config();
    config.attempts_parallel = 1;
    for name in ["a", "b", "c"] {
        config.targets.insert(name.into(), target_config());
    }
    let mut bench = Bench::with(config);
    let of = |name: &str| Facts {
        name: name.into(),
        id: name.repeat(64),
        ..facts()
    };
    for name in ["a", "b", "c"] {
        assert_eq!(bench.asked(&of(name)).verdict, Verdict::Restart);
    }
    assert_eq!(calls(&bench.look(1, &found(&of("a")))), [Call::Restart]);
    assert_eq!(bench.look(2, &found(&of("b"))), Step::default());
    assert_eq!(bench.look(3, &found(&of("c"))), Step::default());
    let lost = bench.now.at.plus(20_000 + LOOK_LOST_MS);
    assert_eq!(bench.policy.poll_timeout(), Some(lost), "the call, if lost");
    let step = bench.called(1, Called::Done);
    let looks: Vec<u64> = step
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::LookForAttempt { attempt, .. } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(looks, [1, 2]);
    // The second was stopped meanwhile: the third has its turn at once.
    let stopped = Facts {
        state: ContainerState::Exited,
        ..of("b")
    };
    let step = bench.look(2, &found(&stopped));
    assert_eq!(bench.outcome(2), Some(Outcome::Aborted));
    assert!(
        step.actions
            .iter()
            .any(|a| matches!(a, Action::LookForAttempt { attempt: 3, .. })),
        "{step:?}"
    );
    assert_eq!(calls(&bench.look(3, &found(&of("c")))), [Call::Restart]);
}

#[test]
fn a_start_waits_for_no_place_among_the_calls() {
    let mut config = config();
    config.attempts_parallel = 1;
    config.targets.insert("b".into(), target_config());
    let mut bench = Bench::with(config);
    let mut first = facts();
    bench.asked(&first);
    bench.look(1, &found(&first));
    bench.pass(20_000);
    bench.called(1, Called::Unclear { why: "?".into() });
    let second = Facts {
        name: "b".into(),
        id: "b".repeat(64),
        ..facts()
    };
    bench.asked(&second);
    assert_eq!(calls(&bench.look(2, &found(&second))), [Call::Restart]);
    first.state = ContainerState::Exited;
    first.finished_at = Some(wall(T0 + 3));
    assert_eq!(calls(&bench.look(1, &found(&first))), [Call::Start]);
}

#[test]
fn a_step_that_could_not_be_written_strands_nothing() {
    let (mut bench, mut facts) = charged();
    // The look is answered, but `sent` cannot be written: no call is made.
    let lost = bench
        .policy
        .handle_attempt_look(bench.now, 1, &found(&facts));
    assert_eq!(calls(&lost), [Call::Restart]);
    let due = bench.policy.poll_timeout().expect("looked at again");
    bench.pass(due.since(bench.now.at));
    asks_for_look(&bench.timeout());
    // A look that never comes back is asked for again.
    let due = bench.policy.poll_timeout().expect("looked at again");
    bench.pass(due.since(bench.now.at));
    asks_for_look(&bench.timeout());
    bench.look(1, &found(&facts));
    bench.called(1, Called::Done);
    facts.started_at = Some(bench.wall_now());
    let lost = bench
        .policy
        .handle_attempt_look(bench.now, 1, &found(&facts));
    assert!(matches!(lost.entries[..], [Entry::Restarted { .. }]));
    let due = bench.policy.poll_timeout().expect("looked at again");
    bench.pass(due.since(bench.now.at));
    asks_for_look(&bench.timeout());
    let step = bench.look(1, &found(&facts));
    assert!(matches!(step.entries[..], [Entry::Restarted { .. }]));
}

#[test]
fn a_call_whose_result_is_lost_is_resolved_by_looking() {
    let (mut bench, mut facts) = charged();
    bench.look(1, &found(&facts));
    bench.pass(20_000 + LOOK_LOST_MS);
    asks_for_look(&bench.timeout());
    facts.started_at = Some(wall(T0 + 5));
    let step = bench.look(1, &found(&facts));
    assert!(matches!(&step.entries[..], [Entry::Restarted { .. }]));
    assert_eq!(bench.called(1, Called::Done), Step::default(), "too late");
}

#[test]
fn facts_from_before_the_last_call_are_asked_for_again() {
    let (mut bench, facts) = charged();
    bench.look(1, &found(&facts));
    bench.pass(20_000);
    bench.called(1, Called::Unclear { why: "?".into() });
    let late = Facts {
        read_at: Timestamp(bench.now.at.0 - 1),
        ..facts.clone()
    };
    let step = bench.look(1, &found(&late));
    asks_for_look(&step);
    assert_eq!(calls(&bench.look(1, &found(&facts))), [Call::Restart]);
}

#[test]
fn a_match_after_somebody_elses_restart_ends_the_watch_whatever_the_clock_says() {
    let mut bench = Bench::new();
    let mut facts = facts();
    bench.matched(&facts);
    bench.restart(1, &mut facts);
    // The wall clock goes back, and a person restarts the container.
    bench.now.wall_ms -= 600_000;
    facts.started_at = Some(bench.wall_now());
    bench.pass(300_000);
    assert_eq!(bench.matched(&facts).attempt, Some(2));
    assert_eq!(bench.outcome(1), Some(Outcome::Relapsed));
}

#[test]
fn late_and_doubled_results_change_nothing() {
    let (mut bench, facts) = charged();
    let look = found(&facts);
    assert_eq!(calls(&bench.look(1, &look)), [Call::Restart]);
    assert_eq!(bench.look(1, &look), Step::default(), "a call is under way");
    assert_eq!(bench.look(77, &look), Step::default());
    bench.called(1, Called::Done);
    assert_eq!(
        bench.called(1, Called::Unclear { why: "?".into() }),
        Step::default()
    );
    assert_eq!(
        bench.pending_look(&PendingKey::Target(NAME.into()), &look),
        Step::default()
    );
}

#[test]
fn a_one_shot_looks_after_its_own_target_only() {
    let (mut bench, facts) = charged();
    bench.write(charge(2, "other", Cause::Person));
    let mut policy = Policy::new(bench.config.clone());
    for record in &bench.journal {
        policy.apply(record);
    }
    let step = policy.handle_start_one(bench.now, "other");
    assert!(
        matches!(
            step.actions[..],
            [Action::LookForAttempt { attempt: 2, .. }]
        ),
        "{step:?}"
    );
    bench.policy = policy;
    assert_eq!(bench.look(1, &found(&facts)), Step::default());
    bench.pass(3_600_000);
    assert_eq!(bench.timeout().actions.len(), 1);
}

mod verification {
    use super::*;

    /// A bench with attempt 1 restarted at its beginning.
    fn restarted(change: impl Fn(&mut Config)) -> (Bench, Facts) {
        let mut config = config();
        change(&mut config);
        let mut bench = Bench::with(config);
        let mut facts = facts();
        bench.matched(&facts);
        bench.restart(1, &mut facts);
        (bench, facts)
    }

    #[test]
    fn every_end_of_a_watch() {
        type Change = fn(&mut Facts);
        use HealthStatus::{Healthy, Starting, Unhealthy};
        use Outcome::{Recovered, Relapsed, Unknown};
        // (seconds since the restart, what is seen, outcome)
        let table: [(u64, Change, Option<Outcome>); 19] = [
            (59, |_| {}, None),
            (60, |_| {}, Some(Recovered)),
            (59, |f| f.health = health(Healthy, None), None),
            (60, |f| f.health = health(Healthy, None), Some(Recovered)),
            (1, |f| f.health = health(Unhealthy, None), Some(Relapsed)),
            (60, |f| f.health = health(Starting, None), Some(Unknown)),
            (59, |f| f.health = health(Starting, None), None),
            // Start period 50 s and three intervals of 10 s.
            (79, |f| f.health = slow(Starting), None),
            (80, |f| f.health = slow(Starting), Some(Unknown)),
            (79, |f| f.health = slow(Healthy), Some(Recovered)),
            (1, |f| f.state = ContainerState::Exited, Some(Relapsed)),
            (1, |f| f.state = ContainerState::Dead, Some(Relapsed)),
            (1, |f| f.state = ContainerState::Restarting, Some(Relapsed)),
            (1, |f| f.state = ContainerState::Paused, Some(Unknown)),
            (1, |f| f.state = ContainerState::Removing, Some(Unknown)),
            (1, |f| f.started_at = Some(wall(T0 + 1)), Some(Relapsed)),
            (60, |f| f.started_at = Some(wall(T0 + 1)), Some(Relapsed)),
            (1, |f| f.id = "b".repeat(64), Some(Unknown)),
            (60, |f| f.id = "b".repeat(64), Some(Unknown)),
        ];
        for (i, (secs, change, want)) in table.into_iter().enumerate() {
            let (mut bench, mut facts) = restarted(|_| {});
            bench.pass(secs * 1_000);
            change(&mut facts);
            bench.look(1, &found(&facts));
            assert_eq!(bench.outcome(1), want, "row {i}");
            assert_eq!(bench.policy.counts(bench.now).held, 0, "row {i}");
        }
    }

    fn slow(status: HealthStatus) -> Option<Health> {
        Some(Health {
            status,
            checked_at: None,
            start_period_ms: 50_000,
            interval_ms: 10_000,
        })
    }

    #[test]
    fn it_is_looked_at_until_the_end_and_no_longer() {
        let (mut bench, facts) = restarted(|_| {});
        let mut times = Vec::new();
        while let Some(due) = bench.policy.poll_timeout() {
            bench.pass(due.since(bench.now.at));
            times.push(bench.secs() - T0);
            bench.timeout();
            bench.look(1, &found(&facts));
        }
        assert_eq!(times, [15, 30, 45, 60]);
    }

    #[test]
    fn docker_away_says_nothing_about_the_cure() {
        let (mut bench, facts) = restarted(|_| {});
        bench.pass(60_000);
        bench.look(1, &away());
        assert_eq!(bench.outcome(1), None);
        bench.pass(599_999);
        bench.look(1, &away());
        assert_eq!(bench.outcome(1), None);
        let (mut again, _) = restarted(|_| {});
        again.pass(659_999);
        again.look(1, &found(&facts));
        assert_eq!(again.outcome(1), Some(Outcome::Recovered));
        bench.pass(1);
        bench.look(1, &away());
        assert_eq!(bench.outcome(1), Some(Outcome::Unknown));
        assert_eq!(bench.policy.counts(bench.now).held, 0);
    }

    #[test]
    fn with_no_time_to_be_stable_it_has_recovered_at_once() {
        let (bench, _) = restarted(|config| {
            if let Some(web) = config.targets.get_mut(NAME) {
                web.recovery.stable_for_ms = 0;
            }
        });
        assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
    }

    #[test]
    fn it_refuses_nothing_and_a_match_ends_it_as_relapsed() {
        let (mut bench, facts) = restarted(|config| {
            if let Some(web) = config.targets.get_mut(NAME) {
                web.limits.cooldown_ms = 10_000;
            }
        });
        bench.pass(10_000);
        let answer = bench.matched(&facts);
        assert_eq!(
            (answer.verdict, answer.attempt),
            (Verdict::Restart, Some(2))
        );
        assert_eq!(bench.outcome(1), Some(Outcome::Relapsed));
    }

    #[test]
    fn a_match_that_has_to_wait_ends_it_as_relapsed_too() {
        let (mut bench, facts) = restarted(|_| {});
        bench.pass(10_000);
        let answer = bench.matched(&facts);
        assert_eq!(answer.gate, Some(Gate::Cooldown));
        assert_eq!(bench.outcome(1), Some(Outcome::Relapsed));
    }

    #[test]
    fn a_line_from_before_the_restart_or_below_its_threshold_ends_nothing() {
        let (mut bench, facts) = restarted(|_| {});
        bench.pass(10_000);
        let mut old = bench.new_intent("oom");
        old.line = wall(T0 - 1);
        let answer = bench.decide(&old, &found(&facts)).answer;
        assert_eq!(answer.and_then(|a| a.gate), Some(Gate::Stale));
        let mut rare = bench.new_intent("rare");
        if let Some(known) = &mut rare.known {
            known.threshold = Some((2, 60_000));
        }
        let answer = bench.decide(&rare, &found(&facts)).answer;
        assert_eq!(answer.and_then(|a| a.gate), Some(Gate::BelowThreshold));
        assert_eq!(bench.outcome(1), None);
    }

    #[test]
    fn a_persons_request_ends_it_as_unknown() {
        let (mut bench, facts) = restarted(|_| {});
        bench.pass(10_000);
        let answer = bench.asked(&facts);
        assert_eq!(answer.gate, Some(Gate::Cooldown));
        assert_eq!(bench.outcome(1), None, "a refused request ends nothing");
        let answer = bench.asked_with(&facts, |request| request.cooldown_ms = Some(0));
        assert_eq!(answer.attempt, Some(2));
        assert_eq!(bench.outcome(1), Some(Outcome::Unknown));
        assert_eq!(bench.policy.counts(bench.now).held, 0);
    }

    #[test]
    fn it_goes_on_after_a_crash() {
        let (mut bench, facts) = restarted(|_| {});
        bench.pass(30_000);
        let step = bench.crash();
        asks_for_look(&step);
        bench.look(1, &found(&facts));
        assert_eq!(bench.outcome(1), None);
        bench.pass(30_000);
        bench.timeout();
        bench.look(1, &found(&facts));
        assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
    }

    #[test]
    fn the_cooldown_grows_with_what_does_not_cure_and_falls_back_after_recovery() {
        let (mut bench, mut facts) = restarted(|config| {
            if let Some(web) = config.targets.get_mut(NAME) {
                web.limits.max_per_window = 100;
                web.recovery.backoff = 2_000;
                web.recovery.cooldown_max_ms = 1_000_000;
            }
        });
        for (attempt, cooldown_s) in [(1, 600), (2, 1_000), (3, 1_000)] {
            bench.pass(1_000);
            let attempts = if attempt == 1 { "attempt" } else { "attempts" };
            assert_eq!(
                bench.matched(&facts).detail,
                format!(
                    "Cooldown active (1s < {cooldown_s}s), grown from 300s by {attempt} \
                     {attempts} without recovery"
                )
            );
            bench.pass(cooldown_s * 1_000 - 1_000);
            let answer = bench.matched(&facts);
            assert_eq!(answer.attempt, Some(attempt + 1), "{answer:?}");
            bench.restart(attempt + 1, &mut facts);
        }
        bench.pass(60_000);
        bench.look(4, &found(&facts));
        assert_eq!(bench.outcome(4), Some(Outcome::Recovered));
        assert_eq!(bench.matched(&facts).detail, "Cooldown active (60s < 300s)");
    }

    #[test]
    fn after_max_attempts_without_recovery_the_target_is_held() {
        let (mut bench, mut facts) = restarted(|config| {
            if let Some(web) = config.targets.get_mut(NAME) {
                web.limits.cooldown_ms = 0;
                web.recovery.max_attempts = 3;
            }
        });
        for attempt in 1..3 {
            bench.pass(1_000);
            assert_eq!(bench.matched(&facts).attempt, Some(attempt + 1));
            bench.restart(attempt + 1, &mut facts);
        }
        bench.pass(1_000);
        let intent = bench.new_intent("oom");
        let step = bench.decide(&intent, &found(&facts));
        let why = "3 restarts without recovery (attempts 1 relapsed, 2 relapsed, 3 relapsed)";
        assert!(
            told(&step).contains(&&Event::Held {
                target: NAME.into(),
                why: why.into(),
                escalates: false,
            }),
            "{step:?}"
        );
        assert_eq!(step.answer.and_then(|a| a.gate), Some(Gate::Held));
        let step = bench.policy.handle_resume(bench.now, None, "healer resume");
        bench.take(step);
        assert_eq!(bench.matched(&facts).attempt, Some(4));
    }
}

#[test]
fn a_charge_ends_what_is_being_watched_exactly_once_whoever_asks() {
    let matched = Cause::Match {
        rule: "oom".into(),
        line: wall(T0),
        ids: Vec::new(),
        sign: Sign::Line,
    };
    for (cause, why) in [
        (Cause::Person, "a person asked for another restart"),
        (matched, "another restart began before it was settled"),
    ] {
        let mut bench = Bench::new();
        let mut facts = facts();
        bench.matched(&facts);
        bench.restart(1, &mut facts);
        let limits = target_config().limits;
        let (mut step, mut told_before) = (Step::default(), Step::default());
        told_before.entries.push(Entry::Outcome {
            attempt: 1,
            outcome: Outcome::Relapsed,
            gate: None,
            detail: "it matched again".into(),
        });
        for step in [&mut step, &mut told_before] {
            let charged = bench.policy.charge(
                step,
                &facts,
                cause.clone(),
                (limits, Shadow::No),
                Vec::new(),
            );
            assert_eq!(charged, 2);
        }
        assert!(
            matches!(&step.entries[..],
                [Entry::Outcome { attempt: 1, outcome: Outcome::Unknown, detail, .. }, Entry::Charge(_)]
                    if detail == why),
            "{step:?}"
        );
        assert!(matches!(
            told_before.entries[..],
            [Entry::Outcome { .. }, Entry::Charge(_)]
        ));
        // A dry run's charge is none, and ends nothing.
        let mut shadow = Step::default();
        bench.policy.charge(
            &mut shadow,
            &facts,
            cause,
            (limits, Shadow::Target),
            Vec::new(),
        );
        assert!(matches!(
            shadow.entries[..],
            [Entry::Charge(_), Entry::Outcome { attempt: 2, .. }]
        ));
    }
}

#[test]
fn an_attempt_that_has_ended_does_not_end_again() {
    let mut bench = Bench::new();
    bench.write(charge(1, NAME, Cause::Person));
    let end = |outcome| Entry::Outcome {
        attempt: 1,
        outcome,
        gate: None,
        detail: String::new(),
    };
    bench.write(end(Outcome::Recovered));
    bench.write(end(Outcome::Failed));
    assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
    let status = bench.policy.status(bench.now);
    assert_eq!(status.targets[0].uncured, 0);
}

#[test]
fn the_first_call_under_a_charge_that_was_read_back_takes_it_to_the_disk_first() {
    let mut bench = Bench::new();
    bench.write(charge(1, NAME, Cause::Person));
    // Its step could not be written, and its looks went out all the same.
    let unwritten = bench.crash();
    assert!(unwritten.durable, "{unwritten:?}");
    let looked = Facts {
        read_at: bench.now.at,
        ..facts()
    };
    let step = bench
        .policy
        .handle_attempt_look(bench.now, 1, &found(&looked));
    let calls = step
        .actions
        .iter()
        .any(|a| matches!(a, Action::Call { .. }));
    assert!(calls && step.durable, "{step:?}");
}
