//! Compaction gives the same state again, whatever has happened.

use proptest::prelude::*;

use crate::testing::*;
use crate::*;

/// One thing that happens; numbers choose among what is there.
#[derive(Debug, Clone)]
enum Op {
    Pass(u64),
    Match {
        target: u8,
        rule: u8,
        late_s: u64,
        away: bool,
    },
    Ask {
        target: u8,
    },
    Look {
        kind: u8,
    },
    Called {
        done: bool,
    },
    PendingLook {
        kind: u8,
    },
    Pause {
        target: Option<u8>,
        for_s: Option<u64>,
    },
    Resume {
        target: Option<u8>,
    },
    Odd(u8),
    TargetLook {
        kind: u8,
    },
    Timeout,
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => prop_oneof![Just(1_u64), Just(1_000), Just(20_000), Just(300_000), Just(86_400_000)]
            .prop_map(Op::Pass),
        6 => (0..3_u8, 0..6_u8, 0..20_u64, any::<bool>())
            .prop_map(|(target, rule, late_s, away)| Op::Match { target, rule, late_s, away }),
        1 => (0..3_u8).prop_map(|target| Op::Ask { target }),
        4 => (0..7_u8).prop_map(|kind| Op::Look { kind }),
        3 => any::<bool>().prop_map(|done| Op::Called { done }),
        3 => (0..8_u8).prop_map(|kind| Op::PendingLook { kind }),
        1 => (proptest::option::of(0..3_u8), proptest::option::of(0..500_u64))
            .prop_map(|(target, for_s)| Op::Pause { target, for_s }),
        1 => proptest::option::of(0..3_u8).prop_map(|target| Op::Resume { target }),
        1 => (0..4_u8).prop_map(Op::Odd),
        2 => (0..6_u8).prop_map(|kind| Op::TargetLook { kind }),
        1 => Just(Op::Timeout),
        1 => Just(Op::Crash),
    ]
}

fn name(n: u8) -> String {
    ["web", "db", "gpu"][usize::from(n % 3)].to_owned()
}

fn facts_of(bench: &Bench, n: u8, kind: u8) -> Look {
    let mut facts = facts();
    facts.name = name(n);
    facts.id = facts.name.repeat(64)[..64].to_owned();
    match kind {
        0 => return Look::Gone,
        1 => return away(),
        2 => facts.state = ContainerState::Exited,
        3 => facts.started_at = Some(bench.wall_now()),
        4 => facts.health = health(HealthStatus::Healthy, Some(bench.wall_now())),
        6 => facts.health = health(HealthStatus::Unhealthy, Some(bench.wall_now())),
        _ => {}
    }
    Look::Found(facts)
}

fn which(target: &str) -> u8 {
    (0..3).find(|n| name(*n) == target).unwrap_or(0)
}

fn run(bench: &mut Bench, op: &Op) {
    match op {
        Op::Pass(ms) => bench.pass(*ms),
        Op::Match {
            target,
            rule,
            late_s,
            away: unseen,
        } => {
            let mut intent = bench.new_intent(&format!("rule{rule}"));
            intent.line.secs -= late_s;
            intent.wire_id = Some(name(*target).repeat(64)[..64].to_owned());
            if let Some(known) = &mut intent.known {
                match rule {
                    1 => known.threshold = Some((2, 60_000)),
                    2 => known.confirms = true,
                    3 => {
                        known.confirm = Some(Confirm {
                            by: vec![Confirmation::Rule("rule2".into()), Confirmation::Unhealthy],
                            within_ms: 30_000,
                        });
                    }
                    5 => known.remedy = RuleRemedy::Escalate,
                    _ => {}
                }
            }
            let look = facts_of(bench, *target, if *unseen { 1 } else { 9 });
            bench.decide(&intent, &look);
        }
        Op::Ask { target } => {
            if let Look::Found(facts) = facts_of(bench, *target, 9) {
                bench.asked(&facts);
            }
        }
        Op::Look { kind } => {
            if let Some(open) = bench.policy.open_attempts().first() {
                let look = facts_of(bench, which(&open.target), *kind);
                bench.look(open.attempt, &look);
            }
        }
        Op::Called { done } => {
            if let Some(open) = bench.policy.open_attempts().first() {
                let called = if *done {
                    Called::Done
                } else {
                    Called::Unclear { why: "?".into() }
                };
                bench.called(open.attempt, called);
            }
        }
        Op::PendingLook { kind } => {
            let first = bench.policy.state.pendings.keys().next().cloned();
            if let Some(key) = first {
                let target = (0..3)
                    .find(|n| key.as_str().starts_with(&name(*n)))
                    .unwrap_or(0);
                let look = facts_of(bench, target, *kind);
                bench.pending_look(&key, &look);
            }
        }
        Op::TargetLook { kind } => {
            let held = bench.policy.state.targets.iter();
            let held = held.filter(|(_, t)| t.held.is_some()).map(|(name, _)| name);
            let stormy = bench.policy.state.storms.on.iter().flat_map(|s| &s.targets);
            let names: Vec<String> = held.chain(stormy).cloned().collect();
            for name in names {
                let look = facts_of(bench, which(&name), *kind);
                let step = bench.policy.handle_target_look(bench.now, &name, &look);
                bench.take(step);
            }
        }
        Op::Pause { target, for_s } => {
            let target = target.map(name);
            let for_ms = for_s.map(|s| s * 1_000);
            let step = bench
                .policy
                .handle_pause(bench.now, target.as_deref(), for_ms, "swap");
            bench.take(step);
        }
        Op::Resume { target } => {
            let target = target.map(name);
            let step = bench
                .policy
                .handle_resume(bench.now, target.as_deref(), "x");
            bench.take(step);
        }
        Op::Odd(0) => bench.write(Entry::FailClosed {
            until: bench.now.at.plus(600_000),
            why: "damaged".into(),
        }),
        Op::Odd(1) => {
            let mut intent = bench.new_intent("nosuch");
            intent.known = None;
            bench.decide(&intent, &Look::Gone);
        }
        Op::Odd(n) => bench.write(Entry::Imported {
            target: name(*n),
            restarted_at: Timestamp(bench.now.at.0 - 7_000 * u64::from(*n)),
        }),
        Op::Timeout => {
            bench.timeout();
        }
        Op::Crash => {
            bench.crash();
        }
    }
}

fn bench() -> Bench {
    let mut config = config();
    config.storm = StormLimits {
        attempts: 2,
        targets: 3,
        within_ms: 60_000,
        quiet_ms: 30_000,
    };
    config.shadow_rules.insert("rule4".into());
    for n in 0..3 {
        let mut target = target_config();
        target.limits.cooldown_ms = 20_000;
        target.recovery.max_attempts = 3;
        target.recovery.backoff = 2_000;
        target.recovery.release_after_ms = 60_000;
        config.targets.insert(name(n), target);
    }
    Bench::with(config)
}

/// A policy from what compaction wrote, read back from JSON as from a disk.
fn reread(bench: &Bench) -> Policy {
    let mut policy = Policy::new(bench.config.clone());
    let mut last = Timestamp(0);
    for record in bench.policy.snapshot(bench.now) {
        assert!(record.at >= last, "oldest first");
        last = record.at;
        let json = serde_json::to_string(&record).expect("plain data");
        policy.apply(&serde_json::from_str(&json).expect("as written"));
    }
    policy
}

#[test]
fn a_pause_of_no_length_is_none_before_a_compaction_and_after_it() {
    let mut bench = bench();
    for (target, until) in [(name(2), None), (name(1), Some(bench.now.at))] {
        bench.write(Entry::Paused {
            target: Some(target),
            until,
            reason: String::new(),
        });
    }
    bench.pass(1);
    assert_eq!(reread(&bench).state, bench.policy.state);
    assert!(
        bench.policy.state.target(&name(1)).is_none(),
        "it was never paused"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_gives_the_same_state(ops in proptest::collection::vec(op(), 1..60)) {
        let mut bench = bench();
        for op in &ops {
            run(&mut bench, op);
        }
        let again = reread(&bench);
        let mut state = bench.policy.state.clone();
        state.forget(bench.now.at, &bench.config);
        prop_assert_eq!(&again.state, &state);
        prop_assert_eq!(again.snapshot(bench.now), bench.policy.snapshot(bench.now));
    }

    #[test]
    fn a_time_out_that_was_handled_is_not_due_any_more(
        ops in proptest::collection::vec(op(), 1..60)
    ) {
        let mut bench = bench();
        for op in &ops {
            run(&mut bench, op);
            bench.timeout();
            let next = bench.policy.poll_timeout();
            prop_assert!(next.is_none_or(|at| at > bench.now.at), "{op:?}");
        }
    }

    #[test]
    fn nothing_real_is_charged_in_a_hold_a_storm_or_a_trial(
        ops in proptest::collection::vec(op(), 1..80)
    ) {
        let mut bench = bench();
        let mut sick = false;
        for op in &ops {
            // Once is enough: what was confirmed may have had to wait after that.
            sick |= matches!(op, Op::PendingLook { kind: 6 });
            let from = bench.journal.len();
            let before = bench.policy.state.clone();
            run(&mut bench, op);
            for record in &bench.journal[from..] {
                let Entry::Charge(charge) = &record.entry else {
                    continue;
                };
                let rule = match &charge.cause {
                    Cause::Match { rule, .. } => rule,
                    Cause::Person => "",
                };
                let held = before.target(&charge.target).is_some_and(|t| t.held.is_some());
                prop_assert!(!held && before.storms.on.is_none());
                prop_assert_eq!(charge.shadow, rule == "rule4");
                // Rule 3 wants another one's match, or sickness.
                let witnesses = before.counted.with(
                    &PendingKey::Target(charge.target.clone()), "rule2", &[], 0,
                );
                let key = PendingKey::Id(charge.container_id.clone());
                let unseen = before.counted.with(&key, "rule2", &[], 0);
                prop_assert!(rule != "rule3" || sick || !witnesses.is_empty() || !unseen.is_empty());
            }
        }
    }

    #[test]
    fn the_journal_gives_the_state_that_was_held_in_memory(
        ops in proptest::collection::vec(op(), 1..60)
    ) {
        let mut bench = bench();
        for op in &ops {
            run(&mut bench, op);
        }
        let before = bench.policy.state.clone();
        bench.policy = Policy::new(bench.config.clone());
        for record in bench.journal.clone() {
            bench.policy.apply(&record);
        }
        prop_assert_eq!(&bench.policy.state, &before);
    }
}

#[test]
fn charges_are_kept_for_seven_days_and_open_ones_for_ever() {
    let mut bench = Bench::new();
    bench.write(charge(1, NAME, Cause::Person));
    bench.write(Entry::Outcome {
        attempt: 1,
        outcome: Outcome::Failed,
        gate: None,
        detail: "?".into(),
    });
    bench.write(Entry::Imported {
        target: "db".into(),
        restarted_at: bench.now.at,
    });
    bench.pass(KEEP_MS);
    let kept = |bench: &Bench| {
        let snapshot = bench.policy.snapshot(bench.now);
        let spends = |r: &&Record| matches!(r.entry, Entry::Charge(_) | Entry::Imported { .. });
        snapshot.iter().filter(spends).count()
    };
    assert_eq!(kept(&bench), 2);
    bench.pass(1);
    assert_eq!(kept(&bench), 0);
    bench.write(charge(2, NAME, Cause::Person));
    bench.pass(10 * KEEP_MS);
    assert_eq!(kept(&bench), 1);
    // Numbers go on, though nothing remembers the first.
    assert_eq!(reread(&bench).state.last_attempt, 2);
}

#[test]
fn charges_are_kept_for_the_largest_limit() {
    let mut config = config();
    if let Some(web) = config.targets.get_mut(NAME) {
        web.limits.window_ms = KEEP_MS + 5_000;
        web.limits.max_per_window = 1;
    }
    let mut bench = Bench::with(config);
    bench.write(Entry::Imported {
        target: NAME.into(),
        restarted_at: bench.now.at,
    });
    bench.pass(KEEP_MS + 4_999);
    bench.policy = reread(&bench);
    assert_eq!(bench.matched(&facts()).gate, Some(Gate::Window));
    bench.pass(1);
    assert_eq!(bench.asked(&facts()).gate, None);
}

#[test]
fn every_entry_survives_json() {
    let mut bench = bench();
    let ops = [
        Op::Match {
            target: 0,
            rule: 0,
            late_s: 0,
            away: false,
        },
        Op::Look { kind: 9 },
        Op::Called { done: true },
        Op::Look { kind: 3 },
        Op::Match {
            target: 1,
            rule: 1,
            late_s: 0,
            away: true,
        },
        Op::Pause {
            target: Some(0),
            for_s: None,
        },
        Op::Odd(0),
    ];
    for op in &ops {
        run(&mut bench, op);
    }
    for record in &bench.journal {
        let json = serde_json::to_string(record).expect("plain data");
        let again: Record = serde_json::from_str(&json).expect("as written");
        assert_eq!(&again, record, "{json}");
    }
}
