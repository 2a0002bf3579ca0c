//! The two sockets: `intents.sock` for whom its file mode lets in,
//! `admin.sock` for root and the executor's own user.

use std::rc::Rc;

use executor_api::{
    AdminAnswer, Answer, Decision, ExitCode, LINE_BYTES_MAX, Message, Reject, decode_admin,
    decode_message, encode,
};

use crate::engine::Handle;
use crate::http::Site;
use crate::listen::{Handler, Peer};
use crate::metrics::SocketName;

/// `intents.sock`.
#[derive(Debug)]
pub struct Intents {
    /// The engine.
    pub engine: Handle,
    /// Counts what is wrong.
    pub site: Rc<Site>,
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
            Ok(Message::Ping(ping)) => self.engine.ping(ping).await,
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
