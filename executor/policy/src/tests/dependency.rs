//! A child waits for a parent that is sick itself.

use crate::testing::*;
use crate::*;

fn parent(state: ContainerState, health: Option<HealthStatus>) -> Parent {
    Parent {
        name: "db".into(),
        relation: Relation::Needs,
        seen: Seen::Found { state, health },
    }
}

fn child(parents: Vec<Parent>) -> Facts {
    Facts { parents, ..facts() }
}

fn well() -> Parent {
    parent(ContainerState::Running, None)
}

/// The parent, listed, with its first attempt charged.
fn sick_db(bench: &mut Bench, sign: Sign) -> Facts {
    bench.config.targets.insert("db".into(), target_config());
    bench.policy.configure(bench.config.clone());
    let db = Facts {
        name: "db".into(),
        id: "b".repeat(64),
        ..facts()
    };
    let mut intent = bench.new_intent("oom");
    intent.wire_id = Some(db.id.clone());
    intent.known = Some(RuleFacts {
        sign,
        ..RuleFacts::default()
    });
    bench.decide(&intent, &found(&db));
    db
}

#[test]
fn what_a_parent_shows_decides_whether_its_child_waits() {
    use ContainerState::*;
    use HealthStatus::*;
    for (state, health, words) in [
        (Running, None, None),
        (Running, Some(Healthy), None),
        (Running, Some(Unhealthy), Some("is unhealthy")),
        (
            Running,
            Some(Starting),
            Some("has not been found healthy yet"),
        ),
        (Exited, Some(Unhealthy), Some("is exited")),
        (Restarting, None, Some("is restarting")),
        (Paused, None, Some("is paused")),
        (Created, None, Some("is created")),
    ] {
        let facts = child(vec![well(), parent(state, health)]);
        let answer = Bench::new().matched(&facts);
        match words {
            None => assert_eq!(answer.verdict, Verdict::Restart, "{state:?} {health:?}"),
            Some(words) => {
                assert_eq!(answer.verdict, Verdict::Pending);
                assert_eq!(answer.gate, Some(Gate::Dependency));
                let said = format!("Waits for 'db', which {words}");
                assert_eq!(answer.detail, said);
            }
        }
    }
}

#[test]
fn a_parent_that_has_done_its_work_is_no_reason_to_wait_and_one_that_was_not_seen_is() {
    let seen = |seen| Parent { seen, ..well() };
    let answer = Bench::new().matched(&child(vec![seen(Seen::Done)]));
    assert_eq!(answer.verdict, Verdict::Restart);
    let mut bench = Bench::new();
    let answer = bench.matched(&child(vec![seen(Seen::Unknown), well()]));
    assert_eq!(
        (answer.verdict, answer.gate),
        (Verdict::Pending, Some(Gate::Dependency))
    );
    assert!(answer.detail.contains("about what it needs (db)"));
    // What is known to be sick is said rather than what is not known.
    let sick = parent(ContainerState::Exited, None);
    let answer = Bench::new().matched(&child(vec![seen(Seen::Unknown), sick]));
    assert_eq!(answer.detail, "Waits for 'db', which is exited");
}

#[test]
fn a_parent_that_is_gone_is_no_reason_to_wait_but_its_network_cannot_come_back() {
    let gone = |relation| Parent {
        name: "0123456789ab".into(),
        relation,
        seen: Seen::Gone,
    };
    let facts = child(vec![gone(Relation::Needs)]);
    assert_eq!(Bench::new().matched(&facts).verdict, Verdict::Restart);
    let facts = child(vec![gone(Relation::Network)]);
    let answer = Bench::new().matched(&facts);
    assert_eq!(
        (answer.verdict, answer.gate),
        (Verdict::Refused, Some(Gate::Dependency))
    );
    assert!(answer.detail.contains("no restart can cure that"));
}

#[test]
fn it_waits_while_the_parent_is_being_healed_and_is_restarted_once_after() {
    let mut bench = Bench::new();
    let mut db = sick_db(&mut bench, Sign::Line);
    let web = child(vec![well()]);
    let waits = |bench: &mut Bench, words: &str| {
        let answer = bench.matched(&web);
        assert_eq!(answer.gate, Some(Gate::Dependency), "{answer:?}");
        assert!(answer.detail.ends_with(words), "{answer:?}");
    };
    waits(&mut bench, "is being healed");
    bench.restart(1, &mut db);
    waits(&mut bench, "has been healed and is being watched");

    // Looked at again and again, and nothing new is written.
    let key = PendingKey::Target(NAME.into());
    let look = Action::LookForPending { key: key.clone() };
    bench.pass(5_000);
    assert!(bench.timeout().actions.contains(&look));
    let written = bench.journal.len();
    for _ in 0..5 {
        bench.pending_look(&key, &found(&web));
        assert_eq!(bench.journal.len(), written);
        bench.pass(4_999);
        assert!(!bench.timeout().actions.contains(&look));
        bench.pass(1);
        assert!(bench.timeout().actions.contains(&look));
    }
    bench.pass(60_000);
    bench.look(1, &found(&db));
    assert_eq!(bench.outcome(1), Some(Outcome::Recovered));
    let step = bench.pending_look(&key, &found(&web));
    assert!(matches!(step.entries[..], [Entry::Charge(_)]), "{step:?}");
}

#[test]
fn a_parent_that_has_settled_is_not_waited_for_until_its_all_clear() {
    let mut bench = Bench::new();
    let clear_within_ms = 24 * 3_600_000;
    let mut db = sick_db(&mut bench, Sign::Watched { clear_within_ms });
    bench.restart(1, &mut db);
    bench.pass(59_999);
    let web = child(vec![well()]);
    assert_eq!(bench.matched(&web).gate, Some(Gate::Dependency));
    bench.pass(1);
    let key = PendingKey::Target(NAME.into());
    let step = bench.pending_look(&key, &found(&web));
    assert!(matches!(step.entries[..], [Entry::Charge(_)]), "{step:?}");
    assert_eq!(bench.outcome(1), None, "the parent's attempt goes on");
}

#[test]
fn a_child_that_is_well_by_then_is_left_alone() {
    let mut bench = Bench::new();
    let mut web = child(vec![parent(ContainerState::Exited, None)]);
    assert_eq!(bench.matched(&web).gate, Some(Gate::Dependency));
    bench.pass(5_000);
    web.parents = vec![well()];
    web.health = health(HealthStatus::Healthy, Some(bench.wall_now()));
    let step = bench.pending_look(&PendingKey::Target(NAME.into()), &found(&web));
    assert!(matches!(step.entries[..], [Entry::PendingEnded { .. }]));
}

#[test]
fn a_parent_that_falls_sick_just_before_the_call_stops_it() {
    let mut bench = Bench::new();
    bench.matched(&child(vec![well()]));
    let web = child(vec![parent(ContainerState::Exited, None)]);
    let step = bench.look(1, &found(&web));
    assert!(calls(&step).is_empty());
    assert_eq!(bench.outcome(1), Some(Outcome::Aborted));
    assert_eq!(bench.policy.counts(bench.now).pending, 1);
}

#[test]
fn it_waits_even_where_refusals_are_dropped_and_a_person_need_not() {
    let mut config = config();
    config.on_refusal = OnRefusal::Drop;
    let web = child(vec![parent(ContainerState::Exited, None)]);
    let mut bench = Bench::with(config);
    assert_eq!(bench.matched(&web).verdict, Verdict::Pending);
    assert_eq!(bench.asked(&web).verdict, Verdict::Restart);
}
