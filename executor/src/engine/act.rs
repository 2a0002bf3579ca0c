//! Performs a step's actions, in order, without waiting for any of them.

use std::time::Duration;

use policy::{Action, AttemptId, Call, Called, Exec, PendingKey};

use super::Engine;
use super::inbox::Completion;
use super::looks::{Patience, Reference};
use super::measures::{Did, measured};
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
                    exec,
                } => match exec {
                    Some(exec) => self.exec(attempt, exec, container_id),
                    None => {
                        self.call(attempt, call, container_id, Duration::from_millis(wait_ms));
                    }
                },
                Action::Tell(event) => self.tell(&event),
            }
        }
    }

    /// Evidence is read before the look, not behind it: the look that a call rests
    /// on is as fresh as without.
    pub(super) fn look_for_attempt(&mut self, attempt: AttemptId, container_id: String) {
        let (docker, looks, done) = (self.docker.clone(), self.looks.clone(), self.done.clone());
        // What a call that was sent would have destroyed is gone already.
        let collector = self
            .policy
            .attempt(attempt)
            .filter(|view| view.sent_wall_ms.is_none())
            .and_then(|view| {
                let said = self.said.of(&view);
                self.evidence.begin(&view, said)
            });
        tokio::task::spawn_local(async move {
            let evidence = match collector {
                Some(collector) => collector.before(&*docker).await,
                None => None,
            };
            let look = looks
                .fresh(&Reference::Ids(vec![container_id]), Patience::Long)
                .await;
            let looked = Completion::AttemptLook {
                attempt,
                look,
                evidence,
            };
            let _ = done.send(looked).await;
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
        let target = self.policy.attempt(attempt).map(|view| view.target);
        let stop_timeout_s = target
            .and_then(|target| self.stop_timeouts.borrow().of(&target))
            // A reload since the charge must not make it longer than is waited for.
            .map(|seconds| i64::from(seconds).min(longest_stop_s(wait)));
        let evidence = self.halves.remove(&attempt);
        tokio::task::spawn_local(async move {
            let called = docker.call(call, &container_id, wait, stop_timeout_s).await;
            let did = Did::call(call);
            let called = Completion::Called {
                attempt,
                did,
                called,
            };
            let _ = done.send(called).await;
            if let Some(evidence) = evidence {
                evidence.after(&*docker).await;
            }
        });
    }

    /// Runs a command. Evidence is read to its end behind it: what it destroys is not what
    /// a restart does. What it prints goes into that, whoever waits for its end by then.
    fn exec(&mut self, attempt: AttemptId, exec: Exec, container_id: String) {
        self.calls_out.insert(attempt);
        let (docker, done) = (self.docker.clone(), self.done.clone());
        let half = self.halves.remove(&attempt);
        let (evidence, view) = (self.evidence.clone(), self.policy.attempt(attempt));
        tokio::task::spawn_local(async move {
            let begun = tokio::time::Instant::now();
            let within = Duration::from_millis(exec.timeout_ms);
            let ran = docker.exec(&container_id, &exec.argv, within).await;
            let called = Called::from(&ran.end);
            if let Some(view) = view {
                evidence.measured(&view, measured(&exec.name, &ran, begun.elapsed()));
            }
            let called = Completion::Called {
                attempt,
                did: Did::exec(&exec.name, ran),
                called,
            };
            let _ = done.send(called).await;
            if let Some(half) = half {
                half.after(&*docker).await;
            }
        });
    }

    /// An attempt has ended without the call that its evidence was read for.
    pub(super) fn complete_evidence(&mut self, attempt: AttemptId) {
        if let Some(evidence) = self.halves.remove(&attempt) {
            let docker = self.docker.clone();
            tokio::task::spawn_local(async move { evidence.after(&*docker).await });
        }
    }
}

/// The stop timeout in whole seconds that a call's wait has room for.
fn longest_stop_s(wait: Duration) -> i64 {
    let room = wait.saturating_sub(Duration::from_millis(policy::STOP_MARGIN_MS));
    i64::try_from(room.as_secs()).unwrap_or(i64::MAX)
}
