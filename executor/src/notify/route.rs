//! Who gets which message: routes, and the cooldown for steps that repeat. Pure,
//! with the time as an argument.

use std::collections::BTreeMap;

use super::message::{Message, Severity, Step};
use crate::config::Route;

/// Pairs of target and step that are remembered; the oldest go first.
const REMEMBERED_MAX: usize = 4_096;

/// Whether a route leads this message to its notifier.
pub(super) fn leads(route: &Route, message: &Message) -> bool {
    let is_step = |steps: &Vec<Step>| steps.contains(&message.step);
    let is_target = |patterns: &Vec<glob::Pattern>| {
        patterns
            .iter()
            .any(|pattern| pattern.matches(&message.target))
    };
    message.severity >= route.min_severity
        && route.steps.as_ref().is_none_or(is_step)
        && (message.target.is_empty() || route.targets.as_ref().is_none_or(is_target))
}

/// What one notifier was told when.
#[derive(Debug, Default)]
pub(super) struct Cooldowns {
    told: BTreeMap<(String, Step), Last>,
}

#[derive(Debug)]
struct Last {
    /// None: in an incident that is over.
    at_ms: Option<u64>,
    left_out: u32,
}

impl Last {
    fn is_recent(&self, now_ms: u64, cooldown_ms: u64) -> bool {
        self.at_ms
            .is_some_and(|at| now_ms.saturating_sub(at) < cooldown_ms)
    }
}

impl Cooldowns {
    /// Takes note of what has happened, whoever is told of it: with the end of an
    /// incident each of its steps is news again.
    pub(super) fn hear(&mut self, message: &Message) {
        let ends = matches!(
            message.step,
            Step::Recovered | Step::Resolved | Step::Released | Step::StormEnded
        );
        if ends {
            let its = self.told.iter_mut();
            its.filter(|((target, _), _)| *target == message.target)
                .for_each(|(_, last)| last.at_ms = None);
        }
    }

    /// Whether a message goes out, and how many like it have not since the last
    /// one. What is critical always does: the policy tells it once. `now_ms` is of
    /// a clock that only goes forward.
    pub(super) fn admit(
        &mut self,
        message: &Message,
        now_ms: u64,
        cooldown_ms: u64,
    ) -> Option<u32> {
        let key = (message.target.clone(), message.step);
        if message.severity < Severity::Critical
            && let Some(last) = self.told.get_mut(&key)
            && last.is_recent(now_ms, cooldown_ms)
        {
            last.left_out = last.left_out.saturating_add(1);
            return None;
        }
        let left_out = self.told.get(&key).map_or(0, |last| last.left_out);
        if self.told.len() >= REMEMBERED_MAX && !self.told.contains_key(&key) {
            self.forget(now_ms, cooldown_ms);
        }
        let last = Last {
            at_ms: Some(now_ms),
            left_out: 0,
        };
        self.told.insert(key, last);
        Some(left_out)
    }

    fn forget(&mut self, now_ms: u64, cooldown_ms: u64) {
        let before = self.told.len();
        self.told
            .retain(|_, last| last.is_recent(now_ms, cooldown_ms));
        if self.told.len() < before {
            return;
        }
        let oldest = self.told.iter().min_by_key(|(_, last)| last.at_ms);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.told.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Severity;
    use super::super::testing::message;
    use super::*;

    fn route(min: Severity, steps: Option<&[Step]>, targets: Option<&[&str]>) -> Route {
        let pattern = |text: &&str| glob::Pattern::new(text).unwrap();
        Route {
            min_severity: min,
            steps: steps.map(<[Step]>::to_vec),
            targets: targets.map(|t| t.iter().map(pattern).collect()),
            sample: false,
        }
    }

    #[test]
    fn a_route_leads_by_severity_step_and_target_together() {
        use Severity::*;
        let of = |step: Step, target: &str| Message {
            step,
            severity: step.severity(),
            target: target.into(),
            ..message()
        };
        let all = route(Info, None, None);
        let people = route(Error, None, None);
        let gpu = route(Info, None, Some(&["gpu-*", "train"]));
        let ends = route(Info, Some(&[Step::Recovered, Step::Held]), None);
        let narrow = route(
            Critical,
            Some(&[Step::Recovered, Step::Held]),
            Some(&["gpu-*"]),
        );
        for (route, step, target, expected) in [
            (&all, Step::Pending, "web", true),
            (&people, Step::Relapsed, "web", false),
            (&people, Step::Failed, "web", true),
            (&people, Step::Held, "web", true),
            (&gpu, Step::Held, "web", false),
            (&gpu, Step::Held, "gpu-1", true),
            (&gpu, Step::Held, "train", true),
            (&gpu, Step::Held, "trainer", false),
            // What is about all is about these.
            (&gpu, Step::Storm, "", true),
            (&ends, Step::Recovered, "web", true),
            (&ends, Step::Relapsed, "web", false),
            (&narrow, Step::Held, "gpu-1", true),
            (&narrow, Step::Recovered, "gpu-1", false),
        ] {
            let leads = leads(route, &of(step, target));
            assert_eq!(leads, expected, "{route:?} {step:?} {target}");
        }
    }

    #[test]
    fn a_step_that_repeats_waits_for_its_cooldown_and_is_counted() {
        let mut cooldowns = Cooldowns::default();
        let mut other = message();
        other.target = "other".into();
        let (first, minute) = (message(), 60_000);
        for (message, at, expected) in [
            (&first, 0, Some(0)),
            (&first, 1, None),
            (&other, 1, Some(0)),
            (&first, minute - 1, None),
            (&first, minute, Some(2)),
            (&first, minute + 1, None),
            (&first, 2 * minute, Some(1)),
        ] {
            assert_eq!(cooldowns.admit(message, at, minute), expected, "{at}");
        }
        assert_eq!(
            cooldowns.admit(&first, 0, 0),
            Some(0),
            "without one all go out"
        );
    }

    #[test]
    fn what_is_critical_always_goes_out_and_the_end_of_an_incident_lets_the_next_be_told() {
        let of = |step: Step, target: &str| Message {
            step,
            severity: step.severity(),
            target: target.into(),
            ..message()
        };
        for (step, target) in [
            (Step::Held, "app"),
            (Step::Escalated, "app"),
            (Step::Storm, ""),
        ] {
            let mut cooldowns = Cooldowns::default();
            for at in 0..3 {
                assert!(cooldowns.admit(&of(step, target), at, 60_000).is_some());
            }
        }
        for end in [Step::Recovered, Step::Resolved, Step::Released] {
            let mut cooldowns = Cooldowns::default();
            let mut tell = |step, target: &str, at| {
                let message = of(step, target);
                cooldowns.hear(&message);
                cooldowns.admit(&message, at, 60_000)
            };
            assert_eq!(tell(Step::Detected, "app", 0), Some(0));
            assert_eq!(tell(Step::Detected, "other", 0), Some(0));
            assert_eq!(tell(Step::Detected, "app", 1), None);
            assert_eq!(tell(end, "app", 2), Some(0), "{end:?}");
            assert_eq!(tell(Step::Detected, "app", 3), Some(1), "{end:?}");
            assert_eq!(tell(Step::Detected, "other", 3), None, "another's");
            assert_eq!(tell(end, "app", 4), Some(0), "it ends again");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut cooldowns = Cooldowns::default();
        for n in 0..=REMEMBERED_MAX as u64 {
            let target = format!("t{n}");
            let message = Message {
                target,
                ..message()
            };
            assert_eq!(cooldowns.admit(&message, n, u64::MAX), Some(0));
        }
        assert_eq!(cooldowns.told.len(), REMEMBERED_MAX);
    }
}
