//! The bench that the tests stand on: a policy that is driven in the real
//! calling order, with a journal, a clock, and one easily changed container.

use std::collections::BTreeMap;

use crate::*;

pub(crate) const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const NAME: &str = "web";
/// The wall clock at the bench's beginning, seconds.
pub(crate) const T0: u64 = 1_760_000_000;

pub(crate) struct Bench {
    pub(crate) policy: Policy,
    pub(crate) journal: Vec<Record>,
    pub(crate) now: Now,
    pub(crate) config: Config,
    intents: u64,
}

pub(crate) fn target_config() -> TargetConfig {
    TargetConfig {
        enabled: true,
        protected: false,
        dry_run: false,
        limits: Limits {
            cooldown_ms: 300_000,
            window_ms: 600_000,
            max_per_window: 4,
        },
        recovery: Recovery {
            stable_for_ms: 60_000,
            backoff: 1_000,
            cooldown_max_ms: 3_600_000,
            max_attempts: 100,
            release_after_ms: 0,
            start_delay_ms: 0,
        },
        remedies: Remedies::default(),
        depends_on: Default::default(),
    }
}

/// `web` is listed; back-off and `max_attempts` are out of the way.
pub(crate) fn config() -> Config {
    Config {
        defaults: target_config(),
        targets: BTreeMap::from([(NAME.to_owned(), target_config())]),
        labels_may_loosen: false,
        on_refusal: OnRefusal::Pending,
        max_age_ms: 900_000,
        pending_max_ms: None,
        host_max: 10,
        host_window_ms: 600_000,
        stopped: Default::default(),
        windows: Vec::new(),
        attempts_parallel: 4,
        storm: StormLimits {
            attempts: 0,
            targets: 0,
            within_ms: 60_000,
            quiet_ms: 600_000,
        },
        dry_run: false,
        shadow_rules: Default::default(),
    }
}

/// A running container that was started an hour before the bench's beginning.
pub(crate) fn facts() -> Facts {
    Facts {
        id: ID.into(),
        name: NAME.into(),
        state: ContainerState::Running,
        started_at: Some(wall(T0 - 3_600)),
        finished_at: None,
        health: None,
        labels: BTreeMap::new(),
        stop_timeout_s: None,
        is_self_or_peer: false,
        parents: Vec::new(),
        asked_to_end_at: None,
        read_at: Timestamp(u64::MAX),
    }
}

pub(crate) fn wall(secs: u64) -> WallTime {
    WallTime {
        secs,
        nanos: Some(0),
    }
}

pub(crate) fn health(status: HealthStatus, checked_at: Option<WallTime>) -> Option<Health> {
    Some(Health {
        status,
        checked_at,
        start_period_ms: 5_000,
        interval_ms: 10_000,
    })
}

pub(crate) fn found(facts: &Facts) -> Look {
    Look::Found(facts.clone())
}

pub(crate) fn away() -> Look {
    Look::Unavailable {
        why: "inspect timed out after 100 ms".into(),
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self {
            policy: Policy::new(config.clone()),
            journal: Vec::new(),
            now: Now {
                at: Timestamp(T0 * 1_000),
                wall_ms: T0 * 1_000,
            },
            config,
            intents: 0,
        }
    }

    /// Both clocks go on.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.at = self.now.at.plus(ms);
        self.now.wall_ms += ms;
    }

    /// Seconds on the wall now.
    pub(crate) fn secs(&self) -> u64 {
        self.now.wall_ms / 1_000
    }

    /// Writes, applies.
    pub(crate) fn take(&mut self, step: Step) -> Step {
        for entry in &step.entries {
            self.write(entry.clone());
        }
        step
    }

    pub(crate) fn write(&mut self, entry: Entry) {
        let record = Record {
            at: self.now.at,
            wall_ms: self.now.wall_ms,
            entry,
        };
        self.policy.apply(&record);
        self.journal.push(record);
    }

    /// A match of `rule`, printed now.
    pub(crate) fn new_intent(&mut self, rule: &str) -> IntentInput {
        self.intents += 1;
        IntentInput {
            id: format!("i{}", self.intents),
            wire_id: Some(ID.into()),
            wire_target: ID[..12].into(),
            rule: rule.into(),
            known: Some(RuleFacts {
                remedy: RuleRemedy::Restart,
                ..RuleFacts::default()
            }),
            times: vec![(self.secs(), 1)],
            line: WallTime {
                secs: self.secs(),
                nanos: Some((self.now.wall_ms % 1_000) as u32 * 1_000_000),
            },
        }
    }

    /// Decides `intent`, writes, and returns the step.
    pub(crate) fn decide(&mut self, intent: &IntentInput, look: &Look) -> Step {
        let step = self
            .policy
            .handle_intent(self.now, self.now.at, intent, look)
            .expect("the facts are fresh");
        self.take(step)
    }

    /// A match now: the answer.
    pub(crate) fn matched(&mut self, facts: &Facts) -> Decided {
        let intent = self.new_intent("oom");
        self.decide(&intent, &found(facts))
            .answer
            .expect("an intent is answered")
    }

    pub(crate) fn asked(&mut self, facts: &Facts) -> Decided {
        self.asked_with(facts, |_| {})
    }

    pub(crate) fn asked_with(
        &mut self,
        facts: &Facts,
        change: impl Fn(&mut RequestInput),
    ) -> Decided {
        let mut request = RequestInput {
            target: facts.name.clone(),
            cooldown_ms: None,
            window_ms: None,
            max_per_window: None,
        };
        change(&mut request);
        let step = self
            .policy
            .handle_request(self.now, &request, &found(facts));
        self.take(step).answer.expect("a request is answered")
    }

    pub(crate) fn look(&mut self, attempt: AttemptId, look: &Look) -> Step {
        let step = self.policy.handle_attempt_look(self.now, attempt, look);
        self.take(step)
    }

    pub(crate) fn called(&mut self, attempt: AttemptId, called: Called) -> Step {
        let step = self.policy.handle_called(self.now, attempt, &called);
        self.take(step)
    }

    pub(crate) fn pending_look(&mut self, key: &PendingKey, look: &Look) -> Step {
        let step = self.policy.handle_pending_look(self.now, key, look);
        self.take(step)
    }

    pub(crate) fn timeout(&mut self) -> Step {
        let step = self.policy.handle_timeout(self.now);
        self.take(step)
    }

    /// From the charge to `Restarted`; the container starts anew now.
    pub(crate) fn restart(&mut self, attempt: AttemptId, facts: &mut Facts) {
        self.look(attempt, &found(facts));
        facts.started_at = Some(self.wall_now());
        self.called(attempt, Called::Done);
        let step = self.look(attempt, &found(facts));
        assert!(
            matches!(step.entries[..], [Entry::Restarted { .. }, ..]),
            "{step:?}"
        );
    }

    pub(crate) fn wall_now(&self) -> WallTime {
        WallTime {
            secs: self.secs(),
            nanos: Some((self.now.wall_ms % 1_000) as u32 * 1_000_000),
        }
    }

    /// The process dies and another one reads the journal.
    pub(crate) fn crash(&mut self) -> Step {
        self.policy = Policy::new(self.config.clone());
        for record in &self.journal {
            self.policy.apply(record);
        }
        let step = self.policy.handle_start(self.now);
        self.take(step)
    }

    pub(crate) fn outcome(&self, attempt: AttemptId) -> Option<Outcome> {
        self.policy.attempt(attempt).and_then(|a| a.outcome)
    }
}

/// The calls among a step's actions.
pub(crate) fn calls(step: &Step) -> Vec<Call> {
    let call = |action: &Action| match action {
        Action::Call { call, .. } => Some(*call),
        _ => None,
    };
    step.actions.iter().filter_map(call).collect()
}

/// What is told.
pub(crate) fn told<'a>(step: &'a Step) -> Vec<&'a Event> {
    let told = |action: &'a Action| match action {
        Action::Tell(event) => Some(event),
        _ => None,
    };
    step.actions.iter().filter_map(told).collect()
}

/// A charge as a journal entry.
pub(crate) fn charge(attempt: AttemptId, target: &str, cause: Cause) -> Entry {
    Entry::Charge(Charge {
        attempt,
        target: target.into(),
        container_id: ID.into(),
        started_at: wall(T0 - 3_600),
        cause,
        limits: target_config().limits,
        stop_wait_ms: 20_000,
        plan: Vec::new(),
        shadow: false,
        shadow_rule: false,
    })
}
