//! What Docker shows of the containers that one depends on, read together with it.
//!
//! Keeps true: it takes its share of a look's time and no more; a parent of which nothing
//! could be learnt in it is left out, and so is no reason to wait.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
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
/// Containers without their network's that are remembered; of more nobody is told.
const LOST_MAX: usize = 1_024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Relatives {
    /// By the configuration.
    needs: RefCell<Needs>,
    listed: RefCell<Option<(Timestamp, Rc<Family>)>>,
    circles_told: RefCell<BTreeSet<Circle>>,
    /// By name those that share the network of a container that is no more, and whether
    /// that has been told.
    lost: RefCell<BTreeMap<String, bool>>,
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
            if let Some((_, seen)) = &seen {
                self.note_loss(&child.name, *seen == Seen::Gone);
            }
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

    fn note_loss(&self, child: &str, is_lost: bool) {
        let mut lost = self.lost.borrow_mut();
        if !is_lost {
            lost.remove(child);
        } else if lost.len() < LOST_MAX {
            lost.entry(child.to_owned()).or_insert(false);
        }
    }

    /// Whether this one has lost its network's container, and that is asked for the first
    /// time since.
    pub(super) fn is_loss_news(&self, child: &str) -> bool {
        let mut lost = self.lost.borrow_mut();
        let is_told = lost.get_mut(child);
        is_told.is_some_and(|is_told| !std::mem::replace(is_told, true))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_network_is_news_once_until_it_is_there_again() {
        let relatives = Relatives::default();
        assert!(!relatives.is_loss_news("app"));
        for _ in 0..2 {
            for news in [true, false, false] {
                relatives.note_loss("app", true);
                assert_eq!(relatives.is_loss_news("app"), news);
            }
            relatives.note_loss("app", false);
            assert!(!relatives.is_loss_news("app"));
        }
        for n in 0..=LOST_MAX {
            relatives.note_loss(&n.to_string(), true);
        }
        assert!(relatives.is_loss_news("0"));
        assert!(!relatives.is_loss_news(&LOST_MAX.to_string()));
    }
}
