//! Each gate alone, and every pair in order.

use crate::testing::*;
use crate::*;

/// One case in the making: what an intent meets.
struct Case {
    bench: Bench,
    facts: Facts,
    gone: bool,
    intent: IntentInput,
}

impl Case {
    fn new() -> Self {
        let mut bench = Bench::new();
        let intent = bench.new_intent("oom");
        Self {
            bench,
            facts: facts(),
            gone: false,
            intent,
        }
    }

    fn label(&mut self, key: &str, value: &str) {
        self.facts.labels.insert(key.into(), value.into());
    }

    fn imported(&mut self, target: &str, ms_ago: u64) {
        let restarted_at = Timestamp(self.bench.now.at.0 - ms_ago);
        self.bench.write(Entry::Imported {
            target: target.into(),
            restarted_at,
        });
    }

    fn threshold(&mut self, count: u32, within_ms: u64) {
        if let Some(known) = &mut self.intent.known {
            known.threshold = Some((count, within_ms));
        }
    }

    fn answer(&mut self) -> Decided {
        let look = if self.gone {
            Look::Gone
        } else {
            found(&self.facts)
        };
        self.bench
            .decide(&self.intent, &look)
            .answer
            .expect("an intent is answered")
    }
}

type Spoil = fn(&mut Case);

/// For each gate something that makes it refuse and no earlier one, with the
/// answer's words.
const SPOILS: [(Gate, Spoil, Verdict, &str); 17] = [
    (
        Gate::UnknownRule,
        |case| case.intent.known = None,
        Verdict::Refused,
        "Unknown rule 'oom' in this executor's rules",
    ),
    (
        Gate::UnknownTarget,
        |case| case.gone = true,
        Verdict::Refused,
        "No container 'aaaaaaaaaaaa'",
    ),
    (
        Gate::Protected,
        |case| case.facts.is_self_or_peer = true,
        Verdict::Refused,
        "'web' is the healer's own container or the sender's",
    ),
    (
        Gate::Orchestrated,
        |case| case.label("com.docker.swarm.service.id", "x"),
        Verdict::Refused,
        "'web' belongs to Docker Swarm, which restarts it",
    ),
    (
        Gate::NotEnabled,
        |case| case.label("healer.enable", "false"),
        Verdict::Refused,
        "'web' is switched off by its label healer.enable=false",
    ),
    (
        Gate::Stale,
        |case| case.facts.started_at = Some(wall(T0 + 2)),
        Verdict::Refused,
        "Line is older than the container's start (by 2.000s)",
    ),
    (
        Gate::NotRunning,
        |case| case.facts.state = ContainerState::Exited,
        Verdict::Refused,
        "'web' is exited, not running",
    ),
    (
        Gate::Maintenance,
        |case| {
            case.bench.write(Entry::Paused {
                target: None,
                until: None,
                reason: String::new(),
            });
        },
        Verdict::Refused,
        "Paused until `healer resume`",
    ),
    (
        Gate::Held,
        |case| {
            case.bench.write(Entry::Held {
                target: NAME.into(),
                why: "it is broken".into(),
                container_id: None,
                started_at: None,
            });
        },
        Verdict::Refused,
        "Held: it is broken (`healer resume web` frees it)",
    ),
    (
        Gate::InProgress,
        |case| {
            case.bench.write(charge(1, NAME, Cause::Person));
            case.bench.pass(3_500);
        },
        Verdict::Pending,
        "Attempt 1 in progress (for 3s)",
    ),
    (
        Gate::BelowThreshold,
        |case| case.threshold(3, 60_000),
        Verdict::Refused,
        "Below threshold (1 of 3 matches within 60s)",
    ),
    (
        Gate::Unconfirmed,
        |case| {
            if let Some(known) = &mut case.intent.known {
                known.confirm = Some(Confirm {
                    by: vec![Confirmation::Rule("xid".into()), Confirmation::Exit],
                    within_ms: 30_000,
                });
            }
        },
        Verdict::Pending,
        "Not confirmed yet by rule 'xid' or the container's exit (waiting for another 30s)",
    ),
    (
        Gate::Storm,
        |case| {
            case.bench.write(Entry::Storm {
                why: "nothing cures".into(),
                targets: ["other".to_owned()].into(),
            });
        },
        Verdict::Pending,
        "Storm: nothing cures: no restarts until it has been quiet for 600s (`healer resume` \
         ends it)",
    ),
    (
        Gate::Cooldown,
        |case| case.imported(NAME, 45_700),
        Verdict::Pending,
        "Cooldown active (45s < 300s)",
    ),
    (
        Gate::Window,
        |case| {
            for ms_ago in [599_999, 500_000, 400_000, 300_000] {
                case.imported(NAME, ms_ago);
            }
        },
        Verdict::Pending,
        "Max restarts (4) in last 600s reached",
    ),
    (
        Gate::HostLimit,
        |case| {
            for n in 0..10 {
                case.imported(&format!("other{n}"), 599_999 - n);
            }
        },
        Verdict::Pending,
        "Max restarts on this host (10) in last 600s reached",
    ),
    (
        Gate::DryRun,
        |case| {
            case.bench.config.dry_run = true;
            case.bench.policy.configure(case.bench.config.clone());
        },
        Verdict::Refused,
        "Dry run: would restart 'web'",
    ),
];

#[test]
fn nothing_refuses_a_plain_match() {
    assert_eq!(Case::new().answer().verdict, Verdict::Restart);
}

#[test]
fn each_gate_alone_refuses_with_its_figures() {
    for (gate, spoil, verdict, detail) in SPOILS {
        let mut case = Case::new();
        spoil(&mut case);
        let answer = case.answer();
        assert_eq!(answer.gate, Some(gate));
        assert_eq!(answer.verdict, verdict, "{gate:?}");
        assert_eq!(answer.detail, detail, "{gate:?}");
    }
}

#[test]
fn of_any_two_gates_the_earlier_refuses() {
    for (i, (first, spoil_first, ..)) in SPOILS.iter().enumerate() {
        for (second, spoil_second, ..) in &SPOILS[i + 1..] {
            for order in [[spoil_first, spoil_second], [spoil_second, spoil_first]] {
                let mut case = Case::new();
                for spoil in order {
                    spoil(&mut case);
                }
                assert_eq!(case.answer().gate, Some(*first), "{first:?} {second:?}");
            }
        }
    }
}

#[test]
fn all_gates_at_once_refuse_in_their_order() {
    for i in 0..SPOILS.len() {
        let mut case = Case::new();
        for (_, spoil, ..) in &SPOILS[i..] {
            spoil(&mut case);
        }
        assert_eq!(case.answer().gate, Some(SPOILS[i].0));
    }
}

#[test]
fn a_dropping_configuration_refuses_where_others_wait() {
    for (gate, spoil, ..) in SPOILS {
        let mut case = Case::new();
        spoil(&mut case);
        case.bench.config.on_refusal = OnRefusal::Drop;
        case.bench.policy.configure(case.bench.config.clone());
        let answer = case.answer();
        // To be confirmed is no refusal: it is what the rule means; and a storm is no
        // limit of the target's own.
        let waits = matches!(gate, Gate::Unconfirmed | Gate::Storm);
        let verdict = if waits {
            Verdict::Pending
        } else {
            Verdict::Refused
        };
        assert_eq!((answer.gate, answer.verdict), (Some(gate), verdict));
        let pending = case.bench.policy.counts(case.bench.now).pending;
        assert_eq!(pending, usize::from(waits));
    }
}

#[test]
fn identity_gates_know_their_kinds() {
    type Change = fn(&mut Case);
    let table: [(Change, Option<Gate>); 14] = [
        (|c| c.label("healer.protect", "true"), Some(Gate::Protected)),
        (|c| c.label("healer.protect", "false"), None),
        (|c| c.label("healer.protect", "maybe"), None),
        (
            |c| c.label("io.kubernetes.pod.name", "p"),
            Some(Gate::Orchestrated),
        ),
        (
            |c| c.label("com.docker.swarm.task.id", "t"),
            Some(Gate::Orchestrated),
        ),
        (
            |c| c.label("com.docker.swarm.service.name", "t"),
            Some(Gate::Orchestrated),
        ),
        (|c| c.label("com.docker.compose.service", "s"), None),
        (|c| c.facts.name = "other".into(), Some(Gate::NotEnabled)),
        (
            |c| {
                c.facts.name = "other".into();
                c.label("healer.enable", "true");
            },
            None,
        ),
        (
            |c| {
                c.facts.name = "other".into();
                c.label("healer.enable", "ture");
            },
            Some(Gate::NotEnabled),
        ),
        (|c| c.label("healer.enable", "0"), Some(Gate::NotEnabled)),
        (|c| c.list(|t| t.enabled = false), Some(Gate::NotEnabled)),
        (
            |c| {
                c.list(|t| t.enabled = false);
                c.label("healer.enable", "true");
            },
            Some(Gate::NotEnabled),
        ),
        (|c| c.list(|t| t.protected = true), Some(Gate::Protected)),
    ];
    for (i, (change, gate)) in table.into_iter().enumerate() {
        let mut case = Case::new();
        change(&mut case);
        assert_eq!(case.answer().gate, gate, "row {i}");
    }
}

impl Case {
    fn list(&mut self, change: impl Fn(&mut TargetConfig)) {
        let listed = self.bench.config.targets.get_mut(NAME);
        change(listed.expect("web is listed"));
        self.bench.policy.configure(self.bench.config.clone());
    }
}

/// The bench's clock stands at `T0`; `max_age` is 900 s.
#[test]
fn stale_at_its_edges() {
    let time = |secs, nanos| WallTime { secs, nanos };
    let start = |secs, nanos| Some(time(secs, Some(nanos)));
    for (line, started_at, want) in [
        // By nanoseconds where both have them.
        (time(T0 - 9, Some(5)), start(T0 - 9, 5), None),
        (time(T0 - 9, Some(4)), start(T0 - 9, 5), Some(Gate::Stale)),
        (time(T0 - 9, Some(6)), start(T0 - 9, 5), None),
        // By whole seconds where that is all there is.
        (time(T0 - 9, None), start(T0 - 9, 999_999_999), None),
        (time(T0 - 10, None), start(T0 - 9, 0), Some(Gate::Stale)),
        // Older than max_age on arrival.
        (time(T0 - 900, Some(0)), start(1, 0), None),
        (
            time(T0 - 901, Some(999_000_000)),
            start(1, 0),
            Some(Gate::Stale),
        ),
        (time(T0 - 900, None), start(1, 0), None),
        (time(T0 - 901, None), start(1, 0), Some(Gate::Stale)),
        // A future time counts as the time of arrival.
        (time(T0 + 999, None), start(T0, 0), None),
        (time(T0 + 999, Some(1)), start(T0, 0), None),
        (time(T0 + 999, Some(1)), start(T0, 1), Some(Gate::Stale)),
        (time(u64::MAX, Some(999_999_999)), start(T0, 0), None),
        (time(0, None), start(1, 0), Some(Gate::Stale)),
    ] {
        let mut case = Case::new();
        case.intent.line = line;
        case.facts.started_at = started_at;
        assert_eq!(case.answer().gate, want, "{line:?} {started_at:?}");
    }
}

#[test]
fn a_line_that_is_too_old_says_how_old() {
    let mut case = Case::new();
    case.intent.line = WallTime {
        secs: T0 - 901,
        nanos: Some(900_000_000),
    };
    assert_eq!(
        case.answer().detail,
        "Line is too old (901s > 900s on arrival)"
    );
}

#[test]
fn every_state_but_running_refuses() {
    for state in [
        ContainerState::Created,
        ContainerState::Paused,
        ContainerState::Restarting,
        ContainerState::Removing,
        ContainerState::Exited,
        ContainerState::Dead,
    ] {
        let mut case = Case::new();
        case.facts.state = state;
        assert_eq!(case.answer().gate, Some(Gate::NotRunning), "{state:?}");
    }
    let mut case = Case::new();
    case.intent.wire_id = Some("b".repeat(64));
    let answer = case.answer();
    assert_eq!(answer.gate, Some(Gate::NotRunning));
    assert_eq!(answer.detail, "'web' is another container by now");
    let mut case = Case::new();
    case.intent.wire_id = Some(ID[..12].into());
    assert_eq!(case.answer().gate, None, "a short id is enough");
}

#[test]
fn pauses_end_at_their_time_and_the_longest_counts() {
    let paused = |until_ms: Option<u64>, target: Option<&str>| Entry::Paused {
        target: target.map(str::to_owned),
        until: until_ms.map(|ms| Timestamp(T0 * 1_000 + ms)),
        reason: String::new(),
    };
    for (pauses, want, detail) in [
        (
            vec![paused(Some(1), None)],
            Some(Verdict::Pending),
            "Paused for another 1s",
        ),
        (vec![paused(Some(0), None)], None, ""),
        (
            vec![paused(Some(5_000), Some(NAME))],
            Some(Verdict::Pending),
            "Paused for another 5s",
        ),
        (vec![paused(Some(5_000), Some("other"))], None, ""),
        (
            vec![paused(Some(5_000), Some(NAME)), paused(Some(9_000), None)],
            Some(Verdict::Pending),
            "Paused for another 9s",
        ),
        (
            vec![paused(Some(5_000), Some(NAME)), paused(None, None)],
            Some(Verdict::Refused),
            "Paused until `healer resume`",
        ),
    ] {
        let mut case = Case::new();
        for pause in pauses {
            case.bench.write(pause);
        }
        let answer = case.answer();
        assert_eq!(
            answer.gate.map(|_| answer.verdict),
            want,
            "{}",
            answer.detail
        );
        if want.is_some() {
            assert_eq!(answer.detail, detail);
        }
    }
}

#[test]
fn a_stop_marker_refuses_for_as_long_as_it_is_there() {
    let mut case = Case::new();
    let name = case.facts.name.clone();
    case.bench.policy.set_stopped([name.clone()].into());
    // New settings do not make it forget.
    let config = case.bench.policy.config().clone();
    case.bench.policy.configure(Config {
        stopped: Default::default(),
        ..config
    });
    let answer = case.answer();
    assert_eq!(answer.gate, Some(Gate::Maintenance));
    assert!(
        answer.detail.contains(&format!("{name}.stopped")),
        "{}",
        answer.detail
    );

    let mut case = Case::new();
    case.bench.policy.set_stopped(["another".into()].into());
    assert_eq!(case.answer().verdict, Verdict::Restart);
}

#[test]
fn cooldown_window_and_host_limit_at_their_edges() {
    // (target, ms ago) of charges; the gate that refuses, and for how long yet.
    let others: Vec<(String, u64)> = (0..9).map(|n| (format!("o{n}"), 10_000)).collect();
    let own = |times: &[u64]| -> Vec<(String, u64)> {
        times.iter().map(|ms| (NAME.to_owned(), *ms)).collect()
    };
    for (spent, want) in [
        (own(&[300_000]), None),
        (own(&[299_999]), Some((Gate::Cooldown, 1))),
        (own(&[0]), Some((Gate::Cooldown, 300_000))),
        (own(&[600_000, 500_000, 400_000, 300_000]), None),
        (
            own(&[599_999, 500_000, 400_000, 300_000]),
            Some((Gate::Window, 1)),
        ),
        (
            own(&[599_999, 599_000, 500_000, 400_000, 300_000]),
            Some((Gate::Window, 1_000)),
        ),
        (
            [own(&[400_000]), others.clone()].concat(),
            Some((Gate::HostLimit, 200_000)),
        ),
        ([own(&[600_000]), others.clone()].concat(), None),
    ] {
        let mut case = Case::new();
        for (target, ms_ago) in &spent {
            case.imported(target, *ms_ago);
        }
        let answer = case.answer();
        let due = case.bench.policy.poll_timeout();
        let seen = answer
            .gate
            .map(|gate| (gate, due.map_or(0, |due| due.since(case.bench.now.at))));
        assert_eq!(seen, want, "{spent:?}");
    }
}

#[test]
fn a_damaged_journal_closes_every_target_until_its_time_or_a_persons_word() {
    let closed = |case: &mut Case| {
        let until = case.bench.now.at.plus(600_000);
        case.bench.write(Entry::FailClosed {
            until,
            why: "3 records were damaged".into(),
        });
    };
    let mut case = Case::new();
    closed(&mut case);
    let answer = case.answer();
    assert_eq!(
        (answer.gate, answer.verdict, &*answer.detail),
        (
            Some(Gate::Window),
            Verdict::Pending,
            "Max restarts (4) in last 600s reached (counted as spent for another 600s: 3 records \
             were damaged)"
        )
    );
    assert_eq!(case.bench.policy.not_ready(case.bench.now).len(), 1);

    let mut case = Case::new();
    closed(&mut case);
    case.bench.pass(599_999);
    assert_eq!(case.bench.matched(&facts()).gate, Some(Gate::Window));
    case.bench.pass(1);
    assert_eq!(case.bench.matched(&facts()).verdict, Verdict::Restart);

    let mut case = Case::new();
    closed(&mut case);
    let step = case
        .bench
        .policy
        .handle_resume(case.bench.now, Some(NAME), "a person");
    assert!(step.entries.is_empty(), "one target's word is not all's");
    let step = case
        .bench
        .policy
        .handle_resume(case.bench.now, None, "a person");
    case.bench.take(step);
    assert_eq!(case.bench.matched(&facts()).verdict, Verdict::Restart);
}

#[test]
fn thresholds_count_per_rule_within_their_time_and_since_the_start() {
    let mut case = Case::new();
    case.threshold(3, 60_000);
    let mut send = |rule: &str, secs: u64, n: u32, started_at: u64| {
        let mut intent = case.bench.new_intent(rule);
        intent.known = case.intent.known.clone();
        intent.line = WallTime { secs, nanos: None };
        intent.times = vec![(secs, n)];
        case.facts.started_at = Some(wall(started_at));
        case.bench
            .decide(&intent, &found(&case.facts))
            .answer
            .map(|answer| answer.detail)
            .unwrap_or_default()
    };
    let start = T0 - 3_600;
    assert_eq!(
        send("a", T0 - 100, 2, start),
        "Below threshold (2 of 3 matches within 60s)"
    );
    assert_eq!(
        send("b", T0 - 90, 1, start),
        "Below threshold (1 of 3 matches within 60s)"
    );
    assert_eq!(
        send("a", T0 - 39, 1, start),
        "Below threshold (1 of 3 matches within 60s)",
        "61 s apart"
    );
    assert_eq!(
        send("b", T0 - 30, 1, T0 - 89),
        "Below threshold (1 of 3 matches within 60s)",
        "the first was before this start"
    );
    let go = "Restarting container 'web' ...";
    assert_eq!(send("a", T0 - 40, 1, start), go);
}

#[test]
fn escalate_and_note_pass_the_gates_up_to_maintenance_and_spend_nothing() {
    for (remedy, verdict) in [
        (RuleRemedy::Escalate, Verdict::Escalated),
        (RuleRemedy::Note, Verdict::Noted),
    ] {
        // What has to be confirmed has tests of its own.
        let spoils = SPOILS.into_iter().filter(|s| s.0 != Gate::Unconfirmed);
        for (gate, spoil, ..) in spoils {
            let mut case = Case::new();
            spoil(&mut case);
            if let Some(known) = &mut case.intent.known {
                known.remedy = remedy;
            }
            let before = case.bench.policy.counts(case.bench.now).attempts;
            let answer = case.answer();
            let told_early = gate == Gate::BelowThreshold && remedy == RuleRemedy::Escalate;
            if gate <= Gate::Maintenance || told_early {
                assert_eq!(
                    (answer.verdict, answer.gate),
                    (Verdict::Refused, Some(gate)),
                    "{remedy:?}"
                );
            } else {
                assert_eq!(answer.verdict, verdict, "{gate:?}");
            }
            let counts = case.bench.policy.counts(case.bench.now);
            assert_eq!((counts.attempts, counts.pending), (before, 0));
        }
    }
}

#[test]
fn an_escalation_is_told_to_people() {
    let mut case = Case::new();
    if let Some(known) = &mut case.intent.known {
        known.remedy = RuleRemedy::Escalate;
    }
    let step = case.bench.decide(&case.intent, &found(&case.facts));
    assert!(matches!(
        told(&step)[..],
        [Event::Escalated { .. }, Event::Decided { .. }]
    ));
}

#[test]
fn a_restart_needs_facts_read_after_the_intent_came() {
    let mut case = Case::new();
    let arrived = case.bench.now.at;
    case.facts.read_at = Timestamp(arrived.0 - 1);
    let ask = |case: &mut Case| {
        let look = found(&case.facts);
        case.bench
            .policy
            .handle_intent(case.bench.now, arrived, &case.intent, &look)
    };
    assert_eq!(ask(&mut case), None);
    case.facts.read_at = arrived;
    assert!(ask(&mut case).is_some());
    // A refusal may rest on older ones.
    case.facts.read_at = Timestamp(arrived.0 - 1_000);
    case.imported(NAME, 1_000);
    let answer = ask(&mut case).and_then(|step| step.answer);
    assert_eq!(answer.and_then(|a| a.gate), Some(Gate::Cooldown));
}

#[test]
fn an_unknown_rule_is_not_ready_for_ten_minutes() {
    let mut case = Case::new();
    case.intent.known = None;
    case.answer();
    assert_eq!(case.bench.policy.not_ready(case.bench.now).len(), 1);
    case.bench.pass(599_999);
    assert_eq!(case.bench.policy.not_ready(case.bench.now).len(), 1);
    case.bench.pass(1);
    assert!(case.bench.policy.not_ready(case.bench.now).is_empty());
}

/// Asked to end `ms_ago`, and running still.
fn asked_to_end(bench: &Bench, ms_ago: u64) -> Facts {
    Facts {
        asked_to_end_at: Some(Timestamp(bench.now.at.0 - ms_ago)),
        ..facts()
    }
}

#[test]
fn what_somebody_is_stopping_is_not_brought_back_by_what_it_says_meanwhile() {
    let mut bench = Bench::new();
    let answer = bench.matched(&asked_to_end(&bench, 3_000));
    let said = (answer.verdict, answer.gate, &*answer.detail);
    let words = "'web' is being stopped, since 3s";
    assert_eq!(said, (Verdict::Pending, Some(Gate::NotRunning), words));
    // Its end is a person's.
    bench.pass(stop_wait_ms(None));
    let down = Facts {
        state: ContainerState::Exited,
        ..facts()
    };
    let key = PendingKey::Target(NAME.into());
    let step = bench.pending_look(&key, &found(&down));
    assert!(matches!(step.entries[..], [Entry::PendingEnded { .. }]));
}

#[test]
fn a_signal_that_ended_nothing_holds_a_restart_up_for_no_longer_than_a_stop() {
    let mut bench = Bench::new();
    let facts = asked_to_end(&bench, stop_wait_ms(None));
    assert_eq!(bench.matched(&facts).verdict, Verdict::Restart);
    // What has been asked to end since the charge is left to whoever asked.
    let since = asked_to_end(&bench, 0);
    let step = bench.look(1, &found(&since));
    assert!(calls(&step).is_empty(), "{step:?}");
    assert_eq!(bench.outcome(1), Some(Outcome::Aborted));
    assert_eq!(bench.policy.counts(bench.now).pending, 1);
}

#[test]
fn our_own_stop_is_no_reason_to_wait() {
    let mut bench = Bench::new();
    bench.matched(&facts());
    bench.look(1, &found(&facts()));
    let ours = asked_to_end(&bench, 0);
    let answer = bench.matched(&ours);
    assert_eq!(answer.gate, Some(Gate::InProgress), "{answer:?}");
    // The call came to nothing: it is sent once more.
    bench.called(1, Called::Unclear { why: "cut".into() });
    let mut step = bench.look(1, &found(&ours));
    for _ in 0..100 {
        if !calls(&step).is_empty() {
            break;
        }
        bench.pass(1_000);
        bench.timeout();
        step = bench.look(1, &found(&asked_to_end(&bench, 1)));
    }
    assert_eq!(calls(&step), [Call::Restart], "{step:?}");
}
