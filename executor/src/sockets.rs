//! The two sockets: `intents.sock` for whom its file mode lets in,
//! `admin.sock` for root and the executor's own user.

use std::rc::Rc;

use executor_api::{
    AdminAnswer, Answer, Beat, Decision, ExitCode, LINE_BYTES_MAX, Message, Progress, Reject,
    decode_admin, decode_message, encode,
};
use policy::WallTime;

use crate::clock::Clock;
use crate::engine::Handle;
use crate::http::Site;
use crate::listen::{Handler, Peer};
use crate::metrics::SocketName;

/// `intents.sock`.
#[derive(Debug)]
pub struct Intents {
    /// The engine.
    pub engine: Handle,
    /// Counts what is wrong; keeps what is told of targets.
    pub site: Rc<Site>,
    /// When that came.
    pub clock: Clock,
}

/// `admin.sock`.
#[derive(Debug)]
pub struct Admin {
    /// The engine.
    pub engine: Handle,
    /// The executor's own user.
    pub own_uid: u32,
    /// Counts what is wrong.
    pub site: Rc<Site>,
}

impl Handler for Intents {
    fn admit(&self, _peer: Peer) -> Result<(), String> {
        Ok(())
    }

    async fn handle(self: Rc<Self>, line: Vec<u8>, peer: Peer) -> Vec<u8> {
        let answer = match decode_message(&line) {
            Ok(Message::Ping(ping)) => {
                let patterns = ping.progress.iter().map(String::as_str);
                self.site.board.contact(patterns, self.clock.now().at);
                self.engine.ping(ping).await
            }
            Ok(Message::Progress(progress)) => self.progress(progress),
            Ok(Message::Beat(beat)) => self.beat(beat),
            Ok(Message::Intent(intent)) => self.engine.intent(intent, peer).await,
            Err(reject) => {
                self.site.metrics.socket_error(SocketName::Intents);
                wrong(reject)
            }
        };
        encode(None, &answer)
    }

    fn too_long(&self) -> Vec<u8> {
        self.site.metrics.socket_error(SocketName::Intents);
        encode(None, &wrong(over_long()))
    }
}

impl Intents {
    /// What nobody waits for is no mistake of the sender's: the configuration may change.
    fn progress(&self, progress: Progress) -> Answer {
        let line = WallTime {
            secs: progress.last.0,
            nanos: progress.last.1,
        };
        let (target, pattern) = (&progress.target, &progress.pattern);
        let now = self.clock.now().at;
        let is_awaited = self.site.board.progress(target, pattern, line, now);
        let why = (!is_awaited).then(|| format!("nobody waits for progress {pattern:?}"));
        noted(progress.id, why)
    }

    fn beat(&self, beat: Beat) -> Answer {
        if self.site.board.beat(&beat.target, self.clock.now().at) {
            self.site.metrics.checks().beat();
            return noted(beat.id, None);
        }
        self.site.metrics.socket_error(SocketName::Intents);
        wrong(Reject {
            why: nobody_waits(&beat.target),
            id: beat.id,
        })
    }
}

/// For a beat that is lost.
pub(crate) fn nobody_waits(target: &str) -> String {
    format!("no beats of '{target}' are waited for: it has no [targets.\"{target}\".activity]")
}

fn noted(id: String, detail: Option<String>) -> Answer {
    Answer {
        id,
        decision: Decision::Noted,
        gate: None,
        detail,
    }
}

impl Handler for Admin {
    fn admit(&self, peer: Peer) -> Result<(), String> {
        if peer.uid == 0 || peer.uid == self.own_uid {
            return Ok(());
        }
        Err(format!(
            "admin requests are for root and uid {} only",
            self.own_uid
        ))
    }

    async fn handle(self: Rc<Self>, line: Vec<u8>, _peer: Peer) -> Vec<u8> {
        let answer = match decode_admin(&line) {
            Ok(request) => self.engine.admin(request).await,
            Err(reject) => {
                self.site.metrics.socket_error(SocketName::Admin);
                misuse(reject)
            }
        };
        encode(None, &answer)
    }

    fn too_long(&self) -> Vec<u8> {
        self.site.metrics.socket_error(SocketName::Admin);
        encode(None, &misuse(over_long()))
    }
}

fn over_long() -> Reject {
    Reject {
        id: String::new(),
        why: format!("a line has more than {LINE_BYTES_MAX} bytes; closing"),
    }
}

fn wrong(reject: Reject) -> Answer {
    Answer {
        id: reject.id,
        decision: Decision::Error,
        gate: None,
        detail: Some(reject.why),
    }
}

fn misuse(reject: Reject) -> AdminAnswer {
    AdminAnswer {
        code: ExitCode::WrongUse,
        message: reject.why,
        data: serde_json::Value::Null,
    }
}
