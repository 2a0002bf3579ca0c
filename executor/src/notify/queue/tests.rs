//! The queue by itself: its bounds, its files, and digests over crashes.

use std::os::unix::fs::PermissionsExt;

use super::super::message::Step;
use super::super::plan::DIGEST_MAX;
use super::super::testing::message;
use super::*;

fn open(path: &Path) -> Queue {
    let (queue, told) = Queue::open(path, 100);
    assert!(told.is_empty(), "{told:?}");
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
    let mut queue = open(&path);
    for n in 0..12 {
        assert_eq!(queue.push(&numbered(n)).dropped, 0);
    }
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
    again.push(&numbered(99));
    assert_eq!(again.waiting().last().unwrap().seq, 13, "numbers go on");
}

#[test]
fn beyond_its_bounds_the_oldest_of_the_least_severe_goes() {
    use Severity::*;
    let dir = tempfile::tempdir().unwrap();
    let (mut queue, _) = Queue::open(&dir.path().join("n"), 3);
    for severity in [Warning, Info, Critical] {
        assert_eq!(queue.push(&severe(severity)).dropped, 0);
    }
    let kept =
        |queue: &Queue| -> Vec<Severity> { queue.waiting().iter().map(|w| w.severity).collect() };
    assert_eq!(queue.push(&severe(Critical)).dropped, 1);
    assert_eq!(kept(&queue), [Warning, Critical, Critical]);
    assert_eq!(queue.push(&severe(Info)).dropped, 1, "itself");
    assert_eq!(kept(&queue), [Warning, Critical, Critical]);
    queue.push(&severe(Critical));
    queue.push(&severe(Critical));
    let seqs: Vec<u64> = queue.waiting().iter().map(|w| w.seq).collect();
    assert_eq!(seqs, [4, 6, 7], "the oldest of the same");

    // By bytes, too.
    let (mut queue, _) = Queue::open(&dir.path().join("b"), usize::MAX);
    let big = Message {
        detail: "x".repeat(32 << 10),
        ..message()
    };
    let mut pushed = 0;
    while queue.push(&big).dropped == 0 {
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
    let mut queue = open(&path);
    for n in 0..4 {
        queue.push(&numbered(n));
    }
    let before: Vec<(String, Vec<u8>)> = files(&path)
        .into_iter()
        .map(|name| (name.clone(), std::fs::read(path.join(name)).unwrap()))
        .collect();
    assert!(queue.digest(&[1, 2, 4], "h").is_empty());
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
fn the_longest_digest_fits_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = open(&dir.path().join("n"));
    let long = "\u{7f}\"\\".repeat(400);
    let longest = Message {
        title: long.clone(),
        detail: long,
        ..message()
    };
    for _ in 0..DIGEST_MAX {
        queue.push(&longest);
    }
    let seqs: Vec<u64> = queue.waiting().iter().map(|w| w.seq).collect();
    queue.digest(&seqs, "h");
    let mut again = open(&dir.path().join("n"));
    assert_eq!(again.len(), 1);
    let seq = again.waiting()[0].seq;
    assert_eq!(again.read(seq).unwrap().detail.lines().count(), DIGEST_MAX);
}

#[test]
fn what_is_torn_foreign_or_gone_is_told_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n");
    let mut queue = open(&path);
    for n in 0..3 {
        queue.push(&numbered(n));
    }
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
    let (queue, told) = Queue::open(&path, 100);
    assert_eq!(queue.len(), 1);
    assert!(told[0].contains("is no message of ours"), "{told:?}");
    assert!(!torn.exists());
}

#[test]
fn what_the_disk_does_not_take_is_kept_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("notify");
    std::fs::write(&blocked, "a file in its place").unwrap();
    let (mut queue, told) = Queue::open(&blocked.join("n"), 2);
    assert_eq!(told.len(), 1);
    let pushed = queue.push(&numbered(1));
    assert!(pushed.not_written.unwrap().contains("notify"));
    assert_eq!(queue.read(1).unwrap(), numbered(1));
    queue.push(&numbered(2));
    assert_eq!(
        queue.push(&numbered(3)).dropped,
        1,
        "its bounds hold there, too"
    );
    assert_eq!(queue.digest(&[2, 3], "h").len(), 1);
    assert_eq!(queue.len(), 1);
}

#[test]
fn age_is_by_the_wall_clock_and_a_clock_set_back_makes_nothing_old() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = open(&dir.path().join("n"));
    queue.push(&numbered(0));
    queue.push(&numbered(500));
    assert_eq!(queue.expired(11_000, 10_000), [] as [u64; 0]);
    assert_eq!(queue.expired(11_001, 10_000), [1]);
    assert_eq!(queue.expired(11_501, 10_000), [1, 2]);
    assert_eq!(queue.expired(0, 10_000), [] as [u64; 0]);
}

#[test]
fn queues_of_notifiers_that_are_no_more_are_removed_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let parent = dir.path().join("notify");
    for name in ["old", "empty", "kept", "shared"] {
        let mut queue = open(&parent.join(name));
        if name != "empty" {
            queue.push(&numbered(1));
            queue.push(&numbered(2));
        } else {
            queue.push(&numbered(1));
            queue.remove(1);
        }
    }
    std::fs::write(parent.join("shared/mine"), "").unwrap();
    assert_eq!(sweep(&parent, &["kept"]), [("old".to_owned(), 2)]);
    assert_eq!(files(&parent), ["kept", "shared"]);
    assert_eq!(files(&parent.join("shared")), ["mine"]);
    assert_eq!(open(&parent.join("kept")).len(), 2);
    assert!(sweep(&dir.path().join("none"), &[]).is_empty());
}
