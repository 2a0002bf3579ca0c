//! What `make release` leaves in target/dist: nothing newer than the oldest image
//! has, and nothing that the executor's empty image lacks. `make test` also runs
//! the plugin host's tests on that very file (`HEALER_PLUGIN_SO`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::support::tools::{program, run, skipped};

/// Debian 11's, which Fluent Bit's images had at first.
const GLIBC_MAX: (u32, u32) = (2, 31);

/// A file of target/dist, unless it is missing or older than the sources.
fn product(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("target/dist").join(name);
    let Ok(built) = file.metadata().and_then(|meta| meta.modified()) else {
        skipped(&format!("target/dist/{name}"), "run `make release` first");
        return None;
    };
    if newest_source(root) > built {
        skipped(
            &format!("target/dist/{name}"),
            "older than the sources: run `make release`",
        );
        return None;
    }
    Some(file)
}

/// When a source of the products was changed last.
fn newest_source(root: &Path) -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut waiting: Vec<PathBuf> = ["plugin", "rules", "executor", "build.rs", "Cargo.lock"]
        .iter()
        .map(|name| root.join(name))
        .collect();
    while let Some(path) = waiting.pop() {
        let in_tests = path.components().any(|part| part.as_os_str() == "tests");
        if path.is_dir() && !in_tests {
            let entries = std::fs::read_dir(&path).expect("the repository can be read");
            waiting.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if let Ok(changed) = path.metadata().and_then(|meta| meta.modified()) {
            newest = newest.max(changed);
        }
    }
    newest
}

#[test]
fn the_released_plugin_needs_no_newer_glibc() {
    let Some(plugin) = product("out_healer.so") else {
        return;
    };
    let Some(readelf) = program("readelf") else {
        return skipped(
            "the released plugin's symbols",
            "readelf is not installed (binutils)",
        );
    };
    let out = run(Command::new(readelf)
        .args(["--wide", "--version-info"])
        .arg(&plugin));
    let text = String::from_utf8_lossy(&out.stdout);
    let versions: Vec<(u32, u32)> = text
        .split("GLIBC_")
        .skip(1)
        .filter_map(|rest| {
            let mut numbers = rest
                .split(|c: char| !c.is_ascii_digit())
                .map(|digits| digits.parse().ok());
            Some((numbers.next()??, numbers.next()??))
        })
        .collect();
    let newest = versions.iter().max().expect("it uses glibc");
    assert!(
        *newest <= GLIBC_MAX,
        "it needs GLIBC_{}.{}",
        newest.0,
        newest.1
    );
}

#[test]
fn the_released_executor_is_static() {
    let Some(healer) = product("healer") else {
        return;
    };
    let Some(readelf) = program("readelf") else {
        return skipped(
            "the released executor's needs",
            "readelf is not installed (binutils)",
        );
    };
    let out = run(Command::new(readelf)
        .args(["--wide", "--dynamic", "--program-headers"])
        .arg(&healer));
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        !text.contains("(NEEDED)") && !text.contains("INTERP"),
        "{text}"
    );
    let said = run(Command::new(&healer).arg("--version"));
    assert!(String::from_utf8_lossy(&said.stdout).starts_with("healer "));
}
