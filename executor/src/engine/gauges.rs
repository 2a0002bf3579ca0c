//! What the metrics say of how things stand, and of how incidents end.

use policy::{Event, Outcome};

use super::Engine;
use crate::docker::Docker;

impl<D: Docker + 'static> Engine<D> {
    /// Brings the gauges up to date.
    pub(super) fn show(&mut self) {
        let now = self.clock.now();
        let counts = self.policy.counts(now);
        self.site.metrics.set_targets(counts.pending, counts.held);
        let outlook = self.site.metrics.outlook();
        outlook.set_targets_held_back(counts.held_back);
        self.site.metrics.set_storm(counts.storm);
        self.site.metrics.set_attempts_in_flight(counts.in_progress);
        self.site.metrics.set_ids_forgotten(counts.ids_forgotten);
        self.ids_told.tell(now.at, counts.ids_forgotten);
        self.site.health.set_policy(self.policy.not_ready(now));
    }

    /// Counts what an event ends, and whom it hands over.
    pub(super) fn count_incident(&mut self, event: &Event) {
        let metrics = self.site.metrics.measures();
        if is_for_a_person(event) {
            metrics.escalated();
        }
        let goes_on = match event {
            // The hold that is told next ends it.
            Event::Ended {
                target,
                outcome: Outcome::Unknown,
                ..
            } => self.policy.is_held(target) || self.policy.is_being_healed(target),
            Event::Ended { target, .. } | Event::PendingEnded { target, .. } => {
                self.policy.is_being_healed(target)
            }
            _ => false,
        };
        let now = self.clock.now();
        if let Some((end, ms)) = self.incidents.hear(now.at, event, goes_on) {
            metrics.incident_ended(end, ms as f64 / 1_000.0);
        }
    }
}

/// Whether it hands a target over by what its remedy says, not because nothing has helped.
fn is_for_a_person(event: &Event) -> bool {
    match event {
        Event::Escalated { .. } | Event::EndedUnseen { .. } => true,
        Event::Held { escalates, .. } => *escalates,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_counts_as_an_escalation_only_where_its_remedy_says_so() {
        let held = |escalates| Event::Held {
            target: "app".into(),
            why: "1 restart without recovery".into(),
            escalates,
        };
        let escalated = Event::Escalated {
            target: "app".into(),
            rule: "xid".into(),
            held: true,
        };
        for (event, is_one) in [(held(true), true), (held(false), false), (escalated, true)] {
            assert_eq!(is_for_a_person(&event), is_one, "{event:?}");
        }
    }
}
