//! What Docker has said about each container that may be healed, and what follows from it:
//! pure. Events, lists, looks and time come in; looks to take and signals to tell come out.
//!
//! Keeps true: only containers that may be healed are kept, by their ids, at most
//! [`WATCHED_MAX`]; a fire or clear that could not be handed on is told again; nothing is asked
//! of Docker but what an event or a list gives reason for.
//!
//! What is where: `candidates` says which, and admits them; `judging` asks all that follow;
//! `health` judges checks, `ending` deaths, `unfinished` what is down with its work undone,
//! `starts` crash loops, `network` what shares a network that is gone, `projects` knows what of a
//! compose project is being taken down.

mod candidates;
mod ending;
mod health;
mod judging;
mod network;
mod projects;
mod starts;
#[cfg(test)]
mod tests;
mod unfinished;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use policy::{HealthStatus, Now, Off, Timestamp, WallTime};

use self::candidates::OffNames;
use self::ending::Ending;
pub(in crate::triggers) use self::ending::is_ending;
use self::health::Health;
use self::network::Network;
use self::projects::{Place, Projects};
use self::starts::Starts;
use self::unfinished::Unfinished;
use crate::config::{Watch, WatchTarget};
use crate::docker::{Event, Row, RowHealth, Seen, What};
use crate::triggers::Signal;

/// Most containers that are watched; those beyond are not, which is told.
pub(super) const WATCHED_MAX: usize = 10_000;
/// Looks under way at once.
const LOOKS_MAX: usize = 4;
/// Signals under way to the engine at once; it takes 1,024 messages of all kinds.
const TELLS_MAX: usize = 32;
/// A look or signal that failed is tried again after so long, doubled each time up to
/// [`AGAIN_MS_MAX`].
const AGAIN_MS: u64 = 1_000;
/// See [`AGAIN_MS`].
const AGAIN_MS_MAX: u64 = 60_000;

/// What containers are watched, and for what.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) policy: policy::Config,
    pub(super) watch: Watch,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// To be inspected, by its id; [`Fleet::seen`] takes what comes of it.
    Look(String),
    /// To be looked for in the container with this id; [`Fleet::found`] takes what comes of it.
    Find { id: String, file: String },
    /// To be handed to the engine; [`Fleet::told`] takes what comes of it.
    Tell(Signal),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Fleet {
    settings: Rc<Settings>,
    /// By id. Boxed, since a map's nodes have room for more than there are.
    watched: BTreeMap<String, Box<Watched>>,
    off: OffNames,
    projects: Projects,
    /// Since when the stream of events is open and nothing has been missed.
    unbroken_since: Option<Timestamp>,
    /// Neither events nor lists need tell of health: what has a check is looked at with each
    /// list.
    is_health_untold: bool,
    /// When the list under way was asked for.
    list_asked: Option<Now>,
    tells: VecDeque<Signal>,
    tells_out: usize,
    looks_out: usize,
    /// Containers that are not watched because there are too many, in the list under way.
    beyond: usize,
    /// A list has shown what no event told.
    has_missed: bool,
    /// Something may be due that was not when it was last asked: all containers are gone
    /// through then, and only then.
    has_changed: bool,
    /// As of then.
    due: Option<Timestamp>,
}

/// One container.
#[derive(Debug)]
struct Watched {
    name: String,
    /// Of compose.
    place: Option<Place>,
    settings: WatchTarget,
    health: Health,
    ending: Ending,
    unfinished: Unfinished,
    starts: Starts,
    network: Network,
    look_at: Option<Timestamp>,
    look_out: bool,
    /// Looks and signals in a row that failed.
    failures: u32,
    /// When it was last heard of by an event or in a list.
    heard_at: Timestamp,
}

impl Fleet {
    pub(super) fn new(settings: Rc<Settings>) -> Self {
        Self {
            settings,
            watched: BTreeMap::new(),
            off: OffNames::default(),
            projects: Projects::default(),
            unbroken_since: None,
            is_health_untold: false,
            list_asked: None,
            tells: VecDeque::new(),
            tells_out: 0,
            looks_out: 0,
            beyond: 0,
            has_missed: false,
            has_changed: false,
            due: None,
        }
    }

    /// Of those that are watched.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.watched.values().map(|watched| watched.name.clone())
    }

    /// Those that are named or labelled and off by their labels, by name; as of the last list.
    pub(super) fn off(&self) -> &BTreeMap<String, Off> {
        self.off.all()
    }

    /// Takes effect on each container with the next list.
    pub(super) fn configure(&mut self, settings: Rc<Settings>) {
        for watched in self.watched.values_mut() {
            let of = |settings: &Settings| settings.watch.unfinished.get(&watched.name).cloned();
            if of(&self.settings) != of(&settings) {
                watched.unfinished.examine_anew();
            }
        }
        self.settings = settings;
    }

    /// How many containers are watched.
    pub(super) fn len(&self) -> usize {
        self.watched.len()
    }

    /// Whether health may go untold, as Podman 4.3 does it.
    pub(super) fn set_health_untold(&mut self, is_untold: bool) {
        self.is_health_untold = is_untold;
    }

    /// The stream of events is open: what happens from now on is heard of. A list follows.
    pub(super) fn connected(&mut self, now: Now) {
        self.unbroken_since = Some(now.at);
        for watched in self.watched.values_mut() {
            // It may have been started, and have ended once more, between two lists.
            watched.unfinished.examine_anew();
        }
    }

    /// Something may have been missed: what ends, or has ended and is not settled, counts as
    /// stopped on purpose.
    pub(super) fn broken(&mut self) {
        self.unbroken_since = None;
        self.projects = Projects::default();
        for watched in self.watched.values_mut() {
            watched.ending = Ending::default();
            watched.unfinished.broken();
            watched.health.is_clear = false;
        }
    }

    pub(super) fn event(&mut self, now: Now, event: &Event) {
        self.projects.event(now.at, event);
        if event.what == What::Start {
            self.network_began(now, event);
        }
        let is_new = !self.watched.contains_key(&event.id);
        if is_new && matches!(event.what, What::Create | What::Start) {
            self.admit(&event.id, &event.name, &event.attributes);
        }
        if event.what == What::Rename {
            self.admit(&event.id, &event.name, &event.attributes);
        }
        let Some(watched) = self.watched.get_mut(&event.id) else {
            return;
        };
        watched.heard_at = now.at;
        self.has_changed = true;
        match event.what {
            What::Destroy => {
                self.remove(&event.id);
            }
            What::Start => {
                let by_itself = watched.ending.started();
                watched.unfinished.started();
                watched.health = Health::default();
                watched.network.started();
                watched.look_at = None;
                if watched.starts.started(now.at, by_itself, &watched.settings) {
                    watched.look_at = Some(now.at);
                }
            }
            What::Health(HealthStatus::Unhealthy) => {
                if watched.settings.unhealthy_checks > 0 && !watched.health.is_firing() {
                    watched.look_by(now.at);
                }
            }
            What::Health(HealthStatus::Healthy) => {
                self.healthy(&event.id, event.at);
            }
            what => watched.heard(now.at, what, event.at),
        }
    }

    /// A list was asked for; its rows follow.
    pub(super) fn list_began(&mut self, asked: Now) {
        self.list_asked = Some(asked);
        self.beyond = 0;
        self.off.list_began();
    }

    pub(super) fn row(&mut self, row: &Row) {
        let Some(asked) = self.list_asked else {
            return;
        };
        if !self.admit(&row.id, &row.name, &row.labels) {
            return;
        }
        let is_unbroken = self.unbroken_since.is_some_and(|since| since <= asked.at);
        let Some(watched) = self.watched.get_mut(&row.id) else {
            return;
        };
        watched.network.shares(row.network_parent.as_deref());
        // What an event has said since is newer.
        let is_newest = watched.heard_at < asked.at;
        watched.heard_at = watched.heard_at.max(asked.at);
        let is_running = row.state == "running";
        if is_newest && is_unbroken && is_running {
            watched.ending.is_running();
        }
        if is_newest && is_running {
            watched.unfinished.started();
        }
        if !is_running {
            let is_down = is_newest && row.state == "exited";
            self.has_missed |= is_down && watched.ending.is_down();
            let is_named = || self.settings.watch.unfinished.contains_key(&watched.name);
            let is_unexamined = is_down && watched.unfinished.wants_inspect() && is_named();
            if (watched.ending.is_open() || is_unexamined) && watched.look_at.is_none() {
                watched.look_at = Some(asked.at);
                self.has_changed = true;
            }
            return;
        }
        match row.health {
            RowHealth::Is(HealthStatus::Unhealthy) => {
                if watched.settings.unhealthy_checks > 0 && watched.look_at.is_none() {
                    watched.look_at = Some(asked.at);
                    self.has_changed = true;
                }
            }
            RowHealth::Is(HealthStatus::Healthy) if is_newest => {
                self.healthy(&row.id, asked.wall());
            }
            RowHealth::Unknown if self.is_health_untold => {
                if watched.wants_checks() && watched.look_at.is_none() {
                    watched.look_at = Some(asked.at);
                    self.has_changed = true;
                }
            }
            RowHealth::Is(_) | RowHealth::Unknown => {}
        }
    }

    /// Whether a list has shown an end that no event told of: the stream is not what it seems.
    pub(super) fn has_missed(&mut self) -> bool {
        std::mem::take(&mut self.has_missed)
    }

    /// No more rows come; `is_whole` unless it was cut. How many containers were too many.
    pub(super) fn list_ended(&mut self, is_whole: bool) -> usize {
        if let Some(asked) = self.list_asked.take()
            && is_whole
        {
            self.watched
                .retain(|_, watched| watched.heard_at >= asked.at);
            self.off.list_ended();
            self.looks_out = self.watched.values().filter(|w| w.look_out).count();
        }
        self.beyond
    }

    /// A look was taken: what it found, none where the container is gone, or that it failed.
    pub(super) fn seen(&mut self, now: Now, id: &str, seen: Result<Option<&Seen>, ()>) {
        self.has_changed = true;
        let Some(watched) = self.watched.get_mut(id) else {
            return;
        };
        if std::mem::take(&mut watched.look_out) {
            self.looks_out -= 1;
        }
        let seen = match seen {
            Ok(Some(seen)) => seen,
            Ok(None) => return self.remove(id),
            Err(()) => {
                watched.fail(now.at);
                return;
            }
        };
        watched.failures = 0;
        self.judge_health(now, id, seen);
        self.judge_ending(now, id, seen);
        self.judge_unfinished(now, id, seen);
        self.judge_starts(now, id, seen);
        self.judge_network(now, id, seen);
    }

    /// The engine has taken a signal, or could not.
    pub(super) fn told(&mut self, now: Now, signal: &Signal, is_taken: bool) {
        self.tells_out = self.tells_out.saturating_sub(1);
        self.has_changed = true;
        let (id, rule) = match signal {
            Signal::Fired(fired) => (&fired.container_id, &fired.rule),
            Signal::Cleared(cleared) => (&cleared.container_id, &cleared.rule),
        };
        let Some(watched) = self.watched.get_mut(id) else {
            return;
        };
        if is_taken {
            return watched.ending.told(rule);
        }
        watched.health.untold(rule);
        watched.starts.untold(rule);
        watched.network.untold(rule);
        let again_at = watched.fail(now.at);
        watched.unfinished.untold(rule, again_at);
    }

    /// What is to be done now.
    pub(super) fn orders(&mut self, now: Now) -> Vec<Order> {
        if !self.has_changed && self.due.is_none_or(|due| due > now.at) {
            return Vec::new();
        }
        self.settle_loops(now);
        let mut orders = Vec::new();
        for (id, watched) in &mut self.watched {
            if self.looks_out >= LOOKS_MAX {
                break;
            }
            if !watched.look_out && watched.look_at.is_some_and(|at| at <= now.at) {
                watched.look_at = None;
                watched.look_out = true;
                self.looks_out += 1;
                orders.push(Order::Look(id.clone()));
            }
        }
        orders.extend(self.finds(now));
        while self.tells_out < TELLS_MAX
            && let Some(signal) = self.tells.pop_front()
        {
            self.tells_out += 1;
            orders.push(Order::Tell(signal));
        }
        if self.tells.is_empty() {
            // As long as the list of containers, where that was the first one.
            self.tells.shrink_to_fit();
        }
        self.has_changed = false;
        self.due = self.next();
        orders
    }

    /// When [`Self::orders`], which was just asked, has something new; what is under way aside.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due
    }

    fn next(&self) -> Option<Timestamp> {
        let looks = self.watched.values().filter(|w| !w.look_out);
        let looks = looks.filter_map(|watched| watched.look_at);
        let looks = looks.filter(|_| self.looks_out < LOOKS_MAX);
        let loops = self
            .watched
            .values()
            .filter_map(|w| w.starts.over_at(&w.settings));
        let finds = self.watched.values().filter(|w| !w.look_out);
        let finds = finds.filter_map(|watched| watched.unfinished.due());
        let finds = finds.filter(|_| self.looks_out < LOOKS_MAX);
        looks.chain(finds).chain(loops).min()
    }

    fn remove(&mut self, id: &str) {
        if let Some(watched) = self.watched.remove(id)
            && watched.look_out
        {
            self.looks_out -= 1;
            self.has_changed = true;
        }
    }
}

impl Watched {
    /// Nothing is known of it yet, its name neither.
    fn new(place: Option<Place>, settings: WatchTarget) -> Self {
        Self {
            name: String::new(),
            place,
            settings,
            health: Health::default(),
            ending: Ending::default(),
            unfinished: Unfinished::default(),
            starts: Starts::default(),
            network: Network::default(),
            look_at: None,
            look_out: false,
            failures: 0,
            heard_at: Timestamp(0),
        }
    }

    /// Whether it may have a health check, which is a trigger.
    fn wants_checks(&self) -> bool {
        self.settings.unhealthy_checks > 0 && !self.health.has_no_check
    }

    /// Any event but those of its start and its health.
    fn heard(&mut self, now: Timestamp, what: What, at: WallTime) {
        if let Some(decide_at) = self.ending.heard(now, what, at) {
            self.look_by(decide_at);
        }
        let is_left_alone = match what {
            What::Stop => true,
            What::Kill { signal } => is_ending(signal),
            What::Die { .. } => !self.ending.is_open() && self.ending.is_asked_for(now, None),
            _ => false,
        };
        if is_left_alone {
            self.unfinished.left_alone(now, at);
        }
    }

    fn look_by(&mut self, at: Timestamp) {
        self.look_at = Some(self.look_at.map_or(at, |other| other.min(at)));
    }

    /// When what failed is tried again.
    fn fail(&mut self, now: Timestamp) -> Timestamp {
        let pause_ms = AGAIN_MS << self.failures.min(6);
        self.failures = self.failures.saturating_add(1);
        let again_at = now.plus(pause_ms.min(AGAIN_MS_MAX));
        self.look_by(again_at);
        again_at
    }
}
