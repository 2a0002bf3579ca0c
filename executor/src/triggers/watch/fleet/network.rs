//! Finds containers that share the network of another one (`network_mode: container:...`) which
//! has been started anew since: theirs went with its old start, though they run on. Nothing but
//! a restart gives them the new one.
//!
//! It knows by the event of that start, so one that falls into a gap of the stream is not found;
//! and nothing here speaks of a parent that was created anew, which no restart can cure.

use policy::{ContainerState, Now, RuleRemedy, Sign, Timestamp, WallTime};

use crate::docker::{Event, Seen};
use crate::triggers::{AGAIN_AFTER, Fired, NETWORK_LOST};

/// Whoever starts the parent may start the children next, as Compose does, ms.
const SETTLE_MS: u64 = 5_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// Whose network it shares, by its id.
    parent: Option<String>,
    lost: Option<Lost>,
}

#[derive(Debug)]
struct Lost {
    /// The parent's name, for people.
    parent: String,
    /// When the parent started.
    at: WallTime,
    judge_at: Timestamp,
    fired_at: Option<Timestamp>,
}

impl Network {
    /// What the list shows.
    pub(super) fn shares(&mut self, parent: Option<&str>) {
        if self.parent.as_deref() != parent {
            self.parent = parent.map(str::to_owned);
            self.lost = None;
        }
    }

    /// Some container has started; when to look at this one, where that was its parent.
    pub(super) fn lost(&mut self, now: Timestamp, start: &Event) -> Option<Timestamp> {
        if self.parent.as_deref() != Some(&*start.id) {
            return None;
        }
        let judge_at = now.plus(SETTLE_MS);
        self.lost = Some(Lost {
            parent: start.name.clone(),
            at: start.at,
            judge_at,
            fired_at: None,
        });
        Some(judge_at)
    }

    /// It has itself started anew.
    pub(super) fn started(&mut self) {
        self.lost = None;
    }

    /// What to tell, and when to look again.
    pub(super) fn judge(&mut self, now: Now, seen: &Seen) -> Option<(Fired, Timestamp)> {
        let lost = self.lost.as_mut().filter(|lost| lost.judge_at <= now.at)?;
        let container = &seen.container;
        let is_older = container
            .started_at
            .is_some_and(|started| started.is_before(lost.at));
        if container.state != ContainerState::Running || !is_older {
            self.lost = None;
            return None;
        }
        let again_ms = u64::try_from(AGAIN_AFTER.as_millis()).unwrap_or(u64::MAX);
        if lost.fired_at.is_some_and(|at| now.at.since(at) < again_ms) {
            return None;
        }
        lost.fired_at = Some(now.at);
        let fired = Fired {
            container_id: container.id.clone(),
            target: container.name.clone(),
            rule: NETWORK_LOST.to_owned(),
            remedy: RuleRemedy::Restart,
            sign: Sign::Line,
            found: now.wall(),
            round: 0,
            why: format!(
                "network lost: it shares the network of '{}', which has been started anew since",
                lost.parent
            ),
            sample: String::new(),
        };
        Some((fired, now.at.plus(again_ms)))
    }

    /// A signal did not arrive.
    pub(super) fn untold(&mut self, rule: &str) {
        if rule == NETWORK_LOST
            && let Some(lost) = &mut self.lost
        {
            lost.fired_at = None;
        }
    }
}
