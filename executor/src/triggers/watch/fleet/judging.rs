//! Asks each judge what follows from what was seen, and hands on what they say.

use policy::{ContainerState, Now, WallTime};

use super::{Fleet, LOOKS_MAX, Order, ending, health};
use crate::docker::{AtPath, Event, Seen};
use crate::triggers::{Cleared, Signal};

impl Fleet {
    pub(super) fn healthy(&mut self, id: &str, found: WallTime) {
        let Some(watched) = self.watched.get_mut(id) else {
            return;
        };
        if watched.settings.unhealthy_checks > 0 && watched.health.clear() {
            self.has_changed = true;
            self.tells.push_back(Signal::Cleared(Cleared {
                container_id: id.to_owned(),
                rule: crate::triggers::UNHEALTHY.to_owned(),
                found,
            }));
        }
    }

    pub(super) fn judge_health(&mut self, now: Now, id: &str, seen: &Seen) {
        let Some(watched) = self.watched.get_mut(id) else {
            return;
        };
        if seen.container.state != ContainerState::Running {
            return;
        }
        let checks = watched.settings.unhealthy_checks;
        match watched.health.judge(now.at, seen, checks) {
            health::Judged::Nothing => {}
            health::Judged::Well(found) => self.healthy(id, found),
            health::Judged::Later(at) => watched.look_by(at),
            health::Judged::Fires { fired, again_at } => {
                watched.look_by(again_at);
                self.tells.push_back(Signal::Fired(*fired));
            }
        }
    }

    pub(super) fn judge_ending(&mut self, now: Now, id: &str, seen: &Seen) {
        let Some(watched) = self.watched.get_mut(id) else {
            return;
        };
        let place = watched.place.as_ref();
        let beside = place.and_then(|place| self.projects.stopped_beside(place));
        let settings = &watched.settings;
        let is_wanted = self.settings.watch.unfinished.contains_key(&watched.name);
        match watched
            .ending
            .judge(now.at, seen, settings, beside, is_wanted)
        {
            ending::Judged::Nothing => {}
            ending::Judged::Later(at) => watched.look_by(at),
            ending::Judged::Left { at, why } => {
                watched.unfinished.left_alone(now.at, at);
                tracing::debug!(target = watched.name, "has ended and is left alone: {why}");
            }
            ending::Judged::Quiet { at, heard_at, why } => {
                watched.unfinished.ended_by_itself(heard_at, at);
                tracing::debug!(target = watched.name, "has ended by itself: {why}");
            }
            ending::Judged::Fires(fired) => {
                // One trigger for one end.
                watched.unfinished.left_alone(now.at, fired.found);
                self.tells.push_back(Signal::Fired(*fired));
            }
        }
    }

    /// After [`Self::judge_ending`]: how it ended is that one's word.
    pub(super) fn judge_unfinished(&mut self, now: Now, id: &str, seen: &Seen) {
        let Some(watched) = self.watched.get_mut(id) else {
            return;
        };
        match self.settings.watch.unfinished.get(&watched.name) {
            _ if watched.ending.is_open() => {}
            Some(settings) => watched.unfinished.examine(now.at, seen, settings),
            None => watched.unfinished.examine_anew(),
        }
    }

    /// Files to be looked for now.
    pub(super) fn finds(&mut self, now: Now) -> Vec<Order> {
        let mut orders = Vec::new();
        for (id, watched) in &mut self.watched {
            if self.looks_out >= LOOKS_MAX {
                break;
            }
            let is_due = watched.unfinished.due().is_some_and(|due| due <= now.at);
            if watched.look_out || !is_due {
                continue;
            }
            let place = watched.place.as_ref();
            let beside = place.and_then(|place| self.projects.stopped_beside(place));
            if beside.is_some_and(|at| watched.unfinished.is_explained_by(at)) {
                watched.unfinished.put_off(now.at);
                continue;
            }
            let Some(settings) = self.settings.watch.unfinished.get(&watched.name) else {
                watched.unfinished.examine_anew();
                continue;
            };
            watched.unfinished.looking();
            watched.look_out = true;
            self.looks_out += 1;
            orders.push(Order::Find {
                id: id.clone(),
                file: settings.file.clone(),
            });
        }
        orders
    }

    /// A file was looked for: what is there, none where the container is gone, or why nobody
    /// can say.
    pub(in super::super) fn found(
        &mut self,
        now: Now,
        id: &str,
        found: Result<Option<AtPath>, String>,
    ) {
        self.has_changed = true;
        let Some(watched) = self.watched.get_mut(id) else {
            return;
        };
        if std::mem::take(&mut watched.look_out) {
            self.looks_out -= 1;
        }
        let Some(found) = found.transpose() else {
            return self.remove(id);
        };
        let Some(settings) = self.settings.watch.unfinished.get(&watched.name) else {
            return watched.unfinished.examine_anew();
        };
        if let Some(fired) = watched.unfinished.found(now.at, found, settings) {
            self.tells.push_back(Signal::Fired(fired));
        }
    }

    pub(super) fn judge_starts(&mut self, now: Now, id: &str, seen: &Seen) {
        let Some(watched) = self.watched.get_mut(id) else {
            return;
        };
        if let Some(fired) = watched.starts.judge(now, seen, &watched.settings) {
            self.tells.push_back(Signal::Fired(fired));
        }
    }

    /// A container has started: those that share its network have lost theirs.
    pub(super) fn network_began(&mut self, now: Now, event: &Event) {
        for watched in self.watched.values_mut() {
            if let Some(look_at) = watched.network.lost(now.at, event) {
                watched.look_by(look_at);
                self.has_changed = true;
            }
        }
    }

    pub(super) fn judge_network(&mut self, now: Now, id: &str, seen: &Seen) {
        let Some(watched) = self.watched.get_mut(id) else {
            return;
        };
        if let Some((fired, again_at)) = watched.network.judge(now, seen) {
            watched.look_by(again_at);
            self.tells.push_back(Signal::Fired(fired));
        }
    }

    pub(super) fn settle_loops(&mut self, now: Now) {
        for (id, watched) in &mut self.watched {
            if watched.starts.is_over(now.at, &watched.settings) {
                self.tells.push_back(Signal::Cleared(Cleared {
                    container_id: id.clone(),
                    rule: crate::triggers::CRASH_LOOP.to_owned(),
                    found: now.wall(),
                }));
            }
        }
    }
}
