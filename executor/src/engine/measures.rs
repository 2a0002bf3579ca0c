//! Telling what is done beside restarts: commands, stops, and the way from one measure to
//! the next. A command's output is opaque and never goes into the log.

use policy::{Event, ExecEnd};

use super::Engine;
use crate::docker::Docker;

impl<D: Docker + 'static> Engine<D> {
    pub(super) fn tell_measure(&self, event: &Event) {
        match event {
            Event::Healing {
                attempt,
                target,
                measure,
                ..
            } => tracing::info!(attempt, target, "healing '{target}': {measure} ..."),
            Event::Executed {
                attempt,
                target,
                end,
                name,
                detail,
            } => match end {
                ExecEnd::Done => tracing::info!(attempt, target, "exec '{name}' done, watching"),
                ExecEnd::Failed => tracing::warn!(attempt, target, "exec '{name}': {detail}"),
                ExecEnd::Unknown => tracing::warn!(
                    attempt,
                    target,
                    "exec '{name}' is not run again: {detail}; watching whether it has cured"
                ),
            },
            Event::NextMeasure {
                attempt,
                target,
                measure,
                why,
            } => tracing::warn!(attempt, target, "not cured ({why}): next, {measure}"),
            _ => {}
        }
    }
}
