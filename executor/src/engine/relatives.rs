//! What Docker shows of the containers that one depends on, read together with it.
//!
//! Keeps true:
//! - it takes its share of a look's time and no more; a parent of which nothing could be learnt
//!   in it is said to be unknown;
//! - of the list of all containers no more is kept than who needs whom, only one is under way
//!   however many look, and it is dropped [`LIST_KEPT`] after it came.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use policy::{ContainerState, Parent, Relation, Seen};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout_at};

use crate::dependencies::{
    Condition, Cycle, Family, Needs, has_compose_parents, network_parent, project,
};
use crate::docker::{Docker, Inspected};

/// Most parents of one container that are looked at.
const PARENTS_MAX: usize = 16;
/// Most cycles that are told, each once.
const CYCLES_TOLD_MAX: usize = 64;
/// Containers that are remembered by what is told of each once; of more it may be told again.
const ONCE_MAX: usize = 1_024;
/// Longest wait for the list, by whoever asked for it first and beyond that look's own end.
const LIST_MAX: Duration = Duration::from_secs(30);
/// A list serves for so long: names seldom change.
const LIST_KEPT: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Relatives {
    /// By the configuration.
    needs: RefCell<Needs>,
    /// The one that is under way, or good still.
    list: RefCell<Option<List>>,
    cycles_told: RefCell<BTreeSet<Cycle>>,
    /// Those that share the network of a container that is no more.
    lost: RefCell<Once>,
    /// Those of whose parents one was not seen even in a long time, until all were.
    unknown: RefCell<Once>,
}

/// Containers by name, of each of which something is told once, until it is so no more.
#[derive(Debug, Default)]
struct Once {
    /// And whether it has been told.
    told: BTreeMap<String, bool>,
    /// The one noted longest ago goes first.
    order: VecDeque<String>,
}

impl Once {
    fn note(&mut self, name: &str, is_so: bool) {
        if !is_so {
            if self.told.remove(name).is_some() {
                self.order.retain(|noted| noted != name);
            }
        } else if !self.told.contains_key(name) {
            if self.order.len() >= ONCE_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.told.remove(&oldest);
            }
            self.told.insert(name.to_owned(), false);
            self.order.push_back(name.to_owned());
        }
    }

    /// Whether it is so, and that is asked for the first time since.
    fn is_news(&mut self, name: &str) -> bool {
        let is_told = self.told.get_mut(name);
        is_told.is_some_and(|is_told| !std::mem::replace(is_told, true))
    }
}

/// What all who wait for a list are given; none inside while it is under way.
type List = watch::Receiver<Option<Family>>;

impl Relatives {
    /// What the configuration lists, from now on.
    pub(super) fn configure(&self, config: &policy::Config) {
        let targets = config.targets.iter();
        let needs = targets.map(|(name, target)| (name.clone(), target.depends_on.clone()));
        self.needs.replace(needs.collect());
        self.list.replace(None);
    }

    /// The parents of a container, as far as they can be seen until then.
    pub(super) async fn parents<D: Docker + 'static>(
        self: &Rc<Self>,
        docker: &Rc<D>,
        child: &Inspected,
        until: Instant,
    ) -> Vec<Parent> {
        let mut parents = Vec::new();
        if let Some(id) = network_parent(&child.network.mode) {
            let parent = look(&**docker, id, Relation::Network, None, until).await;
            if parent.seen != Seen::Unknown {
                let is_lost = parent.seen == Seen::Gone;
                self.lost.borrow_mut().note(&child.name, is_lost);
            }
            parents.push(parent);
        }
        // What the configuration lists has to be up.
        let needs = self.needs.borrow().get(&child.name).cloned();
        let needs = needs.into_iter().flatten();
        let mut names: BTreeMap<String, Condition> =
            needs.map(|name| (name, Condition::Up)).collect();
        if has_compose_parents(&child.labels) {
            match self.compose_parents(docker, child, until).await {
                Some(labelled) => {
                    for (name, condition) in labelled {
                        names.entry(name).or_insert(condition);
                    }
                }
                None => parents.push(unlisted(child)),
            }
        }
        for (name, condition) in others(names, child, &parents) {
            parents.push(look(&**docker, &name, Relation::Needs, Some(condition), until).await);
        }
        parents
    }

    /// Whether this one has lost its network's container, and that is asked for the first
    /// time since.
    pub(super) fn is_loss_news(&self, child: &str) -> bool {
        self.lost.borrow_mut().is_news(child)
    }

    /// Takes out what was not seen in a long time: a Docker that says nothing of a parent must
    /// not keep its child down. It is told once of each, until all of its are seen again.
    pub(super) fn give_up_on_unknown(&self, child: &str, parents: &mut Vec<Parent>) {
        let is_unknown = |parent: &&Parent| parent.seen == Seen::Unknown;
        let unknown: Vec<&str> = parents
            .iter()
            .filter(is_unknown)
            .map(|p| &*p.name)
            .collect();
        if self.is_unknown_news(child, !unknown.is_empty()) {
            tracing::warn!(
                "Docker has not shown what '{child}' depends on ({}): it does not wait for that",
                unknown.join(", ")
            );
        }
        parents.retain(|parent| parent.seen != Seen::Unknown);
    }

    fn is_unknown_news(&self, child: &str, is_unknown: bool) -> bool {
        let mut unknown = self.unknown.borrow_mut();
        unknown.note(child, is_unknown);
        unknown.is_news(child)
    }

    /// None where the list was not there in time.
    async fn compose_parents<D: Docker + 'static>(
        self: &Rc<Self>,
        docker: &Rc<D>,
        child: &Inspected,
        until: Instant,
    ) -> Option<BTreeMap<String, Condition>> {
        let known = self.list.borrow().clone();
        let mut list = known.unwrap_or_else(|| self.begin_list(docker));
        let listed = timeout_at(until, list.wait_for(Option::is_some)).await;
        // An error: it failed, and there will be none.
        let listed = listed.ok()?.ok()?;
        let family = listed.as_ref()?;
        self.tell(family.cycle(&child.name, &child.labels));
        Some(family.compose_parents(&child.name, &child.labels))
    }

    /// It goes on when whoever asked has given up: the next look has use for it.
    fn begin_list<D: Docker + 'static>(self: &Rc<Self>, docker: &Rc<D>) -> List {
        let (listed, list) = watch::channel(None);
        self.list.replace(Some(list.clone()));
        let (relatives, docker, begun) = (Rc::clone(self), Rc::clone(docker), list.clone());
        spawn_local(async move {
            match docker.members(LIST_MAX).await {
                Ok(members) => {
                    let family = Family::new(members, &relatives.needs.borrow());
                    listed.send_replace(Some(family));
                    sleep(LIST_KEPT).await;
                }
                Err(e) => tracing::debug!("who depends on whom is not known: {e}"),
            }
            let mut current = relatives.list.borrow_mut();
            if current
                .as_ref()
                .is_some_and(|list| list.same_channel(&begun))
            {
                *current = None;
            }
        });
        list
    }

    /// Whose order of healing is not kept, once for each cycle.
    fn tell(&self, cycle: Option<Cycle>) {
        let Some(cycle) = cycle else { return };
        let mut told = self.cycles_told.borrow_mut();
        if told.len() < CYCLES_TOLD_MAX && !told.contains(&cycle) {
            tracing::warn!(
                "Compose's depends_on leads round in a circle: {}; these do not wait for one \
                 another",
                cycle.join(" needs ")
            );
            told.insert(cycle);
        }
    }
}

/// Neither itself nor what is known already.
fn others(
    names: BTreeMap<String, Condition>,
    child: &Inspected,
    known: &[Parent],
) -> Vec<(String, Condition)> {
    let is_other =
        |name: &String| *name != child.name && !known.iter().any(|parent| parent.name == *name);
    let left = PARENTS_MAX.saturating_sub(known.len());
    let others = names.into_iter().filter(|(name, _)| is_other(name));
    others.take(left).collect()
}

/// What stands for the parents that could not even be named.
fn unlisted(child: &Inspected) -> Parent {
    let project = project(&child.labels).unwrap_or_default();
    Parent {
        name: format!("services of its Compose project '{project}'"),
        relation: Relation::Needs,
        seen: Seen::Unknown,
    }
}

async fn look<D: Docker>(
    docker: &D,
    text: &str,
    relation: Relation,
    condition: Option<Condition>,
    until: Instant,
) -> Parent {
    let within = until.saturating_duration_since(Instant::now());
    let short = text.get(..12).filter(|_| relation == Relation::Network);
    let text_name = || short.unwrap_or(text).to_owned();
    let (name, seen) = match timeout_at(until, docker.inspect(text, within)).await {
        Ok(Ok(Some(found))) => (found.name.clone(), seen(&found, condition)),
        Ok(Ok(None)) => (text_name(), Seen::Gone),
        Ok(Err(_)) | Err(_) => (text_name(), Seen::Unknown),
    };
    Parent {
        name,
        relation,
        seen,
    }
}

fn seen(found: &Inspected, condition: Option<Condition>) -> Seen {
    let has_done = found.state == ContainerState::Exited
        && found.exit.code == 0
        && !found.exit.is_always_restarted;
    match condition {
        Some(Condition::Started) if has_done => Seen::Done,
        _ => Seen::Found {
            state: found.state,
            health: found.health.map(|health| health.status),
        },
    }
}
