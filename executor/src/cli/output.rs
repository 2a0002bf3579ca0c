//! Where a command's words go: results to stdout, faults to stderr.

use std::fmt;
use std::io::{self, Write};
use std::time::SystemTime;

use executor_api::ExitCode;

/// Why a command ends early.
#[derive(Debug)]
pub(super) enum Failure {
    /// Whoever read stdout has gone; nothing to say and nobody to say it to.
    ReaderGone,
    /// Something to tell, and what to exit with.
    Told {
        /// 1 or 2, seldom 3.
        code: ExitCode,
        /// What failed, on what, why, and what to do.
        message: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReaderGone => f.write_str("stdout was closed"),
            Self::Told { message, .. } => f.write_str(message),
        }
    }
}

impl Failure {
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Told {
            code: ExitCode::Failed,
            message: message.into(),
        }
    }

    pub(super) fn wrong_use(message: impl Into<String>) -> Self {
        Self::Told {
            code: ExitCode::WrongUse,
            message: message.into(),
        }
    }

    /// For errors from writing to stdout.
    pub(super) fn stdout(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ReaderGone
        } else {
            Self::failed(format!("stdout: {error}"))
        }
    }
}

/// A container's name as state and settings have it; the engine's own begins with a slash.
pub(super) fn bare_name(name: &str) -> String {
    name.trim_start_matches('/').to_owned()
}

/// One fault on stderr. Where stderr is closed too there is nobody to tell.
pub(super) fn tell_error(message: &str) {
    let _ = writeln!(io::stderr().lock(), "healer: {message}");
}

/// `[healer] 2025-10-20T21:07:32Z `, which the original's readers look for.
pub(super) fn prefix() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    format!("[healer] {now} ")
}

/// Text from a log as one line that does nothing to a terminal.
pub(super) fn printable(text: &[u8], chars_max: usize) -> String {
    String::from_utf8_lossy(text)
        .trim_end()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(chars_max)
        .collect()
}
