//! The life of a pending target.

use crate::testing::*;
use crate::*;

fn key() -> PendingKey {
    PendingKey::Target(NAME.into())
}

fn id_key() -> PendingKey {
    PendingKey::Id(ID.into())
}

/// A bench with a charge ten seconds ago and a match now: pending on the
/// cooldown, 290 s left. Returns the intent's id, too.
fn pending() -> (Bench, Facts, String) {
    let mut bench = Bench::new();
    let restarted_at = Timestamp(bench.now.at.0 - 10_000);
    bench.write(Entry::Imported {
        target: NAME.into(),
        restarted_at,
    });
    let facts = facts();
    let intent = bench.new_intent("oom");
    let step = bench.decide(&intent, &found(&facts));
    assert!(step.durable);
    assert_eq!(
        step.answer.map(|a| (a.verdict, a.detail)),
        Some((Verdict::Pending, "Cooldown active (10s < 300s)".into()))
    );
    (bench, facts, intent.id)
}

fn status(bench: &Bench) -> Option<PendingStatus> {
    let status = bench.policy.status(bench.now);
    status.targets.into_iter().find_map(|t| t.pending)
}

/// Lets time pass until the pending target is looked for.
fn due(bench: &mut Bench) -> PendingKey {
    for _ in 0..1_000 {
        let due = bench.policy.poll_timeout().expect("something is due");
        bench.pass(due.since(bench.now.at));
        for action in bench.timeout().actions {
            if let Action::LookForPending { key } = action {
                return key;
            }
        }
    }
    panic!("nothing pending is ever looked for");
}

/// Why a pending ended, if `step` says so.
fn ended(step: &Step) -> Option<&str> {
    step.entries.iter().find_map(|entry| match entry {
        Entry::PendingEnded { why, .. } => Some(&**why),
        _ => None,
    })
}

#[test]
fn it_is_decided_again_when_the_time_has_come_with_fresh_facts() {
    let (mut bench, facts, id) = pending();
    assert_eq!(due(&mut bench), key());
    assert_eq!(bench.secs(), T0 + 290);
    let step = bench.pending_look(&key(), &found(&facts));
    assert!(
        matches!(&step.entries[..], [Entry::Charge(charge)]
            if matches!(&charge.cause, Cause::Match { ids, .. } if *ids == [id.clone()])),
        "{step:?}"
    );
    assert!(step.durable);
    assert_eq!(status(&bench), None);
    let repeat = bench.policy.handle_repeat(bench.now, &id);
    assert_eq!(
        repeat.map(|r| (r.verdict, r.attempt)),
        Some((Verdict::Restart, Some(1)))
    );
}

#[test]
fn every_end_other_than_a_charge() {
    type Change = fn(&mut Facts);
    use HealthStatus::{Healthy, Starting, Unhealthy};
    let table: [(Change, Option<&str>); 13] = [
        (|_| {}, None),
        (
            |f| f.health = health(Healthy, Some(wall(T0 + 1))),
            Some("recovered by itself"),
        ),
        (|f| f.health = health(Healthy, Some(wall(T0))), None),
        (|f| f.health = health(Healthy, Some(wall(T0 - 1))), None),
        (|f| f.health = health(Healthy, None), None),
        (|f| f.health = health(Starting, Some(wall(T0 + 1))), None),
        (|f| f.health = health(Unhealthy, Some(wall(T0 + 1))), None),
        (
            |f| f.id = "b".repeat(64),
            Some("another container has its name by now"),
        ),
        (
            |f| f.started_at = Some(wall(T0 + 1)),
            Some("the container has started anew since the line"),
        ),
        (|f| f.started_at = Some(wall(T0)), None),
        (
            |f| f.state = ContainerState::Exited,
            Some("'web' is exited, not running"),
        ),
        (
            |f| {
                f.labels.insert("healer.enable".into(), "no".into());
            },
            Some("'web' is switched off by its label healer.enable=false"),
        ),
        (
            |f| f.is_self_or_peer = true,
            Some("'web' is the healer's own container or the sender's"),
        ),
    ];
    for (i, (change, want)) in table.into_iter().enumerate() {
        let (mut bench, mut facts, id) = pending();
        due(&mut bench);
        change(&mut facts);
        let step = bench.pending_look(&key(), &found(&facts));
        assert_eq!(ended(&step), want, "row {i}");
        let repeat = bench.policy.handle_repeat(bench.now, &id).expect("known");
        match want {
            Some(why) => {
                let told_end = Event::PendingEnded {
                    target: NAME.into(),
                    why: why.into(),
                    expired: false,
                    dry: false,
                };
                assert!(told(&step).contains(&&told_end), "row {i}");
                assert_eq!(
                    (repeat.verdict, repeat.gate, &*repeat.detail),
                    (Verdict::Refused, Some(Gate::Cooldown), why)
                );
                assert_eq!(bench.policy.poll_timeout(), None);
            }
            None => assert_eq!(repeat.verdict, Verdict::Restart, "row {i}"),
        }
    }
    let (mut bench, ..) = pending();
    due(&mut bench);
    let step = bench.pending_look(&key(), &Look::Gone);
    assert_eq!(ended(&step), Some("the container is gone"));
}

#[test]
fn it_expires_after_the_largest_limit_and_a_quarter_of_an_hour_and_is_told() {
    let (mut bench, ..) = pending();
    assert_eq!(status(&bench).map(|p| p.expires_ms), Some(1_500_000));
    due(&mut bench);
    // Docker stays away.
    loop {
        let step = bench.pending_look(&key(), &away());
        assert_eq!(step, Step::default());
        let wake = bench.policy.poll_timeout().expect("goes on");
        bench.pass(wake.since(bench.now.at));
        let step = bench.timeout();
        if let Some(why) = ended(&step) {
            assert_eq!(why, "expired: cooldown has refused until then");
            assert!(matches!(
                told(&step)[..],
                [Event::PendingEnded { expired: true, .. }]
            ));
            break;
        }
    }
    assert_eq!(bench.now.at, Timestamp((T0 + 1_500) * 1_000));
    assert_eq!(status(&bench), None);
}

#[test]
fn pending_max_is_what_the_configuration_says() {
    let mut config = config();
    config.pending_max_ms = Some(7_000);
    let mut bench = Bench::with(config);
    let facts = facts();
    bench.matched(&facts);
    bench.matched(&facts);
    assert_eq!(status(&bench).map(|p| p.expires_ms), Some(7_000));
    bench.pass(6_999);
    assert_eq!(bench.timeout(), Step::default());
    bench.pass(1);
    assert!(ended(&bench.timeout()).is_some());
}

#[test]
fn it_outlasts_the_pause_that_it_waits_for() {
    let mut bench = Bench::new();
    let step = bench
        .policy
        .handle_pause(bench.now, None, Some(7_200_000), "");
    bench.take(step);
    let facts = facts();
    assert_eq!(bench.matched(&facts).verdict, Verdict::Pending);
    assert_eq!(due(&mut bench), key());
    assert_eq!(bench.secs(), T0 + 7_200);
    let step = bench.pending_look(&key(), &found(&facts));
    assert!(matches!(&step.entries[..], [Entry::Charge(_)]));
}

#[test]
fn the_end_of_a_pause_by_hand_decides_at_once() {
    let mut bench = Bench::new();
    let step = bench
        .policy
        .handle_pause(bench.now, None, Some(7_200_000), "");
    bench.take(step);
    assert_eq!(bench.matched(&facts()).verdict, Verdict::Pending);
    bench.pass(5_000);
    let step = bench.policy.handle_resume(bench.now, None, "healer resume");
    bench.take(step);
    assert_eq!(bench.policy.poll_timeout(), Some(bench.now.at));
    assert!(matches!(
        &bench.timeout().actions[..],
        [Action::LookForPending { .. }]
    ));
}

#[test]
fn one_per_target_and_the_newest_line_and_rule_win() {
    let (mut bench, facts, first) = pending();
    bench.pass(20_000);
    let newer = bench.new_intent("nccl");
    let step = bench.decide(&newer, &found(&facts));
    assert!(!step.durable, "it was pending on disk already");
    let mut late = bench.new_intent("late");
    late.line = wall(T0 + 5);
    bench.decide(&late, &found(&facts));
    assert_eq!(bench.policy.counts(bench.now).pending, 1);
    let seen = status(&bench).expect("pending");
    assert_eq!((&*seen.rule, seen.line), ("nccl", wall(T0 + 20)));
    assert_eq!(seen.due_ms, 270_000);
    assert_eq!(seen.expires_ms, 1_500_000, "counts from the newest intent");

    due(&mut bench);
    let step = bench.pending_look(&key(), &found(&facts));
    let Some(Entry::Charge(charge)) = step.entries.first() else {
        panic!("{step:?}");
    };
    assert_eq!(
        charge.cause,
        Cause::Match {
            rule: "nccl".into(),
            line: wall(T0 + 20),
            ids: vec![first, newer.id, late.id],
            sign: Sign::Line,
        }
    );
}

#[test]
fn a_renewal_does_not_prolong_it() {
    let (mut bench, facts, _) = pending();
    due(&mut bench);
    let step = bench.policy.handle_pause(bench.now, None, Some(60_000), "");
    bench.take(step);
    let step = bench.pending_look(&key(), &found(&facts));
    assert!(
        told(&step).iter().any(|event| matches!(
            event,
            Event::Decided { decided, .. }
                if decided.verdict == Verdict::Pending && decided.gate == Some(Gate::Maintenance)
        )),
        "pending anew is told"
    );
    let seen = status(&bench).expect("still pending");
    assert_eq!(
        (seen.gate, seen.due_ms, seen.expires_ms),
        (Gate::Maintenance, 60_000, 1_210_000)
    );
}

#[test]
fn beyond_the_limit_of_ids_the_newest_are_named_and_all_are_answered() {
    let (mut bench, facts, first) = pending();
    for _ in 0..PENDING_IDS_MAX {
        let intent = bench.new_intent("oom");
        bench.decide(&intent, &found(&facts));
    }
    due(&mut bench);
    let step = bench.pending_look(&key(), &found(&facts));
    let Some(Entry::Charge(charge)) = step.entries.first() else {
        panic!("{step:?}");
    };
    let Cause::Match { ids, .. } = &charge.cause else {
        panic!("{charge:?}");
    };
    assert_eq!(ids.len(), PENDING_IDS_MAX);
    assert!(!ids.contains(&first));
    let repeat = bench.policy.handle_repeat(bench.now, &first);
    assert_eq!(repeat.map(|r| r.verdict), Some(Verdict::Restart));
}

#[test]
fn in_progress_waits_for_the_engines_answer() {
    let mut bench = Bench::new();
    let mut facts = facts();
    bench.matched(&facts);
    bench.look(1, &found(&facts));
    bench.pass(1_000);
    assert_eq!(bench.matched(&facts).gate, Some(Gate::InProgress));
    // Restarted: the line is from before the start.
    bench.pass(1_000);
    facts.started_at = Some(bench.wall_now());
    bench.called(1, Called::Done);
    bench.look(1, &found(&facts));
    assert_eq!(due(&mut bench), key());
    assert_eq!(bench.secs(), T0 + 2, "at once");
    let step = bench.pending_look(&key(), &found(&facts));
    assert_eq!(
        ended(&step),
        Some("the container has started anew since the line")
    );
    assert_eq!(bench.outcome(1), None, "no relapse by an old line");
}

#[test]
fn in_progress_is_decided_again_when_the_attempt_came_to_nothing() {
    let mut bench = Bench::new();
    let facts = facts();
    bench.asked(&facts);
    bench.pass(1_000);
    assert_eq!(bench.matched(&facts).gate, Some(Gate::InProgress));
    bench.write(Entry::Outcome {
        attempt: 1,
        outcome: Outcome::Aborted,
        gate: None,
        detail: "?".into(),
    });
    assert_eq!(due(&mut bench), key());
    assert_eq!(bench.secs(), T0 + 1);
    let step = bench.pending_look(&key(), &found(&facts));
    assert_eq!(status(&bench).map(|p| p.gate), Some(Gate::Cooldown));
    assert!(!step.durable);
}

mod no_facts {
    use super::*;

    #[test]
    fn it_is_kept_by_its_id_and_retried_with_growing_waits() {
        let mut bench = Bench::new();
        let intent = bench.new_intent("oom");
        let step = bench.decide(&intent, &away());
        assert!(step.durable);
        assert_eq!(
            step.answer.map(|a| (a.verdict, a.gate, a.detail)),
            Some((
                Verdict::Pending,
                Some(Gate::NoFacts),
                "No facts from Docker: inspect timed out after 100 ms".into()
            ))
        );
        let mut waits = Vec::new();
        let mut last = bench.now.at;
        for _ in 0..8 {
            assert_eq!(due(&mut bench), id_key());
            waits.push(bench.now.at.since(last) / 1_000);
            last = bench.now.at;
            bench.pending_look(&id_key(), &away());
        }
        assert_eq!(waits, [1, 1, 2, 4, 8, 16, 30, 30]);
        due(&mut bench);
        let step = bench.pending_look(&id_key(), &found(&facts()));
        assert!(
            matches!(
                &step.entries[..],
                [Entry::Pending(renamed), Entry::Decided { .. }, Entry::Charge(charge)]
                    if renamed.key == key() && renamed.was == Some(id_key())
                        && charge.target == NAME
            ),
            "{step:?}"
        );
        assert_eq!(bench.policy.counts(bench.now).pending, 0);
        let repeat = bench.policy.handle_repeat(bench.now, &intent.id);
        assert_eq!(repeat.map(|r| r.verdict), Some(Verdict::Restart));
    }

    #[test]
    fn where_only_a_name_is_known_that_is_the_key() {
        let mut bench = Bench::new();
        let mut intent = bench.new_intent("oom");
        intent.wire_id = None;
        intent.wire_target = NAME.into();
        bench.decide(&intent, &away());
        assert_eq!(due(&mut bench), key());
    }

    #[test]
    fn under_its_name_it_joins_what_is_pending_there() {
        let (mut bench, facts, first) = pending();
        bench.pass(5_000);
        let intent = bench.new_intent("nccl");
        bench.decide(&intent, &away());
        assert_eq!(bench.policy.counts(bench.now).pending, 2);
        assert_eq!(due(&mut bench), id_key());
        let step = bench.pending_look(&id_key(), &found(&facts));
        assert!(matches!(
            &step.entries[..],
            [Entry::Pending(_), Entry::Decided { .. }, Entry::Pending(_)]
        ));
        assert_eq!(bench.policy.counts(bench.now).pending, 1);
        assert_eq!(status(&bench).map(|p| p.rule), Some("nccl".into()));
        due(&mut bench);
        bench.pending_look(&key(), &found(&facts));
        for id in [first, intent.id] {
            let repeat = bench.policy.handle_repeat(bench.now, &id);
            assert_eq!(repeat.map(|r| r.verdict), Some(Verdict::Restart));
        }
    }

    #[test]
    fn matches_are_counted_under_the_name_once_it_is_known() {
        let mut bench = Bench::new();
        let send = |bench: &mut Bench, look: &Look| {
            let mut intent = bench.new_intent("rare");
            if let Some(known) = &mut intent.known {
                known.threshold = Some((3, 60_000));
            }
            bench.decide(&intent, look).answer.expect("answered")
        };
        assert_eq!(send(&mut bench, &away()).gate, Some(Gate::NoFacts));
        due(&mut bench);
        let step = bench.pending_look(&id_key(), &found(&facts()));
        assert_eq!(
            ended(&step),
            Some("Below threshold (1 of 3 matches within 60s)")
        );
        let look = found(&facts());
        assert_eq!(send(&mut bench, &look).gate, Some(Gate::BelowThreshold));
        assert_eq!(send(&mut bench, &away()).gate, Some(Gate::NoFacts));
        due(&mut bench);
        let step = bench.pending_look(&id_key(), &look);
        assert!(
            matches!(
                &step.entries[..],
                [Entry::Pending(_), Entry::Decided { .. }, Entry::Charge(_)]
            ),
            "three by now: {step:?}"
        );
    }

    #[test]
    fn a_line_that_is_too_old_is_refused_all_the_same() {
        let mut bench = Bench::new();
        let mut intent = bench.new_intent("oom");
        intent.line = wall(T0 - 901);
        let answer = bench.decide(&intent, &away()).answer.expect("answered");
        assert_eq!(
            (answer.verdict, answer.gate),
            (Verdict::Refused, Some(Gate::Stale))
        );
    }

    #[test]
    fn an_age_is_judged_once_on_arrival() {
        let mut bench = Bench::new();
        let mut intent = bench.new_intent("oom");
        intent.line = wall(T0 - 899);
        bench.decide(&intent, &away());
        due(&mut bench);
        bench.pass(100_000);
        let step = bench.pending_look(&id_key(), &found(&facts()));
        assert!(matches!(
            step.entries[..],
            [_, Entry::Decided { .. }, Entry::Charge(_)]
        ));
    }

    #[test]
    fn a_person_is_told_and_a_note_is_taken_without_facts() {
        for (remedy, verdict) in [
            (RuleRemedy::Escalate, Verdict::Escalated),
            (RuleRemedy::Note, Verdict::Noted),
        ] {
            let mut bench = Bench::new();
            let mut intent = bench.new_intent("oom");
            if let Some(known) = &mut intent.known {
                known.remedy = remedy;
            }
            let answer = bench.decide(&intent, &away()).answer.expect("answered");
            assert_eq!(answer.verdict, verdict);
            assert_eq!(bench.policy.poll_timeout(), None);
        }
    }
}

#[test]
fn looks_are_limited_and_none_is_forgotten() {
    let mut bench = Bench::new();
    let total = PENDING_LOOKS_MAX + 5;
    for n in 0..total {
        let mut intent = bench.new_intent("oom");
        intent.wire_id = Some(format!("{n:064x}"));
        bench.decide(&intent, &away());
    }
    bench.pass(1_000);
    let mut asked = Vec::new();
    let mut take = |step: Step| {
        for action in step.actions {
            if let Action::LookForPending { key } = action {
                asked.push(key);
            }
        }
    };
    take(bench.timeout());
    take(bench.timeout());
    let first: Vec<PendingKey> = (0..PENDING_LOOKS_MAX)
        .map(|n| PendingKey::Id(format!("{n:064x}")))
        .collect();
    assert!(
        bench.policy.poll_timeout() > Some(bench.now.at),
        "nothing to do until a result comes"
    );
    for key in &first {
        bench.pending_look(key, &Look::Gone);
    }
    assert_eq!(bench.policy.poll_timeout(), Some(bench.now.at));
    take(bench.timeout());
    assert_eq!(asked.len(), total);
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), total);
}

#[test]
fn beyond_the_limit_of_pendings_a_refusal_stays_one_and_says_so() {
    let mut bench = Bench::new();
    for n in 0..PENDINGS_MAX {
        let mut intent = bench.new_intent("oom");
        intent.wire_id = Some(format!("{n:064x}"));
        bench.decide(&intent, &away());
    }
    let intent = bench.new_intent("oom");
    let step = bench.decide(&intent, &away());
    assert_eq!(
        step.answer.map(|a| (a.verdict, a.gate, a.detail)),
        Some((
            Verdict::Refused,
            Some(Gate::NoFacts),
            "No facts from Docker: inspect timed out after 100 ms; not kept: 4096 targets are \
             pending already"
                .into()
        ))
    );
    assert_eq!(bench.policy.counts(bench.now).pending, PENDINGS_MAX);
}

#[test]
fn it_survives_a_crash_and_is_decided_at_once_when_overdue() {
    let (mut bench, facts, id) = pending();
    bench.pass(1_000_000);
    let step = bench.crash();
    assert_eq!(step.actions, [Action::LookForPending { key: key() }]);
    let step = bench.pending_look(&key(), &found(&facts));
    assert!(matches!(&step.entries[..], [Entry::Charge(_)]));
    let repeat = bench.policy.handle_repeat(bench.now, &id);
    assert_eq!(repeat.and_then(|r| r.attempt), Some(1));
}

#[test]
fn a_look_that_is_lost_is_asked_for_again() {
    let (mut bench, ..) = pending();
    due(&mut bench);
    let lost = bench.now.at;
    assert_eq!(due(&mut bench), key());
    assert_eq!(bench.now.at.since(lost), LOOK_LOST_MS);
}

#[test]
fn a_charge_that_could_not_be_written_is_tried_again() {
    let (mut bench, facts, _) = pending();
    due(&mut bench);
    let lost = bench
        .policy
        .handle_pending_look(bench.now, &key(), &found(&facts));
    assert!(matches!(&lost.entries[..], [Entry::Charge(_)]));
    let before = bench.now.at;
    assert_eq!(due(&mut bench), key());
    assert_eq!(bench.now.at.since(before), 1_000);
}

#[test]
fn a_charge_by_a_fresh_match_answers_what_was_pending() {
    let (mut bench, facts, id) = pending();
    bench.pass(290_000);
    assert_eq!(bench.matched(&facts).attempt, Some(1));
    assert_eq!(status(&bench), None);
    let repeat = bench.policy.handle_repeat(bench.now, &id);
    assert_eq!(repeat.and_then(|r| r.attempt), Some(1));
}

#[test]
fn a_persons_restart_ends_it_once_the_container_runs_anew() {
    let (mut bench, mut facts, _) = pending();
    bench.asked_with(&facts, |request| request.cooldown_ms = Some(0));
    assert!(status(&bench).is_some());
    bench.pass(1_000);
    bench.restart(1, &mut facts);
    assert_eq!(due(&mut bench), key());
    assert_eq!(bench.secs(), T0 + 1);
    let step = bench.pending_look(&key(), &found(&facts));
    assert!(ended(&step).is_some());
}

#[test]
fn an_end_that_could_not_be_written_is_tried_again_a_second_later() {
    let (mut bench, ..) = pending();
    bench.pass(1_500_000);
    let lost = bench.policy.handle_timeout(bench.now);
    assert!(ended(&lost).is_some());
    let again = bench.now.at.plus(1_000);
    assert_eq!(bench.policy.poll_timeout(), Some(again));
    bench.pass(999);
    assert_eq!(bench.timeout(), Step::default());
    bench.pass(1);
    assert!(ended(&bench.timeout()).is_some());
}

#[test]
fn facts_from_before_the_end_of_an_attempt_are_asked_for_again() {
    let (mut bench, mut facts, _) = pending();
    due(&mut bench);
    let old = Facts {
        read_at: bench.now.at,
        ..facts.clone()
    };
    bench.pass(1);
    bench.asked_with(&facts, |request| request.cooldown_ms = Some(0));
    bench.restart(1, &mut facts);
    let step = bench.pending_look(&key(), &found(&old));
    assert_eq!(step.entries, []);
    assert_eq!(step.actions, [Action::LookForPending { key: key() }]);
    // And for an intent that was asked about in the meantime.
    let mut bench = Bench::new();
    if let Some(web) = bench.config.targets.get_mut(NAME) {
        web.limits.cooldown_ms = 0;
    }
    bench.policy.configure(bench.config.clone());
    let mut facts = crate::testing::facts();
    let intent = bench.new_intent("oom");
    let arrived = bench.now.at;
    let old = Facts {
        read_at: arrived,
        ..facts.clone()
    };
    bench.pass(1);
    bench.asked(&facts);
    bench.restart(1, &mut facts);
    let step = bench
        .policy
        .handle_intent(bench.now, arrived, &intent, &found(&old))
        .expect("decided");
    let answer = step.answer.expect("answered");
    assert_eq!(
        (answer.verdict, answer.gate),
        (Verdict::Pending, Some(Gate::NoFacts))
    );
}

#[test]
fn an_id_whose_answer_was_torn_off_the_journal_leads_to_one_charge_all_the_same() {
    let mut bench = Bench::new();
    let intent = bench.new_intent("oom");
    bench.decide(&intent, &away());
    // The pending was written, the answer was not; so it is sent again.
    bench.journal.truncate(1);
    bench.crash();
    bench.decide(&intent, &found(&facts()));
    bench.write(Entry::Outcome {
        attempt: 1,
        outcome: Outcome::Aborted,
        gate: None,
        detail: "?".into(),
    });
    bench.pass(300_000);
    let step = bench.pending_look(&PendingKey::Id(ID.into()), &found(&facts()));
    let again = step.entries.iter().find_map(|entry| match entry {
        Entry::Charge(charge) => Some(charge.cause.clone()),
        _ => None,
    });
    assert!(
        matches!(&again, Some(Cause::Match { ids, .. }) if ids.is_empty()),
        "{again:?}"
    );
}

#[test]
fn of_those_due_at_the_same_time_the_oldest_line_comes_first() {
    let mut bench = Bench::new();
    let due = bench.now.at.plus(1_000);
    // The order of the names is another one, and the last to come is due first.
    for (name, line, due) in [
        ("c", wall(T0 - 3), due),
        ("a", wall(T0 - 1), due),
        ("b", wall(T0 - 2), due),
        ("d", wall(T0), bench.now.at),
    ] {
        bench.write(Entry::Pending(Pending {
            key: PendingKey::Target(name.into()),
            gate: Gate::HostLimit,
            rule: "oom".into(),
            line,
            container_id: None,
            ids: Vec::new(),
            remedy: RuleRemedy::Restart,
            awaits: None,
            sign: Sign::Line,
            threshold: None,
            was: None,
            due,
            expires: due.plus(60_000),
        }));
    }
    bench.pass(1_000);
    let looked: Vec<String> = bench
        .timeout()
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::LookForPending { key } => Some(key.as_str().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(looked, ["d", "c", "b", "a"]);
}
