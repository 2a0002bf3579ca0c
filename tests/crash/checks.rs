//! What has to be true afterwards, each from another witness: the engine, the
//! journal, the report files, `healer history`, and the senders.

use std::collections::{BTreeMap, BTreeSet};

use policy::{AttemptId, Cause, Charge, Entry, Outcome, Record, Timestamp};
use serde_json::Value;

use super::{COOLDOWN_S, MAX_PER_WINDOW, WINDOW_S};
use crate::support::engine::Container;
use crate::support::healer::Executor;

pub(super) fn containers_run(containers: &[Container]) {
    for container in containers {
        assert_eq!(
            container.status(),
            "running",
            "{} was left down",
            container.name
        );
    }
}

pub(super) fn files_are_whole(executor: &Executor, containers: &[Container]) {
    let log = executor.log();
    assert!(!log.contains("set aside"), "a damaged journal:\n{log}");
    assert!(!log.contains("panicked"), "{log}");
    let restart = |text: &str| {
        let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let target = value["target"].as_str().expect("a target");
        assert!(containers.iter().any(|c| c.name == target), "{text}");
        assert!(value["timestamp"].is_u64(), "{text}");
    };
    restart(&executor.report("last_restart.json"));
    let restarts = executor.report("restarts.log");
    assert!(restarts.ends_with('\n'));
    restarts.lines().for_each(restart);
    for container in containers {
        for (suffix, most) in [("last_restart", 1), ("restart_hist", MAX_PER_WINDOW)] {
            let text = executor.report(&format!("{}.{suffix}", container.name));
            let epochs: Vec<u64> = text.lines().map(|l| l.parse().expect("seconds")).collect();
            assert!(
                (1..=most).contains(&epochs.len()) && epochs.is_sorted(),
                "{suffix}: {text}"
            );
        }
    }
    let temporary: Vec<String> = executor
        .reports()
        .into_iter()
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    assert!(temporary.len() <= 1, "left behind: {temporary:?}");
}

/// The journal's own entries, read back.
pub(super) struct Journal {
    charges: Vec<(Timestamp, Charge)>,
    outcomes: Vec<(AttemptId, Outcome)>,
    sent: usize,
    sent_by_container: BTreeMap<String, usize>,
}

impl Journal {
    pub(super) fn read(executor: &Executor) -> Self {
        let records: Vec<Record> =
            healer::journal::Journal::peek(&executor.path("state")).expect("the journal is whole");
        let mut journal = Self {
            charges: Vec::new(),
            outcomes: Vec::new(),
            sent: 0,
            sent_by_container: BTreeMap::new(),
        };
        let mut containers: BTreeMap<AttemptId, String> = BTreeMap::new();
        for record in records {
            match record.entry {
                Entry::Charge(charge) => {
                    let before = containers.insert(charge.attempt, charge.container_id.clone());
                    assert_eq!(before, None, "attempt {} was charged twice", charge.attempt);
                    journal.charges.push((record.at, charge));
                }
                Entry::Outcome {
                    attempt, outcome, ..
                } => journal.outcomes.push((attempt, outcome)),
                Entry::Sent { attempt, .. } => {
                    let container = containers.get(&attempt).expect("the charge comes first");
                    *journal
                        .sent_by_container
                        .entry(container.clone())
                        .or_default() += 1;
                    journal.sent += 1;
                }
                _ => {}
            }
        }
        assert!(
            journal.sent > 0,
            "nothing was restarted: this test tested nothing"
        );
        journal
    }

    /// How much was tested.
    pub(super) fn summary(&self) -> String {
        let mut outcomes: BTreeMap<Outcome, usize> = BTreeMap::new();
        for (_, outcome) in &self.outcomes {
            *outcomes.entry(*outcome).or_default() += 1;
        }
        let (charges, sent) = (self.charges.len(), self.sent);
        format!("{charges} charges, {sent} calls sent, outcomes {outcomes:?}")
    }

    pub(super) fn keeps_the_limits(&self) {
        let mut by_target: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (at, charge) in &self.charges {
            by_target.entry(&charge.target).or_default().push(at.0);
        }
        for (target, times) in by_target {
            assert!(times.is_sorted(), "{target}: {times:?}");
            for pair in times.windows(2) {
                assert!(
                    pair[1] - pair[0] >= COOLDOWN_S * 1_000,
                    "{target}: cooldown: {times:?}"
                );
            }
            for span in times.windows(MAX_PER_WINDOW + 1) {
                assert!(
                    span[MAX_PER_WINDOW] - span[0] >= WINDOW_S * 1_000,
                    "{target}: window: {times:?}"
                );
            }
        }
    }

    pub(super) fn has_one_outcome_for_each_charge(&self) {
        let charged: Vec<AttemptId> = self.charges.iter().map(|(_, c)| c.attempt).collect();
        let mut ended: Vec<AttemptId> = self.outcomes.iter().map(|(attempt, _)| *attempt).collect();
        ended.sort_unstable();
        assert_eq!(charged, ended, "charges and outcomes");
    }

    pub(super) fn charges_each_id_once(&self) {
        let mut seen = BTreeSet::new();
        for (_, charge) in &self.charges {
            let Cause::Match { ids, .. } = &charge.cause else {
                panic!("{charge:?}")
            };
            for id in ids {
                assert!(seen.insert(id), "{id} led to two charges");
            }
        }
    }

    /// The engine started nothing that was not charged, and what is said to
    /// have recovered was started.
    pub(super) fn agrees_with(&self, starts: &[String], containers: &[Container]) {
        let cured: BTreeSet<AttemptId> = self
            .outcomes
            .iter()
            .filter(|(_, outcome)| matches!(outcome, Outcome::Recovered | Outcome::Relapsed))
            .map(|(attempt, _)| *attempt)
            .collect();
        for container in containers {
            let started = starts.iter().filter(|id| **id == container.id).count();
            let sent = self
                .sent_by_container
                .get(&container.id)
                .copied()
                .unwrap_or(0);
            let done = self
                .charges
                .iter()
                .filter(|(_, c)| c.container_id == container.id && cured.contains(&c.attempt))
                .count();
            assert!(
                (done..=sent).contains(&started),
                "{}: {done} restarts done by the journal, {started} by the engine, {sent} sent",
                container.name
            );
        }
    }
}

/// What `healer history --json` shows, in whole seconds.
pub(super) fn histories_keep_the_limits(histories: &[Vec<Value>]) {
    for history in histories {
        let restarts: Vec<u64> = history
            .iter()
            .filter(|entry| entry["what"] == "restarting")
            .map(|entry| entry["at"].as_u64().expect("seconds"))
            .collect();
        for pair in restarts.windows(2) {
            assert!(pair[1] - pair[0] >= COOLDOWN_S, "{restarts:?}");
        }
        for span in restarts.windows(MAX_PER_WINDOW + 1) {
            assert!(span[MAX_PER_WINDOW] - span[0] >= WINDOW_S, "{restarts:?}");
        }
    }
}

/// Every answer is one that an intent may get, and none is taken back: what was
/// answered `restart` stays so.
pub(super) fn answers_hold(answers: &BTreeMap<String, Vec<String>>) {
    for (id, words) in answers {
        for pair in words.windows(2) {
            let taken_back = pair[0] == "restart" && pair[1] != "restart";
            assert!(!taken_back, "{id}: {words:?}");
        }
        for word in words {
            assert!(
                matches!(word.as_str(), "restart" | "pending" | "refused"),
                "{id}: {word}"
            );
        }
    }
}
