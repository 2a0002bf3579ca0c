//! Each event in the words that people get.

use policy::{
    AttemptView, Decided, Event, Gate, Limits, Now, Outcome, PendingStatus, Possible, Recovery,
    TargetState, TargetStatus, Timestamp, Verdict, WallTime,
};

use super::*;

const LINE: WallTime = WallTime {
    secs: 1_760_978_850,
    nanos: None,
};

const LIMITS: Limits = Limits {
    cooldown_ms: 300_000,
    window_ms: 600_000,
    max_per_window: 4,
};

fn attempt() -> AttemptView {
    AttemptView {
        attempt: 7,
        target: "app".into(),
        container_id: "a5e0".repeat(16),
        rule: Some("cuda-oom".into()),
        line: Some(LINE),
        charged_wall_ms: 1_760_978_850_000,
        sent_wall_ms: None,
        restarted_wall_ms: None,
        duration_ms: Some(1_500),
        ended_wall_ms: None,
        what: "verifying",
        outcome: None,
        gate: None,
        detail: String::new(),
        measures: vec![MeasureView::Restart],
        stepped: None,
        limits: LIMITS,
        window_count: 2,
        window_epochs: Vec::new(),
        shadow: false,
    }
}

fn status() -> TargetStatus {
    TargetStatus {
        target: "app".into(),
        state: TargetState::Cooldown,
        cooldown_left_ms: 240_000,
        window_count: 2,
        limits: LIMITS,
        possible: Possible {
            gate: Some(Gate::Cooldown),
            left_ms: Some(240_000),
        },
        uncured: 2,
        pending: None,
        held: None,
        paused: None,
        last: Some(attempt()),
    }
}

fn facts() -> Facts {
    Facts {
        now: Now {
            at: Timestamp(5),
            wall_ms: 1_760_978_900_000,
        },
        status: Some(status()),
        recovery: Recovery {
            stable_for_ms: 60_000,
            backoff: 2_000,
            cooldown_max_ms: 3_600_000,
            max_attempts: 5,
            release_after_ms: 600_000,
            start_delay_ms: 0,
        },
        attempt: Some(attempt()),
        evidence: Some("/state/evidence/1-7-app.json".into()),
        sample: Some("CUDA out of memory".into()),
        why: None,
    }
}

fn pending(facts: &mut Facts) {
    if let Some(status) = &mut facts.status {
        status.pending = Some(PendingStatus {
            gate: Gate::Cooldown,
            rule: "cuda-oom".into(),
            line: LINE,
            due_ms: 44_500,
            expires_ms: 1_500_000,
        });
    }
}

fn held(facts: &mut Facts) {
    if let Some(status) = &mut facts.status {
        status.held = Some("attempt 7 ended relapsed".into());
    }
}

fn decided(verdict: Verdict, gate: Option<Gate>, detail: &str) -> Event {
    Event::Decided {
        target: "app".into(),
        rule: "cuda-oom".into(),
        decided: Decided {
            verdict,
            gate,
            detail: detail.into(),
            attempt: None,
        },
        dry: false,
    }
}

fn ended(outcome: Outcome, detail: &str) -> Event {
    Event::Ended {
        attempt: 7,
        target: "app".into(),
        outcome,
        detail: detail.into(),
    }
}

const NEXT: &str = "next possible restart in 4m (at 2025-10-20T16:52:20Z)";
const RESUME: &str = "no restarts until `healer resume app`, or well for 10m";

#[test]
fn each_event_is_one_step_in_words_with_what_comes_next() {
    let plain: fn(&mut Facts) = |_| {};
    let target = || "app".to_owned();
    let (restarting, escalated) = (
        Event::Restarting {
            attempt: 7,
            target: target(),
            container_id: "a5e0".repeat(16),
        },
        |held| Event::Escalated {
            target: target(),
            rule: "xid".into(),
            held,
        },
    );
    let ended_pending = |expired| Event::PendingEnded {
        target: target(),
        why: "recovered by itself".into(),
        expired,
        dry: false,
    };
    for (event, change, step, detail, next) in [
        (
            decided(Verdict::Restart, None, ""),
            plain,
            Step::Detected,
            "Rule cuda-oom matches",
            "a restart at once",
        ),
        (
            decided(
                Verdict::Pending,
                Some(Gate::Cooldown),
                "Cooldown active (255s < 300s)",
            ),
            pending,
            Step::Pending,
            "Rule cuda-oom matches; put off: Cooldown active (255s < 300s)",
            "decided again in 45s (at 2025-10-20T16:49:05Z), given up in 25m (at 2025-10-20T17:13:20Z)",
        ),
        (
            decided(
                Verdict::Refused,
                Some(Gate::DryRun),
                "Dry run: would restart 'app'",
            ),
            plain,
            Step::DryRun,
            "Dry run: would restart 'app'",
            "nothing: this is a dry run",
        ),
        (
            restarting.clone(),
            plain,
            Step::Restarting,
            "The container is being restarted, by rule cuda-oom",
            "watched for 1m after it runs again",
        ),
        (
            restarting,
            |facts| facts.attempt.as_mut().unwrap().rule = None,
            Step::Restarting,
            "The container is being restarted, as a person asked for",
            "watched for 1m after it runs again",
        ),
        (
            ended(Outcome::Recovered, "healthy for 60s"),
            plain,
            Step::Recovered,
            "Healthy for 60s",
            "nothing to do",
        ),
        (
            ended(Outcome::Relapsed, "the same again"),
            plain,
            Step::Relapsed,
            "The same again",
            NEXT,
        ),
        (
            ended(Outcome::Relapsed, "the same again"),
            held,
            Step::Relapsed,
            "The same again",
            RESUME,
        ),
        (
            ended(Outcome::Failed, "no such device"),
            plain,
            Step::Failed,
            "No such device",
            NEXT,
        ),
        (
            ended(Outcome::Failed, "x"),
            |facts| facts.status.as_mut().unwrap().possible.left_ms = Some(0),
            Step::Failed,
            "X",
            "restarted at the next match",
        ),
        (
            ended(Outcome::Unknown, "no answer"),
            held,
            Step::Unknown,
            "No answer",
            RESUME,
        ),
        (
            ended(Outcome::Aborted, "stopped"),
            plain,
            Step::Aborted,
            "Stopped",
            "nothing: it is left as it is",
        ),
        (
            ended_pending(true),
            plain,
            Step::Expired,
            "Given up, and may still be needed: recovered by itself",
            "see whether the container needs a restart",
        ),
        (
            ended_pending(false),
            plain,
            Step::Resolved,
            "Recovered by itself",
            "nothing to do",
        ),
        (
            escalated(true),
            plain,
            Step::Escalated,
            "A restart cannot cure this: a person is needed",
            RESUME,
        ),
        (
            escalated(false),
            plain,
            Step::Escalated,
            "A restart cannot cure this: a person is needed",
            "no restart is made for it",
        ),
        (
            Event::EndedUnseen {
                target: target(),
                rule: "unfinished".into(),
            },
            |facts| facts.why = Some("nobody saw how it ended".to_owned()),
            Step::Escalated,
            "Rule unfinished matches: nobody saw how it ended",
            "nothing is started; if it is to run: docker start app",
        ),
        (
            Event::Held {
                target: target(),
                why: "5 attempts".into(),
                escalates: false,
            },
            |facts| facts.recovery.release_after_ms = 0,
            Step::Held,
            "5 attempts",
            "no restarts until `healer resume app`",
        ),
        (
            Event::Released {
                target: target(),
                by: "a person".into(),
            },
            plain,
            Step::Released,
            "Released by a person",
            "it is restarted again when a rule matches",
        ),
        (
            Event::Storm {
                why: "5 in a row".into(),
            },
            plain,
            Step::Storm,
            "5 in a row",
            "no restarts of any container until all is clear, or `healer resume`",
        ),
        (
            Event::StormEnded {
                by: "all clear".into(),
            },
            plain,
            Step::StormEnded,
            "The storm is over (all clear)",
            "containers are restarted again when a rule matches",
        ),
    ] {
        let mut facts = facts();
        change(&mut facts);
        let told = notice(&event, facts).unwrap();
        assert_eq!(
            (told.step, &*told.detail, &*told.next),
            (step, detail, next),
            "{event:?}"
        );
        let is_about_all = matches!(step, Step::Storm | Step::StormEnded);
        assert_eq!(told.target, if is_about_all { "" } else { "app" });
    }
}

#[test]
fn figures_evidence_and_container_belong_to_an_attempt() {
    let told = notice(&ended(Outcome::Relapsed, "again"), facts()).unwrap();
    assert_eq!(
        told.figures,
        [
            "attempt 2 of 5",
            "restart 2 of 4 within 10m",
            "done within 1s 500ms"
        ]
    );
    assert_eq!(
        told.evidence.as_deref(),
        Some("/state/evidence/1-7-app.json")
    );
    assert_eq!(told.container_id.as_deref(), Some("a5e0a5e0a5e0"));
    assert_eq!(told.rule.as_deref(), Some("cuda-oom"));
    assert_eq!(told.attempt, Some(7));
    let restarting = Event::Restarting {
        attempt: 7,
        target: "app".into(),
        container_id: String::new(),
    };
    let told = notice(&restarting, facts()).unwrap();
    assert_eq!(
        told.figures[0], "attempt 3 of 5",
        "the one that is being made"
    );
    let told = notice(&decided(Verdict::Restart, None, ""), facts()).unwrap();
    assert!(told.figures.is_empty() && told.evidence.is_none() && told.attempt.is_none());
    assert_eq!(told.sample.as_deref(), Some("CUDA out of memory"));
}

fn exec(name: &str) -> MeasureView {
    MeasureView::Exec(name.into())
}

#[test]
fn what_is_really_done_is_told_measure_by_measure() {
    let charged = Event::Decided {
        target: "app".into(),
        rule: "cuda-oom".into(),
        decided: Decided {
            verdict: Verdict::Restart,
            gate: None,
            detail: String::new(),
            attempt: Some(7),
        },
        dry: false,
    };
    for (measures, next) in [
        (vec![MeasureView::Restart], "restart at once"),
        (vec![MeasureView::Start], "start at once"),
        (vec![MeasureView::Stop], "stop at once"),
        (
            vec![exec("reload"), exec("flush"), MeasureView::Restart],
            "exec 'reload' at once, then exec 'flush', then restart if that does not cure",
        ),
    ] {
        let mut facts = facts();
        let attempt = facts.attempt.as_mut().unwrap();
        attempt.measures = measures;
        let told = notice(&charged, facts).unwrap();
        assert_eq!((told.step, &*told.next), (Step::Detected, next));
        assert_eq!(told.attempt, Some(7));
        assert_eq!(told.container_id.as_deref(), Some("a5e0a5e0a5e0"));
    }
    let healing = |measure| Event::Healing {
        attempt: 7,
        target: "app".into(),
        container_id: "a5e0".repeat(16),
        measure,
    };
    let next = |measure| Event::NextMeasure {
        attempt: 7,
        target: "app".into(),
        measure,
        why: "exec 'reload': exit code 1".into(),
    };
    for (event, step, detail, then) in [
        (
            healing(exec("reload")),
            Step::Restarting,
            "The container is being healed: exec 'reload', by rule cuda-oom",
            "watched whether it cures",
        ),
        (
            healing(MeasureView::Stop),
            Step::Restarting,
            "The container is being healed: stop, by rule cuda-oom",
            "it stays down, held until somebody starts it",
        ),
        (
            next(MeasureView::Restart),
            Step::NextMeasure,
            "Not cured: exec 'reload': exit code 1",
            "restart at once, unless a gate refuses it",
        ),
        (
            next(MeasureView::Escalate),
            Step::NextMeasure,
            "Not cured: exec 'reload': exit code 1",
            "a person is needed",
        ),
    ] {
        let told = notice(&event, facts()).unwrap();
        assert_eq!(
            (told.step, &*told.detail, &*told.next),
            (step, detail, then)
        );
        assert_eq!(told.attempt, Some(7));
        assert!(told.evidence.is_some() && told.sample.is_some());
        assert_eq!(told.rule.as_deref(), Some("cuda-oom"));
    }
    let mut facts = facts();
    facts.attempt.as_mut().unwrap().measures = vec![MeasureView::Start];
    let starting = Event::Restarting {
        attempt: 7,
        target: "app".into(),
        container_id: String::new(),
    };
    let told = notice(&starting, facts).unwrap();
    assert_eq!(
        told.detail,
        "The container is being started, by rule cuda-oom"
    );
}

#[test]
fn what_waited_while_an_attempt_is_watched_ends_unsaid_unless_it_was_given_up() {
    for (state, is_expired, is_said) in [
        (TargetState::Watched, false, false),
        (TargetState::Restarting, false, false),
        (TargetState::Watched, true, true),
        (TargetState::Idle, false, true),
    ] {
        let event = Event::PendingEnded {
            target: "app".into(),
            why: "the container has started anew since the line".into(),
            expired: is_expired,
            dry: false,
        };
        let mut facts = facts();
        facts.status.as_mut().unwrap().state = state;
        assert_eq!(notice(&event, facts).is_some(), is_said, "{state:?}");
    }
}

#[test]
fn a_network_that_is_no_more_needs_a_person() {
    let detail = "'app' shares the network of a container that is no more (b1): no restart can";
    let lost = decided(Verdict::Refused, Some(Gate::Dependency), detail);
    let told = notice(&lost, facts()).unwrap();
    assert_eq!(told.step, Step::Escalated);
    assert_eq!(told.detail, format!("Rule cuda-oom matches; {detail}"));
    assert_eq!(told.next, "no restart is made for it");
}

#[test]
fn a_trigger_says_why() {
    let mut facts = facts();
    facts.why = Some("unhealthy for 3 checks".into());
    let told = notice(&decided(Verdict::Restart, None, ""), facts).unwrap();
    assert_eq!(told.detail, "Rule cuda-oom matches: unhealthy for 3 checks");
}

#[test]
fn refusals_notes_and_requests_of_people_are_told_to_nobody() {
    for (verdict, gate) in [
        (Verdict::Refused, Some(Gate::Held)),
        (Verdict::Refused, Some(Gate::NotEnabled)),
        (Verdict::Refused, None),
        (Verdict::Noted, None),
        (Verdict::Escalated, None),
    ] {
        let event = decided(verdict, gate, "x");
        assert!(
            !is_told(&event) && notice(&event, facts()).is_none(),
            "{event:?}"
        );
    }
    let Event::Decided {
        target, decided, ..
    } = decided(Verdict::Restart, None, "")
    else {
        unreachable!();
    };
    let by_person = Event::Decided {
        target,
        rule: String::new(),
        decided,
        dry: false,
    };
    assert!(!is_told(&by_person), "`restarting` tells it");
}

#[test]
fn text_is_one_line_of_bounded_size() {
    let event = ended(Outcome::Failed, &"long\n\u{1b}[31m ".repeat(1_000));
    let told = notice(&event, facts()).unwrap();
    assert!(told.detail.len() <= FIELD_BYTES_MAX);
    assert!(!told.detail.chars().any(char::is_control));
}
