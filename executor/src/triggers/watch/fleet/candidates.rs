//! Which containers are watched at all, and which would be but for what has them off.

use std::collections::{BTreeMap, BTreeSet};

use policy::{LABEL_ENABLE, Off, off};

use super::projects::Place;
use super::{Fleet, WATCHED_MAX, Watched};

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

impl Fleet {
    /// Whether it is watched; it is from now on where it may be healed.
    pub(super) fn admit(
        &mut self,
        id: &str,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> bool {
        let candidate = Candidate::of(&self.settings.policy, id, name, labels);
        self.off.forget(name);
        if candidate != Candidate::MayBeHealed {
            if let Candidate::Off(off) = candidate {
                self.off.see(name, off);
            }
            self.remove(id);
            return false;
        }
        if self.watched.len() >= WATCHED_MAX && !self.watched.contains_key(id) {
            self.beyond += 1;
            return false;
        }
        let settings = *self.settings.watch.of(name);
        let watched = self
            .watched
            .entry(id.to_owned())
            .or_insert_with(|| Box::new(Watched::new(Place::of(id, labels), settings)));
        if watched.name != name {
            name.clone_into(&mut watched.name);
        }
        watched.settings = settings;
        true
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
