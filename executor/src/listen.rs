//! Line servers on Unix sockets: accept, check the peer, cut lines, hand each
//! to a handler, write the answers.
//!
//! Keeps true:
//! - a connection costs at most one line of memory, [`IN_FLIGHT_MAX`] messages
//!   and one file descriptor; there are at most [`CONNECTIONS_MAX`];
//! - messages of one connection are handled side by side, so a sender may send
//!   many and read the answers by id as they come;
//! - a peer that takes longer than [`STALL_MAX`] for a line, or to read an
//!   answer, is closed;
//! - a last line without its newline is answered like any other.
//!
//! Not here: what a line means.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use executor_api::{LINE_BYTES_MAX, LineBuffer, LineError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until, timeout};

/// Most connections of one socket; more wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 128;
/// Most messages of one connection that wait for their answers.
pub const IN_FLIGHT_MAX: usize = 256;
/// Longest time from the first byte of a line to its last, and longest wait to
/// write an answer.
pub const STALL_MAX: Duration = Duration::from_secs(30);

/// Longest silence between messages; a sender connects again when it has one.
pub const IDLE_MAX: Duration = Duration::from_secs(300);

/// Who is at the other end, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Effective user id when it connected.
    pub uid: u32,
    /// Process id; 0 or none across PID namespaces.
    pub pid: Option<i32>,
}

/// What a socket does with a line.
pub trait Handler: 'static {
    /// Whether this peer may speak at all; the reason where not.
    fn admit(&self, peer: Peer) -> Result<(), String>;
    /// One line without its newline; the answer with its newline.
    fn handle(self: Rc<Self>, line: Vec<u8>, peer: Peer) -> impl Future<Output = Vec<u8>>;
    /// The answer to an over-long line, before the connection is closed.
    fn too_long(&self) -> Vec<u8>;
}

/// A bound socket whose file goes when it is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds `path` with `mode`, replacing a socket left over there. The caller
    /// holds the state directory's lock, so a left-over socket has no owner.
    ///
    /// # Errors
    /// Says which step failed on which path, and what to do.
    pub fn bind(path: &Path, mode: u32, gid: Option<u32>) -> Result<Self, String> {
        let fail = |step: &str, e: io::Error| format!("{step} {}: {e}", path.display());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| fail("cannot create the directory of", e))?;
        }
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.file_type().is_socket() => {
                fs::remove_file(path).map_err(|e| fail("cannot replace the old socket", e))?;
            }
            Ok(_) => {
                return Err(format!(
                    "{} is in the way and is no socket: move it",
                    path.display()
                ));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(fail("cannot look at", e)),
        }
        // Closed to all until its group and mode are set: a peer must not slip in between.
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
        let bound = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = bound.map_err(|e| fail("cannot listen on", e))?;
        if let Some(gid) = gid {
            std::os::unix::fs::chown(path, None, Some(gid))
                .map_err(|e| fail("cannot give to its group", e))?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|e| fail("cannot set the mode of", e))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    /// Serves until dropped.
    pub async fn serve<H: Handler>(self, handler: Rc<H>) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let handler = Rc::clone(&handler);
                    spawn_local(async move {
                        serve_connection(stream, handler).await;
                        drop(slot);
                    });
                }
                Err(e) => {
                    // Out of descriptors or memory: others may free some.
                    tracing::error!(socket = %self.path.display(), "cannot accept a connection: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Best effort: a file left over is replaced at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

async fn serve_connection<H: Handler>(stream: UnixStream, handler: Rc<H>) {
    let peer = match stream.peer_cred() {
        Ok(cred) => Peer {
            uid: cred.uid(),
            pid: cred.pid().filter(|&pid| pid > 0),
        },
        Err(e) => {
            tracing::warn!("cannot tell who connected, closing: {e}");
            return;
        }
    };
    if let Err(why) = handler.admit(peer) {
        tracing::warn!(uid = peer.uid, "connection refused: {why}");
        return;
    }
    let (read, write) = stream.into_split();
    let (answers, outbox) = mpsc::channel(IN_FLIGHT_MAX);
    let writer = spawn_local(write_answers(write, outbox));
    let lines = Lines {
        peer,
        handler,
        answers,
        in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
        buffer: LineBuffer::default(),
    };
    lines.read(read).await;
    // Every handler holds a sender; the writer ends after the last answer.
    let _ = writer.await;
}

/// The reading half of a connection.
struct Lines<H> {
    peer: Peer,
    handler: Rc<H>,
    answers: mpsc::Sender<Vec<u8>>,
    in_flight: Arc<Semaphore>,
    buffer: LineBuffer,
}

impl<H: Handler> Lines<H> {
    /// Returns at the end of the stream, or where the peer breaks the rules.
    async fn read(mut self, mut read: OwnedReadHalf) {
        let mut bytes = vec![0; LINE_BYTES_MAX / 4];
        let mut until = Instant::now() + IDLE_MAX;
        loop {
            let count = tokio::select! {
                count = read.read(&mut bytes) => count,
                () = self.answers.closed() => return,
                () = sleep_until(until) => return,
            };
            let Ok(count @ 1..) = count else {
                return self.end().await;
            };
            let was_partial = self.buffer.is_partial();
            self.buffer.push(&bytes[..count]);
            let Some(handed_over) = self.hand_over().await else {
                return;
            };
            until = match (self.buffer.is_partial(), was_partial && !handed_over) {
                // Still the same line: bytes that trickle in give it no more time.
                (true, true) => until,
                (true, false) => Instant::now() + STALL_MAX,
                (false, _) => Instant::now() + IDLE_MAX,
            };
        }
    }

    /// Hands over what is whole, and says whether anything was; none where
    /// nothing more may be read.
    async fn hand_over(&mut self) -> Option<bool> {
        let mut any = false;
        loop {
            match self.buffer.pop() {
                Ok(None) => return Some(any),
                Ok(Some(line)) => self.handle(line).await,
                Err(LineError::TooLong) => {
                    let _ = self.answers.send(self.handler.too_long()).await;
                    return None;
                }
            }
            any = true;
        }
    }

    /// A last line without its newline is a line: half a message is no JSON
    /// object, so none can be mistaken for a whole one.
    async fn end(mut self) {
        if let Some(line) = self.buffer.take_rest() {
            self.handle(line).await;
        }
    }

    async fn handle(&self, line: Vec<u8>) {
        // Never closed.
        let Ok(slot) = Arc::clone(&self.in_flight).acquire_owned().await else {
            return;
        };
        let (handler, answers, peer) = (Rc::clone(&self.handler), self.answers.clone(), self.peer);
        spawn_local(async move {
            let answer = handler.handle(line, peer).await;
            // The writer is gone only where the peer is: nobody to tell.
            let _ = answers.send(answer).await;
            drop(slot);
        });
    }
}

async fn write_answers(mut write: OwnedWriteHalf, mut outbox: mpsc::Receiver<Vec<u8>>) {
    while let Some(answer) = outbox.recv().await {
        match timeout(STALL_MAX, write.write_all(&answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
