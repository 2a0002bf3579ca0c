//! What maintenance holds back, for `healer status`: the matches whose last word
//! was the gate `maintenance`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Entry, Gate, HELD_BACK_MAX, KEEP_MS, Pending, PendingKey, Record, Verdict};

/// By canonical name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AllHeldBack {
    by_target: BTreeMap<String, HeldBack>,
}

/// A target whose restart maintenance holds back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// Canonical name.
    pub target: String,
    /// The newest match's rule.
    pub rule: String,
    /// The first one's time, ms since the epoch.
    pub since_wall_ms: u64,
    /// The newest one's time, ms since the epoch.
    pub newest_wall_ms: u64,
    /// How many were refused or made to wait since.
    pub matches: u64,
    /// What holds them back, with figures of the newest.
    pub detail: String,
}

impl AllHeldBack {
    /// Takes in an entry that begins, continues or ends it.
    pub(crate) fn see(&mut self, record: &Record) {
        match &record.entry {
            Entry::Decided {
                target,
                rule,
                remedy,
                decision,
                gate,
                detail,
                dry: false,
                ..
            } if remedy.is_restart() && !rule.is_empty() => match gate {
                Some(Gate::Maintenance) => {
                    let one = self.note(record, target, rule);
                    one.matches += 1;
                    one.detail.clone_from(detail);
                }
                // Maintenance has let it through.
                gate if *decision == Verdict::Restart || *gate > Some(Gate::Maintenance) => {
                    self.by_target.remove(target);
                }
                _ => {}
            },
            Entry::Pending(pending) => self.waits(record, pending),
            Entry::Charge(charge) if !charge.shadow => {
                self.by_target.remove(&charge.target);
            }
            Entry::PendingEnded {
                key: PendingKey::Target(name),
                ..
            } => {
                self.by_target.remove(name);
            }
            Entry::Resumed { target: Some(name) } => {
                self.by_target.remove(name);
            }
            Entry::Resumed { target: None } => self.by_target.clear(),
            _ => {}
        }
        let is_old = |one: &HeldBack| record.wall_ms.saturating_sub(one.newest_wall_ms) > KEEP_MS;
        self.by_target.retain(|_, one| !is_old(one));
    }

    /// What was waiting for something else may have come to wait for this.
    fn waits(&mut self, record: &Record, pending: &Pending) {
        let PendingKey::Target(target) = &pending.key else {
            return;
        };
        if pending.gate == Gate::Maintenance && pending.remedy.is_restart() {
            self.note(record, target, &pending.rule);
        } else {
            self.by_target.remove(target);
        }
    }

    fn note(&mut self, record: &Record, target: &str, rule: &str) -> &mut HeldBack {
        if self.by_target.len() >= HELD_BACK_MAX && !self.by_target.contains_key(target) {
            let oldest = self.by_target.values().min_by_key(|one| one.newest_wall_ms);
            if let Some(name) = oldest.map(|one| one.target.clone()) {
                self.by_target.remove(&name);
            }
        }
        let new = || HeldBack {
            target: target.to_owned(),
            rule: String::new(),
            since_wall_ms: record.wall_ms,
            newest_wall_ms: 0,
            matches: 0,
            detail: String::new(),
        };
        let one = self.by_target.entry(target.to_owned()).or_insert_with(new);
        rule.clone_into(&mut one.rule);
        one.newest_wall_ms = record.wall_ms;
        one
    }

    /// The whole of it, as it was kept.
    pub(crate) fn restore(&mut self, kept: &[HeldBack]) {
        let by_name = |one: &HeldBack| (one.target.clone(), one.clone());
        self.by_target = kept.iter().map(by_name).collect();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &HeldBack> {
        self.by_target.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RuleRemedy, Timestamp, WallTime};

    fn record(n: u64, entry: Entry) -> Record {
        Record {
            at: Timestamp(n),
            wall_ms: n,
            entry,
        }
    }

    fn refused(target: &str, gate: Gate) -> Entry {
        Entry::Decided {
            id: "i".into(),
            target: target.into(),
            wire_id: None,
            rule: "oom".into(),
            remedy: RuleRemedy::Restart,
            decision: Verdict::Refused,
            gate: Some(gate),
            detail: "Paused".into(),
            line: WallTime {
                secs: 1,
                nanos: None,
            },
            times: Vec::new(),
            attempt: None,
            dry: false,
        }
    }

    #[test]
    fn the_first_time_stays_and_the_newest_words_win() {
        let mut all = AllHeldBack::default();
        all.see(&record(5, refused("web", Gate::Maintenance)));
        all.see(&record(9, refused("web", Gate::Maintenance)));
        all.see(&record(10, refused("web", Gate::Stale)));
        let one = all.iter().next().expect("held back");
        assert_eq!((one.since_wall_ms, one.newest_wall_ms), (5, 9));
        assert_eq!(
            (one.matches, &*one.detail, &*one.rule),
            (2, "Paused", "oom")
        );
    }

    #[test]
    fn it_is_over_when_another_gate_has_the_last_word_or_a_person_says_so() {
        for end in [
            refused("web", Gate::Held),
            Entry::Resumed { target: None },
            Entry::Resumed {
                target: Some("web".into()),
            },
            Entry::PendingEnded {
                key: PendingKey::Target("web".into()),
                why: "gone".into(),
                decision: Verdict::Refused,
            },
        ] {
            let mut all = AllHeldBack::default();
            all.see(&record(1, refused("web", Gate::Maintenance)));
            assert_eq!(all.iter().count(), 1);
            all.see(&record(2, end));
            assert_eq!(all.iter().count(), 0);
        }
    }

    #[test]
    fn it_is_bounded_in_number_and_in_time() {
        let mut all = AllHeldBack::default();
        for n in 0..=HELD_BACK_MAX as u64 {
            all.see(&record(n, refused(&format!("t{n:05}"), Gate::Maintenance)));
        }
        assert_eq!(all.iter().count(), HELD_BACK_MAX);
        assert_eq!(all.iter().next().map(|o| &*o.target), Some("t00001"));
        let last = HELD_BACK_MAX as u64;
        all.see(&record(last + KEEP_MS, Entry::FailClosedEnded));
        assert_eq!(all.iter().count(), 1);
    }
}
