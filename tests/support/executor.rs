//! An executor to test senders against: a real Unix socket, a script of how it
//! behaves, and a record of what it got.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use executor_api::{
    Answer, Decision, Intent, LineBuffer, Message, Progress, decode_message, encode,
};

/// What it does with each intent.
#[derive(Clone)]
pub(crate) enum Manner {
    /// Answers at once.
    Answer(Decision),
    /// Answers all that has arrived, newest first.
    AnswerBackwards,
    /// Answers after a while.
    Slow(Duration),
    /// Answers each as this says, or not at all.
    Decide(fn(&Intent) -> Option<Decision>),
    /// Reads and never answers.
    Hang,
    /// Answers so many intents of a connection, then closes it.
    CloseAfter(usize),
    /// Says this instead of an answer.
    Say(Vec<u8>),
}

/// Listens until dropped.
pub(crate) struct Executor {
    path: PathBuf,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    manner: Mutex<Manner>,
    received: Mutex<Vec<Intent>>,
    pings: Mutex<usize>,
    looked_for: Mutex<Vec<String>>,
    progress: Mutex<Vec<Progress>>,
    connections: Mutex<usize>,
    stops: AtomicBool,
}

impl Executor {
    /// Listens at `path`; what is there is replaced.
    pub(crate) fn start(path: &Path, manner: Manner) -> Self {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).expect("the socket can be bound");
        listener.set_nonblocking(true).expect("it can be polled");
        let shared = Arc::new(Shared {
            manner: Mutex::new(manner),
            received: Mutex::new(Vec::new()),
            pings: Mutex::new(0),
            looked_for: Mutex::default(),
            progress: Mutex::default(),
            connections: Mutex::new(0),
            stops: AtomicBool::new(false),
        });
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self {
            path: path.into(),
            shared,
            acceptor: Some(acceptor),
        }
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().expect("not poisoned") = manner;
    }

    /// Intents in the order of their arrival, sent twice where sent twice.
    pub(crate) fn received(&self) -> Vec<Intent> {
        self.shared.received.lock().expect("not poisoned").clone()
    }

    /// The same, and forgets them.
    pub(crate) fn take_received(&self) -> Vec<Intent> {
        std::mem::take(&mut *self.shared.received.lock().expect("not poisoned"))
    }

    /// How often it was asked whether it is there.
    pub(crate) fn pings(&self) -> usize {
        *self.shared.pings.lock().expect("not poisoned")
    }

    /// The progress that the newest ping said is looked for.
    pub(crate) fn looked_for(&self) -> Vec<String> {
        self.shared.looked_for.lock().expect("not poisoned").clone()
    }

    /// Progress in the order of its arrival, and forgets it.
    pub(crate) fn take_progress(&self) -> Vec<Progress> {
        std::mem::take(&mut *self.shared.progress.lock().expect("not poisoned"))
    }

    /// Connections that were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.lock().expect("not poisoned")
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.shared.stops.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().expect("the acceptor did not panic");
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    let mut served = Vec::new();
    while !shared.stops.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                *shared.connections.lock().expect("not poisoned") += 1;
                let shared = Arc::clone(shared);
                served.push(std::thread::spawn(move || serve(stream, &shared)));
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(e) => panic!("accept: {e}"),
        }
    }
    for thread in served {
        thread
            .join()
            .expect("the connection's thread did not panic");
    }
}

/// Ends when the peer does, or on a failed write: the peer may go at any time.
fn serve(mut stream: UnixStream, shared: &Shared) {
    stream.set_nonblocking(false).expect("it can block");
    let timeout = Some(Duration::from_millis(20));
    stream.set_read_timeout(timeout).expect("it can time out");
    let mut lines = LineBuffer::default();
    let mut answered = 0;
    let mut buffer = [0; 16 * 1_024];
    while !shared.stops.load(Ordering::SeqCst) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => lines.push(&buffer[..count]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => return,
        }
        let manner = shared.manner.lock().expect("not poisoned").clone();
        let mut batch = Vec::new();
        while let Some(line) = lines.pop().expect("no line is too long") {
            match decode_message(&line).expect("every message is valid") {
                Message::Intent(intent) => batch.push(intent),
                Message::Ping(ping) => {
                    *shared.pings.lock().expect("not poisoned") += 1;
                    *shared.looked_for.lock().expect("not poisoned") = ping.progress.clone();
                    if greet(&mut stream, &manner, ping.id).is_none() {
                        return;
                    }
                }
                Message::Progress(progress) => {
                    let id = progress.id.clone();
                    let mut all = shared.progress.lock().expect("not poisoned");
                    all.push(progress);
                    drop(all);
                    if greet(&mut stream, &manner, id).is_none() {
                        return;
                    }
                }
                Message::Beat(beat) => panic!("no plugin sends {beat:?}"),
            }
        }
        shared
            .received
            .lock()
            .expect("not poisoned")
            .extend(batch.iter().cloned());
        if respond(&mut stream, &manner, &batch, &mut answered).is_none() {
            return;
        }
    }
}

/// `None`: close the connection.
fn respond(
    stream: &mut UnixStream,
    manner: &Manner,
    batch: &[Intent],
    answered: &mut usize,
) -> Option<()> {
    let backwards: Vec<Intent> = batch.iter().rev().cloned().collect();
    let batch = match manner {
        Manner::AnswerBackwards => &backwards,
        _ => batch,
    };
    for intent in batch {
        let line = match manner {
            Manner::Answer(decision) => answer(intent, *decision),
            Manner::AnswerBackwards => answer(intent, Decision::Pending),
            Manner::Slow(delay) => {
                std::thread::sleep(*delay);
                answer(intent, Decision::Pending)
            }
            Manner::Decide(decide) => match decide(intent) {
                Some(decision) => answer(intent, decision),
                None => continue,
            },
            Manner::Hang => continue,
            Manner::CloseAfter(count) if *answered >= *count => return None,
            Manner::CloseAfter(_) => answer(intent, Decision::Pending),
            Manner::Say(bytes) => bytes.clone(),
        };
        *answered += 1;
        stream.write_all(&line).ok()?;
    }
    Some(())
}

/// Answers a ping. `None`: close the connection.
fn greet(stream: &mut UnixStream, manner: &Manner, id: String) -> Option<()> {
    let line = match manner {
        Manner::Hang => return Some(()),
        Manner::Say(bytes) => bytes.clone(),
        _ => encode(
            None,
            &Answer {
                id,
                decision: Decision::Noted,
                gate: None,
                detail: None,
            },
        ),
    };
    stream.write_all(&line).ok()
}

fn answer(intent: &Intent, decision: Decision) -> Vec<u8> {
    let answer = Answer {
        id: intent.id.clone(),
        decision,
        gate: (decision == Decision::Refused).then(|| "cooldown".into()),
        detail: (decision == Decision::Refused).then(|| "Cooldown active (45s < 300s)".into()),
    };
    encode(None, &answer)
}
