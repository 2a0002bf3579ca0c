//! From an intent to its answer.

use executor_api::{Answer, Decision, Intent, TargetRef};
use policy::{
    Confirmation, Decided, Gate, IntentInput, Look, Now, RuleFacts, RuleRemedy, Sign, Step,
    Timestamp, Verdict, WallTime,
};
use tokio::sync::oneshot;

use super::Engine;
use super::batch::{Batch, Replies};
use super::inbox::{Completion, QUEUE_MAX};
use super::looks::{Patience, Reference};
use crate::docker::Docker;
use crate::listen::Peer;
use crate::metrics::KernelLookup;

/// An intent that waits for fresh facts.
#[derive(Debug)]
pub(super) struct WaitingIntent {
    pub(super) input: IntentInput,
    pub(super) arrived: Timestamp,
    /// More than one where the sender gave up waiting and sent it again.
    pub(super) replies: Replies,
    /// Its log line, where somebody may be told it.
    pub(super) sample: Option<String>,
}

impl<D: Docker + 'static> Engine<D> {
    pub(super) async fn take_intent(
        &mut self,
        intent: Intent,
        peer: Peer,
        reply: oneshot::Sender<Answer>,
        batch: &mut Batch,
    ) {
        self.site.metrics.intent_received();
        let now = self.clock.now();
        if let Some(waiting) = self.intents.get_mut(&intent.id) {
            waiting.replies.push(reply);
            return;
        }
        if let Some(decided) = self.policy.handle_repeat(now, &intent.id) {
            self.site.metrics.intent_repeated();
            return self.answer_again(&intent.id, vec![reply], &decided, batch);
        }
        if self.intents.len() >= QUEUE_MAX {
            return self.turn_back(
                vec![reply],
                retry(&intent.id, "too many intents wait for Docker"),
            );
        }
        let line = WallTime {
            secs: intent.last.0,
            nanos: intent.last.1,
        };
        let ids = self.ids_of(&intent, line, now.wall_ms);
        let waiting = WaitingIntent {
            input: self.input(&intent, line, ids.as_deref()),
            arrived: now.at,
            replies: vec![reply],
            sample: Some(intent.sample).filter(|_| self.notifications.wants_samples()),
        };
        let reference = match ids {
            Some(ids) => Reference::Ids(ids),
            None => Reference::Name(waiting.input.wire_target.clone()),
        };
        self.looks.know_peers(&self.procs.of_peer(peer.pid));
        self.decide_or_look(now, waiting, reference, batch).await;
    }

    /// Decides at once where facts are at hand, else when they are.
    pub(super) async fn decide_or_look(
        &mut self,
        now: Now,
        waiting: WaitingIntent,
        reference: Reference,
        batch: &mut Batch,
    ) {
        let id = waiting.input.id.clone();
        if let Some(look) = self.look_at_hand(&waiting, &reference)
            && let Some(step) =
                self.policy
                    .handle_intent(now, waiting.arrived, &waiting.input, &look)
            && !is_hasty(&step)
        {
            self.remember_sample(&waiting, &look);
            let replies = waiting.replies;
            return self.finish_intent(now, &id, replies, step, batch).await;
        }
        self.intents.insert(id.clone(), waiting);
        let (looks, done) = (self.looks.clone(), self.done.clone());
        tokio::task::spawn_local(async move {
            let look = looks.fresh(&reference, Patience::Brief).await;
            // The engine is gone only where the process is stopping.
            let _ = done.send(Completion::IntentLook { id, look }).await;
        });
    }

    /// The container ids that may be meant, none for a name.
    fn ids_of(&self, intent: &Intent, line: WallTime, wall_ms: u64) -> Option<Vec<String>> {
        match self.procs.meant(&intent.target, line, wall_ms) {
            Ok(meant) => {
                if let Some(found) = meant.found {
                    self.site.metrics.kernel_lookup(found);
                }
                meant.ids
            }
            Err(miss) => {
                self.site.metrics.kernel_lookup(KernelLookup::Nothing);
                tracing::warn!(
                    rule = intent.rule,
                    "a kernel line leads to no container: {miss}"
                );
                Some(Vec::new())
            }
        }
    }

    /// What can be said without asking Docker anew.
    fn look_at_hand(&self, waiting: &WaitingIntent, reference: &Reference) -> Option<Look> {
        if waiting.input.known.is_none() {
            // The first gate needs no facts.
            return Some(Look::Unavailable {
                why: "not asked".into(),
            });
        }
        if matches!(reference, Reference::Ids(ids) if ids.is_empty()) {
            return Some(Look::Gone);
        }
        self.looks.cached(reference)
    }

    pub(super) async fn decide_intent(&mut self, id: String, look: &Look, batch: &mut Batch) {
        let Some(mut waiting) = self.intents.remove(&id) else {
            return;
        };
        if let Look::Found(facts) = look {
            waiting.input.found(&facts.id);
        }
        self.remember_sample(&waiting, look);
        let now = self.clock.now();
        match self
            .policy
            .handle_intent(now, waiting.arrived, &waiting.input, look)
        {
            Some(step) => {
                self.finish_intent(now, &id, waiting.replies, step, batch)
                    .await;
            }
            // The policy takes facts read after the arrival for fresh, and these are.
            None => {
                tracing::error!(intent = %id, "no decision on fresh facts: please report this");
                self.turn_back(waiting.replies, retry(&id, "no decision could be made"));
            }
        }
    }

    /// Nothing was decided: the sender keeps it.
    pub(super) fn turn_back(&self, replies: Replies, answer: Answer) {
        self.site.metrics.decided(answer.decision, None);
        send(replies, answer);
    }

    fn input(&self, intent: &Intent, line: WallTime, ids: Option<&[String]>) -> IntentInput {
        let known = rule_facts(&self.rules, &intent.rule);
        IntentInput {
            id: intent.id.clone(),
            wire_id: ids.and_then(|ids| ids.first().cloned()),
            wire_target: wire_target(&intent.target),
            rule: intent.rule.clone(),
            known,
            times: intent.times.clone(),
            line,
        }
    }
}

/// What the executor's own copy of a rule calls for; none where it knows none.
pub(crate) fn rule_facts(rules: &rules::RuleBook, name: &str) -> Option<RuleFacts> {
    let rule = rules.find(name)?;
    Some(RuleFacts {
        remedy: match rule.remedy {
            rules::Remedy::Restart => RuleRemedy::Restart,
            rules::Remedy::Escalate => RuleRemedy::Escalate,
            rules::Remedy::Note => RuleRemedy::Note,
        },
        threshold: rule.threshold.map(|t| (t.count, t.within_ms)),
        confirm: rule.confirm.as_ref().map(confirm),
        confirms: rules.confirms(name),
        sign: Sign::Line,
    })
}

fn confirm(confirm: &rules::Confirm) -> policy::Confirm {
    let by = confirm.by.iter().map(|by| match by {
        rules::Confirmation::Rule(rule) => Confirmation::Rule(rule.clone()),
        rules::Confirmation::Unhealthy => Confirmation::Unhealthy,
        rules::Confirmation::Exit => Confirmation::Exit,
    });
    policy::Confirm {
        by: by.collect(),
        within_ms: confirm.within_ms,
    }
}

fn wire_target(target: &TargetRef) -> String {
    match target {
        TargetRef::Id(text) | TargetRef::Name(text) => text.clone(),
        TargetRef::Pid(pid) => format!("pid {pid}"),
        TargetRef::Cgroup(path) => format!("cgroup {path}"),
    }
}

/// A state passes within a second: a container that crashed comes back, prints
/// its one line and hangs. So facts from before the line refuse nothing by it.
fn is_hasty(step: &Step) -> bool {
    let gate = step.answer.as_ref().and_then(|decided| decided.gate);
    matches!(gate, Some(Gate::NotRunning | Gate::NotEnded))
}

pub(super) fn send(replies: Replies, answer: Answer) {
    for reply in replies {
        // A sender that has gone sends the same intent again.
        let _ = reply.send(answer.clone());
    }
}

pub(super) fn answer(id: &str, decided: &Decided) -> Answer {
    Answer {
        id: id.to_owned(),
        decision: wire_decision(decided.verdict),
        gate: decided.gate.map(|gate| gate.as_str().to_owned()),
        detail: Some(decided.detail.clone()).filter(|detail| !detail.is_empty()),
    }
}

pub(super) fn wire_decision(verdict: Verdict) -> Decision {
    match verdict {
        Verdict::Restart => Decision::Restart,
        Verdict::Pending => Decision::Pending,
        Verdict::Refused => Decision::Refused,
        Verdict::Noted => Decision::Noted,
        Verdict::Escalated => Decision::Escalated,
    }
}

pub(super) fn retry(id: &str, why: &str) -> Answer {
    Answer {
        id: id.to_owned(),
        decision: Decision::Retry,
        gate: None,
        detail: Some(why.to_owned()),
    }
}
