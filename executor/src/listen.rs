//! Line servers on Unix sockets: accept, check the peer, cut lines, hand each
//! to a handler, write the answers.
//!
//! Keeps true:
//! - a connection costs at most one line of memory, [`IN_FLIGHT_MAX`] messages
//!   and one file descriptor; there are at most [`CONNECTIONS_MAX`];
//! - messages of one connection are handled side by side, so a sender may send
//!   many and read the answers by id as they come;
//! - a peer that stops in the middle of a line, or does not read its answers,
//!   is closed after [`STALL_MAX`].
//!
//! Not here: what a line means.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use executor_api::{LINE_BYTES_MAX, LineBuffer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_local;
use tokio::time::timeout;

/// Most connections of one socket; more wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 128;
/// Most messages of one connection that wait for their answers.
pub const IN_FLIGHT_MAX: usize = 256;
/// Longest pause in the middle of a line, and longest wait to write an answer.
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
    read_lines(read, peer, handler, answers).await;
    // Every handler holds a sender; the writer ends after the last answer.
    let _ = writer.await;
}

/// Returns at the end of the stream, or where the peer breaks the rules.
async fn read_lines<H: Handler>(
    mut read: OwnedReadHalf,
    peer: Peer,
    handler: Rc<H>,
    answers: mpsc::Sender<Vec<u8>>,
) {
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let mut lines = LineBuffer::default();
    let mut bytes = vec![0; LINE_BYTES_MAX / 4];
    loop {
        let count = if lines.is_partial() {
            match timeout(STALL_MAX, read.read(&mut bytes)).await {
                Ok(count) => count,
                Err(_) => return,
            }
        } else {
            tokio::select! {
                count = read.read(&mut bytes) => count,
                () = answers.closed() => return,
                () = tokio::time::sleep(IDLE_MAX) => return,
            }
        };
        match count {
            Ok(0) | Err(_) => return,
            Ok(count) => lines.push(&bytes[..count]),
        }
        loop {
            match lines.pop() {
                Ok(None) => break,
                Ok(Some(line)) => {
                    let Ok(slot) = Arc::clone(&in_flight).acquire_owned().await else {
                        return;
                    };
                    let (handler, answers) = (Rc::clone(&handler), answers.clone());
                    spawn_local(async move {
                        let answer = handler.handle(line, peer).await;
                        // The writer is gone only where the peer is: nobody to tell.
                        let _ = answers.send(answer).await;
                        drop(slot);
                    });
                }
                Err(_) => {
                    let _ = answers.send(handler.too_long()).await;
                    return;
                }
            }
        }
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
