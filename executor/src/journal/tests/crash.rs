//! A real process that writes and is killed at any moment.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

const CHILD_DIR: &str = "HEALER_TEST_JOURNAL_DIR";

/// Rounds of kill and look. `HEALER_SOAK_KILLS` asks for more.
const KILLS: u32 = 25;

/// Not a test: the process that is killed. It says each number that was
/// acknowledged, compacts now and then, and goes on after what it found.
#[test]
#[ignore = "helper process"]
fn child_appends_until_killed() {
    let Some(path) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let dir = StateDir::open(path.as_ref()).expect("our own directory opens");
    let opened = Journal::open(&dir, FAIL_CLOSED_MS).expect("the journal opens");
    let mut next = opened.records.last().map_or(0, |record| record.at.0 + 1);
    let mut out = std::io::stdout();
    block_on(async {
        writeln!(out, "\nfrom {next}").expect("a parent that listens");
        loop {
            let count = 1 + next % 7;
            let new = records(next..next + count);
            opened
                .journal
                .append(new, next.is_multiple_of(3))
                .await
                .expect("append");
            next += count;
            writeln!(out, "acked {next}").expect("a parent that listens");
            if next.is_multiple_of(5) {
                let keep = next.saturating_sub(40)..next;
                opened
                    .journal
                    .compact(records(keep))
                    .await
                    .expect("compact");
            }
        }
    });
}

/// Runs the child for a while and kills it; yields the last number acknowledged.
fn run_and_kill(state: &State, after: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "journal::tests::crash::child_appends_until_killed",
        ])
        .args(["--ignored", "--nocapture"])
        .env(CHILD_DIR, &state.path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("from ") {
        line.clear();
        assert!(
            output.read_line(&mut line).expect("UTF-8") > 0,
            "the child ended by itself"
        );
    }
    let from = line["from ".len()..].trim().parse().expect("a number");
    std::thread::sleep(after);
    child.kill().expect("killed");
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("UTF-8");
    child.wait().expect("reaped");
    // The very last line may be cut by the kill: only whole ones count.
    let whole = rest.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let mut acked = whole.lines().filter_map(|line| line.strip_prefix("acked "));
    acked
        .next_back()
        .map_or(from, |number| number.parse().expect("a number"))
}

#[test]
fn killed_at_any_moment_all_that_was_acknowledged_is_there_and_nothing_is_torn() {
    let rounds = std::env::var("HEALER_SOAK_KILLS")
        .ok()
        .and_then(|n| n.parse().ok());
    let state = State::new();
    let mut seed = 0x9e37_79b9_u64;
    let mut acked_before = 0;
    for round in 0..rounds.unwrap_or(KILLS) {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let acked = run_and_kill(&state, Duration::from_micros((seed >> 33) % 20_000));
        assert!(
            acked >= acked_before,
            "round {round}: it forgot what it had acknowledged"
        );
        acked_before = acked;
        let opened = state.open();
        let torn_only = matches!(opened.damage, None | Some(Damage::TornTail { .. }));
        assert!(torn_only, "round {round}: {:?}", opened.damage);
        let first = opened.records.first().map_or(0, |record| record.at.0);
        let end = opened.records.last().map_or(0, |record| record.at.0 + 1);
        assert!(
            end >= acked,
            "round {round}: {acked} acknowledged, {end} there"
        );
        assert!(
            first <= acked.saturating_sub(7),
            "round {round}: older ones are gone"
        );
        assert_eq!(opened.records, records(first..end), "round {round}");
    }
    assert!(
        acked_before > u64::from(KILLS),
        "hardly anything was written"
    );
}
