//! The way out: answers nothing new, waits for calls in flight.

use executor_api::{AdminAnswer, Answer, Decision, ExitCode};
use policy::Action;
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
        let deadline = Instant::now() + self.shutdown_grace;
        let mut looks_out = 0_usize;
        while !self.calls_out.is_empty() || looks_out > 0 {
            match tokio::time::timeout_at(deadline, self.completions.recv()).await {
                Ok(Some(completion)) => {
                    if matches!(completion, Completion::AttemptLook { .. }) {
                        looks_out = looks_out.saturating_sub(1);
                    }
                    looks_out += self.finish(completion).await;
                }
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
        if !self.reports.flush(REPORTS_MAX).await {
            tracing::warn!(
                "the newest report files may be missing: the disk did not answer in time"
            );
        }
        if let Err(e) = self.journal.clone().close().await {
            tracing::error!("the journal could not be closed cleanly: {e}");
        }
    }

    /// Takes a call in flight to its end: what the engine answered, and one
    /// look at the container. Returns how many looks that began.
    async fn finish(&mut self, completion: Completion) -> usize {
        let now = self.clock.now();
        let step = match completion {
            Completion::Called { attempt, called } => {
                self.calls_out.remove(&attempt);
                self.tell_called(attempt, &called);
                self.policy.handle_called(now, attempt, &called)
            }
            Completion::AttemptLook { attempt, look } => {
                self.policy.handle_attempt_look(now, attempt, &look)
            }
            Completion::IntentLook { .. }
            | Completion::RequestLook { .. }
            | Completion::PendingLook { .. } => return 0,
        };
        // What would make a new call is left for the next start, unwritten.
        let calls = step
            .actions
            .iter()
            .any(|action| matches!(action, Action::Call { .. }));
        // Where it cannot be written the charge stays open, which is true.
        if calls || self.commit(now, &step).await.is_err() {
            return 0;
        }
        let looks = step
            .actions
            .iter()
            .filter(|action| matches!(action, Action::LookForAttempt { .. }))
            .count();
        self.act(step.actions);
        looks
    }
}

fn turn_away(message: Message) {
    match message {
        Message::Intent { intent, reply, .. } => {
            let detail = Some("the executor is stopping".to_owned());
            let _ = reply.send(Answer {
                id: intent.id,
                decision: Decision::Retry,
                gate: None,
                detail,
            });
        }
        Message::Admin { reply, .. } => {
            let _ = reply.send(AdminAnswer {
                code: ExitCode::Failed,
                message: "the executor is stopping; try again when it runs".into(),
                data: serde_json::Value::Null,
            });
        }
        Message::Markers { .. } | Message::Reload(_) => {}
    }
}
