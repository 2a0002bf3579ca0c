//! From a charge to its outcome.

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
