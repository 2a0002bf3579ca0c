//! What went wrong while loading rules, said in full: place, rule, reason, advice.

use std::fmt;
use std::ops::Range;

/// Says what failed, in which pack or file, at which line and column, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    place: Place,
    problem: String,
    advice: String,
}

/// Where in the rules something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Setting,
    Source(String),
    Position {
        source: String,
        line: usize,
        column: usize,
    },
}

impl Error {
    /// Something is wrong with the list of packs and files itself.
    pub(crate) fn setting(problem: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            place: Place::Setting,
            problem: clipped(problem.into()),
            advice: advice.into(),
        }
    }

    /// Something is wrong with a pack or file as a whole.
    pub(crate) fn source(
        source: &str,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let place = Place::Source(source.to_owned());
        Self {
            place,
            problem: clipped(problem.into()),
            advice: advice.into(),
        }
    }

    /// The pack or file, the line and the column (both from 1, the column in characters) that
    /// the error is about, as far as it is about one.
    pub fn position(&self) -> Option<(&str, usize, usize)> {
        match &self.place {
            Place::Position {
                source,
                line,
                column,
            } => Some((source, *line, *column)),
            Place::Setting | Place::Source(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Setting => write!(f, "rules")?,
            Place::Source(source) => write!(f, "rules {source}")?,
            Place::Position {
                source,
                line,
                column,
            } => {
                write!(f, "rules {source}, line {line}, column {column}")?;
            }
        }
        write!(f, ": {}; {}", self.problem, self.advice)
    }
}

impl std::error::Error for Error {}

/// Characters of what is wrong: it quotes the file, and a line of a megabyte helps nobody.
const PROBLEM_CHARS_MAX: usize = 400;

fn clipped(mut problem: String) -> String {
    if let Some((end, _)) = problem.char_indices().nth(PROBLEM_CHARS_MAX) {
        problem.truncate(end);
        problem.push('…');
    }
    problem
}

/// The text of a pack or file, to turn byte spans into lines and columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) source: &'a str,
    pub(crate) toml: &'a str,
}

impl Text<'_> {
    /// Whether this is the built-in file of shared excuses, which holds no rule.
    pub(crate) fn is_sets(&self) -> bool {
        self.source == crate::packs::EXCUSES.0
    }

    /// An error at the start of a byte span of this text.
    pub(crate) fn error(
        &self,
        span: &Range<usize>,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Error {
        let (line, column) = self.line_and_column(span.start);
        let source = self.source.to_owned();
        Error {
            place: Place::Position {
                source,
                line,
                column,
            },
            problem: clipped(problem.into()),
            advice: advice.into(),
        }
    }

    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let mut end = offset.min(self.toml.len());
        while !self.toml.is_char_boundary(end) {
            end -= 1;
        }
        let before = &self.toml[..end];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}
