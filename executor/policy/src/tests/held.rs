//! A hold's end by health: what counts as well, for how long, and what is kept.

use crate::testing::*;
use crate::*;

const RELEASE_MS: u64 = 600_000;

/// `web` is held after its third attempt without recovery.
fn held() -> (Bench, Facts) {
    let mut config = config();
    if let Some(web) = config.targets.get_mut(NAME) {
        web.recovery.release_after_ms = RELEASE_MS;
        web.recovery.max_attempts = 3;
        web.limits.cooldown_ms = 0;
    }
    let mut bench = Bench::with(config);
    let mut facts = facts();
    for id in 1..=3 {
        bench.pass(1_000);
        bench.write(charge(id, NAME, Cause::Person));
        let attempt = bench.policy.state.open(id).cloned().expect("it is open");
        let ending = crate::draft::Ending::new(Outcome::Failed, "?");
        let mut step = Step::default();
        bench.policy.end_attempt(&mut step, id, &attempt, ending);
        bench.take(step);
    }
    assert_eq!(is_held(&bench), Some(3));
    facts.started_at = Some(wall(T0 - 3_600));
    (bench, facts)
}

/// The attempts that did not cure, while it is held.
fn is_held(bench: &Bench) -> Option<u32> {
    let target = bench.policy.state.target(NAME)?;
    target.held.as_ref().map(|_| target.uncured)
}

fn uncured(bench: &Bench) -> u32 {
    bench.policy.state.target(NAME).map_or(0, |t| t.uncured)
}

/// The next look, at its time.
fn look(bench: &mut Bench, look: &Look) -> Step {
    for _ in 0..1_000 {
        let step = bench.timeout();
        let target = NAME.to_owned();
        if step.actions.contains(&Action::LookForTarget { target }) {
            let step = bench.policy.handle_target_look(bench.now, NAME, look);
            return bench.take(step);
        }
        let next = bench.policy.poll_timeout().expect("it is looked at again");
        bench.pass(next.since(bench.now.at).max(1));
    }
    panic!("never looked at");
}

/// Looks at what does not change until it is released; how long that took.
fn until_released(bench: &mut Bench, seen: &Look) -> Option<u64> {
    let from = bench.now.at;
    while bench.now.at.since(from) < 10 * RELEASE_MS {
        look(bench, seen);
        if is_held(bench).is_none() {
            return Some(bench.now.at.since(from));
        }
    }
    None
}

#[test]
fn what_counts_as_well() {
    use HealthStatus::*;
    type Change = fn(&mut Facts, &Bench);
    let anew: Change = |facts, bench| facts.started_at = Some(bench.wall_now());
    let table: [(&str, Change, bool); 9] = [
        ("running as before", |_, _| {}, false),
        ("started anew by somebody", anew, true),
        (
            "another container",
            |facts, _| facts.id = "b".repeat(64),
            true,
        ),
        (
            "healthy since",
            |facts, bench| facts.health = health(Healthy, Some(bench.wall_now())),
            true,
        ),
        (
            "healthy, as found before the hold",
            |facts, _| facts.health = health(Healthy, Some(wall(T0))),
            false,
        ),
        (
            "healthy without a check that says so",
            |facts, _| facts.health = health(Healthy, None),
            false,
        ),
        (
            "anew, and its check not healthy",
            |facts, bench| {
                facts.started_at = Some(bench.wall_now());
                facts.health = health(Unhealthy, Some(bench.wall_now()));
            },
            false,
        ),
        (
            "anew, and starting",
            |facts, bench| {
                facts.started_at = Some(bench.wall_now());
                facts.health = health(Starting, None);
            },
            false,
        ),
        (
            "anew, and paused",
            |facts, bench| {
                facts.started_at = Some(bench.wall_now());
                facts.state = ContainerState::Paused;
            },
            false,
        ),
    ];
    for (what, change, released) in table {
        let (mut bench, mut facts) = held();
        bench.pass(5_000);
        change(&mut facts, &bench);
        let took = until_released(&mut bench, &found(&facts));
        assert_eq!(took.is_some(), released, "{what}");
        if let Some(took) = took {
            // The first look comes within half a minute of the hold.
            let earliest = RELEASE_MS;
            assert!(
                (earliest..=earliest + TARGET_LOOK_MS).contains(&took),
                "{what}: {took}"
            );
        }
    }
}

#[test]
fn no_container_and_no_word_from_docker_release_nothing() {
    for seen in [Look::Gone, away()] {
        let (mut bench, _) = held();
        assert_eq!(until_released(&mut bench, &seen), None);
    }
}

#[test]
fn it_has_to_stay_well_by_the_same_start_and_without_a_match() {
    type Upset = fn(&mut Bench, &mut Facts);
    let upsets: [(&str, Upset); 4] = [
        ("another start", |bench, facts| {
            facts.started_at = Some(bench.wall_now());
        }),
        ("a match", |bench, facts| {
            assert_eq!(bench.matched(facts).gate, Some(Gate::Held));
        }),
        ("Docker away", |bench, _| {
            look(bench, &away());
        }),
        ("stopped for a while", |bench, facts| {
            let mut exited = facts.clone();
            exited.state = ContainerState::Exited;
            look(bench, &found(&exited));
        }),
    ];
    for (what, upset) in upsets {
        let (mut bench, mut facts) = held();
        bench.pass(5_000);
        facts.started_at = Some(bench.wall_now());
        look(&mut bench, &found(&facts));
        bench.pass(RELEASE_MS - 60_000);
        upset(&mut bench, &mut facts);
        let took = until_released(&mut bench, &found(&facts)).expect("in the end");
        assert!(took >= RELEASE_MS, "{what}: {took}");
    }
}

#[test]
fn a_persons_refused_request_is_no_match() {
    let (mut bench, mut facts) = held();
    bench.pass(5_000);
    facts.started_at = Some(bench.wall_now());
    look(&mut bench, &found(&facts));
    bench.pass(RELEASE_MS - 60_000);
    assert_eq!(bench.asked(&facts).gate, Some(Gate::Held));
    let took = until_released(&mut bench, &found(&facts)).expect("released");
    assert!(took <= 60_000 + TARGET_LOOK_MS, "{took}");
}

#[test]
fn the_same_container_is_on_probation_and_another_one_is_not() {
    let (mut bench, mut facts) = held();
    bench.pass(5_000);
    facts.started_at = Some(bench.wall_now());
    until_released(&mut bench, &found(&facts)).expect("released");
    assert_eq!(uncured(&bench), 2);
    let answer = bench.matched(&facts);
    assert_eq!(answer.verdict, Verdict::Restart);
    let id = answer.attempt.expect("an attempt");
    bench.restart(id, &mut facts);
    bench.pass(5_000);
    assert_eq!(bench.matched(&facts).gate, Some(Gate::Held));

    let (mut bench, mut facts) = held();
    facts.id = "b".repeat(64);
    until_released(&mut bench, &found(&facts)).expect("released");
    assert_eq!(uncured(&bench), 0);
}

#[test]
fn recovery_after_it_counts_anew() {
    let (mut bench, mut facts) = held();
    bench.pass(5_000);
    facts.started_at = Some(bench.wall_now());
    until_released(&mut bench, &found(&facts)).expect("released");
    let id = bench.matched(&facts).attempt.expect("an attempt");
    bench.restart(id, &mut facts);
    bench.pass(60_000);
    bench.timeout();
    bench.look(id, &found(&facts));
    assert_eq!(bench.outcome(id), Some(Outcome::Recovered));
    assert_eq!(uncured(&bench), 0);
}

#[test]
fn it_is_told_durable_and_not_lost_by_a_crash() {
    let (mut bench, mut facts) = held();
    bench.pass(5_000);
    facts.started_at = Some(bench.wall_now());
    look(&mut bench, &found(&facts));
    bench.pass(RELEASE_MS / 2);
    // A new process has seen nothing: it looks on for as long as ever.
    bench.crash();
    let from = bench.now.at;
    let step = loop {
        let step = look(&mut bench, &found(&facts));
        if !step.entries.is_empty() {
            break step;
        }
    };
    assert!(bench.now.at.since(from) >= RELEASE_MS);
    assert!(step.durable);
    let by = "its health: well for 600s".to_owned();
    let target = NAME.to_owned();
    assert_eq!(told(&step), [&Event::Released { target, by }]);
    bench.crash();
    assert_eq!(is_held(&bench), None);
    assert_eq!(uncured(&bench), 2);
}

#[test]
fn with_no_time_set_only_a_person_releases() {
    let (mut bench, mut facts) = held();
    if let Some(web) = bench.config.targets.get_mut(NAME) {
        web.recovery.release_after_ms = 0;
    }
    bench.policy.configure(bench.config.clone());
    facts.started_at = Some(bench.wall_now());
    bench.pass(10 * RELEASE_MS);
    assert_eq!(bench.policy.poll_timeout(), None);
    let step = bench
        .policy
        .handle_resume(bench.now, Some(NAME), "healer resume");
    bench.take(step);
    assert_eq!((is_held(&bench), uncured(&bench)), (None, 0));
}

#[test]
fn looks_at_held_targets_are_limited_and_none_is_forgotten() {
    let mut config = config();
    config.defaults.recovery.release_after_ms = RELEASE_MS;
    let mut bench = Bench::with(config);
    let count = TARGET_LOOKS_MAX + 5;
    for n in 0..count {
        bench.write(Entry::Held {
            target: format!("t{n:02}"),
            why: "?".into(),
            container_id: None,
            started_at: None,
        });
    }
    bench.pass(TARGET_LOOK_MS);
    let step = bench.timeout();
    let mut asked: Vec<String> = step
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::LookForTarget { target } => Some(target.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(asked.len(), TARGET_LOOKS_MAX);
    let next = bench.policy.poll_timeout().expect("a lost look");
    assert!(next > bench.now.at, "it does not spin");
    bench
        .policy
        .handle_target_look(bench.now, "t00", &Look::Gone);
    let step = bench.timeout();
    asked.extend(step.actions.iter().filter_map(|action| match action {
        Action::LookForTarget { target } => Some(target.clone()),
        _ => None,
    }));
    assert_eq!(asked.len(), TARGET_LOOKS_MAX + 1);
    // Looks that are lost are asked for again.
    bench.pass(LOOK_LOST_MS);
    assert!(!bench.timeout().actions.is_empty());
}

#[test]
fn what_does_not_put_its_end_off() {
    type Event = fn(&mut Bench, &Facts);
    let events: [(&str, Event); 3] = [
        ("a match of a rule on trial", |bench, facts| {
            bench.config.shadow_rules.insert("oom".into());
            bench.policy.configure(bench.config.clone());
            assert_eq!(bench.matched(facts).gate, Some(Gate::Held));
        }),
        ("a match of a target that is run dry", |bench, facts| {
            bench.config.dry_run = true;
            bench.policy.configure(bench.config.clone());
            assert_eq!(bench.matched(facts).gate, Some(Gate::Held));
        }),
        ("the end of a storm", |bench, _| {
            bench.write(Entry::Storm {
                why: "?".into(),
                targets: [NAME.to_owned()].into(),
            });
            bench.write(Entry::StormEnded { by: "?".into() });
        }),
    ];
    for (what, event) in events {
        let (mut bench, mut facts) = held();
        bench.pass(5_000);
        facts.started_at = Some(bench.wall_now());
        look(&mut bench, &found(&facts));
        bench.pass(RELEASE_MS - 60_000);
        event(&mut bench, &facts);
        let took = until_released(&mut bench, &found(&facts)).expect("in the end");
        assert!(took <= 60_000, "{what}: {took}");
    }
}
