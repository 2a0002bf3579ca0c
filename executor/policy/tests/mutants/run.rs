//! One mutant's simulation: compiled, run, and what its checkers said.

use std::fmt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::workshop::Workshop;

/// Longest run of one mutant: one that never ends is found, too.
const RUN_MAX: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(crate) struct Outcome {
    compiling: Duration,
    running: Duration,
    pub(crate) verdict: Verdict,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    /// Which seed (none: what all seeds together must show), which checker, what
    /// it said.
    Found {
        seed: Option<u64>,
        checker: String,
        why: String,
    },
    Survived {
        summary: String,
    },
    DoesNotCompile {
        why: String,
    },
}

pub(crate) fn simulate(workshop: &Workshop) -> Outcome {
    let begun = Instant::now();
    let compiled = workshop.cargo().output().expect("cargo runs");
    let compiling = begun.elapsed();
    let begun = Instant::now();
    let said = String::from_utf8_lossy(&compiled.stderr).into_owned();
    let verdict = if compiled.status.success() {
        judge(&mut workshop.simulation(&said))
    } else {
        let errors = said.lines().filter(|line| line.starts_with("error"));
        Verdict::DoesNotCompile {
            why: errors.collect::<Vec<_>>().join("; "),
        }
    };
    let running = begun.elapsed();
    Outcome {
        compiling,
        running,
        verdict,
    }
}

fn judge(command: &mut Command) -> Verdict {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the simulation runs");
    let mut pipes = (child.stdout.take(), child.stderr.take());
    let out = thread::spawn(move || read(pipes.0.as_mut()));
    let err = thread::spawn(move || read(pipes.1.as_mut()));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("its end can be waited for") {
            break Some(status);
        }
        if begun.elapsed() > RUN_MAX {
            child.kill().expect("it can be ended");
            child.wait().expect("it ends");
            break None;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let Some(status) = status else {
        return found(None, "rest", "it does not end");
    };
    let said = out.join().expect("read") + &err.join().expect("read");
    if status.success() {
        let mut lines = said.lines();
        let summary = lines.find(|line| line.starts_with("simulation: "));
        let summary = summary.expect("a run says what it did").to_owned();
        return Verdict::Survived { summary };
    }
    for line in said.lines() {
        if let Some((seed, why)) = failed_seed(line) {
            let why = why.trim_start_matches("assertion `left == right` failed: ");
            let (checker, why) = why.split_once(": ").unwrap_or(("panic", why));
            let is_named = checker.len() <= 12 && !checker.contains('`');
            let (checker, why) = if is_named {
                (checker, why)
            } else {
                ("panic", line)
            };
            return found(Some(seed), checker, why);
        }
    }
    let missing = said.lines().find(|line| line.starts_with("never seen: "));
    let missing = missing.unwrap_or_else(|| panic!("it failed for another reason:\n{said}"));
    found(None, "seen", missing.get(..40).unwrap_or(missing))
}

/// `seed 7 (again with SIM_SEED=7): budget: ...`
fn failed_seed(line: &str) -> Option<(u64, &str)> {
    let (seed, rest) = line.strip_prefix("seed ")?.split_once(" (again with ")?;
    let (_, why) = rest.split_once("): ")?;
    Some((seed.parse().ok()?, why))
}

fn found(seed: Option<u64>, checker: &str, why: &str) -> Verdict {
    Verdict::Found {
        seed,
        checker: checker.to_owned(),
        why: why.to_owned(),
    }
}

fn read(from: Option<&mut impl std::io::Read>) -> String {
    let mut all = Vec::new();
    if let Some(from) = from {
        let _ = from.read_to_end(&mut all);
    }
    String::from_utf8_lossy(&all).into_owned()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.running.as_secs_f64();
        match &self.verdict {
            Verdict::Found { seed, checker, why } => {
                let seed = seed.map_or("all".into(), |seed| seed.to_string());
                let why: String = why.chars().take(70).collect();
                write!(f, "seed {seed:>4}  {checker:<10} {seconds:>5.1} s  {why}")?;
            }
            Verdict::Survived { summary } => write!(f, "survived, {seconds:.1} s: {summary}")?,
            Verdict::DoesNotCompile { why } => write!(f, "does not compile: {why}")?,
        }
        write!(f, "  (compiled in {:.0} s)", self.compiling.as_secs_f64())
    }
}
