//! What only compaction writes: parts of the state as they were.

use super::{Known, Refusal1, State};
use crate::{Kept, Record};

impl State {
    pub(super) fn kept(&mut self, record: &Record, kept: &Kept) {
        match kept {
            Kept::Id {
                id,
                until,
                key,
                decision,
                gate,
                detail,
                attempt,
            } => self.ids.insert(
                record.at,
                id,
                Known {
                    until: *until,
                    key: key.clone(),
                    verdict: *decision,
                    gate: *gate,
                    detail: detail.clone(),
                    attempt: *attempt,
                },
            ),
            Kept::Counts { key, rule, times } => self.counted.add(key.clone(), rule, times),
            Kept::Uncured { target, attempts } => {
                self.targets.entry(target.clone()).or_default().uncured = *attempts;
            }
            Kept::StormUncured { attempts } => self.storms.uncured = attempts.clone(),
            Kept::Called { target, rule } => self.storms.call(record.at, target, rule),
            Kept::StormMatch => {
                if let Some(storm) = &mut self.storms.on {
                    storm.last_match = storm.last_match.max(record.at);
                }
            }
            Kept::Refusals {
                target,
                rule,
                gate,
                detail,
                count,
            } => self.refusals.restore(Refusal1 {
                at: record.at,
                wall_ms: record.wall_ms,
                target: target.clone(),
                rule: rule.clone(),
                gate: *gate,
                detail: detail.clone(),
                count: *count,
            }),
            Kept::Happened { newest } => self.happenings.restore(newest),
            Kept::HeldBack { targets } => self.held_back.restore(targets),
            Kept::UnknownRule { rule } => self.unknown_rule = Some((record.at, rule.clone())),
            Kept::LastAttempt { attempt } => {
                self.last_attempt = self.last_attempt.max(*attempt);
            }
        }
    }
}
