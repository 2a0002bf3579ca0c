//! What comes into the engine, and the handle that others put it in with.

use std::time::Duration;

use executor_api::{AdminAnswer, AdminRequest, Answer, Decision, ExitCode, Intent, Ping};
use policy::{AttemptId, Called, Look, PendingKey};
use tokio::sync::{mpsc, oneshot};

use super::measures::Did;
use crate::evidence::Half;
use crate::listen::Peer;
use crate::report::Mark;
use crate::triggers::Signal;

/// Most messages from outside that wait for the engine; one more is answered
/// `retry`.
pub const QUEUE_MAX: usize = 1_024;
/// Longest wait of an intent for its answer. Only a disk that hangs takes so long.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// From outside: each waits for an answer.
#[derive(Debug)]
pub enum Message {
    /// An intent from `intents.sock`.
    Intent {
        /// Limits checked.
        intent: Intent,
        /// Who sent it.
        peer: Peer,
        /// Gets the answer once the decision is durable.
        reply: oneshot::Sender<Answer>,
    },
    /// A question from `intents.sock` whether the engine answers.
    Ping {
        /// With its id.
        ping: Ping,
        /// Gets the answer.
        reply: oneshot::Sender<Answer>,
    },
    /// What a trigger tells.
    Signal {
        /// Of a very container.
        signal: Signal,
        /// Gets the answer once it is durable.
        reply: oneshot::Sender<Answer>,
    },
    /// A request from `admin.sock`.
    Admin {
        /// What is asked.
        request: AdminRequest,
        /// Gets the answer.
        reply: oneshot::Sender<AdminAnswer>,
    },
    /// The marker files that are there.
    Markers {
        /// All that count.
        marks: Vec<Mark>,
        /// Gets those that are done with.
        reply: oneshot::Sender<Vec<Mark>>,
    },
    /// New settings (SIGHUP).
    Reload(Box<super::Settings>),
}

/// From the engine's own tasks; as many as there are attempts, pendings and
/// waiting intents.
#[derive(Debug)]
pub(super) enum Completion {
    IntentLook {
        id: String,
        look: Look,
    },
    RequestLook {
        ticket: u64,
        look: Look,
    },
    AttemptLook {
        attempt: AttemptId,
        look: Look,
        /// Read before it, where a first call may follow.
        evidence: Option<Half>,
    },
    PendingLook {
        key: PendingKey,
        look: Look,
    },
    TargetLook {
        target: String,
        look: Look,
    },
    Called {
        attempt: AttemptId,
        did: Did,
        called: Called,
    },
}

/// Puts messages in; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    sender: mpsc::Sender<Message>,
}

impl Handle {
    pub(super) fn new(sender: mpsc::Sender<Message>) -> Self {
        Self { sender }
    }

    /// Sends an intent in and waits for its answer; `retry` where the queue is
    /// full, the engine is stopping, or the journal's disk does not answer: then
    /// it may be decided later all the same, and its id is known by then.
    pub async fn intent(&self, intent: Intent, peer: Peer) -> Answer {
        let id = intent.id.clone();
        let message = |reply| Message::Intent {
            intent,
            peer,
            reply,
        };
        self.ask(id, message).await
    }

    /// Waits for the engine to come to it; answered as an intent otherwise.
    pub async fn ping(&self, ping: Ping) -> Answer {
        let id = ping.id.clone();
        self.ask(id, |reply| Message::Ping { ping, reply }).await
    }

    async fn ask(
        &self,
        id: String,
        message: impl FnOnce(oneshot::Sender<Answer>) -> Message,
    ) -> Answer {
        let (reply, answer) = oneshot::channel();
        let why = match self.sender.try_send(message(reply)) {
            Ok(()) => match tokio::time::timeout(ANSWER_MAX, answer).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(_)) => "the executor is stopping",
                Err(_) => "no decision could be made durable in time; see /readyz",
            },
            Err(mpsc::error::TrySendError::Full(_)) => "the executor's queue is full",
            Err(mpsc::error::TrySendError::Closed(_)) => "the executor is stopping",
        };
        Answer {
            id,
            decision: Decision::Retry,
            gate: None,
            detail: Some(why.into()),
        }
    }

    /// Hands in what a trigger tells. False where nothing of it could be kept: it is to be
    /// told again, soon. What comes of it otherwise is told as for every match.
    pub async fn signal(&self, signal: Signal) -> bool {
        let message = |reply| Message::Signal { signal, reply };
        self.ask(String::new(), message).await.decision != Decision::Retry
    }

    /// Sends a request in and waits for its answer.
    pub async fn admin(&self, request: AdminRequest) -> AdminAnswer {
        let (reply, answer) = oneshot::channel();
        // What could not be sent still holds its own reply: not to be waited for.
        let answer = match self.sender.send(Message::Admin { request, reply }).await {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        match answer {
            Some(answer) => answer,
            None => AdminAnswer {
                code: ExitCode::Failed,
                message: "the executor stopped before it could answer; see its log".into(),
                data: serde_json::Value::Null,
            },
        }
    }

    /// Hands in the marker files; those that are done with come back. None where
    /// the engine is stopping.
    pub async fn markers(&self, marks: Vec<Mark>) -> Option<Vec<Mark>> {
        let (reply, obeyed) = oneshot::channel();
        let sent = self.sender.send(Message::Markers { marks, reply }).await;
        sent.ok()?;
        obeyed.await.ok()
    }

    /// Hands in new settings; false where the engine is stopping.
    pub async fn reload(&self, settings: super::Settings) -> bool {
        self.sender
            .send(Message::Reload(Box::new(settings)))
            .await
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use executor_api::{LastMatch, Remedy, TargetRef};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_intent_that_nobody_decides_hears_retry_in_time() {
        let (sender, _kept_and_not_read) = mpsc::channel(QUEUE_MAX);
        let intent = Intent {
            id: "i".into(),
            target: TargetRef::Name("web".into()),
            rule: "cuda-oom".into(),
            remedy: Remedy::Restart,
            times: vec![(1, 1)],
            last: LastMatch(1, None),
            sample: String::new(),
            tag: String::new(),
            source: String::new(),
        };
        let asked = tokio::time::Instant::now();
        let peer = Peer { uid: 0, pid: None };
        let answer = Handle::new(sender).intent(intent, peer).await;
        assert_eq!(asked.elapsed(), ANSWER_MAX);
        assert_eq!((&*answer.id, answer.decision), ("i", Decision::Retry));
    }
}
