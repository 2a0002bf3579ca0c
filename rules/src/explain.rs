//! Why a text matches, or why it does not: the same steps as judging, told.

use std::ops::Range;

use regex_automata::Input;

use crate::limits::{RULE_CACHE_BYTES_MAX, RULE_COMPILED_BYTES_MAX};
use crate::matcher::{Objection, Pattern, Patterns};
use crate::normalise::{Normalised, Scratch};
use crate::pattern;
use crate::rule::{Origin, Rule};
use crate::set::{RuleSet, called_rules};

/// A rule that looked at a text, and what came of it.
#[derive(Debug)]
pub struct Explanation<'a> {
    /// the rule
    pub rule: &'a Rule,
    /// what it found
    pub finding: Finding,
}

/// What a rule found in a text. Quoted texts are in the form in which texts are compared: lower
/// case, white space as one space, no escape sequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It looks at lines of the other origin only.
    OtherOrigin,
    /// A word of one of its patterns is there, but none of the patterns.
    NoMatch,
    /// Its patterns are there, each time with an excuse.
    Excused(Vec<Excused>),
    /// It matches.
    Matches {
        /// the literal or regex, as compared
        pattern: String,
        /// the part of the text that it matched
        matched: String,
    },
}

/// A match that did not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excused {
    /// the literal or regex, as compared
    pub pattern: String,
    /// the part of the text that it matched
    pub matched: String,
    /// what excused it, in words
    pub by: String,
}

impl RuleSet {
    /// The rules that looked at a text, in order of precedence: those of which it holds a word
    /// that they need. The first one that matches is the one that [`Self::judge`] answers.
    pub fn explain(
        &self,
        text: &[u8],
        origin: Origin,
        scratch: &mut Scratch,
    ) -> Vec<Explanation<'_>> {
        self.call(text, scratch);
        let looked = called_rules(&scratch.called).map(|index| &self.rules[index]);
        looked
            .map(|rule| Explanation {
                rule,
                finding: finding(rule, origin, &scratch.text),
            })
            .collect()
    }
}

fn finding(rule: &Rule, origin: Origin, text: &Normalised) -> Finding {
    if !rule.applies_to(origin) {
        return Finding::OtherOrigin;
    }
    let quoted = |span: Range<usize>| String::from_utf8_lossy(&text.bytes()[span]).into_owned();
    let wanted = &rule.matcher.wanted;
    let mut excused = Vec::new();
    let told = |span: Range<usize>, objection: Objection<'_>| {
        excused.push(Excused {
            pattern: which(wanted, text.bytes(), &span),
            matched: quoted(span),
            by: in_words(objection, text.bytes()),
        });
    };
    match rule.matcher.counts(text, told) {
        Some(span) => Finding::Matches {
            pattern: which(wanted, text.bytes(), &span),
            matched: quoted(span),
        },
        None if excused.is_empty() => Finding::NoMatch,
        None => Finding::Excused(excused),
    }
}

/// The first of the patterns that matches at a place where one of them does.
fn which(patterns: &Patterns, text: &[u8], span: &Range<usize>) -> String {
    let is_it = |pattern: &&Pattern| {
        let regex = pattern::compiled(&pattern.hir, RULE_COMPILED_BYTES_MAX, RULE_CACHE_BYTES_MAX);
        regex.is_ok_and(|regex| {
            let found = regex.find(Input::new(text).range(span.start..));
            found.is_some_and(|found| found.start() == span.start)
        })
    };
    let found = patterns.each.iter().find(is_it);
    found.map_or_else(String::new, |pattern| pattern.written.clone())
}

fn in_words(objection: Objection<'_>, text: &[u8]) -> String {
    let set = |name: &str| match name {
        "" => "its own `unless`".to_owned(),
        name => format!("the set `{name}`"),
    };
    match objection {
        Objection::Severity(Some(shown)) => {
            format!(
                "the line's severity `{}` is none that it wants",
                shown.as_str()
            )
        }
        Objection::Severity(None) => "the line shows no severity, and it wants one".to_owned(),
        Objection::Excused { set: by, shown } => {
            format!(
                "the line's severity `{}`, by {}",
                shown.as_str(),
                set(&by.name)
            )
        }
        Objection::Words {
            set: by,
            patterns,
            part: (start, end),
        } => {
            let part = &text[start..end];
            let found = patterns.any.find(part).map_or(0..0, |found| found.range());
            let pattern = which(patterns, part, &found);
            let found = String::from_utf8_lossy(&part[found]);
            if pattern == found {
                format!("`{found}`, by {}", set(&by.name))
            } else {
                format!("`{found}` by `{pattern}`, by {}", set(&by.name))
            }
        }
    }
}
