//! A copy of the crate, in a workspace of its own with a target directory of its
//! own, in which mutants are made. Files are written only where they differ, so
//! that a second run compiles what has changed and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::patch::Patch;

#[derive(Debug)]
pub(crate) struct Workshop {
    root: PathBuf,
    shipped: PathBuf,
}

impl Workshop {
    pub(crate) fn new(shipped: &Path) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        let workspace = shipped.join("../..");
        write(&root.join("Cargo.toml"), &manifest(&workspace));
        let lock = fs::read_to_string(workspace.join("Cargo.lock")).expect("the lock file");
        if !root.join("Cargo.lock").exists() {
            write(&root.join("Cargo.lock"), &lock);
        }
        let own = fs::read_to_string(shipped.join("Cargo.toml")).expect("the manifest");
        write(&root.join("policy/Cargo.toml"), &own);
        for folder in ["src", "tests/sim"] {
            // What was renamed or removed since must not stay.
            let copy = root.join("policy").join(folder);
            let mut kept = Vec::new();
            mirror(&shipped.join(folder), &copy, &mut kept);
            sweep(&copy, &kept);
        }
        Self {
            root,
            shipped: shipped.to_owned(),
        }
    }

    pub(crate) fn change(&self, files: &BTreeMap<PathBuf, String>) {
        for (file, text) in files {
            write(&self.root.join("policy").join(file), text);
        }
    }

    pub(crate) fn restore(&self, patch: &Patch) {
        for file in patch.files() {
            let text = fs::read_to_string(self.shipped.join(file)).expect("a source file");
            write(&self.root.join("policy").join(file), &text);
        }
    }

    /// Compiles the copy's simulation.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command
            .current_dir(&self.root)
            .args(["test", "--offline", "--no-run", "-p", "policy"])
            .args(["--test", "sim"])
            .env("CARGO_TARGET_DIR", self.root.join("target"))
            .env("CARGO_TERM_COLOR", "never")
            // The mutants' warnings tell nothing.
            .env("RUSTFLAGS", "--cap-lints=allow");
        command
    }

    /// Runs what `cargo` says it has compiled, on an ordinary run's seeds.
    pub(crate) fn simulation(&self, said: &str) -> Command {
        let line = said.lines().find(|line| line.contains("Executable "));
        let path = line.and_then(|line| line.split_once('(')?.1.strip_suffix(')'));
        let path = path.unwrap_or_else(|| panic!("cargo names no executable:\n{said}"));
        let mut command = Command::new(self.root.join(path));
        command
            .current_dir(&self.root)
            .args(["every_seed", "--nocapture"])
            .env("RUST_BACKTRACE", "0");
        for name in ["SIM_SEED", "SIM_SEEDS", "SIM_FROM"] {
            command.env_remove(name);
        }
        command
    }
}

/// The workspace's own sections, and a profile that is quick to compile.
fn manifest(workspace: &Path) -> String {
    let text = fs::read_to_string(workspace.join("Cargo.toml")).expect("the root's manifest");
    let mut own = String::from(
        "[workspace]\nmembers = [\"policy\"]\nresolver = \"3\"\n\n\
         [profile.dev]\nopt-level = 1\ndebug = 0\nincremental = true\n\n",
    );
    let mut is_ours = false;
    for line in text.lines() {
        if line.starts_with('[') {
            is_ours = line.starts_with("[workspace.");
        }
        if is_ours && !line.contains("path = ") {
            own += line;
            own.push('\n');
        }
    }
    own
}

fn mirror(from: &Path, to: &Path, kept: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(from).expect("a source folder") {
        let entry = entry.expect("an entry");
        let copy = to.join(entry.file_name());
        if entry.path().is_dir() {
            mirror(&entry.path(), &copy, kept);
        } else {
            let text = fs::read_to_string(entry.path()).expect("a source file");
            write(&copy, &text);
            kept.push(copy);
        }
    }
}

fn sweep(dir: &Path, kept: &[PathBuf]) {
    for entry in fs::read_dir(dir).expect("a folder of the copy") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sweep(&path, kept);
        } else if !kept.contains(&path) {
            fs::remove_file(&path).expect("an old file of the copy");
        }
    }
}

fn write(file: &Path, text: &str) {
    if fs::read_to_string(file).is_ok_and(|old| old == text) {
        return;
    }
    let dir = file.parent().expect("it lies in a folder");
    fs::create_dir_all(dir).expect("a folder of the copy");
    fs::write(file, text).expect("a file of the copy");
}
