//! What is written is read back; what is promised is kept.

use super::*;
use crate::journal::COMPACT_BYTES_MIN;

#[test]
fn entries_are_read_back_in_order_over_any_number_of_openings() {
    let state = State::new();
    let mut expected = Vec::new();
    for round in 0..4_u64 {
        let opened = state.open();
        assert_eq!(opened.records, expected);
        assert_eq!(opened.damage, None);
        assert!(opened.not_writable.is_none());
        let new = records(round * 10..round * 10 + round);
        expected.extend(new.clone());
        block_on(async {
            opened
                .journal
                .append(new, round % 2 == 0)
                .await
                .expect("append");
            opened.journal.close().await.expect("close");
        });
    }
    assert_eq!(names(&state.path), [JOURNAL]);
}

#[test]
fn compaction_replaces_everything_and_goes_on() {
    let state = State::with_appends(&[5]);
    let opened = state.open();
    block_on(async {
        opened
            .journal
            .compact(records(100..102))
            .await
            .expect("compact");
        opened
            .journal
            .append(records(200..201), true)
            .await
            .expect("append");
        opened.journal.close().await.expect("close");
    });
    let expected: Vec<_> = records(100..102)
        .into_iter()
        .chain(records(200..201))
        .collect();
    assert_eq!(state.open().records, expected);
    assert_eq!(names(&state.path), [JOURNAL]);
}

#[test]
fn it_wants_compaction_once_it_has_grown_to_twice_its_compacted_size() {
    let state = State::new();
    let opened = state.open();
    let journal = opened.journal;
    block_on(async {
        let mut n = 0;
        while journal.bytes() < COMPACT_BYTES_MIN {
            assert!(!journal.wants_compaction());
            journal
                .append(records(n..n + 500), false)
                .await
                .expect("append");
            n += 500;
        }
        assert!(journal.wants_compaction());
        journal.compact(records(0..n)).await.expect("compact");
        assert!(
            !journal.wants_compaction(),
            "nothing was saved, so not at once again"
        );
        let compacted = journal.bytes();
        while !journal.wants_compaction() {
            journal
                .append(records(n..n + 500), false)
                .await
                .expect("append");
            n += 500;
        }
        assert!(journal.bytes() >= 2 * compacted);
    });
}

#[test]
fn a_closed_journal_says_so() {
    let state = State::new();
    let journal = state.open().journal;
    block_on(async {
        journal.clone().close().await.expect("close");
        let error = journal
            .append(records(0..1), true)
            .await
            .expect_err("it is closed");
        assert_eq!(error.kind(), "closed");
    });
}
