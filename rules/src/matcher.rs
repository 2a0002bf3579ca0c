//! One rule's patterns over one text in normal form.

use std::ops::Range;
use std::sync::Arc;

use memchr::memmem::Finder;
use regex::bytes::Regex;

use crate::normalise::Normalised;
use crate::severity::{self, Severities, Severity};

/// One pattern, compiled.
#[derive(Debug)]
pub(crate) enum Pattern {
    Literal(Box<Finder<'static>>),
    Regex(Regex),
}

impl Pattern {
    /// The first match that begins at or after `at`.
    fn find_at(&self, text: &[u8], at: usize) -> Option<Range<usize>> {
        match self {
            Self::Literal(literal) => {
                let start = at + literal.find(&text[at..])?;
                Some(start..start + literal.needle().len())
            }
            Self::Regex(regex) => regex.find_at(text, at).map(|found| found.range()),
        }
    }

    /// As a person would write it.
    pub(crate) fn written(&self) -> String {
        match self {
            Self::Literal(literal) => String::from_utf8_lossy(literal.needle()).into_owned(),
            Self::Regex(regex) => regex.as_str().to_owned(),
        }
    }

    fn is_in(&self, text: &[u8]) -> bool {
        match self {
            Self::Literal(literal) => literal.find(text).is_some(),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// What excuses a match: a rule's own `unless`, or a shared set.
#[derive(Debug, Default)]
pub(crate) struct Excuse {
    /// The shared set's name; empty for a rule's own.
    pub(crate) name: String,
    /// Anywhere on the match's line.
    pub(crate) anywhere: Vec<Pattern>,
    /// On the match's line, in front of it.
    pub(crate) before: Vec<Pattern>,
    /// The severity that the line shows.
    pub(crate) severities: Severities,
}

impl Excuse {
    pub(crate) fn is_empty(&self) -> bool {
        self.anywhere.is_empty() && self.before.is_empty() && self.severities.is_empty()
    }
}

/// What one rule looks for, and what excuses it.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    pub(crate) wanted: Vec<Pattern>,
    /// The line must show one of these; empty: whatever it shows.
    pub(crate) severities: Severities,
    pub(crate) unless: Vec<Arc<Excuse>>,
}

/// Why a match does not count.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Objection<'a> {
    /// The line does not show a severity that the rule wants.
    Severity(Option<Severity>),
    /// A pattern of a set stands on the line.
    Words {
        set: &'a Excuse,
        pattern: &'a Pattern,
    },
    /// The line shows a severity that excuses.
    Excused { set: &'a Excuse, shown: Severity },
}

impl Matcher {
    /// Whether some match stands on a line without an excuse.
    pub(crate) fn matches(&self, text: &Normalised) -> bool {
        let mut wanted = self.wanted.iter();
        if self.unless.is_empty() && self.severities.is_empty() {
            return wanted.any(|pattern| pattern.is_in(text.bytes()));
        }
        wanted.any(|pattern| self.counts(pattern, text, |_, _| ()).is_some())
    }

    /// The first match of one pattern that counts; `told` hears of those before it that do not.
    ///
    /// After a match that is excused the search goes on behind its line: each line is looked at
    /// once for each pattern, however often it matches.
    pub(crate) fn counts<'a>(
        &'a self,
        pattern: &Pattern,
        text: &Normalised,
        mut told: impl FnMut(Range<usize>, Objection<'a>),
    ) -> Option<Range<usize>> {
        let mut at = 0;
        while let Some(span) = pattern.find_at(text.bytes(), at) {
            let lines = text.lines_of(span.clone());
            match self.objection(text.bytes(), &span, &lines) {
                None => return Some(span),
                Some(objection) => told(span, objection),
            }
            at = lines.end;
        }
        None
    }

    fn objection(
        &self,
        text: &[u8],
        span: &Range<usize>,
        lines: &Range<usize>,
    ) -> Option<Objection<'_>> {
        let line = &text[lines.clone()];
        let before = &text[lines.start..span.start];
        let asks_severity = |set: &Arc<Excuse>| !set.severities.is_empty();
        let shown = if self.severities.is_empty() && !self.unless.iter().any(asks_severity) {
            None
        } else {
            severity::shown(line)
        };
        if !self.severities.is_empty()
            && !shown.is_some_and(|severity| self.severities.contains(severity))
        {
            return Some(Objection::Severity(shown));
        }
        self.unless.iter().find_map(|set| {
            if let Some(shown) = shown.filter(|&shown| set.severities.contains(shown)) {
                return Some(Objection::Excused { set, shown });
            }
            let here = |pattern: &&Pattern| pattern.is_in(line);
            let in_front = |pattern: &&Pattern| pattern.is_in(before);
            let by = set.anywhere.iter().find(here);
            let pattern = by.or_else(|| set.before.iter().find(in_front))?;
            Some(Objection::Words { set, pattern })
        })
    }
}
