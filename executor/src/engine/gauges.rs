//! What the metrics say of how things stand, and of how incidents end.

use policy::{Event, TargetState};

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
        let is_for_a_person = matches!(event, Event::Escalated { .. } | Event::EndedUnseen { .. });
        if is_for_a_person || self.escalates(event) {
            metrics.escalated();
        }
        let now = self.clock.now();
        let is_under_way = match event {
            Event::PendingEnded { target, .. } => {
                let state = self.policy.target_status(now, target).state;
                matches!(state, TargetState::Restarting | TargetState::Watched)
            }
            _ => false,
        };
        if let Some((end, ms)) = self.incidents.hear(now.at, event, is_under_way) {
            metrics.incident_ended(end, ms as f64 / 1_000.0);
        }
    }

    /// Whether a hold is the last measure of an attempt's remedy.
    fn escalates(&self, event: &Event) -> bool {
        let Event::Ended {
            attempt, target, ..
        } = event
        else {
            return false;
        };
        let view = self.policy.attempt(*attempt);
        let last = view.as_ref().and_then(|view| view.measures.last());
        let is_last = last.is_some_and(|last| last == "escalate");
        let status = || self.policy.target_status(self.clock.now(), target);
        is_last && status().held.is_some()
    }
}
