//! Which containers somebody is asking to end: the events of the engine tell of it, an inspect
//! does not.
//!
//! Keeps true: only what may end a container is kept, at most [`KEPT_MAX`], and forgotten once
//! it has ended, started anew, or gone on for longer than any stop takes.
//!
//! Not here: who asked (the policy knows its own calls), and what follows.

use std::cell::RefCell;
use std::collections::BTreeMap;

use policy::{Timestamp, stop_wait_ms};

use super::watch::is_ending;
use crate::docker::{Event, What};

/// Most containers that are kept; beyond it those asked first go.
const KEPT_MAX: usize = 4_096;
/// As a container that waits for ever.
const FOR_EVER: Option<i64> = Some(-1);

/// By container id, when it was asked last.
#[derive(Debug, Default)]
pub struct Stops(RefCell<BTreeMap<String, Timestamp>>);

impl Stops {
    /// Takes an event of any container.
    pub(crate) fn take(&self, now: Timestamp, event: &Event) {
        let mut asked = self.0.borrow_mut();
        match event.what {
            What::Kill { signal } if is_ending(signal) => {
                asked.retain(|_, at| now.since(*at) < stop_wait_ms(FOR_EVER));
                if asked.len() >= KEPT_MAX && !asked.contains_key(&event.id) {
                    let first = asked.iter().min_by_key(|(_, at)| **at);
                    if let Some(first) = first.map(|(id, _)| id.clone()) {
                        asked.remove(&first);
                    }
                }
                asked.insert(event.id.clone(), now);
            }
            What::Die { .. } | What::Start | What::Destroy => {
                asked.remove(&event.id);
            }
            _ => {}
        }
    }

    /// When it was asked last to end, and has not since.
    pub(crate) fn asked_at(&self, container_id: &str) -> Option<Timestamp> {
        self.0.borrow().get(container_id).copied()
    }
}

#[cfg(test)]
mod tests {
    use policy::WallTime;

    use super::*;

    fn event(id: &str, what: What) -> Event {
        Event {
            id: id.to_owned(),
            what,
            at: WallTime::from_ms(0),
            name: String::new(),
            attributes: BTreeMap::new(),
        }
    }

    const TERM: What = What::Kill { signal: Some(15) };

    #[test]
    fn a_stop_is_under_way_from_its_signal_to_the_end() {
        for end in [What::Die { exit_code: Some(0) }, What::Start, What::Destroy] {
            let stops = Stops::default();
            stops.take(Timestamp(5), &event("a", What::Kill { signal: Some(1) }));
            assert_eq!(stops.asked_at("a"), None, "a reload is no stop");
            stops.take(Timestamp(6), &event("a", TERM));
            assert_eq!(stops.asked_at("a"), Some(Timestamp(6)));
            assert_eq!(stops.asked_at("b"), None);
            stops.take(Timestamp(7), &event("a", end));
            assert_eq!(stops.asked_at("a"), None, "{end:?}");
        }
    }

    #[test]
    fn a_flood_of_stops_is_forgotten_by_age() {
        let stops = Stops::default();
        for n in 0..=KEPT_MAX {
            let at = Timestamp(u64::try_from(n).expect("small"));
            stops.take(at, &event(&format!("c{n}"), TERM));
        }
        assert_eq!(stops.0.borrow().len(), KEPT_MAX);
        assert_eq!(stops.asked_at("c0"), None);
        let later = Timestamp(KEPT_MAX as u64 + stop_wait_ms(FOR_EVER));
        stops.take(later, &event("new", TERM));
        assert_eq!(stops.0.borrow().len(), 1);
    }
}
