//! Disks that fail, fill up and vanish: nothing is promised that is not kept,
//! and when the trouble ends it goes on.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use super::*;
use crate::clock::{self, Clock};
use crate::journal::format::{Header, LINE_BYTES_MAX};
use crate::journal::write::Writer;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A writer without its thread, so that faults can be put in its way.
fn writer(state: &State) -> (Writer, Header) {
    let reading = clock::read_system().expect("clocks");
    let header = Header::new(Clock::system(None, &reading).anchor());
    (
        Writer::begin(state.dir(), &header, &[]).expect("begun"),
        header,
    )
}

fn kind(result: Result<(), JournalError>) -> &'static str {
    result.expect_err("it has to fail").kind()
}

#[test]
fn a_short_write_leaves_nothing_behind_and_the_next_append_is_whole() {
    let state = State::new();
    let (mut writer, _) = writer(&state);
    writer.append(&records(0..2), false).expect("append");
    let before = fs::read(state.file()).expect("a journal");
    writer.faults.fail("write", ENOSPC);
    assert_eq!(kind(writer.append(&records(2..3), true)), "full");
    assert_eq!(fs::read(state.file()).expect("a journal"), before);
    writer.faults.heal();
    writer.append(&records(2..3), true).expect("append");
    assert_eq!(state.open().records, records(0..3));
}

#[test]
fn while_the_unfinished_line_cannot_be_cut_nothing_is_accepted() {
    let state = State::new();
    let (mut writer, _) = writer(&state);
    writer.append(&records(0..1), false).expect("append");
    writer.faults.fail("write", ENOSPC);
    writer.faults.fail("truncate", EIO);
    assert_eq!(kind(writer.append(&records(1..2), false)), "full");
    writer.faults.heal();
    writer.faults.fail("truncate", EIO);
    assert_eq!(kind(writer.append(&records(1..2), false)), "io");
    assert_eq!(kind(writer.append(&[], true)), "io");
    writer.faults.heal();
    writer.append(&records(1..2), false).expect("append");
    assert_eq!(state.open().records, records(0..2));
}

#[test]
fn after_a_failed_fsync_everything_is_written_anew() {
    let state = State::new();
    let (mut writer, _) = writer(&state);
    writer.append(&records(0..2), false).expect("append");
    let inode = || fs::metadata(state.file()).expect("a journal").ino();
    let old = inode();
    writer.faults.fail("fsync", EIO);
    assert_eq!(kind(writer.append(&records(2..3), true)), "io");
    // Not even an append that needs no fsync: what it builds on may be lost.
    assert_eq!(kind(writer.append(&records(2..3), false)), "io");
    assert_eq!(inode(), old);
    writer.faults.heal();
    writer.append(&records(2..3), true).expect("append");
    assert_ne!(
        inode(),
        old,
        "a later fsync of the same file proves nothing"
    );
    assert_eq!(state.open().records, records(0..3));
    assert_eq!(names(&state.path), [JOURNAL]);
}

#[test]
fn a_failed_fsync_of_the_directory_is_told_and_tried_until_it_works() {
    let state = State::new();
    let (mut writer, header) = writer(&state);
    writer.append(&records(0..2), true).expect("append");
    writer.faults.fail("fsync-dir", EIO);
    assert_eq!(kind(writer.replace(&header, &records(1..2))), "io");
    assert_eq!(kind(writer.append(&records(2..3), true)), "io");
    writer.faults.heal();
    writer.append(&records(2..3), true).expect("append");
    assert_eq!(state.open().records, records(1..3));
}

#[test]
fn a_removed_journal_gets_its_name_back() {
    let state = State::new();
    let (mut writer, _) = writer(&state);
    writer.append(&records(0..2), true).expect("append");
    fs::remove_file(state.file()).expect("removed");
    writer.append(&records(2..3), true).expect("append");
    assert_eq!(state.open().records, records(0..3));
}

#[test]
fn a_replaced_journal_is_not_written_to() {
    let state = State::new();
    let (mut writer, header) = writer(&state);
    writer.append(&records(0..2), true).expect("append");
    fs::rename(state.file(), state.path.join("old")).expect("renamed");
    fs::write(state.file(), "foreign").expect("written");
    assert_eq!(kind(writer.append(&records(2..3), true)), "gone");
    assert_eq!(kind(writer.replace(&header, &records(2..3))), "gone");
    assert_eq!(fs::read(state.file()).expect("still there"), b"foreign");
    fs::rename(state.path.join("old"), state.file()).expect("renamed");
    writer.append(&records(2..3), true).expect("append");
    assert_eq!(state.open().records, records(0..3));
}

#[test]
fn a_directory_that_is_moved_away_stops_appends_until_it_is_back() {
    let state = State::new();
    let opened = state.open();
    let away = state.path.with_extension("away");
    block_on(async {
        let journal = &opened.journal;
        journal.append(records(0..1), true).await.expect("append");
        fs::rename(&state.path, &away).expect("moved");
        for durable in [true, false] {
            let error = journal
                .append(records(1..2), durable)
                .await
                .expect_err("moved");
            assert_eq!(error.kind(), "gone");
            assert!(
                error
                    .to_string()
                    .contains(state.path.to_str().expect("UTF-8")),
                "{error}"
            );
        }
        fs::create_dir(&state.path).expect("another");
        let error = journal
            .append(records(1..2), true)
            .await
            .expect_err("another");
        assert!(error.to_string().contains("replaced by another"), "{error}");
        fs::remove_dir(&state.path).expect("removed");
        fs::rename(&away, &state.path).expect("moved back");
        journal.append(records(1..2), true).await.expect("append");
    });
    assert_eq!(state.open().records, records(0..2));
}

#[test]
fn a_directory_that_is_removed_stops_appends() {
    let state = State::new();
    let opened = state.open();
    fs::remove_dir_all(&state.path).expect("removed");
    let error = block_on(opened.journal.append(records(0..1), true)).expect_err("removed");
    assert_eq!(error.kind(), "gone");
    assert!(
        !state.path.exists(),
        "nothing is recreated without its lock"
    );
}

#[test]
fn a_line_beyond_the_limit_is_refused_and_one_at_the_limit_is_read_back() {
    let state = State::new();
    let (mut writer, _) = writer(&state);
    let sized = |bytes: usize| {
        let mut record = record(0);
        record.entry = Entry::Held {
            target: "t".into(),
            why: String::new(),
            container_id: None,
            started_at: None,
        };
        let empty = 9 + 1 + serde_json::to_vec(&record).expect("JSON").len();
        record.entry = Entry::Held {
            target: "t".into(),
            why: "x".repeat(bytes - empty),
            container_id: None,
            started_at: None,
        };
        record
    };
    assert_eq!(
        kind(writer.append(&[sized(LINE_BYTES_MAX + 1)], true)),
        "limit"
    );
    let largest = sized(LINE_BYTES_MAX);
    writer
        .append(std::slice::from_ref(&largest), true)
        .expect("append");
    writer.append(&[record(1)], true).expect("append");
    assert_eq!(state.open().records, [largest, record(1)]);
}

#[test]
fn a_directory_that_is_not_private_is_refused_with_the_command_to_type() {
    let state = State::new();
    drop(state.open());
    let mode = |mode| fs::set_permissions(&state.path, fs::Permissions::from_mode(mode));
    assert_eq!(
        fs::metadata(&state.path).expect("made").mode() & 0o7777,
        0o700
    );
    assert_eq!(
        fs::metadata(state.file()).expect("made").mode() & 0o7777,
        0o600
    );
    for open in [0o720, 0o702, 0o777, 0o1777] {
        mode(open).expect("chmod");
        let error = StateDir::open(&state.path).expect_err("others can write");
        assert!(
            error.to_string().contains("; type: chmod 0700 /"),
            "{error}"
        );
    }
    mode(0o755).expect("chmod");
    drop(state.dir());
    if chown(&state.path, Some(54_321), None).is_err() {
        return skip("a foreign owner (needs root)");
    }
    let error = StateDir::open(&state.path).expect_err("it belongs to another");
    assert!(
        error.to_string().contains("belongs to user id 54321"),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("; type: sudo -u '#54321' healer"),
        "{error}"
    );
}

#[test]
fn a_file_in_the_directorys_place_is_named() {
    let state = State::new();
    fs::write(&state.path, "").expect("written");
    let error = StateDir::open(&state.path).expect_err("a file");
    assert!(
        error
            .to_string()
            .contains(state.path.to_str().expect("UTF-8")),
        "{error}"
    );
}

#[test]
fn the_name_of_a_journal_begun_by_a_killed_process_is_put_on_the_disk_first() {
    let state = State::with_appends(&[1]);
    let file = state
        .dir()
        .open_file(JOURNAL, rustix::fs::OFlags::RDWR)
        .expect("a journal");
    let scan = crate::journal::read::scan(&file).expect("readable");
    let (header, _) = scan.newest.expect("a header");
    let content = crate::journal::content::Content {
        file,
        bytes: scan.good_bytes,
        records: scan.records.len(),
    };
    let mut writer = Writer::resume(state.dir(), content, false, header);
    writer.faults.fail("fsync-dir", EIO);
    assert_eq!(kind(writer.append(&records(1..2), true)), "io");
    writer.faults.heal();
    writer.append(&records(1..2), true).expect("append");
    assert_eq!(state.open().records, records(0..2));
}

#[test]
fn what_a_killed_compaction_left_is_cleared_away() {
    let state = State::with_appends(&[2]);
    fs::write(state.path.join("journal.new"), "half").expect("written");
    assert_eq!(state.open().records, records(0..2));
    assert_eq!(names(&state.path), [JOURNAL]);
}

#[test]
fn peeking_changes_nothing() {
    let state = State::with_appends(&[2]);
    let torn = [fs::read(state.file()).expect("a journal"), b"torn".to_vec()].concat();
    fs::write(state.file(), &torn).expect("written");
    assert_eq!(Journal::peek(&state.path).expect("readable"), records(0..2));
    assert_eq!(fs::read(state.file()).expect("a journal"), torn);
    let missing = State::new();
    assert_eq!(
        Journal::peek(&missing.path).expect_err("missing").kind(),
        "gone"
    );
    assert!(!missing.path.exists());
}
