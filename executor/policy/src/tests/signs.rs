//! What is watched and may be over, and what has ended by itself.

use crate::testing::*;
use crate::*;

const PATIENCE_MS: u64 = 90_000;

fn fired(bench: &mut Bench, rule: &str, sign: Sign, found: WallTime) -> IntentInput {
    IntentInput {
        known: Some(RuleFacts {
            sign,
            ..RuleFacts::default()
        }),
        line: found,
        times: Vec::new(),
        ..bench.new_intent(rule)
    }
}

fn hung(bench: &mut Bench) -> IntentInput {
    let sign = Sign::Watched {
        clear_within_ms: PATIENCE_MS,
    };
    let found = bench.wall_now();
    fired(bench, "probe-api", sign, found)
}

fn clear(bench: &mut Bench) -> Step {
    let step = bench.policy.handle_clear(ID, "probe-api", bench.wall_now());
    bench.take(step)
}

/// A container that ended by itself now.
fn ended(bench: &Bench) -> Facts {
    Facts {
        state: ContainerState::Exited,
        finished_at: Some(bench.wall_now()),
        ..facts()
    }
}

fn died(bench: &mut Bench, facts: &Facts) -> Decided {
    let found_at = facts.finished_at.expect("it has ended");
    let intent = fired(bench, "died", Sign::Ended, found_at);
    let step = bench.decide(&intent, &found(facts));
    step.answer.expect("answered")
}

/// From the firing to the watch that follows the restart.
fn restarted(bench: &mut Bench) -> Facts {
    let mut facts = facts();
    let intent = hung(bench);
    bench.decide(&intent, &found(&facts));
    bench.restart(1, &mut facts);
    facts
}

#[test]
fn what_is_watched_recovers_only_once_it_is_over() {
    let mut bench = Bench::new();
    let facts = restarted(&mut bench);
    bench.pass(60_000);
    bench.look(1, &found(&facts));
    assert_eq!(bench.outcome(1), None, "stable, and nothing is said yet");
    clear(&mut bench);
    bench.look(1, &found(&facts));
    assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
}

#[test]
fn an_all_clear_of_another_rule_container_or_start_is_none() {
    let mut bench = Bench::new();
    let facts = restarted(&mut bench);
    let here = bench.wall_now();
    let before = wall(T0 - 1);
    for (id, rule, found_at) in [
        (ID, "probe-other", here),
        (&*"b".repeat(64), "probe-api", here),
        (ID, "probe-api", before),
    ] {
        let step = bench.policy.handle_clear(id, rule, found_at);
        assert_eq!(step, Step::default());
    }
    bench.pass(60_000);
    bench.look(1, &found(&facts));
    assert_eq!(bench.outcome(1), None);
}

#[test]
fn an_all_clear_may_be_quicker_than_the_engines_answer() {
    let mut bench = Bench::new();
    let mut facts = facts();
    let intent = hung(&mut bench);
    bench.decide(&intent, &found(&facts));
    bench.look(1, &found(&facts));
    bench.pass(400);
    facts.started_at = Some(bench.wall_now());
    bench.pass(10);
    clear(&mut bench);
    bench.called(1, Called::Done);
    bench.look(1, &found(&facts));
    bench.pass(60_000);
    bench.look(1, &found(&facts));
    assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
}

#[test]
fn nobody_knows_where_the_watch_says_nothing_in_time() {
    for (after_ms, outcome) in [
        (PATIENCE_MS - 1, None),
        (PATIENCE_MS, Some(Outcome::Unknown)),
    ] {
        let mut bench = Bench::new();
        let facts = restarted(&mut bench);
        bench.pass(after_ms);
        bench.look(1, &found(&facts));
        assert_eq!(bench.outcome(1), outcome, "after {after_ms} ms");
    }
}

#[test]
fn the_same_watch_again_is_a_relapse() {
    let mut bench = Bench::new();
    let facts = restarted(&mut bench);
    bench.pass(30_000);
    let again = hung(&mut bench);
    bench.decide(&again, &found(&facts));
    assert_eq!(bench.outcome(1), Some(Outcome::Relapsed));
}

#[test]
fn what_waits_because_of_a_watch_ends_with_its_all_clear() {
    let mut bench = Bench::new();
    let facts = restarted(&mut bench);
    clear(&mut bench);
    bench.pass(60_000);
    bench.look(1, &found(&facts));
    let intent = hung(&mut bench);
    let step = bench.decide(&intent, &found(&facts));
    assert_eq!(step.answer.map(|a| a.gate), Some(Some(Gate::Cooldown)));
    // Found at the same instant: it may have been before.
    assert_eq!(clear(&mut bench), Step::default());
    bench.pass(1);
    let ends = |entry: &Entry| matches!(entry, Entry::PendingEnded { why, .. } if why == "recovered by itself");
    assert!(clear(&mut bench).entries.iter().any(ends));
}

#[test]
fn a_health_check_says_nothing_against_another_watch() {
    let mut bench = Bench::new();
    restarted(&mut bench);
    clear(&mut bench);
    bench.pass(61_000);
    let mut facts = facts();
    facts.started_at = Some(wall(T0));
    bench.look(1, &found(&facts));
    let intent = hung(&mut bench);
    bench.decide(&intent, &found(&facts));
    bench.pass(1_000);
    facts.health = health(HealthStatus::Healthy, Some(bench.wall_now()));
    let key = PendingKey::Target(NAME.into());
    bench.pending_look(&key, &found(&facts));
    assert_eq!(
        bench.policy.counts(bench.now).pending,
        1,
        "the probe has the word"
    );
}

#[test]
fn what_a_line_says_is_not_over_by_a_watch() {
    let mut bench = Bench::new();
    let mut facts = facts();
    bench.matched(&facts);
    bench.restart(1, &mut facts);
    bench.pass(70_000);
    bench.look(1, &found(&facts));
    assert_eq!(bench.matched(&facts).gate, Some(Gate::Cooldown));
    bench.pass(1_000);
    let intent = hung(&mut bench);
    bench.decide(&intent, &found(&facts));
    bench.pass(1_000);
    assert_eq!(clear(&mut bench), Step::default(), "the line's word stands");
}

#[test]
fn what_ended_by_itself_is_started_and_not_restarted() {
    let mut bench = Bench::new();
    let mut facts = ended(&bench);
    assert_eq!(died(&mut bench, &facts).verdict, Verdict::Restart);
    let step = bench.look(1, &found(&facts));
    assert_eq!(calls(&step), [Call::Start]);
    bench.pass(500);
    facts.state = ContainerState::Running;
    facts.started_at = Some(bench.wall_now());
    bench.called(1, Called::Done);
    bench.look(1, &found(&facts));
    bench.pass(60_000);
    bench.look(1, &found(&facts));
    assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
}

#[test]
fn what_is_not_down_by_that_very_end_is_left_alone() {
    let at = |state, finished_at, started_at| Facts {
        state,
        finished_at: Some(finished_at),
        started_at: Some(started_at),
        ..facts()
    };
    let old = wall(T0 - 3_600);
    for (facts, gate) in [
        (at(ContainerState::Running, wall(T0), old), Gate::NotEnded),
        (
            at(ContainerState::Restarting, wall(T0), old),
            Gate::NotEnded,
        ),
        (at(ContainerState::Paused, wall(T0), old), Gate::NotEnded),
        (
            at(ContainerState::Exited, wall(T0 + 1), old),
            Gate::NotEnded,
        ),
        // Started anew since: the end is older than that.
        (
            at(ContainerState::Exited, wall(T0 + 9), wall(T0 + 5)),
            Gate::Stale,
        ),
    ] {
        let mut bench = Bench::new();
        let intent = fired(&mut bench, "died", Sign::Ended, wall(T0));
        bench.pass(10_000);
        let answer = bench.decide(&intent, &found(&facts)).answer;
        assert_eq!(answer.and_then(|a| a.gate), Some(gate), "{facts:?}");
    }
}

#[test]
fn an_end_calls_for_a_start_however_long_ago_it_was() {
    let mut bench = Bench::new();
    let facts = ended(&bench);
    bench.pass(86_400_000);
    assert_eq!(died(&mut bench, &facts).verdict, Verdict::Restart);
    // Also where Docker is slow to say how it is.
    let mut bench = Bench::new();
    let facts = ended(&bench);
    bench.pass(86_400_000);
    let found_at = facts.finished_at.expect("it has ended");
    let intent = fired(&mut bench, "died", Sign::Ended, found_at);
    let why = "slow".to_owned();
    let step = bench.decide(&intent, &Look::Unavailable { why });
    assert_eq!(step.answer.expect("answered").verdict, Verdict::Pending);
}

/// A firing of a trigger that did not see how it ended.
fn unseen(bench: &mut Bench, facts: &Facts) -> (Decided, Vec<Event>) {
    let found_at = facts.finished_at.expect("it has ended");
    let mut intent = fired(bench, "unfinished", Sign::EndedUnseen, found_at);
    intent.known.as_mut().expect("known").remedy = RuleRemedy::Escalate;
    let step = bench.decide(&intent, &found(facts));
    let is_hold = |entry: &Entry| matches!(entry, Entry::Held { .. } | Entry::Charge(_));
    assert!(!step.entries.iter().any(is_hold), "{step:?}");
    let told = told(&step).into_iter().cloned();
    let told = told.filter(|event| !matches!(event, Event::Decided { .. }));
    let told = told.collect();
    (step.answer.expect("answered"), told)
}

#[test]
fn where_nobody_saw_the_end_a_person_is_told_once_and_nothing_is_started_or_held() {
    let mut config = config();
    let target = config.targets.get_mut(NAME).expect("listed");
    let restart = Remedy::Heal(vec![Measure::Restart]);
    let by_rule = &mut target.remedies.by_rule;
    by_rule.insert("unfinished".into(), restart);
    let mut bench = Bench::with(config);
    let mut facts = ended(&bench);
    bench.pass(86_400_000);
    let event = Event::EndedUnseen {
        target: NAME.into(),
        rule: "unfinished".into(),
    };
    let (answer, told) = unseen(&mut bench, &facts);
    assert_eq!(
        (answer.verdict, answer.gate),
        (Verdict::Escalated, None),
        "{answer:?}"
    );
    assert_eq!(told.as_slice(), std::slice::from_ref(&event));
    assert_eq!(unseen(&mut bench, &facts).1, [], "told once");
    // Another end is another matter.
    facts.finished_at = Some(bench.wall_now());
    assert_eq!(unseen(&mut bench, &facts).1, [event]);
}

#[test]
fn nobody_is_told_of_an_end_that_is_over_or_while_it_is_paused() {
    let mut bench = Bench::new();
    let down = ended(&bench);
    let mut facts = down.clone();
    facts.state = ContainerState::Running;
    assert_eq!(unseen(&mut bench, &facts).0.gate, Some(Gate::NotEnded));
    let pause = bench.policy.handle_pause(bench.now, Some(NAME), None, "");
    bench.take(pause);
    assert_eq!(unseen(&mut bench, &down).0.gate, Some(Gate::Maintenance));
}

#[test]
fn somebody_who_is_quicker_is_let_be() {
    let mut bench = Bench::new();
    let mut facts = ended(&bench);
    died(&mut bench, &facts);
    bench.pass(10);
    facts.state = ContainerState::Running;
    facts.started_at = Some(bench.wall_now());
    let step = bench.look(1, &found(&facts));
    assert_eq!(calls(&step), []);
    assert_eq!(bench.outcome(1), Some(Outcome::Aborted));
}

#[test]
fn a_start_is_asked_of_the_gates_anew_like_a_restart() {
    let mut bench = Bench::new();
    let facts = ended(&bench);
    died(&mut bench, &facts);
    let pause = bench.policy.handle_pause(bench.now, Some(NAME), None, "");
    bench.take(pause);
    let step = bench.look(1, &found(&facts));
    assert_eq!(calls(&step), [], "a person has paused it");
    assert_eq!(bench.outcome(1), Some(Outcome::Aborted));
}

#[test]
fn a_start_that_a_crash_cut_off_is_made_again_and_no_third_time() {
    let mut bench = Bench::new();
    let facts = ended(&bench);
    died(&mut bench, &facts);
    bench.look(1, &found(&facts));
    bench.crash();
    bench.pass(1_000);
    let step = bench.look(1, &found(&facts));
    assert_eq!(calls(&step), [], "the first one may be under way");
    bench.pass(20_000);
    assert_eq!(calls(&bench.look(1, &found(&facts))), [Call::Start]);
    bench.crash();
    bench.pass(21_000);
    let step = bench.look(1, &found(&facts));
    assert_eq!(calls(&step), []);
    assert_eq!(bench.outcome(1), Some(Outcome::Unknown));
    let is_held = |entry: &Entry| matches!(entry, Entry::Held { .. });
    assert!(step.entries.iter().any(is_held), "it is down: {step:?}");
}

#[test]
fn a_start_that_the_engine_refuses_twice_is_held_and_told() {
    let mut bench = Bench::new();
    let facts = ended(&bench);
    died(&mut bench, &facts);
    for _ in 0..2 {
        let step = bench.look(1, &found(&facts));
        assert_eq!(calls(&step), [Call::Start]);
        bench.called(
            1,
            Called::Refused {
                status: 500,
                message: "no such device".into(),
            },
        );
    }
    let step = bench.look(1, &found(&facts));
    assert_eq!(bench.outcome(1), Some(Outcome::Failed));
    let why =
        |event: &&Event| matches!(event, Event::Held { why, .. } if why.contains("no such device"));
    assert!(told(&step).iter().any(why), "{step:?}");
}

#[test]
fn what_ends_again_after_the_start_has_relapsed() {
    let mut bench = Bench::new();
    let mut facts = ended(&bench);
    died(&mut bench, &facts);
    bench.look(1, &found(&facts));
    bench.pass(500);
    facts.started_at = Some(bench.wall_now());
    bench.pass(100);
    facts.finished_at = Some(bench.wall_now());
    bench.called(1, Called::Done);
    bench.look(1, &found(&facts));
    assert_eq!(bench.outcome(1), Some(Outcome::Relapsed));
    // It is its own end, and waits for the cooldown.
    assert_eq!(died(&mut bench, &facts).gate, Some(Gate::Cooldown));
}

#[test]
fn people_are_told_of_what_is_watched_whether_it_runs_at_this_moment_or_not() {
    for state in [
        ContainerState::Restarting,
        ContainerState::Exited,
        ContainerState::Running,
    ] {
        for (remedy, decision) in [
            (RuleRemedy::Escalate, Verdict::Escalated),
            (RuleRemedy::Note, Verdict::Noted),
        ] {
            let mut bench = Bench::new();
            let mut intent = hung(&mut bench);
            intent.known.as_mut().expect("known").remedy = remedy;
            // Started once more since.
            bench.pass(1_000);
            let facts = Facts {
                state,
                started_at: Some(bench.wall_now()),
                ..facts()
            };
            let step = bench.decide(&intent, &found(&facts));
            assert_eq!(
                step.answer.expect("answered").verdict,
                decision,
                "{state:?}"
            );
        }
    }
}

#[test]
fn what_is_missed_by_name_is_told_where_there_is_no_container_and_restarts_nothing() {
    for (remedy, by_name, verdict) in [
        (RuleRemedy::Escalate, true, Verdict::Escalated),
        (RuleRemedy::Note, true, Verdict::Noted),
        (RuleRemedy::Restart, true, Verdict::Refused),
        (RuleRemedy::Escalate, false, Verdict::Refused),
    ] {
        let mut bench = Bench::new();
        let sign = Sign::Watched { clear_within_ms: 1 };
        let found = bench.wall_now();
        let mut intent = fired(&mut bench, "no-beat", sign, found);
        intent.known = intent.known.map(|known| RuleFacts { remedy, ..known });
        if by_name {
            intent.wire_id = None;
        }
        let step = bench.decide(&intent, &Look::Gone);
        let answer = step.answer.expect("answered");
        assert_eq!(answer.verdict, verdict, "{remedy:?} {by_name}: {answer:?}");
    }
}

/// Missed by name, escalated by the rule itself, and healed at these targets.
fn missed_by_name(healed: &[&str]) -> (Bench, IntentInput) {
    let mut config = config();
    for name in healed {
        let mut target = target_config();
        let heals = Remedy::Heal(vec![Measure::Restart]);
        target.remedies.by_rule.insert("no-beat".into(), heals);
        config.targets.insert((*name).to_owned(), target);
    }
    let mut bench = Bench::with(config);
    let sign = Sign::Watched { clear_within_ms: 1 };
    let found = bench.wall_now();
    let mut intent = fired(&mut bench, "no-beat", sign, found);
    intent.wire_id = None;
    intent.wire_target = "job".into();
    let remedy = RuleRemedy::Escalate;
    intent.known = intent.known.map(|known| RuleFacts { remedy, ..known });
    (bench, intent)
}

#[test]
fn what_is_missed_by_name_is_told_even_where_another_target_heals_it() {
    for look in [Look::Gone, away()] {
        let (mut bench, intent) = missed_by_name(&["other"]);
        let step = bench.decide(&intent, &look);
        let answer = step.answer.as_ref().expect("answered");
        assert_eq!(answer.verdict, Verdict::Escalated, "{look:?} {answer:?}");
        let tells =
            |event: &&Event| matches!(event, Event::Escalated { target, .. } if target == "job");
        assert!(told(&step).iter().any(tells), "{look:?} {step:?}");
    }
}

#[test]
fn what_is_missed_by_name_and_healed_there_waits_as_that_target() {
    let (mut bench, intent) = missed_by_name(&["job"]);
    let answer = bench.decide(&intent, &away()).answer.expect("answered");
    assert_eq!(answer.verdict, Verdict::Pending, "{answer:?}");
    let keys: Vec<&PendingKey> = bench.policy.state.pendings.keys().collect();
    assert_eq!(keys, [&PendingKey::Target("job".into())]);
}
