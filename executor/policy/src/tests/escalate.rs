//! What a restart cannot cure: a person is told, once, and nothing restarts the
//! container until that person has seen to it.

use crate::testing::*;
use crate::*;

fn escalation(bench: &mut Bench, rule: &str) -> IntentInput {
    let mut intent = bench.new_intent(rule);
    if let Some(known) = &mut intent.known {
        known.remedy = RuleRemedy::Escalate;
    }
    intent
}

fn escalate(bench: &mut Bench, rule: &str) -> Step {
    let intent = escalation(bench, rule);
    bench.decide(&intent, &found(&facts()))
}

fn errors(step: &Step) -> usize {
    let told = told(step);
    told.iter()
        .filter(|event| matches!(event, Event::Escalated { .. } | Event::Held { .. }))
        .count()
}

#[test]
fn it_holds_the_target_at_once_and_is_told_once() {
    let mut bench = Bench::new();
    let step = escalate(&mut bench, "xid");
    let answer = step.answer.clone().expect("an answer");
    assert_eq!(
        (answer.verdict, &*answer.detail),
        (
            Verdict::Escalated,
            "Rule 'xid' needs a person: a restart cannot cure it; held until `healer resume web` or \
             verified health"
        )
    );
    assert_eq!(errors(&step), 1);
    let again = escalate(&mut bench, "xid");
    assert_eq!(
        again.answer.as_ref().map(|a| a.verdict),
        Some(Verdict::Escalated)
    );
    assert_eq!(errors(&again), 0, "once is enough");
    assert_eq!(errors(&escalate(&mut bench, "ecc")), 1, "that is another");
    let refusal = bench.matched(&facts());
    assert_eq!(refusal.gate, Some(Gate::Held));
    assert_eq!(
        refusal.detail,
        "Held: rule 'xid' needs a person: a restart cannot cure it (`healer resume web` frees it)"
    );
}

#[test]
fn after_its_end_it_is_told_anew() {
    let mut bench = Bench::new();
    escalate(&mut bench, "xid");
    let step = bench
        .policy
        .handle_resume(bench.now, Some(NAME), "healer resume");
    bench.take(step);
    assert_eq!(errors(&escalate(&mut bench, "xid")), 1);
    assert_eq!(bench.policy.counts(bench.now).held, 1);
}

#[test]
fn what_was_charged_is_not_sent_and_what_was_pending_ends() {
    let mut bench = Bench::new();
    let id = bench.matched(&facts()).attempt.expect("an attempt");
    escalate(&mut bench, "xid");
    let step = bench.look(id, &found(&facts()));
    assert_eq!(calls(&step), []);
    let view = bench.policy.attempt(id).expect("kept");
    assert_eq!(
        (view.outcome, view.gate),
        (Some(Outcome::Aborted), Some(Gate::Held))
    );
    assert_eq!(bench.policy.counts(bench.now).pending, 0);

    let mut bench = Bench::new();
    bench.write(Entry::Imported {
        target: NAME.into(),
        restarted_at: bench.now.at,
    });
    bench.matched(&facts());
    escalate(&mut bench, "xid");
    bench.pass(300_000);
    let key = PendingKey::Target(NAME.into());
    let step = bench.pending_look(&key, &found(&facts()));
    assert!(
        matches!(step.entries[..], [Entry::PendingEnded { .. }]),
        "{step:?}"
    );
}

#[test]
fn it_passes_no_gate_up_to_maintenance_and_every_one_behind() {
    let mut bench = Bench::new();
    bench.write(Entry::Storm {
        why: "?".into(),
        targets: [NAME.to_owned()].into(),
    });
    bench.write(Entry::Imported {
        target: NAME.into(),
        restarted_at: bench.now.at,
    });
    assert_eq!(
        escalate(&mut bench, "xid").answer.map(|a| a.verdict),
        Some(Verdict::Escalated)
    );
    let mut bench = Bench::new();
    bench.write(Entry::Paused {
        target: None,
        until: None,
        reason: String::new(),
    });
    let step = escalate(&mut bench, "xid");
    assert_eq!(step.answer.and_then(|a| a.gate), Some(Gate::Maintenance));
    assert_eq!(bench.policy.counts(bench.now).held, 0);
}

#[test]
fn in_a_dry_run_and_without_facts_people_are_told_once_and_nothing_is_held() {
    for (is_dry, look) in [(true, found(&facts())), (false, away()), (true, away())] {
        let mut bench = Bench::new();
        bench.config.dry_run = is_dry;
        bench.policy.configure(bench.config.clone());
        for (rule, told) in [("xid", 1), ("xid", 0), ("ecc", 1), ("xid", 0), ("ecc", 0)] {
            let intent = escalation(&mut bench, rule);
            let step = bench.decide(&intent, &look);
            let answer = step.answer.as_ref().map(|a| a.verdict);
            assert_eq!(answer, Some(Verdict::Escalated));
            assert_eq!(errors(&step), told, "{rule}: {is_dry} {look:?}");
        }
        assert_eq!(bench.policy.counts(bench.now).held, 0);
    }
}

#[test]
fn a_match_while_it_is_paused_or_held_ends_the_attempt_that_is_watched() {
    type Spoil = fn(&mut Bench);
    let spoils: [Spoil; 2] = [
        |bench| {
            let step = bench.policy.handle_pause(bench.now, Some(NAME), None, "");
            bench.take(step);
        },
        |bench| {
            escalate(bench, "xid");
        },
    ];
    for (i, spoil) in spoils.into_iter().enumerate() {
        let mut bench = Bench::new();
        let mut facts = facts();
        let id = bench.matched(&facts).attempt.expect("an attempt");
        bench.restart(id, &mut facts);
        spoil(&mut bench);
        bench.pass(1_000);
        let refused = bench.matched(&facts);
        assert_eq!(refused.verdict, Verdict::Refused);
        assert_eq!(bench.outcome(id), Some(Outcome::Relapsed), "row {i}");
    }
}
