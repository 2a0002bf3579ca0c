//! Matches that something else has to confirm: by what, when, in which order,
//! and what becomes of those that nothing confirms.

use crate::testing::*;
use crate::*;

const WITHIN_MS: u64 = 30_000;

fn by(by: &[&str]) -> Confirm {
    let one = |word: &&str| match *word {
        "unhealthy" => Confirmation::Unhealthy,
        "exit" => Confirmation::Exit,
        rule => Confirmation::Rule(rule.to_owned()),
    };
    Confirm {
        by: by.iter().map(one).collect(),
        within_ms: WITHIN_MS,
    }
}

/// A match of `oom`, which `confirms` has to confirm.
fn unsure(bench: &mut Bench, confirms: &[&str]) -> IntentInput {
    let mut intent = bench.new_intent("oom");
    if let Some(known) = &mut intent.known {
        known.confirm = Some(by(confirms));
    }
    intent
}

/// A match of a rule that confirms others and calls for this.
fn witness(bench: &mut Bench, rule: &str, remedy: RuleRemedy) -> IntentInput {
    let mut intent = bench.new_intent(rule);
    if let Some(known) = &mut intent.known {
        (known.confirms, known.remedy) = (true, remedy);
    }
    intent
}

fn decide(bench: &mut Bench, intent: &IntentInput) -> Decided {
    let step = bench.decide(intent, &found(&fresh(bench, facts())));
    step.answer.expect("an answer")
}

/// As read just now.
fn fresh(bench: &Bench, facts: Facts) -> Facts {
    Facts {
        read_at: bench.now.at,
        ..facts
    }
}

fn key() -> PendingKey {
    PendingKey::Rule {
        target: NAME.into(),
        rule: "oom".into(),
    }
}

/// Looks for what is pending as often as it is due, until it is settled or
/// `until_ms` have passed; every entry that is written.
fn wait(bench: &mut Bench, until_ms: u64, see: impl Fn(&Bench) -> Look) -> Vec<Entry> {
    let mut entries = Vec::new();
    let end = bench.now.at.plus(until_ms);
    while let Some(next) = bench.policy.poll_timeout().filter(|next| *next <= end) {
        bench.pass(next.since(bench.now.at));
        let step = bench.timeout();
        entries.extend(step.entries.iter().cloned());
        for action in &step.actions {
            if let Action::LookForPending { key } = action {
                let look = see(bench);
                entries.extend(bench.pending_look(key, &look).entries);
            }
        }
        assert!(entries.len() < 1_000, "it comes to rest");
    }
    bench.pass(end.since(bench.now.at));
    entries
}

fn charges(entries: &[Entry]) -> usize {
    let is_charge = |entry: &&Entry| matches!(entry, Entry::Charge(_));
    entries.iter().filter(is_charge).count()
}

fn whys(entries: &[Entry]) -> Vec<&str> {
    let mut whys = Vec::new();
    for entry in entries {
        if let Entry::PendingEnded { why, .. } = entry {
            whys.push(why.as_str());
        }
    }
    whys
}

fn running(bench: &Bench) -> Look {
    found(&fresh(bench, facts()))
}

#[test]
fn another_rules_match_confirms_it_in_either_order_within_the_time() {
    use RuleRemedy::*;
    // How long after (or before) the match the other one comes, and what it calls for.
    for remedy in [Note, Escalate] {
        for (offset_ms, confirmed) in [
            (0, true),
            (1_000, true),
            (29_999, true),
            (30_000, false),
            (-1_000, true),
            (-30_000, true),
            (-32_000, false),
        ] {
            let mut bench = Bench::new();
            let after = u64::try_from(offset_ms).ok();
            let mut charged = 0;
            if after.is_none() {
                let intent = witness(&mut bench, "xid", remedy);
                decide(&mut bench, &intent);
                bench.pass(u64::try_from(-offset_ms).expect("a time"));
            }
            // What escalates holds as well, which is another matter.
            if let Some(web) = bench.policy.state.targets.get_mut(NAME) {
                web.held = None;
            }
            let intent = unsure(&mut bench, &["xid"]);
            let answer = decide(&mut bench, &intent);
            charged += u32::from(answer.verdict == Verdict::Restart);
            if let Some(after_ms) = after {
                assert_eq!(answer.gate, Some(Gate::Unconfirmed));
                charged += charges(&wait(&mut bench, after_ms, running)) as u32;
                let intent = witness(&mut bench, "xid", remedy);
                decide(&mut bench, &intent);
                if let Some(web) = bench.policy.state.targets.get_mut(NAME) {
                    web.held = None;
                }
                charged += charges(&wait(&mut bench, 1_000, running)) as u32;
            }
            let what = format!("{remedy:?} {offset_ms}");
            assert_eq!(charged, u32::from(confirmed), "{what}");
        }
    }
}

#[test]
fn a_rule_of_no_concern_or_of_another_container_does_not_confirm() {
    let mut bench = Bench::new();
    let intent = unsure(&mut bench, &["xid"]);
    decide(&mut bench, &intent);
    let other = witness(&mut bench, "nccl", RuleRemedy::Note);
    decide(&mut bench, &other);
    let mut elsewhere = witness(&mut bench, "xid", RuleRemedy::Note);
    elsewhere.wire_id = Some("b".repeat(64));
    let mut facts = facts();
    (facts.name, facts.id) = ("db".into(), "b".repeat(64));
    facts.labels.insert("healer.enable".into(), "true".into());
    let noted = bench.decide(&elsewhere, &found(&facts));
    assert_eq!(noted.answer.map(|a| a.verdict), Some(Verdict::Noted));
    let entries = wait(&mut bench, WITHIN_MS, running);
    assert_eq!(charges(&entries), 0);
    assert_eq!(whys(&entries), ["Not confirmed within 30s by rule 'xid'"]);
}

#[test]
fn a_witness_from_before_the_start_is_none() {
    let mut bench = Bench::new();
    let intent = witness(&mut bench, "xid", RuleRemedy::Note);
    decide(&mut bench, &intent);
    bench.pass(5_000);
    let intent = unsure(&mut bench, &["xid"]);
    let mut anew = fresh(&bench, facts());
    anew.started_at = Some(wall(bench.secs() - 2));
    let step = bench.decide(&intent, &found(&anew));
    assert_eq!(step.answer.and_then(|a| a.gate), Some(Gate::Unconfirmed));
}

#[test]
fn an_unhealthy_container_confirms_it_at_once_or_while_it_waits() {
    let sick = |bench: &Bench, checked_at: Option<WallTime>| {
        let mut facts = fresh(bench, facts());
        facts.health = health(HealthStatus::Unhealthy, checked_at);
        facts
    };
    let mut bench = Bench::new();
    let intent = unsure(&mut bench, &["unhealthy"]);
    let facts = sick(&bench, None);
    let step = bench.decide(&intent, &found(&facts));
    assert_eq!(step.answer.map(|a| a.verdict), Some(Verdict::Restart));

    for (sick_after_ms, confirmed) in [(1, true), (29_000, true), (30_000, true), (30_001, false)] {
        let mut bench = Bench::new();
        let from = bench.now.at;
        let intent = unsure(&mut bench, &["unhealthy"]);
        decide(&mut bench, &intent);
        let entries = wait(&mut bench, 2 * WITHIN_MS, |bench| {
            if bench.now.at.since(from) >= sick_after_ms {
                found(&sick(bench, None))
            } else {
                let mut well = fresh(bench, crate::testing::facts());
                // Healthy until then: the check lags behind the failure.
                well.health = health(HealthStatus::Healthy, Some(bench.wall_now()));
                found(&well)
            }
        });
        assert_eq!(charges(&entries), usize::from(confirmed), "{sick_after_ms}");
        if !confirmed {
            let why = "Not confirmed within 30s by an unhealthy container";
            assert_eq!(whys(&entries), [why]);
        }
    }
}

#[test]
fn a_late_look_counts_where_the_check_itself_was_in_time() {
    for (found_at_s, confirmed) in [(29, true), (31, false)] {
        let mut bench = Bench::new();
        let intent = unsure(&mut bench, &["unhealthy"]);
        decide(&mut bench, &intent);
        // Docker is away until after the time.
        wait(&mut bench, WITHIN_MS + 5_000, |_| away());
        let mut sick = fresh(&bench, facts());
        sick.health = health(HealthStatus::Unhealthy, Some(wall(T0 + found_at_s)));
        let entries = wait(&mut bench, 30_000, |_| found(&sick));
        assert_eq!(charges(&entries), usize::from(confirmed), "{found_at_s}");
    }
}

#[test]
fn an_exit_before_the_match_confirms_it() {
    for (ended_s_ago, confirmed) in [(0, true), (30, true), (31, false)] {
        let mut bench = Bench::new();
        let mut facts = fresh(&bench, facts());
        // Its restart policy has brought it back since.
        facts.finished_at = Some(wall(T0 - ended_s_ago));
        facts.started_at = Some(wall(T0 - ended_s_ago));
        let intent = unsure(&mut bench, &["exit"]);
        let answer = bench.decide(&intent, &found(&facts)).answer;
        let want = if confirmed {
            Verdict::Restart
        } else {
            Verdict::Pending
        };
        assert_eq!(answer.map(|a| a.verdict), Some(want), "{ended_s_ago}");
    }
}

#[test]
fn an_end_by_our_own_restart_confirms_nothing() {
    let mut bench = Bench::new();
    let mut facts = facts();
    let id = bench.matched(&facts).attempt.expect("an attempt");
    bench.look(id, &found(&facts));
    bench.pass(2_000);
    (facts.finished_at, facts.started_at) = (Some(bench.wall_now()), Some(bench.wall_now()));
    bench.called(id, Called::Done);
    bench.look(id, &found(&facts));
    bench.pass(1_000);
    let intent = unsure(&mut bench, &["exit"]);
    let answer = bench.decide(&intent, &found(&facts)).answer;
    assert_eq!(answer.and_then(|a| a.gate), Some(Gate::Unconfirmed));
    // The next end is its own.
    bench.pass(30_000);
    (facts.finished_at, facts.started_at) = (Some(bench.wall_now()), Some(bench.wall_now()));
    let intent = unsure(&mut bench, &["exit"]);
    let answer = bench.decide(&intent, &found(&facts)).answer;
    assert_eq!(answer.and_then(|a| a.gate), Some(Gate::Cooldown));
}

/// What has ended is never started, and what was started anew needs no restart.
#[test]
fn an_exit_after_the_match_leaves_nothing_to_restart() {
    type Change = fn(&mut Facts);
    let changes: [(Change, &str); 2] = [
        (
            |facts| facts.state = ContainerState::Exited,
            "'web' is exited, not running",
        ),
        (
            |facts| facts.started_at = Some(wall(T0 + 3)),
            "the container has started anew since the line",
        ),
    ];
    for (change, why) in changes {
        let mut bench = Bench::new();
        let intent = unsure(&mut bench, &["exit"]);
        decide(&mut bench, &intent);
        let entries = wait(&mut bench, WITHIN_MS, |bench| {
            let mut facts = fresh(bench, facts());
            facts.finished_at = Some(wall(T0 + 2));
            change(&mut facts);
            found(&facts)
        });
        assert_eq!((charges(&entries), whys(&entries)), (0, vec![why]));
    }
}

#[test]
fn what_only_tells_is_told_of_the_exit_that_confirms_it() {
    type Change = fn(&mut Facts);
    let ended: [(Change, bool); 4] = [
        (|facts| facts.state = ContainerState::Exited, true),
        (|facts| facts.started_at = Some(wall(T0 + 3)), true),
        (|facts| facts.id = "b".repeat(64), false),
        (|_| {}, false),
    ];
    for remedy in [RuleRemedy::Escalate, RuleRemedy::Note] {
        for (i, (change, confirmed)) in ended.into_iter().enumerate() {
            let mut bench = Bench::new();
            let mut intent = unsure(&mut bench, &["exit"]);
            if let Some(known) = &mut intent.known {
                known.remedy = remedy;
            }
            assert_eq!(decide(&mut bench, &intent).gate, Some(Gate::Unconfirmed));
            let entries = wait(&mut bench, WITHIN_MS, |bench| {
                let mut facts = fresh(bench, facts());
                let has_ended = i < 3 && bench.secs() > T0 + 2;
                if has_ended {
                    facts.finished_at = Some(wall(T0 + 2));
                    change(&mut facts);
                }
                found(&facts)
            });
            let held = entries.iter().any(|e| matches!(e, Entry::Held { .. }));
            let is_escalation = remedy == RuleRemedy::Escalate;
            assert_eq!(held, confirmed && is_escalation, "row {i}");
            let want = match (confirmed, is_escalation) {
                (true, true) => Verdict::Escalated,
                (true, false) => Verdict::Noted,
                (false, _) => Verdict::Refused,
            };
            let again = bench.policy.handle_repeat(bench.now, &intent.id);
            assert_eq!(again.map(|a| a.verdict), Some(want), "row {i}");
        }
    }
}

#[test]
fn what_nothing_confirms_ends_at_its_time_and_is_told() {
    let mut bench = Bench::new();
    let intent = unsure(&mut bench, &["unhealthy", "xid"]);
    let step = bench.decide(&intent, &running(&bench));
    assert!(step.durable, "it is on disk before the answer");
    let status = bench.policy.status(bench.now).targets.remove(0);
    let pending = status.pending.expect("it waits");
    assert_eq!(pending.gate, Gate::Unconfirmed);
    // Looked at, but neither told nor written each time.
    let entries = wait(&mut bench, WITHIN_MS - 1, running);
    assert_eq!(entries, []);
    // The look at its very end is the last.
    bench.pass(1);
    bench.timeout();
    let look = running(&bench);
    let entries = bench.pending_look(&key(), &look).entries;
    let why = "Not confirmed within 30s by an unhealthy container or rule 'xid'";
    assert_eq!(whys(&entries), [why]);
    let again = bench.policy.handle_repeat(bench.now, &intent.id);
    let again = again.expect("its id is known");
    assert_eq!((again.verdict, &*again.detail), (Verdict::Refused, why));
}

#[test]
fn another_match_begins_its_time_anew_and_one_confirmation_answers_both() {
    let mut bench = Bench::new();
    let first = unsure(&mut bench, &["xid"]);
    decide(&mut bench, &first);
    wait(&mut bench, 20_000, running);
    let second = unsure(&mut bench, &["xid"]);
    decide(&mut bench, &second);
    assert_eq!(wait(&mut bench, 20_000, running), []);
    let intent = witness(&mut bench, "xid", RuleRemedy::Note);
    decide(&mut bench, &intent);
    assert_eq!(charges(&wait(&mut bench, 10, running)), 1);
    for intent in [first, second] {
        let again = bench.policy.handle_repeat(bench.now, &intent.id);
        assert_eq!(again.map(|a| a.verdict), Some(Verdict::Restart));
    }
    assert_eq!(bench.policy.counts(bench.now).pending, 0);
}

#[test]
fn what_waits_for_its_confirmation_is_in_nobodys_way() {
    let mut bench = Bench::new();
    bench.write(Entry::Imported {
        target: NAME.into(),
        restarted_at: bench.now.at,
    });
    // A plain match waits for the cooldown; a newer one has to be confirmed.
    assert_eq!(bench.matched(&facts()).gate, Some(Gate::Cooldown));
    bench.pass(1_000);
    let intent = unsure(&mut bench, &["unhealthy"]);
    decide(&mut bench, &intent);
    assert_eq!(bench.policy.counts(bench.now).pending, 2);
    let entries = wait(&mut bench, WITHIN_MS, running);
    assert_eq!(whys(&entries).len(), 1, "{entries:?}");
    // The plain one is decided at its time all the same.
    assert_eq!(charges(&wait(&mut bench, 300_000, running)), 1);
}

#[test]
fn confirmed_and_refused_by_time_it_waits_like_any_other() {
    for (on_refusal, restarted) in [(OnRefusal::Pending, 1), (OnRefusal::Drop, 0)] {
        let mut bench = Bench::new();
        bench.config.on_refusal = on_refusal;
        bench.policy.configure(bench.config.clone());
        bench.write(Entry::Imported {
            target: NAME.into(),
            restarted_at: bench.now.at,
        });
        let intent = unsure(&mut bench, &["xid"]);
        assert_eq!(decide(&mut bench, &intent).verdict, Verdict::Pending);
        bench.pass(5_000);
        let xid = witness(&mut bench, "xid", RuleRemedy::Note);
        decide(&mut bench, &xid);
        let entries = wait(&mut bench, 1_000, running);
        assert_eq!(charges(&entries), 0);
        let waits = bench
            .policy
            .state
            .pendings
            .keys()
            .cloned()
            .collect::<Vec<_>>();
        let again = bench
            .policy
            .handle_repeat(bench.now, &intent.id)
            .expect("known");
        if on_refusal == OnRefusal::Pending {
            assert_eq!(waits, [PendingKey::Target(NAME.into())]);
            assert_eq!(
                (again.verdict, again.gate),
                (Verdict::Pending, Some(Gate::Cooldown))
            );
        } else {
            assert_eq!(waits, []);
            assert_eq!(whys(&entries), ["Cooldown active (5s < 300s)"]);
        }
        let entries = wait(&mut bench, 300_000, running);
        assert_eq!(charges(&entries), restarted);
    }
}

#[test]
fn its_threshold_comes_first() {
    let mut bench = Bench::new();
    for want in [Gate::BelowThreshold, Gate::Unconfirmed] {
        let mut intent = unsure(&mut bench, &["exit"]);
        if let Some(known) = &mut intent.known {
            known.threshold = Some((2, 60_000));
        }
        assert_eq!(decide(&mut bench, &intent).gate, Some(want));
    }
}

#[test]
fn an_unconfirmed_match_is_no_relapse() {
    let mut bench = Bench::new();
    let mut facts = facts();
    let id = bench.matched(&facts).attempt.expect("an attempt");
    bench.restart(id, &mut facts);
    bench.pass(1_000);
    let intent = unsure(&mut bench, &["exit"]);
    bench.decide(&intent, &found(&facts));
    assert_eq!(bench.outcome(id), None);
    bench.matched(&facts);
    assert_eq!(bench.outcome(id), Some(Outcome::Relapsed));
}

#[test]
fn a_match_that_has_yet_to_be_confirmed_keeps_the_attempt_in_doubt() {
    for confirmed in [true, false] {
        let mut bench = Bench::new();
        let mut facts = facts();
        let id = bench.matched(&facts).attempt.expect("an attempt");
        bench.restart(id, &mut facts);
        // Ten seconds before the watch would be over.
        bench.pass(50_000);
        let intent = unsure(&mut bench, &["xid"]);
        bench.decide(&intent, &found(&facts));
        bench.pass(10_000);
        bench.timeout();
        bench.look(id, &found(&facts));
        assert_eq!(bench.outcome(id), None);
        if confirmed {
            let xid = witness(&mut bench, "xid", RuleRemedy::Note);
            bench.decide(&xid, &found(&facts));
        } else {
            bench.pass(20_000);
        }
        bench.pass(1);
        bench.timeout();
        bench.pending_look(&key(), &found(&facts));
        bench.pass(1_000);
        bench.timeout();
        bench.look(id, &found(&facts));
        let want = if confirmed {
            Outcome::Relapsed
        } else {
            Outcome::Recovered
        };
        assert_eq!(bench.outcome(id), Some(want));
    }
}

#[test]
fn a_match_that_waits_for_facts_keeps_the_attempt_in_doubt() {
    let mut bench = Bench::new();
    let mut facts = facts();
    let id = bench.matched(&facts).attempt.expect("an attempt");
    bench.restart(id, &mut facts);
    bench.pass(60_000);
    let intent = bench.new_intent("oom");
    bench.decide(&intent, &away());
    bench.timeout();
    bench.look(id, &found(&facts));
    assert_eq!(bench.outcome(id), None);
    bench.pass(1_000);
    bench.pending_look(&PendingKey::Id(ID.into()), &found(&facts));
    assert_eq!(bench.outcome(id), Some(Outcome::Relapsed));
}

#[test]
fn a_witness_whose_container_docker_did_not_tell_in_time_counts_too() {
    let mut bench = Bench::new();
    let intent = unsure(&mut bench, &["xid"]);
    decide(&mut bench, &intent);
    assert_eq!(wait(&mut bench, 10_000, running), []);
    let xid = witness(&mut bench, "xid", RuleRemedy::Note);
    bench.decide(&xid, &away());
    assert_eq!(charges(&wait(&mut bench, 1, running)), 1);
}

#[test]
fn only_what_may_confirm_it_has_it_looked_at_out_of_turn() {
    let mut bench = Bench::new();
    let intent = unsure(&mut bench, &["xid", "unhealthy"]);
    decide(&mut bench, &intent);
    wait(&mut bench, CONFIRM_LOOK_MS, running);
    let next = bench.policy.poll_timeout();
    assert_eq!(next, Some(bench.now.at.plus(CONFIRM_LOOK_MS)));
    let other = witness(&mut bench, "nccl", RuleRemedy::Note);
    decide(&mut bench, &other);
    assert_eq!(bench.policy.poll_timeout(), next);
    let xid = witness(&mut bench, "xid", RuleRemedy::Note);
    decide(&mut bench, &xid);
    assert_eq!(bench.policy.poll_timeout(), Some(bench.now.at.plus(1)));
}

#[test]
fn a_person_needs_no_confirmation() {
    let mut bench = Bench::new();
    let intent = unsure(&mut bench, &["exit"]);
    decide(&mut bench, &intent);
    assert_eq!(bench.asked(&facts()).verdict, Verdict::Restart);
}

#[test]
fn it_waits_on_over_a_crash_and_over_compaction() {
    let mut bench = Bench::new();
    let intent = unsure(&mut bench, &["xid", "unhealthy"]);
    decide(&mut bench, &intent);
    let xid = witness(&mut bench, "other", RuleRemedy::Note);
    decide(&mut bench, &xid);
    bench.journal = bench.policy.snapshot(bench.now);
    bench.crash();
    assert!(bench.policy.state.pendings.contains_key(&key()));
    bench.pass(10_000);
    let xid = witness(&mut bench, "xid", RuleRemedy::Note);
    decide(&mut bench, &xid);
    bench.pass(1);
    let step = bench.crash();
    assert_eq!(step.actions, [Action::LookForPending { key: key() }]);
    let look = running(&bench);
    assert_eq!(charges(&bench.pending_look(&key(), &look).entries), 1);
}

#[test]
fn without_facts_it_waits_for_them_and_its_confirmation_counts_all_the_same() {
    for remedy in [RuleRemedy::Restart, RuleRemedy::Escalate] {
        let mut bench = Bench::new();
        let mut intent = unsure(&mut bench, &["xid"]);
        if let Some(known) = &mut intent.known {
            known.remedy = remedy;
        }
        let step = bench.decide(&intent, &away());
        assert_eq!(step.answer.and_then(|a| a.gate), Some(Gate::NoFacts));
        let xid = witness(&mut bench, "xid", RuleRemedy::Note);
        bench.decide(&xid, &away());
        let entries = wait(&mut bench, 5_000, running);
        let held = entries.iter().any(|e| matches!(e, Entry::Held { .. }));
        let is_restart = remedy == RuleRemedy::Restart;
        assert_eq!(
            (charges(&entries), held),
            (usize::from(is_restart), !is_restart)
        );
    }
}

#[test]
fn those_that_wait_for_long_leave_others_their_turn() {
    let mut bench = Bench::new();
    let labels = [("healer.enable".to_owned(), "true".to_owned())];
    for n in 0..PENDING_LOOKS_MAX + 4 {
        let mut intent = unsure(&mut bench, &["unhealthy"]);
        let facts = Facts {
            id: format!("{n:064x}"),
            name: format!("c{n}"),
            labels: labels.clone().into(),
            ..fresh(&bench, facts())
        };
        intent.wire_id = Some(facts.id.clone());
        let step = bench.decide(&intent, &found(&facts));
        assert_eq!(step.answer.and_then(|a| a.gate), Some(Gate::Unconfirmed));
    }
    let real = bench.new_intent("oom");
    bench.pass(20_000);
    bench.decide(&real, &away());
    let real = PendingKey::Id(ID.into());
    for _ in 0..20 {
        for action in bench.timeout().actions {
            let Action::LookForPending { key } = action else {
                continue;
            };
            if key == real {
                return;
            }
            let n: usize = key.as_str()[1..].parse().expect("a number");
            let seen = Facts {
                id: format!("{n:064x}"),
                name: key.as_str().to_owned(),
                labels: labels.clone().into(),
                ..fresh(&bench, facts())
            };
            bench.pending_look(&key, &found(&seen));
        }
        bench.pass(CONFIRM_LOOK_MS);
    }
    panic!("its turn never comes");
}
