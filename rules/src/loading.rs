//! A set in the making: rules are added one by one, and what no single rule can see is checked:
//! names, and how much there is in all.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use crate::compile;
use crate::error::{Error, Text};
use crate::excuses::Sets;
use crate::format::{self, File, WrittenRule, WrittenUnless};
use crate::limits::{NEEDS_MAX, REGEXES_MAX, RULES_MAX};
use crate::need::Need;
use crate::packs;
use crate::prefilter::Prefilter;
use crate::rarity::Rarity;
use crate::rule::{Confirmation, Rule, RuleIndex};
use crate::set::RuleSet;

/// Rules so far.
#[derive(Default)]
pub(crate) struct Loading<'a> {
    /// Built in, for every file.
    sets: Sets,
    rarity: Rarity,
    rules: Vec<Rule>,
    needs: Vec<(RuleIndex, Need)>,
    regexes: usize,
    /// Where each name was met first.
    names: BTreeMap<String, Error>,
    /// Rules that name others, and where.
    confirms: Vec<(RuleIndex, Text<'a>, Range<usize>)>,
}

impl<'a> Loading<'a> {
    /// With the built-in sets of excuses.
    pub(crate) fn new() -> Result<Self, Error> {
        let (source, toml) = packs::EXCUSES;
        let text = Text { source, toml };
        let mut sets = Sets::default().with_file(text, &format::parse(text)?)?;
        sets.prepare(&packs::COMMON_EXCUSES);
        Ok(Self {
            sets,
            ..Self::default()
        })
    }

    /// Checks, compiles and adds a file's rules behind all others.
    pub(crate) fn add(&mut self, text: Text<'a>) -> Result<(), Error> {
        let file: File = format::parse(text)?;
        for set in file.excuse.values() {
            self.count_regexes(text, &set.span(), regexes_of(set.get_ref()))?;
        }
        let sets = self.sets.with_file(text, &file)?;
        for written in file.rule {
            self.add_rule(text, written, &sets)?;
        }
        Ok(())
    }

    fn add_rule(
        &mut self,
        text: Text<'a>,
        written: Spanned<WrittenRule>,
        sets: &Sets,
    ) -> Result<(), Error> {
        let span = written.span();
        within(text, &span, "rules", self.rules.len() + 1, RULES_MAX)?;
        let rule = written.get_ref();
        self.count_regexes(text, &span, rule.regexes.len() + regexes_of(&rule.unless))?;
        let compiled = compile::rule(text, written, sets, &self.rarity)?;
        within(
            text,
            &span,
            "literals",
            self.needs.len() + compiled.needs.len(),
            NEEDS_MAX,
        )?;
        self.add_name(text, &compiled.rule.name, &compiled.name_span)?;
        let index = self.rules.len();
        if let Some(span) = compiled.confirm_span {
            self.confirms.push((index, text, span));
        }
        self.needs
            .extend(compiled.needs.into_iter().map(|need| (index, need)));
        self.rules.push(compiled.rule);
        Ok(())
    }

    fn count_regexes(
        &mut self,
        text: Text<'_>,
        span: &Range<usize>,
        more: usize,
    ) -> Result<(), Error> {
        self.regexes += more;
        within(text, span, "regexes", self.regexes, REGEXES_MAX)
    }

    fn add_name(&mut self, text: Text<'_>, name: &str, span: &Range<usize>) -> Result<(), Error> {
        if let Some((source, line, _)) = self.names.get(name).and_then(Error::position) {
            return Err(text.error(
                span,
                format!("a second rule named `{name}`; the first is in {source}, line {line}"),
                "rename one of them",
            ));
        }
        self.names.insert(name.to_owned(), text.error(span, "", ""));
        Ok(())
    }

    /// A rule that waits for one that does not exist would wait for ever.
    fn check_confirms(&self) -> Result<(), Error> {
        for (index, text, span) in &self.confirms {
            let rule = &self.rules[*index];
            let by = rule.confirm.iter().flat_map(|confirm| &confirm.by);
            for confirmation in by {
                let Confirmation::Rule(name) = confirmation else {
                    continue;
                };
                if *name == rule.name {
                    return Err(text.error(
                        span,
                        format!("rule `{name}` confirms itself"),
                        "name another rule, or use `threshold`",
                    ));
                }
                if !self.names.contains_key(name) {
                    return Err(text.error(
                        span,
                        format!("a confirmation by rule `{name}`, which there is not"),
                        "name a rule of the packs and files in the setting",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Compiles what all rules share; the scan looks for `words` besides.
    pub(crate) fn finish(self, words: &[&[u8]]) -> Result<RuleSet, Error> {
        self.check_confirms()?;
        let words: Vec<Need> = words.iter().filter_map(|word| Need::new(word)).collect();
        let prefilter = Prefilter::new(&self.needs, &words, &self.rarity);
        Ok(RuleSet {
            rules: self.rules,
            prefilter,
        })
    }
}

fn regexes_of(unless: &WrittenUnless) -> usize {
    unless.regexes.len() + unless.before.len()
}

fn within(
    text: Text<'_>,
    span: &Range<usize>,
    things: &str,
    count: usize,
    limit: usize,
) -> Result<(), Error> {
    if count <= limit {
        return Ok(());
    }
    Err(text.error(
        span,
        format!("more than {limit} {things} in all packs and files"),
        "leave packs or rules out",
    ))
}
