//! Compaction: the fewest records that give the same state again.
//!
//! Charges, holds and pauses are written as they were, with their own times;
//! what was folded from many entries (ids, counts) as [`Kept`]. What the state
//! has let go of (see [`crate::KEEP_MS`]) is not written.

use crate::state::{Attempt, State};
use crate::{Entry, Kept, Now, Policy, Record, Timestamp};

impl Policy {
    /// The records that give the same state again, oldest first: compaction.
    /// Keeps every charge for the largest configured limit and at least 7 days.
    pub fn snapshot(&self, now: Now) -> Vec<Record> {
        let mut state = self.state.clone();
        state.forget(now.at, &self.config);
        let mut kept = Vec::new();
        charges(&state, &mut kept);
        people(&state, &mut kept);
        storms(&state, now, &mut kept);
        waiting(&state, now, &mut kept);
        folded(&state, now, &mut kept);
        kept.sort_by_key(|record| record.at);
        kept
    }
}

fn record(at: Timestamp, wall_ms: u64, entry: Entry) -> Record {
    Record { at, wall_ms, entry }
}

fn charges(state: &State, kept: &mut Vec<Record>) {
    for attempt in state.attempts.values() {
        of_attempt(attempt, kept);
    }
    for (name, target) in &state.targets {
        for spent in target.spent.iter().filter(|s| s.attempt.is_none()) {
            let entry = Entry::Imported {
                target: name.clone(),
                restarted_at: spent.at,
            };
            kept.push(record(spent.at, spent.wall_ms, entry));
        }
    }
}

fn of_attempt(attempt: &Attempt, kept: &mut Vec<Record>) {
    let charge = &attempt.charge;
    let id = charge.attempt;
    kept.push(record(
        attempt.at,
        attempt.wall_ms,
        Entry::Charge(charge.clone()),
    ));
    if let Some(stepped) = &attempt.stepped {
        let entry = Entry::NextMeasure {
            attempt: id,
            step: attempt.step,
            why: stepped.why.clone(),
            // Only whoever took the step had an all clear to forget.
            refired: false,
        };
        kept.push(record(stepped.at, stepped.wall_ms, entry));
    }
    for sent in &attempt.sent {
        let entry = Entry::Sent {
            attempt: id,
            call: sent.call,
        };
        kept.push(record(sent.at, sent.wall_ms, entry));
    }
    if let Some(restarted) = attempt.restarted {
        let entry = match restarted.by_exec {
            Some(end) => Entry::Executed { attempt: id, end },
            None => Entry::Restarted {
                attempt: id,
                started_at: restarted.started_at,
            },
        };
        kept.push(record(restarted.at, restarted.wall_ms, entry));
    }
    if let Some(end) = &attempt.end {
        let entry = Entry::Outcome {
            attempt: id,
            outcome: end.outcome,
            gate: end.gate,
            detail: end.detail.clone(),
        };
        kept.push(record(end.at, end.wall_ms, entry));
    }
}

fn people(state: &State, kept: &mut Vec<Record>) {
    let paused = |target, pause: &crate::state::Pause| {
        let entry = Entry::Paused {
            target,
            until: pause.until,
            reason: pause.reason.clone(),
        };
        record(pause.at, pause.wall_ms, entry)
    };
    kept.extend(state.pause.as_ref().map(|pause| paused(None, pause)));
    for (name, target) in &state.targets {
        let own = target.pause.as_ref();
        kept.extend(own.map(|pause| paused(Some(name.clone()), pause)));
        if let Some(held) = &target.held {
            let entry = Entry::Held {
                target: name.clone(),
                why: held.why.clone(),
                container_id: held.container_id.clone(),
                started_at: held.started_at,
            };
            kept.push(record(held.at, held.wall_ms, entry));
        }
    }
    if let Some(closed) = &state.fail_closed {
        let entry = Entry::FailClosed {
            until: closed.until,
            why: closed.why.clone(),
        };
        kept.push(record(closed.at, closed.wall_ms, entry));
    }
}

fn storms(state: &State, now: Now, kept: &mut Vec<Record>) {
    if let Some(storm) = &state.storms.on {
        let entry = Entry::Storm {
            why: storm.why.clone(),
            targets: storm.targets.clone(),
        };
        kept.push(record(storm.at, storm.wall_ms, entry));
        let entry = Entry::Kept(Kept::StormMatch);
        kept.push(record(storm.last_match, now.wall_ms, entry));
    }
    for ((rule, target), at) in &state.storms.called {
        let entry = Entry::Kept(Kept::Called {
            target: target.clone(),
            rule: rule.clone(),
        });
        kept.push(record(*at, now.wall_ms, entry));
    }
    let entry = Entry::Kept(Kept::StormUncured {
        attempts: state.storms.uncured.clone(),
    });
    kept.push(record(now.at, now.wall_ms, entry));
}

fn waiting(state: &State, now: Now, kept: &mut Vec<Record>) {
    for pending in state.pendings.values() {
        let entry = Entry::Pending(pending.clone());
        kept.push(record(now.at, now.wall_ms, entry));
    }
    for (id, known) in state.ids.iter() {
        let entry = Entry::Kept(Kept::Id {
            id: id.to_owned(),
            until: known.until,
            key: known.key.clone(),
            decision: known.verdict,
            gate: known.gate,
            detail: known.detail.clone(),
            attempt: known.attempt,
        });
        kept.push(record(now.at, now.wall_ms, entry));
    }
}

fn folded(state: &State, now: Now, kept: &mut Vec<Record>) {
    let mut push = |entry| kept.push(record(now.at, now.wall_ms, Entry::Kept(entry)));
    for ((key, rule), seconds) in state.counted.iter() {
        push(Kept::Counts {
            key: key.clone(),
            rule: rule.clone(),
            times: seconds.iter().map(|(s, n)| (*s, *n)).collect(),
        });
    }
    for (name, target) in &state.targets {
        push(Kept::Uncured {
            target: name.clone(),
            attempts: target.uncured,
        });
    }
    push(Kept::HeldBack {
        targets: state.held_back.iter().cloned().collect(),
    });
    push(Kept::Happened {
        newest: state.happenings.iter().cloned().collect(),
    });
    push(Kept::LastAttempt {
        attempt: state.last_attempt,
    });
    for refusal in state.refusals.iter() {
        let entry = Entry::Kept(Kept::Refusals {
            target: refusal.target.clone(),
            rule: refusal.rule.clone(),
            gate: refusal.gate,
            detail: refusal.detail.clone(),
            count: refusal.count,
        });
        kept.push(record(refusal.at, refusal.wall_ms, entry));
    }
    if let Some((at, rule)) = &state.unknown_rule {
        let entry = Entry::Kept(Kept::UnknownRule { rule: rule.clone() });
        kept.push(record(*at, now.wall_ms, entry));
    }
}
