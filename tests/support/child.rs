//! Runs one test in a process of its own, for those that look at the whole
//! process (its mappings, threads, descriptors) or may end it.

use std::process::Command;

const ROLE: &str = "LOG_HEALER_TEST_CHILD";

/// In the ordinary run, starts this very test binary again with only the test
/// `name` (its full path) and fails with all it said unless it succeeds; gives
/// false. In that child, gives true: the test goes on there.
pub(crate) fn is_child(name: &str) -> bool {
    if std::env::var_os(ROLE).is_some_and(|role| role == name) {
        return true;
    }
    let exe = std::env::current_exe().expect("a test knows its own path");
    let out = Command::new(exe)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, name)
        .output()
        .expect("the test binary starts");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(out.status.success(), "{}: {}\n{said}", name, out.status);
    assert!(said.contains("1 passed"), "{name} did not run:\n{said}");
    // Seen with --nocapture.
    print!("{said}");
    false
}
