//! Which steps of an incident are news, and how messages are told apart: pure,
//! with the time as an argument.
//!
//! An incident begins with the first match of a target and ends when it is well
//! again, or in a person's hands. Within it a further match is no news.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};

use super::message::{Message, Step};
use super::notice::Notice;

/// Open incidents that are remembered; the one begun first goes first.
const OPEN_MAX: usize = 2_048;
/// Forgotten after so long without a step: whatever ended it was not told.
const FORGOTTEN_MS: u64 = 24 * 3_600_000;

/// The incidents of all targets.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    open: BTreeMap<String, Incident>,
    /// Messages made so far, for their ids.
    made: u64,
}

#[derive(Debug)]
struct Incident {
    id: String,
    /// When its newest step was told, by the policy's clock, ms.
    touched_ms: u64,
    began_ms: u64,
}

impl Incidents {
    /// Finds the incident that a notice belongs to; none where it is no news.
    /// `now_ms` is of the policy's clock.
    pub(super) fn message(
        &mut self,
        host: &str,
        mut notice: Notice,
        now_ms: u64,
    ) -> Option<Message> {
        self.open
            .retain(|_, incident| now_ms.saturating_sub(incident.touched_ms) < FORGOTTEN_MS);
        let is_open = self.open.contains_key(&notice.target);
        match notice.step {
            Step::Detected if is_open => return None,
            Step::Pending if !is_open => notice.step = Step::Detected,
            _ => {}
        }
        let incident = self.place(host, &notice, now_ms);
        self.made += 1;
        let id = hash(&[
            host,
            &notice.target,
            notice.step.as_str(),
            &notice.at_ms.to_string(),
            &self.made.to_string(),
            &std::process::id().to_string(),
        ]);
        Some(message(host, notice, id, incident))
    }

    /// The incident's id; empty for what is no part of one.
    fn place(&mut self, host: &str, notice: &Notice, now_ms: u64) -> String {
        if notice.target.is_empty() || notice.step == Step::DryRun {
            return String::new();
        }
        let id = match self.open.get_mut(&notice.target) {
            Some(incident) => {
                incident.touched_ms = now_ms;
                incident.id.clone()
            }
            None => hash(&[host, &notice.target, &notice.at_ms.to_string()]),
        };
        if ends(notice.step) {
            self.open.remove(&notice.target);
            return id;
        }
        if self.open.len() >= OPEN_MAX && !self.open.contains_key(&notice.target) {
            let first = self.open.iter().min_by_key(|(_, i)| i.began_ms);
            if let Some(first) = first.map(|(target, _)| target.clone()) {
                self.open.remove(&first);
            }
        }
        self.open
            .entry(notice.target.clone())
            .or_insert_with(|| Incident {
                id: id.clone(),
                touched_ms: now_ms,
                began_ms: now_ms,
            });
        id
    }
}

/// Well again, or in a person's hands.
pub(super) fn ends(step: Step) -> bool {
    matches!(
        step,
        Step::Recovered
            | Step::Resolved
            | Step::Expired
            | Step::Aborted
            | Step::Unknown
            | Step::Held
            | Step::Escalated
            | Step::Released
    )
}

fn message(host: &str, notice: Notice, id: String, incident: String) -> Message {
    let title = match notice.target.is_empty() {
        true => format!("{host}: {}", notice.step.as_str()),
        false => format!("{} {} on {host}", notice.target, notice.step.as_str()),
    };
    Message {
        id,
        incident,
        at_ms: notice.at_ms,
        host: host.to_owned(),
        severity: notice.step.severity(),
        step: notice.step,
        target: notice.target,
        container_id: notice.container_id,
        rule: notice.rule,
        attempt: notice.attempt,
        title,
        detail: notice.detail,
        figures: notice.figures,
        next: notice.next,
        evidence: notice.evidence,
        sample: notice.sample,
        left_out: 0,
    }
}

/// 32 hex digits that differ where one of the parts does.
pub(super) fn hash(parts: &[&str]) -> String {
    let all = digest(&SHA256, parts.join("\0").as_bytes());
    all.as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::notice;
    use super::*;

    fn steps(incidents: &mut Incidents, told: &[(&str, Step)]) -> Vec<(String, Step)> {
        let messages = told.iter().enumerate().filter_map(|(n, (target, step))| {
            let at_ms = 1_000 + n as u64;
            let notice = Notice {
                at_ms,
                ..notice(target, *step)
            };
            incidents.message("h", notice, at_ms)
        });
        messages.map(|m| (m.incident, m.step)).collect()
    }

    #[test]
    fn a_match_is_news_once_until_the_incident_ends() {
        use Step::*;
        let mut incidents = Incidents::default();
        let told = steps(
            &mut incidents,
            &[
                ("a", Pending),
                ("a", Pending),
                ("a", Detected),
                ("a", Restarting),
                ("b", Detected),
                ("a", Relapsed),
                ("a", Detected),
                ("a", Restarting),
                ("a", Recovered),
                ("a", Detected),
            ],
        );
        let kinds: Vec<Step> = told.iter().map(|(_, step)| *step).collect();
        assert_eq!(
            kinds,
            [
                Detected, Pending, Restarting, Detected, Relapsed, Restarting, Recovered, Detected
            ]
        );
        let ids: std::collections::BTreeSet<&str> =
            told.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids.len(), 3, "two of a, one of b");
        assert_eq!(told[0].0, told[6].0);
    }

    #[test]
    fn what_ends_an_incident_makes_the_next_match_news() {
        for end in Step::ROUTED.into_iter().filter(|step| ends(*step)) {
            let mut incidents = Incidents::default();
            let told = steps(
                &mut incidents,
                &[("a", Step::Detected), ("a", end), ("a", Step::Detected)],
            );
            assert_eq!(told.len(), 3, "{end:?}");
            assert_ne!(told[0].0, told[2].0);
        }
    }

    #[test]
    fn open_incidents_are_bounded_and_forgotten() {
        let mut incidents = Incidents::default();
        for n in 0..=OPEN_MAX {
            let one = notice(&format!("t{n}"), Step::Detected);
            assert!(incidents.message("h", one, n as u64).is_some());
        }
        assert_eq!(incidents.open.len(), OPEN_MAX);
        assert!(!incidents.open.contains_key("t0"));
        let late = OPEN_MAX as u64 + FORGOTTEN_MS;
        incidents.message("h", notice("x", Step::Detected), late);
        assert_eq!(incidents.open.len(), 1);
    }

    #[test]
    fn no_two_messages_have_one_id() {
        let mut incidents = Incidents::default();
        let ids: std::collections::BTreeSet<String> = (0..100)
            .filter_map(|_| incidents.message("h", notice("", Step::Storm), 0))
            .map(|message| message.id)
            .collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.len() == 32));
    }
}
