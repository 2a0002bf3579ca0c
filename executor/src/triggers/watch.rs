//! Follows what Docker itself says about containers: health checks that fail, containers that
//! end by themselves, crash loops. What follows from it is `fleet`'s part; here is the talking.
//!
//! Keeps true:
//! - the stream of events is opened first and the list asked for second, so nothing falls
//!   between the two; the list is asked for again every [`LIST_EVERY`] and whenever the stream
//!   was opened anew;
//! - the stream is read without a pause (an engine drops what nobody reads): lists, looks and
//!   signals run beside it, a bounded number of them;
//! - a stream that ends, breaks or cannot be read is counted and opened again, with a growing
//!   pause; while there is none, lists go on;
//! - what a list shows of a container that is not watched is forgotten row by row.

mod fleet;

use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use policy::Now;
use tokio::sync::{mpsc, watch as latest};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};

pub(super) use self::fleet::is_ending;
use self::fleet::{Fleet, Order, Settings, WATCHED_MAX};
use super::Signal;
use crate::clock::Clock;
use crate::config::Config;
use crate::docker::{AtPath, Client, DockerError, Event, Events, Row, Seen};
use crate::engine::Handle;
use crate::http::Site;
use crate::labels::UnknownLabels;
use crate::metrics::StreamEnd;

/// Between two lists of all containers.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// After a list that failed.
const LIST_AGAIN: Duration = Duration::from_secs(5);
/// Longest wait for a list.
const LIST_MAX: Duration = Duration::from_secs(30);
/// Longest wait for a look at one container.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// Longest wait for the head of the stream of events.
const OPEN_MAX: Duration = Duration::from_secs(10);
/// First pause before a stream is opened again; doubled each time up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// See [`PAUSE_MIN`].
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A stream that has lasted so long was a good one: the pause begins anew.
const LASTED: Duration = Duration::from_secs(60);
/// Most pieces of a list that wait to be taken in; whoever reads it waits for room.
const ROWS_MAX: usize = 2;
/// Most answers that wait.
const DONE_MAX: usize = 64;
/// Longest sleep: Tokio's timers stand still during a suspend, the policy's clock does not.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// What came of something that ran beside the stream.
enum Done {
    Opened(Result<Events, DockerError>),
    Rows(Vec<Row>),
    Listed(Result<(), DockerError>),
    Seen(String, Result<Option<Box<Seen>>, DockerError>),
    Found(String, Result<Option<AtPath>, DockerError>),
    Told(Signal, bool),
}

/// Runs until the process ends. `config` tells what SIGHUP has changed.
pub(crate) async fn watch(
    docker: Rc<Client>,
    engine: Handle,
    clock: Clock,
    site: Rc<Site>,
    mut config: latest::Receiver<Rc<Config>>,
) {
    let (done, mut answers) = mpsc::channel(DONE_MAX);
    let settings = settings_of(&config.borrow_and_update());
    let mut watcher = Watcher {
        docker,
        engine,
        clock,
        site,
        fleet: Fleet::new(settings),
        done,
        stream: None,
        opened_at: Instant::now(),
        open_at: Some(Instant::now()),
        pause: PAUSE_MIN,
        list_at: None,
        is_listing: false,
        is_told: Told::default(),
        labels: UnknownLabels::default(),
    };
    loop {
        let wake = watcher.act();
        tokio::select! {
            biased;
            event = next(&mut watcher.stream) => watcher.take_event(event),
            Some(done) = answers.recv() => watcher.take(done),
            changed = config.changed() => {
                if changed.is_err() {
                    return;
                }
                watcher.fleet.configure(settings_of(&config.borrow_and_update()));
                watcher.list_soon();
            }
            () = sleep_until(wake) => {}
        }
    }
}

fn settings_of(config: &Config) -> Rc<Settings> {
    Rc::new(Settings {
        policy: config.policy.clone(),
        watch: config.watch.clone(),
    })
}

/// The next event of a stream that is open; waits for ever where none is.
async fn next(stream: &mut Option<Events>) -> Result<Option<Event>, DockerError> {
    match stream {
        Some(stream) => stream.next().await,
        None => pending().await,
    }
}

struct Watcher {
    docker: Rc<Client>,
    engine: Handle,
    clock: Clock,
    site: Rc<Site>,
    fleet: Fleet,
    done: mpsc::Sender<Done>,
    stream: Option<Events>,
    opened_at: Instant,
    /// When a stream is to be opened; none while one is open or being opened.
    open_at: Option<Instant>,
    pause: Duration,
    /// When a list is to be asked for; none before the first stream.
    list_at: Option<Instant>,
    /// One is on its way.
    is_listing: bool,
    is_told: Told,
    /// Labels that mean nothing, told once.
    labels: UnknownLabels,
}

/// What was told and is not told again while it lasts.
#[derive(Default)]
struct Told {
    no_stream: bool,
    no_list: bool,
    too_many: bool,
}

impl Watcher {
    /// Starts whatever it is time for; when it will be time for more.
    fn act(&mut self) -> Instant {
        let now = Instant::now();
        if self.open_at.is_some_and(|at| at <= now) {
            self.open_at = None;
            self.open();
        }
        if !self.is_listing && self.list_at.is_some_and(|at| at <= now) {
            self.list_at = None;
            self.list();
        }
        let clock = self.clock.now();
        for order in self.fleet.orders(clock) {
            match order {
                Order::Look(id) => self.look(id),
                Order::Find { id, file } => self.find(id, file),
                Order::Tell(signal) => self.tell(signal),
            }
        }
        self.show_watched();
        let due = self.fleet.next_due().map(|due| {
            let ms = due.since(clock.at).max(1);
            now + Duration::from_millis(ms)
        });
        let latest = now + SLEEP_MAX;
        let list_at = self.list_at.filter(|_| !self.is_listing);
        [self.open_at, list_at, due]
            .into_iter()
            .flatten()
            .fold(latest, Instant::min)
    }

    /// For `healer status`; a new name in the place of another comes with the next list.
    fn show_watched(&self) {
        let count = self.fleet.len();
        self.site.metrics.triggers().set_watched(count);
        if self.site.watched.borrow().len() != count {
            *self.site.watched.borrow_mut() = self.fleet.names().collect();
        }
    }

    fn open(&self) {
        let (docker, done) = (Rc::clone(&self.docker), self.done.clone());
        spawn_local(async move {
            let opened = docker.events(OPEN_MAX).await;
            // The watcher is gone only where the process is stopping.
            let _ = done.send(Done::Opened(opened)).await;
        });
    }

    fn list(&mut self) {
        self.is_listing = true;
        self.fleet.list_began(self.clock.now());
        let (docker, done) = (Rc::clone(&self.docker), self.done.clone());
        spawn_local(async move {
            let (rows, mut taken) = mpsc::channel(ROWS_MAX);
            let listing = docker.each_listed(LIST_MAX, rows);
            let passing_on = async {
                while let Some(rows) = taken.recv().await {
                    let _ = done.send(Done::Rows(rows)).await;
                }
            };
            let (listed, ()) = tokio::join!(listing, passing_on);
            let _ = done.send(Done::Listed(listed)).await;
        });
    }

    fn look(&self, id: String) {
        let (docker, done) = (Rc::clone(&self.docker), self.done.clone());
        spawn_local(async move {
            let seen = docker.see(&id, LOOK_MAX).await;
            let _ = done
                .send(Done::Seen(id, seen.map(|seen| seen.map(Box::new))))
                .await;
        });
    }

    fn find(&self, id: String, file: String) {
        let (docker, done) = (Rc::clone(&self.docker), self.done.clone());
        spawn_local(async move {
            let found = docker.at_path(&id, &file, LOOK_MAX).await;
            let _ = done.send(Done::Found(id, found)).await;
        });
    }

    fn tell(&self, signal: Signal) {
        let (engine, done) = (self.engine.clone(), self.done.clone());
        spawn_local(async move {
            let is_taken = engine.signal(signal.clone()).await;
            let _ = done.send(Done::Told(signal, is_taken)).await;
        });
    }

    /// At once, or once the one that is on its way is there: it was asked for before.
    fn list_soon(&mut self) {
        self.list_at = Some(Instant::now());
    }

    fn take_event(&mut self, event: Result<Option<Event>, DockerError>) {
        let now = self.clock.now();
        match event {
            Ok(Some(event)) => {
                self.site.stops.take(now.at, &event);
                self.fleet.event(now, &event);
            }
            Ok(None) => self.ended(StreamEnd::Closed, "the engine closed it"),
            Err(error @ DockerError::Reply { .. }) => {
                self.ended(StreamEnd::Unreadable, &error.to_string());
            }
            Err(error) => self.ended(StreamEnd::Broken, &error.to_string()),
        }
    }

    fn take(&mut self, done: Done) {
        let now = self.clock.now();
        match done {
            Done::Opened(Ok(stream)) => self.opened(stream),
            Done::Opened(Err(error)) => self.ended(StreamEnd::Refused, &error.to_string()),
            Done::Rows(rows) => {
                for row in rows {
                    self.labels.see(&row.id, &row.name, &row.labels);
                    self.fleet.row(&row);
                }
            }
            Done::Listed(listed) => self.listed(listed),
            Done::Seen(id, seen) => self.seen(now, &id, seen),
            Done::Found(id, found) => {
                let found = found.map_err(|error| error.to_string());
                self.fleet.found(now, &id, found);
            }
            Done::Told(signal, is_taken) => self.fleet.told(now, &signal, is_taken),
        }
    }

    fn opened(&mut self, stream: Events) {
        self.fleet.set_health_untold(stream.is_podman());
        self.stream = Some(stream);
        self.opened_at = Instant::now();
        self.site.metrics.triggers().set_stream_up(true);
        self.fleet.connected(self.clock.now());
        self.list_soon();
        if std::mem::take(&mut self.is_told.no_stream) {
            tracing::info!("the engine's events are followed again");
        }
    }

    /// There is no stream (any more): opened again after a pause.
    fn ended(&mut self, end: StreamEnd, why: &str) {
        let was_open = self.stream.take().is_some();
        let metrics = self.site.metrics.triggers();
        metrics.stream_ended(end);
        metrics.set_stream_up(false);
        self.fleet.broken();
        let now = Instant::now();
        if was_open && now - self.opened_at >= LASTED {
            self.pause = PAUSE_MIN;
        }
        self.open_at = Some(now + self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        if !was_open && self.list_at.is_none() && !self.is_listing {
            // Where events cannot be had at all, lists are all there is.
            self.list_at = Some(now + LIST_AGAIN);
        }
        if !std::mem::replace(&mut self.is_told.no_stream, true) {
            tracing::warn!(
                "the engine's events are not followed: {why}; they are asked for again, and \
                 until then a container that ends is taken for stopped on purpose"
            );
        }
    }

    fn listed(&mut self, listed: Result<(), DockerError>) {
        self.is_listing = false;
        let beyond = self.fleet.list_ended(listed.is_ok());
        self.site.metrics.triggers().listed(listed.is_ok());
        *self.site.watched.borrow_mut() = self.fleet.names().collect();
        self.site.off.borrow_mut().clone_from(self.fleet.off());
        let pause = if listed.is_ok() {
            LIST_EVERY
        } else {
            LIST_AGAIN
        };
        let next = Instant::now() + pause;
        self.list_at = Some(self.list_at.map_or(next, |at| at.min(next)));
        match listed {
            Ok(()) => self.is_told.no_list = false,
            Err(error) => {
                if !std::mem::replace(&mut self.is_told.no_list, true) {
                    tracing::warn!("not all containers were listed: {error}");
                }
            }
        }
        if beyond > 0 && !std::mem::replace(&mut self.is_told.too_many, true) {
            tracing::warn!(
                "{beyond} containers that may be healed are not watched: {WATCHED_MAX} are the most"
            );
        }
        if self.fleet.has_missed() && self.stream.is_some() {
            self.ended(
                StreamEnd::Missed,
                "a container ended and no event told of it",
            );
        }
    }

    fn seen(&mut self, now: Now, id: &str, seen: Result<Option<Box<Seen>>, DockerError>) {
        match seen {
            Ok(seen) => self.fleet.seen(now, id, Ok(seen.as_deref())),
            Err(error) => {
                tracing::debug!("a container that is watched cannot be looked at: {error}");
                self.fleet.seen(now, id, Err(()));
            }
        }
    }
}
