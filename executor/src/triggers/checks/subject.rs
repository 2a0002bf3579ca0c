//! The container that a target's name stands for now, asked for once for all its checks.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use policy::ContainerState;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::verdict::Start;
use crate::docker::{Client, Docker, Network};

/// Oldest answer that is still good: checks of one target are due together.
const FRESH: Duration = Duration::from_millis(500);
/// Longest wait for the engine.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// A running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    /// Which start of which container.
    pub(super) start: Start,
    /// Where it can be reached.
    pub(super) network: Network,
}

/// One target.
#[derive(Debug)]
pub(super) struct Subject {
    /// Its canonical name.
    pub(super) name: String,
    docker: Rc<Client>,
    /// One look at a time.
    looking: Mutex<()>,
    seen: RefCell<Option<(Instant, Seen)>>,
    /// The id of the container by that name when last looked at, running or not; empty where
    /// there was none.
    id: RefCell<String>,
}

/// None where it does not run; or why the engine did not say.
pub(super) type Seen = Result<Option<Running>, String>;

impl Subject {
    pub(super) fn new(name: &str, docker: Rc<Client>) -> Self {
        Self {
            name: name.to_owned(),
            docker,
            looking: Mutex::new(()),
            seen: RefCell::new(None),
            id: RefCell::default(),
        }
    }

    /// How it is now, or was half a second ago.
    pub(super) async fn look(&self) -> Seen {
        let _one_at_a_time = self.looking.lock().await;
        let now = Instant::now();
        if let Some((at, seen)) = &*self.seen.borrow()
            && now.saturating_duration_since(*at) < FRESH
        {
            return seen.clone();
        }
        let seen = self.ask().await;
        self.seen.replace(Some((now, seen.clone())));
        seen
    }

    /// The id of the container that the last look found, running or not; empty where there was
    /// none.
    pub(super) fn known_id(&self) -> String {
        self.id.borrow().clone()
    }

    async fn ask(&self) -> Seen {
        let inspected = self.docker.inspect(&self.name, LOOK_MAX).await;
        let found = inspected.map_err(|e| e.to_string())?;
        // A name is meant, never the beginning of an id.
        let found = found.filter(|container| container.name == self.name);
        let id = found.as_ref().map(|container| container.id.clone());
        self.id.replace(id.unwrap_or_default());
        let Some(container) = found else {
            return Ok(None);
        };
        let (ContainerState::Running, Some(started_at)) = (container.state, container.started_at)
        else {
            return Ok(None);
        };
        Ok(Some(Running {
            start: Start {
                container_id: container.id,
                started_at,
            },
            network: container.network,
        }))
    }
}
