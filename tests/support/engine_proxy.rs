//! Stands between the executor and a real engine, and holds, delays or cuts a
//! chosen request at a chosen moment: so that a crash "between the charge and
//! the call" happens exactly there.
//!
//! The executor opens one connection for each request and sends no bodies;
//! the proxy leans on that.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::engine::{Engine, PATIENCE};

/// Where in a request's life it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The engine has not seen it.
    Before,
    /// The engine has it and works on it.
    During,
    /// The engine has answered, the executor has not heard.
    After,
}

/// What becomes of a held request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Coming,
    Held,
    LetGo,
    Cut,
}

#[derive(Debug)]
struct Trap {
    /// Part of `METHOD /path`.
    matches: String,
    /// So many that match pass first.
    skip: u32,
    moment: Moment,
    hold: Arc<Hold>,
}

#[derive(Debug)]
struct Hold {
    fate: Mutex<Fate>,
    changed: Condvar,
}

type Delay = Box<dyn Fn(&str) -> Duration + Send + Sync>;

struct Shared {
    engine: PathBuf,
    traps: Mutex<Vec<Trap>>,
    requests: Mutex<Vec<String>>,
    delay: Option<Delay>,
    ended: AtomicBool,
}

/// A running proxy; ends when dropped.
pub(crate) struct EngineProxy {
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
}

impl EngineProxy {
    /// In front of this engine; passes everything on.
    pub(crate) fn before(engine: &Engine) -> Self {
        Self::new(engine, None)
    }

    /// Waits before each request as long as `delay` says of its `METHOD /path`,
    /// and drops it where the executor has gone meanwhile.
    pub(crate) fn delaying(
        engine: &Engine,
        delay: impl Fn(&str) -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self::new(engine, Some(Box::new(delay)))
    }

    fn new(engine: &Engine, delay: Option<Delay>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("docker.sock")).expect("a socket");
        let shared = Arc::new(Shared {
            engine: engine.socket().to_owned(),
            traps: Mutex::default(),
            requests: Mutex::default(),
            delay,
            ended: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &for_thread));
        Self { dir, shared }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// Holds the next request whose `METHOD /path` contains this.
    pub(crate) fn hold(&self, matches: &str, moment: Moment) -> Held {
        self.hold_after(0, matches, moment)
    }

    /// The same after so many that match have passed.
    pub(crate) fn hold_after(&self, skip: u32, matches: &str, moment: Moment) -> Held {
        let hold = Arc::new(Hold {
            fate: Mutex::new(Fate::Coming),
            changed: Condvar::new(),
        });
        let trap = Trap {
            matches: matches.to_owned(),
            skip,
            moment,
            hold: Arc::clone(&hold),
        };
        lock(&self.shared.traps).push(trap);
        Held {
            what: matches.to_owned(),
            hold,
        }
    }

    /// `METHOD /path` of all requests so far that contain this, in order.
    pub(crate) fn requests(&self, matches: &str) -> Vec<String> {
        let requests = lock(&self.shared.requests);
        requests
            .iter()
            .filter(|line| line.contains(matches))
            .cloned()
            .collect()
    }
}

impl Drop for EngineProxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        for trap in lock(&self.shared.traps).drain(..) {
            trap.hold.set(Fate::Cut);
        }
        // Wakes the accept loop so that it sees the end.
        let _already_gone = UnixStream::connect(self.socket());
    }
}

/// A request that is, or will be, held. Cut when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    what: String,
    hold: Arc<Hold>,
}

impl Held {
    /// Waits until the request is there.
    pub(crate) fn reached(&self) {
        let fate = lock(&self.hold.fate);
        let coming = |fate: &mut Fate| *fate == Fate::Coming;
        let (fate, _) = self
            .hold
            .changed
            .wait_timeout_while(fate, PATIENCE, coming)
            .unwrap_or_else(PoisonError::into_inner);
        assert_ne!(
            *fate,
            Fate::Coming,
            "waited in vain for a request {:?}",
            self.what
        );
    }

    /// It goes on its way.
    pub(crate) fn let_go(self) {
        self.hold.set(Fate::LetGo);
    }

    /// Both connections end.
    pub(crate) fn cut(self) {
        self.hold.set(Fate::Cut);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut fate = lock(&self.hold.fate);
        if matches!(*fate, Fate::Coming | Fate::Held) {
            *fate = Fate::Cut;
        }
        self.hold.changed.notify_all();
    }
}

impl Hold {
    fn set(&self, fate: Fate) {
        *lock(&self.fate) = fate;
        self.changed.notify_all();
    }

    /// Where this is the moment: waits for the fate. True = go on.
    fn pass(&self) -> bool {
        let mut fate = lock(&self.fate);
        if *fate == Fate::Coming {
            *fate = Fate::Held;
        }
        self.changed.notify_all();
        let start = Instant::now();
        while *fate == Fate::Held && start.elapsed() < 4 * PATIENCE {
            let waited = self.changed.wait_timeout(fate, Duration::from_secs(1));
            fate = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *fate == Fate::LetGo
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // An end in the middle, of either side, is what this is for.
            let _either_side_went = serve(client, &shared);
        });
    }
}

fn serve(mut client: UnixStream, shared: &Shared) -> io::Result<()> {
    let (head, line) = read_head(&mut client)?;
    lock(&shared.requests).push(line.clone());
    let trap = take_trap(shared, &line);
    let pass = |moment| {
        trap.as_ref()
            .is_none_or(|(at, hold)| *at != moment || hold.pass())
    };

    if !pass(Moment::Before) {
        return Ok(());
    }
    if let Some(delay) = &shared.delay {
        std::thread::sleep(delay(&line));
        if has_gone(&client) {
            return Ok(());
        }
    }
    let mut engine = UnixStream::connect(&shared.engine)?;
    engine.write_all(&head)?;
    if !pass(Moment::During) {
        client.shutdown(Shutdown::Both)?;
        // An engine may give up what nobody waits for; the cut is between us
        // and the executor only.
        io::copy(&mut engine, &mut io::sink())?;
        return Ok(());
    }
    if trap.as_ref().is_some_and(|(at, _)| *at == Moment::After) {
        let mut reply = Vec::new();
        engine.read_to_end(&mut reply)?;
        return match pass(Moment::After) {
            true => client.write_all(&reply),
            false => client.shutdown(Shutdown::Both),
        };
    }
    io::copy(&mut engine, &mut client)?;
    Ok(())
}

/// The request's head as it came, and its `METHOD /path`.
fn read_head(client: &mut UnixStream) -> io::Result<(Vec<u8>, String)> {
    let mut head = Vec::new();
    let mut bytes = [0; 4096];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match client.read(&mut bytes)? {
            count @ 1.. if head.len() < 64 << 10 => head.extend_from_slice(&bytes[..count]),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    let text = String::from_utf8_lossy(&head);
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_suffix(" HTTP/1.1").unwrap_or(line).to_owned();
    Ok((head, line))
}

/// What the executor asks of all containers, at times of its own: held, or answered with a
/// fault, only by name.
pub(super) fn is_watch(line: &str) -> bool {
    line.contains("containers/json") || line.contains("/events")
}

fn take_trap(shared: &Shared, line: &str) -> Option<(Moment, Arc<Hold>)> {
    let mut traps = lock(&shared.traps);
    let at = traps.iter_mut().position(|trap| {
        let is_meant = !is_watch(line) || is_watch(&trap.matches);
        let fits = is_meant && line.contains(&trap.matches);
        let passes = fits && trap.skip > 0;
        if passes {
            trap.skip -= 1;
        }
        fits && !passes
    })?;
    let trap = traps.remove(at);
    Some((trap.moment, trap.hold))
}

/// Whether the other side has closed; it has nothing more to send.
fn has_gone(client: &UnixStream) -> bool {
    let mut byte = [0];
    client.set_nonblocking(true).is_ok() && {
        let read = (&*client).read(&mut byte);
        let _stays_as_it_was = client.set_nonblocking(false);
        matches!(read, Ok(0))
    }
}
