//! Hands intents to the executor over its Unix socket and collects the answers.
//!
//! Kept true:
//! - one deadline bounds a whole exchange: connecting, sending, all answers. A
//!   plain connect to a full backlog, or a send to a reader that hangs, would
//!   block for ever; the socket's time-outs are set to what is left of the
//!   deadline before each call, and a call is given no more than the kernel
//!   handles in one piece, as it waits that long for each piece;
//! - intents are pipelined, in windows small enough that neither side's socket
//!   buffer can fill up while the other is waiting: no deadlock;
//! - no SIGPIPE: each send says so itself, as an object loaded into another
//!   program cannot rely on that program's settings;
//! - after a failure the executor counts as away for [`AWAY_MS`]: every
//!   exchange fails at once, without a system call;
//! - parallel flushes use a connection each; no lock is held while waiting.
//!
//! Not here: what a missing answer means for the chunk (`held`).

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use executor_api::{Answer, Decision, Intent, LineBuffer, Ping, Progress, decode_answer, encode};
use socket2::{Domain, SockAddr, Socket, Type};

/// How long a failure is remembered, ms.
pub const AWAY_MS: u64 = 1_000;
/// A ping's id: no intent has it, as theirs are hashes.
const PING_ID: &str = "ping";
/// Most intents under way on one connection.
const WINDOW_INTENTS_MAX: usize = 64;
/// A window is closed when it holds this many bytes or more, so it holds less
/// than this and one line: half a Unix socket's usual buffer.
const WINDOW_BYTES: usize = 64 * 1024;
/// Most bytes given to one call of send.
const PIECE_BYTES_MAX: usize = 16 * 1024;
/// Most connections kept open between flushes.
const IDLE_MAX: usize = 4;
/// Most lines of one exchange that answer nothing that was asked.
const STRAY_LINES_MAX: usize = 64;

/// Why an exchange did not bring every answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A failure less than [`AWAY_MS`] ago; nothing was tried.
    Away,
    /// Something failed: which step, and how.
    Failed(String),
}

/// The answers, in the order of the intents.
#[derive(Debug)]
pub struct Exchange {
    /// One per intent.
    pub answers: Vec<Option<Answer>>,
    /// Set where an answer is missing.
    pub fault: Option<Fault>,
}

/// One instance's connections.
#[derive(Debug)]
pub struct Sender {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// 0: not away.
    away_until_ms: AtomicU64,
    /// What is looked for, as pings say.
    progress: Vec<String>,
}

/// What is asked on a connection.
#[derive(Debug, Clone, Copy)]
enum Question<'a> {
    Intent(&'a Intent),
    Ping(&'a Ping),
    Progress(&'a Progress),
}

impl<'a> Question<'a> {
    /// The answer's id.
    fn id(self) -> &'a str {
        match self {
            Self::Intent(intent) => &intent.id,
            Self::Ping(ping) => &ping.id,
            Self::Progress(progress) => &progress.id,
        }
    }

    fn line(self) -> Vec<u8> {
        match self {
            Self::Intent(intent) => encode(Some("intent"), intent),
            Self::Ping(ping) => encode(Some("ping"), ping),
            Self::Progress(progress) => encode(Some("progress"), progress),
        }
    }
}

#[derive(Debug)]
struct Connection {
    socket: Socket,
    /// Most bytes that one call may send.
    piece: usize,
    lines: LineBuffer,
}

/// A failed step; `is_stale` when the peer was gone before anything came back.
struct Break {
    why: String,
    is_stale: bool,
}

impl Sender {
    /// Connects to nothing yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            idle: Mutex::new(Vec::new()),
            away_until_ms: AtomicU64::new(0),
            progress: Vec::new(),
        }
    }

    /// Says in each ping that this progress is looked for.
    pub fn looking_for(mut self, progress: Vec<String>) -> Self {
        self.progress = progress;
        self
    }

    /// The socket's path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a recent failure makes every exchange fail at once.
    pub fn is_away(&self, now_ms: u64) -> bool {
        now_ms < self.away_until_ms.load(Ordering::Relaxed)
    }

    /// Asks the executor whether it is there, and waits for its answer,
    /// whatever it says. Asks also where a recent failure says that it is not.
    pub fn probe(&self, now_ms: u64, deadline: Instant) -> Result<(), Fault> {
        let ping = Ping {
            id: PING_ID.to_owned(),
            progress: self.progress.clone(),
        };
        self.ask(now_ms, &[Question::Ping(&ping)], &mut [None], deadline)
    }

    /// Tells of progress, after a ping where that is due. What the answers say
    /// changes nothing.
    pub fn tell(
        &self,
        now_ms: u64,
        deadline: Instant,
        with_ping: bool,
        messages: &[Progress],
    ) -> Result<(), Fault> {
        let ping = with_ping.then(|| Ping {
            id: PING_ID.to_owned(),
            progress: self.progress.clone(),
        });
        let ping = ping.iter().map(Question::Ping);
        let questions: Vec<Question<'_>> = ping
            .chain(messages.iter().map(Question::Progress))
            .collect();
        let mut answers = vec![None; questions.len()];
        self.ask(now_ms, &questions, &mut answers, deadline)
    }

    /// Sends `intents` in their order and waits for their answers, until
    /// `deadline` at most.
    pub fn exchange(&self, now_ms: u64, deadline: Instant, intents: &[&Intent]) -> Exchange {
        let mut answers = vec![None; intents.len()];
        let fault = if self.is_away(now_ms) {
            Some(Fault::Away)
        } else {
            let questions: Vec<Question<'_>> =
                intents.iter().copied().map(Question::Intent).collect();
            self.ask(now_ms, &questions, &mut answers, deadline).err()
        };
        Exchange { answers, fault }
    }

    /// Makes the next exchange try, whatever is remembered.
    pub fn forget_failures(&self) {
        self.away_until_ms.store(0, Ordering::Relaxed);
    }

    /// Remembers how it went.
    fn ask(
        &self,
        now_ms: u64,
        questions: &[Question<'_>],
        answers: &mut [Option<Answer>],
        deadline: Instant,
    ) -> Result<(), Fault> {
        let begun = Instant::now();
        match self.attempt(questions, answers, deadline) {
            Ok(()) => {
                self.away_until_ms.store(0, Ordering::Relaxed);
                Ok(())
            }
            Err(why) => {
                self.remember(now_ms, begun);
                Err(Fault::Failed(why))
            }
        }
    }

    /// From the failure on, not from the start of the wait that it ended.
    fn remember(&self, now_ms: u64, begun: Instant) {
        let waited_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let until_ms = now_ms.saturating_add(waited_ms).saturating_add(AWAY_MS);
        self.away_until_ms.store(until_ms, Ordering::Relaxed);
        self.lock_idle().clear();
    }

    /// A connection kept from an earlier flush may have been closed since, by
    /// an executor that was started anew. That is no sign of its being away, so
    /// it is tried once more on a fresh one.
    fn attempt(
        &self,
        questions: &[Question<'_>],
        answers: &mut [Option<Answer>],
        deadline: Instant,
    ) -> Result<(), String> {
        if let Some(mut connection) = self.take_idle() {
            match connection.exchange(questions, answers, deadline) {
                Ok(()) => {
                    self.put_back(connection);
                    return Ok(());
                }
                Err(broken) if broken.is_stale => {}
                Err(broken) => return Err(broken.why),
            }
        }
        let mut connection = self.connect(deadline)?;
        connection
            .exchange(questions, answers, deadline)
            .map_err(|broken| broken.why)?;
        self.put_back(connection);
        Ok(())
    }

    fn connect(&self, deadline: Instant) -> Result<Connection, String> {
        let fail = |e: io::Error| format!("connect: {}", describe(&e));
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(fail)?;
        // On Linux the send time-out bounds a Unix socket's connect as well.
        socket
            .set_write_timeout(Some(left(deadline).map_err(fail)?))
            .map_err(fail)?;
        let address = SockAddr::unix(&self.path).map_err(fail)?;
        socket.connect(&address).map_err(fail)?;
        Connection::new(socket).map_err(fail)
    }

    fn take_idle(&self) -> Option<Connection> {
        loop {
            let connection = self.lock_idle().pop()?;
            if connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    fn put_back(&self, connection: Connection) {
        let mut idle = self.lock_idle();
        if idle.len() < IDLE_MAX && !connection.lines.is_partial() {
            idle.push(connection);
        }
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A panic under this lock leaves a shorter list at worst.
        self.idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Connection {
    fn new(socket: Socket) -> io::Result<Self> {
        // Linux cuts what a Unix socket sends at half the buffer less 64 bytes,
        // and at some 32 KiB.
        let half = socket.send_buffer_size()? / 2;
        Ok(Self {
            socket,
            piece: half.saturating_sub(64).clamp(1, PIECE_BYTES_MAX),
            lines: LineBuffer::default(),
        })
    }

    /// Open, and nothing unasked-for has arrived.
    fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        matches!(
            self.socket.recv_with_flags(&mut byte, flags),
            Err(e) if e.kind() == ErrorKind::WouldBlock
        )
    }

    fn exchange(
        &mut self,
        questions: &[Question<'_>],
        answers: &mut [Option<Answer>],
        deadline: Instant,
    ) -> Result<(), Break> {
        let mut heard = false;
        let mut strays = 0;
        let mut next = 0;
        while next < questions.len() {
            let first = next;
            let mut window = Vec::new();
            let mut asked: BTreeSet<&str> = BTreeSet::new();
            while next < questions.len()
                && asked.len() < WINDOW_INTENTS_MAX
                && window.len() < WINDOW_BYTES
            {
                // One that stands there twice is asked about once.
                if asked.insert(questions[next].id()) {
                    window.extend(questions[next].line());
                }
                next += 1;
            }
            let sent = self.send(&window, deadline);
            sent.map_err(|e| Break {
                why: format!("send: {}", describe(&e)),
                is_stale: !heard && is_gone(&e),
            })?;
            while !asked.is_empty() {
                let answer = self.answer(deadline).map_err(|(why, is_gone)| Break {
                    why,
                    is_stale: !heard && is_gone,
                })?;
                heard = true;
                if !asked.remove(answer.id.as_str()) {
                    note_stray(&answer, &mut strays).map_err(|why| Break {
                        why,
                        is_stale: false,
                    })?;
                    continue;
                }
                let window = questions[first..next].iter();
                for (question, slot) in window.zip(&mut answers[first..next]) {
                    if question.id() == answer.id {
                        *slot = Some(answer.clone());
                    }
                }
            }
        }
        Ok(())
    }

    fn send(&self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            self.socket.set_write_timeout(Some(left(deadline)?))?;
            let piece = &bytes[..bytes.len().min(self.piece)];
            match self.socket.send_with_flags(piece, libc::MSG_NOSIGNAL) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// The next answer; else what went wrong, and whether the peer is gone.
    fn answer(&mut self, deadline: Instant) -> Result<Answer, (String, bool)> {
        loop {
            match self.lines.pop() {
                Ok(Some(line)) => {
                    return decode_answer(&line)
                        .map_err(|e| (format!("an answer that is none: {}", e.why), false));
                }
                Ok(None) => {}
                Err(_) => return Err(("an answer longer than a line may be".into(), false)),
            }
            self.receive(deadline)
                .map_err(|e| (format!("receive: {}", describe(&e)), is_gone(&e)))?;
        }
    }

    fn receive(&mut self, deadline: Instant) -> io::Result<()> {
        let mut buffer = [0; 1024];
        loop {
            self.socket.set_read_timeout(Some(left(deadline)?))?;
            match (&self.socket).read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.lines.push(&buffer[..count]);
                    return Ok(());
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// An answer to nothing that is under way: late ones are let pass, within
/// bounds; one without an id says that a line of ours could not be read.
fn note_stray(answer: &Answer, strays: &mut usize) -> Result<(), String> {
    *strays += 1;
    if answer.id.is_empty() && answer.decision == Decision::Error {
        let detail = answer.detail.as_deref().unwrap_or("no reason given");
        return Err(format!("the executor could not read a message: {detail}"));
    }
    if *strays > STRAY_LINES_MAX {
        return Err("too many answers to what was not asked".into());
    }
    Ok(())
}

/// Time until the deadline, at least a millisecond: zero would mean for ever.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    Ok(left.max(Duration::from_millis(1)))
}

fn is_gone(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof
    )
}

/// The system's words, with those for a time-out made plain.
fn describe(e: &io::Error) -> String {
    match e.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "no answer within Ack_Timeout".into(),
        ErrorKind::UnexpectedEof => "the executor closed the connection".into(),
        _ => e.to_string(),
    }
}

#[cfg(test)]
mod tests;
