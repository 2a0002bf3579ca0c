//! From a rule as written to a rule that matches, every limit checked on the way.

use std::ops::Range;
use std::sync::Arc;

use regex_syntax::hir::Hir;
use toml::Spanned;

use crate::error::{Error, Text};
use crate::excuses::Sets;
use crate::format::{Written, WrittenConfirm, WrittenRule, WrittenThreshold, WrittenUnless};
use crate::limits::{
    CONFIRM_WITHIN_MS_MAX, NAME_BYTES_MAX, PATTERNS_PER_RULE_MAX, THRESHOLD_COUNT_MAX,
    THRESHOLD_WITHIN_MS_MAX, WORD_BYTES_MIN,
};
use crate::matcher::{Excuse, Matcher, Patterns};
use crate::need::{self, Need};
use crate::pattern;
use crate::rarity::Rarity;
use crate::rule::{Confirm, Confirmation, Rule, Threshold};
use crate::severity::{Severities, Severity};

/// A compiled rule, what the raw scan must look for on its behalf, and where its name stands.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) rule: Rule,
    pub(crate) needs: Vec<Need>,
    pub(crate) name_span: Range<usize>,
    pub(crate) confirm_span: Option<Range<usize>>,
}

/// Checks and compiles one rule; `sets` are the excuses that it may name.
pub(crate) fn rule(
    text: Text<'_>,
    written: Spanned<WrittenRule>,
    sets: &Sets,
    rarity: &Rarity,
) -> Result<Compiled, Error> {
    let rule_span = written.span();
    let written = written.into_inner();
    let name_span = written.name.span();
    check_words(text, &written)?;
    let (wanted, needs) = wanted(text, &rule_span, &written, rarity)?;
    let excuses = sets.of_rule(text, &written)?;
    let names = excuses.sets.iter().map(|set| set.name.clone()).collect();
    let own = excuse(text, &rule_span, "", &written.unless)?;
    let unless = excuses
        .sets
        .into_iter()
        .chain((!own.is_empty()).then(|| Arc::new(own)))
        .collect();
    let threshold = written
        .threshold
        .map(|written| threshold(text, &written))
        .transpose()?;
    let confirm_span = written.confirm.as_ref().map(Spanned::span);
    let confirm = written
        .confirm
        .map(|written| confirm(text, &written))
        .transpose()?;
    let rule = Rule {
        name: written.name.into_inner(),
        summary: written.summary.into_inner(),
        remedy: written.remedy,
        why: written.why,
        links: written.links,
        threshold,
        confirm,
        sticky: written.sticky,
        excuses: names,
        kernel: written.kernel,
        examples: written.examples,
        counter_examples: written.counter_examples,
        source: text.source.to_owned(),
        matcher: Matcher {
            wanted,
            severities: severities(text, &written.severity)?,
            unless,
            together: excuses.together,
        },
    };
    Ok(Compiled {
        rule,
        needs,
        name_span,
        confirm_span,
    })
}

fn wanted(
    text: Text<'_>,
    span: &Range<usize>,
    written: &WrittenRule,
    rarity: &Rarity,
) -> Result<(Patterns, Vec<Need>), Error> {
    check_count(text, "literals", &written.literals)?;
    check_count(text, "regexes", &written.regexes)?;
    let (mut wanted, mut needs) = (Vec::new(), Vec::new());
    for literal in &written.literals {
        let bytes = pattern::literal(text, literal)?;
        needs.push(Need::new(&bytes).ok_or_else(|| no_word(text, literal))?);
        wanted.push(of_literal(&bytes));
    }
    for regex in &written.regexes {
        let hir = pattern::regex(text, regex)?;
        needs.extend(need::of_regex(&hir, rarity).ok_or_else(|| no_word(text, regex))?);
        wanted.push((hir, regex.get_ref().clone()));
    }
    let patterns = pattern::any(text, span, wanted)?.ok_or_else(|| {
        text.error(
            span,
            format!(
                "rule `{}` has neither literals nor regexes",
                written.name.get_ref()
            ),
            "give it `literals = [\"…\"]` or `regexes = ['…']`",
        )
    })?;
    Ok((patterns, needs))
}

fn of_literal(bytes: &[u8]) -> (Hir, String) {
    (
        Hir::literal(bytes),
        String::from_utf8_lossy(bytes).into_owned(),
    )
}

/// Compiles a set of excuses; a rule's own has no name.
pub(crate) fn excuse(
    text: Text<'_>,
    span: &Range<usize>,
    name: &str,
    written: &WrittenUnless,
) -> Result<Excuse, Error> {
    check_count(text, "excusing literals", &written.literals)?;
    check_count(text, "excusing regexes", &written.regexes)?;
    check_count(text, "excusing regexes", &written.before)?;
    let regex = |written: &Written| {
        let hir = pattern::regex(text, written)?;
        Ok((hir, written.get_ref().clone()))
    };
    let regexes =
        |written: &[Written]| written.iter().map(regex).collect::<Result<Vec<_>, Error>>();
    let mut anywhere = Vec::new();
    for literal in &written.literals {
        anywhere.push(of_literal(&pattern::literal(text, literal)?));
    }
    anywhere.extend(regexes(&written.regexes)?);
    Ok(Excuse {
        name: name.to_owned(),
        anywhere: pattern::any(text, span, anywhere)?,
        before: pattern::any(text, span, regexes(&written.before)?)?,
        severities: severities(text, &written.severity)?,
    })
}

fn severities(text: Text<'_>, written: &[Written]) -> Result<Severities, Error> {
    let mut set = Severities::default();
    for name in written {
        set.add(Severity::by_name(name.get_ref()).ok_or_else(|| {
            let known = Severity::names().collect::<Vec<_>>().join("`, `");
            text.error(
                &name.span(),
                format!("unknown severity `{}`", name.get_ref()),
                format!("use any of `{known}`"),
            )
        })?);
    }
    Ok(set)
}

pub(crate) fn confirm(text: Text<'_>, written: &Spanned<WrittenConfirm>) -> Result<Confirm, Error> {
    let WrittenConfirm { by, within } = written.get_ref();
    let one = |word: &Written| match word.get_ref().as_str() {
        "unhealthy" => Ok(Confirmation::Unhealthy),
        "exit" => Ok(Confirmation::Exit),
        other => match other.strip_prefix("rule:").map(str::trim) {
            Some(name) if !name.is_empty() => Ok(Confirmation::Rule(name.to_owned())),
            _ => Err(text.error(
                &word.span(),
                format!("unknown confirmation `{other}`"),
                "use `unhealthy`, `exit` or `rule:NAME`",
            )),
        },
    };
    let within_ms = within
        .ms()
        .filter(|ms| (1..=CONFIRM_WITHIN_MS_MAX).contains(ms))
        .ok_or_else(|| {
            text.error(
                &written.span(),
                "a confirmation's `within` that is no duration, or out of range",
                "give `within = \"60s\"` (ms, s, m, h; bare numbers are seconds), at most 1h",
            )
        })?;
    let by = by.iter().map(one).collect::<Result<Vec<_>, Error>>()?;
    if by.is_empty() {
        return Err(text.error(
            &written.span(),
            "a confirmation by nothing: the rule would never apply",
            "give `by = [\"unhealthy\", \"exit\", \"rule:NAME\"]`, or remove `confirm`",
        ));
    }
    Ok(Confirm { by, within_ms })
}

fn check_words(text: Text<'_>, written: &WrittenRule) -> Result<(), Error> {
    let name = written.name.get_ref();
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(letters) {
        return Err(text.error(
            &written.name.span(),
            format!("rule name `{name}`"),
            format!("use 1 to {NAME_BYTES_MAX} of a-z, 0-9 and -, as in `cuda-oom`"),
        ));
    }
    if written.summary.get_ref().trim().is_empty() {
        return Err(text.error(
            &written.summary.span(),
            format!("rule `{name}` has an empty summary"),
            "say in one sentence what a match means",
        ));
    }
    Ok(())
}

fn check_count(text: Text<'_>, key: &str, patterns: &[Written]) -> Result<(), Error> {
    match patterns.get(PATTERNS_PER_RULE_MAX) {
        None => Ok(()),
        Some(first_too_many) => Err(text.error(
            &first_too_many.span(),
            format!(
                "{} {key} in one rule (at most {PATTERNS_PER_RULE_MAX})",
                patterns.len()
            ),
            "split the rule",
        )),
    }
}

fn no_word(text: Text<'_>, written: &Written) -> Error {
    text.error(
        &written.span(),
        format!(
            "`{}` has no word of {WORD_BYTES_MIN} or more fixed characters in a row \
             that each of its matches must hold",
            written.get_ref()
        ),
        "add such a word: without one every log line would have to be looked at",
    )
}

pub(crate) fn threshold(
    text: Text<'_>,
    written: &Spanned<WrittenThreshold>,
) -> Result<Threshold, Error> {
    let WrittenThreshold { count, within } = written.get_ref();
    let count = u32::try_from(*count)
        .ok()
        .filter(|n| (1..=THRESHOLD_COUNT_MAX).contains(n));
    let within_ms = within
        .ms()
        .filter(|ms| (1..=THRESHOLD_WITHIN_MS_MAX).contains(ms));
    match (count, within_ms) {
        (Some(count), Some(within_ms)) => Ok(Threshold { count, within_ms }),
        (None, _) => Err(text.error(
            &written.span(),
            "a threshold's `count` out of range",
            format!("give a whole number from 1 to {THRESHOLD_COUNT_MAX}"),
        )),
        (_, None) => Err(text.error(
            &written.span(),
            "a threshold's `within` that is no duration, or out of range",
            "give `within = \"60s\"` (ms, s, m, h; bare numbers are seconds), at most 24h",
        )),
    }
}
