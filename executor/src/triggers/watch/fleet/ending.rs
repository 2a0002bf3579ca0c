//! Judges ends: whether a container ended by itself, and stays down.
//!
//! Keeps true: what anybody may have asked for is left alone. An end counts as the container's
//! own only where it was seen to run in an unbroken stream of events, where no signal that ends
//! a process and no stop, pause or removal was told before it or within [`SETTLE_MS`] after it,
//! and where the engine shows it down by that very end.

use std::collections::BTreeMap;

use policy::{ContainerState, RuleRemedy, Sign, Timestamp, WallTime, is_died_off};

use super::projects::STOP_MS;
use crate::config::{Died, WatchTarget};
use crate::docker::{Seen, What};
use crate::triggers::{DIED, Fired, OOM_KILLED};

/// Engines tell of a stop before or after the end that it leads to; both are there after so
/// long, ms. So is what its own restart policy does about it.
pub(super) const SETTLE_MS: u64 = 2_000;
/// A signal that may or may not mean an end counts as its reason for so long, ms.
const OTHER_SIGNAL_MS: u64 = 60_000;
/// Signals that are kept apart; there are 64.
const SIGNALS_MAX: usize = 65;
/// An end within so long after one of its processes was killed for want of memory is because
/// of that, ms.
const OOM_MS: u64 = 60_000;
/// The exit code of a process that SIGKILL ended.
const KILLED: i64 = 137;
/// SIGINT, SIGQUIT, SIGKILL, SIGTERM: whoever sends one of these wants an end.
const ENDING_SIGNALS: [u8; 4] = [2, 3, 9, 15];

/// What is known of one container's end since its start.
#[derive(Debug, Default)]
pub(super) struct Ending {
    phase: Phase,
    /// Signals that were sent to it, none = one that was not told, and when last.
    signals: BTreeMap<Option<u8>, Timestamp>,
    was_stopped: bool,
    is_paused: bool,
    oom_at: Option<Timestamp>,
    /// The last list showed it down, and nothing was heard of that.
    is_in_doubt: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not seen to run since nothing has been missed.
    #[default]
    Unseen,
    Running,
    Ended {
        /// By the engine's clock.
        at: WallTime,
        heard_at: Timestamp,
    },
}

pub(super) enum Judged {
    Nothing,
    /// To be looked at again then.
    Later(Timestamp),
    /// Left alone, and why: an end not after that time, by the engine's clock.
    Left {
        at: WallTime,
        why: &'static str,
    },
    /// It ended by itself, and nothing is done here about that.
    Quiet {
        at: WallTime,
        heard_at: Timestamp,
        why: &'static str,
    },
    Fires(Box<Fired>),
}

/// Whether anybody told it to end.
pub(in crate::triggers) fn is_ending(signal: Option<u8>) -> bool {
    signal.is_none_or(|signal| ENDING_SIGNALS.contains(&signal))
}

impl Ending {
    /// A list shows it running.
    pub(super) fn is_running(&mut self) {
        if self.phase == Phase::Unseen {
            self.phase = Phase::Running;
        }
    }

    /// It was started; whether that followed on an end that nobody asked for.
    pub(super) fn started(&mut self) -> bool {
        let by_itself = matches!(self.phase, Phase::Ended { .. }) && !self.was_asked_for(None);
        *self = Self {
            phase: Phase::Running,
            ..Self::default()
        };
        by_itself
    }

    /// Takes any other event. When its end is to be judged, where this is it.
    pub(super) fn heard(&mut self, now: Timestamp, what: What, at: WallTime) -> Option<Timestamp> {
        match what {
            What::Kill { signal } => {
                if self.signals.len() < SIGNALS_MAX {
                    self.signals.insert(signal, now);
                }
            }
            What::Stop => self.was_stopped = true,
            What::Pause => self.is_paused = true,
            What::Unpause => self.is_paused = false,
            What::Oom => self.oom_at = Some(now),
            What::Die { .. } if self.phase == Phase::Running => {
                if self.is_asked_for(now, None) {
                    self.phase = Phase::Unseen;
                    return None;
                }
                self.phase = Phase::Ended { at, heard_at: now };
                return Some(now.plus(SETTLE_MS));
            }
            What::Die { .. }
            | What::Create
            | What::Start
            | What::Restart
            | What::Rename
            | What::Destroy
            | What::Health(_) => {}
        }
        None
    }

    /// That it has ended was taken: once is enough, what is decided later is the policy's.
    pub(super) fn told(&mut self, rule: &str) {
        if rule == DIED || rule == OOM_KILLED {
            *self = Self::default();
        }
    }

    /// A list shows it down. True where that was missed: it ran when last heard of, and one
    /// list ago it was down already.
    pub(super) fn is_down(&mut self) -> bool {
        if self.phase != Phase::Running {
            return false;
        }
        let was_missed = std::mem::replace(&mut self.is_in_doubt, true);
        if was_missed {
            *self = Self::default();
        }
        was_missed
    }

    /// Whether it has ended and what comes of that is not settled.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// Whether an end at this time is what somebody asked for, by all that has been heard
    /// since its start.
    pub(super) fn is_asked_for(&self, now: Timestamp, stop_signal: Option<u8>) -> bool {
        let asks = |(signal, sent): (&Option<u8>, &Timestamp)| {
            is_ending(*signal) || *signal == stop_signal || now.since(*sent) < OTHER_SIGNAL_MS
        };
        self.was_stopped || self.is_paused || self.signals.iter().any(asks)
    }

    /// `stopped_beside`: when another container of its compose project was last stopped that
    /// is not back. `is_quiet_end_wanted`: whether anybody else acts on ends by itself that
    /// are no trigger here.
    pub(super) fn judge(
        &mut self,
        now: Timestamp,
        seen: &Seen,
        settings: &WatchTarget,
        stopped_beside: Option<Timestamp>,
        is_quiet_end_wanted: bool,
    ) -> Judged {
        let Phase::Ended { at, heard_at } = self.phase else {
            return Judged::Nothing;
        };
        let decide_at = heard_at.plus(SETTLE_MS);
        if now < decide_at {
            return Judged::Later(decide_at);
        }
        let container = &seen.container;
        // Its start, by whomever, is or will be heard of.
        let comes_back = [ContainerState::Restarting, ContainerState::Running];
        if comes_back.contains(&container.state) {
            return Judged::Nothing;
        }
        if let Some(why) = self.why_left_alone(seen, at) {
            *self = Self::default();
            return Judged::Left { at, why };
        }
        let quiet = self.why_quiet(seen, settings);
        if let Some(why) = quiet
            && !is_quiet_end_wanted
        {
            *self = Self::default();
            return Judged::Left { at, why };
        }
        let beside = stopped_beside.filter(|at| heard_at.since(*at) < STOP_MS);
        match (beside.map(|at| at.plus(STOP_MS)), quiet) {
            (Some(until), _) if now < until => Judged::Later(until.min(now.plus(SETTLE_MS))),
            (Some(_), _) => {
                *self = Self::default();
                let why = "others of its compose project were stopped";
                Judged::Left { at, why }
            }
            (None, Some(why)) => {
                *self = Self::default();
                Judged::Quiet { at, heard_at, why }
            }
            (None, None) => self.fire(seen, settings),
        }
    }

    fn why_left_alone(&self, seen: &Seen, at: WallTime) -> Option<&'static str> {
        let container = &seen.container;
        if self.was_asked_for(seen.stop_signal) {
            return Some("it was stopped");
        }
        if container.state != ContainerState::Exited {
            return Some("it is not down");
        }
        let by_that_end = container.finished_at.is_some_and(|end| !at.is_before(end));
        if !by_that_end {
            return Some("it has ended once more since");
        }
        is_died_off(&container.labels).then_some("its label healer.died says so")
    }

    /// Why an end by itself is no trigger here.
    fn why_quiet(&self, seen: &Seen, settings: &WatchTarget) -> Option<&'static str> {
        let is_done = seen.container.exit.code == 0;
        if self.is_for_memory(seen) {
            return (!settings.oom_killed).then_some("oom_killed is off");
        }
        match settings.died {
            Died::Off => Some("died is off"),
            Died::Failed if is_done => Some("it ended with exit code 0"),
            Died::Failed | Died::Any => None,
        }
    }

    /// The engine's own mark may be of a process that died long before.
    fn is_for_memory(&self, seen: &Seen) -> bool {
        let Phase::Ended { heard_at, .. } = self.phase else {
            return false;
        };
        let is_recent = |at: Timestamp| heard_at.since(at) < OOM_MS;
        let was_killed = seen.container.exit.code == KILLED && seen.is_oom_killed;
        seen.container.exit.code != 0 && (was_killed || self.oom_at.is_some_and(is_recent))
    }

    fn was_asked_for(&self, stop_signal: Option<u8>) -> bool {
        match self.phase {
            Phase::Ended { heard_at, .. } => self.is_asked_for(heard_at, stop_signal),
            Phase::Unseen | Phase::Running => true,
        }
    }

    fn fire(&self, seen: &Seen, settings: &WatchTarget) -> Judged {
        let container = &seen.container;
        let Some(found) = container.finished_at else {
            return Judged::Nothing;
        };
        let exit_code = seen.container.exit.code;
        let is_for_memory = self.is_for_memory(seen) && settings.oom_killed;
        let (rule, why) = match is_for_memory {
            true => (
                OOM_KILLED,
                format!("killed for want of memory (exit code {exit_code})"),
            ),
            false => (DIED, format!("ended by itself with exit code {exit_code}")),
        };
        Judged::Fires(Box::new(Fired {
            container_id: container.id.clone(),
            target: container.name.clone(),
            rule: rule.to_owned(),
            remedy: RuleRemedy::Restart,
            sign: Sign::Ended,
            found,
            round: 0,
            why,
            sample: String::new(),
        }))
    }
}
