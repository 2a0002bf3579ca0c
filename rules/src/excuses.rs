//! Sets of excuses that rules share by name: built-in ones, and those of the rule's own file.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::compile;
use crate::error::{Error, Text};
use crate::format::{File, Written, WrittenRule};
use crate::limits::{EXCUSE_SETS_MAX, NAME_BYTES_MAX};
use crate::matcher::{Excuse, Together};

/// The set that does not excuse a sticky rule.
pub(crate) const RECOVERY: &str = "recovery";

/// The sets that the rules of one file may name, each compiled once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sets {
    by_name: BTreeMap<String, Arc<Excuse>>,
    /// What the file says for each of its rules.
    default: Shared,
    /// The same for those that are sticky.
    sticky: Shared,
    /// The lists that most rules name, made once.
    common: Vec<Shared>,
}

/// Sets of one rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    pub(crate) sets: Vec<Arc<Excuse>>,
    pub(crate) together: Option<Arc<Together>>,
}

impl Shared {
    fn is_of(&self, sets: &[Arc<Excuse>]) -> bool {
        let pairs = self.sets.iter().zip(sets);
        self.sets.len() == sets.len() && pairs.into_iter().all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

impl Sets {
    /// These and the file's own.
    pub(crate) fn with_file(&self, text: Text<'_>, file: &File) -> Result<Self, Error> {
        let mut sets = self.clone();
        if let Some(one_too_many) = file.excuse.values().nth(EXCUSE_SETS_MAX) {
            return Err(text.error(
                &one_too_many.span(),
                format!("more than {EXCUSE_SETS_MAX} sets of excuses in one file"),
                "merge some of them",
            ));
        }
        for (name, written) in &file.excuse {
            let refuse =
                |problem: String, advice| Err(text.error(&written.span(), problem, advice));
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                return refuse(
                    format!("a set of excuses named `{name}`"),
                    "give it a short name",
                );
            }
            let set = compile::excuse(text, &written.span(), name, written.get_ref())?;
            if set.is_empty() {
                return refuse(
                    format!("the set of excuses `{name}` is empty"),
                    "give it literals, regexes, before or severity",
                );
            }
            if sets.by_name.insert(name.clone(), Arc::new(set)).is_some() {
                return refuse(
                    format!("the set of excuses `{name}` is built in"),
                    "give it another name",
                );
            }
        }
        let default = sets.named(text, &file.excuses)?;
        let mut sticky = default.clone();
        sticky.retain(|set| set.name != RECOVERY);
        (sets.default, sets.sticky) = (sets.shared(default), sets.shared(sticky));
        Ok(sets)
    }

    /// What excuses a rule: what it names, else what its file does; of these not `recovery` if
    /// the rule is sticky.
    pub(crate) fn of_rule(&self, text: Text<'_>, rule: &WrittenRule) -> Result<Shared, Error> {
        let Some(names) = &rule.excuses else {
            let shared = if rule.sticky {
                &self.sticky
            } else {
                &self.default
            };
            return Ok(shared.clone());
        };
        let recovery = names.iter().find(|name| name.get_ref() == RECOVERY);
        if let (true, Some(name)) = (rule.sticky, recovery) {
            return Err(text.error(
                &name.span(),
                format!("a sticky rule that `{RECOVERY}` excuses"),
                format!("remove `{RECOVERY}` or `sticky`: they say the opposite of each other"),
            ));
        }
        Ok(self.shared(self.named(text, names)?))
    }

    /// Prepares the list that these sets, in this order, make, and the same without what
    /// excuses no sticky rule. To prepare every list that a rule may name would cost more at
    /// each start than it saves.
    pub(crate) fn prepare(&mut self, names: &[&str]) {
        let named = names
            .iter()
            .filter_map(|name| self.by_name.get(*name).cloned());
        let all: Vec<Arc<Excuse>> = named.collect();
        let mut sticky = all.clone();
        sticky.retain(|set| set.name != RECOVERY);
        for sets in [all, sticky] {
            let together = Together::new(&sets).map(Arc::new);
            self.common.push(Shared { sets, together });
        }
    }

    fn shared(&self, sets: Vec<Arc<Excuse>>) -> Shared {
        let common = self.common.iter().find(|shared| shared.is_of(&sets));
        common.cloned().unwrap_or(Shared {
            sets,
            together: None,
        })
    }

    fn named(&self, text: Text<'_>, names: &[Written]) -> Result<Vec<Arc<Excuse>>, Error> {
        let one = |name: &Written| {
            self.by_name.get(name.get_ref()).cloned().ok_or_else(|| {
                let known: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
                text.error(
                    &name.span(),
                    format!("unknown set of excuses `{}`", name.get_ref()),
                    format!("there are: {}; or write `[excuse.NAME]`", known.join(", ")),
                )
            })
        };
        names.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::packs;
    use crate::set::RuleSet;

    #[test]
    fn the_lists_that_the_packs_name_are_read_together() {
        let gpu = RuleSet::load("gpu").expect("it loads");
        let several = |names: &[String]| names.len() > 1;
        let slow: Vec<&str> = gpu
            .rules()
            .iter()
            .filter(|rule| several(&rule.excuses) && rule.matcher.together.is_none())
            .map(|rule| &*rule.name)
            .collect();
        assert!(slow.len() <= 2, "read one by one: {slow:?}");
        let all = packs::COMMON_EXCUSES.map(String::from);
        assert!(gpu.rules().iter().any(|rule| rule.excuses == all));
    }
}
