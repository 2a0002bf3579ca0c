//! The storm breaker: what begins it, what it stops, what ends it.

use std::collections::BTreeSet;

use crate::testing::*;
use crate::*;

/// Storms begin after 3 attempts, or 3 targets in a minute; it is over after
/// 10 quiet minutes.
fn stormy() -> Bench {
    let mut config = config();
    config.storm = StormLimits {
        attempts: 3,
        targets: 3,
        within_ms: 60_000,
        quiet_ms: 600_000,
    };
    config.on_refusal = OnRefusal::Pending;
    for name in ["web", "db", "gpu", "four"] {
        let mut target = target_config();
        target.limits.cooldown_ms = 0;
        config.targets.insert(name.into(), target);
    }
    Bench::with(config)
}

fn container(name: &str) -> Facts {
    Facts {
        id: name.repeat(64)[..64].to_owned(),
        name: name.into(),
        ..facts()
    }
}

fn intent(bench: &mut Bench, name: &str, rule: &str) -> IntentInput {
    IntentInput {
        wire_id: Some(container(name).id),
        ..bench.new_intent(rule)
    }
}

fn matched(bench: &mut Bench, name: &str, rule: &str) -> Step {
    let intent = intent(bench, name, rule);
    bench.decide(&intent, &found(&container(name)))
}

fn gate(step: &Step) -> Option<Gate> {
    step.answer.as_ref().and_then(|answer| answer.gate)
}

/// One attempt of `name` that ends so.
fn attempt(bench: &mut Bench, id: AttemptId, name: &str, outcome: Outcome) -> Step {
    bench.write(charge(id, name, Cause::Person));
    bench.pass(1_000);
    let attempt = bench.policy.state.open(id).cloned().expect("it is open");
    let ending = crate::draft::Ending::new(outcome, "?");
    let mut step = Step::default();
    bench.policy.end_attempt(&mut step, id, &attempt, ending);
    bench.take(step)
}

fn storm(bench: &Bench) -> Option<StormStatus> {
    bench.policy.status(bench.now).storm
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn attempts_in_a_row_of_two_targets_or_more_that_do_not_cure_begin_it() {
    use Outcome::*;
    type Row<'a> = (&'a [(&'a str, Outcome)], bool);
    let table: [Row<'_>; 10] = [
        (
            &[("web", Relapsed), ("db", Failed), ("web", Relapsed)],
            true,
        ),
        (&[("web", Failed), ("web", Failed), ("db", Failed)], true),
        (&[("web", Relapsed), ("db", Relapsed)], false),
        // One target alone is what `max_attempts` is for.
        (
            &[
                ("web", Failed),
                ("web", Failed),
                ("web", Failed),
                ("web", Failed),
            ],
            false,
        ),
        (
            &[
                ("db", Failed),
                ("web", Failed),
                ("web", Failed),
                ("web", Failed),
            ],
            true,
        ),
        // One cure, and it is no storm.
        (
            &[("web", Failed), ("db", Failed), ("gpu", Recovered)],
            false,
        ),
        (
            &[
                ("web", Failed),
                ("gpu", Recovered),
                ("db", Failed),
                ("web", Failed),
            ],
            false,
        ),
        // What came to nothing and what nobody knows say neither.
        (
            &[
                ("web", Failed),
                ("db", Aborted),
                ("db", Unknown),
                ("gpu", Failed),
            ],
            false,
        ),
        (
            &[
                ("web", Failed),
                ("db", Aborted),
                ("gpu", Failed),
                ("db", Failed),
            ],
            true,
        ),
        (
            &[("web", Aborted), ("db", Aborted), ("gpu", Aborted)],
            false,
        ),
    ];
    for (i, (attempts, begins)) in table.into_iter().enumerate() {
        let mut bench = stormy();
        let mut steps = Vec::new();
        for (n, (name, outcome)) in attempts.iter().enumerate() {
            steps.push(attempt(&mut bench, n as u64 + 1, name, *outcome));
        }
        assert_eq!(storm(&bench).is_some(), begins, "row {i}");
        let told = steps.iter().flat_map(told);
        let begun = told.filter(|event| matches!(event, Event::Storm { .. }));
        assert_eq!(begun.count(), usize::from(begins), "told once: row {i}");
        let durable = steps.iter().any(|step| step.durable);
        assert_eq!(durable, begins, "a storm is on disk: row {i}");
    }
}

#[test]
fn the_shadow_of_an_attempt_says_nothing() {
    let mut bench = stormy();
    for (id, name) in [(1, "web"), (2, "db"), (3, "gpu")] {
        let Entry::Charge(charge) = charge(id, name, Cause::Person) else {
            unreachable!("a charge")
        };
        bench.write(Entry::Charge(Charge {
            shadow: true,
            ..charge
        }));
        bench.write(Entry::Outcome {
            attempt: id,
            outcome: Outcome::Failed,
            gate: None,
            detail: String::new(),
        });
    }
    assert_eq!(bench.policy.state.storms.uncured, []);
}

#[test]
fn one_rule_in_many_targets_within_its_time_begins_it() {
    type Row<'a> = (&'a [(&'a str, &'a str, u64)], bool);
    // (target, rule, and how long after the one before, ms)
    let table: [Row<'_>; 6] = [
        (
            &[("web", "oom", 0), ("db", "oom", 1), ("gpu", "oom", 1)],
            true,
        ),
        (
            &[
                ("web", "oom", 0),
                ("db", "oom", 29_999),
                ("gpu", "oom", 30_000),
            ],
            true,
        ),
        (
            &[
                ("web", "oom", 0),
                ("db", "oom", 30_000),
                ("gpu", "oom", 30_000),
            ],
            false,
        ),
        (
            &[("web", "oom", 0), ("db", "xid", 1), ("gpu", "oom", 1)],
            false,
        ),
        (
            &[("web", "oom", 0), ("db", "oom", 1), ("db", "oom", 1)],
            false,
        ),
        (
            &[("web", "oom", 0), ("db", "oom", 59_999), ("gpu", "oom", 0)],
            true,
        ),
    ];
    for (i, (matches, begins)) in table.into_iter().enumerate() {
        let mut bench = stormy();
        let mut last = Step::default();
        for (name, rule, after_ms) in matches {
            bench.pass(*after_ms);
            last = matched(&mut bench, name, rule);
        }
        assert_eq!(storm(&bench).is_some(), begins, "row {i}");
        let charges = |entry: &Entry| matches!(entry, Entry::Charge(_));
        assert_eq!(
            last.entries.iter().any(charges),
            !begins && gate(&last).is_none()
        );
        if begins {
            // The very match that makes it too many is not restarted any more.
            assert_eq!(gate(&last), Some(Gate::Storm), "row {i}");
        }
    }
}

#[test]
fn what_is_not_called_for_or_only_a_dry_run_begins_none() {
    let mut bench = stormy();
    for name in ["web", "db", "gpu", "four"] {
        let mut intent = intent(&mut bench, name, "oom");
        if let Some(known) = &mut intent.known {
            known.threshold = Some((2, 60_000));
        }
        let step = bench.decide(&intent, &found(&container(name)));
        assert_eq!(gate(&step), Some(Gate::BelowThreshold));
    }
    assert_eq!(storm(&bench), None);
    bench.config.dry_run = true;
    bench.policy.configure(bench.config.clone());
    for name in ["web", "db", "gpu", "four"] {
        assert_eq!(gate(&matched(&mut bench, name, "oom")), Some(Gate::DryRun));
    }
    assert_eq!(storm(&bench), None);
}

/// Three attempts of two targets have not cured.
fn in_a_storm() -> Bench {
    let mut bench = stormy();
    attempt(&mut bench, 1, "web", Outcome::Failed);
    attempt(&mut bench, 2, "db", Outcome::Relapsed);
    attempt(&mut bench, 3, "web", Outcome::Failed);
    bench
}

#[test]
fn it_says_why_who_and_until_when_and_is_not_ready() {
    let bench = in_a_storm();
    let status = storm(&bench).expect("a storm");
    assert_eq!(
        status.why,
        "the last 3 attempts did not cure (attempts 1 of web, 2 of db, 3 of web)"
    );
    assert_eq!(status.targets, ["db", "web"]);
    assert_eq!(status.quiet_in_ms, 600_000);
    assert!(bench.policy.counts(bench.now).storm);
    let not_ready = bench.policy.not_ready(bench.now).join("\n");
    assert!(not_ready.contains("storm: the last 3"), "{not_ready}");
}

#[test]
fn nothing_is_restarted_in_it_whoever_asks() {
    let mut bench = in_a_storm();
    let step = matched(&mut bench, "gpu", "oom");
    let answer = step.answer.expect("an answer");
    assert_eq!(
        (answer.verdict, answer.gate),
        (Verdict::Pending, Some(Gate::Storm))
    );
    let answer = bench.asked(&container("four"));
    assert_eq!(
        (answer.verdict, answer.gate),
        (Verdict::Refused, Some(Gate::Storm))
    );
    assert!(
        answer.detail.contains("`healer resume` ends it"),
        "{answer:?}"
    );
}

#[test]
fn what_was_charged_before_it_is_not_sent_and_waits() {
    for on_refusal in [OnRefusal::Pending, OnRefusal::Drop] {
        let mut bench = stormy();
        bench.config.on_refusal = on_refusal;
        bench.policy.configure(bench.config.clone());
        charged_before_it(bench);
    }
}

fn charged_before_it(mut bench: Bench) {
    let step = matched(&mut bench, "gpu", "oom");
    let id = step.answer.and_then(|a| a.attempt).expect("an attempt");
    attempt(&mut bench, 11, "web", Outcome::Failed);
    attempt(&mut bench, 12, "db", Outcome::Failed);
    attempt(&mut bench, 13, "web", Outcome::Failed);
    let step = bench.look(id, &found(&container("gpu")));
    assert_eq!(calls(&step), []);
    let view = bench.policy.attempt(id).expect("an attempt");
    assert_eq!(
        (view.outcome, view.gate),
        (Some(Outcome::Aborted), Some(Gate::Storm))
    );
    assert_eq!(bench.policy.counts(bench.now).pending, 1);
}

#[test]
fn what_our_own_restart_stopped_is_started_in_it_too() {
    let mut bench = in_a_storm();
    bench.write(charge(4, "gpu", Cause::Person));
    bench.write(Entry::Sent {
        attempt: 4,
        call: Call::Restart,
    });
    bench.called(4, Called::Unclear { why: "?".into() });
    let mut facts = container("gpu");
    facts.id = ID.into();
    facts.state = ContainerState::Exited;
    facts.finished_at = Some(bench.wall_now());
    bench.pass(20_000);
    let step = bench.look(4, &found(&facts));
    assert_eq!(calls(&step), [Call::Start]);
}

#[test]
fn a_persons_word_ends_it_and_what_waited_is_decided_at_once() {
    let mut bench = in_a_storm();
    matched(&mut bench, "gpu", "oom");
    let step = bench.policy.handle_resume(bench.now, Some("gpu"), "x");
    let said = step.answer.expect("an answer").detail;
    assert!(said.contains("without a target ends that"), "{said}");
    let step = bench.policy.handle_resume(bench.now, None, "healer resume");
    assert!(step.durable);
    let step = bench.take(step);
    assert_eq!(step.answer.expect("an answer").detail, "Ended the storm");
    assert_eq!(storm(&bench), None);
    let step = bench.timeout();
    let key = PendingKey::Target("gpu".into());
    assert_eq!(step.actions, [Action::LookForPending { key: key.clone() }]);
    let step = bench.pending_look(&key, &found(&container("gpu")));
    assert!(matches!(step.entries[..], [Entry::Charge(_)]), "{step:?}");
    // It counts anew: two more that do not cure are none.
    attempt(&mut bench, 21, "web", Outcome::Failed);
    attempt(&mut bench, 22, "db", Outcome::Failed);
    assert_eq!(storm(&bench), None);
    attempt(&mut bench, 23, "web", Outcome::Failed);
    assert!(storm(&bench).is_some());
}

/// Performs the looks that a step asks for; what they bring.
fn looked(bench: &mut Bench, step: &Step, see: impl Fn(&str) -> Look) -> Vec<Entry> {
    let mut entries = Vec::new();
    for action in &step.actions {
        if let Action::LookForTarget { target } = action {
            let step = bench
                .policy
                .handle_target_look(bench.now, target, &see(target));
            entries.extend(bench.take(step).entries);
        }
    }
    entries
}

fn asked_for(step: &Step) -> BTreeSet<String> {
    let target = |action: &Action| match action {
        Action::LookForTarget { target } => Some(target.clone()),
        _ => None,
    };
    step.actions.iter().filter_map(target).collect()
}

#[test]
fn all_clear_is_quiet_and_then_nothing_wrong_with_any_of_them() {
    let well = |name: &str| found(&container(name));
    let checked = |status| {
        move |name: &str| {
            let mut facts = container(name);
            facts.health = health(status, None);
            found(&facts)
        }
    };
    let mut bench = in_a_storm();
    bench.pass(599_999);
    assert_eq!(asked_for(&bench.timeout()), names(&[]));
    bench.pass(1);
    let step = bench.timeout();
    assert_eq!(asked_for(&step), names(&["db", "web"]));
    // Not while one of them has a check that does not say healthy,
    assert_eq!(
        looked(&mut bench, &step, checked(HealthStatus::Unhealthy)),
        []
    );
    bench.pass(TARGET_LOOK_MS);
    let step = bench.timeout();
    assert_eq!(
        looked(&mut bench, &step, checked(HealthStatus::Starting)),
        []
    );
    // nor while Docker does not say,
    bench.pass(TARGET_LOOK_MS);
    let step = bench.timeout();
    assert_eq!(looked(&mut bench, &step, |_| away()), []);
    bench.pass(TARGET_LOOK_MS);
    // nor while it is not known of each of them.
    let step = bench.timeout();
    let one_away = |name: &str| if name == "db" { away() } else { well(name) };
    assert_eq!(looked(&mut bench, &step, one_away), []);
    bench.pass(TARGET_LOOK_MS);
    let step = bench.timeout();
    let mixed = |name: &str| if name == "db" { Look::Gone } else { well(name) };
    let ended = looked(&mut bench, &step, mixed);
    assert_eq!(
        ended,
        [Entry::StormEnded {
            by: "all clear".into()
        }]
    );
    assert_eq!(storm(&bench), None);
}

#[test]
fn a_match_of_one_of_them_puts_the_all_clear_off_and_adds_who_joins() {
    let mut bench = in_a_storm();
    bench.pass(500_000);
    matched(&mut bench, "gpu", "oom");
    assert_eq!(storm(&bench).map(|s| s.quiet_in_ms), Some(600_000));
    assert_eq!(
        storm(&bench).map(|s| s.targets),
        Some(vec!["db".into(), "gpu".into(), "web".into()])
    );
    // What is only counted says nothing, nor does somebody else's trouble.
    bench.pass(100_000);
    let mut noted = intent(&mut bench, "web", "note");
    if let Some(known) = &mut noted.known {
        known.remedy = RuleRemedy::Note;
    }
    bench.decide(&noted, &found(&container("web")));
    assert_eq!(storm(&bench).map(|s| s.quiet_in_ms), Some(500_000));
}

#[test]
fn of_one_target_no_more_than_half_count() {
    // (web's, db's, gpu's): the newest of each in turn, six of them begin it.
    let table = [
        ([5, 1, 0], false),
        ([9, 2, 0], false),
        ([3, 2, 0], false),
        ([3, 3, 0], true),
        ([9, 3, 0], true),
        ([9, 2, 1], true),
        ([20, 1, 1], false),
        ([2, 2, 2], true),
        ([2, 2, 1], false),
    ];
    for (counts, begins) in table {
        let mut bench = stormy();
        bench.config.storm.attempts = 6;
        bench.policy.configure(bench.config.clone());
        let mut id = 0;
        for (name, count) in ["web", "db", "gpu"].into_iter().zip(counts) {
            for _ in 0..count {
                id += 1;
                attempt(&mut bench, id, name, Outcome::Relapsed);
            }
        }
        assert_eq!(storm(&bench).is_some(), begins, "{counts:?}");
    }
}

#[test]
fn what_is_dealt_with_or_long_ago_does_not_count() {
    let held = |target: &str| Entry::Held {
        target: target.into(),
        why: "?".into(),
        container_id: None,
        started_at: None,
    };
    let released = |target: &str| Entry::Released {
        target: target.into(),
        by: "?".into(),
        uncured: 0,
    };
    // (what happens after web has failed, and how long after, and whether two more begin it)
    let table = [
        (None, 0, true),
        (Some(held("web")), 0, false),
        (Some(released("web")), 0, false),
        (Some(held("gpu")), 0, true),
        (None, STORM_UNCURED_MS - 2_001, true),
        (None, STORM_UNCURED_MS, false),
    ];
    for (i, (entry, after_ms, begins)) in table.into_iter().enumerate() {
        let mut bench = stormy();
        attempt(&mut bench, 1, "web", Outcome::Failed);
        if let Some(entry) = entry {
            bench.write(entry);
        }
        bench.pass(after_ms);
        attempt(&mut bench, 2, "db", Outcome::Failed);
        attempt(&mut bench, 3, "db", Outcome::Failed);
        assert_eq!(storm(&bench).is_some(), begins, "row {i}");
    }
}

/// One container that relapses until it is held, and one relapse of another.
#[test]
fn a_target_that_is_held_for_it_makes_no_storm_with_another() {
    let mut bench = stormy();
    bench.config.storm.attempts = 5;
    for target in bench.config.targets.values_mut() {
        target.recovery.max_attempts = 5;
    }
    bench.policy.configure(bench.config.clone());
    for id in 1..=5 {
        attempt(&mut bench, id, "web", Outcome::Relapsed);
    }
    let web = bench.policy.state.target("web").expect("known");
    assert!(web.held.is_some());
    for id in 6..=7 {
        attempt(&mut bench, id, "db", Outcome::Relapsed);
    }
    assert_eq!(storm(&bench), None);
    // Of each that a hold stops at once, its last one counts: it is the host.
    for (id, name) in [(8, "gpu"), (9, "four")] {
        attempt(&mut bench, id, name, Outcome::Relapsed);
    }
    assert!(storm(&bench).is_some());
}

#[test]
fn a_target_that_is_held_or_paused_puts_its_quiet_off_no_longer() {
    let held = Entry::Held {
        target: "web".into(),
        why: "?".into(),
        container_id: None,
        started_at: None,
    };
    let paused = Entry::Paused {
        target: Some("web".into()),
        until: None,
        reason: String::new(),
    };
    for (entry, gate_of_it) in [(held, Gate::Held), (paused, Gate::Maintenance)] {
        let mut bench = in_a_storm();
        bench.write(entry);
        bench.pass(100_000);
        assert_eq!(gate(&matched(&mut bench, "web", "oom")), Some(gate_of_it));
        let mut escalation = intent(&mut bench, "web", "xid");
        if let Some(known) = &mut escalation.known {
            known.remedy = RuleRemedy::Escalate;
        }
        bench.decide(&escalation, &found(&container("web")));
        assert_eq!(storm(&bench).map(|s| s.quiet_in_ms), Some(500_000));
        // Others of them do.
        assert_eq!(gate(&matched(&mut bench, "db", "oom")), Some(Gate::Storm));
        assert_eq!(storm(&bench).map(|s| s.quiet_in_ms), Some(600_000));
    }
}

#[test]
fn it_survives_crashes_and_compaction() {
    let mut bench = in_a_storm();
    bench.pass(60_000);
    matched(&mut bench, "gpu", "oom");
    let before = storm(&bench);
    bench.crash();
    assert_eq!(storm(&bench), before);
    let snapshot = bench.policy.snapshot(bench.now);
    bench.journal = snapshot;
    bench.crash();
    assert_eq!(storm(&bench), before);
    assert_eq!(gate(&matched(&mut bench, "gpu", "oom")), Some(Gate::Storm));
}

#[test]
fn what_led_to_it_survives_compaction_too() {
    let mut bench = stormy();
    attempt(&mut bench, 1, "web", Outcome::Failed);
    attempt(&mut bench, 2, "db", Outcome::Failed);
    matched(&mut bench, "web", "oom");
    matched(&mut bench, "db", "oom");
    bench.journal = bench.policy.snapshot(bench.now);
    bench.crash();
    assert_eq!(bench.policy.state.storms.uncured.len(), 2);
    assert_eq!(gate(&matched(&mut bench, "gpu", "oom")), Some(Gate::Storm));
}

#[test]
fn switched_off_it_never_begins() {
    let mut bench = stormy();
    (bench.config.storm.attempts, bench.config.storm.targets) = (0, 0);
    bench.policy.configure(bench.config.clone());
    for (n, name) in ["web", "db", "gpu", "four"].into_iter().enumerate() {
        attempt(&mut bench, n as u64 + 1, name, Outcome::Failed);
        matched(&mut bench, name, "oom");
    }
    assert_eq!(storm(&bench), None);
}

#[test]
fn a_look_because_of_the_storm_ends_no_hold_that_is_for_a_person_to_end() {
    let mut bench = in_a_storm();
    let held = Entry::Held {
        target: "web".into(),
        why: "?".into(),
        container_id: Some(container("web").id),
        started_at: None,
    };
    bench.write(held);
    bench.pass(700_000);
    let facts = Facts {
        health: health(HealthStatus::Healthy, Some(bench.wall_now())),
        ..container("web")
    };
    bench.timeout();
    let step = bench
        .policy
        .handle_target_look(bench.now, "web", &found(&facts));
    bench.take(step);
    let web = bench.policy.state.target("web").expect("known");
    assert!(web.held.is_some(), "release_after is 0: never by itself");
}

#[test]
fn what_waits_for_its_end_is_not_given_up_before_that_but_for_a_day() {
    let expired = |step: &Step| {
        let told = told(step);
        let gone = |event: &&&Event| matches!(event, Event::PendingEnded { expired: true, .. });
        told.iter().filter(gone).count()
    };
    // (pending_max, how long the storm goes on, whether it is still pending then), ms
    let table = [
        (None, 3_600_000, true),
        (None, STORM_PENDING_MS, true),
        (None, STORM_PENDING_MS + 2 * 3_600_000, false),
        (Some(3_600_000), 3_599_999, true),
        (Some(3_600_000), 3_600_000, false),
    ];
    for (pending_max_ms, lasts_ms, waits) in table {
        for on_refusal in [OnRefusal::Pending, OnRefusal::Drop] {
            let mut bench = in_a_storm();
            bench.config.pending_max_ms = pending_max_ms;
            bench.config.on_refusal = on_refusal;
            bench.policy.configure(bench.config.clone());
            let answer = matched(&mut bench, "gpu", "oom").answer.expect("an answer");
            assert_eq!(answer.verdict, Verdict::Pending, "{on_refusal:?}");
            bench.pass(lasts_ms);
            let ended = expired(&bench.timeout());
            assert_eq!(ended, usize::from(!waits), "{pending_max_ms:?} {lasts_ms}");
            assert_eq!(bench.policy.counts(bench.now).pending == 1, waits);
            if waits && pending_max_ms.is_none() {
                // Then there is time to decide it.
                bench.write(Entry::StormEnded { by: "?".into() });
                bench.pass(PENDING_MARGIN_MS - 1);
                assert_eq!(expired(&bench.timeout()), 0);
                bench.crash();
                let key = PendingKey::Target("gpu".into());
                let step = bench.pending_look(&key, &found(&container("gpu")));
                assert!(matches!(step.entries[..], [Entry::Charge(_)]), "{step:?}");
            }
        }
    }
}

#[test]
fn matches_that_had_to_wait_for_facts_make_one_too() {
    let mut bench = stormy();
    for name in ["web", "db", "gpu"] {
        let intent = intent(&mut bench, name, "oom");
        let step = bench.decide(&intent, &away());
        assert_eq!(gate(&step), Some(Gate::NoFacts), "{name}");
    }
    bench.pass(1_000);
    bench.timeout();
    for (name, begins) in [("web", false), ("db", false), ("gpu", true)] {
        let key = PendingKey::Id(container(name).id);
        bench.pending_look(&key, &found(&container(name)));
        assert_eq!(storm(&bench).is_some(), begins, "{name}");
    }
    assert_eq!(bench.policy.counts(bench.now).pending, 1, "the third waits");
}
