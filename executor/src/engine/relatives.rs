//! What Docker shows of the containers that one depends on, read together with it.
//!
//! Keeps true: it takes its share of a look's time and no more; a parent of which nothing
//! could be learnt in it is left out, and so is no reason to wait.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use policy::{Parent, Relation, Seen, Timestamp};

use crate::dependencies::{Needs, compose_parents, has_compose_parents, network_parent};
use crate::docker::{Docker, Inspected, Listed};

/// Most parents of one container that are looked at.
const PARENTS_MAX: usize = 16;
/// A list of all containers serves for so long, ms: names seldom change.
const LIST_MAX_MS: u64 = 5_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Relatives {
    /// By the configuration.
    needs: RefCell<Needs>,
    listed: RefCell<Option<(Timestamp, Rc<Vec<Listed>>)>>,
}

impl Relatives {
    /// What the configuration lists, from now on.
    pub(super) fn configure(&self, config: &policy::Config) {
        let targets = config.targets.iter();
        let needs = targets.map(|(name, target)| (name.clone(), target.depends_on.clone()));
        self.needs.replace(needs.collect());
    }

    /// The parents of a container, as far as they can be seen within that time.
    pub(super) async fn parents<D: Docker>(
        &self,
        docker: &D,
        child: &Inspected,
        now: Timestamp,
        within: Duration,
    ) -> Vec<Parent> {
        let until = tokio::time::Instant::now() + within;
        let left = || until.saturating_duration_since(tokio::time::Instant::now());
        let mut parents = Vec::new();
        if let Some(id) = network_parent(&child.network.mode) {
            let seen = look(docker, id, left()).await;
            parents.extend(seen.map(|(name, seen)| parent(name, Relation::Network, seen)));
        }
        let mut names = self
            .needs
            .borrow()
            .get(&child.name)
            .cloned()
            .unwrap_or_default();
        if has_compose_parents(&child.labels)
            && let Some(all) = self.list(docker, now, left()).await
        {
            names.extend(compose_parents(&child.labels, &all));
        }
        for name in others(names, child, &parents) {
            let seen = look(docker, &name, left()).await;
            parents.extend(seen.map(|(name, seen)| parent(name, Relation::Needs, seen)));
        }
        parents
    }

    async fn list<D: Docker>(
        &self,
        docker: &D,
        now: Timestamp,
        within: Duration,
    ) -> Option<Rc<Vec<Listed>>> {
        if let Some((at, all)) = &*self.listed.borrow()
            && now.since(*at) <= LIST_MAX_MS
        {
            return Some(Rc::clone(all));
        }
        let all = Rc::new(docker.list(within).await.ok()?);
        self.listed.replace(Some((now, Rc::clone(&all))));
        Some(all)
    }
}

/// Neither itself nor what is known already.
fn others(names: BTreeSet<String>, child: &Inspected, known: &[Parent]) -> Vec<String> {
    let is_other =
        |name: &String| *name != child.name && !known.iter().any(|parent| parent.name == *name);
    let left = PARENTS_MAX.saturating_sub(known.len());
    names.into_iter().filter(is_other).take(left).collect()
}

fn parent(name: String, relation: Relation, seen: Seen) -> Parent {
    Parent {
        name,
        relation,
        seen,
    }
}

/// None where Docker did not say.
async fn look<D: Docker>(docker: &D, text: &str, within: Duration) -> Option<(String, Seen)> {
    let asked = docker.inspect(text, within);
    match tokio::time::timeout(within, asked).await {
        Ok(Ok(Some(found))) => Some((
            found.name,
            Seen::Found {
                state: found.state,
                health: found.health.map(|health| health.status),
            },
        )),
        Ok(Ok(None)) => Some((text.get(..12).unwrap_or(text).to_owned(), Seen::Gone)),
        Ok(Err(_)) | Err(_) => None,
    }
}
