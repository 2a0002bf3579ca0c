//! What the scan over raw chunks costs where nothing matches.
//!
//! `cargo bench -p rules` prints throughput on generated GPU-server logs beside memchr, memmem,
//! `aho-corasick` and `regex` on the same bytes, as the best of several interleaved rounds.
//!
//! `cargo bench -p rules -- --once NAME` runs one pass of one contender (`nothing` for none of
//! them), to be counted with callgrind: the difference to `nothing`, divided by the bytes that
//! it prints, is instructions per byte and does not depend on the machine's mood.
#![allow(clippy::print_stdout, reason = "a bench prints its table")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rules::{Origin, RuleSet, Scratch};

/// Bytes of one generated chunk: what Fluent Bit hands over at once at most.
const CHUNK_BYTES: usize = 2_000_000;
/// Interleaved rounds, of which the best counts.
const ROUNDS: usize = 15;

/// What people without this crate would write: the patterns of the original's kind.
const ALTERNATIVES: [&str; 12] = [
    "cuda out of memory",
    "cuda error: out of memory",
    "cublas alloc failed",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cudnn_status_not_initialized",
    "cudaerrormemoryallocation",
    "cuda_error_out_of_memory",
    "failed to allocate device memory",
    "device-side assert triggered",
    "illegal memory access was encountered",
    "unspecified launch failure",
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let once = args
        .iter()
        .position(|arg| arg == "--once")
        .and_then(|at| args.get(at + 1));
    let plain = chunk(Colour::Plain);
    let coloured = chunk(Colour::Ansi);
    let contenders = contenders();
    match once {
        Some(name) => run_once(name, &contenders, &plain),
        None => {
            table("plain", &contenders, &plain);
            table("coloured", &contenders, &coloured);
        }
    }
}

type Contender = (&'static str, Box<dyn Fn(&[u8]) -> usize>);

fn contenders() -> Vec<Contender> {
    let set = RuleSet::load("gpu").expect("the pack loads");
    let judged = RuleSet::load("gpu").expect("the pack loads");
    let regex = regex::bytes::RegexBuilder::new(&ALTERNATIVES.join("|"))
        .case_insensitive(true)
        .unicode(false)
        .build()
        .expect("a valid pattern");
    let words = aho_corasick::AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(ALTERNATIVES)
        .expect("valid patterns");
    vec![
        (
            "memchr",
            Box::new(|chunk| memchr::memchr(0x01, chunk).unwrap_or(0)),
        ),
        (
            "memmem",
            Box::new(|chunk| memchr::memmem::find(chunk, b"CUDA out of mem").unwrap_or(0)),
        ),
        (
            "aho-corasick",
            Box::new(move |chunk| words.find_iter(chunk).count()),
        ),
        (
            "regex",
            Box::new(move |chunk| regex.find_iter(chunk).count()),
        ),
        ("candidate", Box::new(move |chunk| candidates(&set, chunk))),
        ("judge", Box::new(move |chunk| judge_each(&judged, chunk))),
    ]
}

/// How many candidates a caller sees that goes on at the next record.
fn candidates(set: &RuleSet, chunk: &[u8]) -> usize {
    let (mut from, mut count) = (0, 0);
    while let Some(at) = set.candidate(chunk, from) {
        count += 1;
        from = memchr::memchr(0x92, &chunk[at..]).map_or(chunk.len(), |next| at + next);
    }
    count
}

/// Every record judged, as if each were a candidate.
fn judge_each(set: &RuleSet, chunk: &[u8]) -> usize {
    let mut scratch = Scratch::default();
    let records = chunk.split(|&byte| byte == 0x92);
    records
        .filter(|text| set.judge(text, Origin::Any, &mut scratch).is_some())
        .count()
}

fn run_once(name: &str, contenders: &[Contender], chunk: &[u8]) {
    for (_, run) in contenders.iter().filter(|(known, _)| *known == name) {
        black_box(run(black_box(chunk)));
    }
    println!("{} bytes", chunk.len());
}

fn table(title: &str, contenders: &[Contender], chunk: &[u8]) {
    let mut best = vec![Duration::MAX; contenders.len()];
    let mut found = vec![0; contenders.len()];
    for _ in 0..ROUNDS {
        for (at, (_, run)) in contenders.iter().enumerate() {
            let start = Instant::now();
            found[at] = black_box(run(black_box(chunk)));
            best[at] = best[at].min(start.elapsed());
        }
    }
    println!("{title}: {} bytes, best of {ROUNDS} rounds", chunk.len());
    for (at, (name, _)) in contenders.iter().enumerate() {
        let rate = chunk.len() as f64 / best[at].as_secs_f64() / 1e9;
        let ratio = best[at].as_secs_f64() / best[0].as_secs_f64();
        println!(
            "  {name:14} {rate:7.2} GB/s  {ratio:7.1} x memchr's time  {} found",
            found[at]
        );
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Colour {
    Plain,
    Ansi,
}

/// Records as Fluent Bit's tail and json parser leave them: `[[time, {}], {log, stream, time}]`.
fn chunk(colour: Colour) -> Vec<u8> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut chunk = Vec::with_capacity(CHUNK_BYTES + 1024);
    while chunk.len() < CHUNK_BYTES {
        let log = line(&mut random, colour);
        chunk.extend(b"\x92\x92\xd7\x00\x65\x00\x00\x00\x00\x00\x00\x00\x80\x83\xa3log\xda");
        let len = u16::try_from(log.len()).expect("a short line");
        chunk.extend(len.to_be_bytes());
        chunk.extend(log.bytes());
        chunk.extend(b"\xa6stream\xa6stdout\xa4time\xbe2026-01-15T10:12:13.123456789Z");
    }
    chunk
}

/// One line of what inference servers print when all is well.
fn line(random: &mut Random, colour: Colour) -> String {
    let (n, m, k) = (random.below(100_000), random.below(100), random.below(60));
    let text = match random.below(12) {
        0..4 => format!("127.0.0.1:{n} - \"POST /v1/chat/completions HTTP/1.1\" 200 OK"),
        4 => format!(
            "Avg prompt throughput: {n}.{m} tokens/s, Avg generation throughput: {m}.{k} tokens/s, \
             Running: {k} reqs, Waiting: 0 reqs, GPU KV cache usage: {m}.1%, Prefix cache hit rate: {k}.0%"
        ),
        5 => format!("Model loading took {m}.{k} GiB memory and {n} seconds"),
        6 => format!(
            "Received request chatcmpl-{n:032x}: params: SamplingParams(n=1, temperature={m}.0)"
        ),
        7 => format!("step {n}/100000 loss={m}.{k} lr=3e-05 gpu_memory_allocated={k}.2GiB"),
        8 => format!(
            "device=cuda:{} util={m}% power={k}W temp={k}C mem=40536MiB/81559MiB",
            n % 8
        ),
        9 => format!(
            "rank{} NCCL INFO Channel {m:02}/0 : {k}[0] -> {k}[1] via P2P/CUMEM",
            n % 8
        ),
        10 => format!("slot launch_slot_: id {k} | task {n} | processing task, n_past = {m}"),
        _ => {
            "If you are running out of memory, consider decreasing `gpu_memory_utilization`.".into()
        }
    };
    let prefix = format!("2026-01-15 10:{k:02}:{k:02},{m:03}");
    match colour {
        Colour::Plain => format!("INFO {prefix} [worker.py:{k}] {text}\n"),
        Colour::Ansi => format!(
            "\x1b[32mINFO\x1b[0m \x1b[2m{prefix}\x1b[0m \x1b[1;36m[worker.py:{k}]\x1b[0;0m {text}\n"
        ),
    }
}

/// A small generator (xorshift): the same logs in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
