//! The queue by itself: its bounds, its files, and digests over crashes.

use std::os::unix::fs::PermissionsExt;

use super::super::message::{Severity, Step};
use super::super::plan::DIGEST_MAX;
use super::super::testing::message;
use super::*;

/// When the tests begin, by both clocks.
const NOW: Now = Now {
    at: policy::Timestamp(0),
    wall_ms: 0,
};

fn open(path: &Path) -> Queue {
    let (queue, told) = Queue::open(path, 100, NOW);
    assert!(told.is_empty(), "{told:?}");
    queue
}

/// One with so many messages, the first of them number 1.
fn filled(path: &Path, count: u64) -> Queue {
    let mut queue = open(path);
    for n in 0..count {
        assert_eq!(queue.push(&numbered(n), 0).dropped, 0);
    }
    queue
}

fn numbered(n: u64) -> Message {
    Message {
        id: format!("{n:032x}"),
        at_ms: 1_000 + n,
        ..message()
    }
}

fn severe(severity: Severity) -> Message {
    Message {
        severity,
        ..message()
    }
}

fn files(path: &Path) -> Vec<String> {
    let names = std::fs::read_dir(path).unwrap().flatten();
    let mut names: Vec<String> = names
        .map(|e| e.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_in_it_is_there_again_in_its_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify/n");
    let mut queue = filled(&path, 12);
    queue.remove(2);
    for place in [dir.path().join("notify"), path.clone()] {
        let mode = std::fs::metadata(&place).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", place.display());
    }
    let file = path.join(&files(&path)[0]);
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut again = open(&path);
    assert_eq!(again.waiting(), queue.waiting());
    assert_eq!(again.read(1).unwrap(), numbered(0));
    assert_eq!(again.read(3).unwrap(), numbered(2));
    again.push(&numbered(99), 0);
    assert_eq!(again.waiting().last().unwrap().seq, 13, "numbers go on");
}

#[test]
fn beyond_its_bounds_the_oldest_of_the_least_severe_goes() {
    use Severity::*;
    let dir = tempfile::tempdir().unwrap();
    let (mut queue, _) = Queue::open(&dir.path().join("n"), 3, NOW);
    for severity in [Warning, Info, Critical] {
        assert_eq!(queue.push(&severe(severity), 0).dropped, 0);
    }
    let kept =
        |queue: &Queue| -> Vec<Severity> { queue.waiting().iter().map(|w| w.severity).collect() };
    assert_eq!(queue.push(&severe(Critical), 0).dropped, 1);
    assert_eq!(kept(&queue), [Warning, Critical, Critical]);
    assert_eq!(queue.push(&severe(Info), 0).dropped, 1, "itself");
    assert_eq!(kept(&queue), [Warning, Critical, Critical]);
    queue.push(&severe(Critical), 0);
    queue.push(&severe(Critical), 0);
    let seqs: Vec<u64> = queue.waiting().iter().map(|w| w.seq).collect();
    assert_eq!(seqs, [4, 6, 7], "the oldest of the same");

    // By bytes, too.
    let (mut queue, _) = Queue::open(&dir.path().join("b"), usize::MAX, NOW);
    let big = Message {
        detail: "x".repeat(32 << 10),
        ..message()
    };
    let mut pushed = 0;
    while queue.push(&big, 0).dropped == 0 {
        pushed += 1;
        assert!(pushed < 1_000);
        assert!(queue.bytes <= QUEUE_BYTES_MAX);
    }
    assert!((120..=127).contains(&pushed), "{pushed} of 33 KiB or so");
}

#[test]
fn a_digest_takes_the_place_of_its_messages_over_a_crash_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n");
    let mut queue = filled(&path, 4);
    let before: Vec<(String, Vec<u8>)> = files(&path)
        .into_iter()
        .map(|name| (name.clone(), std::fs::read(path.join(name)).unwrap()))
        .collect();
    assert_eq!(queue.digest(&[1, 2, 4], "h"), Digested::default());
    let waiting = queue.waiting();
    assert_eq!(waiting.len(), 2);
    assert!(!waiting[0].is_digest && waiting[1].is_digest);
    let digest = queue.read(5).unwrap();
    assert_eq!(
        (digest.step, digest.title.as_str()),
        (Step::Digest, "3 messages of h")
    );
    assert_eq!(digest.detail.lines().count(), 3);
    assert!(
        digest
            .detail
            .starts_with("1970-01-01T00:00:01Z app relapsed on gpu-host: The same again")
    );
    assert_eq!(digest.severity, Severity::Warning);
    assert_eq!(digest.sample, None);

    // Killed after the digest was written, before anything was removed.
    for (name, text) in &before {
        std::fs::write(path.join(name), text).unwrap();
    }
    let again = open(&path);
    assert_eq!(again.waiting(), waiting);
    assert_eq!(files(&path).len(), 2);
    // Killed before it was written: everything is there, and makes the same one.
    std::fs::remove_file(path.join(&files(&path)[1])).unwrap();
    for (name, text) in &before {
        std::fs::write(path.join(name), text).unwrap();
    }
    let mut again = open(&path);
    assert_eq!(again.waiting().len(), 4);
    again.digest(&[1, 2, 4], "h");
    assert_eq!(again.read(5).unwrap().id, digest.id);
}

#[test]
fn a_digest_holds_what_every_service_shows_and_leaves_the_rest_for_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = open(&dir.path().join("n"));
    let signs = "*_[]()<>@:/\u{7f}\"\\".repeat(20);
    for n in 0..DIGEST_MAX {
        let title = format!("<job-{n}> held");
        let detail = if n % 2 == 0 { &*signs } else { "short" };
        let detail = detail.to_owned();
        queue.push(
            &Message {
                title,
                detail,
                ..numbered(n as u64)
            },
            0,
        );
    }
    let mut shown = Vec::new();
    loop {
        let waiting = queue.waiting();
        let single: Vec<u64> = waiting
            .iter()
            .filter(|w| !w.is_digest)
            .map(|w| w.seq)
            .collect();
        if single.is_empty() {
            break;
        }
        assert_eq!(queue.digest(&single, "h"), Digested::default());
        let digest = queue.waiting().last().unwrap().seq;
        let text = queue.read(digest).unwrap().detail;
        // As the strictest would have it.
        let signs = text.chars().filter(|c| !c.is_alphanumeric() && *c != ' ');
        assert!(text.len() + signs.count() <= 3_100, "{}", text.len());
        shown.extend(text.lines().map(str::to_owned));
    }
    assert_eq!(shown.len(), DIGEST_MAX);
    for (n, line) in shown.iter().enumerate() {
        assert!(line.contains(&format!("<job-{n}> held")), "{line}");
    }
    assert!(queue.len() > 2, "more than one digest");
    let again = open(&dir.path().join("n"));
    assert_eq!(again.waiting(), queue.waiting());
}

#[test]
fn what_a_digest_is_made_of_stays_on_disk_until_it_is_durable_or_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n");
    let mut queue = filled(&path, 4);
    let before = files(&path);
    // The disk does not take the digest: something is in its place.
    let place = path.join("0000000000000005-1-1003-d.json");
    std::fs::create_dir(&place).unwrap();
    let told = queue.digest(&[1, 2, 4], "h").not_written;
    let told = told.expect("it is in memory");
    assert!(told.contains("0000000000000005"), "{told:?}");
    assert_eq!(queue.len(), 2);
    assert_eq!(queue.read(5).unwrap().title, "3 messages of h");
    for name in &before {
        assert!(path.join(name).exists(), "{name} is gone");
    }
    // Killed now: nothing is lost.
    std::fs::remove_dir(&place).unwrap();
    assert_eq!(open(&path).len(), 4);
    // It went out: they are not sent again.
    queue.remove(5);
    assert_eq!(files(&path), [before[2].clone()]);
    assert_eq!(open(&path).len(), 1);
}

#[test]
fn what_is_not_ours_is_told_once_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n");
    filled(&path, 5);
    let names = files(&path);
    // Somebody has kept copies, and the newest is one of them.
    for name in [&names[0], &names[4]] {
        let copy = dir.path().join(name);
        std::fs::hard_link(path.join(name), copy).unwrap();
    }
    std::fs::write(path.join("99999999999999999999-1-5-m.json"), "{}").unwrap();
    std::fs::write(path.join("18446744073709551615-1-5-m.json"), "{}").unwrap();
    std::fs::write(path.join("7-1-5-m.json"), "{}").unwrap();
    let (mut queue, told) = Queue::open(&path, 100, NOW);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("second name") && told[0].ends_with("and 1 more like it"));
    assert_eq!(queue.len(), 3);
    let pushed = queue.push(&numbered(9), 0);
    assert_eq!(pushed.not_written, None);
    assert_eq!(
        queue.waiting().last().unwrap().seq,
        6,
        "no number is used twice"
    );
}

#[test]
fn what_is_only_in_memory_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("notify");
    std::fs::write(&blocked, "a file in its place").unwrap();
    let (mut queue, _) = Queue::open(&blocked.join("n"), 100_000, NOW);
    let mut dropped = 0;
    for n in 0..1_000 {
        let detail = "x".repeat(1_000);
        let pushed = queue.push(
            &Message {
                detail,
                ..numbered(n)
            },
            0,
        );
        dropped += pushed.dropped;
        assert!(queue.bytes <= MEMORY_BYTES_MAX);
    }
    assert!(queue.bytes > MEMORY_BYTES_MAX - 4_000);
    assert_eq!(queue.len() + dropped as usize, 1_000, "each is counted");
}

#[test]
fn one_that_the_receiver_cannot_take_comes_behind_after_five_answers() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = filled(&dir.path().join("n"), 1);
    for _ in 1..ANSWERS_MAX {
        assert!(!queue.answered(1, 1_000, 50));
        assert_eq!(
            (queue.waiting()[0].rank, queue.waiting()[0].not_before_ms),
            (0, 0)
        );
    }
    assert!(queue.answered(1, 1_000, 50));
    assert_eq!(
        (queue.waiting()[0].rank, queue.waiting()[0].not_before_ms),
        (1, 1_050)
    );
    queue.wait_no_more();
    assert_eq!(
        (queue.waiting()[0].rank, queue.waiting()[0].not_before_ms),
        (1, 0)
    );
    assert!(!queue.answered(77, 1_000, 50), "none of ours");
}

#[test]
fn what_is_torn_foreign_or_gone_is_told_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n");
    let mut queue = filled(&path, 3);
    let names = files(&path);
    std::fs::write(path.join(&names[0]), "{\"message\"").unwrap();
    std::fs::remove_file(path.join(&names[1])).unwrap();
    std::fs::write(path.join("notes"), "").unwrap();
    std::fs::write(path.join(".healer-1-1.tmp"), "half").unwrap();
    assert!(queue.read(1).unwrap_err().contains("is no message of ours"));
    assert!(queue.read(2).unwrap_err().contains("is gone"));
    assert_eq!(queue.read(3).unwrap(), numbered(2));
    assert_eq!(queue.len(), 1);
    open(&path);
    assert_eq!(files(&path), [names[2].clone(), "notes".to_owned()]);
    // A digest that is torn gives nothing away.
    let torn = path.join("0000000000000009-1-5-d.json");
    std::fs::write(&torn, "{").unwrap();
    let (queue, told) = Queue::open(&path, 100, NOW);
    assert_eq!(queue.len(), 1);
    assert!(told[0].contains("is no message of ours"), "{told:?}");
    assert!(!torn.exists());
}

#[test]
fn what_the_disk_does_not_take_is_kept_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("notify");
    std::fs::write(&blocked, "a file in its place").unwrap();
    let (mut queue, told) = Queue::open(&blocked.join("n"), 2, NOW);
    assert_eq!(told.len(), 1);
    let pushed = queue.push(&numbered(1), 0);
    assert!(pushed.not_written.unwrap().contains("notify"));
    assert_eq!(queue.read(1).unwrap(), numbered(1));
    queue.push(&numbered(2), 0);
    assert_eq!(
        queue.push(&numbered(3), 0).dropped,
        1,
        "its bounds hold there, too"
    );
    let digested = queue.digest(&[2, 3], "h");
    assert!(digested.not_written.is_some() && digested.unread.is_empty());
    assert_eq!(queue.len(), 1);
}

#[test]
fn age_is_by_the_policys_clock_and_of_what_was_there_by_the_wall_clock_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n");
    let mut queue = open(&path);
    // The wall clock stands in 1970; it does not matter.
    queue.push(&numbered(0), 5_000);
    queue.push(&numbered(500), 6_000);
    assert_eq!(queue.expired(15_000, 10_000), [] as [u64; 0]);
    assert_eq!(queue.expired(15_001, 10_000), [1]);
    assert_eq!(queue.expired(16_001, 10_000), [1, 2]);
    assert_eq!(queue.expired(0, 10_000), [] as [u64; 0]);
    // A digest is as old as the youngest of what it is made of.
    queue.digest(&[1, 2], "h");
    assert_eq!(queue.expired(16_000, 10_000), [] as [u64; 0]);
    assert_eq!(queue.expired(16_001, 10_000), [3]);

    // It was of 1,500 ms by the wall clock; that is 4 s ago, then time goes on.
    let start = Now {
        at: policy::Timestamp(100),
        wall_ms: 5_500,
    };
    let (queue, _) = Queue::open(&path, 100, start);
    assert_eq!(queue.expired(6_100, 10_000), [] as [u64; 0]);
    assert_eq!(queue.expired(6_101, 10_000), [3]);
}

#[test]
fn queues_of_notifiers_that_are_no_more_are_removed_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let parent = dir.path().join("notify");
    for name in ["old", "kept", "shared"] {
        filled(&parent.join(name), 2);
    }
    filled(&parent.join("empty"), 1).remove(1);
    std::fs::write(parent.join("shared/mine"), "").unwrap();
    let gone = ["old", "shared"].map(|name| (name.to_owned(), 2));
    assert_eq!(sweep(&parent, &["kept".to_owned()], NOW), gone);
    assert_eq!(files(&parent), ["kept", "shared"]);
    assert_eq!(files(&parent.join("shared")), ["mine"]);
    assert_eq!(open(&parent.join("kept")).len(), 2);
    assert!(sweep(&dir.path().join("none"), &[], NOW).is_empty());
}
