//! A file in a container that says, once the container is down, that its work is not done:
//! `[targets.NAME.unfinished]`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::bounds::{DAY, Fault, MINUTE, SECOND, duration, fault};
use super::file::TargetSection;
use super::values::{Millis, text};

/// Longest path, bytes: the kernel's `PATH_MAX` with its NUL is 4,096.
const PATH_BYTES_MAX: usize = 4_095;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// An absolute path in the container, as its processes see it.
    pub file: String,
    /// So long it has been down at least, milliseconds.
    pub after_ms: u64,
    /// What becomes of an end that nobody saw.
    pub gap: Gap,
}

/// What an end calls for that fell into a gap of the engine's events, or into a time in which
/// the executor was not there: somebody may have stopped the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// A person is told.
    Tell,
    /// It is started as if it had been seen to end by itself.
    Start,
    /// Nothing.
    Off,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct UnfinishedSection {
    file: Option<String>,
    after: Option<Millis>,
    #[serde(deserialize_with = "text")]
    gap: Option<Gap>,
}

pub(super) fn resolve(
    targets: &BTreeMap<String, TargetSection>,
) -> Result<BTreeMap<String, Unfinished>, Fault> {
    let mut all = BTreeMap::new();
    for (name, written) in targets {
        if let Some(section) = &written.unfinished {
            let place = format!("targets.{name}.unfinished");
            all.insert(name.clone(), one(&place, section)?);
        }
    }
    Ok(all)
}

fn one(place: &str, section: &UnfinishedSection) -> Result<Unfinished, Fault> {
    let key = |name: &str| format!("{place}.{name}");
    let Some(file) = &section.file else {
        let why = "needs file, the path in the container of what is left while work is undone";
        return fault(place, why);
    };
    check_path(&key("file"), file)?;
    Ok(Unfinished {
        file: file.clone(),
        after_ms: duration(&key("after"), section.after, MINUTE, SECOND..=DAY)?,
        gap: section.gap.unwrap_or(Gap::Tell),
    })
}

fn check_path(key: &str, path: &str) -> Result<(), Fault> {
    if path.len() > PATH_BYTES_MAX {
        let why = format!("has {} bytes; a path may have {PATH_BYTES_MAX}", path.len());
        return fault(key, why);
    }
    if !path.starts_with('/') {
        let why = format!("\"{path}\" is not an absolute path in the container");
        return fault(key, why);
    }
    if path.ends_with('/') {
        let why = format!("\"{path}\" is a directory; a file is needed");
        return fault(key, why);
    }
    if path.chars().any(char::is_control) {
        return fault(key, format!("{path:?} has a control character in it"));
    }
    if path.contains('*') || path.contains('?') {
        let why = format!("\"{path}\" is a pattern, and is taken as it stands: name one file");
        return fault(key, why);
    }
    if path.split('/').any(|part| part == "..") {
        let why = format!("\"{path}\" leads through \"..\"; write where it leads");
        return fault(key, why);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::ConfigFile;

    fn of(keys: &str) -> Result<Unfinished, Fault> {
        let text = format!("[targets.worker.unfinished]\n{keys}");
        let file: ConfigFile = toml::from_str(&text).unwrap();
        resolve(&file.targets).map(|all| all["worker"].clone())
    }

    #[test]
    fn a_file_is_enough_and_a_person_is_told_of_what_nobody_saw() {
        let expected = Unfinished {
            file: "/data/progress.json".to_owned(),
            after_ms: 60_000,
            gap: Gap::Tell,
        };
        assert_eq!(of("file = '/data/progress.json'"), Ok(expected));
        for (word, gap) in [
            ("tell", Gap::Tell),
            ("start", Gap::Start),
            ("off", Gap::Off),
        ] {
            let text = format!("file = '/p'\ngap = '{word}'");
            assert_eq!(of(&text).unwrap().gap, gap);
        }
    }

    #[test]
    fn limits_hold_at_their_edges() {
        let after = |after: &str| of(&format!("file = '/p'\nafter = '{after}'"));
        assert_eq!(after("1s").unwrap().after_ms, 1_000);
        assert_eq!(after("1d").unwrap().after_ms, 86_400_000);
        for wrong in ["999ms", "1d 1ms"] {
            assert_eq!(
                after(wrong).unwrap_err().0,
                "targets.worker.unfinished.after"
            );
        }
        let path = |bytes: usize| of(&format!("file = '/{}'", "p".repeat(bytes - 1)));
        assert!(path(PATH_BYTES_MAX).is_ok());
        assert!(path(PATH_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn what_is_no_path_of_one_file_is_a_fault_that_says_so() {
        for (keys, key, why) in [
            ("after = '1m'", "targets.worker.unfinished", "needs file"),
            ("file = ''", "file", "absolute"),
            ("file = 'progress.json'", "file", "absolute"),
            ("file = '/data/'", "file", "directory"),
            ("file = '/'", "file", "directory"),
            ("file = '/data/progress_*.json'", "file", "pattern"),
            ("file = '/data/../etc/passwd'", "file", "\"..\""),
            ("file = \"/data/\\n\"", "file", "control"),
        ] {
            let fault = of(keys).unwrap_err();
            assert!(fault.0.ends_with(key), "{keys}: {fault:?}");
            assert!(fault.1.contains(why), "{keys}: {fault:?}");
        }
    }

    #[test]
    fn unknown_words_and_keys_are_refused() {
        for (keys, words) in [
            ("file = '/p'\ngap = 'restart'", "none of tell, start, off"),
            ("file = '/p'\npath = '/q'", "unknown field `path`"),
        ] {
            let text = format!("[targets.worker.unfinished]\n{keys}");
            let error = toml::from_str::<ConfigFile>(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
