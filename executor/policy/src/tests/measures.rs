//! Remedies other than one restart: commands, sequences, stops.

use crate::testing::*;
use crate::*;

fn reload() -> Exec {
    Exec {
        name: "reload".into(),
        argv: vec!["/bin/kill".into(), "-HUP".into(), "1".into()],
        timeout_ms: 5_000,
    }
}

fn with(measures: &[Measure]) -> Bench {
    let mut config = config();
    let target = config.targets.get_mut(NAME).expect("it is listed");
    let remedy = Remedy::Heal(measures.to_vec());
    target.remedies.by_rule.insert("oom".into(), remedy);
    Bench::with(config)
}

fn exec_then_restart() -> Bench {
    with(&[Measure::Exec(reload()), Measure::Restart])
}

fn failed(why: &str) -> Called {
    Called::Failed { why: why.into() }
}

fn looks_for_the_attempt(step: &Step) -> bool {
    let is_it = |a: &Action| matches!(a, Action::LookForAttempt { attempt: 1, .. });
    step.actions.iter().any(is_it)
}

/// Charged, the command sent.
fn sent(bench: &mut Bench, facts: &Facts) -> Step {
    let answer = bench.matched(facts);
    assert_eq!(answer.verdict, Verdict::Restart);
    let step = bench.look(1, &found(facts));
    assert_eq!(calls(&step), [Call::Exec]);
    step
}

/// The last look of an attempt's verification, `ms` on.
fn watched(bench: &mut Bench, facts: &Facts, ms: u64) -> Step {
    bench.pass(ms);
    bench.timeout();
    bench.look(1, &found(facts))
}

#[test]
fn a_command_that_cures_is_all_that_is_done() {
    let (mut bench, facts) = (exec_then_restart(), facts());
    let answer = bench.matched(&facts);
    let said = "Healing container 'web': exec 'reload', then restart ...";
    assert_eq!(answer.detail, said);
    let step = bench.look(1, &found(&facts));
    let [.., Action::Call { exec, wait_ms, .. }] = &step.actions[..] else {
        panic!("{step:?}");
    };
    assert_eq!((exec, *wait_ms), (&Some(reload()), 15_000));
    let step = bench.called(1, Called::Done);
    assert!(matches!(
        step.entries[..],
        [Entry::Executed {
            attempt: 1,
            end: ExecEnd::Done
        }]
    ));
    watched(&mut bench, &facts, 59_000);
    assert_eq!(bench.outcome(1), None);
    let step = watched(&mut bench, &facts, 1_000);
    assert!(calls(&step).is_empty());
    assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
}

#[test]
fn what_does_not_work_out_is_followed_by_the_next_measure_under_the_same_charge() {
    for called in [
        failed("exit code 1"),
        Called::Refused {
            status: 409,
            message: "paused".into(),
        },
    ] {
        let (mut bench, mut facts) = (exec_then_restart(), facts());
        sent(&mut bench, &facts);
        let step = bench.called(1, called);
        assert!(matches!(
            step.entries[..],
            [Entry::NextMeasure { step: 1, .. }]
        ));
        assert!(looks_for_the_attempt(&step), "{step:?}");
        let step = bench.look(1, &found(&facts));
        assert_eq!(calls(&step), [Call::Restart]);
        facts.started_at = Some(bench.wall_now());
        bench.called(1, Called::Done);
        bench.look(1, &found(&facts));
        watched(&mut bench, &facts, 60_000);
        assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
        let charges = bench
            .journal
            .iter()
            .filter(|r| matches!(r.entry, Entry::Charge(_)));
        assert_eq!(charges.count(), 1);
    }
}

#[test]
fn a_match_while_it_is_watched_leads_on_and_waits_for_the_restart() {
    let (mut bench, mut facts) = (exec_then_restart(), facts());
    sent(&mut bench, &facts);
    bench.pass(1_000);
    bench.called(1, Called::Done);
    bench.pass(2_000);
    let answer = bench.matched(&facts);
    assert_eq!(
        (answer.verdict, answer.gate),
        (Verdict::Pending, Some(Gate::InProgress))
    );
    let step = bench.look(1, &found(&facts));
    assert_eq!(calls(&step), [Call::Restart]);
    bench.pass(1_000);
    facts.started_at = Some(bench.wall_now());
    bench.called(1, Called::Done);
    bench.look(1, &found(&facts));
    bench.pending_look(&PendingKey::Target(NAME.into()), &found(&facts));
    assert_eq!(
        bench.policy.counts(bench.now).pending,
        0,
        "it was dealt with"
    );
    assert_eq!(bench.outcome(1), None, "watched");
}

#[test]
fn lines_from_before_the_command_restart_nothing_while_it_holds() {
    let (mut bench, facts) = (exec_then_restart(), facts());
    let late = bench.new_intent("oom");
    bench.pass(5);
    sent(&mut bench, &facts);
    bench.pass(1_000);
    bench.called(1, Called::Done);
    let step = bench.decide(&late, &found(&facts));
    let answer = step.answer.expect("an answer");
    assert_eq!(
        (answer.verdict, answer.gate),
        (Verdict::Refused, Some(Gate::Stale)),
        "{answer:?}"
    );
}

#[test]
fn with_nothing_to_follow_a_match_is_a_relapse_and_waits_for_the_cooldown() {
    let (mut bench, facts) = (with(&[Measure::Exec(reload())]), facts());
    sent(&mut bench, &facts);
    bench.called(1, Called::Done);
    bench.pass(2_000);
    let answer = bench.matched(&facts);
    assert_eq!(answer.gate, Some(Gate::Cooldown));
    assert_eq!(bench.outcome(1), Some(Outcome::Relapsed));
}

#[test]
fn a_command_whose_end_is_not_known_is_never_run_again() {
    let unclear = Called::Unclear {
        why: "broken".into(),
    };
    for crashes in [false, true] {
        let (mut bench, mut facts) = (exec_then_restart(), facts());
        facts.health = health(HealthStatus::Unhealthy, None);
        sent(&mut bench, &facts);
        bench.pass(100);
        let step = if crashes {
            bench.crash();
            bench.look(1, &found(&facts))
        } else {
            bench.called(1, unclear.clone())
        };
        assert!(
            matches!(
                step.entries[..],
                [Entry::Executed {
                    end: ExecEnd::Unknown,
                    ..
                }]
            ),
            "{step:?}"
        );
        let mut seen = Vec::new();
        for _ in 0..70 {
            let step = watched(&mut bench, &facts, 1_000);
            seen.extend(calls(&step));
        }
        assert_eq!(
            seen,
            [Call::Restart],
            "once it is seen that it has not cured"
        );
    }
}

#[test]
fn each_measure_is_taken_once_over_crashes_and_compactions() {
    let (mut bench, facts) = (exec_then_restart(), facts());
    sent(&mut bench, &facts);
    bench.called(1, failed("exit code 1"));
    bench.journal = bench.policy.snapshot(bench.now);
    bench.crash();
    let step = bench.look(1, &found(&facts));
    assert_eq!(calls(&step), [Call::Restart]);
    bench.journal = bench.policy.snapshot(bench.now);
    bench.crash();
    let step = bench.look(1, &found(&facts));
    assert!(calls(&step).is_empty(), "sent: waits for the stop wait");
}

#[test]
fn an_unhealthy_container_is_given_time_to_be_found_cured() {
    let (mut bench, mut facts) = (exec_then_restart(), facts());
    facts.health = health(HealthStatus::Unhealthy, None);
    sent(&mut bench, &facts);
    bench.called(1, Called::Done);
    let step = watched(&mut bench, &facts, 59_000);
    assert!(calls(&step).is_empty());
    facts.health = health(HealthStatus::Healthy, Some(bench.wall_now()));
    watched(&mut bench, &facts, 1_000);
    assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
}

#[test]
fn what_calls_for_it_may_be_over_before_the_command_ends() {
    let (mut bench, facts) = (exec_then_restart(), facts());
    let mut intent = bench.new_intent("oom");
    intent.known = Some(RuleFacts {
        sign: Sign::Watched {
            clear_within_ms: 120_000,
        },
        ..RuleFacts::default()
    });
    bench.decide(&intent, &found(&facts));
    bench.look(1, &found(&facts));
    bench.pass(1_000);
    let found_at = bench.wall_now();
    let step = bench.policy.handle_clear(ID, "oom", found_at);
    bench.take(step);
    bench.pass(1_000);
    bench.called(1, Called::Done);
    watched(&mut bench, &facts, 60_000);
    assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
}

#[test]
fn a_watch_that_says_nothing_in_time_leads_on() {
    let (mut bench, facts) = (exec_then_restart(), facts());
    let mut intent = bench.new_intent("oom");
    intent.known = Some(RuleFacts {
        sign: Sign::Watched {
            clear_within_ms: 90_000,
        },
        ..RuleFacts::default()
    });
    bench.decide(&intent, &found(&facts));
    bench.look(1, &found(&facts));
    bench.called(1, Called::Done);
    let step = watched(&mut bench, &facts, 89_000);
    assert!(step.entries.is_empty(), "{step:?}");
    let step = watched(&mut bench, &facts, 1_000);
    assert!(
        matches!(step.entries[..], [Entry::NextMeasure { step: 1, .. }]),
        "{step:?}"
    );
}

/// A probe fires, and says between the measures that all is well.
fn cleared_between_measures(refires: bool) -> Option<Outcome> {
    let (mut bench, facts) = (
        with(&[Measure::Exec(reload()), Measure::Exec(reload())]),
        facts(),
    );
    let mut intent = bench.new_intent("oom");
    let sign = Sign::Watched {
        clear_within_ms: 90_000,
    };
    intent.known = Some(RuleFacts {
        sign,
        ..RuleFacts::default()
    });
    bench.decide(&intent, &found(&facts));
    bench.look(1, &found(&facts));
    bench.pass(1_000);
    let found_at = bench.wall_now();
    let step = bench.policy.handle_clear(&facts.id, "oom", found_at);
    bench.take(step);
    if refires {
        bench.called(1, Called::Done);
        bench.pass(1_000);
        let mut again = bench.new_intent("oom");
        again.known.clone_from(&intent.known);
        bench.decide(&again, &found(&facts));
    } else {
        bench.called(1, failed("exit code 1"));
    }
    bench.look(1, &found(&facts));
    bench.called(1, Called::Done);
    watched(&mut bench, &facts, 60_000);
    watched(&mut bench, &facts, 30_000);
    bench.outcome(1)
}

#[test]
fn an_all_clear_counts_for_the_measures_after_it_unless_it_has_matched_again() {
    assert_eq!(cleared_between_measures(false), Some(Outcome::Recovered));
    assert_eq!(cleared_between_measures(true), Some(Outcome::Unknown));
}

#[test]
fn the_gates_are_asked_before_each_measure() {
    let (mut bench, facts) = (exec_then_restart(), facts());
    sent(&mut bench, &facts);
    let step = bench.policy.handle_pause(bench.now, Some(NAME), None, "");
    bench.take(step);
    bench.called(1, failed("exit code 1"));
    let step = bench.look(1, &found(&facts));
    assert!(calls(&step).is_empty(), "{step:?}");
    assert_eq!(bench.outcome(1), Some(Outcome::Aborted));

    let (mut bench, mut facts) = (exec_then_restart(), facts_of());
    sent(&mut bench, &facts);
    bench.called(1, failed("exit code 1"));
    facts.state = ContainerState::Exited;
    let step = bench.look(1, &found(&facts));
    assert!(calls(&step).is_empty(), "what somebody stopped stays so");
    assert_eq!(bench.outcome(1), Some(Outcome::Aborted));
}

fn facts_of() -> Facts {
    facts()
}

#[test]
fn a_container_that_the_command_made_start_anew_is_watched_from_there() {
    let (mut bench, mut facts) = (exec_then_restart(), facts());
    sent(&mut bench, &facts);
    bench.called(1, Called::Done);
    bench.pass(2_000);
    facts.started_at = Some(bench.wall_now());
    bench.timeout();
    let step = bench.look(1, &found(&facts));
    assert!(
        matches!(step.entries[..], [Entry::Restarted { .. }]),
        "{step:?}"
    );
    watched(&mut bench, &facts, 60_000);
    assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
}

#[test]
fn a_settings_reload_does_not_change_what_was_charged() {
    let (mut bench, facts) = (exec_then_restart(), facts());
    bench.matched(&facts);
    bench.policy.configure(config());
    let step = bench.look(1, &found(&facts));
    assert_eq!(calls(&step), [Call::Exec]);
    let step = bench.called(1, failed("exit code 1"));
    assert!(matches!(
        step.entries[..],
        [Entry::NextMeasure { step: 1, .. }]
    ));
}

#[test]
fn escalate_at_the_end_holds_what_was_not_cured() {
    for plan in [
        vec![Measure::Exec(reload()), Measure::Escalate],
        vec![Measure::Restart, Measure::Escalate],
    ] {
        let (mut bench, mut facts) = (with(&plan), facts());
        bench.matched(&facts);
        if plan[0] == Measure::Restart {
            bench.restart(1, &mut facts);
        } else {
            bench.look(1, &found(&facts));
            bench.called(1, Called::Done);
        }
        bench.pass(2_000);
        let answer = bench.matched(&facts);
        assert_eq!(answer.gate, Some(Gate::Held), "{answer:?}");
        assert_eq!(bench.outcome(1), Some(Outcome::Relapsed));
        assert!(bench.policy.status(bench.now).targets[0].held.is_some());
    }
}

/// How the holds that are told come about.
fn escalates(step: &Step) -> Vec<bool> {
    let is_measure = |event: &Event| match event {
        Event::Held { escalates, .. } => Some(*escalates),
        _ => None,
    };
    told(step).into_iter().filter_map(is_measure).collect()
}

#[test]
fn a_hold_says_whether_it_is_its_remedys_own_measure() {
    let plan = [Measure::Restart, Measure::Escalate];
    let (mut bench, mut facts) = (with(&plan), facts());
    bench.matched(&facts);
    bench.restart(1, &mut facts);
    bench.pass(2_000);
    let intent = bench.new_intent("oom");
    let step = bench.decide(&intent, &found(&facts));
    assert_eq!(escalates(&step), [true], "{step:?}");

    // What is down is held before its measures are through.
    let (mut bench, mut facts) = (with(&plan), self::facts());
    bench.matched(&facts);
    bench.look(1, &found(&facts));
    bench.pass(1_000);
    facts.state = ContainerState::Dead;
    bench.called(1, Called::Unclear { why: "?".into() });
    bench.pass(60_000);
    let step = bench.look(1, &found(&facts));
    assert_eq!(bench.outcome(1), Some(Outcome::Unknown));
    assert_eq!(escalates(&step), [false], "{step:?}");
}

#[test]
fn what_was_stopped_stays_down_and_is_held() {
    let (mut bench, mut facts) = (with(&[Measure::Stop]), facts());
    assert_eq!(
        bench.matched(&facts).detail,
        "Healing container 'web': stop ..."
    );
    let step = bench.look(1, &found(&facts));
    assert_eq!(calls(&step), [Call::Stop]);
    bench.pass(10);
    facts.state = ContainerState::Exited;
    facts.finished_at = Some(bench.wall_now());
    bench.called(1, Called::Done);
    let step = bench.look(1, &found(&facts));
    assert!(calls(&step).is_empty());
    assert_eq!(bench.outcome(1), Some(Outcome::Stopped));

    let mut died = bench.new_intent("died");
    died.known = Some(RuleFacts {
        sign: Sign::Ended,
        ..RuleFacts::default()
    });
    died.line = facts.finished_at.expect("it has ended");
    let answer = bench.decide(&died, &found(&facts)).answer;
    assert_eq!(answer.and_then(|a| a.gate), Some(Gate::Held));
    bench.crash();
    assert!(bench.policy.status(bench.now).targets[0].held.is_some());
}

#[test]
fn a_stop_that_was_lost_is_sent_once_more_and_no_third_time() {
    let (mut bench, facts) = (with(&[Measure::Stop]), facts());
    bench.matched(&facts);
    bench.look(1, &found(&facts));
    let mut sent = 1;
    for _ in 0..5 {
        bench.crash();
        bench.pass(25_000);
        bench.timeout();
        sent += calls(&bench.look(1, &found(&facts))).len();
    }
    assert_eq!(sent, 2);
    assert_eq!(bench.outcome(1), Some(Outcome::Unknown));
}

#[test]
fn what_is_set_for_a_rule_wins_over_what_it_says_itself() {
    let mut config = config();
    let target = config.targets.get_mut(NAME).expect("it is listed");
    let remedies = &mut target.remedies.by_rule;
    remedies.insert("note-me".into(), Remedy::Note);
    remedies.insert("tell-me".into(), Remedy::Escalate);
    remedies.insert("do-it".into(), Remedy::Heal(vec![Measure::Restart]));
    let mut bench = Bench::with(config);
    let facts = facts();
    let mut decide = |rule: &str, remedy, look: &Look| {
        let mut intent = bench.new_intent(rule);
        intent.known = Some(RuleFacts {
            remedy,
            ..RuleFacts::default()
        });
        bench
            .decide(&intent, look)
            .answer
            .expect("an answer")
            .verdict
    };
    let found = found(&facts);
    assert_eq!(
        decide("note-me", RuleRemedy::Restart, &found),
        Verdict::Noted
    );
    // Not known yet whose rule it is: what may be done about it waits.
    assert_eq!(
        decide("do-it", RuleRemedy::Escalate, &away()),
        Verdict::Pending
    );
    assert_eq!(
        decide("do-it", RuleRemedy::Escalate, &found),
        Verdict::Restart
    );
    assert_eq!(
        decide("tell-me", RuleRemedy::Restart, &found),
        Verdict::Escalated
    );
}

#[test]
fn a_persons_request_is_one_restart_whatever_is_set() {
    let (mut bench, facts) = (with(&[Measure::Stop]), facts());
    bench.asked(&facts);
    assert_eq!(calls(&bench.look(1, &found(&facts))), [Call::Restart]);
}

#[test]
fn a_dry_run_says_what_it_would_do() {
    let mut config = exec_then_restart().config;
    config.dry_run = true;
    let answer = Bench::with(config).matched(&facts());
    let said = "Dry run: would heal 'web': exec 'reload', then restart";
    assert_eq!((answer.gate, &*answer.detail), (Some(Gate::DryRun), said));
}

#[test]
fn before_the_start_delay_is_over_an_unhealthy_check_says_nothing() {
    let mut config = config();
    let target = config.targets.get_mut(NAME).expect("it is listed");
    target.recovery.start_delay_ms = 30_000;
    let (mut bench, mut facts) = (Bench::with(config), facts());
    bench.matched(&facts);
    bench.restart(1, &mut facts);
    facts.health = health(HealthStatus::Unhealthy, None);
    watched(&mut bench, &facts, 29_000);
    assert_eq!(bench.outcome(1), None);
    facts.health = health(HealthStatus::Healthy, None);
    watched(&mut bench, &facts, 60_000);
    assert_eq!(bench.outcome(1), None, "a minute from the delay's end");
    watched(&mut bench, &facts, 1_000);
    assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
}
