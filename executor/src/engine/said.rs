//! What triggers have said of containers lately, for the evidence of what is done about it.

use std::collections::{BTreeMap, VecDeque};

use policy::AttemptView;

use crate::evidence::Said;
use crate::triggers::Fired;

/// Firings that are remembered, at most 8 KiB each; the one told longest ago goes first.
const REMEMBERED_MAX: usize = 64;

/// By container and rule.
type Key = (String, String);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct SaidLately {
    /// Which firing, and what it said.
    said: BTreeMap<Key, (String, Said)>,
    order: VecDeque<Key>,
}

impl SaidLately {
    /// True where this firing, by its id, is not the last that was remembered: one that could
    /// not be kept is told again.
    pub(super) fn remember(&mut self, id: &str, fired: &Fired) -> bool {
        let key = (fired.container_id.clone(), fired.rule.clone());
        self.order.retain(|known| *known != key);
        self.order.push_back(key.clone());
        let said = Said {
            why: fired.why.clone(),
            output: fired.sample.clone(),
        };
        let before = self.said.insert(key, (id.to_owned(), said));
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.said.remove(&oldest);
        }
        before.is_none_or(|(before, _)| before != id)
    }

    /// What has led to this attempt, where that was a trigger.
    pub(super) fn of(&self, attempt: &AttemptView) -> Option<Said> {
        let key = (attempt.container_id.clone(), attempt.rule.clone()?);
        self.said.get(&key).map(|(_, said)| said.clone())
    }
}

#[cfg(test)]
mod tests {
    use policy::{RuleRemedy, Sign, WallTime};

    use super::*;

    fn fired(container: usize, why: &str) -> Fired {
        Fired {
            container_id: container.to_string(),
            target: "app".into(),
            rule: "probe-api".into(),
            remedy: RuleRemedy::Restart,
            sign: Sign::Line,
            found: WallTime {
                secs: 1,
                nanos: None,
            },
            why: why.into(),
            sample: "its output".into(),
            round: 0,
        }
    }

    #[test]
    fn the_newest_of_the_last_firings_is_kept() {
        let mut said = SaidLately::default();
        for container in 0..REMEMBERED_MAX {
            assert!(said.remember("1", &fired(container, "first")));
        }
        assert!(!said.remember("1", &fired(0, "the same, told again")));
        assert!(said.remember("2", &fired(0, "again")));
        assert!(said.remember("1", &fired(REMEMBERED_MAX, "one more")));
        let of = |container: usize| {
            let key = (container.to_string(), "probe-api".to_owned());
            said.said.get(&key).map(|(_, said)| said.why.as_str())
        };
        assert_eq!(of(0), Some("again"));
        assert_eq!(of(1), None, "told longest ago");
        assert_eq!(of(2), Some("first"));
        assert_eq!(
            (said.said.len(), said.order.len()),
            (REMEMBERED_MAX, REMEMBERED_MAX)
        );
    }
}
