//! Views for people, metrics and report files: plain data, serialisable.

use serde::Serialize;

use crate::figures::left;
use crate::off::off_as_known;
use crate::state::{Spent, Target};
use crate::{
    AttemptView, Gate, HeldBack, IDS_FORGOTTEN_MS, IDS_MAX, Labelled, Limits, Now, Off, Pending,
    PendingKey, Policy, Possible, Timestamp, UNKNOWN_RULE_MS, WallTime,
};

/// Everything that `healer status` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// By name.
    pub targets: Vec<TargetStatus>,
    /// See there.
    pub counts: Counts,
    /// All targets are paused: until when on the policy's clock, ms from now;
    /// none where it lasts until resumed.
    pub paused: Option<PausedFor>,
    /// Why restarts of all targets are stopped by the storm breaker.
    pub storm: Option<StormStatus>,
    /// Maintenance windows that are open, and when the others open next.
    pub windows: Vec<WindowStatus>,
    /// What maintenance holds back, by name.
    pub held_back: Vec<HeldBackStatus>,
    /// The journal was damaged: all counts as spent for so long, ms, and why.
    pub closed: Option<(u64, String)>,
    /// Why `readyz` should say no; empty = ready.
    pub not_ready: Vec<String>,
}

/// Sums for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Targets pending.
    pub pending: usize,
    /// Targets held.
    pub held: usize,
    /// Targets whose restart maintenance holds back.
    pub held_back: usize,
    /// Restarts of all targets are stopped by the storm breaker.
    pub storm: bool,
    /// Targets paused by name.
    pub paused: usize,
    /// Attempts in progress.
    pub in_progress: usize,
    /// Attempts whose container is being watched.
    pub verified: usize,
    /// Intent ids remembered.
    pub ids: usize,
    /// Intent ids forgotten before their time, since start: too many came.
    pub ids_forgotten: u64,
    /// Attempts remembered.
    pub attempts: usize,
    /// (Target, rule) pairs with counted matches.
    pub counted: usize,
}

/// A storm that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StormStatus {
    /// For people.
    pub why: String,
    /// When it began, ms since the epoch.
    pub since_wall_ms: u64,
    /// Canonical names of the targets that are involved, by name.
    pub targets: Vec<String>,
    /// It may be over in, ms, if none of them matches.
    pub quiet_in_ms: u64,
}

/// A maintenance window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowStatus {
    /// See [`crate::Window`].
    pub name: String,
    /// For people; may be empty.
    pub reason: String,
    /// Patterns; none = all targets.
    pub targets: Vec<String>,
    /// Open until then, ms since the epoch; none = not open.
    pub until_wall_ms: Option<u64>,
    /// Opens next, ms since the epoch; none = not in the days that are known.
    pub next_wall_ms: Option<u64>,
}

/// A target whose restart maintenance holds back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldBackStatus {
    /// See there.
    #[serde(flatten)]
    pub held_back: HeldBack,
    /// Decided again in, ms; none = not by itself.
    pub due_ms: Option<u64>,
}

/// How long a pause lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PausedFor {
    /// None: until resumed.
    pub left_ms: Option<u64>,
    /// For people; may be empty.
    pub reason: String,
}

/// What a target is doing, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum TargetState {
    Restarting,
    Held,
    Paused,
    Pending,
    Watched,
    Off,
    Cooldown,
    Idle,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetStatus {
    /// Canonical name, or a container id where only that is known.
    pub target: String,
    /// See there.
    pub state: TargetState,
    /// Until the cooldown is over, ms; by configuration, without labels.
    pub cooldown_left_ms: u64,
    /// Charges in the window.
    pub window_count: u32,
    /// The limits in force, by configuration, without labels.
    pub limits: Limits,
    /// When the next restart is possible.
    pub possible: Possible,
    /// Attempts in a row that did not cure.
    pub uncured: u32,
    /// Waits for a decision.
    pub pending: Option<PendingStatus>,
    /// Why it is held.
    pub held: Option<String>,
    /// It is paused by name.
    pub paused: Option<PausedFor>,
    /// Nothing is ever done for it by itself, and why.
    pub off: Option<Off>,
    /// The newest attempt that was no dry run.
    pub last: Option<AttemptView>,
}

/// A pending target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PendingStatus {
    /// What refused last.
    pub gate: Gate,
    /// The rule of the newest line.
    pub rule: String,
    /// The newest line.
    pub line: WallTime,
    /// Decided again in, ms.
    pub due_ms: u64,
    /// Given up in, ms.
    pub expires_ms: u64,
}

impl Policy {
    /// Everything that `healer status` shows.
    pub fn status(&self, now: Now) -> Status {
        let mut names: Vec<&str> = self.config.targets.keys().map(String::as_str).collect();
        names.extend(self.state.targets.keys().map(String::as_str));
        names.extend(self.state.pendings.keys().map(PendingKey::as_str));
        names.sort_unstable();
        names.dedup();
        let targets = names.iter().map(|name| self.target_status(now, name));
        let closed = self.state.fail_closed.as_ref();
        Status {
            targets: targets.collect(),
            counts: self.counts(now),
            paused: self.state.pause.as_ref().and_then(|p| paused_for(p, now)),
            storm: self.storm_status(now),
            windows: self.window_status(now),
            held_back: self.held_back_status(now),
            closed: closed
                .filter(|_| self.is_closed(now))
                .map(|closed| (closed.until.since(now.at), closed.why.clone())),
            not_ready: self.not_ready(now),
        }
    }

    /// Sums for metrics.
    pub fn counts(&self, now: Now) -> Counts {
        let targets = || self.state.targets.values();
        let is_paused = |t: &&Target| t.is_paused(now.at);
        Counts {
            pending: self.state.pendings.len(),
            held: targets().filter(|t| t.held.is_some()).count(),
            held_back: self.state.held_back.iter().count(),
            storm: self.state.storms.on.is_some(),
            paused: targets().filter(is_paused).count(),
            in_progress: targets().filter(|t| t.in_progress.is_some()).count(),
            verified: targets().filter(|t| t.verified.is_some()).count(),
            ids: self.state.ids.len(),
            ids_forgotten: self.state.ids.forgotten.count,
            attempts: self.state.attempts.len(),
            counted: self.state.counted.len(),
        }
    }

    /// Why the executor is not ready, as far as the policy knows; empty = it is.
    pub fn not_ready(&self, now: Now) -> Vec<String> {
        let mut why = Vec::new();
        if let Some(storm) = &self.state.storms.on {
            why.push(format!(
                "storm: {}: nothing is restarted until all is clear, or `healer resume`",
                storm.why
            ));
        }
        if let Some(closed) = &self.state.fail_closed
            && self.is_closed(now)
        {
            let left = left(closed.until, now.at);
            why.push(format!(
                "the journal was damaged ({}): all counts as spent for another {left} or until \
                 `healer resume`",
                closed.why
            ));
        }
        if let Some((at, rule)) = &self.state.unknown_rule
            && now.at.since(*at) < UNKNOWN_RULE_MS
        {
            why.push(format!(
                "an intent names the rule '{rule}', which this executor does not know: give it \
                 the plugin's rules"
            ));
        }
        let forgotten = self.state.ids.forgotten;
        if forgotten
            .at
            .is_some_and(|at| now.at.since(at) < IDS_FORGOTTEN_MS)
        {
            why.push(format!(
                "more than {IDS_MAX} intents came within the time for which their ids are kept: \
                 one that is sent again may count anew (ids forgotten early: {})",
                forgotten.count
            ));
        }
        why
    }

    fn window_status(&self, now: Now) -> Vec<WindowStatus> {
        let windows = self.config.windows.iter().map(|window| WindowStatus {
            name: window.name.clone(),
            reason: window.reason.clone(),
            targets: window.targets.clone(),
            until_wall_ms: window.open_until(now.wall_ms),
            next_wall_ms: window.opens_at(now.wall_ms),
        });
        windows.collect()
    }

    fn held_back_status(&self, now: Now) -> Vec<HeldBackStatus> {
        let due = |name: &str| {
            let key = PendingKey::Target(name.to_owned());
            let pending = self.state.pendings.get(&key)?;
            Some(pending.next().since(now.at))
        };
        let held_back = self.state.held_back.iter().map(|one| HeldBackStatus {
            held_back: one.clone(),
            due_ms: due(&one.target),
        });
        held_back.collect()
    }

    fn storm_status(&self, now: Now) -> Option<StormStatus> {
        let storm = self.state.storms.on.as_ref()?;
        let quiet = storm.last_match.plus(self.config.storm.quiet_ms);
        Some(StormStatus {
            why: storm.why.clone(),
            since_wall_ms: storm.wall_ms,
            targets: storm.targets.iter().cloned().collect(),
            quiet_in_ms: quiet.since(now.at),
        })
    }

    /// Attempts without an outcome, oldest first.
    pub fn open_attempts(&self) -> Vec<AttemptView> {
        let open = self
            .state
            .attempts
            .values()
            .filter(|a| a.end.is_none() && !a.charge.shadow);
        open.map(|a| self.view(a)).collect()
    }

    /// The container that printed a pending target's line, where it is known.
    pub fn pending_container(&self, key: &PendingKey) -> Option<&str> {
        self.state.pendings.get(key)?.container_id.as_deref()
    }

    /// When the newest attempt that restarted its container was charged, ms
    /// since the epoch.
    pub fn newest_restart_wall_ms(&self) -> Option<u64> {
        let restarted = self
            .state
            .attempts
            .values()
            .rev()
            .find(|a| a.restarted.is_some());
        restarted.map(|a| a.wall_ms)
    }

    /// Whether the engine's answer to a charge of this target is still open.
    pub fn is_in_progress(&self, target: &str) -> bool {
        self.state
            .target(target)
            .is_some_and(|t| t.in_progress.is_some())
    }

    /// Whether something is being done about this target: an attempt is made or watched, or
    /// what calls for one waits to be decided again. Dry runs do nothing.
    pub fn is_being_healed(&self, name: &str) -> bool {
        let target = self.state.target(name);
        let has_attempt = |t: &Target| t.in_progress.is_some() || t.verified.is_some();
        let key = PendingKey::Target(name.to_owned());
        let waits = |pending: &Pending| {
            !matches!(pending.gate, Gate::NoFacts | Gate::Unconfirmed)
                && !self.config.is_dry(name, &pending.rule)
        };
        target.is_some_and(has_attempt) || self.state.pendings.get(&key).is_some_and(waits)
    }

    /// Whether this target is held.
    pub fn is_held(&self, name: &str) -> bool {
        self.state.target(name).is_some_and(|t| t.held.is_some())
    }

    /// One target, as in [`Policy::status`]: by the configuration alone, so that a label that
    /// has it off (`healer.enable=false`) does not show.
    pub fn target_status(&self, now: Now, name: &str) -> TargetStatus {
        self.target_status_as(now, name, Labelled::Unseen)
    }

    /// The same where its container may have been seen: whether it is off is by its labels, too.
    pub fn target_status_as(&self, now: Now, name: &str, labelled: Labelled<'_>) -> TargetStatus {
        let config = self.config.target(name);
        let empty = Target::default();
        let target = self.state.target(name).unwrap_or(&empty);
        let limits = crate::judge::grown_limits(config.limits, config.recovery, target.uncured);
        let dry_run = config.dry_run || self.config.dry_run;
        let spent: Vec<&Spent> = target.counting(dry_run).collect();
        let within = |s: &&&Spent| now.at.since(s.at) < limits.window_ms;
        let cooldown_left_ms = spent
            .last()
            .map_or(0, |s| s.at.plus(limits.cooldown_ms).since(now.at));
        // Its own first, then those apart.
        let pending = self
            .state
            .pendings
            .iter()
            .find(|(key, _)| key.as_str() == name);
        let pending = pending.map(|(_, pending)| pending);
        let attempts = spent.iter().rev().filter(|s| !s.shadow);
        let off = off_as_known(&self.config, name, labelled);
        let off_gate = off.as_ref().map(|off| off.gate);
        let mut status = TargetStatus {
            target: name.to_owned(),
            state: TargetState::Idle,
            cooldown_left_ms,
            window_count: count(spent.iter().filter(within).count()),
            limits,
            possible: self.possible(now, name, limits, dry_run, off_gate),
            uncured: target.uncured,
            pending: pending.map(|p| PendingStatus {
                gate: p.gate,
                rule: p.rule.clone(),
                line: p.line,
                due_ms: p.next().since(now.at),
                expires_ms: self.expires(p).since(now.at),
            }),
            held: target.held.as_ref().map(|held| held.why.clone()),
            paused: target.pause.as_ref().and_then(|p| paused_for(p, now)),
            off,
            last: attempts
                .filter_map(|s| s.attempt)
                .find_map(|id| self.attempt(id)),
        };
        status.state = state_of(&status, target);
        status
    }
}

fn state_of(status: &TargetStatus, target: &Target) -> TargetState {
    if target.in_progress.is_some() {
        TargetState::Restarting
    } else if status.held.is_some() {
        TargetState::Held
    } else if status.paused.is_some() {
        TargetState::Paused
    } else if status.pending.is_some() {
        TargetState::Pending
    } else if target.verified.is_some() {
        TargetState::Watched
    } else if status.off.is_some() {
        TargetState::Off
    } else if status.cooldown_left_ms > 0 {
        TargetState::Cooldown
    } else {
        TargetState::Idle
    }
}

fn paused_for(pause: &crate::state::Pause, now: Now) -> Option<PausedFor> {
    pause.is_on(now.at).then(|| PausedFor {
        left_ms: pause.until.map(|until: Timestamp| until.since(now.at)),
        reason: pause.reason.clone(),
    })
}

pub(crate) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
