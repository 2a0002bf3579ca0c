//! What is wrong with the configuration, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use super::keys::{in_section, nearest};

/// One fault. Shown as `PLACE: KEY: WHY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub(super) place: Place,
    pub(super) key: String,
    pub(super) why: String,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A line and column of a file, both from 1; none where it is about all of it.
    File(PathBuf, Option<(usize, usize)>),
    /// An environment variable, or a flag.
    Named(String),
    /// A default that does not go with another setting.
    Default,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File(path, Some((line, column))) => {
                write!(f, "{}:{line}:{column}: ", path.display())?;
            }
            Place::File(path, None) => write!(f, "{}: ", path.display())?,
            Place::Named(name) => write!(f, "{name}: ")?,
            Place::Default => {}
        }
        // `--set KEY` says it already.
        let said = matches!(&self.place, Place::Named(name) if name.ends_with(&self.key));
        if !self.key.is_empty() && !said {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    pub(super) fn in_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map(|span| position(text, span.start));
        Self {
            place: Place::File(path.to_owned(), at),
            key: String::new(),
            why: with_hint(error.message().replace('\n', "; ")),
        }
    }
}

/// Of a key that there is not, the one that was probably meant: ``unknown field `x`,
/// expected one of `a`, `b` `` lists them all.
fn with_hint(why: String) -> String {
    let rest = why.strip_prefix("unknown field `");
    let Some((word, known)) = rest.and_then(|rest| rest.split_once("`, expected ")) else {
        return why;
    };
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    // A secret that was to be written here: `token` for `token_file`.
    let longer = || {
        known
            .iter()
            .find(|key| begins(&key.replace('_', "."), word))
    };
    let near = nearest(word, known.iter().copied()).or_else(|| longer().copied());
    match near.or_else(|| in_section(word)) {
        Some(near) => format!("{why}; did you mean `{near}`?"),
        None => why,
    }
}

/// Line and column (in characters) of a byte offset, both from 1.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset.min(text.len()))];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

/// Where a key (`targets.NAME.cooldown`, `maintenance[0].end`) stands in a file that
/// is known to parse.
pub(super) fn locate(text: &str, key: &str) -> Option<(usize, usize)> {
    let root = toml::de::DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut rest = key;
    loop {
        // A name may hold dots, so the longest key that is there wins.
        let (name, value) = table
            .iter()
            .filter(|(name, _)| begins(rest, name.get_ref()))
            .max_by_key(|(name, _)| name.get_ref().len())?;
        rest = rest[name.get_ref().len()..].trim_start_matches('.');
        let mut value = value;
        if let (Some((index, behind)), toml::de::DeValue::Array(all)) =
            (indexed(rest), value.get_ref())
        {
            value = all.get(index)?;
            if behind.is_empty() {
                return Some(position(text, value.span().start));
            }
            rest = behind;
        }
        match value.get_ref() {
            toml::de::DeValue::Table(inner) if !rest.is_empty() => match has(inner, rest) {
                true => table = inner,
                // It is missing there.
                false => return Some(position(text, value.span().start)),
            },
            _ => return Some(position(text, name.span().start)),
        }
    }
}

/// `[3].end`: 3 and `end`.
fn indexed(key: &str) -> Option<(usize, &str)> {
    let (index, behind) = key.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, behind.trim_start_matches('.')))
}

fn has(table: &toml::de::DeTable<'_>, key: &str) -> bool {
    table.iter().any(|(name, _)| begins(key, name.get_ref()))
}

/// Whether a key's first part is called so.
fn begins(key: &str, name: &str) -> bool {
    key.strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
