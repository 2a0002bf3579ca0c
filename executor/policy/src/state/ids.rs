//! Intent ids that were answered, each with its current answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{AttemptId, Gate, IDS_MAX, PendingKey, Timestamp, Verdict};

#[derive(Debug, Clone, Default)]
pub(crate) struct Ids {
    known: BTreeMap<Arc<str>, Known>,
    /// By when they are forgotten.
    order: BTreeSet<(Timestamp, Arc<str>)>,
    /// Forgotten before their time. Not state.
    pub(crate) forgotten: Forgotten,
}

/// Ids that had to go before their time, as far as this process has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Forgotten {
    pub(crate) count: u64,
    /// The newest.
    pub(crate) at: Option<Timestamp>,
}

impl PartialEq for Ids {
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known
    }
}

impl Eq for Ids {}

/// The current answer for one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) until: Timestamp,
    /// While it is pending: which.
    pub(crate) key: Option<PendingKey>,
    pub(crate) verdict: Verdict,
    pub(crate) gate: Option<Gate>,
    pub(crate) detail: String,
    pub(crate) attempt: Option<AttemptId>,
}

impl Ids {
    pub(crate) fn get(&self, id: &str, now: Timestamp) -> Option<&Known> {
        self.known.get(id).filter(|known| now < known.until)
    }

    pub(crate) fn insert(&mut self, now: Timestamp, id: &str, known: Known) {
        let id: Arc<str> = match self.known.get_key_value(id) {
            Some((id, old)) => {
                let id = id.clone();
                self.order.remove(&(old.until, id.clone()));
                id
            }
            None => id.into(),
        };
        self.order.insert((known.until, id.clone()));
        self.known.insert(id, known);
        while self.known.len() > IDS_MAX {
            self.pop();
            self.forgotten = Forgotten {
                count: self.forgotten.count + 1,
                at: Some(now),
            };
        }
    }

    /// Every id of a pending target gets a new answer; `set` may clear the key.
    pub(crate) fn update(&mut self, key: &PendingKey, mut set: impl FnMut(&mut Known)) {
        for known in self.known.values_mut() {
            if known.key.as_ref() == Some(key) {
                set(known);
            }
        }
    }

    pub(crate) fn forget_until(&mut self, now: Timestamp) {
        while self.order.first().is_some_and(|(until, _)| *until <= now) {
            self.pop();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Known)> {
        self.known.iter().map(|(id, known)| (&**id, known))
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    fn pop(&mut self) {
        if let Some((_, id)) = self.order.pop_first() {
            self.known.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(ms: u64) -> Known {
        Known {
            until: Timestamp(ms),
            key: None,
            verdict: Verdict::Noted,
            gate: None,
            detail: String::new(),
            attempt: None,
        }
    }

    #[test]
    fn an_id_is_forgotten_at_its_time() {
        let mut ids = Ids::default();
        ids.insert(Timestamp(0), "a", until(10));
        assert!(ids.get("a", Timestamp(9)).is_some());
        assert!(ids.get("a", Timestamp(10)).is_none());
        ids.forget_until(Timestamp(9));
        assert_eq!(ids.len(), 1);
        ids.forget_until(Timestamp(10));
        assert_eq!(ids.len(), 0);
    }

    #[test]
    fn a_new_answer_replaces_the_old_and_its_time() {
        let mut ids = Ids::default();
        ids.insert(Timestamp(0), "a", until(10));
        ids.insert(Timestamp(0), "a", until(20));
        ids.forget_until(Timestamp(10));
        assert!(ids.get("a", Timestamp(19)).is_some());
    }

    #[test]
    fn beyond_the_limit_the_one_that_ends_soonest_goes() {
        let mut ids = Ids::default();
        for n in 0..=IDS_MAX as u64 {
            ids.insert(Timestamp(n), &n.to_string(), until(1_000 + n));
        }
        assert_eq!(ids.len(), IDS_MAX);
        let newest = Some(Timestamp(IDS_MAX as u64));
        assert_eq!((ids.forgotten.count, ids.forgotten.at), (1, newest));
        assert!(ids.get("0", Timestamp(0)).is_none());
        assert!(ids.get("1", Timestamp(0)).is_some());
    }
}
