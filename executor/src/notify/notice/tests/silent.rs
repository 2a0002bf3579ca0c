//! What is told to nobody, and how much is said at most.

use super::*;

#[test]
fn what_waited_while_an_attempt_is_watched_ends_unsaid_unless_it_was_given_up() {
    for (is_being_healed, is_expired, is_said) in [
        (true, false, false),
        (true, true, true),
        (false, false, true),
    ] {
        let event = Event::PendingEnded {
            target: "app".into(),
            why: "the container has started anew since the line".into(),
            expired: is_expired,
            dry: false,
        };
        let facts = Facts {
            is_being_healed,
            ..facts()
        };
        let said = notice(&event, facts).is_some();
        assert_eq!(said, is_said, "{is_being_healed} {is_expired}");
    }
}

#[test]
fn what_is_run_dry_is_told_once_it_would_have_been_done_and_not_while_it_waits() {
    let Event::Decided {
        target,
        rule,
        decided,
        ..
    } = decided(Verdict::Pending, Some(Gate::Cooldown), "x")
    else {
        unreachable!();
    };
    let waits = |dry| Event::Decided {
        target: target.clone(),
        rule: rule.clone(),
        decided: decided.clone(),
        dry,
    };
    let ended = |dry| Event::PendingEnded {
        target: target.clone(),
        why: "recovered by itself".into(),
        expired: true,
        dry,
    };
    for (event, is_said) in [
        (waits(false), true),
        (waits(true), false),
        (ended(false), true),
        (ended(true), false),
    ] {
        assert_eq!(is_told(&event), is_said, "{event:?}");
        assert_eq!(notice(&event, facts()).is_some(), is_said, "{event:?}");
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
