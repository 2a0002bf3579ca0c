//! What the scan over raw chunks costs.
//!
//! `cargo bench -p rules` prints, as the best of several interleaved rounds: throughput on
//! generated GPU-server logs in which nothing is wrong, beside memchr, memmem, `aho-corasick` and
//! `regex` on the same bytes; with more and more lines that match; with half the rules and with
//! twice as many; and with short and long lines.
//!
//! `cargo bench -p rules -- --once NAME` runs one pass of one contender (`nothing` for none of
//! them), to be counted with callgrind: the difference to `nothing`, divided by the bytes that
//! it prints, is instructions per byte and does not depend on the machine's mood.
#![allow(clippy::print_stdout, reason = "a bench prints its table")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use logs::{Chunk, Colour, Matching};
use rules::{Origin, RuleSet, Scratch};

mod logs;

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
    let none = Matching { one_in: 0 };
    let plain = logs::chunk(Colour::Plain, none, 0);
    let contenders = contenders();
    if let Some(name) = once {
        run_once(name, &contenders, &plain.bytes);
        return;
    }
    table("plain", &contenders, &plain.bytes);
    let coloured = logs::chunk(Colour::Ansi, none, 0);
    table("coloured", &contenders, &coloured.bytes);
    let gpu = RuleSet::load("gpu").expect("the pack loads");
    for one_in in [0, 1_000, 10, 1] {
        let chunk = logs::chunk(Colour::Plain, Matching { one_in }, 0);
        let name = match one_in {
            0 => "no line matches".into(),
            1 => "every line matches".into(),
            _ => format!("1 in {one_in} lines matches"),
        };
        search(&name, &gpu, &chunk);
    }
    for (name, rules) in more_rules(&gpu) {
        search(&name, &rules, &plain);
    }
    for line_bytes in [100, 1_000, 16_000, 64_000] {
        let chunk = logs::chunk(Colour::Plain, none, line_bytes);
        search(&format!("lines of {line_bytes} bytes"), &gpu, &chunk);
    }
}

/// The pack alone, and with as many rules again: words of its examples, turned round.
fn more_rules(gpu: &RuleSet) -> Vec<(String, RuleSet)> {
    let set = |rules: usize| {
        let words = |text: &str| {
            let words = text.split(|c: char| !c.is_ascii_alphabetic());
            let turned = words.filter(|word| word.len() > 4).take(3);
            turned
                .map(|word| word.chars().rev().collect::<String>())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let more: Vec<String> = gpu.rules()[..rules]
            .iter()
            .enumerate()
            .map(|(at, rule)| {
                let literals: Vec<String> = rule
                    .examples
                    .iter()
                    .map(|text| words(text))
                    .filter(|literal| !literal.is_empty())
                    .map(|literal| format!("'{literal}'"))
                    .collect();
                format!(
                    "[[rule]]\nname='more-{at}'\nsummary='s'\nremedy='note'\nliterals=[{}]\n",
                    literals.join(",")
                )
            })
            .collect();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("more.toml");
        std::fs::write(&file, more.join("")).expect("written");
        RuleSet::load(&format!("gpu,{}", file.display())).expect("they load")
    };
    let all = gpu.rules().len();
    vec![
        (format!("{} rules", all + all / 2), set(all / 2)),
        (format!("{} rules", 2 * all), set(all)),
    ]
}

/// What the plugin does: look for candidates, judge the record around each.
fn search(name: &str, rules: &RuleSet, chunk: &Chunk) {
    let mut scratch = Scratch::default();
    let mut best = Duration::MAX;
    let (mut candidates, mut matches) = (0, 0);
    for _ in 0..ROUNDS {
        (candidates, matches) = (0, 0);
        let start = Instant::now();
        let (mut from, mut record) = (0, 0);
        while let Some(at) = rules.candidate(&chunk.bytes, from) {
            candidates += 1;
            record += chunk.records[record..].partition_point(|&begin| begin <= at) - 1;
            let text = &chunk.bytes[chunk.records[record]..chunk.records[record + 1]];
            let judged = rules.judge(text, Origin::Container, &mut scratch);
            matches += usize::from(black_box(judged).is_some());
            from = chunk.records[record + 1];
        }
        best = best.min(start.elapsed());
    }
    let rate = chunk.bytes.len() as f64 / best.as_secs_f64() / 1e9;
    print!(
        "{name:22} {rate:7.2} GB/s  {} records, {candidates} judged, {matches} match",
        chunk.records.len() - 1
    );
    match matches {
        0 => println!(),
        _ => println!(
            "  {:.2} us a match",
            best.as_secs_f64() * 1e6 / f64::from(matches as u32)
        ),
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
