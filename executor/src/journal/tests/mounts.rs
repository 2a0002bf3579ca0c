//! Real file systems that are full or read-only. They need root and are told
//! when they could not be had.

use std::fs;

use super::*;

/// Fills the file system to the last byte.
fn fill(path: &Path) {
    let error = fs::write(path, vec![1_u8; 4 << 20]).expect_err("it is smaller than that");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn a_full_disk_refuses_and_when_there_is_space_again_it_goes_on() {
    let Some(disk) = Tmpfs::mount("size=256k") else {
        return;
    };
    let dir = StateDir::open(&disk.path().join("state")).expect("created");
    let ballast = disk.path().join("ballast");
    let opened = Journal::open(&dir, FAIL_CLOSED_MS).expect("there is space");
    let expected = block_on(async {
        let journal = &opened.journal;
        journal.append(records(0..10), true).await.expect("append");
        fill(&ballast);
        let mut n = 10;
        let error = loop {
            // Until the file's last block is full too.
            match journal.append(records(n..n + 10), true).await {
                Ok(()) => n += 10,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), "full");
        assert!(
            error
                .to_string()
                .contains(disk.path().join("state").to_str().expect("UTF-8")),
            "{error}"
        );
        assert_eq!(
            journal
                .compact(records(0..n))
                .await
                .expect_err("full")
                .kind(),
            "full"
        );
        let before = Journal::peek(&disk.path().join("state")).expect("readable");
        assert_eq!(before, records(0..n), "nothing torn, nothing lost");
        fs::remove_file(&ballast).expect("removed");
        journal
            .append(records(n..n + 10), true)
            .await
            .expect("append");
        journal.compact(records(0..n + 10)).await.expect("compact");
        journal.clone().close().await.expect("close");
        n + 10
    });
    let opened = Journal::open(&dir, FAIL_CLOSED_MS).expect("opens");
    assert_eq!(
        (opened.records, opened.damage),
        (records(0..expected), None)
    );
}

#[test]
fn a_journal_on_a_full_disk_opens_and_says_that_it_cannot_be_written() {
    let Some(disk) = Tmpfs::mount("size=64k") else {
        return;
    };
    let dir = StateDir::open(&disk.path().join("state")).expect("created");
    let opened = Journal::open(&dir, FAIL_CLOSED_MS).expect("there is space");
    block_on(async {
        // To the end of a block, so that not even a header fits in.
        let mut n = 0;
        while opened.journal.bytes() % 4096 < 4000 {
            opened
                .journal
                .append(records(n..n + 1), false)
                .await
                .expect("append");
            n += 1;
        }
        opened.journal.close().await.expect("close");
    });
    let kept = Journal::peek(&disk.path().join("state")).expect("readable");
    fill(&disk.path().join("ballast"));
    let opened = Journal::open(&dir, FAIL_CLOSED_MS).expect("it can be read");
    assert_eq!((opened.records, opened.damage), (kept, None));
    assert_eq!(opened.not_writable.expect("no space").kind(), "full");
    let error = block_on(opened.journal.append(records(0..1), true)).expect_err("no space");
    assert_eq!(error.kind(), "full");

    // The very first start needs space.
    let fresh = StateDir::open(&disk.path().join("fresh"));
    let error = fresh
        .and_then(|dir| Journal::open(&dir, FAIL_CLOSED_MS))
        .expect_err("no space");
    assert_eq!(error.kind(), "full", "{error}");
}

#[test]
fn a_read_only_file_system_is_named() {
    let Some(disk) = Tmpfs::mount("size=64k") else {
        return;
    };
    let dir = StateDir::open(&disk.path().join("state")).expect("created");
    block_on(async {
        let journal = Journal::open(&dir, FAIL_CLOSED_MS).expect("opens").journal;
        journal.append(records(0..2), true).await.expect("append");
        journal.close().await.expect("close");
    });
    if !disk.make_read_only() {
        return;
    }
    let error = Journal::open(&dir, FAIL_CLOSED_MS).expect_err("read-only");
    assert_eq!(error.kind(), "read-only");
    let words = error.to_string();
    assert!(words.contains("remount it writable"), "{words}");
    assert!(
        words.contains(disk.path().join("state").to_str().expect("UTF-8")),
        "{words}"
    );
    assert_eq!(
        Journal::peek(&disk.path().join("state")).expect("readable"),
        records(0..2)
    );
}
