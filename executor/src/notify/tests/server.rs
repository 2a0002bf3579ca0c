//! A small HTTP server on a thread of its own: records requests, and answers as
//! it is told to, well or badly.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// What came in.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    /// Names in small letters.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// How to answer.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Status, further headers, body.
    With(u16, &'static str, &'static str),
    /// Nothing, for as long as the other side waits.
    Hang,
    /// A head, and then a body without end.
    Endless,
    /// A head without end.
    EndlessHead,
    /// A head with this status, and then not the body that it announces.
    Stall(u16),
    /// Closes in the middle of the head.
    Break,
}

pub(super) const OK: Reply = Reply::With(200, "", "ok");

pub(super) struct Server {
    pub(super) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
}

/// A connection, secured or not.
pub(super) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Server {
    /// Answers in this order, and then `OK`.
    pub(super) fn start(replies: &[Reply]) -> Self {
        Self::start_with(replies, |tcp| Some(Box::new(tcp)))
    }

    pub(super) fn start_with(
        replies: &[Reply],
        secure: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            seen: Arc::default(),
            replies: Arc::new(Mutex::new(replies.iter().cloned().collect())),
        };
        let (seen, replies) = (Arc::clone(&server.seen), Arc::clone(&server.replies));
        let secure = Arc::new(secure);
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let (seen, replies) = (Arc::clone(&seen), Arc::clone(&replies));
                let secure = Arc::clone(&secure);
                std::thread::spawn(move || {
                    tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                    if let Some(stream) = secure(tcp) {
                        serve(stream, &seen, &replies);
                    }
                });
            }
        });
        server
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits for so many requests.
    #[track_caller]
    pub(super) fn wait_for(&self, count: usize) -> Vec<Seen> {
        super::until(&format!("{count} requests"), || {
            self.seen.lock().unwrap().len() >= count
        });
        self.seen()
    }
}

fn serve(stream: Box<dyn Stream>, seen: &Mutex<Vec<Seen>>, replies: &Mutex<VecDeque<Reply>>) {
    let mut reader = BufReader::new(stream);
    let Some(request) = read(&mut reader) else {
        return;
    };
    seen.lock().unwrap().push(request);
    let reply = replies.lock().unwrap().pop_front().unwrap_or(OK);
    let out = reader.get_mut();
    // The other side may have had enough.
    let _ = match reply {
        Reply::With(status, headers, body) => {
            let head = format!("HTTP/1.1 {status} X\r\n{headers}");
            let length = body.len();
            out.write_all(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes())
        }
        Reply::Hang => reader.read_to_end(&mut Vec::new()).map(drop),
        Reply::Stall(status) => {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 90\r\n\r\nbegun");
            let sent = out.write_all(head.as_bytes()).and_then(|()| out.flush());
            sent.and_then(|()| reader.read_to_end(&mut Vec::new()).map(drop))
        }
        Reply::Endless => out
            .write_all(b"HTTP/1.1 200 X\r\n\r\n")
            .and_then(|()| pour(out, b"0123456789abcdef")),
        Reply::EndlessHead => out
            .write_all(b"HTTP/1.1 200 X\r\nx: ")
            .and_then(|()| pour(out, b"0123456789abcdef")),
        Reply::Break => out.write_all(b"HTTP/1.1 200"),
    };
    let _ = reader.get_mut().flush();
}

/// A gigabyte, or as much as is taken.
fn pour(out: &mut Box<dyn Stream>, bytes: &[u8]) -> std::io::Result<()> {
    let block = bytes.repeat(4_096);
    for _ in 0..(1 << 30) / block.len() {
        out.write_all(&block)?;
    }
    Ok(())
}

fn read(reader: &mut BufReader<Box<dyn Stream>>) -> Option<Seen> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let mut request = Seen {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        ..Seen::default()
    };
    loop {
        let line = line()?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ")?;
        request
            .headers
            .push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = request.header("content-length").parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}
