mod faults;
mod layers;
mod shipped;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use policy::OnRefusal;

use super::keys::{KEYS, TARGET_KEYS};
use super::*;

/// Sources of a file with this text, and of these variables and flags.
struct Case {
    _dir: tempfile::TempDir,
    sources: Sources,
}

fn case(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Case {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("healer.toml");
    std::fs::write(&path, text).unwrap();
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    Case {
        _dir: dir,
        sources: Sources {
            file: Some(path),
            environment: own(env).into_iter().collect::<BTreeMap<_, _>>(),
            flags: own(flags),
            original_variables: true,
        },
    }
}

fn load(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Config {
    Config::load(&case(text, env, flags).sources).unwrap()
}

/// The error, with the file's directory cut off.
fn error(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    let case = case(text, env, flags);
    let error = Config::load(&case.sources).unwrap_err().to_string();
    let dir = format!("{}/", case._dir.path().display());
    error.replace(&dir, "")
}
