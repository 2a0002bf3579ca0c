//! What a person asks for.

use crate::testing::*;
use crate::*;

#[test]
fn naming_a_target_enables_it_and_old_lines_do_not_matter() {
    type Change = fn(&mut Facts);
    let table: [(Change, Option<Gate>); 9] = [
        (|_| {}, None),
        (|f| f.name = "other".into(), None),
        (
            |f| {
                f.labels.insert("healer.enable".into(), "false".into());
            },
            None,
        ),
        (|f| f.started_at = Some(wall(T0 + 9)), None),
        (|f| f.is_self_or_peer = true, Some(Gate::Protected)),
        (
            |f| {
                f.labels.insert("io.kubernetes.pod.uid".into(), "1".into());
            },
            Some(Gate::Orchestrated),
        ),
        (|f| f.state = ContainerState::Exited, Some(Gate::NotRunning)),
        (|f| f.state = ContainerState::Paused, Some(Gate::NotRunning)),
        (
            |f| {
                f.labels.insert("healer.dry_run".into(), "true".into());
            },
            Some(Gate::DryRun),
        ),
    ];
    for (i, (change, gate)) in table.into_iter().enumerate() {
        let mut bench = Bench::new();
        let mut facts = facts();
        change(&mut facts);
        let answer = bench.asked(&facts);
        assert_eq!(answer.gate, gate, "row {i}");
        let verdict = gate.map_or(Verdict::Restart, |_| Verdict::Refused);
        assert_eq!(answer.verdict, verdict, "row {i}");
    }
}

#[test]
fn every_other_gate_applies_and_nothing_is_left_pending() {
    let entry = |gate| match gate {
        Gate::Maintenance => Entry::Paused {
            target: None,
            until: Some(Timestamp(T0 * 1_000 + 5_000)),
            reason: String::new(),
        },
        Gate::Held => Entry::Held {
            target: NAME.into(),
            why: "x".into(),
            container_id: None,
            started_at: None,
        },
        Gate::InProgress => charge(1, NAME, Cause::Person),
        _ => Entry::Imported {
            target: NAME.into(),
            restarted_at: Timestamp(T0 * 1_000 - 45_000),
        },
    };
    for (gate, detail) in [
        (Gate::Maintenance, "Paused for another 5s"),
        (Gate::Held, "Held: x (`healer resume web` frees it)"),
        (Gate::InProgress, "Attempt 1 in progress (for 0s)"),
        (Gate::Cooldown, "Cooldown active (45s < 300s)"),
    ] {
        let mut bench = Bench::new();
        bench.write(entry(gate));
        let answer = bench.asked(&facts());
        assert_eq!(
            (answer.verdict, answer.gate, &*answer.detail),
            (Verdict::Refused, Some(gate), detail)
        );
        assert_eq!(bench.policy.counts(bench.now).pending, 0);
    }
}

#[test]
fn rate_limiting_as_the_originals_checklist_has_it() {
    let mut bench = Bench::new();
    let mut facts = facts();
    let no_cooldown = |request: &mut RequestInput| request.cooldown_ms = Some(0);
    for attempt in 1..=4 {
        bench.pass(1_000);
        let answer = bench.asked_with(&facts, no_cooldown);
        assert_eq!(answer.attempt, Some(attempt), "{answer:?}");
        bench.restart(attempt, &mut facts);
    }
    bench.pass(1_000);
    let answer = bench.asked_with(&facts, no_cooldown);
    assert_eq!(answer.detail, "Max restarts (4) in last 600s reached");
    bench.pass(44_000);
    let answer = bench.asked(&facts);
    assert_eq!(answer.detail, "Cooldown active (45s < 300s)");
    let view = bench.policy.attempt(4).expect("known");
    assert_eq!(view.window_count, 4);
    assert_eq!(view.window_epochs, [T0 + 1, T0 + 2, T0 + 3, T0 + 4]);
    assert_eq!(view.limits.cooldown_ms, 0);
    let first = bench.policy.attempt(1).expect("known");
    assert_eq!(first.window_count, 1, "later ones do not count for it");
}

#[test]
fn given_limits_replace_the_configured_ones_for_this_request() {
    let restarted = |secs_ago: u64| Entry::Imported {
        target: NAME.into(),
        restarted_at: Timestamp((T0 - secs_ago) * 1_000),
    };
    type Given = fn(&mut RequestInput);
    let table: [(&[u64], Given, Option<Gate>); 7] = [
        (&[20], |r| r.cooldown_ms = Some(20_000), None),
        (
            &[20],
            |r| r.cooldown_ms = Some(20_001),
            Some(Gate::Cooldown),
        ),
        (&[400], |r| r.max_per_window = Some(1), Some(Gate::Window)),
        (
            &[400],
            |r| {
                r.max_per_window = Some(1);
                r.window_ms = Some(400_000);
            },
            None,
        ),
        (&[599, 500, 400, 301], |r| r.max_per_window = Some(5), None),
        (&[599, 500, 400, 301], |_| {}, Some(Gate::Window)),
        (&[], |r| r.max_per_window = Some(0), Some(Gate::Window)),
    ];
    for (i, (times, given, gate)) in table.into_iter().enumerate() {
        let mut bench = Bench::new();
        for secs_ago in times {
            bench.write(restarted(*secs_ago));
        }
        assert_eq!(bench.asked_with(&facts(), given).gate, gate, "row {i}");
    }
}

#[test]
fn limits_longer_than_charges_are_kept_are_wrong_use() {
    type Given = fn(&mut RequestInput);
    let table: [(Given, bool); 3] = [
        (|r| r.window_ms = Some(KEEP_MS), false),
        (|r| r.window_ms = Some(KEEP_MS + 1), true),
        (|r| r.cooldown_ms = Some(KEEP_MS + 1), true),
    ];
    for (given, wrong) in table {
        let mut bench = Bench::new();
        let answer = bench.asked_with(&facts(), given);
        assert_eq!(answer.verdict == Verdict::Refused, wrong);
        assert_eq!(answer.gate, None);
    }
}

#[test]
fn without_a_container_or_facts_it_is_refused() {
    let request = RequestInput {
        target: "nosuch".into(),
        cooldown_ms: None,
        window_ms: None,
        max_per_window: None,
    };
    for (look, gate) in [(Look::Gone, Gate::UnknownTarget), (away(), Gate::NoFacts)] {
        let mut bench = Bench::new();
        let step = bench.policy.handle_request(bench.now, &request, &look);
        let answer = bench.take(step).answer.expect("answered");
        assert_eq!(
            (answer.verdict, answer.gate),
            (Verdict::Refused, Some(gate))
        );
        assert_eq!(bench.policy.poll_timeout(), None);
    }
}

#[test]
fn a_failed_attempt_of_a_person_leaves_nothing_pending() {
    let mut bench = Bench::new();
    let facts = facts();
    bench.asked(&facts);
    for _ in 0..3 {
        bench.look(1, &found(&facts));
        bench.called(
            1,
            Called::Refused {
                status: 500,
                message: "no".into(),
            },
        );
        bench.pass(20_000);
    }
    assert_eq!(bench.outcome(1), Some(Outcome::Failed));
    assert_eq!(bench.policy.counts(bench.now).pending, 0);
}

fn of(target: &str) -> HistoryOf {
    HistoryOf {
        target: Some(target.to_owned()),
        ..HistoryOf::default()
    }
}

#[test]
fn history_shows_attempts_and_refusals_newest_first() {
    let mut bench = Bench::new();
    let facts = facts();
    bench.asked(&facts);
    for _ in 0..3 {
        bench.pass(1_000);
        bench.asked_with(&facts, |request| request.cooldown_ms = Some(0));
    }
    let history = bench.policy.history(&of(NAME), 10);
    assert!(
        matches!(
            &history[..],
            [
                HistoryItem::Refusal {
                    gate: Some(Gate::InProgress),
                    count: 3,
                    ..
                },
                HistoryItem::Attempt(newest)
            ] if newest.attempt == 1
        ),
        "{history:?}"
    );
    assert_eq!(bench.policy.history(&HistoryOf::default(), 1).len(), 1);
    assert!(bench.policy.history(&of("other"), 10).is_empty());
    let json = serde_json::to_value(bench.policy.status(bench.now)).expect("plain data");
    assert_eq!(json["targets"][0]["state"], "restarting");
    let json = serde_json::to_value(&history).expect("plain data");
    assert_eq!(json[1]["kind"], "attempt");
}

#[test]
fn resume_says_what_it_ended() {
    let mut bench = Bench::new();
    let say = |bench: &mut Bench, target: Option<&str>| {
        let step = bench
            .policy
            .handle_resume(bench.now, target, "healer resume");
        bench
            .take(step)
            .answer
            .map(|a| a.detail)
            .unwrap_or_default()
    };
    assert_eq!(say(&mut bench, None), "Nothing is paused or held");
    let step = bench
        .policy
        .handle_pause(bench.now, Some(NAME), Some(9_000), "");
    assert!(step.durable);
    assert_eq!(
        bench.take(step).answer.map(|a| a.detail),
        Some("Paused 'web' for 9s".into())
    );
    bench.write(Entry::Held {
        target: NAME.into(),
        why: "x".into(),
        container_id: None,
        started_at: None,
    });
    assert_eq!(
        say(&mut bench, Some("other")),
        "'other' is neither paused nor held"
    );
    assert_eq!(
        say(&mut bench, Some(NAME)),
        "Ended the pause of 'web', the hold of 'web'"
    );
    assert_eq!(
        say(&mut bench, Some(NAME)),
        "'web' is neither paused nor held"
    );
    let step = bench.policy.handle_pause(bench.now, None, None, "");
    bench.take(step);
    assert!(say(&mut bench, Some(NAME)).contains("all targets are paused"));
    assert_eq!(say(&mut bench, None), "Ended the pause of all targets");
    assert_eq!(bench.asked(&facts()).verdict, Verdict::Restart);
}

#[test]
fn a_name_that_was_only_paused_is_not_known_and_can_be_resumed() {
    let mut bench = Bench::new();
    let known = |bench: &Bench| bench.policy.known_names().any(|name| name == "wbe");
    let resumable = |bench: &Bench| {
        let names = bench.policy.resumable_names(bench.now);
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(bench.policy.known_names().any(|name| name == NAME));
    let step = bench
        .policy
        .handle_pause(bench.now, Some("wbe"), Some(9_000), "");
    bench.take(step);
    assert!(!known(&bench));
    assert_eq!(resumable(&bench), ["wbe"]);
    bench.pass(9_000);
    assert_eq!(resumable(&bench), [""; 0], "it is over");
    bench.write(Entry::Held {
        target: "wbe".into(),
        why: "x".into(),
        container_id: None,
        started_at: None,
    });
    assert!(known(&bench));
    assert_eq!(resumable(&bench), ["wbe"]);
}
