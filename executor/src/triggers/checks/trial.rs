//! Probes that are tried for once, for `healer check`: the very same tries, of which nothing
//! follows.

use std::rc::Rc;
use std::time::Duration;

use super::probe::{self, Result};
use super::reach::Reach;
use crate::config::Probe;
use crate::docker::{Client, Network};
use crate::resolve::OwnContainer;

/// What came of it, in our own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// As it should be.
    Passed,
    /// What the container did not do.
    Failed(String),
    /// Why it could not be tried.
    Unable(String),
}

/// Tries probes from here: from where this process runs.
#[derive(Debug)]
pub struct Trial {
    docker: Rc<Client>,
    reach: Reach,
}

impl Trial {
    /// `own`: which container this process is in.
    pub fn new(docker: Rc<Client>, own: OwnContainer) -> Self {
        Self {
            reach: Reach::new(Rc::clone(&docker), own),
            docker,
        }
    }

    /// One try at a running container, within the probe's own time. None for a probe that
    /// would run a command in it.
    pub async fn run(&self, probe: &Probe, container_id: &str, network: &Network) -> Option<Tried> {
        let timeout = Duration::from_millis(probe.pace.timeout_ms);
        let (docker, reach) = (&self.docker, &self.reach);
        let result =
            probe::from_outside(docker, reach, &probe.kind, container_id, network, timeout);
        Some(match result.await? {
            Result::Passed => Tried::Passed,
            Result::Failed { why, .. } => Tried::Failed(why),
            Result::Unable { why } => Tried::Unable(why),
        })
    }
}
