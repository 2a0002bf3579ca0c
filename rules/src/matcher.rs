//! One rule's patterns over one text in normal form.

use std::ops::Range;

use memchr::memmem::Finder;
use regex::bytes::Regex;

use crate::normalise::Normalised;

/// Literals and regexes, any of which will do.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    pub(crate) literals: Vec<Finder<'static>>,
    pub(crate) regexes: Vec<Regex>,
}

impl Patterns {
    /// Whether one of them is found at a place that `holds` accepts.
    fn any_span(&self, text: &[u8], holds: impl Fn(Range<usize>) -> bool) -> bool {
        let by_literal = self.literals.iter().any(|literal| {
            let len = literal.needle().len();
            literal
                .find_iter(text)
                .any(|start| holds(start..start + len))
        });
        by_literal
            || self
                .regexes
                .iter()
                .any(|regex| regex.find_iter(text).any(|m| holds(m.range())))
    }

    fn found_in(&self, text: &[u8]) -> bool {
        self.literals
            .iter()
            .any(|literal| literal.find(text).is_some())
            || self.regexes.iter().any(|regex| regex.is_match(text))
    }

    fn is_empty(&self) -> bool {
        self.literals.is_empty() && self.regexes.is_empty()
    }
}

/// What one rule looks for, and what excuses it.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    pub(crate) wanted: Patterns,
    /// On the same line as the match.
    pub(crate) unless: Patterns,
}

impl Matcher {
    /// Whether some match stands on a line without an excuse.
    pub(crate) fn matches(&self, text: &Normalised) -> bool {
        if self.unless.is_empty() {
            return self.wanted.found_in(text.bytes());
        }
        if text.is_one_line() {
            return self.wanted.found_in(text.bytes()) && !self.unless.found_in(text.bytes());
        }
        self.wanted.any_span(text.bytes(), |span| {
            !self.unless.found_in(text.lines_of(span))
        })
    }
}
