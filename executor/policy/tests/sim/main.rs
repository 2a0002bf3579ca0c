//! The policy against a fake engine, a fake disk and faulty everything, from a
//! seed. What is checked stands in `check`, apart from the code and naive: over
//! the full history, without the policy's own arithmetic.
//!
//! `SIM_SEEDS=n` runs n seeds, `SIM_SEED=s` runs one and prints its trace.

mod check;
mod docker;
mod exec;
mod options;
mod rng;
mod totals;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::{Trace, World};

/// Seeds of an ordinary run.
const SEEDS: u64 = 150;

fn run(seed: u64, trace: Trace) -> World {
    let mut world = World::new(seed, trace);
    world.run();
    world
}

#[test]
fn every_seed_keeps_the_invariants() {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let (seeds, trace) = match number("SIM_SEED") {
        Some(seed) => (seed..seed + 1, Trace::Shown),
        None => (0..number("SIM_SEEDS").unwrap_or(SEEDS), Trace::Off),
    };
    let mut totals = totals::Totals::default();
    for seed in seeds {
        let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, trace).totals()));
        match outcome {
            Ok(one) => totals.add(&one),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                panic!(
                    "seed {seed} (again with SIM_SEED={seed}): {}",
                    text.or(panic.downcast_ref::<&str>().copied())
                        .unwrap_or("a panic without words")
                );
            }
        }
    }
    // A simulation in which nothing happens shows nothing.
    if number("SIM_SEED").is_none() {
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
