//! `healer run` and the one-shot: opens everything in the right order, wires
//! it together, and closes it again.
//!
//! Order at start: lock, journal (and with it the clock), policy, sockets,
//! then what an earlier run left open. A socket that takes connections
//! therefore always has a journal behind it.

mod background;

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use executor_api::{AdminAnswer, RestartRequest};
use policy::{Entry, Record};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use crate::calendar::Calendar;
use crate::clock::{Clock, timestamp_of};
use crate::config::{Config, Sockets, Sources, TokenPlace};
use crate::docker::Client;
use crate::engine::{Engine, Handle, Parts, Settings, restart_once};
use crate::evidence::{self, Evidence};
use crate::http::{Site, Token};
use crate::journal::{Journal, Opened, StateDir};
use crate::listen::Socket;
use crate::lock::{Holder, Role, StateLock};
use crate::logging::LevelHandle;
use crate::notify::Notifications;
use crate::procs::Procs;
use crate::report::{self, Reports};
use crate::sockets::{Admin, Intents};
use crate::triggers::Checks;
use crate::{groups, http, markers, triggers};
use background::{Reloaded, ask_engine, insist, reload_on_hangup, remember_processes};

/// What keeps the executor from starting: what failed, on what, and what to do.
#[derive(Debug)]
pub enum Fault {
    /// A setting that cannot be; it is the same at the next start.
    Setting(String),
    /// Anything else.
    Other(String),
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Setting(why) | Self::Other(why)) = self;
        f.write_str(why)
    }
}

/// Permission bits of the admin socket.
const ADMIN_MODE: u32 = 0o600;

/// Runs the executor until SIGTERM or SIGINT. `sources` are read again at SIGHUP.
///
/// # Errors
/// See [`Fault`].
pub async fn run(config: Config, sources: Sources, level: LevelHandle) -> Result<(), Fault> {
    LocalSet::new()
        .run_until(run_local(config, sources, level))
        .await
}

async fn run_local(config: Config, sources: Sources, level: LevelHandle) -> Result<(), Fault> {
    let no_signals = |e: io::Error| format!("cannot listen for signals: {e}");
    // Before anything else: an early SIGHUP would end the process, and process 1
    // of a container would never hear an early SIGTERM.
    let hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
    let mut stop = Signals::new().map_err(no_signals)?;
    let site = Rc::new(Site::default());
    let (_lock, parts) = tokio::select! {
        opened = lock_and_open(&config, &site) => opened?,
        () = stop.wait() => return Ok(()),
    };
    let (handle, inbox) = Engine::<Client>::inbox();

    let (intents, admin) = bind(&config.sockets)?;
    let http = serve_http(&config, &site, parts.clock.clone()).await?;

    site.health.set_listening("intents");
    site.health.set_listening("admin");
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        socket = %config.sockets.intents.display(),
        "listening"
    );
    let own_uid = rustix::process::geteuid().as_raw();
    let intents = spawn_local(intents.serve(Rc::new(Intents {
        engine: handle.clone(),
        site: Rc::clone(&site),
        clock: parts.clock.clone(),
    })));
    let admin = spawn_local(admin.serve(Rc::new(Admin {
        engine: handle.clone(),
        own_uid,
        site: Rc::clone(&site),
    })));
    let (docker, clock) = (Rc::clone(&parts.docker), parts.clock.clone());
    spawn_local(ask_engine(docker, clock, Rc::clone(&site)));
    let (procs, at_once) = (parts.procs.clone(), config.kernel_records);
    spawn_local(remember_processes(procs, at_once, site.clone()));
    if let Some(dir) = config.reports.dir.clone() {
        spawn_local(markers::watch(dir, handle.clone()));
    }
    let reloaded = Reloaded {
        checks: checks(&config, &parts, &handle),
        in_force: watch_containers(config, &parts, &handle),
        level,
        engine: handle,
        notifications: parts.notifications.clone(),
        site: Rc::clone(&site),
    };
    spawn_local(reload_on_hangup(hangup, sources, reloaded));

    let stopping = Rc::clone(&site);
    let stopped = async move {
        stop.wait().await;
        stopping.health.set_stopping();
        // No new connection from here on; the socket files go.
        intents.abort();
        admin.abort();
        spawn_local(insist(stop));
    };
    Engine::new(parts).run(inbox, stopped).await;
    if let Some(http) = http {
        http.abort();
    }
    tracing::info!("stopped");
    Ok(())
}

/// What beats over HTTP have to bring; none where they are off.
pub(crate) fn beat_token(config: &Config) -> Result<Option<Token>, String> {
    let text = match &config.beats {
        None => return Ok(None),
        Some(TokenPlace::File(path)) => std::fs::read_to_string(path)
            .map_err(|e| format!("beats.token_file: {}: {e}", path.display())),
        Some(TokenPlace::Variable(name)) => {
            std::env::var(name).map_err(|e| format!("beats.token_env: {name}: {e}"))
        }
    };
    let token = text.and_then(|text| Token::new(&text).map_err(|why| format!("beats: {why}")));
    token.map(Some)
}

/// What the executor itself checks, begun.
fn checks(config: &Config, parts: &Parts<Client>, engine: &Handle) -> Checks {
    let mut checks = Checks::new(
        Rc::clone(&parts.docker),
        parts.clock.clone(),
        engine.clone(),
        Rc::clone(&parts.site),
        parts.procs.own.clone(),
    );
    checks.configure(config);
    checks
}

/// Begins to; what is sent is in force from then on.
fn watch_containers(
    config: Config,
    parts: &Parts<Client>,
    engine: &Handle,
) -> watch::Sender<Rc<Config>> {
    let (in_force, latest) = watch::channel(Rc::new(config));
    let docker = Rc::clone(&parts.docker);
    let (clock, site) = (parts.clock.clone(), Rc::clone(&parts.site));
    spawn_local(triggers::watch(docker, engine.clone(), clock, site, latest));
    in_force
}

/// None where it is switched off.
async fn serve_http(
    config: &Config,
    site: &Rc<Site>,
    clock: Clock,
) -> Result<Option<JoinHandle<()>>, Fault> {
    site.door.set(beat_token(config).map_err(Fault::Setting)?);
    let Some(address) = config.http_listen else {
        return Ok(None);
    };
    let listener = http::bind(address).await?;
    let served = http::serve(listener, Rc::clone(site), move || clock.now().at);
    Ok(Some(spawn_local(served)))
}

async fn lock_and_open(
    config: &Config,
    site: &Rc<Site>,
) -> Result<(StateLock, Parts<Client>), Fault> {
    let lock = lock(config, Role::Run).await?;
    let parts = open(config, &lock, Rc::clone(site)).await?;
    Ok((lock, parts))
}

/// The intent socket and the admin socket.
fn bind(sockets: &Sockets) -> Result<(Socket, Socket), String> {
    let group = sockets.intents_group.as_deref();
    let gid = group.map(groups::gid).transpose()?;
    let intents = Socket::bind(&sockets.intents, sockets.intents_mode, gid)?;
    let admin = Socket::bind(&sockets.admin, ADMIN_MODE, None)?;
    Ok((intents, admin))
}

/// Restarts one container under the state lock, without a running executor.
///
/// # Errors
/// See [`Fault`].
pub async fn one_shot(config: &Config, request: RestartRequest) -> Result<AdminAnswer, Fault> {
    let work = async {
        let lock = lock(config, Role::OneShot).await?;
        let parts = open(config, &lock, Rc::default()).await?;
        Ok(restart_once(parts, request).await)
    };
    LocalSet::new().run_until(work).await
}

async fn lock(config: &Config, role: Role) -> Result<StateLock, String> {
    let dir = StateDir::open(&config.state_dir).map_err(|e| e.to_string())?;
    let on_wait = |holder: Option<&Holder>| match holder {
        Some(holder) => tracing::info!("waiting for {holder}"),
        None => tracing::info!("waiting for whoever holds the state directory"),
    };
    StateLock::acquire(dir, role, on_wait)
        .await
        .map_err(|e| e.to_string())
}

/// Opens the journal and everything that the engine works with.
async fn open(config: &Config, lock: &StateLock, site: Rc<Site>) -> Result<Parts<Client>, Fault> {
    let fail_closed_ms = config.policy.largest_limit_ms();
    let opened = Journal::open(lock.dir(), fail_closed_ms).map_err(|e| e.to_string())?;
    let Opened {
        journal,
        clock,
        mut records,
        damage,
        not_writable,
    } = opened;
    site.health.set_journal(Ok(()));
    if let Some(damage) = damage {
        site.metrics.journal_error();
        tracing::error!("{damage}");
    }
    let journal_failing = not_writable.is_some();
    if let Some(e) = not_writable {
        site.metrics.journal_error();
        site.health.set_journal(Err(e.to_string()));
        tracing::error!("nothing can be decided until the journal can be written: {e}");
    }
    let reports = reports(config, &site)?;
    let evidence = evidence(config, &clock, &site)?;
    let notifications = notifications(config, &clock, &site)?;
    if records.is_empty()
        && let Some(dir) = &config.reports.dir
    {
        records = import(dir, &journal, clock.now()).await;
    }
    let mut settings = settings(config)?;
    if let Some(dir) = &config.reports.dir {
        settings.policy.stopped = markers::stopped(dir).await;
    }
    Ok(Parts {
        settings,
        docker: Rc::new(Client::new(&config.docker_socket)),
        journal,
        journal_failing,
        records,
        clock,
        procs: Procs::new(&config.procfs),
        site,
        reports,
        evidence,
        notifications,
    })
}

/// Report files follow restarts on a thread of their own; a fault there is
/// told once and counted.
fn reports(config: &Config, site: &Site) -> Result<Reports, String> {
    let errors = site.metrics.report_errors();
    let told = move |problem: report::Problem| {
        errors.inc();
        if problem.is_first {
            tracing::warn!("report files: {}", problem.error);
        }
    };
    Reports::start(config.reports.clone(), told).map_err(|e| e.to_string())
}

/// Evidence follows attempts on a thread of its own; a fault there is told once
/// and counted.
fn evidence(config: &Config, clock: &Clock, site: &Site) -> Result<Evidence, String> {
    let metrics = site.metrics.evidence();
    let counts = metrics.clone();
    let report = move |report: evidence::Report| match report {
        evidence::Report::Ended(written) => counts.ended(written),
        evidence::Report::Problem { error, is_first } if is_first => {
            tracing::warn!("evidence: {error}");
        }
        evidence::Report::Problem { .. } => {}
    };
    let (dir, clock) = (&config.state_dir, clock.clone());
    Evidence::start(&config.evidence, dir, clock, metrics, report).map_err(|e| e.to_string())
}

/// Messages go out from a thread of their own.
fn notifications(config: &Config, clock: &Clock, site: &Site) -> Result<Notifications, String> {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    let (dir, metrics) = (&config.state_dir, site.metrics.notify());
    let (notifiers, off) = (&config.notifiers, &config.notifiers_off);
    Notifications::start(notifiers, off, dir, host, clock.clone(), metrics)
}

fn settings(config: &Config) -> Result<Settings, Fault> {
    let rules =
        rules::RuleBook::load(&config.rules).map_err(|e| Fault::Setting(format!("rules: {e}")))?;
    triggers::check_names(rules.names()).map_err(|e| Fault::Setting(format!("rules: {e}")))?;
    for rule in &config.policy.shadow_rules {
        let is_known = rules.find(rule).is_some() || triggers::is_reserved(rule);
        if !is_known {
            tracing::warn!("policy.shadow_rules names {rule}, which is none of the rules");
        }
    }
    Ok(Settings {
        calendar: Calendar::new(config.maintenance.clone()),
        policy: config.policy.clone(),
        rules,
        stop_timeouts: config.stop_timeouts.clone(),
        shutdown_grace: Duration::from_millis(config.shutdown_grace_ms),
    })
}

/// What the original's files know becomes the new journal's first entries.
async fn import(dir: &Path, journal: &Journal, now: policy::Now) -> Vec<Record> {
    let imported = match report::import(dir, now.wall_ms / 1_000) {
        Ok(imported) => imported,
        Err(e) => {
            tracing::warn!("earlier restarts are not imported: {e}");
            return Vec::new();
        }
    };
    for ignored in &imported.ignored {
        tracing::warn!("not imported: {ignored}");
    }
    let records: Vec<Record> = imported
        .restarts
        .into_iter()
        .map(|(target, epoch_s)| Record {
            at: now.at,
            wall_ms: now.wall_ms,
            entry: Entry::Imported {
                target,
                restarted_at: timestamp_of(now, epoch_s.saturating_mul(1_000)),
            },
        })
        .collect();
    if records.is_empty() {
        return records;
    }
    match journal.append(records.clone(), true).await {
        Ok(()) => tracing::info!(restarts = records.len(), "imported from {}", dir.display()),
        Err(e) => tracing::error!("imported restarts count only until the next start: {e}"),
    }
    records
}

/// SIGTERM and SIGINT; both mean: stop in good order.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = self.interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
    }
}
