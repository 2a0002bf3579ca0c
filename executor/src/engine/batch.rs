//! Intents in batches. All that wait are decided one after the other, each on
//! what those before it have written; then one fsync answers for all.
//!
//! Keeps true:
//! - no answer, and nothing done, before what it rests on is on the disk;
//! - an fsync that fails leaves decisions that are written and perhaps not on
//!   the disk: their senders hear `retry`, what they call for is held back, and
//!   until an fsync has worked every entry asks for one.

use executor_api::Answer;
use policy::{Action, Decided, Now, Step};
use tokio::sync::{mpsc, oneshot};

use super::inbox::{Completion, Message};
use super::intents::{answer, retry};
use super::{AGAIN_AFTER, Engine};
use crate::docker::Docker;

/// Most messages and completions that one fsync answers for.
const BATCH_MAX: usize = 128;

pub(super) type Replies = Vec<oneshot::Sender<Answer>>;

/// What the loop works on next.
pub(super) enum Input {
    Message(Message),
    Completion(Completion),
}

impl Input {
    /// It needs no answer of the batch to go out first.
    fn joins_a_batch(&self) -> bool {
        matches!(
            self,
            Self::Message(Message::Intent { .. } | Message::Ping { .. })
                | Self::Completion(Completion::IntentLook { .. })
        )
    }
}

/// Decided, and not answered yet.
#[derive(Debug, Default)]
pub(super) struct Batch {
    decided: Vec<One>,
    /// Something in it has to be on the disk before its answer.
    must_sync: bool,
    /// Nothing else waits: an entry that needs an fsync can bring its own.
    is_last: bool,
}

#[derive(Debug)]
struct One {
    replies: Replies,
    answer: Answer,
    actions: Vec<Action>,
}

impl<D: Docker + 'static> Engine<D> {
    /// Works on `first` and all that waits behind it, at most [`BATCH_MAX`].
    pub(super) async fn work(&mut self, first: Input, inbox: &mut mpsc::Receiver<Message>) {
        let mut batch = Batch::default();
        let mut input = first;
        for left in (0..BATCH_MAX).rev() {
            batch.is_last = left == 0 || (self.completions.is_empty() && inbox.is_empty());
            self.work_on(input, &mut batch).await;
            if left == 0 {
                break;
            }
            let Some(next) = self.next_input(inbox) else {
                break;
            };
            input = next;
        }
        self.settle_batch(&mut batch).await;
    }

    /// What waits already: the engine's own first, as others wait for that.
    fn next_input(&mut self, inbox: &mut mpsc::Receiver<Message>) -> Option<Input> {
        if let Ok(completion) = self.completions.try_recv() {
            return Some(Input::Completion(completion));
        }
        inbox.try_recv().ok().map(Input::Message)
    }

    async fn work_on(&mut self, input: Input, batch: &mut Batch) {
        if !input.joins_a_batch() {
            self.settle_batch(batch).await;
        }
        match input {
            Input::Message(message) => self.take(message, batch).await,
            Input::Completion(completion) => self.complete(completion, batch).await,
        }
    }

    /// Writes an intent's step; its answer and its actions wait for the batch.
    pub(super) async fn finish_intent(
        &mut self,
        now: Now,
        id: &str,
        replies: Replies,
        step: Step,
        batch: &mut Batch,
    ) {
        let syncs = step.durable && batch.is_last;
        if let Err(e) = self.write(now, step.entries, syncs).await {
            return self.turn_back(replies, retry(id, &e.to_string()));
        }
        batch.must_sync = !syncs && (batch.must_sync || step.durable);
        match step.answer {
            Some(decided) => batch.decided.push(One {
                replies,
                answer: answer(id, &decided),
                actions: step.actions,
            }),
            None => self.turn_back(replies, retry(id, "no decision could be made")),
        }
    }

    /// An intent that was decided before is answered like that, once it is sure.
    pub(super) fn answer_again(
        &self,
        id: &str,
        replies: Replies,
        decided: &Decided,
        batch: &mut Batch,
    ) {
        batch.must_sync |= self.held_back.is_some();
        batch.decided.push(One {
            replies,
            answer: answer(id, decided),
            actions: Vec::new(),
        });
    }

    /// One fsync where it takes one, then the answers and what they call for.
    async fn settle_batch(&mut self, batch: &mut Batch) {
        let decided = std::mem::take(&mut batch.decided);
        if std::mem::take(&mut batch.must_sync)
            && let Err(e) = self.sync().await
        {
            let mut actions = Vec::new();
            for one in decided {
                self.turn_back(one.replies, retry(&one.answer.id, &e.to_string()));
                actions.extend(one.actions);
            }
            self.held_back.get_or_insert_default().extend(actions);
            return;
        }
        for one in decided {
            super::intents::send(one.replies, one.answer);
            self.act(one.actions);
        }
    }

    /// Puts on the disk all that was written; where that fails it is tried again.
    pub(super) async fn sync(&mut self) -> Result<(), crate::journal::JournalError> {
        let now = self.clock.now();
        let synced = self.write(now, Vec::new(), true).await;
        if synced.is_err() {
            self.idle_until = Some(tokio::time::Instant::now() + AGAIN_AFTER);
        }
        synced
    }
}
