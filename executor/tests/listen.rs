//! The line server, over real Unix sockets.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use executor_api::LINE_BYTES_MAX;
use healer::listen::{Handler, Peer, STALL_MAX, Socket};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;

/// Answers each line with itself in capitals; `wait` waits for `go`.
#[derive(Default)]
struct Echo {
    refuse: bool,
    gate: Notify,
    peers: RefCell<Vec<Peer>>,
}

impl Handler for Echo {
    fn admit(&self, peer: Peer) -> Result<(), String> {
        self.peers.borrow_mut().push(peer);
        if self.refuse {
            Err("not you".into())
        } else {
            Ok(())
        }
    }

    async fn handle(self: Rc<Self>, line: Vec<u8>, _peer: Peer) -> Vec<u8> {
        match line.as_slice() {
            b"wait" => self.gate.notified().await,
            b"go" => self.gate.notify_one(),
            _ => {}
        }
        [line.to_ascii_uppercase(), b"\n".to_vec()].concat()
    }

    fn too_long(&self) -> Vec<u8> {
        b"TOO LONG\n".to_vec()
    }
}

/// Serves while `client` runs in a thread of its own; gives what that returns.
fn with_server<T: Send + 'static>(
    echo: Echo,
    client: impl FnOnce(&Path) -> T + Send + 'static,
) -> (T, Vec<Peer>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/test.sock");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let echo = Rc::new(echo);
    let served = Rc::clone(&echo);
    let result = tokio::task::LocalSet::new().block_on(&runtime, async move {
        let socket = Socket::bind(&path, 0o660, None).unwrap();
        let server = tokio::task::spawn_local(socket.serve(served));
        let (path, client): (PathBuf, _) = (path.clone(), client);
        let (sender, receiver) = tokio::sync::oneshot::channel();
        thread::spawn(move || {
            let _ = sender.send(client(&path));
        });
        let result = tokio::time::timeout(Duration::from_secs(20), receiver)
            .await
            .unwrap()
            .unwrap();
        server.abort();
        result
    });
    let peers = echo.peers.borrow().clone();
    (result, peers)
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

fn read_exactly(stream: &mut UnixStream, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    stream.read_exact(&mut buffer).unwrap();
    String::from_utf8(buffer).unwrap()
}

#[test]
fn answers_lines_and_knows_the_peer() {
    let (answer, peers) = with_server(Echo::default(), |path| {
        let mut stream = connect(path);
        stream.write_all(b"on").unwrap();
        stream.write_all(b"e\ntwo\n").unwrap();
        read_exactly(&mut stream, 8)
    });
    assert_eq!(answer, "ONE\nTWO\n");
    assert_eq!(peers.len(), 1);
    assert_eq!(peers[0].pid, Some(std::process::id() as i32));
}

#[test]
fn a_slow_message_does_not_hold_up_the_next_on_the_same_connection() {
    let (answer, _) = with_server(Echo::default(), |path| {
        let mut stream = connect(path);
        stream.write_all(b"wait\nquick\n").unwrap();
        let first = read_exactly(&mut stream, 6);
        stream.write_all(b"go\n").unwrap();
        let rest = read_exactly(&mut stream, 8);
        (first, rest)
    });
    assert_eq!(answer.0, "QUICK\n");
    assert!(answer.1.contains("WAIT\n") && answer.1.contains("GO\n"));
}

#[test]
fn an_over_long_line_is_answered_and_closes() {
    let (answer, _) = with_server(Echo::default(), |path| {
        let mut stream = connect(path);
        let mut fits = vec![b'x'; LINE_BYTES_MAX - 1];
        fits.push(b'\n');
        stream.write_all(&fits).unwrap();
        let echoed = read_exactly(&mut stream, LINE_BYTES_MAX);
        // The server may close before it has read all of it.
        let _ = stream.write_all(&vec![b'x'; LINE_BYTES_MAX + 1]);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        (echoed.len(), String::from_utf8(rest).unwrap())
    });
    assert_eq!(answer, (LINE_BYTES_MAX, "TOO LONG\n".into()));
}

#[test]
fn a_last_line_without_its_newline_is_answered() {
    let (answer, _) = with_server(Echo::default(), |path| {
        let mut stream = connect(path);
        stream.write_all(b"one\ntwo").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    assert_eq!(answer, "ONE\nTWO\n");
}

#[test]
fn a_line_that_trickles_in_is_closed_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.sock");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let echo = Rc::new(Echo::default());
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let socket = Socket::bind(&path, 0o660, None).unwrap();
        let server = tokio::task::spawn_local(socket.serve(echo));
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let start = tokio::time::Instant::now();
        let mut written = 0;
        // Within every limit on a pause, and on a line's length.
        while stream.write_all(b"x").await.is_ok() {
            written += 1;
            assert!(written < 100, "never closed");
            tokio::time::sleep(STALL_MAX / 10).await;
        }
        assert!(start.elapsed() >= STALL_MAX, "{written} bytes");
        server.abort();
    });
}

#[test]
fn a_peer_that_is_not_admitted_is_closed_unheard() {
    let (answer, peers) = with_server(
        Echo {
            refuse: true,
            ..Echo::default()
        },
        |path| {
            let mut stream = connect(path);
            let _ = stream.write_all(b"one\n");
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            rest
        },
    );
    assert!(answer.is_empty());
    assert_eq!(peers.len(), 1);
}

#[test]
fn a_client_that_leaves_at_once_harms_nobody() {
    let (answer, _) = with_server(Echo::default(), |path| {
        for _ in 0..300 {
            let mut stream = connect(path);
            let _ = stream.write_all(b"quick\nhalf a li");
        }
        let mut stream = connect(path);
        stream.write_all(b"still here\n").unwrap();
        read_exactly(&mut stream, 11)
    });
    assert_eq!(answer, "STILL HERE\n");
}

#[test]
fn binding_sets_the_mode_replaces_a_left_over_socket_and_nothing_else() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _guard = runtime.enter();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.sock");

    let left_over = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(left_over);
    let socket = Socket::bind(&path, 0o660, None).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
    drop(socket);
    assert!(!path.exists(), "the file goes with the socket");

    std::fs::write(&path, "precious").unwrap();
    let error = Socket::bind(&path, 0o660, None).unwrap_err();
    assert!(
        error.contains("is no socket") && error.contains("test.sock"),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}
