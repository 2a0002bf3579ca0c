//! What time brings: looks that are due, pendings that expire, and the start.

use crate::act::look_for;
use crate::judge::shadow_outcome;
use crate::live::{LiveAttempt, LivePending, Phase};
use crate::{
    Action, AttemptId, Gate, LOOK_LOST_MS, LOOK_WAIT_MIN_MS, Now, PENDING_LOOKS_MAX, Pending,
    PendingKey, Policy, STORM_PENDING_MS, Step, Timestamp,
};

impl Policy {
    /// Nothing is under way: whatever was, an earlier process did it.
    pub(crate) fn start(&mut self, now: Now, only: Option<&str>) -> Step {
        self.live.only = only.map(str::to_owned);
        self.live.pendings.clear();
        self.live.targets.clear();
        self.live.attempts = self
            .state
            .open_attempts()
            .filter(|(_, attempt)| only.is_none_or(|name| name == attempt.charge.target))
            .map(|(id, attempt)| {
                let live = LiveAttempt {
                    phase: Phase::LookAt(now.at),
                    is_resumed: true,
                    ..LiveAttempt::new(now.at, attempt.charge.longest_call_ms())
                };
                (id, live)
            })
            .collect();
        self.live.is_unsure = true;
        let mut step = self.timeout(now);
        // A crash cut the journal between a dry run's charge and its outcome.
        let cut = self.state.attempts.values();
        for attempt in cut.filter(|a| a.charge.shadow && a.end.is_none()) {
            step.entries.push(shadow_outcome(attempt.charge.attempt));
        }
        step
    }

    pub(crate) fn timeout(&mut self, now: Now) -> Step {
        let mut step = Step::default();
        let due: Vec<AttemptId> = self
            .live
            .attempts
            .iter()
            .filter(|(_, live)| live.wake().is_some_and(|at| at <= now.at))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let Some(live) = self.live.attempts.get_mut(&id) else {
                continue;
            };
            match self.state.open(id) {
                Some(attempt) => {
                    live.look_out(now.at);
                    step.actions.push(look_for(id, attempt));
                }
                None => {
                    self.live.attempts.remove(&id);
                }
            }
        }
        step.durable = self.live.is_unsure && !step.actions.is_empty();
        self.promote(&mut step, now);
        self.pendings_due(&mut step, now);
        self.targets_due(&mut step, now);
        step
    }

    fn pendings_due(&mut self, step: &mut Step, now: Now) {
        if self.live.only.is_some() {
            return;
        }
        let mut looks = self.looks_out(now.at);
        for key in self.keys_due(now.at) {
            let Some(pending) = self.state.pendings.get(&key) else {
                continue;
            };
            let expires = self.expires(pending);
            let live = self.live.pendings.entry(key.clone()).or_default();
            if expires <= now.at {
                if now.at < live.end_not_before {
                    continue;
                }
                let again = now.at.plus(LOOK_WAIT_MIN_MS);
                (live.end_not_before, live.not_before) = (again, again);
                let why = format!("expired: {} has refused until then", pending.gate.as_str());
                step.expire_pending(&self.config, pending, &why);
            } else if looks < PENDING_LOOKS_MAX {
                looks += 1;
                live.lost_at = Some(now.at.plus(LOOK_LOST_MS));
                step.actions.push(Action::LookForPending { key });
            }
        }
    }

    /// Due first, served first; of those that are due at the same time (the end
    /// of the host's window, say) the one whose line is oldest.
    fn keys_due(&self, now: Timestamp) -> Vec<PendingKey> {
        let pendings = self.state.pendings.iter();
        let mut due: Vec<(Timestamp, &PendingKey, &Pending)> = pendings
            .map(|(key, pending)| (self.pending_wake(key, pending), key, pending))
            .filter(|(wake, ..)| *wake <= now)
            .collect();
        due.sort_by_key(|(wake, _, pending)| (*wake, pending.line.secs, pending.line.nanos));
        due.into_iter().map(|(_, key, _)| key.clone()).collect()
    }

    /// When a pending target needs attention.
    fn pending_wake(&self, key: &PendingKey, pending: &Pending) -> Timestamp {
        let live = self.live.pendings.get(key).copied().unwrap_or_default();
        live.wake(pending.due)
            .min(self.expires(pending).max(live.end_not_before))
    }

    /// When it is given up: not while it waits for the end of a storm, but for long.
    pub(crate) fn expires(&self, pending: &Pending) -> Timestamp {
        let waits = pending.gate == Gate::Storm && self.state.storms.on.is_some();
        if waits && self.config.pending_max_ms.is_none() {
            pending.expires.plus(STORM_PENDING_MS)
        } else {
            pending.expires
        }
    }

    fn looks_out(&self, now: Timestamp) -> usize {
        let is_out = |live: &&LivePending| live.lost_at.is_some_and(|at| now < at);
        self.live.pendings.values().filter(is_out).count()
    }

    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        let attempts = self.live.attempts.values().filter_map(LiveAttempt::wake);
        let is_full = self
            .live
            .pendings
            .values()
            .filter(|live| live.lost_at.is_some())
            .count()
            >= PENDING_LOOKS_MAX;
        let pendings = self.state.pendings.iter().filter_map(|(key, pending)| {
            let is_out = || {
                self.live
                    .pendings
                    .get(key)
                    .is_some_and(|l| l.lost_at.is_some())
            };
            if self.live.only.is_some() {
                None
            } else if is_full && !is_out() {
                // Its turn comes with the next result; until then only its end.
                let live = self.live.pendings.get(key).copied().unwrap_or_default();
                Some(self.expires(pending).max(live.end_not_before))
            } else {
                Some(self.pending_wake(key, pending))
            }
        });
        attempts.chain(pendings).chain(self.targets_wake()).min()
    }
}
