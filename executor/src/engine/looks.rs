//! Asking Docker about targets: from a reference to a [`Look`].
//!
//! Keeps true:
//! - a name on the wire means that very name and an id that very id, although
//!   the Engine API would take a prefix of an id for either;
//! - one look for each reference and [`Patience`] at a time, shared by all who
//!   asked before it began: see [`Flights`];
//! - cached facts are at most [`CACHE_MAX_MS`] old and serve refusals only (the
//!   policy asks for fresh ones before a restart).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use policy::{Facts, Look, PendingKey, Seen, Timestamp};
use tokio::time::Instant;

use super::flights::Flights;
use super::relatives::Relatives;
use crate::clock::Clock;
use crate::config::StopTimeouts;
use crate::docker::{Docker, DockerError};
use crate::http::Site;
use crate::resolve::OwnContainer;

/// Oldest facts that may serve a refusal.
const CACHE_MAX_MS: u64 = 1_000;
/// Longest wait for facts while an intent waits for its answer.
const BRIEF_MAX: Duration = Duration::from_millis(100);
/// Longest wait for facts otherwise.
const LONG_MAX: Duration = Duration::from_secs(10);
/// Most inspects under way at once, of each patience.
const LOOKS_MAX: usize = 32;
/// Most references kept in the cache.
const CACHED_MAX: usize = 1_024;
/// Most peers' containers that are remembered; beyond it all are learnt anew.
const PEERS_MAX: usize = 256;

/// Shared by the engine and its tasks.
#[derive(Debug)]
pub(super) struct Looks<D> {
    docker: Rc<D>,
    clock: Clock,
    stop_timeouts: Rc<RefCell<StopTimeouts>>,
    own: OwnContainer,
    /// Containers that peers of the intent socket were seen in.
    peers: RefCell<BTreeSet<String>>,
    site: Rc<Site>,
    /// Apart from each other, so that long ones cannot take the brief ones' slots.
    brief: Flights,
    long: Flights,
    cache: RefCell<BTreeMap<String, (Timestamp, Facts)>>,
    pub(super) relatives: Rc<Relatives>,
}

/// How long a look may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// An intent waits for its answer.
    Brief,
    /// Nobody waits, or a person does.
    Long,
}

impl Patience {
    fn longest(self) -> Duration {
        match self {
            Self::Brief => BRIEF_MAX,
            Self::Long => LONG_MAX,
        }
    }
}

/// What to ask Docker for, and what the answer has to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reference {
    /// These ids in order: the first one that the engine knows.
    Ids(Vec<String>),
    Name(String),
    /// As a person types it: a name, an id or its first 12 digits.
    Either(String),
}

impl Reference {
    pub(super) fn of_pending(key: &PendingKey) -> Self {
        match key {
            PendingKey::Target(name) | PendingKey::Shadow(name) => Self::Name(name.clone()),
            PendingKey::Id(id) => Self::Ids(vec![id.clone()]),
            PendingKey::Rule { target, .. } => Self::Either(target.clone()),
        }
    }

    fn texts(&self) -> &[String] {
        match self {
            Self::Ids(ids) => ids,
            Self::Name(text) | Self::Either(text) => std::slice::from_ref(text),
        }
    }

    fn accepts(&self, facts: &Facts) -> bool {
        let is_id =
            |text: &String| text.len() >= 12 && facts.id.starts_with(&text.to_ascii_lowercase());
        match self {
            Self::Ids(ids) => ids.iter().any(is_id),
            Self::Name(text) => *text == facts.name,
            Self::Either(text) => *text == facts.name || is_id(text),
        }
    }
}

impl<D: Docker + 'static> Looks<D> {
    pub(super) fn new(
        docker: Rc<D>,
        clock: Clock,
        own: OwnContainer,
        stop_timeouts: Rc<RefCell<StopTimeouts>>,
        site: Rc<Site>,
    ) -> Self {
        Self {
            docker,
            clock,
            stop_timeouts,
            own,
            peers: RefCell::default(),
            site,
            brief: Flights::new(LOOKS_MAX),
            long: Flights::new(LOOKS_MAX),
            cache: RefCell::default(),
            relatives: Rc::default(),
        }
    }

    /// Whoever sends intents is never restarted by them, nor by what comes of
    /// them later.
    pub(super) fn know_peers(&self, containers: &[String]) {
        let mut peers = self.peers.borrow_mut();
        if peers.len() >= PEERS_MAX {
            peers.clear();
        }
        peers.extend(containers.iter().take(PEERS_MAX).cloned());
    }

    /// Facts no older than [`CACHE_MAX_MS`], if there are any.
    pub(super) fn cached(&self, reference: &Reference) -> Option<Look> {
        let now = self.clock.now().at;
        let cache = self.cache.borrow();
        let (read_at, facts) = cache.get(reference.texts().first()?)?;
        let is_recent = now.since(*read_at) <= CACHE_MAX_MS;
        (is_recent && reference.accepts(facts)).then(|| Look::Found(self.marked(facts.clone())))
    }

    /// Asks Docker from now on, as long as `patience` lasts.
    pub(super) async fn fresh(self: &Rc<Self>, reference: &Reference, patience: Patience) -> Look {
        let longest = patience.longest();
        let until = Instant::now() + longest;
        let (look, is_first) = self.flights(patience).join(reference, until);
        if is_first {
            let (looks, reference) = (Rc::clone(self), reference.clone());
            tokio::task::spawn_local(async move {
                let look = async |left| looks.look(&reference, left, patience).await;
                looks.flights(patience).fly(&reference, look).await;
            });
        }
        match tokio::time::timeout_at(until, look).await {
            Ok(Ok(look)) => look,
            // A look always has an end; its task, only where the process ends.
            Ok(Err(_)) | Err(_) => unanswered(longest),
        }
    }

    fn flights(&self, patience: Patience) -> &Flights {
        match patience {
            Patience::Brief => &self.brief,
            Patience::Long => &self.long,
        }
    }

    /// One look, which begins now. `left` is what is left of its time.
    async fn look(&self, reference: &Reference, left: Duration, patience: Patience) -> Look {
        let asked_at = self.clock.now().at;
        let asking = self.ask(reference, asked_at, Instant::now() + left, patience);
        match tokio::time::timeout(left, asking).await {
            Err(_) => unanswered(patience.longest()),
            Ok(Err(e)) => {
                self.note_error(&e);
                Look::Unavailable { why: e.to_string() }
            }
            Ok(Ok(None)) => {
                self.site.engine_answered(asked_at);
                Look::Gone
            }
            Ok(Ok(Some(facts))) => {
                self.site.engine_answered(asked_at);
                self.remember(reference, &facts);
                Look::Found(self.marked(facts))
            }
        }
    }

    /// What will not pass by itself makes the executor not ready at once; a
    /// slow answer or a broken one does not.
    fn note_error(&self, error: &DockerError) {
        if matches!(
            error,
            DockerError::Socket { .. } | DockerError::Version { .. }
        ) {
            self.site.engine_away(error.to_string());
        }
    }

    async fn ask(
        &self,
        reference: &Reference,
        asked_at: Timestamp,
        until: Instant,
        patience: Patience,
    ) -> Result<Option<Facts>, DockerError> {
        let longest = patience.longest();
        for text in reference.texts() {
            let Some(inspected) = self.docker.inspect(text, longest).await? else {
                continue;
            };
            // Less than all: what is known of the container itself must not be lost by it.
            let parents_until = until - longest / 10;
            let parents = self
                .relatives
                .parents(&self.docker, &inspected, parents_until);
            let mut parents = parents.await;
            if patience == Patience::Long {
                self.relatives
                    .give_up_on_unknown(&inspected.name, &mut parents);
            }
            let mut facts = inspected.into_facts(asked_at, false);
            if !reference.accepts(&facts) {
                continue;
            }
            facts.parents = parents;
            if let Some(seconds) = self.stop_timeouts.borrow().of(&facts.name) {
                facts.stop_timeout_s = Some(i64::from(seconds));
            }
            return Ok(Some(facts));
        }
        Ok(None)
    }

    fn marked(&self, mut facts: Facts) -> Facts {
        facts.asked_to_end_at = self.site.stops.asked_at(&facts.id);
        facts.is_self_or_peer = self.own.is(&facts.id) || self.peers.borrow().contains(&facts.id);
        facts
    }

    /// What was not seen whole is not remembered: the next look may see more.
    fn remember(&self, reference: &Reference, facts: &Facts) {
        if facts
            .parents
            .iter()
            .any(|parent| parent.seen == Seen::Unknown)
        {
            return;
        }
        let Some(text) = reference.texts().first() else {
            return;
        };
        let mut cache = self.cache.borrow_mut();
        // Each is as large as what its container's labels hold: none is kept in vain.
        cache.retain(|_, (read_at, _)| facts.read_at.since(*read_at) <= CACHE_MAX_MS);
        if cache.len() < CACHED_MAX {
            cache.insert(text.clone(), (facts.read_at, facts.clone()));
        }
    }
}

fn unanswered(within: Duration) -> Look {
    Look::Unavailable {
        why: format!("Docker did not answer within {} ms", within.as_millis()),
    }
}
