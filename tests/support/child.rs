//! Runs one test in a process of its own, for those that look at the whole
//! process (its mappings, threads, descriptors) or may end it.

#![allow(clippy::print_stdout)] // How a child and its parent speak.

use std::io::Write;
use std::process::{Command, Output};

const ROLE: &str = "LOG_HEALER_TEST_CHILD";

/// What a child says that will end without the test harness.
const LAST_WORDS: &str = "the rest runs where nothing can be said";

/// To be called by a child before it gives up the means to speak; it then has
/// to end with `_exit(0)`, or by a signal if it fails.
pub(crate) fn say_last_words() {
    println!("{LAST_WORDS}");
    std::io::stdout().flush().expect("stdout is open");
}

/// Starts this very test binary again with only the test `name` (its full
/// path), and gives what became of it; `None` in that child itself.
pub(crate) fn run(name: &str) -> Option<Output> {
    if std::env::var_os(ROLE).is_some_and(|role| role == name) {
        return None;
    }
    let exe = std::env::current_exe().expect("a test knows its own path");
    let out = Command::new(exe)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, name)
        .output()
        .expect("the test binary starts");
    Some(out)
}

/// In the ordinary run, runs the test `name` in a child and fails with all it
/// said unless it succeeds; gives false. In that child, gives true: the test
/// goes on there.
pub(crate) fn is_child(name: &str) -> bool {
    let Some(out) = run(name) else {
        return true;
    };
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(out.status.success(), "{name}: {}\n{said}", out.status);
    let has_run = said.contains("1 passed") || said.contains(LAST_WORDS);
    assert!(has_run, "{name} did not run:\n{said}");
    // Seen with --nocapture.
    print!("{said}");
    false
}
