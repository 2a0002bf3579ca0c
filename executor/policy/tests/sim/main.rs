//! The policy against a fake engine, a fake disk and faulty everything, from a
//! seed. What is checked stands in `check`, apart from the code and naive: over
//! the full history, without the policy's own arithmetic.
//!
//! `SIM_SEEDS=n` runs n seeds, from `SIM_FROM` on; `SIM_SEED=s` runs one and
//! prints its trace. `make simulate SEEDS=n` does the first with an optimised
//! build. A failure reads `seed 7 (again with SIM_SEED=7): budget: ...`: the seed,
//! the checker, what it saw.

mod check;
mod docker;
mod exec;
mod means;
mod measures;
mod model;
mod options;
mod rng;
mod totals;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use totals::Totals;
use world::{Trace, World};

/// Seeds of an ordinary run.
const SEEDS: u64 = 1_500;

fn run(seed: u64, trace: Trace) -> World {
    let mut world = World::new(seed, trace);
    world.run();
    world
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let read = text.parse();
    Some(read.unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}

/// What a run came to, or the words of what failed.
fn outcome(seed: u64, trace: Trace) -> Result<Totals, String> {
    catch_unwind(AssertUnwindSafe(|| run(seed, trace).totals())).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without words").to_owned()
    })
}

/// How long this thread has had a core; 0 where the kernel does not say.
fn on_cpu() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = told.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

/// All seeds, on as many threads as there are cores: each run is its own world, so
/// what a seed does is the same on any. The lowest seed that fails, with its words.
fn run_all(seeds: std::ops::Range<u64>) -> Result<Totals, (u64, String)> {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let threads = number("SIM_THREADS").unwrap_or(cores).max(1);
    let next = AtomicU64::new(seeds.start);
    let failed: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Totals::default();
                let begun = (Instant::now(), on_cpu());
                // Taken in order: whatever is below one that fails is run to its end.
                while failed.lock().expect("no panic").is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    match outcome(seed, Trace::Off) {
                        Ok(one) => own.add(&one),
                        Err(why) => {
                            let mut failed = failed.lock().expect("no panic");
                            if failed.as_ref().is_none_or(|(other, _)| seed < *other) {
                                *failed = Some((seed, why));
                            }
                        }
                    }
                }
                own.took(begun.0.elapsed(), on_cpu().saturating_sub(begun.1));
                totals.lock().expect("no panic").add(&own);
            });
        }
    });
    match failed.into_inner().expect("no panic") {
        Some(failed) => Err(failed),
        None => Ok(totals.into_inner().expect("no panic")),
    }
}

#[test]
fn every_seed_keeps_the_invariants() {
    let failed = |(seed, why)| panic!("seed {seed} (again with SIM_SEED={seed}): {why}");
    if let Some(seed) = number("SIM_SEED") {
        if let Err(why) = outcome(seed, Trace::Shown) {
            failed((seed, why));
        }
        return;
    }
    let from = number("SIM_FROM").unwrap_or(0);
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS);
    let totals = run_all(from..from + seeds).unwrap_or_else(failed);
    totals.print(seeds);
    // A simulation in which nothing happens shows nothing.
    if seeds >= 150 {
        totals.assert_all_seen();
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 1_000..1_010 {
        let (first, again) = (run(seed, Trace::Recorded), run(seed, Trace::Recorded));
        assert!(first.trace() == again.trace(), "seed {seed}");
        assert!(first.trace().len() > 1_000, "a trace tells something");
    }
}
