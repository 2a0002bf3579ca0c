//! What triggers tell: a match like any other, and what is over.

use executor_api::{Answer, Decision};
use policy::{IntentInput, RuleFacts};
use tokio::sync::oneshot;

use super::Engine;
use super::batch::Batch;
use super::inbox::QUEUE_MAX;
use super::intents::{WaitingIntent, answer, retry, send};
use super::looks::Reference;
use crate::docker::Docker;
use crate::triggers::{Cleared, Fired, Signal};

impl<D: Docker + 'static> Engine<D> {
    pub(super) async fn take_signal(
        &mut self,
        signal: Signal,
        reply: oneshot::Sender<Answer>,
        batch: &mut Batch,
    ) {
        match signal {
            Signal::Fired(fired) => self.take_fired(fired, reply, batch).await,
            Signal::Cleared(cleared) => self.take_cleared(cleared, reply).await,
        }
    }

    async fn take_fired(
        &mut self,
        fired: Fired,
        reply: oneshot::Sender<Answer>,
        batch: &mut Batch,
    ) {
        let now = self.clock.now();
        let id = id_of(&fired);
        if let Some(waiting) = self.intents.get_mut(&id) {
            waiting.replies.push(reply);
            return;
        }
        if let Some(decided) = self.policy.handle_repeat(now, &id) {
            return send(vec![reply], answer(&id, &decided));
        }
        if self.intents.len() >= QUEUE_MAX {
            return send(vec![reply], retry(&id, "too many intents wait for Docker"));
        }
        let (target, rule) = (&*fired.target, &*fired.rule);
        if self.said.remember(&id, &fired) {
            self.site.metrics.triggers().fired(rule);
            tracing::warn!(target, rule, "{}", fired.why);
        }
        self.notifications.remember_why(target, rule, &fired.why);
        let reference = match &*fired.container_id {
            "" => Reference::Name(fired.target.clone()),
            id => Reference::Ids(vec![id.to_owned()]),
        };
        // What it stands on beside our own words, as log text is of a line.
        let sample = Some(fired.sample.clone()).filter(|_| self.notifications.wants_samples());
        let waiting = WaitingIntent {
            input: input(id, fired),
            arrived: now.at,
            replies: vec![reply],
            sample,
        };
        self.decide_or_look(now, waiting, reference, batch).await;
    }

    async fn take_cleared(&mut self, cleared: Cleared, reply: oneshot::Sender<Answer>) {
        let now = self.clock.now();
        let (id, rule) = (&cleared.container_id, &cleared.rule);
        let step = self.policy.handle_clear(id, rule, cleared.found);
        let answer = match self.commit(now, &step).await {
            Ok(()) => {
                self.act(step.actions);
                noted(rule)
            }
            Err(_) => retry(rule, "the journal cannot be written"),
        };
        send(vec![reply], answer);
    }
}

fn input(id: String, fired: Fired) -> IntentInput {
    IntentInput {
        id,
        // What is watched by name alone has no container.
        wire_id: Some(fired.container_id).filter(|id| !id.is_empty()),
        wire_target: fired.target,
        rule: fired.rule,
        known: Some(RuleFacts {
            remedy: fired.remedy,
            sign: fired.sign,
            ..RuleFacts::default()
        }),
        times: Vec::new(),
        line: fired.found,
    }
}

/// One firing is one match, however often it is told: of the same find only by its round.
fn id_of(fired: &Fired) -> String {
    let short = match &*fired.container_id {
        "" => &fired.target,
        id => id.get(..12).unwrap_or(id),
    };
    let nanos = fired.found.nanos.unwrap_or_default();
    let round = match fired.round {
        0 => String::new(),
        round => format!(":{round}"),
    };
    format!(
        "{}:{short}:{}.{nanos:09}{round}",
        fired.rule, fired.found.secs
    )
}

fn noted(id: &str) -> Answer {
    Answer {
        id: id.to_owned(),
        decision: Decision::Noted,
        gate: None,
        detail: None,
    }
}
