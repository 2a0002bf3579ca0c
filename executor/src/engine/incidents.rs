//! How long incidents take, for the metrics: from a target's first decision on a match until
//! it is well again or in a person's hands. Pure, with the time as an argument.
//!
//! In memory only: an incident that a restart of the executor cuts in two is not measured.

use std::collections::BTreeMap;

use policy::{Event, Gate, Outcome, Timestamp, Verdict};

use crate::metrics::IncidentEnd;

/// Open incidents that are measured; those that come beyond them are not.
const OPEN_MAX: usize = 2_048;
/// What has not ended by then is forgotten, ms: whatever ended it was not told.
const FORGOTTEN_MS: u64 = 24 * 3_600_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    /// By target, when it began.
    open: BTreeMap<String, Timestamp>,
}

impl Incidents {
    /// Takes an event; how an incident has ended by it, and how long it took, ms.
    /// `is_under_way`: an attempt on the event's target is being made or watched.
    pub(super) fn hear(
        &mut self,
        now: Timestamp,
        event: &Event,
        is_under_way: bool,
    ) -> Option<(IncidentEnd, u64)> {
        let (target, end) = match event {
            Event::Decided {
                target,
                rule,
                decided,
            } => {
                let is_match = match decided.verdict {
                    Verdict::Restart => true,
                    // As long as nobody knows whether it calls for anything it is none.
                    Verdict::Pending => {
                        !matches!(decided.gate, Some(Gate::NoFacts | Gate::Unconfirmed))
                    }
                    Verdict::Refused | Verdict::Noted | Verdict::Escalated => false,
                };
                if is_match && !rule.is_empty() {
                    self.begin(now, target);
                }
                return None;
            }
            Event::Escalated { target, .. } | Event::EndedUnseen { target, .. } => {
                self.begin(now, target);
                (target, IncidentEnd::Escalated)
            }
            Event::Held { target, .. } => (target, IncidentEnd::Held),
            Event::Ended {
                target, outcome, ..
            } => match outcome {
                Outcome::Recovered => (target, IncidentEnd::Recovered),
                Outcome::Aborted => (target, IncidentEnd::Aborted),
                Outcome::Unknown => (target, IncidentEnd::Unknown),
                // It goes on, or a hold follows.
                Outcome::Relapsed | Outcome::Failed | Outcome::Stopped => return None,
            },
            Event::PendingEnded { .. } if is_under_way => return None,
            Event::PendingEnded {
                target, expired, ..
            } => match expired {
                true => (target, IncidentEnd::Expired),
                false => (target, IncidentEnd::Resolved),
            },
            _ => return None,
        };
        let began = self.open.remove(target)?;
        Some((end, now.since(began)))
    }

    fn begin(&mut self, now: Timestamp, target: &str) {
        if self.open.len() >= OPEN_MAX {
            self.open
                .retain(|_, began| now.since(*began) < FORGOTTEN_MS);
        }
        if self.open.len() < OPEN_MAX {
            let began = self.open.entry(target.to_owned()).or_insert(now);
            if now.since(*began) >= FORGOTTEN_MS {
                *began = now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use policy::Decided;

    use super::*;

    fn decided(target: &str, verdict: Verdict, gate: Option<Gate>) -> Event {
        Event::Decided {
            target: target.into(),
            rule: "cuda-oom".into(),
            decided: Decided {
                verdict,
                gate,
                detail: String::new(),
                attempt: None,
            },
        }
    }

    fn ended(outcome: Outcome) -> Event {
        Event::Ended {
            attempt: 1,
            target: "app".into(),
            outcome,
            detail: String::new(),
        }
    }

    fn pending_ended(expired: bool) -> Event {
        Event::PendingEnded {
            target: "app".into(),
            why: String::new(),
            expired,
        }
    }

    #[test]
    fn an_incident_lasts_from_its_first_match_over_relapses_to_its_end() {
        let held = Event::Held {
            target: "app".into(),
            why: String::new(),
        };
        for (last, end) in [
            (ended(Outcome::Recovered), IncidentEnd::Recovered),
            (ended(Outcome::Aborted), IncidentEnd::Aborted),
            (ended(Outcome::Unknown), IncidentEnd::Unknown),
            (pending_ended(true), IncidentEnd::Expired),
            (pending_ended(false), IncidentEnd::Resolved),
            (held, IncidentEnd::Held),
        ] {
            let mut incidents = Incidents::default();
            for (at, event) in [
                (
                    1_000,
                    decided("app", Verdict::Pending, Some(Gate::Cooldown)),
                ),
                (2_000, decided("app", Verdict::Restart, None)),
                (3_000, ended(Outcome::Relapsed)),
                (4_000, decided("app", Verdict::Restart, None)),
                (5_000, ended(Outcome::Stopped)),
            ] {
                assert_eq!(incidents.hear(Timestamp(at), &event, false), None);
            }
            let over = incidents.hear(Timestamp(9_000), &last, false);
            assert_eq!(over, Some((end, 8_000)), "{last:?}");
            assert_eq!(incidents.hear(Timestamp(9_001), &last, false), None, "once");
        }
    }

    #[test]
    fn what_calls_for_nothing_begins_none_and_a_watched_attempt_ends_by_itself() {
        let mut incidents = Incidents::default();
        for event in [
            decided("app", Verdict::Refused, Some(Gate::Held)),
            decided("app", Verdict::Noted, None),
            decided("app", Verdict::Pending, Some(Gate::Unconfirmed)),
            decided("app", Verdict::Pending, Some(Gate::NoFacts)),
        ] {
            incidents.hear(Timestamp(1), &event, false);
            assert!(incidents.open.is_empty(), "{event:?}");
        }
        incidents.hear(Timestamp(1), &decided("app", Verdict::Restart, None), false);
        let over = incidents.hear(Timestamp(2), &pending_ended(false), true);
        assert_eq!(over, None);
        let over = incidents.hear(Timestamp(5), &ended(Outcome::Recovered), false);
        assert_eq!(over, Some((IncidentEnd::Recovered, 4)));
        let escalated = Event::Escalated {
            target: "app".into(),
            rule: "xid".into(),
            held: true,
        };
        let over = incidents.hear(Timestamp(7), &escalated, false);
        assert_eq!(over, Some((IncidentEnd::Escalated, 0)), "at once");
    }

    #[test]
    fn open_incidents_are_bounded_and_forgotten() {
        let mut incidents = Incidents::default();
        let restart = |n: usize| decided(&format!("t{n}"), Verdict::Restart, None);
        for n in 0..=OPEN_MAX {
            incidents.hear(Timestamp(1), &restart(n), false);
        }
        assert_eq!(incidents.open.len(), OPEN_MAX);
        let late = Timestamp(1 + FORGOTTEN_MS);
        incidents.hear(late, &restart(OPEN_MAX), false);
        assert_eq!(incidents.open.len(), 1, "those are forgotten");
        let much_later = Timestamp(late.0 + FORGOTTEN_MS);
        incidents.hear(much_later, &restart(OPEN_MAX), false);
        let began = incidents.open.values().next();
        assert_eq!(began, Some(&much_later), "begun anew");
    }
}
