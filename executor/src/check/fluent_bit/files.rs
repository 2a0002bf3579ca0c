//! Opens the files of a configuration, included ones too, within limits.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::model::{Broken, FluentBit};
use super::{classic, yaml};

/// Most bytes of one file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Most files, included ones counted.
const FILES_MAX: usize = 256;

/// What has been read so far.
pub(super) struct Files {
    pub(super) config: FluentBit,
    read: Vec<PathBuf>,
    /// The first file's directory: where relative paths are looked for.
    root: PathBuf,
}

/// Reads a configuration and all that it includes.
pub(super) fn read(path: &Path) -> Result<FluentBit, Broken> {
    let mut files = Files {
        config: FluentBit::default(),
        read: Vec::new(),
        root: path.parent().unwrap_or(Path::new("")).to_owned(),
    };
    files.read(path)?;
    Ok(files.config)
}

impl Files {
    fn read(&mut self, path: &Path) -> Result<(), Broken> {
        let broken = |why: String| Broken {
            place: path.display().to_string(),
            why,
        };
        let real = path.canonicalize().map_err(|e| broken(e.to_string()))?;
        if self.read.contains(&real) {
            return Err(broken("is included twice, which Fluent Bit refuses".into()));
        }
        if self.read.len() == FILES_MAX {
            return Err(broken(format!(
                "is file number {}; too many",
                FILES_MAX + 1
            )));
        }
        self.read.push(real);
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
            .map_err(|e| broken(e.to_string()))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(broken(format!("has more than {FILE_BYTES_MAX} bytes")));
        }
        let file: Rc<Path> = path.into();
        let is_yaml = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"));
        match is_yaml {
            true => yaml::read(self, &file, &text),
            false => classic::read(self, &file, &text),
        }
    }

    /// Reads what a file includes: a path, or a pattern of paths.
    pub(super) fn include(&mut self, pattern: &str, place: &str) -> Result<(), Broken> {
        let broken = |why: String| Broken {
            place: place.to_owned(),
            why: format!("includes {pattern:?}: {why}"),
        };
        let path = self.root.join(pattern.trim());
        if !pattern.contains('*') {
            return self.read(&path);
        }
        let text = path.to_str().ok_or_else(|| broken("not UTF-8".into()))?;
        let found = glob::glob(text).map_err(|e| broken(e.to_string()))?;
        let found: Vec<PathBuf> = found.take(FILES_MAX + 1).filter_map(Result::ok).collect();
        if found.is_empty() {
            return Err(broken("no such file, and Fluent Bit does not start".into()));
        }
        found.iter().try_for_each(|path| self.read(path))
    }
}
