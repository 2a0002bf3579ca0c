//! Sets of excuses that rules share by name: built-in ones, and those of the rule's own file.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::compile;
use crate::error::{Error, Text};
use crate::format::{File, Written, WrittenRule};
use crate::limits::{EXCUSE_SETS_MAX, NAME_BYTES_MAX};
use crate::matcher::Excuse;

/// The set that does not excuse a sticky rule.
pub(crate) const RECOVERY: &str = "recovery";

/// The sets that the rules of one file may name, each compiled once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sets {
    by_name: BTreeMap<String, Arc<Excuse>>,
    /// What the file says for each of its rules.
    default: Vec<Arc<Excuse>>,
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
        sets.default = sets.named(text, &file.excuses)?;
        Ok(sets)
    }

    /// What excuses a rule: what it names, else what its file does; of these not `recovery` if
    /// the rule is sticky.
    pub(crate) fn of_rule(
        &self,
        text: Text<'_>,
        rule: &WrittenRule,
    ) -> Result<Vec<Arc<Excuse>>, Error> {
        let Some(names) = &rule.excuses else {
            let stays = |set: &&Arc<Excuse>| !(rule.sticky && set.name == RECOVERY);
            return Ok(self.default.iter().filter(stays).cloned().collect());
        };
        let recovery = names.iter().find(|name| name.get_ref() == RECOVERY);
        if let (true, Some(name)) = (rule.sticky, recovery) {
            return Err(text.error(
                &name.span(),
                format!("a sticky rule that `{RECOVERY}` excuses"),
                format!("remove `{RECOVERY}` or `sticky`: they say the opposite of each other"),
            ));
        }
        self.named(text, names)
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
