//! What is told to nobody, and how much is said at most.

use super::*;

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
