//! Intents in batches. All that wait are decided one after the other, each on
//! what those before it have written; then one fsync answers for all.
//!
//! Keeps true:
//! - no answer, and nothing done, before what it rests on is on the disk;
//! - a batch is one append: where that fails none of its decisions has been
//!   made, the policy is as it was before, and all their senders hear `retry`.

use executor_api::Answer;
use policy::{Action, Decided, Now, Policy, Record, Step};
use tokio::sync::{mpsc, oneshot};

use super::Engine;
use super::inbox::{Completion, Message};
use super::intents::{answer, retry, send};
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

/// Decided, and neither written nor answered yet.
#[derive(Debug, Default)]
pub(super) struct Batch {
    decided: Vec<One>,
    /// What the decisions write, folded into the policy already.
    records: Vec<Record>,
    /// The policy without them; none where there are none. With as many ids as are
    /// ever kept, making it and dropping it takes 2.5 ms, with hundreds far less;
    /// up to [`BATCH_MAX`] intents share that.
    before: Option<Box<Policy>>,
    /// Something in it has to be on the disk before its answer.
    durable: bool,
    /// Nothing else waits: one decision alone is written at once.
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

    /// Takes an intent's step in; it is written, answered and acted upon with
    /// the batch.
    pub(super) async fn finish_intent(
        &mut self,
        now: Now,
        id: &str,
        replies: Replies,
        step: Step,
        batch: &mut Batch,
    ) {
        let Some(decided) = step.answer else {
            return self.turn_back(replies, retry(id, "no decision could be made"));
        };
        let one = One {
            replies,
            answer: answer(id, &decided),
            actions: step.actions,
        };
        if batch.is_last && batch.records.is_empty() {
            match self.write(now, step.entries, step.durable).await {
                Ok(()) => self.answer_and_act(one),
                Err(e) => self.take_back(one, &e.to_string()),
            }
            return;
        }
        if batch.before.is_none() {
            batch.before = Some(Box::new(self.policy.clone()));
        }
        let records = super::stamped(now, step.entries);
        self.fold(&records);
        batch.records.extend(records);
        batch.durable |= step.durable;
        batch.decided.push(one);
    }

    /// An intent that was decided before is answered like that: with the batch,
    /// as it may have been decided in it.
    pub(super) fn answer_again(
        &self,
        id: &str,
        replies: Replies,
        decided: &Decided,
        batch: &mut Batch,
    ) {
        batch.decided.push(One {
            replies,
            answer: answer(id, decided),
            actions: Vec::new(),
        });
    }

    /// Writes what was decided, then answers and acts.
    async fn settle_batch(&mut self, batch: &mut Batch) {
        let Batch {
            decided,
            records,
            before,
            durable,
            is_last: _,
        } = std::mem::take(batch);
        if let Some(before) = before
            && let Err(e) = self.write_folded(*before, &records, durable).await
        {
            for one in decided {
                self.take_back(one, &e.to_string());
            }
            return;
        }
        for one in decided {
            self.answer_and_act(one);
        }
    }

    fn answer_and_act(&mut self, one: One) {
        send(one.replies, one.answer);
        self.act(one.actions);
    }

    fn take_back(&self, one: One, why: &str) {
        self.turn_back(one.replies, retry(&one.answer.id, why));
    }
}
