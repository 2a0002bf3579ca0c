//! What the engine itself says that it did: the stream of its events.

use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::support::engine::{Container, Engine};

/// Listens from its creation to its end.
pub(super) struct Events {
    stream: UnixStream,
    starts: Arc<Mutex<Vec<String>>>,
}

impl Events {
    /// Every start of these containers from now on.
    pub(super) fn of(engine: &Engine, containers: &[Container]) -> Self {
        let mut stream = UnixStream::connect(engine.socket()).expect("the engine listens");
        let ids: Vec<String> = containers
            .iter()
            .map(|c| format!("%22{}%22", c.id))
            .collect();
        let filters = format!(
            "%7B%22container%22:%5B{}%5D,%22event%22:%5B%22start%22%5D%7D",
            ids.join(",")
        );
        let request = format!("GET /events?filters={filters} HTTP/1.0\r\nHost: docker\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .expect("the engine reads");
        let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
        // The head comes with the subscription.
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert_ne!(
                reader.read_line(&mut line).expect("the engine answers"),
                0,
                "a head"
            );
        }
        let starts = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&starts);
        thread::spawn(move || {
            for line in reader.lines() {
                let Ok(line) = line else { return };
                let Ok(event) = serde_json::from_str::<Value>(&line) else {
                    continue;
                };
                let id = event["Actor"]["ID"].as_str().unwrap_or_default().to_owned();
                seen.lock().expect("no panic").push(id);
            }
        });
        Self { stream, starts }
    }

    /// The container of each start so far.
    pub(super) fn seen(&self) -> Vec<String> {
        self.starts.lock().expect("no panic").clone()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _closed_already = self.stream.shutdown(Shutdown::Both);
    }
}
