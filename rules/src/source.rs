//! From the `Rules` setting to texts: built-in packs by name, files by path.

use std::fs::File;
use std::io::Read;

use crate::error::Error;
use crate::limits::{FILE_BYTES_MAX, SETTING_BYTES_MAX, SOURCES_MAX};
use crate::packs;

/// A pack or file, read.
#[derive(Debug)]
pub(crate) struct Source {
    /// The pack's name or the path as the setting wrote it.
    pub(crate) name: String,
    pub(crate) is_pack: bool,
    pub(crate) toml: String,
}

/// Reads every entry of a comma-separated setting, in its order.
pub(crate) fn read_all(setting: &str) -> Result<Vec<Source>, Error> {
    let entries: Vec<&str> = setting.split(',').map(str::trim).collect();
    if entries.len() > SOURCES_MAX {
        return Err(Error::setting(
            format!("{} packs and files (at most {SOURCES_MAX})", entries.len()),
            "put the rules into fewer files",
        ));
    }
    for (at, entry) in entries.iter().enumerate() {
        if entry.is_empty() {
            return Err(Error::setting(
                format!("an empty entry in `{setting}`"),
                format!(
                    "name packs ({}) or rule files, comma-separated",
                    packs::listed()
                ),
            ));
        }
        if entries[..at].contains(entry) {
            return Err(Error::setting(
                format!("`{entry}` stands twice in it"),
                "name it once",
            ));
        }
    }
    let mut sources: Vec<Source> = Vec::new();
    for entry in entries {
        for source in read(entry)? {
            if sources.iter().any(|known| known.name == source.name) {
                return Err(Error::setting(
                    format!("the pack `{}` stands twice in it", source.name),
                    "name it once: `gpu` stands for all built-in packs",
                ));
            }
            sources.push(source);
        }
    }
    let bytes: usize = sources.iter().map(|source| source.toml.len()).sum();
    if bytes > SETTING_BYTES_MAX {
        return Err(Error::setting(
            format!("{bytes} bytes of rules (at most {SETTING_BYTES_MAX})"),
            "leave packs or files out",
        ));
    }
    Ok(sources)
}

/// A file, or the packs that a name stands for.
fn read(entry: &str) -> Result<Vec<Source>, Error> {
    if entry.contains('/') || entry.ends_with(".toml") {
        return Ok(vec![Source {
            name: entry.to_owned(),
            is_pack: false,
            toml: read_file(entry)?,
        }]);
    }
    let packs = packs::find(entry);
    if packs.is_empty() {
        return Err(Error::setting(
            format!("unknown pack `{entry}`"),
            format!(
                "built in: {}; a rule file has a `/` or ends in `.toml`",
                packs::listed()
            ),
        ));
    }
    let source = |&(name, toml): &(&str, &str)| Source {
        name: name.to_owned(),
        is_pack: true,
        toml: toml.to_owned(),
    };
    Ok(packs.iter().map(source).collect())
}

fn read_file(path: &str) -> Result<String, Error> {
    let failed = |error: std::io::Error| {
        Error::source(
            path,
            format!("cannot be read: {error}"),
            "check the path and its permissions",
        )
    };
    // Asked before opening: opening a FIFO would wait for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Error::source(
            path,
            "not a regular file",
            "name a TOML file of rules",
        ));
    }
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX as u64 + 1;
    File::open(path)
        .map_err(failed)?
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Error::source(
            path,
            format!("larger than {FILE_BYTES_MAX} bytes"),
            "split it into several files",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count()
            + 1;
        Error::source(
            path,
            format!("not UTF-8 in line {line}"),
            "save the file as UTF-8",
        )
    })
}
