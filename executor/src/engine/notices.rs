//! What has happened, handed to those who tell people: the event, and what the
//! policy knows beside it.

use policy::{Event, Look};

use super::Engine;
use super::intents::WaitingIntent;
use crate::docker::Docker;
use crate::notify::{Facts, is_told, notice, target_of};

impl<D: Docker + 'static> Engine<D> {
    pub(super) fn notify(&self, event: &Event) {
        if !self.notifications.is_on() || !is_told(event) {
            return;
        }
        let now = self.clock.now();
        let target = target_of(event);
        let status = (!target.is_empty()).then(|| self.policy.target_status(now, target));
        let attempt = match event {
            Event::Restarting { attempt, .. } | Event::Ended { attempt, .. } => {
                self.policy.attempt(*attempt)
            }
            _ => status.as_ref().and_then(|status| status.last.clone()),
        };
        let why = match event {
            Event::Decided { rule, .. } | Event::EndedUnseen { rule, .. } => {
                self.notifications.why(target, rule)
            }
            _ => None,
        };
        let facts = Facts {
            now,
            recovery: self.policy.config().target(target).recovery,
            evidence: attempt.as_ref().and_then(|view| self.evidence.path(view)),
            sample: self.notifications.sample(target),
            status,
            attempt,
            why,
        };
        if let Some(notice) = notice(event, facts) {
            self.notifications.hear(notice);
        }
    }

    /// Keeps an intent's log line for what is told of its target.
    pub(super) fn remember_sample(&self, waiting: &WaitingIntent, look: &Look) {
        if let (Some(sample), Look::Found(facts)) = (&waiting.sample, look) {
            self.notifications.remember_sample(&facts.name, sample);
        }
    }
}
