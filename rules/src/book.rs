//! What rules call for, without what they look for: all that the executor asks them.
//!
//! Compiling the patterns of the built-in packs takes longer than the rest of the executor's
//! start, and they are compiled in this crate's own tests. So packs alone are only read; as soon
//! as a file is among them everything is compiled once, so that a wrong file is refused here,
//! too, and dropped again.

use std::collections::{BTreeMap, BTreeSet};

use crate::compile;
use crate::error::{Error, Text};
use crate::format;
use crate::rule::{Confirm, Confirmation, Remedy, Rule, Threshold};
use crate::set::RuleSet;
use crate::source::{self, Source};

/// What a match of one rule calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// See [`Remedy`].
    pub remedy: Remedy,
    /// None: the first match counts.
    pub threshold: Option<Threshold>,
    /// None: the match alone is enough.
    pub confirm: Option<Confirm>,
}

impl From<&Rule> for Call {
    fn from(rule: &Rule) -> Self {
        Self {
            remedy: rule.remedy,
            threshold: rule.threshold,
            confirm: rule.confirm.clone(),
        }
    }
}

/// The rules of one `Rules` setting by name, without their patterns.
#[derive(Debug)]
pub struct RuleBook {
    calls: BTreeMap<String, Call>,
    /// Names of the rules that another one takes for a confirmation.
    confirming: BTreeSet<String>,
}

impl RuleBook {
    /// Loads what [`RuleSet::load`] would load.
    ///
    /// # Errors
    ///
    /// Those of [`RuleSet::load`].
    pub fn load(setting: &str) -> Result<Self, Error> {
        let sources = source::read_all(setting)?;
        if sources.iter().all(|source| source.is_pack)
            && let Some(calls) = read_only(&sources)?
        {
            return Ok(Self::of(calls));
        }
        let set = RuleSet::from_sources(&sources)?;
        let calls = set
            .rules()
            .iter()
            .map(|rule| (rule.name.clone(), Call::from(rule)));
        Ok(Self::of(calls.collect()))
    }

    fn of(calls: BTreeMap<String, Call>) -> Self {
        let confirms = calls.values().filter_map(|call| call.confirm.as_ref());
        let named = confirms
            .flat_map(|confirm| &confirm.by)
            .filter_map(|by| match by {
                Confirmation::Rule(name) => Some(name.clone()),
                Confirmation::Unhealthy | Confirmation::Exit => None,
            });
        let confirming = named.collect();
        Self { calls, confirming }
    }

    /// The rules' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.calls.keys().map(String::as_str)
    }

    /// Whether a match of this rule may confirm another rule's.
    pub fn confirms(&self, name: &str) -> bool {
        self.confirming.contains(name)
    }

    /// What a rule calls for, by its name.
    pub fn find(&self, name: &str) -> Option<&Call> {
        self.calls.get(name)
    }
}

/// None where two rules have one name: the whole load words that error.
fn read_only(packs: &[Source]) -> Result<Option<BTreeMap<String, Call>>, Error> {
    let mut calls = BTreeMap::new();
    for pack in packs {
        let text = Text {
            source: &pack.name,
            toml: &pack.toml,
        };
        for written in format::parse(text)?.rule {
            let written = written.into_inner();
            let threshold = written
                .threshold
                .map(|written| compile::threshold(text, &written))
                .transpose()?;
            let confirm = written
                .confirm
                .map(|written| compile::confirm(text, &written))
                .transpose()?;
            let call = Call {
                remedy: written.remedy,
                threshold,
                confirm,
            };
            if calls.insert(written.name.into_inner(), call).is_some() {
                return Ok(None);
            }
        }
    }
    Ok(Some(calls))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(setting: &str) {
        let set = RuleSet::load(setting).unwrap();
        let book = RuleBook::load(setting).unwrap();
        assert_eq!(book.calls.len(), set.rules().len());
        for rule in set.rules() {
            assert_eq!(book.find(&rule.name), Some(&Call::from(rule)));
        }
        assert_eq!(book.find("no-such-rule"), None);
    }

    #[test]
    fn the_book_says_what_the_set_says() {
        for pack in crate::pack_names() {
            same(pack);
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("own.toml");
        let rule = "[[rule]]\nname = \"own\"\nsummary = \"s\"\nremedy = \"note\"\n\
                    literals = [\"gone wrong\"]\nthreshold = { count = 3, within = \"60s\" }\n";
        std::fs::write(&file, rule).unwrap();
        same(file.to_str().unwrap());
        same(&format!("gpu,{}", file.display()));
    }

    #[test]
    fn it_knows_what_confirms_a_rule_and_which_rules_confirm_others() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("own.toml");
        let rule = "[[rule]]\nname = \"own\"\nsummary = \"s\"\nremedy = \"note\"\n\
                    literals = [\"gone wrong\"]\n\
                    confirm = { by = [\"exit\", \"rule:cuda-oom\"], within = \"9s\" }\n";
        std::fs::write(&file, rule).unwrap();
        let setting = format!("gpu,{}", file.display());
        same(&setting);
        let book = RuleBook::load(&setting).unwrap();
        let confirm = book.find("own").and_then(|call| call.confirm.clone());
        let by = vec![
            Confirmation::Exit,
            Confirmation::Rule("cuda-oom".to_owned()),
        ];
        assert_eq!(
            confirm,
            Some(Confirm {
                by,
                within_ms: 9_000
            })
        );
        assert!(book.confirms("cuda-oom"));
        assert!(!book.confirms("own"));
    }

    #[test]
    fn what_the_set_refuses_the_book_refuses_in_the_same_words() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("own.toml");
        let rule =
            "[[rule]]\nname = \"own\"\nsummary = \"s\"\nremedy = \"note\"\nregexes = ['(']\n";
        std::fs::write(&file, rule).unwrap();
        for setting in [
            "",
            "gpu,gpu",
            "gpu,,gpu",
            "nonsense",
            file.to_str().unwrap(),
        ] {
            let (book, set) = (RuleBook::load(setting), RuleSet::load(setting));
            assert_eq!(book.unwrap_err().to_string(), set.unwrap_err().to_string());
        }
    }
}
