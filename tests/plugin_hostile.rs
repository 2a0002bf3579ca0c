//! Chunks made to hurt: truncated, random, deep, huge lengths, wrong types,
//! invalid UTF-8, doubled keys. Through the real entry points on Fluent Bit's
//! small stack, compared with a naive reading of the same bytes: no panic, no
//! match invented or missed, never more than a moment.
//!
//! The cases follow from their numbers. `HEALER_SOAK_CASES` asks for more than
//! the quick run's share; a failure names its number.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use executor_api::{Decision, TargetRef};
use rules::{Origin, RuleSet, Scratch};

use crate::support::child;
use crate::support::events::{Chunk, Stamp, Value, map, put};
use crate::support::executor::{Executor, Manner};
use crate::support::host::{FLB_ERROR, FLB_OK, Output, Plugin};
use crate::support::random::Random;
use crate::support::stack::SmallStack;

const QUICK_CASES: u64 = 3_000;
/// Longest single flush: far above what is seen, far below a hang.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// Texts: matching ones, near misses that make the scanner look, and others.
const TEXTS: [&str; 8] = [
    "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB",
    "torch.cuda.OutOfMemoryError: CUDA out of memory.",
    "cuBLAS error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)",
    "CUDA out of",
    "out of memory, said the man; not CUDA",
    "cublas",
    "all is well",
    "",
];

const KEYS: [&str; 8] = [
    "log",
    "log",
    "message",
    "container_name",
    "container_name",
    "container_id",
    "kubernetes",
    "other",
];

fn text(random: &mut Random) -> Vec<u8> {
    let mut text = TEXTS[random.below(TEXTS.len())].as_bytes().to_vec();
    match random.below(8) {
        0 => text.extend([0xff, 0xfe, 0xc3]),
        1 => text.splice(0..0, [0x80, 0xed, 0xa0]).for_each(drop),
        2 => text
            .splice(0..0, vec![b'x'; random.below(70_000)])
            .for_each(drop),
        3 => text.splice(0..0, *b"\x1b[31m").for_each(drop),
        _ => {}
    }
    text
}

fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth > 3 { 7 } else { 10 }) {
        0 => Value::Int(random.below(1 << 20) as i64 - 1_000),
        1 => Value::Bin(text(random)),
        2 => "app-1".into(),
        3 => "/app-2".into(),
        4..=6 => Value::Str(text(random)),
        7 => Value::Array(
            (0..random.below(4))
                .map(|_| value(random, depth + 1))
                .collect(),
        ),
        _ => body(random, depth + 1),
    }
}

fn body(random: &mut Random, depth: usize) -> Value {
    let pairs = (0..random.below(5))
        .map(|_| {
            let key = match random.below(12) {
                0 => value(random, depth + 1),
                _ => KEYS[random.below(KEYS.len())].into(),
            };
            (key, value(random, depth))
        })
        .collect();
    Value::Map(pairs)
}

/// Near misses would match together: records are hours apart as a rule.
fn second(random: &mut Random) -> u32 {
    random.below(1 << 31) as u32
}

fn stamp(random: &mut Random) -> Stamp {
    match random.below(8) {
        0 => Stamp::Int(i64::from(second(random))),
        1 => Stamp::Int(-(random.below(4) as i64)),
        2 => Stamp::Float(f64::from(second(random)) + 0.25),
        3 => Stamp::Float([f64::NAN, f64::INFINITY, -1.0, 1e300][random.below(4)]),
        4 => Stamp::EventTime(u32::MAX - random.below(4) as u32, 0),
        5 => Stamp::EventTime(1, u32::MAX),
        _ => Stamp::EventTime(second(random), random.below(1_000_000_000) as u32),
    }
}

/// A sound record, so that most cases have something to find.
fn sound(random: &mut Random, chunk: Chunk) -> Chunk {
    let name = format!("app-{}", random.below(3));
    let body = map(&[
        ("log", Value::Str(text(random))),
        ("container_name", name.as_str().into()),
    ]);
    chunk.v2(Stamp::EventTime(second(random), 1), &body)
}

fn chunk(random: &mut Random) -> Vec<u8> {
    let mut chunk = Chunk::default();
    for _ in 0..1 + random.below(4) {
        chunk = match random.below(6) {
            0 | 1 => sound(random, chunk),
            2 => chunk.v1(stamp(random), &body(random, 0)),
            3 => {
                let metadata = value(random, 2);
                chunk.v2_with(stamp(random), &metadata, &body(random, 0))
            }
            4 => {
                let mut bytes = Vec::new();
                put(&mut bytes, &value(random, 0));
                chunk.raw(&bytes)
            }
            _ => chunk.v2(stamp(random), &body(random, 0)),
        };
    }
    chunk.0
}

/// One case: a chunk, usually hurt.
fn case(number: u64) -> Vec<u8> {
    let mut random = Random::new(number);
    let mut bytes = chunk(&mut random);
    match random.below(8) {
        0 => bytes.truncate(random.below(bytes.len() + 1)),
        1 => {
            for _ in 0..1 + random.below(8) {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
        }
        2 => {
            let noise: Vec<u8> = (0..random.below(200))
                .map(|_| random.below(256) as u8)
                .collect();
            let at = random.below(bytes.len() + 1);
            bytes.splice(at..at, noise);
        }
        3 => {
            // Nesting, as deep as a chunk is long.
            let level = [0x91_u8, 0x81, 0xdd, 0x92][random.below(4)];
            let bomb = vec![level; random.below(60_000)];
            let at = random.below(bytes.len() + 1);
            bytes.splice(at..at, bomb);
        }
        4 => {
            // A length that is not there.
            let header = [0xdb_u8, 0xc6, 0xdd, 0xdf, 0xc9][random.below(5)];
            let at = random.below(bytes.len() + 1);
            bytes.splice(at..at, [header, 0xff, 0xff, 0xff, 0xff]);
        }
        5 => {
            let other = chunk(&mut random);
            let at = random.below(bytes.len() + 1);
            bytes.truncate(at);
            bytes.extend(&other[random.below(other.len() + 1)..]);
        }
        _ => {}
    }
    bytes
}

/// The naive reading: recursive, building every value.
struct Naive<'a> {
    bytes: &'a [u8],
    at: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Read {
    UInt(u64),
    Int(i64),
    Float(f64),
    Text(Vec<u8>),
    Ext(u8, Vec<u8>),
    Array(Vec<Read>),
    Map(Vec<(Read, Read)>),
    Other,
}

impl Naive<'_> {
    fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let bytes = self
            .bytes
            .get(self.at..self.at.checked_add(count)?)?
            .to_vec();
        self.at += count;
        Some(bytes)
    }

    fn number(&mut self, width: usize) -> Option<u64> {
        let bytes = self.bytes(width)?;
        Some(
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    }

    fn read(&mut self) -> Option<Read> {
        let first = self.number(1)?;
        let length = |naive: &mut Self, width| naive.number(width).map(|n| n as usize);
        Some(match first {
            0x00..=0x7f => Read::UInt(first),
            0x80..=0x8f => self.map(first as usize & 15)?,
            0x90..=0x9f => self.array(first as usize & 15)?,
            0xa0..=0xbf => Read::Text(self.bytes(first as usize & 31)?),
            0xc0 | 0xc2 | 0xc3 => Read::Other,
            0xc1 => return None,
            0xc4 | 0xd9 => Read::Text(length(self, 1).and_then(|n| self.bytes(n))?),
            0xc5 | 0xda => Read::Text(length(self, 2).and_then(|n| self.bytes(n))?),
            0xc6 | 0xdb => Read::Text(length(self, 4).and_then(|n| self.bytes(n))?),
            0xc7..=0xc9 => {
                let n = length(self, 1 << (first - 0xc7))?;
                self.ext(n)?
            }
            0xca => Read::Float(f64::from(f32::from_bits(self.number(4)? as u32))),
            0xcb => Read::Float(f64::from_bits(self.number(8)?)),
            0xcc..=0xcf => Read::UInt(self.number(1 << (first - 0xcc))?),
            0xd0..=0xd3 => {
                let width = 1 << (first - 0xd0);
                let shift = 64 - 8 * width as u32;
                let number = ((self.number(width)? << shift) as i64) >> shift;
                u64::try_from(number).map_or(Read::Int(number), Read::UInt)
            }
            0xd4..=0xd8 => self.ext(1 << (first - 0xd4))?,
            0xdc => length(self, 2).and_then(|n| self.array(n))?,
            0xdd => length(self, 4).and_then(|n| self.array(n))?,
            0xde => length(self, 2).and_then(|n| self.map(n))?,
            0xdf => length(self, 4).and_then(|n| self.map(n))?,
            _ => Read::Int(first as i64 - 256),
        })
    }

    fn ext(&mut self, count: usize) -> Option<Read> {
        let kind = self.number(1)? as u8;
        Some(Read::Ext(kind, self.bytes(count)?))
    }

    fn array(&mut self, count: usize) -> Option<Read> {
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.read()?);
        }
        Some(Read::Array(values))
    }

    fn map(&mut self, count: usize) -> Option<Read> {
        let mut pairs = Vec::new();
        for _ in 0..count {
            pairs.push((self.read()?, self.read()?));
        }
        Some(Read::Map(pairs))
    }
}

fn is_record_time(stamp: &Read) -> bool {
    match stamp {
        Read::UInt(_) => true,
        Read::Float(seconds) => *seconds >= 0.0 && *seconds < 1e15,
        Read::Ext(0, bytes) if bytes.len() == 8 => {
            let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
            word(0) < u32::MAX - 1 && word(4) < 1_000_000_000
        }
        _ => false,
    }
}

/// The body of an event that is a record.
fn record(value: Read) -> Option<Vec<(Read, Read)>> {
    let Read::Array(parts) = value else {
        return None;
    };
    let [head, Read::Map(body)]: [Read; 2] = parts.try_into().ok()? else {
        return None;
    };
    let is_record = match &head {
        Read::Array(head) => {
            matches!(&head[..], [stamp, Read::Map(_)] if is_record_time(stamp))
        }
        stamp => is_record_time(stamp),
    };
    is_record.then_some(body)
}

fn texts_of(body: &[(Read, Read)], every: bool) -> Vec<Vec<u8>> {
    fn collect(value: &Read, depth: usize, found: &mut Vec<Vec<u8>>) {
        match value {
            Read::Text(text) => found.push(text.clone()),
            Read::Array(values) if depth < 32 => {
                values
                    .iter()
                    .for_each(|value| collect(value, depth + 1, found));
            }
            Read::Map(pairs) if depth < 32 => {
                pairs
                    .iter()
                    .for_each(|(_, value)| collect(value, depth + 1, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (key, value) in body {
        let is_log_key = ["log", "message", "MESSAGE", "msg", "body"]
            .iter()
            .any(|name| *key == Read::Text((*name).into()));
        match value {
            _ if every => collect(value, 1, &mut found),
            Read::Text(text) if is_log_key => found.push(text.clone()),
            _ => {}
        }
    }
    found
}

/// The only container name, where nothing speaks against it.
fn name_of(body: &[(Read, Read)]) -> Option<String> {
    let of = |name: &str| -> Vec<&Read> {
        body.iter()
            .filter(|(key, _)| *key == Read::Text(name.into()))
            .map(|(_, value)| value)
            .collect()
    };
    // The generator writes no valid id: any is malformed, doubled or not.
    if !of("container_id").is_empty() || of("kubernetes").len() > 1 {
        return None;
    }
    if let [Read::Map(kubernetes)] = &of("kubernetes")[..]
        && kubernetes
            .iter()
            .any(|(key, _)| *key == Read::Text("docker_id".into()))
    {
        return None;
    }
    let [Read::Text(name)] = &of("container_name")[..] else {
        return None;
    };
    let name = String::from_utf8(name.clone()).ok()?;
    let name = name.strip_prefix('/').unwrap_or(&name);
    let mut chars = name.chars();
    let is_name = chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && chars.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        && name.len() <= 512;
    is_name.then(|| name.to_string())
}

/// Matches by (container, rule).
type Counts = BTreeMap<(String, String), u64>;

fn expected(bytes: &[u8], every: bool, rules: &RuleSet) -> Counts {
    let mut naive = Naive { bytes, at: 0 };
    let mut counts = Counts::new();
    let mut scratch = Scratch::default();
    while let Some(value) = naive.read() {
        let Some(body) = record(value) else {
            continue;
        };
        let rule = texts_of(&body, every)
            .iter()
            .filter_map(|text| rules.judge(text, Origin::Container, &mut scratch))
            .min();
        if let (Some(rule), Some(name)) = (rule, name_of(&body)) {
            let rule = rules.rules()[rule].name.clone();
            *counts.entry((name, rule)).or_default() += 1;
        }
    }
    counts
}

struct Bench<'p> {
    executor: &'p Executor,
    output: Output<'p>,
    every: bool,
    stack: SmallStack,
    rules: RuleSet,
}

impl Bench<'_> {
    /// Gives the number of matches, so that a run can say it found some.
    fn check(&self, number: u64) -> u64 {
        let bytes = case(number);
        let began = Instant::now();
        let (code, _) = self.stack.run(|| self.output.flush(&bytes, "t"));
        let took = began.elapsed();
        assert!(code == FLB_OK || code == FLB_ERROR, "case {number}: {code}");
        assert!(took < FLUSH_MAX, "case {number}: {took:?}");
        let mut found = Counts::new();
        for intent in self.executor.take_received() {
            let matches = intent.matches();
            let TargetRef::Name(name) = intent.target else {
                panic!("case {number}: {:?}", intent.target);
            };
            assert_eq!(
                found.insert((name, intent.rule), matches),
                None,
                "case {number}"
            );
        }
        assert_eq!(
            found,
            expected(&bytes, self.every, &self.rules),
            "case {number}"
        );
        found.values().sum()
    }
}

#[test]
fn hostile_chunks_are_read_as_a_naive_reader_would_and_never_hurt() {
    let name = "plugin_hostile::hostile_chunks_are_read_as_a_naive_reader_would_and_never_hurt";
    // An overflow of the small stack would end the process.
    if !child::is_child(name) {
        return;
    }
    let cases = std::env::var("HEALER_SOAK_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(QUICK_CASES);
    // The naive reader recurses as deep as the bytes say.
    std::thread::Builder::new()
        .stack_size(512 * 1_024 * 1_024)
        .spawn(move || run(cases))
        .expect("a thread with a large stack")
        .join()
        .expect("all cases pass");
}

fn run(cases: u64) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("intents.sock");
    let executor = Executor::start(&socket, Manner::Answer(Decision::Noted));
    let plugin = Plugin::load();
    plugin.start();
    let socket = socket.to_str().expect("UTF-8");
    let bench = |name: &str, every: bool| {
        let mut settings = vec![
            ("Socket", socket),
            ("Target", "record"),
            ("Ack_Timeout", "5s"),
        ];
        settings.extend(every.then_some(("Log_Key", "*")));
        Bench {
            executor: &executor,
            output: plugin.init(name, &settings).expect("valid settings"),
            every,
            stack: SmallStack::new(24 * 1_024),
            rules: RuleSet::load("gpu").expect("built in"),
        }
    };
    let benches = [bench("named", false), bench("every", true)];
    let matches: u64 = (0..cases)
        .map(|number| benches[(number % 2) as usize].check(number))
        .sum();
    assert!(
        matches > cases / 10,
        "only {matches} matches in {cases} cases"
    );
    for bench in benches {
        assert_eq!(bench.output.metric("panics_total", ""), 0.0);
        assert!(
            bench.output.metric("damaged_chunks_total", "") > 0.0,
            "nothing was damaged"
        );
    }
}
