//! Finds crash loops of a container's own restart policy: it ends by itself and is started, again and
//! again. Restarting it once more cannot cure that: a person is told.

use std::collections::VecDeque;

use policy::{Now, RuleRemedy, Sign, Timestamp};

use crate::config::WatchTarget;
use crate::docker::Seen;
use crate::triggers::{AGAIN_AFTER, CRASH_LOOP, Fired};

/// The newest starts that followed on an end by itself, and what was told of them.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// At most as many as are asked for.
    newest: VecDeque<Timestamp>,
    fired_at: Option<Timestamp>,
}

impl Starts {
    /// It was started; true where a look has to tell by whom.
    pub(super) fn started(&mut self, now: Timestamp, by_itself: bool, it: &WatchTarget) -> bool {
        if !by_itself {
            // Somebody has taken it in hand.
            self.newest.clear();
            return false;
        }
        let wanted = usize::try_from(it.crash_loop_starts).unwrap_or(usize::MAX);
        if wanted == 0 {
            return false;
        }
        self.newest.push_back(now);
        while self.newest.len() > wanted {
            self.newest.pop_front();
        }
        self.is_loop(now, it) && !self.was_told_of(now)
    }

    fn is_loop(&self, now: Timestamp, it: &WatchTarget) -> bool {
        let wanted = usize::try_from(it.crash_loop_starts).unwrap_or(usize::MAX);
        let first = self.newest.front();
        wanted > 0
            && self.newest.len() >= wanted
            && first.is_some_and(|first| now.since(*first) <= it.crash_loop_within_ms)
    }

    fn was_told_of(&self, now: Timestamp) -> bool {
        let again_ms = u64::try_from(AGAIN_AFTER.as_millis()).unwrap_or(u64::MAX);
        self.fired_at.is_some_and(|at| now.since(at) < again_ms)
    }

    /// What to tell, where all those starts were its restart policy's.
    pub(super) fn judge(&mut self, now: Now, seen: &Seen, it: &WatchTarget) -> Option<Fired> {
        let starts = it.crash_loop_starts;
        let is_its_own = seen.restart_count >= u64::from(starts);
        if !is_its_own || !self.is_loop(now.at, it) || self.was_told_of(now.at) {
            return None;
        }
        self.fired_at = Some(now.at);
        let within = crate::config::show_duration_ms(it.crash_loop_within_ms);
        Some(Fired {
            container_id: seen.container.id.clone(),
            target: seen.container.name.clone(),
            rule: CRASH_LOOP.to_owned(),
            remedy: RuleRemedy::Escalate,
            sign: Sign::Watched { clear_within_ms: 0 },
            found: now.wall(),
            round: 0,
            why: format!(
                "crash loop: its restart policy has started it {starts} times within {within} \
                 ({} in all), and each time it ended by itself",
                seen.restart_count
            ),
            sample: String::new(),
        })
    }

    /// A signal did not arrive.
    pub(super) fn untold(&mut self, rule: &str) {
        if rule == CRASH_LOOP {
            self.fired_at = None;
        }
    }

    /// When a loop that was told of will be over, if it is not started once more.
    pub(super) fn over_at(&self, it: &WatchTarget) -> Option<Timestamp> {
        self.fired_at?;
        Some(self.newest.back()?.plus(it.crash_loop_within_ms))
    }

    /// Whether it is over, which is asked once.
    pub(super) fn is_over(&mut self, now: Timestamp, it: &WatchTarget) -> bool {
        let is_over = self.over_at(it).is_some_and(|at| at <= now);
        if is_over {
            *self = Self::default();
        }
        is_over
    }
}
