//! The rules of the house, read from the tree itself: which package may use
//! which, where `unsafe` may stand, how long a function or a file may be, and
//! what must not be in a file at all. CONTRIBUTING.md gives the reasons.
//!
//! Not here: what the compiler and clippy already refuse.

mod manifests;
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;

use source::Source;

/// Functions longer than this do more than one thing.
const FUNCTION_LINES_MAX: usize = 70;
/// Files longer than this, without their tests, hold more than one thing.
const FILE_LINES_MAX: usize = 500;

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that git knows or would add, relative to the root, sorted.
fn files() -> Vec<PathBuf> {
    let out = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(out.status.success(), "git ls-files: {out:?}");
    let mut files: Vec<PathBuf> = String::from_utf8(out.stdout)
        .expect("file names are UTF-8")
        .lines()
        .map(PathBuf::from)
        .filter(|file| root().join(file).is_file())
        .collect();
    files.sort();
    files.dedup();
    assert!(files.len() > 50, "only {} files found", files.len());
    files
}

/// All Rust sources, read.
fn sources() -> Vec<Source> {
    files()
        .into_iter()
        .filter(|file| file.extension().is_some_and(|e| e == "rs"))
        .map(|file| Source::read(root(), file))
        .collect()
}

/// Fails with all faults at once, one a line.
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn functions_are_short() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for source in sources().iter().filter(|s| !s.is_test()) {
        for function in source.functions() {
            seen += 1;
            if function.lines > FUNCTION_LINES_MAX {
                faults.push(format!(
                    "{}:{}: fn {} has {} lines, at most {FUNCTION_LINES_MAX}",
                    source.path.display(),
                    function.line,
                    function.name,
                    function.lines
                ));
            }
        }
    }
    assert!(
        seen > 50,
        "only {seen} functions found: is the reader broken?"
    );
    none(faults);
}

#[test]
fn files_are_short() {
    none(
        sources()
            .iter()
            .filter(|s| !s.is_test() && !s.is_generated())
            .filter(|s| s.lines_without_tests() > FILE_LINES_MAX)
            .map(|s| {
                format!(
                    "{}: {} lines without tests, at most {FILE_LINES_MAX}",
                    s.path.display(),
                    s.lines_without_tests()
                )
            })
            .collect(),
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    none(
        sources()
            .iter()
            .filter(|s| !s.is_generated() && !s.is_inner_test() && !s.has_module_docs())
            .map(|s| format!("{}: no //! at its top", s.path.display()))
            .collect(),
    );
}

#[test]
fn unsafe_stands_at_the_c_boundary_and_in_one_module_of_vectors_only() {
    let allowed = |path: &Path| {
        path.starts_with("plugin/ffi")
            || path.starts_with("plugin/ffi.rs")
            || path.starts_with("plugin/fluent-bit-sys")
            || path.starts_with("rules/src/prefilter/vectors.rs")
            || path.starts_with("tests")
            || path.starts_with("benches")
    };
    none(
        sources()
            .iter()
            .filter(|s| !allowed(&s.path) && s.has_word("unsafe"))
            .map(|s| {
                format!(
                    "{}: unsafe code belongs in plugin/ffi or prefilter/vectors",
                    s.path.display()
                )
            })
            .collect(),
    );
}

#[test]
fn safe_packages_forbid_unsafe() {
    none(
        [
            "executor/api/src/lib.rs",
            "executor/policy/src/lib.rs",
            "executor/src/lib.rs",
            "executor/src/main.rs",
        ]
        .into_iter()
        .filter(|file| {
            let source = Source::read(root(), file.into());
            !source.text.contains("#![forbid(unsafe_code)]")
        })
        .map(|file| format!("{file}: lacks #![forbid(unsafe_code)]"))
        .collect(),
    );
    // One module of it may: the test above says which.
    let rules = Source::read(root(), "rules/src/lib.rs".into());
    assert!(rules.text.contains("#![deny(unsafe_code)]"));
}

#[test]
fn no_file_holds_what_must_not_be_published() {
    // Put together, so that this file does not find itself.
    let forbidden = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/opt/flb", "-src"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
        concat!("TO", "DO"),
        concat!("<<<<", "<<<"),
        concat!("Clau", "de"),
        concat!("work", "tree"),
        concat!("issue ", "2"),
        concat!("issue ", "3"),
        concat!("issue ", "4"),
        concat!("issue ", "5"),
    ];
    let mut faults = Vec::new();
    for file in files() {
        let Ok(text) = std::fs::read_to_string(root().join(&file)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for word in forbidden.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{}:{}: {word}", file.display(), number + 1));
            }
        }
    }
    none(faults);
}

#[test]
fn every_configuration_file_is_in_a_test() {
    let tests: String = sources()
        .iter()
        .filter(|s| s.is_test())
        .map(|s| s.text.as_str())
        .collect();
    none(
        files()
            .iter()
            .filter(|file| file.starts_with("conf") || file.starts_with("docker"))
            .filter(|file| {
                let name = file.to_str().expect("file names are UTF-8");
                !tests.contains(name)
            })
            .map(|file| format!("{}: no test names it", file.display()))
            .collect(),
    );
}
