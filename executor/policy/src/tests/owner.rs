//! Remedies of the owner's where things go wrong: what failed is decided again, and what
//! waits keeps its own rule's remedy.

use crate::testing::*;
use crate::*;

fn command(name: &str) -> Measure {
    Measure::Exec(Exec {
        name: name.into(),
        argv: vec!["/bin/true".into()],
        timeout_ms: 5_000,
    })
}

fn with(remedies: &[(&str, Remedy)]) -> Bench {
    let mut config = config();
    let target = config.targets.get_mut(NAME).expect("it is listed");
    for (rule, remedy) in remedies {
        let remedy = remedy.clone();
        target.remedies.by_rule.insert((*rule).into(), remedy);
    }
    Bench::with(config)
}

fn healed_by(plan: &[Measure]) -> Bench {
    with(&[("oom", Remedy::Heal(plan.to_vec()))])
}

fn of_rule(bench: &mut Bench, rule: &str, remedy: RuleRemedy) -> IntentInput {
    let mut intent = bench.new_intent(rule);
    intent.known = Some(RuleFacts {
        remedy,
        ..RuleFacts::default()
    });
    intent
}

fn waits(bench: &Bench, key: &PendingKey) -> Option<Pending> {
    bench.policy.state.pendings.get(key).cloned()
}

fn own_key() -> PendingKey {
    PendingKey::Target(NAME.into())
}

#[test]
fn a_command_that_fails_with_nothing_to_follow_is_decided_again_after_the_cooldown() {
    let (mut bench, facts) = (healed_by(&[command("reload")]), facts());
    bench.matched(&facts);
    bench.look(1, &found(&facts));
    bench.called(
        1,
        Called::Failed {
            why: "exit code 1".into(),
        },
    );
    assert_eq!(bench.outcome(1), Some(Outcome::Failed));
    let pending = waits(&bench, &own_key()).expect("a failed attempt is tried again");
    assert_eq!(pending.gate, Gate::Cooldown);
    let cooldown_ms = target_config().limits.cooldown_ms;
    assert_eq!(pending.due, bench.now.at.plus(cooldown_ms));
}

#[test]
fn a_sequence_that_never_began_is_decided_again_like_one_restart() {
    for plan in [
        vec![Measure::Restart],
        vec![command("reload"), Measure::Restart],
    ] {
        let (mut bench, facts) = (healed_by(&plan), facts());
        bench.matched(&facts);
        bench.look(1, &away());
        bench.pass(SILENCE_MAX_MS);
        bench.look(1, &away());
        assert_eq!(bench.outcome(1), Some(Outcome::Failed), "{plan:?}");
        assert!(waits(&bench, &own_key()).is_some(), "{plan:?}");
    }
}

#[test]
fn what_escalates_in_the_end_is_held_and_waits_for_nothing() {
    let plan = [command("reload"), Measure::Escalate];
    let (mut bench, facts) = (healed_by(&plan), facts());
    bench.matched(&facts);
    bench.look(1, &found(&facts));
    bench.called(
        1,
        Called::Failed {
            why: "exit code 1".into(),
        },
    );
    assert!(bench.policy.status(bench.now).targets[0].held.is_some());
    assert_eq!(waits(&bench, &own_key()), None);
}

#[test]
fn what_a_command_made_start_anew_and_is_unhealthy_at_once_has_relapsed() {
    let plan = [command("reload"), Measure::Restart];
    let (mut bench, mut facts) = (healed_by(&plan), facts());
    bench.matched(&facts);
    bench.look(1, &found(&facts));
    bench.called(1, Called::Done);
    bench.pass(20_000);
    facts.started_at = Some(bench.wall_now());
    facts.health = health(HealthStatus::Unhealthy, None);
    bench.timeout();
    let step = bench.look(1, &found(&facts));
    assert_eq!(bench.outcome(1), Some(Outcome::Relapsed), "{step:?}");
}

#[test]
fn a_line_that_is_only_noted_does_not_displace_a_restart_that_waits_for_facts() {
    let (mut bench, facts) = (with(&[("chatter", Remedy::Note)]), facts());
    let intent = bench.new_intent("oom");
    bench.decide(&intent, &away());
    bench.pass(10);
    let intent = of_rule(&mut bench, "chatter", RuleRemedy::Restart);
    bench.decide(&intent, &away());
    bench.pass(2_000);
    let mut keys: Vec<PendingKey> = bench.policy.state.pendings.keys().cloned().collect();
    keys.reverse();
    for key in &keys {
        bench.pending_look(key, &found(&facts));
    }
    let charged = bench.journal.iter().find_map(|record| match &record.entry {
        Entry::Charge(charge) => charge.cause.rule(),
        _ => None,
    });
    assert_eq!(charged, Some("oom"), "{keys:?}");
}

#[test]
fn a_charge_takes_the_plan_of_the_rule_that_it_names() {
    let reload = vec![command("reload")];
    let restart = vec![command("sync"), Measure::Restart];
    let mut bench = with(&[
        ("oom", Remedy::Heal(reload)),
        ("nccl", Remedy::Heal(restart.clone())),
    ]);
    let facts = facts();
    let late = bench.new_intent("oom");
    bench.pass(1_000);
    let pause = bench
        .policy
        .handle_pause(bench.now, Some(NAME), Some(500), "");
    bench.take(pause);
    let newer = bench.new_intent("nccl");
    let answer = bench.decide(&newer, &found(&facts)).answer;
    assert_eq!(answer.map(|a| a.verdict), Some(Verdict::Pending));
    bench.pass(500);
    let step = bench.decide(&late, &found(&facts));
    let [Entry::Charge(charge), ..] = &step.entries[..] else {
        panic!("{step:?}");
    };
    assert_eq!(charge.cause.rule(), Some("nccl"));
    assert_eq!(charge.plan, restart);
}

#[test]
fn what_waits_keeps_what_its_own_rule_calls_for() {
    let heal = Remedy::Heal(vec![Measure::Restart]);
    let (mut bench, facts) = (with(&[("xid", heal)]), facts());
    let late = bench.new_intent("oom");
    bench.pass(1_000);
    let pause = bench
        .policy
        .handle_pause(bench.now, Some(NAME), Some(60_000), "");
    bench.take(pause);
    let newer = of_rule(&mut bench, "xid", RuleRemedy::Escalate);
    bench.decide(&newer, &found(&facts));
    bench.decide(&late, &found(&facts));
    let pending = waits(&bench, &own_key()).expect("it waits");
    assert_eq!(
        (&*pending.rule, pending.remedy),
        ("xid", RuleRemedy::Escalate)
    );
}

#[test]
fn what_had_waited_for_facts_is_on_record_by_the_owners_word() {
    let heal = Remedy::Heal(vec![Measure::Restart]);
    for (rule, own, remedy, recorded) in [
        ("xid", RuleRemedy::Escalate, heal, true),
        ("oom", RuleRemedy::Restart, Remedy::Note, false),
    ] {
        let (mut bench, facts) = (with(&[(rule, remedy)]), facts());
        let intent = of_rule(&mut bench, rule, own);
        bench.decide(&intent, &away());
        bench.pass(2_000);
        let pause = bench
            .policy
            .handle_pause(bench.now, Some(NAME), Some(500), "");
        bench.take(pause);
        let mut keys = bench.policy.state.pendings.keys();
        let key = keys.next().cloned().expect("it waits");
        let step = bench.pending_look(&key, &found(&facts));
        let decided = step.entries.iter().find_map(|entry| match entry {
            Entry::Decided { remedy, .. } => Some(*remedy),
            _ => None,
        });
        let want = recorded.then_some(RuleRemedy::Restart);
        assert_eq!(decided, want, "{rule}: {step:?}");
        // What is only told or counted waits for no pause's end, as on its arrival.
        let left = bench.policy.counts(bench.now).pending;
        assert_eq!(left, usize::from(recorded), "{rule}");
    }
}
