//! The engine client against real engines and a fake one, and the way from
//! real processes to their containers.

mod archive;
mod checks;
mod events;
mod faults;
mod outage;
mod real;
mod resolve;
mod versions;

use std::path::Path;
use std::time::{Duration, Instant};

use healer::docker::{Client, Docker, DockerError, Inspected};
use policy::{Call, Called};

/// Long enough for any engine that works at all.
const LONG: Duration = Duration::from_secs(60);
/// For what is expected to run out.
const SHORT: Duration = Duration::from_millis(200);

/// Runs one future as the executor does: on one thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// The client, without the async around it.
struct Blocking(Client);

impl Blocking {
    fn new(socket: &Path) -> Self {
        Self(Client::new(socket))
    }

    fn ping(&self) -> Result<String, DockerError> {
        block_on(self.0.ping(LONG)).map(|version| version.to_string())
    }

    fn inspect(&self, reference: &str) -> Result<Option<Inspected>, DockerError> {
        block_on(self.0.inspect(reference, LONG))
    }

    /// The container, which has to be there.
    fn found(&self, reference: &str) -> Inspected {
        self.inspect(reference)
            .unwrap_or_else(|error| panic!("{error}"))
            .unwrap_or_else(|| panic!("there is no {reference}"))
    }

    fn restart(&self, id: &str) -> Called {
        self.call(Call::Restart, id, LONG)
    }

    fn call(&self, call: Call, id: &str, wait: Duration) -> Called {
        block_on(self.0.call(call, id, wait, None))
    }
}

/// Runs it, and fails if it took much longer than it may wait.
fn within<T>(limit: Duration, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    let took = start.elapsed();
    assert!(took < limit + Duration::from_secs(5), "took {took:?}");
    result
}
