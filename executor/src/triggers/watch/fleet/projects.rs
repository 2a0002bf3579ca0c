//! Which compose projects are being taken down: a container that ends because another one of
//! its project was stopped has not ended by itself in any way that matters.

use std::collections::BTreeMap;

use policy::Timestamp;

use super::ending::is_ending;
use crate::docker::{Event, What};

/// The label by which compose marks a project's containers.
const LABEL_PROJECT: &str = "com.docker.compose.project";
/// An end within so long after a stop, or before it, is part of the same, ms.
pub(super) const STOP_MS: u64 = 60_000;
/// Stops are forgotten after so long, ms.
const KEPT_MS: u64 = 10 * STOP_MS;
/// Most stops that are remembered; beyond it the oldest are forgotten.
const STOPS_MAX: usize = 4_096;

/// The latest stops that no start has taken back.
#[derive(Debug, Default)]
pub(super) struct Projects {
    /// (Project, container id) to when.
    stops: BTreeMap<(String, String), Timestamp>,
}

/// The project by a container's labels.
pub(super) fn of(labels: &BTreeMap<String, String>) -> Option<String> {
    labels.get(LABEL_PROJECT).cloned()
}

impl Projects {
    pub(super) fn event(&mut self, now: Timestamp, event: &Event) {
        let Some(project) = of(&event.attributes) else {
            return;
        };
        let key = (project, event.id.clone());
        match event.what {
            What::Kill { signal } if is_ending(signal) => self.stopped(now, key),
            What::Stop | What::Destroy | What::Pause => self.stopped(now, key),
            What::Start | What::Unpause => {
                self.stops.remove(&key);
            }
            _ => {}
        }
    }

    fn stopped(&mut self, now: Timestamp, key: (String, String)) {
        self.stops.insert(key, now);
        if self.stops.len() > STOPS_MAX {
            self.stops.retain(|_, at| now.since(*at) < KEPT_MS);
        }
        while self.stops.len() > STOPS_MAX
            && let Some((key, _)) = self.stops.iter().min_by_key(|(_, at)| **at)
        {
            let key = key.clone();
            self.stops.remove(&key);
        }
    }

    /// When another container of the project was last stopped that is not back.
    pub(super) fn stopped_beside(&self, project: &str, id: &str) -> Option<Timestamp> {
        let from = (project.to_owned(), String::new());
        let its = self.stops.range(from..);
        let its = its.take_while(|((name, _), _)| name == project);
        its.filter(|((_, other), _)| other != id)
            .map(|(_, at)| *at)
            .max()
    }
}
