//! What Docker shows of the containers that one depends on, read together with it.
//!
//! Keeps true: it takes its share of a look's time and no more; a parent of which nothing
//! could be learnt in it is left out, and so is no reason to wait.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use policy::{Parent, Relation, Seen, Timestamp};

use crate::dependencies::{Circle, Family, Needs, has_compose_parents, network_parent};
use crate::docker::{Docker, Inspected};

/// Most parents of one container that are looked at.
const PARENTS_MAX: usize = 16;
/// Most circles that are told, each once.
const CIRCLES_TOLD_MAX: usize = 64;
/// A list of all containers serves for so long, ms: names seldom change.
const LIST_MAX_MS: u64 = 5_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Relatives {
    /// By the configuration.
    needs: RefCell<Needs>,
    listed: RefCell<Option<(Timestamp, Rc<Family>)>>,
    circles_told: RefCell<BTreeSet<Circle>>,
}

impl Relatives {
    /// What the configuration lists, from now on.
    pub(super) fn configure(&self, config: &policy::Config) {
        let targets = config.targets.iter();
        let needs = targets.map(|(name, target)| (name.clone(), target.depends_on.clone()));
        self.needs.replace(needs.collect());
        self.listed.replace(None);
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
            && let Some(family) = self.list(docker, now, left()).await
        {
            names.extend(family.compose_parents(&child.name, &child.labels));
            self.tell(family.circle(&child.name, &child.labels));
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
    ) -> Option<Rc<Family>> {
        if let Some((at, family)) = &*self.listed.borrow()
            && now.since(*at) <= LIST_MAX_MS
        {
            return Some(Rc::clone(family));
        }
        let all = docker.list(within).await.ok()?;
        let family = Rc::new(Family::new(all, &self.needs.borrow()));
        self.listed.replace(Some((now, Rc::clone(&family))));
        Some(family)
    }

    /// Whose order of healing is not kept, once for each circle.
    fn tell(&self, circle: Option<Circle>) {
        let Some(circle) = circle else { return };
        let mut told = self.circles_told.borrow_mut();
        if told.len() < CIRCLES_TOLD_MAX && !told.contains(&circle) {
            tracing::warn!(
                "Compose's depends_on leads round in a circle: {}; these do not wait for one \
                 another",
                circle.join(" needs ")
            );
            told.insert(circle);
        }
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
