mod files;
mod names;
mod output;

use std::path::{Path, PathBuf};

use super::*;
use crate::check::finding::Level;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conf")
        .join(name)
}

fn found(path: &Path) -> Vec<String> {
    let mut findings = Findings::default();
    check(path, &Config::default(), &mut findings);
    let dir = format!("{}/", path.parent().unwrap().display());
    let dir = dir.as_str();
    findings
        .0
        .iter()
        .map(|f| {
            let line = format!("{:?} {}: {} -> {}", f.level, f.about, f.text, f.advice);
            line.replace(dir, "")
        })
        .collect()
}

/// Findings other than ok of a file with this text, `plugins.conf` beside it.
fn judge(name: &str, text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::copy(shipped("plugins.conf"), dir.path().join("plugins.conf")).unwrap();
    let mut found = found(&dir.path().join(name));
    found.retain(|line| !line.starts_with("Ok"));
    found
}

/// The shipped classic file with one line put in the place of another.
fn changed(from: &str, to: &str) -> Vec<String> {
    let text = std::fs::read_to_string(shipped("fluent-bit.conf")).unwrap();
    let lines: Vec<&str> = text
        .lines()
        .map(|line| match squeezed(line) == from {
            true => to,
            false => line,
        })
        .collect();
    let new = lines.join("\n");
    assert_ne!(new, text.trim_end(), "{from} is not in the shipped file");
    // Its lines move; places are held to in the other tests.
    let unplaced = |line: &String| {
        let (before, after) = line.split_once(".conf:")?;
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
        Some(format!("{before}.conf{after}"))
    };
    judge("fluent-bit.conf", &new)
        .iter()
        .map(|line| unplaced(line).unwrap_or_else(|| line.clone()))
        .collect()
}

fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_shipped_files_are_as_they_should_be() {
    for name in [
        "fluent-bit.conf",
        "fluent-bit.yaml",
        "fluent-bit.compose.conf",
    ] {
        let found = found(&shipped(name));
        assert_eq!(found.len(), 2, "{name}: {found:#?}");
        assert!(
            found.iter().all(|line| line.starts_with("Ok ")),
            "{found:#?}"
        );
    }
}

#[test]
fn the_sum_counts_by_level() {
    let mut findings = Findings::default();
    findings.ok("a", "b");
    findings.warn("c", "d", "e");
    assert_eq!(findings.worst(), Level::Warn);
    assert_eq!(
        findings.draw(),
        "ok    a: b\nwarn  c: d\n      -> e\n1 ok, 1 to look at, 0 failed\n"
    );
}
