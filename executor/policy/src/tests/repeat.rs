//! An id is counted once, and sent again it is answered with its state now.

use crate::testing::*;
use crate::*;

#[test]
fn an_unknown_id_is_new() {
    let bench = Bench::new();
    assert_eq!(bench.policy.handle_repeat(bench.now, "i1"), None);
}

#[test]
fn the_answer_follows_the_attempt() {
    let mut bench = Bench::new();
    let mut facts = facts();
    let intent = bench.new_intent("oom");
    bench.decide(&intent, &found(&facts));
    let say = |bench: &Bench| {
        let answer = bench.policy.handle_repeat(bench.now, &intent.id);
        let answer = answer.expect("known");
        assert_eq!(
            (answer.verdict, answer.attempt),
            (Verdict::Restart, Some(1))
        );
        answer.detail
    };
    assert_eq!(say(&bench), "Attempt 1 in progress");
    bench.restart(1, &mut facts);
    assert_eq!(say(&bench), "Attempt 1: restarted, being watched");
    bench.pass(60_000);
    bench.look(1, &found(&facts));
    assert_eq!(say(&bench), "Attempt 1 recovered: it has run for 60s");
}

#[test]
fn a_refusal_is_repeated_as_it_was() {
    let mut bench = Bench::new();
    let intent = bench.new_intent("oom");
    let stopped = Facts {
        state: ContainerState::Exited,
        ..facts()
    };
    let first = bench.decide(&intent, &found(&stopped)).answer;
    bench.pass(10_000);
    bench.crash();
    assert_eq!(bench.policy.handle_repeat(bench.now, &intent.id), first);
}

#[test]
fn a_pending_one_says_when() {
    let mut bench = Bench::new();
    bench.matched(&facts());
    bench.write(Entry::Outcome {
        attempt: 1,
        outcome: Outcome::Aborted,
        gate: None,
        detail: "?".into(),
    });
    let intent = bench.new_intent("oom");
    bench.decide(&intent, &found(&facts()));
    bench.pass(100_000);
    let answer = bench
        .policy
        .handle_repeat(bench.now, &intent.id)
        .expect("known");
    assert_eq!(
        (answer.verdict, answer.gate, &*answer.detail),
        (
            Verdict::Pending,
            Some(Gate::Cooldown),
            "Pending: decided again in 200s"
        )
    );
}

/// `max_age` is 15 min; ids are kept for 5 min more.
#[test]
fn it_is_kept_as_long_as_its_line_could_pass_for_new() {
    for (ahead_s, kept_s) in [
        (0, 1_200),
        (60, 1_260),
        (3_600, 4_800),
        (1_000_000, 1_200 + 86_400),
    ] {
        let mut bench = Bench::new();
        let mut intent = bench.new_intent("oom");
        intent.line = wall(T0 + ahead_s);
        bench.decide(&intent, &Look::Gone);
        bench.pass(kept_s * 1_000 - 1);
        assert!(bench.policy.handle_repeat(bench.now, &intent.id).is_some());
        bench.pass(1);
        assert!(
            bench.policy.handle_repeat(bench.now, &intent.id).is_none(),
            "{ahead_s}"
        );
    }
}

#[test]
fn a_charge_whose_answer_was_torn_off_the_journal_still_knows_its_ids() {
    let mut bench = Bench::new();
    let intent = bench.new_intent("oom");
    bench.decide(&intent, &found(&facts()));
    bench.journal.pop();
    bench.crash();
    let answer = bench.policy.handle_repeat(bench.now, &intent.id);
    assert_eq!(answer.and_then(|a| a.attempt), Some(1));
}

#[test]
fn the_same_id_twice_at_once_is_decided_once() {
    let mut bench = Bench::new();
    let intent = bench.new_intent("oom");
    let first = bench.decide(&intent, &found(&facts()));
    assert_eq!(first.entries.len(), 2);
    // Both had asked for facts before either was answered.
    let second = bench.decide(&intent, &found(&facts()));
    assert_eq!((second.entries, second.actions), (vec![], vec![]));
    assert_eq!(second.answer.and_then(|a| a.attempt), Some(1));
}

#[test]
fn ids_forgotten_before_their_time_make_it_not_ready_for_a_while() {
    let mut bench = Bench::new();
    let decide = |bench: &mut Bench, n: usize| {
        bench.write(Entry::Decided {
            id: n.to_string(),
            target: NAME.into(),
            wire_id: None,
            rule: "oom".into(),
            remedy: RuleRemedy::Restart,
            decision: Verdict::Noted,
            gate: None,
            detail: String::new(),
            line: wall(T0),
            times: Vec::new(),
            attempt: None,
            dry: false,
        });
    };
    for n in 0..IDS_MAX {
        decide(&mut bench, n);
    }
    assert_eq!(bench.policy.not_ready(bench.now), [""; 0]);
    decide(&mut bench, IDS_MAX);
    let why = bench.policy.not_ready(bench.now).join("\n");
    assert!(why.contains("ids forgotten early: 1"), "{why}");
    bench.pass(IDS_FORGOTTEN_MS - 1);
    assert_eq!(bench.policy.not_ready(bench.now).len(), 1);
    bench.pass(1);
    assert_eq!(bench.policy.not_ready(bench.now), [""; 0]);
    assert_eq!(bench.policy.counts(bench.now).ids_forgotten, 1);
}
