//! Probes that are tried for once, for `healer check`: the very same tries, of which nothing
//! follows.

use std::rc::Rc;
use std::time::Duration;

use super::probe::{self, Tried};
use super::reach::Reach;
use crate::config::Outside;
use crate::docker::{Client, Network};
use crate::resolve::OwnContainer;

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

    /// One try at a running container.
    pub async fn run(
        &self,
        outside: &Outside,
        container_id: &str,
        network: &Network,
        timeout: Duration,
    ) -> Tried {
        let (docker, reach) = (&self.docker, &self.reach);
        probe::from_outside(docker, reach, outside, container_id, network, timeout).await
    }
}
