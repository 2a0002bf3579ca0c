//! What is really done: measures, their figures, and what triggers say.

use super::*;

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
fn a_trigger_says_why() {
    let mut facts = facts();
    facts.why = Some("unhealthy for 3 checks".into());
    let told = notice(&decided(Verdict::Restart, None, ""), facts).unwrap();
    assert_eq!(told.detail, "Rule cuda-oom matches: unhealthy for 3 checks");
}
