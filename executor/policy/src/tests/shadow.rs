//! Rules on trial: what they call for is decided and recorded, and not done;
//! whatever is decided for real goes on beside it.

use crate::testing::*;
use crate::*;

/// The rule `trial` is run dry.
fn bench() -> Bench {
    let mut config = config();
    config.shadow_rules.insert("trial".into());
    Bench::with(config)
}

fn matched(bench: &mut Bench, rule: &str) -> Decided {
    let intent = bench.new_intent(rule);
    let step = bench.decide(&intent, &found(&facts()));
    step.answer.expect("an answer")
}

fn shadow() -> PendingKey {
    PendingKey::Shadow(NAME.into())
}

fn real() -> PendingKey {
    PendingKey::Target(NAME.into())
}

fn pendings(bench: &Bench) -> Vec<PendingKey> {
    bench.policy.state.pendings.keys().cloned().collect()
}

#[test]
fn its_match_is_charged_to_the_shadow_budget_and_nothing_is_done() {
    let mut bench = bench();
    let intent = bench.new_intent("trial");
    let step = bench.decide(&intent, &found(&facts()));
    let answer = step.answer.clone().expect("an answer");
    assert_eq!(
        (answer.verdict, answer.gate, &*answer.detail),
        (
            Verdict::Refused,
            Some(Gate::DryRun),
            "Dry run: would restart 'web'"
        )
    );
    assert!(step.actions.iter().all(|a| matches!(a, Action::Tell(_))));
    let view = bench
        .policy
        .attempt(answer.attempt.expect("one"))
        .expect("kept");
    assert!(view.shadow);
    // The next one of it is judged as if the restart had been made,
    assert_eq!(matched(&mut bench, "trial").gate, Some(Gate::Cooldown));
    assert_eq!(pendings(&bench), [shadow()]);
    // others as if not.
    assert_eq!(matched(&mut bench, "oom").verdict, Verdict::Restart);
}

#[test]
fn it_takes_nothing_from_what_is_pending_for_real() {
    let mut bench = bench();
    bench.write(Entry::Imported {
        target: NAME.into(),
        restarted_at: bench.now.at,
    });
    let real_one = bench.new_intent("oom");
    bench.decide(&real_one, &found(&facts()));
    bench.pass(1_000);
    assert_eq!(matched(&mut bench, "trial").gate, Some(Gate::Cooldown));
    assert_eq!(pendings(&bench), [real(), shadow()]);
    bench.pass(300_000);
    let step = bench.timeout();
    assert_eq!(step.actions.len(), 2);
    // Decided first, and charged to the shadow budget alone.
    bench.pending_look(&shadow(), &found(&facts()));
    assert_eq!(pendings(&bench), [real()]);
    let step = bench.pending_look(&real(), &found(&facts()));
    assert!(matches!(
        step.entries[..],
        [Entry::Charge(Charge { shadow: false, .. })]
    ));
    let again = bench.policy.handle_repeat(bench.now, &real_one.id);
    assert_eq!(again.map(|a| a.verdict), Some(Verdict::Restart));
}

/// What is told of decisions and pendings' ends: whether by a dry run.
fn dryness(step: &Step) -> Vec<bool> {
    let is_dry = |event: &Event| match event {
        Event::Decided { dry, .. } | Event::PendingEnded { dry, .. } => Some(*dry),
        _ => None,
    };
    told(step).into_iter().filter_map(is_dry).collect()
}

#[test]
fn what_is_told_of_it_says_that_it_leads_to_nothing() {
    for (rule, is_dry) in [("trial", true), ("oom", false)] {
        let mut bench = bench();
        bench.write(Entry::Imported {
            target: NAME.into(),
            restarted_at: bench.now.at,
        });
        let intent = bench.new_intent(rule);
        let step = bench.decide(&intent, &found(&facts()));
        assert_eq!(dryness(&step), [is_dry], "{rule} {step:?}");
        assert_eq!(bench.policy.is_being_healed(NAME), !is_dry, "{rule}");
        let key = pendings(&bench).remove(0);
        // Refused by time once more,
        bench.pass(300_000);
        bench.write(Entry::Imported {
            target: NAME.into(),
            restarted_at: bench.now.at,
        });
        let step = bench.pending_look(&key, &found(&facts()));
        assert_eq!(dryness(&step), [is_dry], "{rule} {step:?}");
        // and for good.
        let step = bench.pending_look(&key, &Look::Gone);
        assert_eq!(dryness(&step), [is_dry], "{rule} {step:?}");
        assert!(!bench.policy.is_being_healed(NAME), "{rule}");
    }
    let mut bench = bench();
    bench.config.dry_run = true;
    bench.policy.configure(bench.config.clone());
    let intent = bench.new_intent("oom");
    let step = bench.decide(&intent, &found(&facts()));
    assert_eq!(dryness(&step), [true], "everything is run dry: {step:?}");
}

#[test]
fn a_fresh_match_of_it_leaves_the_real_pending_too() {
    let mut bench = bench();
    let real_one = bench.new_intent("oom");
    bench.decide(&real_one, &away());
    let step = bench.pending_look(&PendingKey::Id(ID.into()), &away());
    assert!(step.entries.is_empty());
    assert_eq!(matched(&mut bench, "trial").gate, Some(Gate::DryRun));
    let again = bench.policy.handle_repeat(bench.now, &real_one.id);
    assert_eq!(again.map(|a| a.verdict), Some(Verdict::Pending));
}

#[test]
fn without_facts_the_two_wait_apart() {
    let mut bench = bench();
    for rule in ["oom", "trial"] {
        let intent = bench.new_intent(rule);
        bench.decide(&intent, &away());
    }
    assert_eq!(pendings(&bench).len(), 2);
    bench.pass(1_000);
    let mut charged = Vec::new();
    // The shadow first: the other one's attempt would be in progress.
    for key in pendings(&bench).into_iter().rev() {
        let step = bench.pending_look(&key, &found(&facts()));
        charged.extend(step.entries.into_iter().filter_map(|entry| match entry {
            Entry::Charge(charge) => Some((charge.shadow, charge.shadow_rule)),
            _ => None,
        }));
    }
    charged.sort_unstable();
    assert_eq!(charged, [(false, false), (true, true)]);
}

#[test]
fn it_ends_no_attempt_and_begins_no_storm() {
    let mut bench = bench();
    bench.config.storm.targets = 2;
    bench.policy.configure(bench.config.clone());
    let mut facts = facts();
    let id = bench.matched(&facts).attempt.expect("an attempt");
    bench.restart(id, &mut facts);
    bench.pass(1_000);
    let intent = bench.new_intent("trial");
    bench.decide(&intent, &found(&facts));
    assert_eq!(bench.outcome(id), None);
    (facts.name, facts.id) = ("db".into(), "b".repeat(64));
    facts.labels.insert("healer.enable".into(), "true".into());
    let mut intent = bench.new_intent("trial");
    intent.wire_id = Some(facts.id.clone());
    bench.decide(&intent, &found(&facts));
    assert!(!bench.policy.counts(bench.now).storm);
}

#[test]
fn an_escalation_of_it_tells_nobody_and_holds_nothing() {
    for look in [found(&facts()), away()] {
        let mut bench = bench();
        let mut intent = bench.new_intent("trial");
        if let Some(known) = &mut intent.known {
            known.remedy = RuleRemedy::Escalate;
        }
        let step = bench.decide(&intent, &look);
        let answer = step.answer.clone().expect("an answer");
        assert_eq!(
            (answer.verdict, answer.gate),
            (Verdict::Refused, Some(Gate::DryRun))
        );
        assert!(answer.detail.contains("would hold"), "{answer:?}");
        let told = told(&step);
        assert!(
            told.iter().all(|e| matches!(e, Event::Decided { .. })),
            "{told:?}"
        );
        assert_eq!(bench.policy.counts(bench.now).held, 0);
    }
}

#[test]
fn a_charge_made_before_the_trial_is_not_sent() {
    let mut bench = Bench::new();
    let id = matched(&mut bench, "trial").attempt.expect("an attempt");
    bench.config.shadow_rules.insert("trial".into());
    bench.policy.configure(bench.config.clone());
    let step = bench.look(id, &found(&facts()));
    assert_eq!(calls(&step), []);
    let view = bench.policy.attempt(id).expect("kept");
    assert_eq!(
        (view.outcome, view.gate),
        (Some(Outcome::Aborted), Some(Gate::DryRun))
    );
}

#[test]
fn a_person_is_no_rule() {
    let mut bench = bench();
    assert_eq!(matched(&mut bench, "trial").gate, Some(Gate::DryRun));
    assert_eq!(bench.asked(&facts()).verdict, Verdict::Restart);
}

#[test]
fn it_is_the_same_after_a_crash_and_compaction() {
    let mut bench = bench();
    bench.write(Entry::Imported {
        target: NAME.into(),
        restarted_at: bench.now.at,
    });
    bench.pass(1_000);
    for rule in ["oom", "trial"] {
        matched(&mut bench, rule);
    }
    let before = pendings(&bench);
    bench.journal = bench.policy.snapshot(bench.now);
    bench.crash();
    assert_eq!(pendings(&bench), before);
}

/// What is run dry: the rule, or the target.
#[test]
fn no_storm_depends_on_it() {
    for of_the_rule in [true, false] {
        let mut bench = bench();
        bench.config.storm.targets = 2;
        bench.config.storm.within_ms = 60_000;
        bench.config.storm.quiet_ms = 600_000;
        let web = bench.config.targets.get_mut(NAME).expect("listed");
        web.dry_run = !of_the_rule;
        bench.policy.configure(bench.config.clone());
        let rule = if of_the_rule { "trial" } else { "oom" };
        // Charged, then refused by the limits: neither calls for a restart.
        for gate in [Gate::DryRun, Gate::Cooldown] {
            assert_eq!(matched(&mut bench, rule).gate, Some(gate));
        }
        let mut db = Facts {
            id: "b".repeat(64),
            name: "db".into(),
            ..facts()
        };
        db.labels.insert("healer.enable".into(), "true".into());
        bench.config.shadow_rules.clear();
        bench.policy.configure(bench.config.clone());
        let mut intent = bench.new_intent(rule);
        intent.wire_id = Some(db.id.clone());
        bench.decide(&intent, &found(&db));
        assert!(!bench.policy.counts(bench.now).storm, "{rule}");
        bench.config.shadow_rules.insert("trial".into());
        bench.policy.configure(bench.config.clone());
        // Nor does it join one, or keep it on.
        for targets in [["db"], [NAME]] {
            bench.write(Entry::Storm {
                why: "?".into(),
                targets: targets.map(str::to_owned).into(),
            });
            bench.pass(100_000);
            assert_eq!(matched(&mut bench, rule).gate, Some(Gate::Storm));
            let storm = bench.policy.status(bench.now).storm.expect("it is on");
            assert_eq!(
                (storm.quiet_in_ms, storm.targets),
                (500_000, targets.map(str::to_owned).to_vec())
            );
        }
    }
}

#[test]
fn its_charge_does_not_put_facts_out_of_date() {
    for on_refusal in [OnRefusal::Drop, OnRefusal::Pending] {
        let mut bench = bench();
        bench.config.on_refusal = on_refusal;
        bench.policy.configure(bench.config.clone());
        let intent = bench.new_intent("oom");
        let arrived = bench.now.at;
        let seen = Facts {
            read_at: arrived,
            ..facts()
        };
        bench.pass(5);
        assert_eq!(matched(&mut bench, "trial").gate, Some(Gate::DryRun));
        bench.pass(5);
        let step = bench
            .policy
            .handle_intent(bench.now, arrived, &intent, &found(&seen));
        let answer = step.and_then(|step| step.answer).expect("an answer");
        assert_eq!(answer.verdict, Verdict::Restart, "{answer:?}");
    }
}
