//! Who gets which message: routes, and the cooldown for steps that repeat. Pure,
//! with the time as an argument.

use std::collections::BTreeMap;

use super::message::{Message, Step};
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
    at_ms: u64,
    left_out: u32,
}

impl Cooldowns {
    /// Whether a message goes out at this time, and how many like it have not
    /// since the last one.
    pub(super) fn admit(
        &mut self,
        message: &Message,
        now_ms: u64,
        cooldown_ms: u64,
    ) -> Option<u32> {
        let key = (message.target.clone(), message.step);
        if let Some(last) = self.told.get_mut(&key)
            && now_ms.saturating_sub(last.at_ms) < cooldown_ms
        {
            last.left_out = last.left_out.saturating_add(1);
            return None;
        }
        let left_out = self.told.get(&key).map_or(0, |last| last.left_out);
        if self.told.len() >= REMEMBERED_MAX && !self.told.contains_key(&key) {
            self.forget(now_ms, cooldown_ms);
        }
        let last = Last {
            at_ms: now_ms,
            left_out: 0,
        };
        self.told.insert(key, last);
        Some(left_out)
    }

    fn forget(&mut self, now_ms: u64, cooldown_ms: u64) {
        let before = self.told.len();
        self.told
            .retain(|_, last| now_ms.saturating_sub(last.at_ms) < cooldown_ms);
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
            // A wall clock that was set back does not let it through.
            (&first, 5, None),
            (&first, 2 * minute, Some(2)),
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
