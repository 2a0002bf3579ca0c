//! Performs a step's actions, in order, without waiting for any of them.

use std::time::Duration;

use policy::{Action, AttemptId, Call, PendingKey};

use super::Engine;
use super::inbox::Completion;
use super::looks::{Patience, Reference};
use crate::docker::Docker;

impl<D: Docker + 'static> Engine<D> {
    pub(super) fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::LookForAttempt {
                    attempt,
                    container_id,
                } => self.look_for_attempt(attempt, container_id),
                Action::LookForPending { key } => self.look_for_pending(key),
                Action::LookForTarget { target } => self.look_for_target(target),
                Action::Call {
                    attempt,
                    call,
                    container_id,
                    wait_ms,
                } => {
                    self.call(attempt, call, container_id, Duration::from_millis(wait_ms));
                }
                Action::Tell(event) => self.tell(&event),
            }
        }
    }

    fn look_for_attempt(&mut self, attempt: AttemptId, container_id: String) {
        let (looks, done) = (self.looks.clone(), self.done.clone());
        tokio::task::spawn_local(async move {
            let look = looks
                .fresh(&Reference::Ids(vec![container_id]), Patience::Long)
                .await;
            let _ = done.send(Completion::AttemptLook { attempt, look }).await;
        });
    }

    fn look_for_pending(&mut self, key: PendingKey) {
        // By id where it is known: a renamed container is still the same.
        let reference = match self.policy.pending_container(&key) {
            Some(id) => Reference::Ids(vec![id.to_owned()]),
            None => Reference::of_pending(&key),
        };
        let (looks, done) = (self.looks.clone(), self.done.clone());
        tokio::task::spawn_local(async move {
            let look = looks.fresh(&reference, Patience::Long).await;
            let _ = done.send(Completion::PendingLook { key, look }).await;
        });
    }

    fn look_for_target(&mut self, target: String) {
        let (looks, done) = (self.looks.clone(), self.done.clone());
        tokio::task::spawn_local(async move {
            let reference = Reference::Name(target.clone());
            let look = looks.fresh(&reference, Patience::Long).await;
            let _ = done.send(Completion::TargetLook { target, look }).await;
        });
    }

    pub(super) fn call(
        &mut self,
        attempt: AttemptId,
        call: Call,
        container_id: String,
        wait: Duration,
    ) {
        self.calls_out.insert(attempt);
        let (docker, done) = (self.docker.clone(), self.done.clone());
        let view = self.policy.attempt(attempt);
        let stop_timeout_s = view
            .as_ref()
            .and_then(|view| self.stop_timeouts.borrow().of(&view.target))
            // A reload since the charge must not make it longer than is waited for.
            .map(|seconds| i64::from(seconds).min(longest_stop_s(wait)));
        // What a start would destroy is gone already.
        let collector = view
            .filter(|_| call == Call::Restart)
            .and_then(|view| self.evidence.begin(&view));
        tokio::task::spawn_local(async move {
            let evidence = match collector {
                Some(collector) => collector.before(&*docker).await,
                None => None,
            };
            let called = docker.call(call, &container_id, wait, stop_timeout_s).await;
            let _ = done.send(Completion::Called { attempt, called }).await;
            if let Some(evidence) = evidence {
                evidence.after(&*docker).await;
            }
        });
    }
}

/// The stop timeout in whole seconds that a call's wait has room for.
fn longest_stop_s(wait: Duration) -> i64 {
    let room = wait.saturating_sub(Duration::from_millis(policy::STOP_MARGIN_MS));
    i64::try_from(room.as_secs()).unwrap_or(i64::MAX)
}
