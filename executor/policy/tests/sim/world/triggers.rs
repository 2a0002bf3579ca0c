//! What the executor itself watches: containers that hang without a word, and those that
//! end by themselves and stay down. A watch may be late, and sees nothing while the engine
//! is away or the executor is.

use policy::{ContainerState, IntentInput, RuleFacts, RuleRemedy, Sign, WallTime};

use super::{Event, Sent, World};
use crate::docker::StoppedBy;
use crate::exec::timed;

/// How long after a start a watch may take to say that all is well, ms.
const CLEAR_WITHIN_MS: u64 = 40_000;
/// The rule of what hangs.
const HUNG: &str = "probe-api";

impl World {
    /// A look of the watch at a container.
    pub(super) fn watch(&mut self, name: &str) {
        let wait = self.rng.range(2_000, 20_000);
        self.after(wait, Event::Watch { name: name.into() });
        let clock = self.clock();
        if self.exec.policy.is_none() || self.docker.is_away(clock) {
            return;
        }
        let container = &self.docker.containers[name];
        if container.state != ContainerState::Running {
            return;
        }
        let (id, found) = (container.id.clone(), clock.wall());
        if container.is_hung {
            let sign = Sign::Watched {
                clear_within_ms: CLEAR_WITHIN_MS,
            };
            self.fire(id, HUNG, (RuleRemedy::Restart, sign), found);
        } else {
            self.all_clear(&id, found);
        }
    }

    /// It has ended by itself, and the watch has seen that from its beginning to its end.
    pub(super) fn died(&mut self, name: &str) {
        let container = &self.docker.containers[name];
        let is_down =
            container.state == ContainerState::Exited && container.stopped_by == StoppedBy::Nobody;
        let Some(finished_at) = container.finished_at.filter(|_| is_down) else {
            return;
        };
        let id = container.id.clone();
        self.fire(id, "died", (RuleRemedy::Restart, Sign::Ended), finished_at);
    }

    /// It may be told of an end that nobody sees, by whomever.
    pub(super) fn end_is_told_of(&mut self, name: &str) {
        while self.later.chance(self.options.means.unseen) {
            let wait = self.later.range(0, 20_000);
            self.after(wait, Event::Unseen { name: name.into() });
        }
    }

    /// It is down and its work is not done; nobody saw how it ended.
    pub(super) fn ended_unseen(&mut self, name: &str) {
        let container = &self.docker.containers[name];
        let is_down = container.state == ContainerState::Exited;
        let Some(finished_at) = container.finished_at.filter(|_| is_down) else {
            return;
        };
        self.totals.count("end unseen");
        let id = container.id.clone();
        if self.later.chance(150) {
            // Somebody removes it, and the engine cannot: it has not just ended any more.
            let container = self.docker.containers.get_mut(name).expect("named");
            container.state = ContainerState::Dead;
        }
        let what = (RuleRemedy::Escalate, Sign::EndedUnseen);
        self.fire(id, "unfinished", what, finished_at);
    }

    fn fire(
        &mut self,
        id: String,
        rule: &str,
        (remedy, sign): (RuleRemedy, Sign),
        found: WallTime,
    ) {
        let index = self.intents.len();
        self.intents.push(Sent {
            input: IntentInput {
                id: format!("i{index}"),
                wire_target: id.clone(),
                wire_id: Some(id),
                rule: rule.into(),
                known: Some(RuleFacts {
                    remedy,
                    sign,
                    ..RuleFacts::default()
                }),
                times: Vec::new(),
                line: found,
            },
            answered: None,
            tries: 0,
        });
        self.totals.count("fired");
        let rng = match sign {
            Sign::EndedUnseen => &mut self.later,
            _ => &mut self.rng,
        };
        let wait = rng.range(0, 3_000);
        self.after(wait, Event::Deliver { intent: index });
    }

    fn all_clear(&mut self, id: &str, found: WallTime) {
        let Some(policy) = self.exec.asked() else {
            return;
        };
        let step = timed(|| policy.handle_clear(id, HUNG, found));
        self.model().check_clear(id, HUNG, found, &step);
        let mut seen = std::mem::take(&mut self.seen);
        seen.cleared(&self.model(), id, HUNG, found);
        self.seen = seen;
        if !step.entries.is_empty() {
            self.totals.count("all clear told");
        }
        let _ = self.perform(&step, None);
    }
}
