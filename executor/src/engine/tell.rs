//! What happened, told once: log line, counter, report files, and the person
//! who waits for it, all from one event so that they cannot differ.
//!
//! Log text, container output and secrets never go into these lines: Fluent
//! Bit may tail them.

use policy::{AttemptId, Decided, Event, Gate, IDS_MAX, Outcome, Timestamp, Verdict};

use super::intents::wire_decision;
use super::{Engine, UNKNOWN_RULES_TOLD_MAX};
use crate::docker::Docker;
use crate::report::{CallResult, ReportInput};

/// Shortest time between two lines about forgotten ids, ms.
const IDS_TOLD_PAUSE_MS: u64 = 60_000;

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
                self.report(*attempt, CallResult::Restarted);
            }
            Event::Healing { .. } | Event::Executed { .. } | Event::NextMeasure { .. } => {
                self.tell_measure(event);
            }
            Event::Ended {
                attempt,
                target,
                outcome,
                detail,
            } => {
                self.tell_end(*attempt, target, *outcome, detail);
                self.report_end(*attempt, *outcome);
                self.complete_evidence(*attempt);
            }
            Event::Decided {
                target,
                rule,
                decided,
                ..
            } => self.tell_decision(target, rule, decided),
            Event::PendingEnded {
                target,
                why,
                expired,
                ..
            } => tell_pending_end(target, why, *expired),
            Event::LabelIgnored { .. }
            | Event::Escalated { .. }
            | Event::EndedUnseen { .. }
            | Event::Held { .. }
            | Event::Released { .. }
            | Event::Storm { .. }
            | Event::StormEnded { .. } => self.tell_people(event),
        }
        self.count_incident(event);
        self.notify(event);
        self.answer_watched(event);
    }

    /// What a person has to see to, and its end.
    fn tell_people(&self, event: &Event) {
        match event {
            Event::Escalated {
                target,
                rule,
                held: true,
            } => {
                tracing::error!(
                    target,
                    rule,
                    "a restart cannot cure this: a person is needed; held, no restarts until \
                     `healer resume {target}` or verified health (`release_after`)"
                );
            }
            Event::Escalated {
                target,
                rule,
                held: false,
            } => {
                tracing::error!(
                    target,
                    rule,
                    "a restart cannot cure this: a person is needed"
                );
            }
            Event::EndedUnseen { target, rule } => {
                tracing::error!(
                    target,
                    rule,
                    "nobody saw how it ended, so it may have been stopped on purpose: nothing is \
                     started; if it is to run: docker start {target}"
                );
            }
            Event::Held { target, why, .. } => {
                tracing::error!(
                    target,
                    "held, no more restarts until `healer resume {target}` or verified health \
                     (`release_after`): {why}"
                );
            }
            Event::LabelIgnored {
                target,
                label,
                value,
                why,
            } => tracing::warn!(target, label, value, "label ignored: {why}"),
            Event::Released { target, by } => tracing::info!(target, "released by {by}"),
            Event::Storm { why } => {
                self.site.metrics.storm_began();
                tracing::error!(
                    "storm: {why}. Restarts make it worse: none of any target until all is \
                     clear, or `healer resume`"
                );
            }
            Event::StormEnded { by } => {
                tracing::warn!("the storm is over ({by}): targets may be restarted again");
            }
            _ => {}
        }
    }

    fn tell_end(&self, attempt: AttemptId, target: &str, outcome: Outcome, detail: &str) {
        self.site.metrics.attempt_ended(outcome);
        if let Some(ms) = self.policy.recovery_ms(attempt) {
            self.site.metrics.outlook().recovered(ms as f64 / 1_000.0);
        }
        match outcome {
            Outcome::Recovered => tracing::info!(attempt, target, "recovered: {detail}"),
            Outcome::Aborted => tracing::info!(attempt, target, "aborted: {detail}"),
            Outcome::Relapsed => tracing::warn!(attempt, target, "relapsed: {detail}"),
            Outcome::Failed => tracing::error!(attempt, target, "failed: {detail}"),
            Outcome::Unknown => tracing::warn!(attempt, target, "outcome unknown: {detail}"),
            Outcome::Stopped => tracing::warn!(attempt, target, "stopped: {detail}"),
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

    /// What had no restart to report is reported at its end.
    fn report_end(&self, attempt: AttemptId, outcome: Outcome) {
        let result = match outcome {
            Outcome::Failed => CallResult::Failed,
            Outcome::Aborted => CallResult::Aborted,
            Outcome::Recovered | Outcome::Relapsed | Outcome::Unknown | Outcome::Stopped => {
                CallResult::Unknown
            }
        };
        let view = self.policy.attempt(attempt);
        if view.is_some_and(|view| view.restarted_wall_ms.is_none()) {
            self.report(attempt, result);
        }
    }

    /// Report files are views: they follow the call and never hold it up.
    fn report(&self, attempt: AttemptId, result: CallResult) {
        let Some(view) = self.policy.attempt(attempt) else {
            return;
        };
        if result == CallResult::Restarted {
            self.site.metrics.restarted(view.charged_wall_ms / 1_000);
            if let Some(ms) = view.duration_ms {
                self.site.metrics.attempt_answered(ms as f64 / 1_000.0);
            }
        }
        self.reports.write(ReportInput {
            evidence: self.evidence.mention(&view),
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
            result,
            rule: view.rule,
            duration_ms: view.duration_ms,
        });
    }
}

/// Ids that were forgotten before their time, told at most once a minute.
#[derive(Debug, Default)]
pub(super) struct IdsTold {
    count: u64,
    at: Option<Timestamp>,
}

impl IdsTold {
    pub(super) fn tell(&mut self, now: Timestamp, count: u64) {
        if let Some(forgotten) = self.news(now, count) {
            tracing::warn!(
                forgotten,
                "more intents than ids can be kept ({IDS_MAX}): one that is sent again may count \
                 anew; see the rules of what sends so many"
            );
        }
    }

    /// How many have not been told, where it is time to tell them.
    fn news(&mut self, now: Timestamp, count: u64) -> Option<u64> {
        let is_soon = |at: Timestamp| now.since(at) < IDS_TOLD_PAUSE_MS;
        if count == self.count || self.at.is_some_and(is_soon) {
            return None;
        }
        let news = count - self.count;
        (self.count, self.at) = (count, Some(now));
        Some(news)
    }
}

/// One that was given up may still need its restart: a person should look.
fn tell_pending_end(target: &str, why: &str, is_given_up: bool) {
    if is_given_up {
        tracing::warn!(
            target,
            "given up, see whether '{target}' needs a restart: {why}"
        );
    } else {
        tracing::info!(target, "no longer pending: {why}");
    }
}

/// Docker's short form of an id.
fn short(container_id: &str) -> &str {
    container_id.get(..12).unwrap_or(container_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgotten_ids_are_told_at_once_and_then_once_a_minute() {
        let mut told = IdsTold::default();
        let pause = IDS_TOLD_PAUSE_MS;
        for (at, count, news) in [
            (0, 0, None),
            (1, 2, Some(2)),
            (2, 9, None),
            (pause, 9, None),
            (pause + 1, 9, Some(7)),
            (3 * pause, 9, None),
            (3 * pause, 10, Some(1)),
        ] {
            assert_eq!(told.news(Timestamp(at), count), news, "{at} {count}");
        }
    }
}
