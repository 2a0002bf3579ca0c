//! What people planned: windows of the calendar, the label, and reasons.

use crate::testing::*;
use crate::*;

fn window(name: &str, targets: &[&str], open_s: &[(u64, u64)]) -> Window {
    let ms = |(from, until): &(u64, u64)| ((T0 + from) * 1_000, (T0 + until) * 1_000);
    Window {
        name: name.into(),
        reason: String::new(),
        targets: targets.iter().map(|&t| t.to_owned()).collect(),
        open: open_s.iter().map(ms).collect(),
    }
}

fn with_windows(windows: Vec<Window>) -> Bench {
    let mut bench = Bench::new();
    bench.config.windows = windows;
    bench.policy.configure(bench.config.clone());
    bench
}

fn key() -> PendingKey {
    PendingKey::Target(NAME.into())
}

/// Time goes on until something is due.
fn next(bench: &mut Bench) {
    let due = bench.policy.poll_timeout().expect("something is due");
    bench.pass(due.since(bench.now.at));
}

#[test]
fn a_window_refuses_from_its_beginning_to_its_end_and_names_itself() {
    for (from, until, want) in [
        (0, 60, Some("Maintenance 'nightly' for another 60s")),
        (1, 60, None),
        (0, 0, None),
    ] {
        let mut bench = with_windows(vec![window("nightly", &["w*"], &[(from, until)])]);
        let answer = bench.matched(&facts());
        assert_eq!(answer.gate, want.map(|_| Gate::Maintenance), "{from}");
        match want {
            Some(detail) => assert_eq!(
                (answer.verdict, &*answer.detail),
                (Verdict::Pending, detail)
            ),
            None => assert_eq!(answer.verdict, Verdict::Restart),
        }
    }
    let mut bench = with_windows(vec![window("nightly", &["db"], &[(0, 60)])]);
    assert_eq!(bench.matched(&facts()).verdict, Verdict::Restart);
}

#[test]
fn it_says_why_there_is_a_window_or_a_pause() {
    let mut nightly = window("nightly", &[], &[(0, 60)]);
    nightly.reason = "backups".into();
    let mut bench = with_windows(vec![nightly]);
    let detail = bench.matched(&facts()).detail;
    assert_eq!(detail, "Maintenance 'nightly' for another 60s: backups");

    let mut bench = Bench::new();
    let step = bench
        .policy
        .handle_pause(bench.now, Some(NAME), Some(7_000), "new driver");
    let said = step.answer.as_ref().map(|a| a.detail.clone());
    assert_eq!(said.as_deref(), Some("Paused 'web' for 7s: new driver"));
    bench.take(step);
    let detail = bench.matched(&facts()).detail;
    assert_eq!(detail, "Paused for another 7s: new driver");
    let history = bench.policy.history(&HistoryOf::default(), 10);
    let [HistoryItem::Happened(paused)] = &history[..] else {
        panic!("{history:?}");
    };
    assert_eq!(
        (&*paused.what, &*paused.detail),
        ("paused", "for 7s: new driver")
    );
    bench.crash();
    let status = bench.policy.status(bench.now);
    let paused = status.targets[0].paused.clone().expect("it is paused");
    assert_eq!(paused.reason, "new driver");
}

#[test]
fn what_lasts_longest_is_what_is_told() {
    for (pause_ms, label, want) in [
        (Some(30_000), false, "Maintenance 'nightly' for another 60s"),
        (Some(90_000), false, "Paused for another 90s"),
        (None, false, "Paused until `healer resume`"),
        (None, true, "Label healer.maintenance of 'web'"),
    ] {
        let mut bench = with_windows(vec![window("nightly", &[], &[(0, 60)])]);
        let step = bench.policy.handle_pause(bench.now, None, pause_ms, "");
        bench.take(step);
        let mut facts = facts();
        if label {
            facts.labels.insert(LABEL_MAINTENANCE.into(), "true".into());
        }
        assert_eq!(bench.matched(&facts).detail, want);
    }
}

#[test]
fn the_label_refuses_matches_and_people_and_is_not_by_time() {
    for (value, refused) in [("true", true), ("false", false), ("perhaps", false)] {
        let mut bench = Bench::new();
        let mut facts = facts();
        facts.labels.insert(LABEL_MAINTENANCE.into(), value.into());
        let want = match refused {
            true => (Verdict::Refused, Some(Gate::Maintenance)),
            false => (Verdict::Restart, None),
        };
        let answer = bench.asked(&facts);
        assert_eq!((answer.verdict, answer.gate), want, "{value}");
        let mut bench = Bench::new();
        let answer = bench.matched(&facts);
        assert_eq!((answer.verdict, answer.gate), want, "{value}");
        assert_eq!(bench.policy.counts(bench.now).pending, 0);
    }
}

#[test]
fn what_a_window_held_back_is_decided_again_at_its_end() {
    // Across a renewal that knows no more of it than before.
    let windows = vec![window("nightly", &[], &[(0, 9_000)])];
    let mut bench = with_windows(windows.clone());
    assert_eq!(bench.matched(&facts()).verdict, Verdict::Pending);
    bench.pass(60_000);
    bench.policy.set_windows(windows);
    assert_eq!(bench.policy.poll_timeout(), Some(Timestamp(0)));
    bench.timeout();
    let step = bench.pending_look(&key(), &found(&facts()));
    assert!(!step.entries.iter().any(|e| matches!(e, Entry::Charge(_))));
    next(&mut bench);
    assert_eq!(bench.secs(), T0 + 9_000);
    bench.timeout();
    let step = bench.pending_look(&key(), &found(&facts()));
    assert!(matches!(&step.entries[..], [Entry::Charge(_)]), "{step:?}");
}

#[test]
fn a_window_that_is_taken_away_holds_nothing_back_any_longer() {
    let mut bench = with_windows(vec![window("nightly", &[], &[(0, 9_000)])]);
    assert_eq!(bench.matched(&facts()).verdict, Verdict::Pending);
    bench.pass(60_000);
    bench.config.windows.clear();
    bench.policy.configure(bench.config.clone());
    bench.timeout();
    let step = bench.pending_look(&key(), &found(&facts()));
    assert!(matches!(&step.entries[..], [Entry::Charge(_)]), "{step:?}");
}

#[test]
fn what_waits_already_outlasts_a_window_that_opens_meanwhile() {
    for (pending_max_ms, outlasts) in [(None, true), (Some(600_000), false)] {
        let mut bench = with_windows(vec![window("nightly", &[], &[(300, 9_000)])]);
        bench.config.pending_max_ms = pending_max_ms;
        bench.policy.configure(bench.config.clone());
        bench.write(charge(1, NAME, Cause::Person));
        bench.write(Entry::Outcome {
            attempt: 1,
            outcome: Outcome::Recovered,
            gate: None,
            detail: String::new(),
        });
        let answer = bench.matched(&facts());
        assert_eq!(answer.gate, Some(Gate::Cooldown));
        next(&mut bench);
        bench.timeout();
        bench.pending_look(&key(), &found(&facts()));
        next(&mut bench);
        let until = T0 + if outlasts { 9_000 } else { 600 };
        assert_eq!(bench.secs(), until);
        let ended = bench.timeout().entries;
        let is_end = |e: &Entry| matches!(e, Entry::PendingEnded { .. });
        assert_eq!(!ended.iter().any(is_end), outlasts);
    }
}

#[test]
fn a_clock_that_jumps_moves_the_window_and_not_the_policy() {
    let mut bench = with_windows(vec![window("nightly", &[], &[(100, 200)])]);
    bench.now.wall_ms += 150_000;
    assert_eq!(bench.matched(&facts()).verdict, Verdict::Pending);
    let at = bench.now.at.plus(50_000);
    assert_eq!(bench.policy.poll_timeout(), Some(at));
}
