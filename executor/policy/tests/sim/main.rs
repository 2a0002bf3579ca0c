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
mod model;
mod options;
mod rng;
mod totals;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use totals::Totals;
use world::{Trace, World};

/// Seeds of an ordinary run.
const SEEDS: u64 = 2_000;

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

#[test]
fn every_seed_keeps_the_invariants() {
    let (seeds, trace) = match number("SIM_SEED") {
        Some(seed) => (seed..seed + 1, Trace::Shown),
        None => {
            let from = number("SIM_FROM").unwrap_or(0);
            (
                from..from + number("SIM_SEEDS").unwrap_or(SEEDS),
                Trace::Off,
            )
        }
    };
    let mut totals = Totals::default();
    let begun = Instant::now();
    for seed in seeds.clone() {
        match outcome(seed, trace) {
            Ok(one) => totals.add(&one),
            Err(why) => panic!("seed {seed} (again with SIM_SEED={seed}): {why}"),
        }
    }
    totals.print(seeds.end - seeds.start, begun.elapsed());
    // A simulation in which nothing happens shows nothing.
    if seeds.end - seeds.start >= 150 {
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
