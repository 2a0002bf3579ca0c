//! Torn tails and other damage.

use std::fs;

use proptest::prelude::*;

use super::*;

/// The file up to the first `cut` bytes, opened.
fn open_cut(bytes: &[u8], cut: usize) -> (State, Opened) {
    let state = State::new();
    drop(state.dir());
    fs::write(state.file(), &bytes[..cut]).expect("the cut file is written");
    let opened = state.open();
    (state, opened)
}

/// Offsets just after each newline.
fn line_ends(bytes: &[u8]) -> Vec<usize> {
    (1..=bytes.len())
        .filter(|end| bytes[end - 1] == b'\n')
        .collect()
}

#[test]
fn cut_at_every_byte_it_yields_the_appends_before_the_cut_and_nothing_else() {
    let sizes = [1, 3, 1, 2];
    let bytes = fs::read(State::with_appends(&sizes).file()).expect("a journal");
    let ends = line_ends(&bytes);
    assert_eq!(ends.len(), sizes.len() + 1);
    for cut in 0..=bytes.len() {
        let (state, opened) = open_cut(&bytes, cut);
        if cut < ends[0] {
            // A file gets its name only when its header is on disk.
            assert_failed_closed(&opened, &bytes[..cut], "");
            continue;
        }
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let expected: u64 = sizes[..whole - 1].iter().sum();
        assert_eq!(opened.records, records(0..expected), "cut at {cut}");
        let torn = (cut - ends[whole - 1]) as u64;
        let damage = (torn > 0).then(|| Damage::TornTail {
            path: state.file(),
            bytes: torn,
        });
        assert_eq!(opened.damage, damage, "cut at {cut}");
        assert_goes_on(opened, &state, expected);
    }
}

/// An append after the cut joins what was there.
fn assert_goes_on(opened: Opened, state: &State, expected: u64) {
    block_on(async {
        let new = records(expected..expected + 1);
        opened.journal.append(new, false).await.expect("append");
        opened.journal.close().await.expect("close");
    });
    let again = state.open();
    assert_eq!(
        (again.records, again.damage),
        (records(0..expected + 1), None)
    );
}

#[test]
fn any_flipped_bit_fails_closed_or_is_a_torn_tail_in_the_last_line() {
    let bytes = fs::read(State::with_appends(&[2, 1, 1]).file()).expect("a journal");
    let ends = line_ends(&bytes);
    let last_line = ends[ends.len() - 2];
    for position in 0..bytes.len() {
        for bit in [0, 5] {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << bit;
            let (_state, opened) = open_cut(&flipped, flipped.len());
            match opened.damage {
                Some(Damage::TornTail { .. }) => {
                    assert!(
                        position >= last_line,
                        "byte {position} was taken for a torn tail"
                    );
                    assert_eq!(opened.records, records(0..3));
                }
                _ => assert_failed_closed(&opened, &flipped, "line"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_file_holds_it_opens_and_invents_nothing(
        keep in 0_usize..2000,
        junk in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let good = fs::read(State::with_appends(&[2, 1, 1, 4]).file()).expect("a journal");
        let keep = keep.min(good.len());
        let bytes = [&good[..keep], junk.as_slice()].concat();
        let (_state, opened) = open_cut(&bytes, bytes.len());
        match &opened.damage {
            Some(Damage::SetAside { .. }) => assert_failed_closed(&opened, &bytes, ""),
            _ => {
                let n = opened.records.len() as u64;
                prop_assert_eq!(opened.records, records(0..n));
            }
        }
    }
}

#[test]
fn a_last_block_that_never_reached_the_disk_is_a_torn_tail() {
    let bytes = fs::read(State::with_appends(&[1, 40]).file()).expect("a journal");
    let ends = line_ends(&bytes);
    let mut zeroed = bytes.clone();
    zeroed[ends[1] + 100..ends[1] + 600].fill(0);
    let (_state, opened) = open_cut(&zeroed, zeroed.len());
    assert_eq!(opened.records, records(0..1));
    assert!(
        matches!(opened.damage, Some(Damage::TornTail { .. })),
        "{:?}",
        opened.damage
    );

    // The same in the middle is damage: a promise may have been in it.
    zeroed.extend_from_slice(&bytes[ends[0]..ends[1]]);
    let (_state, opened) = open_cut(&zeroed, zeroed.len());
    assert_failed_closed(&opened, &zeroed, "wrong checksum");
}

#[test]
fn foreign_files_and_other_versions_fail_closed() {
    let line = |json: &str| format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
    let header = |rest: &str| line(&format!(r#"{{"v":1,"boot_id":"b","boot_ms":1,{rest}}}"#));
    let good = header(r#""wall_ms":1,"at":1"#);
    let late =
        good.clone() + &line(r#"{"at":253402300800000,"wall_ms":1,"e":"fail-closed-ended"}"#);
    let cases = [
        ("", "the file has no header"),
        ("hello\n", "wrong checksum"),
        (&line(r#"{"v":2,"something":"new"}"#), "format version 2"),
        (
            &line(r#"{"at":1,"wall_ms":1,"e":"fail-closed-ended"}"#),
            "no header before it",
        ),
        (
            &(good.clone() + &line(r#"{"at":1,"wall_ms":1,"e":"dance"}"#)),
            "no known entry",
        ),
        (&(good.clone() + &line("[1]")), "no known entry"),
        (&(good.clone() + "\n"), "wrong checksum"),
        (&late, "after the year 9999"),
        (
            &header(r#""wall_ms":1,"at":99999999999999999"#),
            "after the year 9999",
        ),
    ];
    for (content, words) in cases {
        let (_state, opened) = open_cut(content.as_bytes(), content.len());
        assert_failed_closed(&opened, content.as_bytes(), words);
    }
    let (_state, opened) = open_cut(good.as_bytes(), good.len());
    assert_eq!(opened.damage, None);
}

#[test]
fn an_entry_of_this_boot_from_the_future_fails_closed() {
    let state = State::with_appends(&[1]);
    let opened = state.open();
    let mut ahead = record(9);
    ahead.at = opened.clock.now().at.plus(3_600_000);
    block_on(async {
        opened
            .journal
            .append(vec![ahead], true)
            .await
            .expect("append");
        opened.journal.close().await.expect("close");
    });
    let before = fs::read(state.file()).expect("a journal");
    assert_failed_closed(&state.open(), &before, "s in the future");
}

#[test]
fn no_regular_file_in_its_place_is_followed_or_opened() {
    let state = State::new();
    drop(state.dir());
    let elsewhere = state.path.join("elsewhere");
    fs::write(&elsewhere, "precious").expect("written");
    std::os::unix::fs::symlink(&elsewhere, state.file()).expect("linked");
    let opened = state.open();
    assert_failed_closed(&opened, b"precious", "no regular file");
    assert_eq!(fs::read(&elsewhere).expect("still there"), b"precious");

    let state = State::new();
    drop(state.dir());
    fs::create_dir(state.file()).expect("made");
    let opened = state.open();
    assert!(
        matches!(opened.damage, Some(Damage::SetAside { .. })),
        "{:?}",
        opened.damage
    );
}

#[test]
fn a_crash_while_setting_aside_still_fails_closed() {
    let state = State::with_appends(&[3]);
    fs::write(state.file(), "damage\n").expect("written");
    drop(state.open());
    // As if it had stopped between the two renames.
    fs::rename(state.file(), state.path.join("journal.fail-closed")).expect("renamed");
    let opened = state.open();
    assert!(matches!(opened.records[0].entry, Entry::FailClosed { .. }));

    // And before the first: the damaged file is still there and found again.
    fs::write(state.file(), "damage\n").expect("written");
    fs::write(state.path.join("journal.fail-closed"), "half a li").expect("written");
    assert_failed_closed(&state.open(), b"damage\n", "wrong checksum");
}

#[test]
fn each_damaged_file_is_kept() {
    let state = State::new();
    drop(state.dir());
    for n in 0..3 {
        fs::write(state.file(), format!("damage {n}\n")).expect("written");
        assert_failed_closed(&state.open(), format!("damage {n}\n").as_bytes(), "");
    }
    let kept = names(&state.path)
        .iter()
        .filter(|n| n.starts_with("journal.damaged-"))
        .count();
    assert_eq!(kept, 3);
}
