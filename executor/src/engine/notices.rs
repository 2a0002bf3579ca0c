//! What has happened, handed to those who tell people: the event, and what the
//! policy knows beside it.

use policy::{AttemptView, Event, Gate, Look, Outcome, Verdict};

use super::Engine;
use super::intents::WaitingIntent;
use crate::docker::Docker;
use crate::notify::{Facts, is_told, notice, target_of};

impl<D: Docker + 'static> Engine<D> {
    pub(super) fn notify(&self, event: &Event) {
        if !self.notifications.is_on() || !is_told(event) || self.is_told_already(event) {
            return;
        }
        let now = self.clock.now();
        let target = target_of(event);
        let status = (!target.is_empty()).then(|| self.policy.target_status(now, target));
        let attempt = match event {
            Event::Restarting { attempt, .. }
            | Event::Healing { attempt, .. }
            | Event::NextMeasure { attempt, .. }
            | Event::Ended { attempt, .. } => self.policy.attempt(*attempt),
            Event::Decided { decided, .. } if decided.attempt.is_some() => {
                decided.attempt.and_then(|id| self.policy.attempt(id))
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
            sample: self.sample(event, target, attempt.as_ref()),
            status,
            is_being_healed: self.policy.is_being_healed(target),
            attempt,
            why,
        };
        if let Some(notice) = notice(event, facts) {
            let ends = notice.ends_incident();
            self.notifications.hear(notice);
            if ends {
                self.notifications.forget_samples(target);
            }
        }
    }

    /// Each match of a container that shares the network of one that is no more is refused
    /// for good: people hear of it once.
    fn is_told_already(&self, event: &Event) -> bool {
        let Event::Decided {
            target, decided, ..
        } = event
        else {
            return false;
        };
        (decided.verdict, decided.gate) == (Verdict::Refused, Some(Gate::Dependency))
            && !self.looks.relatives.is_loss_news(target)
    }

    /// What a command printed that did not end well, where that is what the step is about;
    /// else what the match stands on. A person's request stands on neither.
    fn sample(&self, event: &Event, target: &str, attempt: Option<&AttemptView>) -> Option<String> {
        let has_failed = |a: &&AttemptView| a.outcome == Some(Outcome::Failed);
        let by_command = match event {
            Event::NextMeasure { .. } => attempt,
            Event::Ended { .. } | Event::Held { .. } => attempt.filter(has_failed),
            _ => None,
        };
        let is_of_attempt = matches!(
            event,
            Event::Restarting { .. } | Event::Healing { .. } | Event::Ended { .. }
        );
        if is_of_attempt && attempt.is_some_and(|a| a.rule.is_none()) {
            return None;
        }
        by_command
            .and_then(|a| self.notifications.printed(a.attempt))
            .or_else(|| {
                let rule = match event {
                    Event::Decided { rule, .. }
                    | Event::Escalated { rule, .. }
                    | Event::EndedUnseen { rule, .. } => Some(rule),
                    _ => attempt.and_then(|a| a.rule.as_ref()),
                };
                self.notifications.sample(target, rule?)
            })
    }

    /// Keeps an intent's log line for what is told of its target.
    pub(super) fn remember_sample(&self, waiting: &WaitingIntent, look: &Look) {
        if let (Some(sample), Look::Found(facts)) = (&waiting.sample, look) {
            let rule = &waiting.input.rule;
            self.notifications
                .remember_sample(&facts.name, rule, sample);
        }
    }
}
