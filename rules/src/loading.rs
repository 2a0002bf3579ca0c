//! A set in the making: rules are added one by one, and what no single rule can see is checked:
//! names, and how much there is in all.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use crate::compile;
use crate::error::{Error, Text};
use crate::format::WrittenRule;
use crate::limits::{NEEDS_MAX, REGEXES_MAX, RULES_MAX};
use crate::need::Need;
use crate::prefilter::Prefilter;
use crate::rule::{Rule, RuleIndex};
use crate::set::RuleSet;

/// Rules so far.
#[derive(Default)]
pub(crate) struct Loading {
    rules: Vec<Rule>,
    needs: Vec<(RuleIndex, Need)>,
    regexes: usize,
    /// Where each name was met first.
    names: BTreeMap<String, Error>,
}

impl Loading {
    /// Checks, compiles and adds a rule behind all others.
    pub(crate) fn add(
        &mut self,
        text: Text<'_>,
        written: Spanned<WrittenRule>,
    ) -> Result<(), Error> {
        let span = written.span();
        within(text, &span, "rules", self.rules.len() + 1, RULES_MAX)?;
        self.regexes += written.get_ref().regexes.len() + written.get_ref().unless.regexes.len();
        within(text, &span, "regexes", self.regexes, REGEXES_MAX)?;
        let compiled = compile::rule(text, written)?;
        within(
            text,
            &span,
            "literals",
            self.needs.len() + compiled.needs.len(),
            NEEDS_MAX,
        )?;
        self.add_name(text, &compiled.rule.name, &compiled.name_span)?;
        let index = self.rules.len();
        self.needs
            .extend(compiled.needs.into_iter().map(|need| (index, need)));
        self.rules.push(compiled.rule);
        Ok(())
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

    /// Compiles what all rules share.
    pub(crate) fn finish(self) -> Result<RuleSet, Error> {
        let prefilter = Prefilter::new(&self.needs).map_err(|problem| {
            Error::setting(
                format!("the rules cannot be compiled together: {problem}"),
                "leave packs or files out",
            )
        })?;
        Ok(RuleSet {
            rules: self.rules,
            prefilter,
        })
    }
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
