//! Which compose projects are being taken down: a container that ends because another one of
//! its project was stopped has not ended by itself in any way that matters.
//!
//! Goes by places, not by containers: one that is created anew (`compose up -d` after a change)
//! has another id, and its start takes back the stop of the one that had its place.

use std::collections::BTreeMap;

use policy::Timestamp;

use super::ending::is_ending;
use crate::dependencies::{is_one_off, project, service};
use crate::docker::{Event, What};

/// Which of its service's containers it is.
const LABEL_NUMBER: &str = "com.docker.compose.container-number";
/// An end within so long after a stop, or before it, is part of the same, ms.
pub(super) const STOP_MS: u64 = 60_000;
/// Where there are too many stops, all from longer ago are forgotten at once, ms.
const KEPT_MS: u64 = 10 * STOP_MS;
/// Most stops that are remembered; where those of [`KEPT_MS`] are more, the oldest go.
const STOPS_MAX: usize = 4_096;

/// The latest stops that no start has taken back.
#[derive(Debug, Default)]
pub(super) struct Projects {
    stops: BTreeMap<Place, Stop>,
}

/// A container's place in its project; whatever is created anew in it takes it over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    project: String,
    /// Service and number; the container's own id where it has none.
    member: (String, String),
}

#[derive(Debug)]
struct Stop {
    at: Timestamp,
    container_id: String,
}

impl Place {
    /// By a container's labels; none where it is in no project.
    pub(super) fn of(id: &str, labels: &BTreeMap<String, String>) -> Option<Self> {
        let member = match (service(labels), labels.get(LABEL_NUMBER)) {
            (Some(service), Some(number)) if !is_one_off(labels) => {
                (service.to_owned(), number.clone())
            }
            _ => (id.to_owned(), String::new()),
        };
        Some(Self {
            project: project(labels)?.to_owned(),
            member,
        })
    }
}

impl Projects {
    pub(super) fn event(&mut self, now: Timestamp, event: &Event) {
        let Some(place) = Place::of(&event.id, &event.attributes) else {
            return;
        };
        // What `docker compose run` makes comes and goes as it likes.
        if is_one_off(&event.attributes) {
            return;
        }
        match event.what {
            What::Kill { signal } if is_ending(signal) => self.stopped(now, place, &event.id),
            What::Stop | What::Pause => self.stopped(now, place, &event.id),
            // Of what was just stopped it is part of the same. What ended long ago is only
            // tidied up, and what was created anew in its place may be there already.
            What::Destroy => {
                if let Some(stop) = self.stops.get_mut(&place)
                    && stop.container_id == event.id
                    && now.since(stop.at) < STOP_MS
                {
                    stop.at = now;
                }
            }
            What::Create | What::Start | What::Unpause => {
                self.stops.remove(&place);
            }
            _ => {}
        }
    }

    fn stopped(&mut self, now: Timestamp, place: Place, id: &str) {
        let stop = Stop {
            at: now,
            container_id: id.to_owned(),
        };
        self.stops.insert(place, stop);
        if self.stops.len() > STOPS_MAX {
            self.stops.retain(|_, stop| now.since(stop.at) < KEPT_MS);
        }
        while self.stops.len() > STOPS_MAX
            && let Some((place, _)) = self.stops.iter().min_by_key(|(_, stop)| stop.at)
        {
            let place = place.clone();
            self.stops.remove(&place);
        }
    }

    /// When another place of the project was last stopped that is not taken again.
    pub(super) fn stopped_beside(&self, place: &Place) -> Option<Timestamp> {
        let first = Place {
            project: place.project.clone(),
            member: Default::default(),
        };
        let its = self.stops.range(first..);
        let its = its.take_while(|(other, _)| other.project == place.project);
        its.filter(|(other, _)| *other != place)
            .map(|(_, stop)| stop.at)
            .max()
    }
}
