//! The way out: answers nothing new, waits for calls in flight.

use std::collections::BTreeSet;

use executor_api::{AdminAnswer, Answer, Decision, ExitCode};
use policy::{Action, AttemptId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::inbox::{Completion, Message};
use super::{Engine, REPORTS_MAX};
use crate::docker::Docker;

impl<D: Docker + 'static> Engine<D> {
    pub(super) async fn drain(mut self, mut inbox: mpsc::Receiver<Message>) {
        while let Ok(message) = inbox.try_recv() {
            turn_away(message);
        }
        // Intents that still wait for facts: their senders hear `retry`.
        self.intents.clear();
        // No call will need them; what they hold is with the store.
        self.halves.clear();
        let deadline = Instant::now() + self.shutdown_grace;
        // Only those begun here: others' looks may lead to new calls.
        let mut looks_out = BTreeSet::new();
        while !self.calls_out.is_empty() || !looks_out.is_empty() {
            match tokio::time::timeout_at(deadline, self.completions.recv()).await {
                Ok(Some(completion)) => self.finish(completion, &mut looks_out).await,
                Ok(None) | Err(_) => break,
            }
        }
        for attempt in self.policy.open_attempts() {
            let (attempt, target, restarted) =
                (attempt.attempt, attempt.target, attempt.restarted_wall_ms);
            match restarted {
                Some(_) => tracing::info!(
                    attempt,
                    target,
                    "still being watched: the next start goes on"
                ),
                None => tracing::warn!(
                    attempt,
                    target,
                    "left open: the next start takes it up again"
                ),
            }
        }
        self.flush_files().await;
        if let Err(e) = self.journal.clone().close().await {
            tracing::error!("the journal could not be closed cleanly: {e}");
        }
    }

    /// Waits for what is written beside the journal, if not for long.
    pub(super) async fn flush_files(&self) {
        let (reports, evidence, told) = tokio::join!(
            self.reports.flush(REPORTS_MAX),
            self.evidence.flush(REPORTS_MAX),
            self.notifications.flush(REPORTS_MAX)
        );
        if !told {
            tracing::info!("some messages to people are still to be sent: the next start does");
        }
        if !reports {
            tracing::warn!(
                "the newest report files may be missing: the disk did not answer in time"
            );
        }
        if !evidence {
            tracing::warn!(
                "the newest evidence may be incomplete: the disk or the engine did not answer in \
                 time"
            );
        }
    }

    /// Takes a call in flight to its end: what the engine answered, and one
    /// look at the container.
    async fn finish(&mut self, completion: Completion, looks_out: &mut BTreeSet<AttemptId>) {
        let now = self.clock.now();
        let (attempt, step) = match completion {
            Completion::Called {
                attempt,
                did,
                called,
            } => {
                self.calls_out.remove(&attempt);
                self.tell_called(attempt, &did, &called);
                (attempt, self.policy.handle_called(now, attempt, &called))
            }
            Completion::AttemptLook { attempt, look, .. } if looks_out.remove(&attempt) => (
                attempt,
                self.policy.handle_attempt_look(now, attempt, &look),
            ),
            Completion::AttemptLook { .. }
            | Completion::IntentLook { .. }
            | Completion::RequestLook { .. }
            | Completion::PendingLook { .. }
            | Completion::TargetLook { .. } => return,
        };
        // What would make a new call is left for the next start, unwritten.
        let calls = step
            .actions
            .iter()
            .any(|action| matches!(action, Action::Call { .. }));
        // Where it cannot be written the charge stays open, which is true.
        if calls || self.commit(now, &step).await.is_err() {
            return;
        }
        let is_own = |action: &Action| matches!(action, Action::LookForAttempt { attempt: of, .. } if *of == attempt);
        if step.actions.iter().any(is_own) {
            looks_out.insert(attempt);
        }
        self.act(step.actions);
    }
}

fn turn_away(message: Message) {
    match message {
        Message::Intent { intent, reply, .. } => {
            let _ = reply.send(stopping(intent.id));
        }
        Message::Ping { ping, reply } => {
            let _ = reply.send(stopping(ping.id));
        }
        Message::Admin { reply, .. } => {
            let _ = reply.send(AdminAnswer {
                code: ExitCode::Failed,
                message: "the executor is stopping; try again when it runs".into(),
                data: serde_json::Value::Null,
            });
        }
        // Their senders hear it by the answer that never comes.
        Message::Signal { .. } | Message::Markers { .. } | Message::Reload(_) => {}
    }
}

fn stopping(id: String) -> Answer {
    Answer {
        id,
        decision: Decision::Retry,
        gate: None,
        detail: Some("the executor is stopping".to_owned()),
    }
}
