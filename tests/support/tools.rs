//! Programs that a machine may or may not have, and how a test says loudly that
//! it could not run without one.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A program on the PATH.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// A real Fluent Bit: `FLUENT_BIT`, the PATH, or one of the usual places.
pub(crate) fn fluent_bit() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("FLUENT_BIT").filter(|v| !v.is_empty()) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "FLUENT_BIT={} is no file", named.display());
        return Some(named);
    }
    let usual = [
        "/opt/fluent-bit/bin/fluent-bit",
        "/fluent-bit/bin/fluent-bit",
    ];
    program("fluent-bit").or_else(|| usual.iter().map(PathBuf::from).find(|file| file.is_file()))
}

/// Says that a test, or a part of one, did not run. Past the test harness's
/// capture, so that it is seen although the test passes; `make test` collects
/// these lines.
pub(crate) fn skipped(what: &str, why: &str) {
    // The harness may be in the middle of a line.
    let line = format!("\nSKIPPED: {what}: {why}\n");
    // A closed stderr is no reason to fail.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Runs a program to its end and fails with all it said unless it exits 0.
pub(crate) fn run(command: &mut Command) -> Output {
    let out = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    assert!(
        out.status.success(),
        "{command:?}: {}\n{}{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    out
}

/// The plugin: the file that `HEALER_PLUGIN_SO` names (`make test` runs the
/// host's tests on the released one, too), else as cargo has just built it.
pub(crate) fn plugin_so() -> PathBuf {
    if let Some(named) = std::env::var_os("HEALER_PLUGIN_SO").filter(|v| !v.is_empty()) {
        let named = PathBuf::from(named);
        assert!(
            named.is_file(),
            "HEALER_PLUGIN_SO={} is no file",
            named.display()
        );
        return named;
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let deps = test.parent().expect("it lies in a directory");
    let so = deps.join("libout_healer.so");
    assert!(so.is_file(), "{} is missing", so.display());
    so
}

/// A file of the repository, read.
pub(crate) fn repository_file(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}
