//! The durable format: what an older executor wrote has to be read by every
//! later one. The golden file was made by other means than this code. Lines
//! may be added to it; one that has to be changed or removed means another
//! `FORMAT_VERSION`.

use super::*;
use crate::clock::Anchor;
use crate::journal::format::{self, Header, Line};

const GOLDEN: &str = include_str!("golden.journal");

fn decoded() -> Vec<Line> {
    let decode = |line: &str| format::decode(line.as_bytes());
    GOLDEN
        .lines()
        .map(|line| decode(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

#[test]
fn every_line_of_the_golden_file_is_read() {
    let state = State::new();
    drop(state.dir());
    std::fs::write(state.file(), GOLDEN).expect("written");
    let opened = state.open();
    assert_eq!(opened.damage, None);
    let expected: Vec<Record> = decoded()
        .into_iter()
        .flat_map(|line| match line {
            Line::Header(_) => Vec::new(),
            Line::Records(records) => records,
        })
        .collect();
    assert_eq!(expected.len(), 25);
    assert_eq!(opened.records, expected);
    // Another boot wrote it: the clock goes on after its newest entry.
    assert!(opened.clock.now().at > expected[24].at);
}

#[test]
fn what_is_read_is_written_the_same_way() {
    for (text, line) in GOLDEN.lines().zip(decoded()) {
        let again = match &line {
            Line::Header(header) => format::encode_header(header),
            Line::Records(records) => format::encode_records(records).expect("JSON"),
        };
        assert_eq!(
            String::from_utf8(again).expect("UTF-8"),
            format!("{text}\n")
        );
    }
}

#[test]
fn headers_single_entries_and_batches_mean_what_they_meant() {
    let lines = decoded();
    let anchor = Anchor {
        boot_id: "0f8ce2a4-3f8b-4f25-a7ad-1cf0a9d1e8f1".into(),
        boot_ms: 86_400_000,
        wall_ms: 1_760_978_852_000,
        at: Timestamp(1_760_978_852_000),
    };
    assert_eq!(lines[0], Line::Header(Header::new(anchor)));
    let target = || "marieai-dev-server".to_owned();
    let at = |n: u64| (Timestamp(1_760_978_852_000 + n), 1_760_978_852_000 + n);
    let record = |n, entry| Record {
        at: at(n).0,
        wall_ms: at(n).1,
        entry,
    };
    let why = "5 attempts without \"recovery\"\n".to_owned();
    assert_eq!(
        lines[10],
        Line::Records(vec![record(
            10,
            Entry::Held {
                target: target(),
                why,
                container_id: None,
                started_at: None,
            }
        )])
    );
    let until = Some(Timestamp(1_760_982_452_000));
    let batch = vec![
        record(
            11,
            Entry::Released {
                target: target(),
                by: "healer resume".into(),
                uncured: 0,
            },
        ),
        record(
            12,
            Entry::Paused {
                target: None,
                until,
                reason: String::new(),
            },
        ),
        record(
            13,
            Entry::Resumed {
                target: Some(target()),
            },
        ),
    ];
    assert_eq!(lines[11], Line::Records(batch));
}

#[test]
fn the_checksum_is_the_usual_crc_32_of_the_json() {
    assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    for line in GOLDEN.lines() {
        let (crc, json) = line.split_once(' ').expect("a space");
        assert_eq!(crc, format!("{:08x}", crc32fast::hash(json.as_bytes())));
    }
}
