//! What containers print, and who carries it to the executor: twice, late, and
//! until it is answered, as Fluent Bit does.

use policy::{ContainerState, IntentInput, Look, Step, Verdict};

use super::nature::rule_facts;
use super::{Event, Sent, What, World};
use crate::docker::Clock;
use crate::exec::timed;

impl World {
    pub(super) fn print(&mut self, name: &str) {
        let wait = self.rng.range(1, self.options.print_every_ms * 2);
        self.after(wait, Event::Print { name: name.into() });
        let clock = self.clock();
        let Some(container) = self.docker.containers.get_mut(name) else {
            return;
        };
        if container.state != ContainerState::Running {
            return;
        }
        if !container.sick {
            container.sick = self.rng.chance(100);
            return;
        }
        let id = container.id.clone();
        self.intent(name, id, clock, None);
    }

    /// A line just printed; on its way for as long as is said, else as it comes.
    pub(super) fn intent(&mut self, name: &str, id: String, clock: Clock, wait: Option<u64>) {
        let whole_seconds = self.rng.chance(300);
        let rule = if self.rng.chance(850) || self.is_over {
            self.rng.pick(&["oom", "nccl", "rare"])
        } else {
            self.rng.pick(&["dead gpu", "xids", "retried", "nobody's"])
        };
        let mut line = clock.wall();
        // The sender's clock may be ahead of ours.
        if self.rng.chance(20) {
            line.secs += self.rng.range(1, 600);
        }
        if whole_seconds {
            line.nanos = None;
        }
        let by_name = self.rng.chance(100);
        let input = IntentInput {
            id: format!("i{}", self.intents.len()),
            wire_target: if by_name { name.to_owned() } else { id.clone() },
            wire_id: (!by_name).then_some(id),
            rule: rule.into(),
            known: rule_facts(rule),
            times: vec![(line.secs, 1)],
            line,
        };
        let index = self.intents.len();
        self.intents.push(Sent {
            input,
            answered: None,
            tries: 0,
        });
        let is_late = self.rng.chance(self.options.late);
        let wait = wait.unwrap_or_else(|| match is_late {
            // Some just as old as a line may be.
            true if self.rng.chance(100) => self.options.config.max_age_ms,
            true => self.rng.range(1_000, 1_200_000),
            false => self.rng.range(3, 50),
        });
        self.after(wait, Event::Deliver { intent: index });
        while self.rng.chance(self.options.doubles) {
            let wait = self.rng.range(1, 1_300_000);
            self.after(wait, Event::Deliver { intent: index });
        }
    }

    pub(super) fn deliver(&mut self, index: usize) {
        let now = self.now();
        let Some(policy) = self.exec.asked() else {
            return self.send_again(index);
        };
        let input = self.intents[index].input.clone();
        let answer = timed(|| policy.handle_repeat(now, &input.id));
        self.model().check_repeat(&input.id, answer.as_ref());
        if let Some(answer) = answer {
            self.totals.count("repeat");
            return self.answered(index, answer.verdict);
        }
        let recent = self.recent.get(&input.wire_target);
        if let Some((_, look)) = recent.filter(|(read, _)| self.t - read <= 1_000) {
            let look = look.clone();
            let policy = self.exec.asked().expect("it runs");
            let step = timed(|| policy.handle_intent(now, now.at, &input, &look));
            let model = self.model();
            model.check_intent(now.at, &input, &look, step.as_ref());
            match step {
                Some(step) => {
                    self.totals.count("old facts");
                    return self.decided(index, &step, &look, now.at.0);
                }
                None => self.totals.count("fresh facts needed"),
            }
        }
        self.ask(What::Intent(index));
    }

    pub(super) fn decided(&mut self, index: usize, step: &Step, look: &Look, asked_at: u64) {
        if self.perform(step, Some((look, asked_at))).is_ok() {
            if let Some(answer) = &step.answer {
                self.answered(index, answer.verdict);
            }
        } else {
            self.send_again(index);
        }
    }

    pub(super) fn answered(&mut self, index: usize, verdict: Verdict) {
        self.intents[index].answered = Some(verdict);
    }

    /// Fluent Bit keeps its chunk.
    pub(super) fn send_again(&mut self, index: usize) {
        self.totals.count("retry");
        self.intents[index].tries += 1;
        let tries = u64::from(self.intents[index].tries.min(40));
        let wait = self.rng.range(1_000 * tries, 3_000 * tries);
        self.after(wait, Event::Deliver { intent: index });
    }
}
