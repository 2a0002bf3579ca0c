//! A charge without an outcome: what to do next, given what Docker shows. A
//! pure function, used for the first act, after every failed or unclear call,
//! and at start for what an earlier process left behind. The first line of the
//! table that fits:
//!
//! 1. another id, or gone: aborted
//! 2. running, newer `StartedAt`: done, verify
//! 3. running, old `StartedAt`, no `sent`: send it
//! 4. running, old `StartedAt`, `sent`: when the stop wait since `sent` has
//!    passed, look again, then send once more; never a third time
//! 5. exited, old `StartedAt`, `FinishedAt` between `sent` and `sent` + stop
//!    wait: when that has passed and it is still so, start it
//! 6. exited otherwise: not our doing: aborted
//! 7. anything else: looked at again until the stop wait has passed, then
//!    unknown
//!
//! Where the container had ended by itself and is to be started, "running, old" in lines 3 and
//! 4 reads "exited, old" and the call is the start; what has ended anew after it has relapsed.
//! What anybody else has done to it since ends the attempt as aborted, `not-ended`.
//!
//! What the table leaves open is settled so: before the process that made the
//! charge has sent anything, every change since the answer (a newer start, a
//! state other than running) ends it as aborted with the gate's name. A call
//! that the engine answered with success makes line 2 hold for what has fallen
//! over since, too. Where calls may not be repeated any more, the engine's own
//! refusal makes the end `failed`, silence makes it `unknown`. What was started
//! anew and has exited within our stop wait is not started: it may be our call,
//! come late to somebody else's restart, or that person's stop, and nothing that
//! Docker keeps tells which. It is told and held, so that it does not stay down
//! unnoticed. Docker not
//! answering is no state of the container: it is asked again, for
//! [`SILENCE_MAX_MS`] at most; and for line 5 the stop wait counts anew from when
//! it was last away.

use crate::figures::{limit, wall_ms};
use crate::{Call, ContainerState, Facts, Gate, Look, Now, SILENCE_MAX_MS, Timestamp, WallTime};

/// Most calls of one kind under one charge, over all crashes.
pub const CALLS_MAX: usize = 2;

/// What is known of an open attempt.
#[derive(Debug, Clone, Copy)]
pub struct Unresolved<'a> {
    /// The very container that was meant.
    pub container_id: &'a str,
    /// Its `StartedAt` when the decision fell.
    pub started_at: WallTime,
    /// When it was charged.
    pub charged_at: Timestamp,
    /// How long a restart call may take, ms.
    pub stop_wait_ms: u64,
    /// The call that carries it out: `start` where the container had ended by itself.
    /// Never a command that was sent: nothing that Docker keeps tells what came of it.
    pub first: Call,
    /// The calls so far: which, when on the policy's clock, when on the wall.
    pub sent: &'a [(Call, Timestamp, u64)],
    /// Charged by an earlier process.
    pub is_resumed: bool,
    /// The engine said that the last call was done.
    pub is_done: bool,
    /// What the engine said where it refused the last call.
    pub refused: Option<&'a str>,
    /// Since when Docker has not answered.
    pub silent_since: Option<Timestamp>,
    /// When Docker was last seen not to answer since the last call: on the
    /// policy's clock, and on the wall in ms.
    pub away: Option<(Timestamp, u64)>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// It ends as aborted.
    Abort {
        /// The gate's name.
        gate: Gate,
        /// For people.
        detail: String,
    },
    /// The restart is done; verify.
    Done {
        /// The new `StartedAt`.
        started_at: WallTime,
    },
    /// It was to be stopped, and is.
    Stopped,
    /// The restart is done, and what it started does not run any more.
    Fell {
        /// The new `StartedAt`.
        started_at: WallTime,
        /// For people.
        detail: String,
    },
    /// Make this call (the gates permitting).
    Send(Call),
    /// Nothing yet: look again, no later than the deadline where there is one.
    Wait {
        /// See above.
        deadline: Option<Timestamp>,
    },
    /// The engine would not.
    Fail {
        /// For people.
        detail: String,
        /// The container is down.
        is_down: bool,
    },
    /// Nobody knows.
    GiveUp {
        /// For people.
        detail: String,
        /// The container may be down.
        may_be_down: bool,
    },
}

/// The table.
pub fn resolve(open: &Unresolved<'_>, look: &Look, now: Now) -> Resolution {
    let facts = match look {
        Look::Found(facts) if facts.id == open.container_id => facts,
        Look::Found(facts) => {
            return abort(
                Gate::NotRunning,
                format!("'{}' is another container by now", facts.name),
            );
        }
        Look::Gone => return abort(Gate::UnknownTarget, "the container is gone".into()),
        Look::Unavailable { why } => return silent(open, now, why),
    };
    // A start is newer where it is another: the wall clock may have gone back.
    let newer = facts.started_at.filter(|start| *start != open.started_at);
    if open.first == Call::Start {
        return to_be_started(open, facts, newer, now);
    }
    let is_running = facts.state == ContainerState::Running;
    if is_untouched(open) && (newer.is_some() || !is_running) {
        return changed(facts);
    }
    if open.first == Call::Stop && !open.sent.is_empty() {
        return stopping(open, facts, newer, now);
    }
    match (facts.state, newer) {
        (ContainerState::Running, Some(started_at)) => Resolution::Done { started_at },
        (ContainerState::Running, None) => running_as_before(open, now),
        (state, Some(started_at)) if open.is_done => Resolution::Fell {
            started_at,
            detail: format!("it is {} after the restart", state.as_str()),
        },
        (ContainerState::Exited, None) => exited(open, facts, now),
        (ContainerState::Exited, Some(_)) => exited_anew(open, facts, now),
        _ => in_between(open, facts, now),
    }
}

/// The process that made the charge has sent nothing yet.
fn is_untouched(open: &Unresolved<'_>) -> bool {
    // What an earlier process may have begun: nothing but a restart leaves such a change.
    let is_sure = !open.is_resumed || matches!(open.first, Call::Stop | Call::Exec);
    open.sent.is_empty() && is_sure
}

fn changed(facts: &Facts) -> Resolution {
    if facts.state == ContainerState::Running {
        abort(
            Gate::Stale,
            "the container has started anew since the decision".into(),
        )
    } else {
        let state = facts.state.as_str();
        abort(Gate::NotRunning, format!("it is {state} by now"))
    }
}

/// Lines 3 and 4.
fn running_as_before(open: &Unresolved<'_>, now: Now) -> Resolution {
    let Some(deadline) = deadline(open) else {
        return Resolution::Send(open.first);
    };
    if now.at < deadline {
        Resolution::Wait {
            deadline: Some(deadline),
        }
    } else if count(open, open.first) < CALLS_MAX {
        Resolution::Send(open.first)
    } else {
        out_of_calls(open, false, "still runs as before")
    }
}

/// A stop was sent. Whatever has ended the container since, it is down as it is meant to be.
fn stopping(open: &Unresolved<'_>, facts: &Facts, newer: Option<WallTime>, now: Now) -> Resolution {
    match (facts.state, newer) {
        (ContainerState::Exited | ContainerState::Dead | ContainerState::Created, _) => {
            Resolution::Stopped
        }
        (ContainerState::Running, Some(_)) => Resolution::GiveUp {
            detail: "somebody has started it anew since the stop: it runs".into(),
            may_be_down: false,
        },
        (ContainerState::Running, None) => running_as_before(open, now),
        _ => in_between(open, facts, now),
    }
}

/// The table for what had ended by itself. Nothing here stops a container, so what has
/// ended anew after the call has ended by itself, or by somebody's hand, once more.
fn to_be_started(
    open: &Unresolved<'_>,
    facts: &Facts,
    newer: Option<WallTime>,
    now: Now,
) -> Resolution {
    match (facts.state, newer) {
        (ContainerState::Running, newer) if open.sent.is_empty() || newer.is_none() => {
            abort(Gate::NotEnded, "somebody has started it by now".into())
        }
        (ContainerState::Running, Some(started_at)) => Resolution::Done { started_at },
        (ContainerState::Exited, None) => down_as_before(open, now),
        (ContainerState::Exited, Some(started_at)) if !open.sent.is_empty() => Resolution::Fell {
            started_at,
            detail: "it has ended again after the start".into(),
        },
        (ContainerState::Exited, Some(_)) => abort(
            Gate::NotEnded,
            "it has been started and has ended since".into(),
        ),
        (state, _) if open.sent.is_empty() => {
            abort(Gate::NotEnded, format!("it is {} by now", state.as_str()))
        }
        _ => in_between(open, facts, now),
    }
}

/// Lines 3 and 4 for what had ended by itself.
fn down_as_before(open: &Unresolved<'_>, now: Now) -> Resolution {
    match deadline(open) {
        None => Resolution::Send(Call::Start),
        // Refused: nothing is under way that could still start it.
        Some(deadline) if now.at < deadline && open.refused.is_none() => Resolution::Wait {
            deadline: Some(deadline),
        },
        Some(_) if count(open, Call::Start) < CALLS_MAX => Resolution::Send(Call::Start),
        Some(_) => out_of_calls(open, true, "does not start"),
    }
}

/// Lines 5 and 6.
fn exited(open: &Unresolved<'_>, facts: &Facts, now: Now) -> Resolution {
    if !stopped_by_us(open, facts) {
        return not_our_doing(facts);
    }
    let back = open.away.map(|(at, _)| at.plus(open.stop_wait_ms));
    let deadline = deadline(open).max(back).unwrap_or(now.at);
    if now.at < deadline {
        Resolution::Wait {
            deadline: Some(deadline),
        }
    } else if count(open, Call::Start) < CALLS_MAX {
        Resolution::Send(Call::Start)
    } else {
        out_of_calls(open, true, "was stopped by the restart and does not start")
    }
}

/// Line 6, unless it may have been us.
fn exited_anew(open: &Unresolved<'_>, facts: &Facts, now: Now) -> Resolution {
    if !stopped_by_us(open, facts) {
        return not_our_doing(facts);
    }
    let deadline = deadline(open).unwrap_or(now.at);
    if now.at < deadline {
        return Resolution::Wait {
            deadline: Some(deadline),
        };
    }
    Resolution::GiveUp {
        detail: "it was started anew since the charge and has exited, by our own call or by \
                 somebody's stop: left down"
            .into(),
        may_be_down: true,
    }
}

/// An engine that died in the middle of our restart ends the container when it
/// is back, within one more stop wait: that is our doing too.
fn stopped_by_us(open: &Unresolved<'_>, facts: &Facts) -> bool {
    let Some(finished_ms) = facts.finished_at.map(wall_ms) else {
        return false;
    };
    let restarts = open.sent.iter().filter(|(call, ..)| *call == Call::Restart);
    restarts.map(|(_, _, wall_ms)| *wall_ms).any(|sent_ms| {
        let last_ms = open
            .away
            .map_or(sent_ms, |(_, away_ms)| sent_ms.max(away_ms));
        (sent_ms..=last_ms + open.stop_wait_ms).contains(&finished_ms)
    })
}

fn not_our_doing(facts: &Facts) -> Resolution {
    abort(
        Gate::NotRunning,
        format!(
            "it is {}, not by our doing: left alone",
            facts.state.as_str()
        ),
    )
}

/// Line 7. Without a `sent` the stop wait counts from the charge.
fn in_between(open: &Unresolved<'_>, facts: &Facts, now: Now) -> Resolution {
    let deadline = deadline(open).unwrap_or_else(|| open.charged_at.plus(open.stop_wait_ms));
    if now.at < deadline {
        return Resolution::Wait {
            deadline: Some(deadline),
        };
    }
    Resolution::GiveUp {
        detail: format!(
            "it is {} after {}",
            facts.state.as_str(),
            limit(open.stop_wait_ms)
        ),
        may_be_down: true,
    }
}

fn silent(open: &Unresolved<'_>, now: Now, why: &str) -> Resolution {
    let since = open.silent_since.unwrap_or(now.at);
    if now.at.since(since) < SILENCE_MAX_MS {
        return Resolution::Wait { deadline: None };
    }
    let detail = format!("Docker said nothing for {}: {why}", limit(SILENCE_MAX_MS));
    if open.sent.is_empty() {
        return Resolution::Fail {
            detail,
            is_down: false,
        };
    }
    Resolution::GiveUp {
        detail,
        may_be_down: !open.is_done,
    }
}

fn out_of_calls(open: &Unresolved<'_>, is_down: bool, state: &str) -> Resolution {
    match open.refused {
        Some(refused) => Resolution::Fail {
            detail: format!("it {state}: {refused}"),
            is_down,
        },
        None => Resolution::GiveUp {
            detail: format!("it {state} after {CALLS_MAX} calls without a clear answer"),
            may_be_down: true,
        },
    }
}

/// The end of the last call's stop wait.
fn deadline(open: &Unresolved<'_>) -> Option<Timestamp> {
    let (_, at, _) = open.sent.last()?;
    Some(at.plus(open.stop_wait_ms))
}

fn count(open: &Unresolved<'_>, call: Call) -> usize {
    open.sent.iter().filter(|(sent, ..)| *sent == call).count()
}

fn abort(gate: Gate, detail: String) -> Resolution {
    Resolution::Abort { gate, detail }
}
