//! One rule's patterns over one text in normal form.

use std::ops::Range;
use std::sync::Arc;

use regex_automata::Input;
use regex_automata::meta::Regex;
use regex_syntax::hir::Hir;

use crate::normalise::Normalised;
use crate::pattern;
use crate::severity::{self, Severities, Severity};

/// Patterns, any of which will do, compiled into one: a text is read once for all of them.
#[derive(Debug)]
pub(crate) struct Patterns {
    pub(crate) any: Regex,
    /// Each as a regex by itself over normal texts, to tell which one it was.
    pub(crate) each: Vec<Pattern>,
}

/// One pattern: as compared, and as a person would write it.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) hir: Hir,
    pub(crate) written: String,
}

impl Patterns {
    fn are_in(&self, text: &[u8]) -> bool {
        self.any.is_match(text)
    }
}

/// What excuses a match: a rule's own `unless`, or a shared set.
#[derive(Debug, Default)]
pub(crate) struct Excuse {
    /// The shared set's name; empty for a rule's own.
    pub(crate) name: String,
    /// Anywhere on the match's line.
    pub(crate) anywhere: Option<Patterns>,
    /// On the match's line, in front of it.
    pub(crate) before: Option<Patterns>,
    /// The severity that the line shows.
    pub(crate) severities: Severities,
}

impl Excuse {
    pub(crate) fn is_empty(&self) -> bool {
        self.anywhere.is_none() && self.before.is_none() && self.severities.is_empty()
    }
}

/// Shared sets of excuses read at once, to tell that none of them speaks: what nearly every
/// match that counts comes to.
#[derive(Debug)]
pub(crate) struct Together {
    anywhere: Option<Regex>,
    before: Option<Regex>,
}

impl Together {
    /// None where it would save nothing, or where they are too large together.
    pub(crate) fn new(sets: &[Arc<Excuse>]) -> Option<Self> {
        if sets.len() < 2 {
            return None;
        }
        let anywhere = sets.iter().filter_map(|set| set.anywhere.as_ref());
        let before = sets.iter().filter_map(|set| set.before.as_ref());
        let together = Self {
            anywhere: pattern::together(anywhere.clone()),
            before: pattern::together(before.clone()),
        };
        let is_whole = together.anywhere.is_some() == (anywhere.count() > 0)
            && together.before.is_some() == (before.count() > 0);
        is_whole.then_some(together)
    }

    fn stand_in(&self, line: &[u8], in_front: &[u8]) -> bool {
        let is_in = |words: &Option<Regex>, text| words.as_ref().is_some_and(|w| w.is_match(text));
        is_in(&self.anywhere, line) || is_in(&self.before, in_front)
    }
}

/// What one rule looks for, and what excuses it.
#[derive(Debug)]
pub(crate) struct Matcher {
    pub(crate) wanted: Patterns,
    /// The line must show one of these; empty: whatever it shows.
    pub(crate) severities: Severities,
    pub(crate) unless: Vec<Arc<Excuse>>,
    /// Those of `unless` that have a name.
    pub(crate) together: Option<Arc<Together>>,
}

/// Why a match does not count.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Objection<'a> {
    /// The line does not show a severity that the rule wants.
    Severity(Option<Severity>),
    /// One of these patterns of a set stands in that part of the text.
    Words {
        set: &'a Excuse,
        patterns: &'a Patterns,
        part: (usize, usize),
    },
    /// The line shows a severity that excuses.
    Excused { set: &'a Excuse, shown: Severity },
}

impl Matcher {
    /// Whether some match stands there, excused or not.
    pub(crate) fn stands_in(&self, text: &Normalised) -> bool {
        self.wanted.are_in(text.bytes())
    }

    /// Whether some match stands on a line without an excuse.
    pub(crate) fn matches(&self, text: &Normalised) -> bool {
        if self.unless.is_empty() && self.severities.is_empty() {
            return self.wanted.are_in(text.bytes());
        }
        self.counts(text, |_, _| ()).is_some()
    }

    /// The first match that counts; `told` hears of those before it that do not.
    ///
    /// After a match that is excused the search goes on behind its line: each line is looked at
    /// once, however often it matches.
    pub(crate) fn counts<'a>(
        &'a self,
        text: &Normalised,
        mut told: impl FnMut(Range<usize>, Objection<'a>),
    ) -> Option<Range<usize>> {
        let mut at = 0;
        while let Some(found) = self.wanted.any.find(Input::new(text.bytes()).range(at..)) {
            let span = found.range();
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
        let asks_severity = |set: &Arc<Excuse>| !set.severities.is_empty();
        let shown = if self.severities.is_empty() && !self.unless.iter().any(asks_severity) {
            None
        } else {
            severity::shown(&text[lines.clone()])
        };
        if !self.severities.is_empty()
            && !shown.is_some_and(|severity| self.severities.contains(severity))
        {
            return Some(Objection::Severity(shown));
        }
        let in_front = lines.start..span.start;
        let none_shared = self
            .together
            .as_ref()
            .is_some_and(|all| !all.stand_in(&text[lines.clone()], &text[in_front.clone()]));
        self.unless.iter().find_map(|set| {
            if let Some(shown) = shown.filter(|&shown| set.severities.contains(shown)) {
                return Some(Objection::Excused { set, shown });
            }
            if none_shared && !set.name.is_empty() {
                return None;
            }
            let (patterns, part) = words_in(&set.anywhere, (text, lines))
                .or_else(|| words_in(&set.before, (text, &in_front)))?;
            Some(Objection::Words {
                set,
                patterns,
                part,
            })
        })
    }
}

/// The patterns and the part of the text that one of them stands in.
fn words_in<'a>(
    patterns: &'a Option<Patterns>,
    (text, part): (&[u8], &Range<usize>),
) -> Option<(&'a Patterns, (usize, usize))> {
    let patterns = patterns.as_ref()?;
    let stands = patterns.are_in(&text[part.clone()]);
    stands.then_some((patterns, (part.start, part.end)))
}
