//! The policy: all state of all targets behind a handful of methods. What each
//! does stands in a module of its own.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::live::Live;
use crate::state::State;
use crate::{
    AttemptId, Called, Config, Decided, Gate, Look, Now, PendingKey, Record, Sign, Step, Timestamp,
    WallTime, Window,
};

/// An intent as the policy sees it: typed, limits checked, rule looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentInput {
    /// The intent's id.
    pub id: String,
    /// How the wire names the target, where that is an id (for [`PendingKey::Id`]).
    pub wire_id: Option<String>,
    /// How the wire names the target, for people.
    pub wire_target: String,
    /// The rule's name.
    pub rule: String,
    /// From the executor's own rules; none = unknown rule.
    pub known: Option<RuleFacts>,
    /// (seconds since the epoch, matches).
    pub times: Vec<(u64, u32)>,
    /// The newest line.
    pub line: WallTime,
}

impl IntentInput {
    /// The container that was found for it: where the wire names a process or a
    /// cgroup, several ids may be meant and the engine knows one of them.
    pub fn found(&mut self, container_id: &str) {
        if self
            .wire_id
            .as_deref()
            .is_some_and(|id| !container_id.starts_with(id))
        {
            self.wire_id = Some(container_id.to_owned());
        }
    }
}

/// What the executor's own copy of a rule says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleFacts {
    /// See [`RuleRemedy`].
    pub remedy: RuleRemedy,
    /// (count, within_ms): matches needed before it applies.
    pub threshold: Option<(u32, u64)>,
    /// What else is needed before it applies.
    pub confirm: Option<Confirm>,
    /// Its matches may confirm another rule's.
    pub confirms: bool,
    /// What its matches stand on.
    pub sign: Sign,
}

/// Something else that must happen before a rule's remedy applies: any of `by`,
/// within a time of the match, before or after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// Any of these will do.
    pub by: Vec<Confirmation>,
    /// Milliseconds.
    pub within_ms: u64,
}

/// What can confirm a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirmation {
    /// A match of another rule for the same target.
    Rule(String),
    /// The container's own health check says unhealthy.
    Unhealthy,
    /// The container's process ended.
    Exit,
}

/// What a match calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum RuleRemedy {
    #[default]
    Restart,
    Escalate,
    Note,
}

impl RuleRemedy {
    pub(crate) fn is_restart(&self) -> bool {
        *self == Self::Restart
    }
}

/// A person's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInput {
    /// As typed.
    pub target: String,
    /// Limits given with the request; they replace the configured ones for it.
    pub cooldown_ms: Option<u64>,
    /// See `cooldown_ms`.
    pub window_ms: Option<u64>,
    /// See `cooldown_ms`.
    pub max_per_window: Option<u32>,
}

/// All state of all targets. See the crate's documentation for the calling order.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(crate) config: Config,
    pub(crate) state: State,
    pub(crate) live: Live,
}

impl Policy {
    /// An empty state.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            state: State::default(),
            live: Live::default(),
        }
    }

    /// The settings in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// New settings; state is kept. A rule that was unknown may be known now.
    pub fn configure(&mut self, config: Config) {
        let stopped = std::mem::take(&mut self.config.stopped);
        self.config = Config { stopped, ..config };
        let windows = std::mem::take(&mut self.config.windows);
        self.set_windows(windows);
        self.state.unknown_rule = None;
    }

    /// The targets that a person keeps stopped by a marker file, as of now: a
    /// fact from outside, not state.
    pub fn set_stopped(&mut self, stopped: BTreeSet<String>) {
        self.config.stopped = stopped;
    }

    /// The maintenance windows of the next days, a fact from outside like the
    /// above. What waits for the end of one is decided again at once, since that
    /// may have moved.
    pub fn set_windows(&mut self, windows: Vec<Window>) {
        self.config.windows = windows;
        for (key, pending) in &self.state.pendings {
            if pending.gate == Gate::Maintenance {
                self.live.pendings.entry(key.clone()).or_default().at_once = true;
            }
        }
    }

    /// Folds one journal record into the state, at start and while running.
    pub fn apply(&mut self, record: &Record) {
        self.state.apply(record, &self.config);
        self.live.apply(record);
    }

    /// The state is read (all records applied) and the executor begins: looks
    /// for every attempt without an outcome, and what time has come for.
    pub fn handle_start(&mut self, now: Now) -> Step {
        self.start(now, None)
    }

    /// As [`Policy::handle_start`] for a one-shot under the state lock: only
    /// this target's attempts are looked after, from now on, and nothing pending.
    pub fn handle_start_one(&mut self, now: Now, target: &str) -> Step {
        self.start(now, Some(target))
    }

    /// The current answer for an intent that was decided before; none = new.
    pub fn handle_repeat(&self, now: Now, id: &str) -> Option<Decided> {
        self.repeat(now, id)
    }

    /// Decides an intent. `look` may be up to a second old; where the answer
    /// would be a restart and `look` was read before `arrived`, none is
    /// returned: look again, afresh, and call again. An id that was decided
    /// meanwhile is answered as by [`Policy::handle_repeat`].
    pub fn handle_intent(
        &mut self,
        now: Now,
        arrived: Timestamp,
        intent: &IntentInput,
        look: &Look,
    ) -> Option<Step> {
        self.intent(now, arrived, intent, look)
    }

    /// What a match stood on ([`Sign::Watched`]) is over for a container, as found at
    /// `found` on the wall clock: what waits because of it ends, and an attempt that is
    /// being watched may recover.
    pub fn handle_clear(&mut self, container_id: &str, rule: &str, found: WallTime) -> Step {
        self.clear(container_id, rule, found)
    }

    /// Decides a person's request. `look` must be fresh. Never leaves anything
    /// pending. An answer `refused` without a gate is wrong use.
    pub fn handle_request(&mut self, now: Now, request: &RequestInput, look: &Look) -> Step {
        self.request(now, request, look)
    }

    /// What an inspect for an attempt showed.
    pub fn handle_attempt_look(&mut self, now: Now, attempt: AttemptId, look: &Look) -> Step {
        self.attempt_look(now, attempt, look)
    }

    /// The step of an attempt's look could not be written: looked at anew soon.
    pub fn handle_unwritten(&mut self, now: Now, attempt: AttemptId) {
        if let Some(live) = self.live.attempts.get_mut(&attempt) {
            live.look_later(now.at, None);
        }
    }

    /// How a call of an attempt went.
    pub fn handle_called(&mut self, now: Now, attempt: AttemptId, called: &Called) -> Step {
        self.called(now, attempt, called)
    }

    /// What an inspect for a pending target showed: decided anew.
    pub fn handle_pending_look(&mut self, now: Now, key: &PendingKey, look: &Look) -> Step {
        self.pending_look(now, key, look)
    }

    /// What an inspect for a target that is held, or in a storm, showed.
    pub fn handle_target_look(&mut self, now: Now, target: &str, look: &Look) -> Step {
        self.target_look(now, target, look)
    }

    /// Time has come for something. Call whenever [`Policy::poll_timeout`] has passed.
    pub fn handle_timeout(&mut self, now: Now) -> Step {
        self.timeout(now)
    }

    /// Pauses all or one; none as `for_ms` = until resumed. `reason` is for people
    /// and may be empty.
    pub fn handle_pause(
        &self,
        now: Now,
        target: Option<&str>,
        for_ms: Option<u64>,
        reason: &str,
    ) -> Step {
        self.pause(now, target, for_ms, reason)
    }

    /// Ends pauses and holds of all or one; for all also a storm, and what a
    /// damaged journal has closed.
    pub fn handle_resume(&self, now: Now, target: Option<&str>, by: &str) -> Step {
        self.resume(now, target, by)
    }

    /// When [`Policy::handle_timeout`] is next needed.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.next_timeout()
    }
}
