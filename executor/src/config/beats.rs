//! Beats over HTTP: where their token is.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::bounds::{Fault, fault};

/// Where the token is; never the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlace {
    /// In a file.
    File(PathBuf),
    /// In a variable of the executor's environment.
    Variable(String),
}

/// `[beats]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BeatsSection {
    pub(super) token_file: Option<PathBuf>,
    pub(super) token_env: Option<String>,
}

/// None = beats over HTTP are off. The environment wins over a file, as everywhere.
pub(super) fn resolve(section: &BeatsSection) -> Result<Option<TokenPlace>, Fault> {
    let file = section.token_file.as_deref();
    let variable = section.token_env.as_deref().filter(|name| !name.is_empty());
    match (file, variable) {
        (None, None) => Ok(None),
        (Some(path), None) => file_place(path).map(Some),
        (_, Some(name)) if name.contains(['=', '\0']) => fault(
            "beats.token_env",
            format!("{name:?} is no name of a variable"),
        ),
        (_, Some(name)) => Ok(Some(TokenPlace::Variable(name.to_owned()))),
    }
}

fn file_place(path: &Path) -> Result<TokenPlace, Fault> {
    match path.is_absolute() {
        true => Ok(TokenPlace::File(path.to_owned())),
        false => fault(
            "beats.token_file",
            format!("\"{}\" is not an absolute path", path.display()),
        ),
    }
}
