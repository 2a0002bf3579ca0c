//! Which containers are watched at all, and which would be but for what has them off.

use std::collections::{BTreeMap, BTreeSet};

use policy::{LABEL_ENABLE, Off, off};

use super::WATCHED_MAX;

/// How a container stands, judged as the gates judge it: by name and labels.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Candidate {
    /// Nobody says anything of it, or the configuration itself has it off.
    No,
    /// Named or labelled, and off by what it is itself, not by the configuration alone.
    Off(Off),
    MayBeHealed,
}

impl Candidate {
    pub(super) fn of(
        config: &policy::Config,
        id: &str,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Self {
        let is_candidate =
            config.targets.contains_key(name) || labels.keys().any(|label| label == LABEL_ENABLE);
        if !is_candidate || id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Self::No;
        }
        // The configuration's own word would be kept beyond a reload that changes it.
        let is_named_off =
            || config.targets.contains_key(name) && off(config, name, &BTreeMap::new()).is_some();
        match off(config, name, labels) {
            Some(_) if is_named_off() => Self::No,
            Some(off) => Self::Off(off),
            None => Self::MayBeHealed,
        }
    }
}

/// The containers that their labels have off, for people; at most [`WATCHED_MAX`].
#[derive(Debug, Default)]
pub(super) struct OffNames {
    by_name: BTreeMap<String, Off>,
    /// Seen since the list under way was asked for.
    seen: BTreeSet<String>,
}

impl OffNames {
    pub(super) fn list_began(&mut self) {
        self.seen.clear();
    }

    pub(super) fn see(&mut self, name: &str, off: Off) {
        if self.by_name.len() < WATCHED_MAX || self.by_name.contains_key(name) {
            self.by_name.insert(name.to_owned(), off);
            self.seen.insert(name.to_owned());
        }
    }

    /// Something else bears this name now.
    pub(super) fn forget(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// All that were not seen are gone.
    pub(super) fn list_ended(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        self.by_name.retain(|name, _| seen.contains(name));
    }

    pub(super) fn all(&self) -> &BTreeMap<String, Off> {
        &self.by_name
    }
}
