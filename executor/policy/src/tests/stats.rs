//! Success rates and times to recovery.

use crate::testing::*;
use crate::*;

const MINUTE: u64 = 60_000;

/// One attempt, whose line is `line_ms` old and whose restart takes a second; its
/// outcome comes a minute later.
fn attempt(bench: &mut Bench, id: AttemptId, target: &str, outcome: Outcome, line_ms: u64) {
    let line = bench.now.wall_ms - line_ms;
    let cause = Cause::Match {
        rule: "oom".into(),
        line: WallTime {
            secs: line / 1_000,
            nanos: Some((line % 1_000) as u32 * 1_000_000),
        },
        ids: Vec::new(),
        sign: Sign::Line,
    };
    bench.write(charge(id, target, cause));
    bench.pass(1_000);
    if matches!(outcome, Outcome::Recovered | Outcome::Relapsed) {
        bench.write(Entry::Restarted {
            attempt: id,
            started_at: bench.wall_now(),
        });
    }
    bench.pass(MINUTE);
    bench.write(Entry::Outcome {
        attempt: id,
        outcome,
        gate: None,
        detail: String::new(),
    });
}

fn stats(bench: &Bench) -> Stats {
    bench.policy.stats(bench.now, &StatsOf::default())
}

#[test]
fn the_rate_is_of_those_whose_end_says_anything() {
    let mut bench = Bench::new();
    assert_eq!(stats(&bench).all.success_milli(), None);
    let outcomes = [
        Outcome::Recovered,
        Outcome::Relapsed,
        Outcome::Recovered,
        Outcome::Unknown,
        Outcome::Aborted,
        Outcome::Failed,
    ];
    for (id, outcome) in (1..).zip(outcomes) {
        attempt(&mut bench, id, NAME, outcome, 0);
        bench.pass(60 * MINUTE);
    }
    bench.write(charge(7, "db", Cause::Person));
    let seen = stats(&bench);
    let figures = &seen.by_target[NAME];
    assert_eq!((figures.attempts, figures.success_milli()), (6, Some(500)));
    assert_eq!((figures.unknown, figures.aborted, figures.open), (1, 1, 0));
    assert_eq!((seen.all.attempts, seen.all.open), (7, 1));
    assert_eq!(seen.by_rule["oom"], *figures);
    assert_eq!(seen.by_rule[""].attempts, 1, "a person's");
}

#[test]
fn time_to_recovery_is_from_the_first_line_to_the_restart_that_held() {
    let mut bench = Bench::new();
    // Cured at once: 5 s until the charge, one for the restart.
    attempt(&mut bench, 1, NAME, Outcome::Recovered, 5_000);
    bench.pass(60 * MINUTE);
    // Cured by the second.
    attempt(&mut bench, 2, NAME, Outcome::Relapsed, 0);
    bench.pass(4 * MINUTE);
    attempt(&mut bench, 3, NAME, Outcome::Recovered, 0);
    let figures = stats(&bench).all;
    assert_eq!(figures.recoveries_ms, [6_000, 5 * MINUTE + 2_000]);
    let one = |id| bench.policy.recovery_ms(id);
    assert_eq!([one(1), one(2), one(3)], [Some(6_000), None, Some(302_000)]);
    assert_eq!(figures.mean_ms(), Some(154_000));
    assert_eq!(figures.median_ms(), Some(154_000));
    // Another target's, and one that comes long after the last failed.
    attempt(&mut bench, 4, "db", Outcome::Failed, 0);
    bench.pass(24 * 60 * MINUTE);
    attempt(&mut bench, 5, "db", Outcome::Recovered, 2_000);
    let figures = stats(&bench);
    assert_eq!(figures.by_target["db"].recoveries_ms, [3_000]);
    assert_eq!(figures.all.median_ms(), Some(6_000));
}

#[test]
fn a_line_from_the_future_counts_from_its_charge() {
    let mut bench = Bench::new();
    let cause = Cause::Match {
        rule: "oom".into(),
        line: wall(T0 + 3_600),
        ids: Vec::new(),
        sign: Sign::Line,
    };
    bench.write(charge(1, NAME, cause));
    bench.pass(2_000);
    bench.write(Entry::Restarted {
        attempt: 1,
        started_at: bench.wall_now(),
    });
    bench.write(Entry::Outcome {
        attempt: 1,
        outcome: Outcome::Recovered,
        gate: None,
        detail: String::new(),
    });
    assert_eq!(stats(&bench).all.recoveries_ms, [2_000]);
}

#[test]
fn what_is_asked_for_is_what_is_counted() {
    let mut bench = Bench::new();
    attempt(&mut bench, 1, NAME, Outcome::Recovered, 0);
    bench.pass(60 * MINUTE);
    let since = bench.now.wall_ms;
    attempt(&mut bench, 2, NAME, Outcome::Recovered, 0);
    attempt(&mut bench, 3, "db", Outcome::Recovered, 0);
    bench.write(Entry::Paused {
        target: Some(NAME.into()),
        until: None,
        reason: String::new(),
    });
    for _ in 0..3 {
        bench.matched(&facts());
    }
    let of = |target: Option<&str>, rule: Option<&str>, since_wall_ms| {
        let of = StatsOf {
            target: target.map(str::to_owned),
            rule: rule.map(str::to_owned),
            since_wall_ms,
        };
        let all = bench.policy.stats(bench.now, &of).all;
        (all.attempts, all.refused)
    };
    assert_eq!(of(None, None, 0), (3, 3));
    assert_eq!(of(Some(NAME), None, 0), (2, 3));
    assert_eq!(of(Some(NAME), Some("oom"), since), (1, 3));
    assert_eq!(of(Some("db"), None, since), (1, 0));
    assert_eq!(of(None, Some("other"), 0), (0, 0));
}

#[test]
fn dry_runs_are_counted_apart() {
    let mut bench = Bench::new();
    bench.config.dry_run = true;
    bench.policy.configure(bench.config.clone());
    assert_eq!(bench.matched(&facts()).gate, Some(Gate::DryRun));
    let all = stats(&bench).all;
    assert_eq!((all.attempts, all.dry_runs), (0, 1));
    assert_eq!(all.success_milli(), None);
}

#[test]
fn history_is_of_what_is_asked_for() {
    let mut bench = Bench::new();
    attempt(&mut bench, 1, NAME, Outcome::Recovered, 0);
    bench.pass(60 * MINUTE);
    let since = bench.now.wall_ms;
    attempt(&mut bench, 2, NAME, Outcome::Relapsed, 0);
    attempt(&mut bench, 3, "db", Outcome::Recovered, 0);
    bench.write(Entry::Paused {
        target: None,
        until: None,
        reason: String::new(),
    });
    bench.matched(&facts());
    let whats = |of: HistoryOf| {
        let what = |item: HistoryItem| match item {
            HistoryItem::Attempt(attempt) => format!("{} {}", attempt.target, attempt.what),
            HistoryItem::Refusal { target, .. } => format!("{target} refused"),
            HistoryItem::Happened(happened) => happened.what,
        };
        let items = bench.policy.history(&of, 10).into_iter();
        items.map(what).collect::<Vec<_>>()
    };
    let all = HistoryOf::default;
    let text = |text: &str| Some(text.to_owned());
    for (of, want) in [
        (
            HistoryOf {
                target: text("db"),
                ..all()
            },
            vec!["paused", "db recovered"],
        ),
        (
            HistoryOf {
                rule: text("oom"),
                since_wall_ms: since,
                ..all()
            },
            vec!["web refused", "db recovered", "web relapsed"],
        ),
        (
            HistoryOf {
                what: text("recovered"),
                ..all()
            },
            vec!["db recovered", "web recovered"],
        ),
        (
            HistoryOf {
                what: text("refused"),
                target: text("db"),
                ..all()
            },
            vec![],
        ),
    ] {
        let got = whats(of.clone());
        assert_eq!(got.len(), want.len(), "{of:?}: {got:?}");
        assert!(want.iter().all(|w| got.iter().any(|g| g == w)), "{got:?}");
    }
}
