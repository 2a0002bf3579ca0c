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
    /// `goes_on`: of what the event ends something is left that will end it, such as an
    /// attempt that is made or watched, or what waits to be decided again.
    pub(super) fn hear(
        &mut self,
        now: Timestamp,
        event: &Event,
        goes_on: bool,
    ) -> Option<(IncidentEnd, u64)> {
        let (target, end) = match event {
            Event::Decided {
                target,
                rule,
                decided,
                dry: false,
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
                Outcome::Aborted | Outcome::Unknown if goes_on => return None,
                Outcome::Aborted => (target, IncidentEnd::Aborted),
                Outcome::Unknown => (target, IncidentEnd::Unknown),
                // It goes on, or a hold follows.
                Outcome::Relapsed | Outcome::Failed | Outcome::Stopped => return None,
            },
            Event::PendingEnded { .. } if goes_on => return None,
            Event::PendingEnded {
                target,
                expired,
                dry: false,
                ..
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
            dry: false,
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
            dry: false,
        }
    }

    #[test]
    fn an_incident_lasts_from_its_first_match_over_relapses_to_its_end() {
        let held = Event::Held {
            target: "app".into(),
            why: String::new(),
            escalates: false,
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
    fn what_is_run_dry_begins_none_and_ends_none() {
        let dry = |event: Event| match event {
            Event::Decided {
                target,
                rule,
                decided,
                ..
            } => Event::Decided {
                target,
                rule,
                decided,
                dry: true,
            },
            Event::PendingEnded {
                target,
                why,
                expired,
                ..
            } => Event::PendingEnded {
                target,
                why,
                expired,
                dry: true,
            },
            event => event,
        };
        let mut incidents = Incidents::default();
        let pending = decided("app", Verdict::Pending, Some(Gate::Cooldown));
        incidents.hear(Timestamp(1), &dry(pending.clone()), false);
        assert!(incidents.open.is_empty());
        incidents.hear(Timestamp(2), &pending, false);
        for expired in [false, true] {
            let over = incidents.hear(Timestamp(3), &dry(pending_ended(expired)), false);
            assert_eq!(over, None);
        }
        let over = incidents.hear(Timestamp(4), &pending_ended(false), false);
        assert_eq!(over, Some((IncidentEnd::Resolved, 2)));
    }

    #[test]
    fn an_attempts_end_is_not_the_incidents_while_something_is_left_to_end_it() {
        let held = Event::Held {
            target: "app".into(),
            why: String::new(),
            escalates: false,
        };
        for (outcome, last, end) in [
            // Held because nobody knows how it stands.
            (Outcome::Unknown, held, IncidentEnd::Held),
            // A person asked for another one meanwhile; a gate put it off.
            (
                Outcome::Unknown,
                ended(Outcome::Recovered),
                IncidentEnd::Recovered,
            ),
            (Outcome::Aborted, pending_ended(true), IncidentEnd::Expired),
        ] {
            let mut incidents = Incidents::default();
            incidents.hear(Timestamp(1), &decided("app", Verdict::Restart, None), false);
            let over = incidents.hear(Timestamp(3), &ended(outcome), true);
            assert_eq!(over, None, "{outcome:?}");
            let over = incidents.hear(Timestamp(9), &last, false);
            assert_eq!(over, Some((end, 8)), "{outcome:?}");
        }
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
