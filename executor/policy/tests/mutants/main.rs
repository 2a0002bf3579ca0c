//! Does the simulation bite? Each `*.patch` beside this file spoils the policy in
//! one way; the same seeds and the same checkers as in an ordinary run must find
//! it. A mutant that survives is a hole in the checkers, and fails the run.
//!
//! An ordinary test run only sees to it that every patch still applies, so that
//! none can rot. `make mutants` (and `make soak`) compiles each into a copy of the
//! crate in the target directory, runs its simulation, and prints who found what;
//! `MUTANTS=a,b` takes these two alone. The shipped source is never touched.

mod patch;
mod run;
mod workshop;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use patch::Patch;
use run::Verdict;
use workshop::Workshop;

fn crate_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All patches by name, in order.
fn patches() -> Vec<(String, Patch)> {
    let dir = crate_dir().join("tests/mutants");
    let entries = fs::read_dir(&dir).expect("the folder of patches");
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "patch"));
    files.sort();
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file).expect("a patch");
        let name = file.file_stem().and_then(|stem| stem.to_str());
        let name = name.expect("a name").to_owned();
        let patch = Patch::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        (name, patch)
    };
    files.iter().map(read).collect()
}

#[test]
fn every_mutant_applies() {
    let patches = patches();
    assert!(patches.len() >= 20, "only {} patches found", patches.len());
    let mut faults = Vec::new();
    for (name, patch) in &patches {
        if let Err(why) = patch.applied(crate_dir()) {
            faults.push(format!("{name}: {why}"));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
#[ignore = "compiles every mutant: minutes; `make mutants`, `make soak`"]
fn every_mutant_is_found() {
    let wanted = std::env::var("MUTANTS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').filter(|name| !name.is_empty()).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.contains(&name);
    let workshop = Workshop::new(crate_dir());
    let whole = run::simulate(&workshop);
    let Verdict::Survived { .. } = whole.verdict else {
        panic!("the policy as shipped does not pass: {whole:?}");
    };
    say(&format!("{:<28} {whole}", "(as shipped)"));
    let mut survivors = Vec::new();
    let mut tried = 0;
    for (name, patch) in patches() {
        if !is_wanted(&name) {
            continue;
        }
        let files = patch.applied(crate_dir());
        workshop.change(&files.unwrap_or_else(|e| panic!("{name}: {e}")));
        let tried_out = run::simulate(&workshop);
        workshop.restore(&patch);
        say(&format!("{name:<28} {tried_out}"));
        tried += 1;
        if !matches!(tried_out.verdict, Verdict::Found { .. }) {
            survivors.push(name);
        }
    }
    say(&format!(
        "{} of {tried} mutants found",
        tried - survivors.len()
    ));
    assert!(tried > 0, "no mutant is called {wanted:?}");
    assert!(survivors.is_empty(), "not found: {}", survivors.join(", "));
}

/// Past the harness's capture: the table is what people want to see.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
