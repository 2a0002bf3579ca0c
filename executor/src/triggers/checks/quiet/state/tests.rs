use policy::WallTime;
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    first_ms: 20_000,
    then_ms: 5_000,
};

fn start(secs: u64) -> Start {
    let nanos = Some(0);
    Start {
        container_id: "a".repeat(64),
        started_at: WallTime { secs, nanos },
    }
}

/// One letter for each second, looked at at its end: `h` heard, `.` not, `d` deaf, `r`
/// restarted, `u` untold, `a` absent and waited for. What was told, in its place: `F`, `C` or `.`.
fn told(seconds: &str) -> String {
    let mut state = State::new(LIMITS);
    let mut current = start(1);
    let mut out = String::new();
    for (second, event) in (1..).zip(seconds.chars()) {
        let now = Timestamp(second * 1_000);
        let mut verdict = None;
        match event {
            'd' => state.deaf(),
            'a' => {
                state.absent("", now);
                verdict = state.poll(now);
            }
            _ => {
                if event == 'r' {
                    current = start(second);
                }
                state.listen(&current, now);
                if event == 'h' {
                    verdict = state.hear(now);
                }
                verdict = verdict.or_else(|| state.poll(now));
                if event == 'u' {
                    state.untold();
                }
            }
        }
        out.push(match verdict {
            Some(Verdict::Fired) => 'F',
            Some(Verdict::Cleared) => 'C',
            None => '.',
        });
    }
    out
}

#[test]
fn what_is_waited_for_while_it_is_down_is_waited_for_over_its_next_start() {
    // Down, and gone from the beginning.
    assert_eq!(told(&format!("h{}", "a".repeat(8))).find('F'), Some(5));
    assert_eq!(told(&"a".repeat(30)).find('F'), Some(20));
    // Each night it starts, and sends nothing.
    assert_eq!(told("haaar.....").find('F'), Some(5));
    assert_eq!(told("haaarh.....").find('F'), Some(10));
    // A start that was not seen to follow a time without it is a start like any other.
    assert_eq!(told(&format!("h..r{}", ".".repeat(25))).find('F'), Some(23));
    // Nor is what nobody could have heard.
    assert_eq!(told(&format!("haada{}", "a".repeat(9))).find('F'), Some(9));
}

#[test]
fn first_progress_may_take_longer_than_the_next() {
    let silent = ".".repeat(30);
    assert_eq!(told(&silent).find('F'), Some(20));
    let progress = told(&format!("...h{silent}"));
    assert_eq!(&progress[..4], "...C");
    assert_eq!(progress.find('F'), Some(3 + 5));
    assert_eq!(told("h....h....h....h"), "C...............");
}

#[test]
fn it_clears_when_it_is_heard_again_and_fires_again_after() {
    assert_eq!(told("h.....h.....h"), "C....FC....FC");
}

#[test]
fn time_in_which_nobody_would_hear_it_is_no_silence() {
    assert_eq!(
        told("h...dddddddddddd....."),
        ".".repeat(21).replacen('.', "C", 1)
    );
    assert_eq!(told("h...d......").find('F'), Some(10));
    assert_eq!(told("h.d.d.d.d.d.d.d.d").find('F'), None);
}

#[test]
fn a_start_is_known_while_nobody_listens_to_it() {
    let mut state = State::new(LIMITS);
    assert!(!state.is_of(&start(1)));
    state.listen(&start(1), Timestamp(1));
    state.deaf();
    assert!(state.is_of(&start(1)) && !state.is_of(&start(2)));
}

#[test]
fn a_restart_is_given_the_time_of_a_first_progress() {
    let told = told(&format!("h.....r{}h....", ".".repeat(19)));
    assert_eq!(
        told.match_indices(['F', 'C']).collect::<Vec<_>>(),
        [(0, "C"), (5, "F"), (26, "C")]
    );
}

#[test]
fn what_goes_on_is_told_again_after_five_minutes_and_what_was_lost_at_once() {
    let told_at: Vec<usize> = told(&format!("h{}", ".".repeat(700)))
        .match_indices('F')
        .map(|(at, _)| at)
        .collect();
    assert_eq!(told_at, [5, 305, 605]);
    assert_eq!(told("h....u."), "C....FF");
}

proptest! {
    /// It never fires within the shorter limit of a progress, of a time of deafness or of a
    /// start.
    #[test]
    fn it_never_fires_early(seconds in "[h.dr]{0,200}") {
        let told = told(&seconds);
        for (at, _) in told.match_indices('F') {
            prop_assert!(at >= 5 && seconds[at - 4..=at].chars().all(|event| event == '.'));
        }
    }
}
