//! What people have said, and what waits for their word: holds, pauses, storms.

use super::{Held, Pause, State};
use crate::{Config, Entry, Gate, PENDING_MARGIN_MS, Record};

impl State {
    pub(super) fn hold(&mut self, record: &Record) {
        match &record.entry {
            Entry::Held {
                target,
                why,
                container_id,
                started_at,
            } => {
                self.storms.dealt_with(target);
                self.targets.entry(target.clone()).or_default().held = Some(Held {
                    at: record.at,
                    wall_ms: record.wall_ms,
                    why: why.clone(),
                    container_id: container_id.clone(),
                    started_at: *started_at,
                });
            }
            Entry::Released {
                target, uncured, ..
            } => {
                self.storms.dealt_with(target);
                if let Some(target) = self.targets.get_mut(target) {
                    target.held = None;
                    target.uncured = *uncured;
                }
            }
            _ => {}
        }
    }

    pub(super) fn pause(&mut self, record: &Record) {
        match &record.entry {
            Entry::Paused {
                target,
                until,
                reason,
            } => {
                self.targets.values_mut().for_each(|t| {
                    t.pause.take_if(|p| !p.is_on(record.at));
                });
                let pause = Some(Pause {
                    at: record.at,
                    wall_ms: record.wall_ms,
                    until: *until,
                    reason: reason.clone(),
                });
                // One of no length is over as it begins, in whichever order they are read.
                let pause = pause.filter(|p| p.is_on(record.at));
                match target {
                    Some(name) => self.targets.entry(name.clone()).or_default().pause = pause,
                    None => self.pause = pause,
                }
                self.targets.retain(|_, target| !target.is_empty());
            }
            Entry::Resumed { target } => {
                if target.is_none() {
                    self.pause = None;
                }
                for (name, state) in &mut self.targets {
                    if target.as_ref().is_none_or(|one| one == name) {
                        state.pause = None;
                    }
                }
                for (key, pending) in &mut self.pendings {
                    let is_meant = match target {
                        Some(name) => key.is_of(name),
                        None => true,
                    };
                    if pending.gate == Gate::Maintenance && is_meant {
                        pending.due = pending.due.min(record.at);
                    }
                }
            }
            _ => {}
        }
    }

    /// A storm begins or ends; what waited for its end need not wait longer, and
    /// is not given up before it could be decided.
    pub(super) fn storm(&mut self, record: &Record, config: &Config) {
        match &record.entry {
            Entry::Storm { .. } => self.storms.begin(record),
            Entry::StormEnded { .. } => {
                self.storms.end();
                let waiting = self.pendings.values_mut();
                for pending in waiting.filter(|p| p.gate == Gate::Storm) {
                    pending.due = pending.due.min(record.at);
                    if config.pending_max_ms.is_none() {
                        let least = record.at.plus(PENDING_MARGIN_MS);
                        pending.expires = pending.expires.max(least);
                    }
                }
            }
            _ => {}
        }
    }
}
