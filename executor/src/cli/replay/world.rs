//! The world that a log is replayed in: containers that run, an engine that does
//! what it is asked at once, and time that is the log's. The policy in it is the
//! one that `healer run` decides with.

use std::collections::{BTreeMap, VecDeque};

use policy::{
    Action, Call, Called, ContainerState, Decided, Event, Facts, Gate, IntentInput, LABEL_ENABLE,
    Look, Now, Outcome, PendingKey, Policy, Record, Step, Timestamp, Verdict, WallTime,
};
use rules::RuleBook;

use super::matches::{Match, Matches};
use crate::calendar::Calendar;
use crate::config::Config;
use crate::engine::rule_facts;

/// The containers have run for so long when the log begins, ms.
const UP_MS: u64 = 24 * 3_600_000;
/// Longest wait for what is still open after the log's end, ms.
const AFTER_MS_MAX: u64 = 31 * 24 * 3_600_000;

/// Something that would have happened.
#[derive(Debug, Clone)]
pub(super) struct Happened {
    pub(super) at_ms: u64,
    pub(super) target: String,
    /// Empty where it is about no rule.
    pub(super) rule: String,
    pub(super) what: What,
    /// With figures.
    pub(super) why: String,
    /// The line that it answers; none for what time has brought.
    pub(super) line: Option<u64>,
    /// After the log's end, where nothing is known any more.
    pub(super) is_after: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Decided(Verdict, Option<Gate>),
    /// A pending target's end without a restart.
    Ended,
    /// An attempt's.
    Outcome(Outcome),
    Held,
    Released,
    Storm,
    StormEnded,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) happened: Vec<Happened>,
    /// Containers that the configuration does not list.
    pub(super) not_listed: Vec<String>,
}

pub(super) struct World<'a> {
    policy: Policy,
    calendar: Calendar,
    book: &'a RuleBook,
    containers: BTreeMap<String, Facts>,
    now: Now,
    actions: VecDeque<Action>,
    happened: Vec<Happened>,
    line: Option<u64>,
    is_after: bool,
}

impl<'a> World<'a> {
    pub(super) fn run(config: &Config, book: &'a RuleBook, matches: &Matches) -> Replayed {
        let begin_ms = matches.span_ms.map_or(0, |(first, _)| first);
        let mut world = World {
            policy: Policy::new(config.policy.clone()),
            calendar: Calendar::new(config.maintenance.clone()),
            book,
            containers: BTreeMap::new(),
            now: at(begin_ms),
            actions: VecDeque::new(),
            happened: Vec::new(),
            line: None,
            is_after: false,
        };
        let mut not_listed = Vec::new();
        for found in &matches.all {
            if !world.containers.contains_key(&found.target) {
                let is_listed = config.policy.targets.contains_key(&found.target);
                world.create(&found.target, begin_ms, is_listed);
                if !is_listed {
                    not_listed.push(found.target.clone());
                }
            }
        }
        for (number, found) in matches.all.iter().enumerate() {
            world.until(found.at_ms);
            world.line = Some(found.line);
            world.matched(number, found);
            world.line = None;
        }
        world.is_after = true;
        world.settle();
        Replayed {
            happened: world.happened,
            not_listed,
        }
    }

    fn create(&mut self, name: &str, begin_ms: u64, is_listed: bool) {
        let id = format!("{:064x}", self.containers.len() + 1);
        let mut labels = BTreeMap::new();
        if !is_listed {
            labels.insert(LABEL_ENABLE.to_owned(), "true".to_owned());
        }
        let facts = Facts {
            id,
            name: name.to_owned(),
            state: ContainerState::Running,
            started_at: Some(WallTime::from_ms(begin_ms.saturating_sub(UP_MS))),
            finished_at: None,
            health: None,
            labels,
            stop_timeout_s: None,
            is_self_or_peer: false,
            parents: Vec::new(),
            asked_to_end_at: None,
            read_at: Timestamp(begin_ms),
        };
        self.containers.insert(name.to_owned(), facts);
    }

    fn matched(&mut self, number: usize, found: &Match) {
        let facts = self.look(|facts| facts.name == found.target);
        let input = IntentInput {
            id: format!("replay-{number}"),
            wire_id: None,
            wire_target: found.target.clone(),
            rule: found.rule.clone(),
            known: rule_facts(self.book, &found.rule),
            times: vec![(found.time.secs, found.count)],
            line: found.time,
        };
        let now = self.now;
        // Facts of this very moment are always fresh enough.
        if let Some(step) = self.policy.handle_intent(now, now.at, &input, &facts) {
            self.perform(step);
        }
    }

    /// Lets time pass until then, with everything that it brings.
    fn until(&mut self, ms: u64) {
        while let Some(due) = self.due().filter(|due| *due <= ms) {
            self.pass_to(due);
            let step = self.policy.handle_timeout(self.now);
            self.perform(step);
        }
        self.pass_to(ms);
    }

    /// When something has to be decided, or the calendar to be worked out anew for what
    /// waits; ms since the epoch.
    fn due(&self) -> Option<u64> {
        let waits = self.policy.counts(self.now).pending > 0;
        let calendar = self.calendar.anew_at().filter(|_| waits);
        let policy = self.policy.poll_timeout().map(|due| due.0);
        policy.into_iter().chain(calendar).min()
    }

    /// The clock moves on, never back, and the maintenance windows with it.
    fn pass_to(&mut self, ms: u64) {
        self.now = at(ms.max(self.now.at.0));
        if let Some(windows) = self.calendar.news(self.now.wall_ms) {
            self.policy.set_windows(windows);
        }
    }

    /// After the last line: what waits is decided, what is watched is settled.
    fn settle(&mut self) {
        let end_ms = self.now.at.0.saturating_add(AFTER_MS_MAX);
        loop {
            let counts = self.policy.counts(self.now);
            if counts.pending + counts.in_progress + counts.verified == 0 {
                return;
            }
            match self.due().filter(|due| *due <= end_ms) {
                Some(due) => self.until(due),
                None => return,
            }
        }
    }

    /// Entries, then actions, as the engine has them; each to its end at once.
    fn perform(&mut self, step: Step) {
        self.write(step);
        while let Some(action) = self.actions.pop_front() {
            let now = self.now;
            let step = match action {
                Action::LookForAttempt {
                    attempt,
                    container_id,
                } => {
                    let look = self.look(|facts| facts.id == container_id);
                    self.policy.handle_attempt_look(now, attempt, &look)
                }
                Action::LookForPending { key } => {
                    let look = self.look(|facts| match &key {
                        PendingKey::Id(id) => facts.id.starts_with(id.as_str()),
                        named => facts.name == named.as_str(),
                    });
                    self.policy.handle_pending_look(now, &key, &look)
                }
                Action::LookForTarget { target } => {
                    let look = self.look(|facts| facts.name == target);
                    self.policy.handle_target_look(now, &target, &look)
                }
                Action::Call {
                    attempt,
                    call,
                    container_id,
                    ..
                } => {
                    match call {
                        Call::Restart | Call::Start => self.restart(&container_id),
                        Call::Stop => self.stop(&container_id),
                        // Taken for cured unless the log says otherwise.
                        Call::Exec => {}
                    }
                    self.policy.handle_called(now, attempt, &Called::Done)
                }
                Action::Tell(event) => {
                    self.tell(event);
                    continue;
                }
            };
            self.write(step);
        }
    }

    fn write(&mut self, step: Step) {
        for entry in step.entries {
            self.policy.apply(&Record {
                at: self.now.at,
                wall_ms: self.now.wall_ms,
                entry,
            });
        }
        self.actions.extend(step.actions);
    }

    fn look(&self, is_meant: impl Fn(&Facts) -> bool) -> Look {
        match self.containers.values().find(|facts| is_meant(facts)) {
            Some(facts) => Look::Found(Facts {
                read_at: self.now.at,
                ..facts.clone()
            }),
            None => Look::Gone,
        }
    }

    /// Done at once, and the container runs anew.
    fn restart(&mut self, container_id: &str) {
        let now = self.now.wall();
        let meant = |facts: &&mut Facts| facts.id == container_id;
        if let Some(facts) = self.containers.values_mut().find(meant) {
            facts.finished_at = Some(now);
            facts.started_at = Some(now);
        }
    }

    fn stop(&mut self, container_id: &str) {
        let now = self.now.wall();
        let meant = |facts: &&mut Facts| facts.id == container_id;
        if let Some(facts) = self.containers.values_mut().find(meant) {
            facts.finished_at = Some(now);
            facts.state = policy::ContainerState::Exited;
        }
    }

    fn tell(&mut self, event: Event) {
        let (target, rule, what, why) = match event {
            Event::Decided {
                target,
                rule,
                decided:
                    Decided {
                        verdict,
                        gate,
                        detail,
                        ..
                    },
                ..
            } => (target, rule, What::Decided(verdict, gate), detail),
            Event::PendingEnded { target, why, .. } => (target, String::new(), What::Ended, why),
            Event::Ended {
                target,
                outcome,
                detail,
                ..
            } => (target, String::new(), What::Outcome(outcome), detail),
            Event::Held { target, why, .. } => (target, String::new(), What::Held, why),
            Event::Released { target, by } => (target, String::new(), What::Released, by),
            Event::Storm { why } => (String::new(), String::new(), What::Storm, why),
            Event::StormEnded { by } => (String::new(), String::new(), What::StormEnded, by),
            // Said by the decisions and the outcomes already.
            Event::Restarting { .. }
            | Event::Healing { .. }
            | Event::Executed { .. }
            | Event::NextMeasure { .. }
            | Event::Restarted { .. }
            | Event::Escalated { .. }
            | Event::EndedUnseen { .. }
            | Event::LabelIgnored { .. } => return,
        };
        self.happened.push(Happened {
            at_ms: self.now.wall_ms,
            target,
            rule,
            what,
            why,
            line: self.line,
            is_after: self.is_after,
        });
    }
}

/// The policy's clock and the wall's are one here: the log's.
fn at(ms: u64) -> Now {
    Now {
        at: Timestamp(ms),
        wall_ms: ms,
    }
}
