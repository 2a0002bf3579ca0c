//! CPU seconds of a whole Fluent Bit that reads one log file to its end: with the
//! null output, with the grep filter that the original design pays for, and with
//! the plugin in the null output's place.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use super::process::cpu_seconds;
use super::stats::{quantile, spread};
use super::support::tools::{plugin_so, repository_file};

/// Megabytes of Docker JSON lines, unless `HEALER_BENCH_MB` says otherwise.
const FILE_MB: usize = 200;
/// Interleaved runs, unless `HEALER_BENCH_PAIRS` says otherwise.
const PAIRS: usize = 15;
/// Grep costs a hundred times more and lies far from the noise: fewer runs do.
const GREP_EVERY: usize = 5;

/// What the original's grep filter looks for, and what such filters grow to.
const GREP: &str = "(?i)(cuda out of memory|cublas_status_alloc_failed|cudnn_status_alloc_failed|\
cuda error: out of memory|cudaerrormemoryallocation|failed to allocate.*device memory|\
device-side assert|hip out of memory|nccl error|out of memory on device|cuinit|xid)";

pub(crate) fn measure(fluent_bit: &Path) {
    let megabytes = setting("HEALER_BENCH_MB", FILE_MB);
    let pairs = setting("HEALER_BENCH_PAIRS", PAIRS).max(1);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let lines = write_log(&dir.path().join("app.log"), megabytes * 1_000_000);
    std::fs::write(
        dir.path().join("parsers.conf"),
        repository_file("conf/parsers.conf"),
    )
    .expect("written");
    let plugins = format!("[PLUGINS]\n    Path {}\n", plugin_so().display());
    std::fs::write(dir.path().join("plugins.conf"), plugins).expect("written");

    let grep = format!("[FILTER]\n    Name grep\n    Match *\n    Regex log {GREP}\n");
    let null = "[OUTPUT]\n    Name null\n    Match *\n";
    let healer = format!(
        "[OUTPUT]\n    Name healer\n    Match *\n    Socket {}\n",
        dir.path().join("nobody.sock").display()
    );
    let run = |name: &str, stanzas: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, configuration(dir.path(), stanzas)).expect("written");
        cpu_seconds(Command::new(fluent_bit).arg("-c").arg(&file))
    };
    run("warm.conf", null);

    let (mut nulls, mut over_null, mut grep_over_null) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        // The order changes, so that neither always comes first.
        let (base, ours) = if pair % 2 == 0 {
            let base = run("null.conf", null);
            (base, run("healer.conf", &healer))
        } else {
            let ours = run("healer.conf", &healer);
            (run("null.conf", null), ours)
        };
        nulls.push(base);
        over_null.push(ours - base);
        if pair % GREP_EVERY == 0 {
            grep_over_null.push(run("grep.conf", &format!("{grep}{null}")) - base);
        }
    }
    report(megabytes, lines, &nulls, &over_null, &grep_over_null);
}

fn report(megabytes: usize, lines: usize, nulls: &[f64], ours: &[f64], grep: &[f64]) {
    println!();
    println!(
        "CPU seconds for {megabytes} MB, {lines} lines, none matching; {} pairs, median (10 % .. 90 %)",
        nulls.len()
    );
    println!(
        "  null output                   {:.2}",
        quantile(nulls, 0.5)
    );
    println!("  grep filter, over null        {}", spread(grep, 3));
    println!("  out_healer, over null         {}", spread(ours, 3));
    let (grep, ours) = (quantile(grep, 0.5), quantile(ours, 0.5));
    if ours > 0.0 {
        println!(
            "  grep costs                    {:.0} times as much",
            grep / ours
        );
    } else {
        println!("  out_healer cannot be told from the null output on this machine");
    }
}

fn setting(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|e| panic!("{name}={value}: {e}")),
        Err(_) => default,
    }
}

fn configuration(dir: &Path, stanzas: &str) -> String {
    format!(
        "[SERVICE]\n    Flush 0.01\n    Grace 1\n    Log_Level error\n\
         \x20   Parsers_File parsers.conf\n    Plugins_File plugins.conf\n\
         [INPUT]\n    Name tail\n    Path {}/app.log\n    Path_Key filepath\n\
         \x20   Parser docker\n    Read_from_Head On\n    Exit_On_Eof On\n\
         \x20   Static_Batch_Size 50M\n{stanzas}",
        dir.display()
    )
}

/// Docker's JSON lines as a training job and a web server write them; the words
/// of the rules are near, and never there. Returns the number of lines.
fn write_log(path: &Path, bytes: usize) -> usize {
    let texts = [
        "step {n}: loss 0.0312, lr 2.9e-05, 182.4 tokens/s, gpu memory 21.3 GiB of 24.0 GiB",
        "INFO:     10.0.3.{n} - \\\"POST /v1/extract HTTP/1.1\\\" 200 OK",
        "[2025-10-20 21:07:32,{n}] model.py:118 WARNING cache miss for document {n}, falling back",
        "torch.cuda.memory_allocated: {n} bytes, max_memory_allocated: {n} bytes",
        "queue depth {n}, workers 8, out of tokens for tenant {n}",
    ];
    let mut out = BufWriter::new(File::create(path).expect("made"));
    let (mut written, mut lines) = (0, 0);
    let mut line = String::new();
    while written < bytes {
        line.clear();
        let text = texts[lines % texts.len()].replace("{n}", &(lines * 7919 % 100_003).to_string());
        let _ = writeln!(
            line,
            "{{\"log\":\"{text}\\n\",\"stream\":\"stderr\",\"time\":\"2025-10-20T21:07:{:02}.{:09}Z\"}}",
            lines / 1000 % 60,
            lines % 1_000_000_000
        );
        out.write_all(line.as_bytes()).expect("written");
        written += line.len();
        lines += 1;
    }
    out.flush().expect("written");
    lines
}
