//! A dry run answers as the real one would, against a budget of its own.

use crate::testing::*;
use crate::*;

fn dry() -> Bench {
    let mut config = config();
    config.dry_run = true;
    Bench::with(config)
}

#[test]
fn it_charges_a_shadow_and_does_nothing() {
    let mut bench = dry();
    let intent = bench.new_intent("oom");
    let step = bench.decide(&intent, &found(&facts()));
    assert!(
        matches!(
            &step.entries[..],
            [
                Entry::Charge(Charge { shadow: true, .. }),
                Entry::Outcome {
                    outcome: Outcome::Aborted,
                    gate: Some(Gate::DryRun),
                    ..
                },
                Entry::Decided { .. }
            ]
        ),
        "{step:?}"
    );
    assert!(matches!(
        &step.actions[..],
        [Action::Tell(Event::Decided { .. })]
    ));
    let answer = step.answer.expect("answered");
    assert_eq!(
        (answer.verdict, answer.gate, &*answer.detail),
        (
            Verdict::Refused,
            Some(Gate::DryRun),
            "Dry run: would restart 'web'"
        )
    );
    let repeat = bench.policy.handle_repeat(bench.now, &intent.id);
    assert_eq!(repeat.map(|r| r.gate), Some(Some(Gate::DryRun)));
    assert_eq!(bench.policy.poll_timeout(), None);
    assert_eq!(bench.crash().actions, []);
}

#[test]
fn its_budget_answers_as_the_real_one_would() {
    let mut bench = dry();
    bench.matched(&facts());
    bench.pass(45_000);
    let answer = bench.matched(&facts());
    assert_eq!(
        (answer.verdict, &*answer.detail),
        (Verdict::Pending, "Cooldown active (45s < 300s)")
    );
    bench.pass(255_000);
    let step = bench.timeout();
    assert!(matches!(step.actions[..], [Action::LookForPending { .. }]));
    let key = PendingKey::Target(NAME.into());
    let step = bench.pending_look(&key, &found(&facts()));
    assert!(matches!(
        &step.entries[..],
        [
            Entry::Charge(Charge { shadow: true, .. }),
            Entry::Outcome { .. }
        ]
    ));
    assert_eq!(bench.policy.counts(bench.now).pending, 0);
}

#[test]
fn real_decisions_do_not_count_shadows_and_shadows_count_real_ones() {
    let mut bench = dry();
    bench.matched(&facts());
    bench.config.dry_run = false;
    bench.policy.configure(bench.config.clone());
    bench.pass(1_000);
    assert_eq!(bench.matched(&facts()).verdict, Verdict::Restart);
    bench.write(Entry::Outcome {
        attempt: 2,
        outcome: Outcome::Aborted,
        gate: None,
        detail: "?".into(),
    });
    bench.config.dry_run = true;
    bench.policy.configure(bench.config.clone());
    bench.pass(299_500);
    assert_eq!(bench.matched(&facts()).gate, Some(Gate::Cooldown));
}

#[test]
fn a_person_is_refused_by_it_too() {
    let mut bench = dry();
    let answer = bench.asked(&facts());
    assert_eq!(
        (answer.verdict, answer.gate),
        (Verdict::Refused, Some(Gate::DryRun))
    );
    bench.pass(1_000);
    assert_eq!(bench.asked(&facts()).gate, Some(Gate::Cooldown));
}

#[test]
fn an_attempt_is_not_acted_on_once_a_dry_run_is_switched_on() {
    let mut bench = Bench::new();
    bench.matched(&facts());
    bench.config.dry_run = true;
    bench.policy.configure(bench.config.clone());
    let step = bench.look(1, &found(&facts()));
    assert_eq!(calls(&step), []);
    assert_eq!(bench.outcome(1), Some(Outcome::Aborted));
}

#[test]
fn a_charge_whose_outcome_was_torn_off_the_journal_gets_one_at_start() {
    let mut bench = dry();
    bench.matched(&facts());
    bench.journal.truncate(1);
    let step = bench.crash();
    assert!(matches!(
        step.entries[..],
        [Entry::Outcome {
            outcome: Outcome::Aborted,
            ..
        }]
    ));
    assert_eq!(bench.crash().entries, []);
}
