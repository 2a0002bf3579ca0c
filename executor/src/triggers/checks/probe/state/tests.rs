use policy::WallTime;
use proptest::prelude::*;

use super::*;

const PACE: Pace = Pace {
    interval_ms: 1_000,
    timeout_ms: 100,
    failures: 3,
    successes: 2,
    start_period_ms: 10_000,
};

fn start(id: &str, secs: u64) -> Start {
    let (container_id, nanos) = (id.repeat(64), Some(0));
    let started_at = WallTime { secs, nanos };
    Start {
        container_id,
        started_at,
    }
}

/// So long after the start at second 1,000.
fn after(ms: u64) -> Now {
    Now {
        at: Timestamp(500_000 + ms),
        wall_ms: 1_000_000 + ms,
    }
}

/// One letter for each second: `p` passed, `f` failed, `s` asleep, `u` untold, a digit: another
/// start at that second. What was told, in its place: `F`, `C` or `.`.
fn told(results: &str, pace: Pace) -> String {
    let mut state = State::new(pace);
    let mut current = start("a", 1_000);
    let mut out = String::new();
    for (second, result) in (0..).zip(results.chars()) {
        let now = after(second * 1_000);
        let verdict = match result {
            'p' | 'f' => state.take(&current, now, result == 'p'),
            's' => {
                state.sleep();
                None
            }
            'u' => {
                state.untold();
                None
            }
            _ => {
                current = start("b", 1_000 + second);
                None
            }
        };
        out.push(match verdict {
            Some(Verdict::Fired) => 'F',
            Some(Verdict::Cleared) => 'C',
            None => '.',
        });
    }
    out
}

#[test]
fn so_many_in_a_row_fire_and_so_many_clear() {
    for (results, expected) in [
        ("pp", ".C"),
        ("pppp", ".C.."),
        ("ppffpfff", ".C.....F"),
        ("ppffffff", ".C..F..."),
        ("ppfffpfpp", ".C..F...C"),
        ("ppfffppfff", ".C..F.C..F"),
        // Asleep: nothing is in a row.
        ("ppffsfff", ".C.....F"),
        ("psp", "..."),
        // What could not be told is told again.
        ("ppupu", ".C.C."),
        ("ppfffuf", ".C..F.F"),
    ] {
        assert_eq!(told(results, PACE), expected, "{results}");
    }
}

#[test]
fn failures_in_the_start_period_count_only_after_a_success() {
    // The period is ten seconds.
    assert_eq!(told("fffffffffffff", PACE), "............F");
    assert_eq!(told("fffpfff", PACE), "......F");
    let none = Pace {
        start_period_ms: 0,
        ..PACE
    };
    assert_eq!(told("fff", none), "..F");
}

#[test]
fn each_start_is_counted_anew_and_cleared_once() {
    assert_eq!(told("ppfff1fff", PACE), ".C..F....");
    assert_eq!(told("ppfff1pppfff", PACE), ".C..F..C...F");
    assert_eq!(told("pp1pp", PACE), ".C..C");
}

#[test]
fn what_goes_on_is_told_again_after_five_minutes() {
    let told = told(&"f".repeat(1_000), PACE);
    let at: Vec<usize> = told.match_indices('F').map(|(at, _)| at).collect();
    assert_eq!(at, [12, 312, 612, 912]);
}

#[test]
fn a_container_that_has_run_for_long_has_no_start_period_left() {
    let mut state = State::new(PACE);
    let old = start("a", 10);
    let verdicts = [0, 1, 2].map(|second| state.take(&old, after(second * 1_000), false));
    assert_eq!(verdicts, [None, None, Some(Verdict::Fired)]);
    // A clock that was set back cannot make one of years.
    let mut state = State::new(PACE);
    let future = start("a", 9_000_000_000);
    let fired = (0..20).find(|second| state.take(&future, after(second * 1_000), false).is_some());
    assert_eq!(fired, Some(12));
}

proptest! {
    /// Fired and cleared alternate, but for repeats after the set time; and neither comes
    /// without its row.
    #[test]
    fn verdicts_follow_their_rows(results in "[pfs]{0,400}") {
        let told = told(&results, PACE);
        let (mut last_fired, mut is_cleared) = (None, false);
        for (at, verdict) in told.chars().enumerate() {
            let row = |letter: char, many: usize| {
                at + 1 >= many && results[at + 1 - many..=at].chars().all(|r| r == letter)
            };
            match verdict {
                'F' => {
                    prop_assert!(row('f', 3));
                    prop_assert!(last_fired.is_none_or(|last| is_cleared || at - last >= 300));
                    (last_fired, is_cleared) = (Some(at), false);
                }
                'C' => {
                    prop_assert!(row('p', 2) && !is_cleared);
                    is_cleared = true;
                }
                _ => {}
            }
        }
    }
}
