//! `make bench`: what log-healer costs and how quick it is, on this machine, as a
//! table with ratios. docs/benchmarks.md holds figures of one machine.
//!
//! Compare figures of one run only: machines, and their moods, differ. The CPU
//! figures are medians over interleaved runs, so that a busy minute spoils all
//! columns alike.
//!
//! What is not measured here: the rules' own speed (benches of `rules`).

#![allow(clippy::print_stdout)]

#[path = "../../tests/support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

mod cpu;
mod executor;
mod latency;
mod process;
mod stats;

use std::process::Command;

fn main() {
    println!("log-healer {} on {}", env!("CARGO_PKG_VERSION"), machine());
    println!();
    match support::tools::fluent_bit() {
        Some(fluent_bit) => {
            println!(
                "Fluent Bit: {} ({})",
                version(&fluent_bit),
                fluent_bit.display()
            );
            cpu::measure(&fluent_bit);
            latency::line_to_intent(&fluent_bit);
        }
        None => {
            println!("SKIPPED: CPU and line to intent: no Fluent Bit was found (set FLUENT_BIT)")
        }
    }
    latency::intent_to_restart();
    executor::start_and_memory();
}

/// Processor and number of cores, for the table's head.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("an unnamed processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} x {model}")
}

fn version(fluent_bit: &std::path::Path) -> String {
    let out = Command::new(fluent_bit).arg("--version").output();
    let text = out.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.lines().next().unwrap_or("unknown version").to_owned()
}
