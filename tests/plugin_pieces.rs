//! Lines that come as several records because a container runtime cut them:
//! put together for each container and stream, over chunks too, and counted
//! once; compared with judging each line whole.

use std::collections::BTreeMap;

use executor_api::{Decision, Intent, LastMatch, TargetRef};
use out_healer::config::{Config, RawConfig};
use out_healer::guard::Verdict;
use out_healer::instance::Instance;
use out_healer::joins::{KEPT_MAX, WAIT_MS};
use out_healer::lines::JOIN_SECONDS_MAX;
use out_healer::metrics::Counter;
use out_healer::pieces::PIECE_BYTES;
use proptest::prelude::*;
use rules::{Origin, RuleSet, Scratch};

use crate::support::events::{Chunk, Stamp, Value, map};
use crate::support::executor::{Executor, Manner};
use crate::support::recorder::{Recorder, dry_instance, rule_file};

const ID: &str = "a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e0";
const OOM: &str = "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB\n";
const SECOND: u32 = 1_760_978_850;

/// A rule with an excuse, and one that stands on two words far apart.
const RULES: &str = r#"
[[rule]]
name = "lost"
summary = "The device is lost"
remedy = "restart"
literals = ["device lost for good"]
[rule.unless]
literals = ["only a drill"]

[[rule]]
name = "span"
summary = "Two words, in this order"
remedy = "note"
regexes = ['fatal-begin.*fatal-end']
"#;

/// A line of Docker's json-file driver.
fn json_file(chunk: Chunk, second: u32, stream: &str, text: &[u8]) -> Chunk {
    let body = map(&[
        ("log", text.into()),
        ("stream", stream.into()),
        ("time", "2025-10-20T16:47:30.000000000Z".into()),
    ]);
    chunk.v2(Stamp::EventTime(second, 1), &body)
}

/// A piece of Docker's fluentd driver.
fn fluentd(container: &str, source: &str, id: usize, text: &[u8], last: bool) -> Value {
    map(&[
        ("container_name", container.into()),
        ("source", source.into()),
        ("log", text.into()),
        ("partial_message", "true".into()),
        ("partial_id", format!("{id}").as_str().into()),
        ("partial_last", if last { "true" } else { "false" }.into()),
    ])
}

/// Spaces, which count for nothing, and a text, cut so that the first piece is
/// as long as Docker makes it.
fn cut_by_size(text: &[u8], at: usize) -> (Vec<u8>, Vec<u8>) {
    let mut head = vec![b' '; PIECE_BYTES - at];
    head.extend(&text[..at]);
    (head, [&text[at..], b"\n"].concat())
}

fn tag() -> String {
    format!("docker.{ID}")
}

#[test]
fn the_packs_examples_are_found_wherever_docker_cuts_them() {
    let rules = RuleSet::load("gpu").expect("built in");
    let (instance, recorder) = dry_instance(None, "auto");
    let mut cuts: u64 = 0;
    for rule in rules.rules().iter().filter(|rule| !rule.kernel) {
        let is_wrapped = |text: &&String| text.trim().contains('\n');
        for example in rule.examples.iter().filter(is_wrapped) {
            // A newline would end the line.
            let text = example.trim_end().replace('\n', " ");
            let text = text.as_bytes();
            let mut scratch = Scratch::default();
            let found = rules.judge(text, Origin::Container, &mut scratch);
            let name = &rules.rules()[found.expect("an example")].name;
            for at in 1..text.len() {
                // In turns at once, and over two flushes.
                let (head, rest) = cut_by_size(text, at);
                let before = recorder.labels(Counter::Matches);
                let head = json_file(Chunk::default(), SECOND, "stderr", &head);
                if at % 2 == 0 {
                    let chunk = json_file(head, SECOND, "stderr", &rest);
                    instance.flush(cuts, &chunk.0, tag().as_bytes());
                    let after = recorder.labels(Counter::Matches);
                    let more = |labels: &BTreeMap<String, u64>| labels.get(name).copied();
                    let more = more(&after).unwrap_or(0) - more(&before).unwrap_or(0);
                    assert_eq!(more, 1, "{name}: {example:?} cut at {at}");
                } else {
                    let rest = json_file(Chunk::default(), SECOND, "stderr", &rest);
                    instance.flush(cuts, &head.0, tag().as_bytes());
                    instance.flush(cuts, &rest.0, tag().as_bytes());
                }
                cuts += 1;
                let matches = recorder.counter(Counter::Matches);
                assert_eq!(matches, cuts, "{name}: {example:?} cut at {at}");
            }
        }
    }
    assert!(cuts > 3_000, "{cuts}");
    assert_eq!(recorder.counter(Counter::Joined), cuts);
}

#[test]
fn flags_of_every_driver_join_pieces_of_any_size() {
    let text = OOM.trim_end().as_bytes();
    type Fields = &'static [(&'static str, &'static str)];
    let drivers: [(&str, &str, Fields, Fields); 4] = [
        (
            "log",
            "container_id",
            &[("partial_message", "true"), ("partial_last", "false")],
            &[("partial_message", "true"), ("partial_last", "true")],
        ),
        ("log", "container_id", &[("partial_message", "true")], &[]),
        (
            "MESSAGE",
            "CONTAINER_ID_FULL",
            &[("CONTAINER_PARTIAL_MESSAGE", "true")],
            &[("CONTAINER_PARTIAL_LAST", "true")],
        ),
        (
            "log",
            "container_id",
            &[("logtag", "P")],
            &[("logtag", "F")],
        ),
    ];
    let (instance, recorder) = dry_instance(None, "record");
    let mut lines = 0;
    for (key, id_key, first, last) in drivers {
        for at in 1..text.len() {
            let piece = |text: &[u8], flags: Fields| {
                let mut fields: Vec<(&str, Value)> = vec![(id_key, ID.into()), (key, text.into())];
                fields.extend(flags.iter().map(|(key, value)| (*key, (*value).into())));
                Chunk::default().v2(Stamp::EventTime(SECOND, 1), &map(&fields))
            };
            let (head, rest) = (piece(&text[..at], first), piece(&text[at..], last));
            if at % 2 == 0 {
                instance.flush(0, &[head.0, rest.0].concat(), b"t");
            } else {
                instance.flush(0, &head.0, b"t");
                instance.flush(0, &rest.0, b"t");
            }
            lines += 1;
            let matches = recorder.counter(Counter::Matches);
            assert_eq!(matches, lines, "{first:?}, cut at {at}");
        }
    }
}

#[test]
fn pieces_join_within_one_container_and_stream_only() {
    let (instance, recorder) = dry_instance(None, "record");
    let whole = ["one", "stdout"];
    let piece = |text: &str, of: [&str; 2], id, last| {
        let body = fluentd(of[0], of[1], id, text.as_bytes(), last);
        Chunk::default().v2(Stamp::EventTime(SECOND, 1), &body).0
    };
    for (other, id, expected) in [
        (["two", "stdout"], 1, 0),
        (["one", "stderr"], 1, 0),
        (whole, 2, 0),
        (whole, 1, 1),
    ] {
        instance.flush(0, &piece("CUDA out of", whole, 1, false), b"t");
        instance.flush(0, &piece(" memory", other, id, true), b"t");
        assert_eq!(recorder.counter(Counter::Matches), expected, "{other:?}");
        // What is still open ends.
        instance.flush(0, &piece("", whole, 1, true), b"t");
    }
}

#[test]
fn an_excuse_in_any_piece_counts_and_a_line_counts_once() {
    let file = rule_file(RULES);
    let (instance, recorder) = dry_instance(Some(file.path()), "auto");
    let mut second = SECOND;
    let mut flush = |texts: &[&[u8]]| {
        second += 1;
        let add = |chunk, text: &&[u8]| json_file(chunk, second, "stdout", text);
        let chunk = texts.iter().fold(Chunk::default(), add);
        assert_eq!(
            instance.flush(0, &chunk.0, tag().as_bytes()).verdict,
            Verdict::Ok
        );
        recorder.counter(Counter::Matches)
    };
    let full = |text: &str| {
        let mut text = text.as_bytes().to_vec();
        text.resize(PIECE_BYTES, b'.');
        text
    };
    let (failure, drill) = (full("device lost for good"), full("only a drill"));
    assert_eq!(flush(&[&failure, &drill, b"end\n"]), 0);
    assert_eq!(flush(&[&drill, b"device lost for good\n"]), 0);
    assert_eq!(flush(&[&drill]), 0);
    assert_eq!(flush(&[b"device lost for good\n"]), 0);
    // The next line is another one.
    assert_eq!(flush(&[&drill, b"end\n", b"device lost for good\n"]), 1);
    assert_eq!(flush(&[&failure, &failure, b"device lost for good\n"]), 2);
    // Over two flushes what there is counts at once, and the rest no more.
    assert_eq!(flush(&[&failure]), 3);
    assert_eq!(flush(&[&failure]), 3);
    assert_eq!(flush(&[b"device lost for good\n"]), 3);
    assert_eq!(flush(&[b"device lost for good\n"]), 4);
}

#[test]
fn a_chunk_that_comes_again_gives_the_same_intent() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("intents.sock");
    let raw = RawConfig {
        socket: Some(socket.to_str().expect("UTF-8").into()),
        ..RawConfig::default()
    };
    let recorder = Recorder::default();
    let config = Config::new(&raw).expect("valid settings");
    let instance = Instance::new(config, Box::new(recorder.clone()));
    let (head, rest) = cut_by_size(OOM.trim_end().as_bytes(), 20);
    let first = json_file(Chunk::default(), SECOND, "stderr", &head).0;
    let second = json_file(Chunk::default(), SECOND + 1, "stderr", &rest);
    let second = json_file(second, SECOND + 1, "stderr", &head).0;
    let third = json_file(Chunk::default(), SECOND + 2, "stderr", &rest).0;
    let flush = |now_ms, chunk: &[u8]| instance.flush(now_ms, chunk, tag().as_bytes()).verdict;
    assert_eq!(flush(0, &first), Verdict::Ok);
    // Nobody is there.
    assert_eq!(flush(1, &second), Verdict::Retry);
    let executor = Executor::start(&socket, Manner::Answer(Decision::Pending));
    // Later ones go on with what it has left all the same.
    assert_eq!(flush(5_000, &third), Verdict::Ok);
    assert_eq!(flush(5_100, &second), Verdict::Ok);
    let intents = executor.take_received();
    let lines: Vec<(LastMatch, u64)> = intents
        .iter()
        .map(|intent| (intent.last, intent.matches()))
        .collect();
    // Each is as old as its first piece.
    let at = |second: u32| LastMatch(u64::from(second), Some(1));
    assert_eq!(lines, [(at(SECOND + 1), 1), (at(SECOND), 1)]);
    let whole = json_file(Chunk::default(), SECOND, "stderr", &[head, rest].concat());
    assert_eq!(flush(6_000, &whole.0), Verdict::Ok);
    // As if it had come in one record.
    assert_eq!(executor.received()[0].id, intents[1].id);
    assert_eq!(recorder.counter(Counter::Unjoined), 0);
}

#[test]
fn waiting_ends_by_the_records_time_and_by_the_clock() {
    let (instance, recorder) = dry_instance(None, "auto");
    let (head, rest) = cut_by_size(OOM.trim_end().as_bytes(), 20);
    let later = u32::try_from(JOIN_SECONDS_MAX).expect("small");
    let mut expected = 0;
    for (rest_second, rest_ms, joins) in [
        (SECOND + later, 0, true),
        (SECOND + later + 1, 0, false),
        (SECOND - 1, 0, false),
        (SECOND, WAIT_MS, true),
        (SECOND, WAIT_MS + 1, false),
    ] {
        let head = json_file(Chunk::default(), SECOND, "stderr", &head);
        let rest = json_file(Chunk::default(), rest_second, "stderr", &rest);
        instance.flush(0, &head.0, tag().as_bytes());
        instance.flush(rest_ms, &rest.0, tag().as_bytes());
        expected += u64::from(joins);
        let matches = recorder.counter(Counter::Matches);
        assert_eq!(matches, expected, "{rest_second} {rest_ms}");
    }
}

#[test]
fn more_containers_than_there_is_room_for_are_counted() {
    let (instance, recorder) = dry_instance(None, "record");
    let chunk = |texts: [&str; 2], last: bool| {
        let one = |chunk: Chunk, number: usize| {
            let text = texts[usize::from(number == 0)].as_bytes();
            let body = fluentd(&format!("c{number}"), "stdout", number, text, last);
            chunk.v2(Stamp::EventTime(SECOND, number as u32 + 1), &body)
        };
        (0..=KEPT_MAX).fold(Chunk::default(), one).0
    };
    instance.flush(0, &chunk(["CUDA out of", "CUDA out of"], false), b"t");
    assert_eq!(recorder.counter(Counter::Unjoined), 1);
    instance.flush(0, &chunk([" memory", " memory"], true), b"t");
    assert_eq!(recorder.counter(Counter::Joined), KEPT_MAX as u64);
    assert_eq!(recorder.counter(Counter::Matches), KEPT_MAX as u64);
}

#[test]
fn a_chunk_of_ordinary_lines_is_not_read() {
    let (instance, recorder) = dry_instance(None, "auto");
    let line = "x".repeat(500) + "\n";
    let add = |chunk, second| json_file(chunk, second, "stdout", line.as_bytes());
    let chunk = (SECOND..SECOND + 1_000).fold(Chunk::default(), add);
    instance.flush(0, &chunk.0, tag().as_bytes());
    assert_eq!(recorder.counter(Counter::Records), 0);
}

/// A line, and how it is cut and spread over chunks.
#[derive(Debug, Clone)]
struct Line {
    container: usize,
    text: String,
    cuts: Vec<usize>,
}

const WORDS: [&str; 9] = [
    "device",
    "lost",
    "for",
    "good",
    "only a drill",
    "fatal-begin",
    "fatal-end",
    "device lost for good",
    "\u{1b}[31m",
];

fn line() -> impl Strategy<Value = Line> {
    let words = prop::collection::vec(0..WORDS.len(), 1..8);
    let cuts = prop::collection::vec(0..60_usize, 0..4);
    (0..4_usize, words, cuts).prop_map(|(container, words, cuts)| {
        let words: Vec<&str> = words.into_iter().map(|word| WORDS[word]).collect();
        let text = words.join(" ");
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < text.len()).collect();
        cuts.sort_unstable();
        Line {
            container,
            text,
            cuts,
        }
    })
}

impl Line {
    fn pieces(&self) -> Vec<&str> {
        let ends = self.cuts.iter().copied().chain([self.text.len()]);
        let starts = [0].into_iter().chain(self.cuts.iter().copied());
        starts
            .zip(ends)
            .map(|(from, to)| &self.text[from..to])
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Lines of four streams, cut anywhere, in turns by `order`, in chunks of
    /// any size: each counts as it does whole, or as soon as what of it stands
    /// before a chunk's end does.
    #[test]
    fn joined_lines_match_as_whole_ones_do(
        lines in prop::collection::vec(line(), 1..8),
        order in prop::collection::vec((0..4_usize, prop::bool::weighted(0.3)), 60),
    ) {
        let file = rule_file(RULES);
        let (instance, recorder) = dry_instance(Some(file.path()), "record");
        let rules = RuleSet::load(file.path().to_str().expect("UTF-8")).expect("valid");
        let mut scratch = Scratch::default();
        let mut matches = |text: &str| {
            let found = rules.judge(text.as_bytes(), Origin::Container, &mut scratch);
            found.map(|rule| rules.rules()[rule].name.clone())
        };
        // Pieces that each stream has still to print: its line and number.
        let mut waiting: [Vec<(usize, usize)>; 4] = Default::default();
        for (number, line) in lines.iter().enumerate() {
            let pieces = (0..line.pieces().len()).map(|piece| (number, piece));
            waiting[line.container].extend(pieces);
        }
        waiting.iter_mut().for_each(|pieces| pieces.reverse());
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        let mut so_far = vec![String::new(); lines.len()];
        let mut counted = vec![false; lines.len()];
        let mut open = [None; 4];
        let mut chunk = Chunk::default();
        let mut nanos = 0;
        let mut order = order.into_iter().cycle();
        while waiting.iter().any(|pieces| !pieces.is_empty()) {
            let (mut stream, ends_chunk) = order.next().expect("endless");
            while waiting[stream].is_empty() {
                stream = (stream + 1) % 4;
            }
            let (number, piece) = waiting[stream].pop().expect("checked");
            let pieces = lines[number].pieces();
            let is_last = piece + 1 == pieces.len();
            so_far[number] += pieces[piece];
            open[stream] = (!is_last).then_some(number);
            let mut count = |number: usize| {
                if !counted[number] && let Some(rule) = matches(&so_far[number]) {
                    counted[number] = true;
                    *expected.entry(rule).or_default() += 1;
                }
            };
            if is_last {
                count(number);
            }
            let container = format!("c{}", stream / 2);
            let source = ["stdout", "stderr"][stream % 2];
            let text = pieces[piece].as_bytes();
            // Some drivers number their lines.
            let id = if stream == 0 { number } else { 0 };
            let body = fluentd(&container, source, id, text, is_last);
            nanos += 1;
            // So far from the line before that they are no wrapped message.
            let second = SECOND + 2 * JOIN_SECONDS_MAX as u32 * number as u32;
            chunk = chunk.v2(Stamp::EventTime(second, nanos), &body);
            if ends_chunk {
                open.into_iter().flatten().for_each(&mut count);
                instance.flush(0, &std::mem::take(&mut chunk).0, b"t");
            }
        }
        instance.flush(0, &chunk.0, b"t");
        prop_assert_eq!(recorder.labels(Counter::Matches), expected);
    }
}

#[test]
fn the_target_is_who_printed_the_pieces() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("intents.sock");
    let executor = Executor::start(&socket, Manner::Answer(Decision::Pending));
    let raw = RawConfig {
        socket: Some(socket.to_str().expect("UTF-8").into()),
        target: Some("record".into()),
        ..RawConfig::default()
    };
    let config = Config::new(&raw).expect("valid settings");
    let instance = Instance::new(config, Box::new(Recorder::default()));
    // In turns, as a driver that serves two containers sends them.
    let mut chunk = Chunk::default();
    for (at, text) in ["CUDA ", "out of ", "memory"].into_iter().enumerate() {
        for container in ["one", "two"] {
            let text = if container == "two" && at == 2 {
                "paper"
            } else {
                text
            };
            let body = fluentd(container, "stdout", 1, text.as_bytes(), at == 2);
            chunk = chunk.v2(Stamp::EventTime(SECOND, 1), &body);
        }
    }
    assert_eq!(instance.flush(0, &chunk.0, b"t").verdict, Verdict::Ok);
    let received = executor.received();
    let found: Vec<(&TargetRef, &str)> = received
        .iter()
        .map(|intent: &Intent| (&intent.target, intent.sample.as_str()))
        .collect();
    let one = TargetRef::Name("one".into());
    assert_eq!(found, [(&one, "CUDA out of memory")]);
}
