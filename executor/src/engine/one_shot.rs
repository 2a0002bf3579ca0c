//! `healer restart` without a running executor: the same policy and state,
//! under the state directory's lock, for one request.

use std::time::Duration;

use executor_api::{AdminAnswer, ExitCode, RestartRequest};
use policy::Look;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::batch::Batch;
use super::looks::{Patience, Reference};
use super::{Engine, Parts};
use crate::docker::Docker;
use crate::journal::JournalError;

/// Longest a one-shot stays: the longest stop wait, twice, with a margin.
const ONE_SHOT_MAX: Duration = Duration::from_secs(25 * 60);

/// Takes up its own target's open charge, if there is one, then decides and
/// carries out one request. Other targets' open charges stay as they are.
pub async fn restart_once<D: Docker + 'static>(
    parts: Parts<D>,
    request: RestartRequest,
) -> AdminAnswer {
    let mut engine = Engine::new(parts);
    let answer = match tokio::time::timeout(ONE_SHOT_MAX, engine.restart_one(request)).await {
        Ok(answer) => answer,
        Err(_) => failed("gave up waiting; the charge stays open and the next run takes it up"),
    };
    engine.flush_files().await;
    match engine.journal.clone().close().await {
        Ok(()) => answer,
        Err(e) => AdminAnswer {
            message: format!("{}\nthe journal could not be closed: {e}", answer.message),
            ..answer
        },
    }
}

impl<D: Docker + 'static> Engine<D> {
    async fn restart_one(&mut self, request: RestartRequest) -> AdminAnswer {
        let reference = Reference::Either(request.target.trim_start_matches('/').to_owned());
        let settled = match self.looks.fresh(&reference, Patience::Long).await {
            Look::Found(facts) => self.settle(&facts.name).await,
            // The request below says so, and nobody else's charge is touched.
            Look::Gone => self.settle(&request.target).await,
            Look::Unavailable { why } => return failed(&why),
        };
        if let Err(e) = settled {
            return failed(&format!("nothing was decided: {e}"));
        }
        let (reply, mut answer) = oneshot::channel();
        self.take_restart(request, reply);
        loop {
            match answer.try_recv() {
                Ok(answer) => return answer,
                Err(oneshot::error::TryRecvError::Empty) => self.turn().await,
                Err(oneshot::error::TryRecvError::Closed) => {
                    return failed("nothing was decided: please report this");
                }
            }
        }
    }

    /// Takes the target's open charge to the engine's answer. Where nothing can
    /// be written now a person is not kept waiting until it can.
    async fn settle(&mut self, target: &str) -> Result<(), JournalError> {
        let now = self.clock.now();
        let step = self.policy.handle_start_one(now, target);
        self.commit(now, &step).await?;
        self.act(step.actions);
        while self.policy.is_in_progress(target) {
            self.turn().await;
        }
        Ok(())
    }

    /// One completion or the passing of time.
    async fn turn(&mut self) {
        let wake = Instant::now() + self.next_wake();
        match tokio::time::timeout_at(wake, self.completions.recv()).await {
            // No intents here: nothing is put into the batch.
            Ok(Some(completion)) => self.complete(completion, &mut Batch::default()).await,
            Ok(None) => {}
            Err(_) => self.time_out().await,
        }
    }
}

fn failed(message: &str) -> AdminAnswer {
    AdminAnswer {
        code: ExitCode::Failed,
        message: message.to_owned(),
        data: Value::Null,
    }
}
