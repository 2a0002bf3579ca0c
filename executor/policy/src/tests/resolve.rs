//! Every line of the resolution table and its edges. Times are seconds after
//! the charge; the stop wait is 20 s.

use crate::testing::*;
use crate::*;

const WAIT: u64 = 20;

/// What a row begins with.
#[derive(Clone)]
struct Row {
    first: Call,
    sent: Vec<(Call, u64)>,
    is_resumed: bool,
    is_done: bool,
    refused: Option<&'static str>,
    silent_since: Option<u64>,
    away: Option<u64>,
}

fn untouched() -> Row {
    Row {
        first: Call::Restart,
        sent: vec![],
        is_resumed: false,
        is_done: false,
        refused: None,
        silent_since: None,
        away: None,
    }
}

fn resumed() -> Row {
    Row {
        is_resumed: true,
        ..untouched()
    }
}

fn sent(calls: &[(Call, u64)]) -> Row {
    Row {
        sent: calls.to_vec(),
        ..resumed()
    }
}

fn at(secs: u64) -> Timestamp {
    Timestamp((T0 + secs) * 1_000)
}

fn ask(row: &Row, look: &Look, now_s: u64) -> Resolution {
    let calls: Vec<(Call, Timestamp, u64)> = row
        .sent
        .iter()
        .map(|(call, s)| (*call, at(*s), (T0 + s) * 1_000))
        .collect();
    let open = Unresolved {
        container_id: ID,
        started_at: wall(T0 - 3_600),
        charged_at: at(0),
        stop_wait_ms: WAIT * 1_000,
        first: row.first,
        sent: &calls,
        is_resumed: row.is_resumed,
        is_done: row.is_done,
        refused: row.refused,
        silent_since: row.silent_since.map(at),
        away: row.away.map(|s| (at(s), (T0 + s) * 1_000)),
    };
    let now = Now {
        at: at(now_s),
        wall_ms: (T0 + now_s) * 1_000,
    };
    resolve(&open, look, now)
}

fn state(state: ContainerState, started: u64, finished: Option<u64>) -> Look {
    Look::Found(Facts {
        state,
        started_at: Some(wall(started)),
        finished_at: finished.map(|s| wall(T0 + s)),
        ..facts()
    })
}

const OLD: u64 = T0 - 3_600;
const NEW: u64 = T0 + 5;

fn running(started: u64) -> Look {
    state(ContainerState::Running, started, None)
}

fn exited(finished: u64) -> Look {
    state(ContainerState::Exited, OLD, Some(finished))
}

fn wait(secs: u64) -> Resolution {
    Resolution::Wait {
        deadline: Some(at(secs)),
    }
}

fn done() -> Resolution {
    Resolution::Done {
        started_at: wall(NEW),
    }
}

#[track_caller]
fn check(row: &Row, look: &Look, now_s: u64, want: Resolution) {
    assert_eq!(ask(row, look, now_s), want);
}

#[track_caller]
fn aborts(row: &Row, look: &Look, now_s: u64, want: Gate) {
    match ask(row, look, now_s) {
        Resolution::Abort { gate, .. } => assert_eq!(gate, want),
        other => panic!("{other:?}"),
    }
}

const RESTART: Call = Call::Restart;
const START: Call = Call::Start;

#[test]
fn line_1_another_id_or_gone_is_aborted() {
    let other = Look::Found(Facts {
        id: "b".repeat(64),
        ..facts()
    });
    for row in [untouched(), resumed(), sent(&[(RESTART, 1)])] {
        aborts(&row, &other, 2, Gate::NotRunning);
        aborts(&row, &Look::Gone, 2, Gate::UnknownTarget);
    }
}

#[test]
fn line_5_counts_from_when_the_engine_was_last_away() {
    let row = Row {
        away: Some(300),
        ..sent(&[(RESTART, 1)])
    };
    let later = exited(300 + WAIT);
    check(&row, &later, 300 + WAIT - 1, wait(300 + WAIT));
    check(&row, &later, 300 + WAIT, Resolution::Send(START));
    aborts(&row, &exited(300 + WAIT + 1), 999, Gate::NotRunning);
    aborts(&sent(&[(RESTART, 1)]), &later, 999, Gate::NotRunning);
}

#[test]
fn line_2_running_with_a_newer_start_is_done() {
    check(&sent(&[(RESTART, 1)]), &running(NEW), 6, done());
    check(&sent(&[(RESTART, 1)]), &running(NEW), 999, done());
    check(
        &sent(&[(RESTART, 1), (START, 30)]),
        &running(NEW),
        31,
        done(),
    );
    // The wall clock has gone back meanwhile.
    check(
        &sent(&[(RESTART, 1)]),
        &running(OLD - 60),
        6,
        Resolution::Done {
            started_at: wall(OLD - 60),
        },
    );
    // Left by an earlier process, whose mark a power cut may have taken.
    check(&resumed(), &running(NEW), 6, done());
}

#[test]
fn line_3_running_as_before_and_nothing_sent_is_sent() {
    for row in [untouched(), resumed()] {
        check(&row, &running(OLD), 0, Resolution::Send(RESTART));
        check(&row, &running(OLD), 9_999, Resolution::Send(RESTART));
    }
}

#[test]
fn line_4_running_as_before_is_sent_once_more_after_the_stop_wait_and_never_again() {
    let once = sent(&[(RESTART, 1)]);
    check(&once, &running(OLD), 1, wait(21));
    check(&once, &running(OLD), 20, wait(21));
    check(&once, &running(OLD), 21, Resolution::Send(RESTART));

    let twice = sent(&[(RESTART, 1), (RESTART, 30)]);
    check(&twice, &running(OLD), 49, wait(50));
    check(
        &twice,
        &running(OLD),
        50,
        Resolution::GiveUp {
            detail: "it still runs as before after 2 calls without a clear answer".into(),
            may_be_down: true,
        },
    );
    let refused = Row {
        refused: Some("the engine said 500: no"),
        ..twice
    };
    check(&refused, &running(OLD), 49, wait(50));
    check(
        &refused,
        &running(OLD),
        50,
        Resolution::Fail {
            detail: "it still runs as before: the engine said 500: no".into(),
            is_down: false,
        },
    );
    // A first refusal is no last word.
    let refused_once = Row {
        refused: Some("the engine said 409: busy"),
        ..sent(&[(RESTART, 1)])
    };
    check(&refused_once, &running(OLD), 20, wait(21));
    check(&refused_once, &running(OLD), 21, Resolution::Send(RESTART));
    // An engine that says done without having done it.
    let lied = Row {
        is_done: true,
        ..sent(&[(RESTART, 1)])
    };
    check(&lied, &running(OLD), 2, wait(21));
}

#[test]
fn line_5_what_our_restart_stopped_is_started() {
    let once = sent(&[(RESTART, 10)]);
    for (finished, now_s, want) in [
        (10, 11, wait(30)),
        (10, 30, Resolution::Send(START)),
        (30, 30, Resolution::Send(START)),
        (20, 29, wait(30)),
        (20, 9_999, Resolution::Send(START)),
    ] {
        check(&once, &exited(finished), now_s, want);
    }
    aborts(&once, &exited(9), 30, Gate::NotRunning);
    aborts(&once, &exited(31), 31, Gate::NotRunning);

    // Stopped by either restart call.
    let twice = sent(&[(RESTART, 10), (RESTART, 100)]);
    check(&twice, &exited(101), 120, Resolution::Send(START));
    check(&twice, &exited(11), 120, Resolution::Send(START));

    // A start may be repeated once; then it is down, and somebody must know.
    let started = sent(&[(RESTART, 10), (START, 30)]);
    check(&started, &exited(20), 49, wait(50));
    check(&started, &exited(20), 50, Resolution::Send(START));
    let started_twice = sent(&[(RESTART, 10), (START, 30), (START, 50)]);
    check(
        &Row {
            refused: Some("the engine said 500: port is taken"),
            ..started_twice.clone()
        },
        &exited(20),
        70,
        Resolution::Fail {
            detail: "it was stopped by the restart and does not start: the engine said 500: port \
                     is taken"
                .into(),
            is_down: true,
        },
    );
    assert!(matches!(
        ask(&started_twice, &exited(20), 70),
        Resolution::GiveUp {
            may_be_down: true,
            ..
        }
    ));
}

#[test]
fn line_5_compares_by_milliseconds_of_the_wall_clock() {
    let mut facts = facts();
    facts.state = ContainerState::Exited;
    for (secs, nanos, ours) in [
        (T0 + 10, 0, true),
        (T0 + 9, 999_999_999, false),
        (T0 + 30, 999_999, true),
        (T0 + 30, 1_000_000, false),
    ] {
        facts.finished_at = Some(WallTime {
            secs,
            nanos: Some(nanos),
        });
        let resolution = ask(&sent(&[(RESTART, 10)]), &found(&facts), 60);
        assert_eq!(
            resolution == Resolution::Send(START),
            ours,
            "{secs} {nanos} {resolution:?}"
        );
    }
}

#[test]
fn line_6_exited_otherwise_is_left_alone() {
    let long_gone = state(ContainerState::Exited, OLD, None);
    let anew = state(ContainerState::Exited, NEW, Some(7));
    aborts(&untouched(), &exited(3), 3, Gate::NotRunning);
    aborts(&resumed(), &exited(3), 3, Gate::NotRunning);
    aborts(&sent(&[(RESTART, 1)]), &long_gone, 30, Gate::NotRunning);
    // Started anew and exited at another time than our call's.
    aborts(&sent(&[(RESTART, 8)]), &anew, 30, Gate::NotRunning);
    aborts(&resumed(), &anew, 30, Gate::NotRunning);
}

#[test]
fn what_was_started_anew_and_exited_within_our_stop_wait_is_held_and_not_started() {
    let once = sent(&[(RESTART, 1)]);
    for (finished, held) in [(0, false), (1, true), (7, true), (21, true), (22, false)] {
        let anew = state(ContainerState::Exited, NEW, Some(finished));
        if held {
            // The engine may be between the stop and the start.
            check(&once, &anew, 20, wait(21));
            let given_up = ask(&once, &anew, 21);
            let is_held = matches!(
                given_up,
                Resolution::GiveUp {
                    may_be_down: true,
                    ..
                }
            );
            assert!(is_held, "{finished}: {given_up:?}");
        } else {
            aborts(&once, &anew, 30, Gate::NotRunning);
        }
    }
}

#[test]
fn line_7_anything_else_is_looked_at_until_the_stop_wait_has_passed() {
    for other in [
        ContainerState::Created,
        ContainerState::Paused,
        ContainerState::Restarting,
        ContainerState::Removing,
        ContainerState::Dead,
    ] {
        let look = state(other, OLD, None);
        let once = sent(&[(RESTART, 10)]);
        check(&once, &look, 29, wait(30));
        check(
            &once,
            &look,
            30,
            Resolution::GiveUp {
                detail: format!("it is {} after 20s", other.as_str()),
                may_be_down: true,
            },
        );
        check(&resumed(), &look, 19, wait(20));
        assert!(matches!(
            ask(&resumed(), &look, 20),
            Resolution::GiveUp { .. }
        ));
    }
}

#[test]
fn before_anything_is_sent_every_change_since_the_answer_aborts() {
    aborts(&untouched(), &running(NEW), 1, Gate::Stale);
    for state_now in [
        ContainerState::Created,
        ContainerState::Paused,
        ContainerState::Restarting,
        ContainerState::Removing,
        ContainerState::Exited,
        ContainerState::Dead,
    ] {
        for started in [OLD, NEW] {
            let look = state(state_now, started, Some(1));
            aborts(&untouched(), &look, 1, Gate::NotRunning);
        }
    }
}

#[test]
fn what_falls_over_after_a_call_that_was_done_is_a_restart_done() {
    let row = Row {
        is_done: true,
        ..sent(&[(RESTART, 1)])
    };
    for state_now in [
        ContainerState::Exited,
        ContainerState::Restarting,
        ContainerState::Paused,
        ContainerState::Dead,
    ] {
        let look = state(state_now, NEW, Some(6));
        check(
            &row,
            &look,
            7,
            Resolution::Fell {
                started_at: wall(NEW),
                detail: format!("it is {} after the restart", state_now.as_str()),
            },
        );
    }
}

#[test]
fn an_engine_that_does_not_answer_is_asked_again_for_ten_minutes() {
    let later = Resolution::Wait { deadline: None };
    let silent = |row: Row| Row {
        silent_since: Some(100),
        ..row
    };
    for row in [untouched(), resumed(), sent(&[(RESTART, 1)])] {
        check(&row, &away(), 9_999, later.clone());
        check(&silent(row.clone()), &away(), 699, later.clone());
    }
    assert!(matches!(
        ask(&silent(resumed()), &away(), 700),
        Resolution::Fail { is_down: false, .. }
    ));
    assert!(matches!(
        ask(&silent(sent(&[(RESTART, 1)])), &away(), 700),
        Resolution::GiveUp {
            may_be_down: true,
            ..
        }
    ));
    let done = Row {
        is_done: true,
        ..silent(sent(&[(RESTART, 1)]))
    };
    assert!(matches!(
        ask(&done, &away(), 700),
        Resolution::GiveUp {
            may_be_down: false,
            ..
        }
    ));
}
