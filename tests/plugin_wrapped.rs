//! Messages over several lines, each a record of its own: judged together
//! around a line that holds a word of a rule and not the rest, for each
//! container and stream, over chunks too; compared with judging each whole.

use std::collections::BTreeMap;
use std::path::Path;

use executor_api::{Decision, LastMatch};
use out_healer::config::{Config, RawConfig};
use out_healer::guard::Verdict;
use out_healer::instance::Instance;
use out_healer::lines::{
    JOIN_SECONDS_MAX, WRAPPED_AWAY_MAX, WRAPPED_LINE_BYTES_MAX, WRAPPED_RECORDS_MAX,
};
use out_healer::metrics::Counter;
use proptest::prelude::*;
use rules::{Origin, RuleSet, Scratch};

use crate::support::events::{Chunk, Stamp, map};
use crate::support::executor::{Executor, Manner};
use crate::support::recorder::{Recorder, dry_instance, rule_file};

const SECOND: u32 = 1_760_978_850;

/// `span`'s word is its end, `tail`'s its beginning.
const RULES: &str = r#"
[[rule]]
name = "span"
summary = "Two words, in this order"
remedy = "restart"
regexes = ['(?:mild|hot)-begin.*fatal-end']
[rule.unless]
literals = ["only a drill"]

[[rule]]
name = "tail"
summary = "Two words, in this order"
remedy = "note"
regexes = ['fatal-start.* (?:now|then)']

[[rule]]
name = "alone"
summary = "One word"
remedy = "note"
literals = ["device-lost"]
"#;

struct Scene {
    instance: Instance,
    recorder: Recorder,
    nanos: u32,
}

impl Scene {
    fn new(rules: Option<&Path>) -> Self {
        let (instance, recorder) = dry_instance(rules, "record");
        Self {
            instance,
            recorder,
            nanos: 0,
        }
    }

    /// A container's line, later than the one before.
    fn line(&mut self, chunk: Chunk, from: [&str; 2], text: &str) -> Chunk {
        self.nanos += 1;
        line_at(chunk, SECOND, self.nanos, from, text)
    }

    fn lines(&mut self, texts: &[&str]) -> Chunk {
        let add = |chunk, text: &&str| self.line(chunk, APP, text);
        texts.iter().fold(Chunk::default(), add)
    }

    fn flush(&self, chunk: &Chunk) {
        let report = self.instance.flush(0, &chunk.0, b"t");
        assert_eq!(report.verdict, Verdict::Ok);
    }

    /// So many lines that nothing before them goes on.
    fn close(&mut self) {
        let chunk = self.lines(&["dull"; WRAPPED_AWAY_MAX + 1]);
        self.flush(&chunk);
    }

    fn matches(&self) -> u64 {
        self.recorder.counter(Counter::Matches)
    }

    /// Matches of lines that come in one chunk, with nothing left open.
    fn matches_of(&mut self, texts: &[&str]) -> u64 {
        let before = self.matches();
        let chunk = self.lines(texts);
        self.flush(&chunk);
        self.close();
        self.matches() - before
    }
}

const APP: [&str; 2] = ["app", "stderr"];

fn line_at(chunk: Chunk, second: u32, nanos: u32, from: [&str; 2], text: &str) -> Chunk {
    let text = format!("{text}\n");
    let body = map(&[
        ("container_name", from[0].into()),
        ("source", from[1].into()),
        ("log", text.as_str().into()),
    ]);
    chunk.v2(Stamp::EventTime(second, nanos), &body)
}

#[test]
fn the_packs_wrapped_examples_are_found_as_records_of_their_own() {
    let rules = RuleSet::load("gpu").expect("built in");
    let mut scene = Scene::new(None);
    let mut scratch = Scratch::default();
    let (mut examples, mut wordless) = (0, Vec::new());
    for rule in rules.rules().iter().filter(|rule| !rule.kernel) {
        for example in rule.examples.iter().map(|text| text.trim()) {
            let lines: Vec<&str> = example.lines().collect();
            if lines.len() == 1 {
                continue;
            }
            examples += 1;
            let mut look = |line: &&str| {
                let found = rules.judge(line.as_bytes(), Origin::Container, &mut scratch);
                let has_word = found.is_some() || rules.wants_more(Origin::Container, &scratch);
                (has_word, found.is_some())
            };
            let looks: Vec<(bool, bool)> = lines.iter().map(&mut look).collect();
            if !looks.iter().any(|(has_word, _)| *has_word) {
                wordless.push(rule.name.as_str());
                continue;
            }
            // A line that matches by itself counts as that.
            let alone = looks.iter().filter(|(_, matches)| *matches).count();
            let expected = alone.max(1) as u64;
            assert_eq!(scene.matches_of(&lines), expected, "{example:?}");
            let first_word = looks.iter().position(|(has_word, _)| *has_word);
            for at in first_word.expect("there is one") + 1..lines.len() {
                let before = scene.matches();
                let (head, rest) = (scene.lines(&lines[..at]), scene.lines(&lines[at..]));
                scene.flush(&head);
                scene.flush(&rest);
                scene.close();
                let found = scene.matches() - before;
                assert_eq!(found, expected, "{example:?} over flushes at {at}");
            }
        }
    }
    assert!(examples > 30, "{examples}");
    // A break that goes through a pattern's only word would hide it: write `.` for that space.
    assert!(wordless.is_empty(), "{wordless:?}");
}

#[test]
fn lines_count_together_once_and_with_the_excuse_on_any_of_them() {
    let file = rule_file(RULES);
    let mut scene = Scene::new(Some(file.path()));
    let cases: [(&[&str], u64); 12] = [
        (&["hot-begin fatal-end"], 1),
        (&["hot-begin", "fatal-end"], 1),
        (&["hot-begin", "dull", "dull", "fatal-end"], 1),
        (&["hot-begin", "dull", "dull", "dull", "fatal-end"], 0),
        (&["fatal-end", "hot-begin"], 0),
        (&["fatal-start", "of it", "", "all now"], 1),
        (&["fatal-start", "of it", "", "all", "now"], 0),
        (&["hot-begin", "fatal-end", "fatal-end"], 1),
        (&["hot-begin", "only a drill", "fatal-end"], 0),
        (&["only a drill", "hot-begin", "fatal-end"], 1),
        // A line that matches by itself is part of nothing else.
        (&["hot-begin", "device-lost", "fatal-end"], 1),
        (&["hot-begin", "fatal-end", "hot-begin", "fatal-end"], 2),
    ];
    for (lines, expected) in cases {
        assert_eq!(scene.matches_of(lines), expected, "{lines:?}");
    }
}

#[test]
fn other_containers_and_streams_join_nothing_and_hinder_nothing() {
    let file = rule_file(RULES);
    let mut scene = Scene::new(Some(file.path()));
    for other in [["app", "stdout"], ["other", "stderr"]] {
        let before = scene.matches();
        let mut chunk = scene.line(Chunk::default(), other, "hot-begin");
        chunk = scene.line(chunk, APP, "fatal-end");
        scene.flush(&chunk);
        assert_eq!(scene.matches(), before, "{other:?}");
        let mut chunk = scene.line(Chunk::default(), APP, "hot-begin");
        chunk = scene.line(chunk, other, "device-lost");
        for _ in 0..WRAPPED_AWAY_MAX {
            chunk = scene.line(chunk, other, "dull");
        }
        chunk = scene.line(chunk, APP, "fatal-end");
        scene.flush(&chunk);
        assert_eq!(scene.matches(), before + 2, "{other:?}");
    }
}

#[test]
fn limits_hold_at_their_edges() {
    let file = rule_file(RULES);
    let mut scene = Scene::new(Some(file.path()));
    // Records of others in between.
    for (others, expected) in [(WRAPPED_RECORDS_MAX - 1, 1), (WRAPPED_RECORDS_MAX, 0)] {
        let before = scene.matches();
        let mut chunk = scene.line(Chunk::default(), APP, "fatal-start");
        for _ in 0..others {
            chunk = scene.line(chunk, ["other", "stderr"], "dull");
        }
        chunk = scene.line(chunk, APP, "of it now");
        scene.flush(&chunk);
        scene.close();
        assert_eq!(scene.matches() - before, expected, "{others} others");
    }
    // Length of a line, with its newline.
    for (bytes, expected) in [(WRAPPED_LINE_BYTES_MAX, 1), (WRAPPED_LINE_BYTES_MAX + 1, 0)] {
        let long = "x".repeat(bytes - " now\n".len()) + " now";
        assert_eq!(
            scene.matches_of(&["fatal-start", &long]),
            expected,
            "{bytes}"
        );
    }
    // Time.
    let later = SECOND + u32::try_from(JOIN_SECONDS_MAX).expect("small");
    for (second, expected) in [(later, 1), (later + 1, 0), (SECOND - 1, 0)] {
        for flushes in [1, 2] {
            let before = scene.matches();
            let mut chunk = line_at(Chunk::default(), SECOND, 1, APP, "fatal-start");
            if flushes == 2 {
                scene.flush(&std::mem::take(&mut chunk));
            }
            chunk = line_at(chunk, second, 2, APP, "of it now");
            scene.flush(&chunk);
            scene.close();
            assert_eq!(scene.matches() - before, expected, "{second} {flushes}");
        }
    }
}

#[test]
fn an_intent_of_wrapped_lines_is_of_the_lines_that_match_and_stable() {
    let file = rule_file(RULES);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("intents.sock");
    let raw = RawConfig {
        socket: Some(socket.to_str().expect("UTF-8").into()),
        target: Some("record".into()),
        rules: Some(file.path().to_str().expect("UTF-8").into()),
        ..RawConfig::default()
    };
    let config = Config::new(&raw).expect("valid settings");
    let instance = Instance::new(config, Box::new(Recorder::default()));
    let flush = |now_ms, chunk: &Chunk| instance.flush(now_ms, &chunk.0, b"t").verdict;
    let head = line_at(Chunk::default(), SECOND, 1, APP, "dull");
    let head = line_at(head, SECOND, 2, APP, "fatal-start");
    let rest = line_at(Chunk::default(), SECOND, 3, APP, "of it now");
    assert_eq!(flush(0, &head), Verdict::Ok);
    // Nobody is there; the chunk comes again.
    assert_eq!(flush(1, &rest), Verdict::Retry);
    let executor = Executor::start(&socket, Manner::Answer(Decision::Pending));
    assert_eq!(flush(5_000, &rest), Verdict::Ok);
    let intents = executor.take_received();
    assert_eq!(intents.len(), 1);
    assert_eq!(intents[0].sample, "fatal-start of it now");
    assert_eq!(intents[0].last, LastMatch(u64::from(SECOND), Some(2)));
    let whole = Chunk([head.0, rest.0].concat());
    assert_eq!(flush(6_000, &whole), Verdict::Ok);
    assert_eq!(executor.received()[0].id, intents[0].id);
}

/// What one stream prints: lines without meaning, and failures in up to four
/// lines, whole words on each.
fn messages() -> impl Strategy<Value = Vec<Vec<&'static str>>> {
    let failures: [&[&str]; 8] = [
        &["hot-begin", "fatal-end"],
        &["mild-begin and", "dull words", "then fatal-end"],
        &["hot-begin", "", "\u{1b}[1m", "fatal-end"],
        &["fatal-start", "of it now"],
        &["fatal-start of", "it", "all", "dull then"],
        &["hot-begin", "only a drill", "fatal-end"],
        &["hot-begin fatal-end"],
        &["device-lost"],
    ];
    let one = (0..failures.len() * 2).prop_map(move |number| match failures.get(number) {
        Some(failure) => failure.to_vec(),
        None => vec!["dull"],
    });
    // Far enough from each other.
    let apart = one.prop_map(|mut lines| {
        lines.extend(["dull"; WRAPPED_AWAY_MAX]);
        lines
    });
    prop::collection::vec(apart, 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Four streams in turns by `order`: each message counts as it does whole.
    /// Chunks end anywhere but between a word and lines before it.
    #[test]
    fn wrapped_messages_match_as_whole_ones_do(
        streams in prop::collection::vec(messages(), 4),
        order in prop::collection::vec((0..4_usize, prop::bool::weighted(0.2)), 80),
    ) {
        let file = rule_file(RULES);
        let mut scene = Scene::new(Some(file.path()));
        let rules = RuleSet::load(file.path().to_str().expect("UTF-8")).expect("valid");
        let mut scratch = Scratch::default();
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for lines in streams.iter().flatten() {
            let whole = lines.join("\n");
            let found = rules.judge(whole.as_bytes(), Origin::Container, &mut scratch);
            if let Some(rule) = found {
                *expected.entry(rules.rules()[rule].name.clone()).or_default() += 1;
            }
        }
        let mut waiting: Vec<Vec<&str>> = streams
            .iter()
            .map(|messages| messages.iter().flatten().rev().copied().collect())
            .collect();
        let mut begun = [false; 4];
        let mut printed_at = [0; 4];
        let mut chunk = Chunk::default();
        let mut order = order.into_iter().cycle();
        while waiting.iter().any(|lines| !lines.is_empty()) {
            let (mut stream, ends_chunk) = order.next().expect("endless");
            while waiting[stream].is_empty() {
                stream = (stream + 1) % 4;
            }
            // None so far behind the others that they go out of sight.
            let now = scene.nanos;
            let behind = |it: &usize| !waiting[*it].is_empty() && now - printed_at[*it] > 5;
            stream = (0..4).find(behind).unwrap_or(stream);
            printed_at[stream] = now;
            let text = waiting[stream].pop().expect("checked");
            // Its word comes later.
            if text.contains("-begin") && !text.contains("-end") {
                begun[stream] = true;
            } else if text.contains("-end") {
                begun[stream] = false;
            }
            let container = ["a", "b"][stream / 2];
            let source = ["stdout", "stderr"][stream % 2];
            chunk = scene.line(chunk, [container, source], text);
            if ends_chunk && begun == [false; 4] {
                scene.flush(&std::mem::take(&mut chunk));
            }
        }
        scene.flush(&chunk);
        prop_assert_eq!(scene.recorder.labels(Counter::Matches), expected);
    }
}
