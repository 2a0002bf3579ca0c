//! What happened, told once: log line, counter, report files, and the person
//! who waits for it, all from one event so that they cannot differ.
//!
//! Log text, container output and secrets never go into these lines: Fluent
//! Bit may tail them.

use policy::{AttemptId, Called, Decided, Event, Gate, Outcome, Verdict};

use super::intents::wire_decision;
use super::{Engine, UNKNOWN_RULES_TOLD_MAX};
use crate::docker::Docker;
use crate::metrics::SocketName;
use crate::report::ReportInput;

impl<D: Docker + 'static> Engine<D> {
    pub(super) fn tell(&mut self, event: &Event) {
        match event {
            Event::Restarting {
                attempt,
                target,
                container_id,
            } => {
                let id = short(container_id);
                tracing::info!(
                    attempt,
                    target,
                    container = id,
                    "Restarting container '{target}' ..."
                );
            }
            Event::Restarted {
                attempt,
                target,
                container_id,
            } => {
                tracing::info!(
                    attempt,
                    target,
                    container = short(container_id),
                    "Restart complete."
                );
                self.report(*attempt, "restarted");
            }
            Event::Ended {
                attempt,
                target,
                outcome,
                detail,
            } => self.tell_end(*attempt, target, *outcome, detail),
            Event::Decided {
                target,
                rule,
                decided,
            } => self.tell_decision(target, rule, decided),
            Event::PendingEnded { target, why } => {
                tracing::info!(target, "no longer pending: {why}");
            }
            Event::Escalated { target, rule } => {
                tracing::error!(
                    target,
                    rule,
                    "a restart cannot cure this: a person is needed"
                );
            }
            Event::Held { target, why } => {
                tracing::error!(
                    target,
                    "held, no more restarts until `healer resume {target}`: {why}"
                );
            }
            Event::Released { target, by } => tracing::info!(target, "released by {by}"),
            Event::LabelIgnored {
                target,
                label,
                value,
                why,
            } => {
                tracing::warn!(target, label, value, "label ignored: {why}");
            }
        }
        self.answer_watched(event);
    }

    /// A call without success, as soon as it is known: what becomes of its
    /// attempt may take minutes.
    pub(super) fn tell_called(&self, attempt: AttemptId, called: &Called) {
        let view = self.policy.attempt(attempt);
        let target = view.map(|view| view.target).unwrap_or_default();
        match called {
            Called::Done => {}
            Called::Refused { status, message } => tracing::warn!(
                attempt,
                target,
                "the engine refused the call ({status}): {message}; looking at the container"
            ),
            Called::Unclear { why } => {
                self.site.metrics.socket_error(SocketName::Docker);
                tracing::warn!(
                    attempt,
                    target,
                    "the call has no clear answer: {why}; looking at the container"
                );
            }
        }
    }

    fn tell_end(&self, attempt: AttemptId, target: &str, outcome: Outcome, detail: &str) {
        self.site.metrics.attempt_ended(outcome);
        match outcome {
            Outcome::Recovered => tracing::info!(attempt, target, "recovered: {detail}"),
            Outcome::Aborted => tracing::info!(attempt, target, "aborted: {detail}"),
            Outcome::Relapsed => tracing::warn!(attempt, target, "relapsed: {detail}"),
            Outcome::Failed => tracing::error!(attempt, target, "failed: {detail}"),
            Outcome::Unknown => tracing::warn!(attempt, target, "outcome unknown: {detail}"),
        }
    }

    fn tell_decision(&mut self, target: &str, rule: &str, decided: &Decided) {
        self.site
            .metrics
            .decided(wire_decision(decided.verdict), decided.gate);
        let (gate, detail) = (
            decided.gate.map_or("", |gate| gate.as_str()),
            &decided.detail,
        );
        if decided.gate == Some(Gate::UnknownRule)
            && self.unknown_rules_told.len() < UNKNOWN_RULES_TOLD_MAX
            && self.unknown_rules_told.insert(rule.to_owned())
        {
            tracing::error!(
                rule,
                "intents name a rule that this executor does not know: give its `rules` and \
                 the plugin's `Rules` the same"
            );
        }
        match decided.verdict {
            Verdict::Refused => tracing::info!(target, rule, gate, "{detail} — skipping."),
            Verdict::Pending => {
                tracing::info!(target, rule, gate, "{detail} — deciding again later.")
            }
            Verdict::Noted => tracing::info!(target, rule, "noted"),
            // Both have an event of their own.
            Verdict::Restart | Verdict::Escalated => {}
        }
    }

    /// Report files are views: they follow the restart and never hold it up.
    fn report(&mut self, attempt: AttemptId, result: &str) {
        let Some(view) = self.policy.attempt(attempt) else {
            return;
        };
        self.site.metrics.restarted(view.charged_wall_ms / 1_000);
        if let Some(ms) = view.duration_ms {
            self.site.metrics.attempt_answered(ms as f64 / 1_000.0);
        }
        self.reports.write(ReportInput {
            charged_wall_ms: view.charged_wall_ms,
            now_wall_ms: self.clock.now().wall_ms,
            host: self.host.clone(),
            target: view.target,
            container_id: view.container_id,
            cooldown_sec: view.limits.cooldown_ms / 1_000,
            window_sec: view.limits.window_ms / 1_000,
            window_count: view.window_count,
            hist: view.window_epochs,
            attempt,
            result: result.to_owned(),
            rule: view.rule,
            duration_ms: view.duration_ms,
        });
    }
}

/// Docker's short form of an id.
fn short(container_id: &str) -> &str {
    container_id.get(..12).unwrap_or(container_id)
}
