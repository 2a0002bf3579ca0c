//! Lines as Docker's json-file log driver writes them, and a stream of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use super::{FluentBit, append, container_log};

/// A line of the log file of a container that printed `text` at a time since
/// the epoch.
pub(crate) fn docker_line(time: Duration, text: &str) -> String {
    let line = json!({"log": format!("{text}\n"), "stream": "stderr", "time": rfc3339(time)});
    line.to_string()
}

/// As Docker writes times.
fn rfc3339(time: Duration) -> String {
    let (days, second) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    // Days into date, counted in years that begin in March.
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:09}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60,
        time.subsec_nanos()
    )
}

/// Between two lines of a stream. An intent lists 128 seconds: two containers
/// in turn make that many lines in 5 s, longer than a reload takes.
const PACE: Duration = Duration::from_millis(20);
/// The second of a stream's first line.
const FIRST: u64 = 1_700_000_000;

/// A stream of lines, each of a second of its own, so that each can be told.
pub(crate) struct Load {
    stops: Arc<AtomicBool>,
    writer: Option<JoinHandle<BTreeSet<(String, u64)>>>,
}

impl Load {
    /// `text` from these containers in turn until it is stopped.
    pub(crate) fn start(fluent_bit: &FluentBit, ids: &[String], text: &str) -> Self {
        let stops = Arc::new(AtomicBool::new(false));
        let containers = fluent_bit.path("containers");
        let (ids, text) = (ids.to_vec(), text.to_owned());
        let writer = std::thread::spawn({
            let stops = Arc::clone(&stops);
            move || write(&containers, &ids, &text, &stops)
        });
        Self {
            stops,
            writer: Some(writer),
        }
    }

    /// Ends it; id and second of every line.
    pub(crate) fn stop(mut self) -> BTreeSet<(String, u64)> {
        self.stops.store(true, Ordering::SeqCst);
        let writer = self.writer.take().expect("it is stopped once");
        writer.join().expect("the writer does not panic")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::SeqCst);
    }
}

fn write(
    containers: &Path,
    ids: &[String],
    text: &str,
    stops: &AtomicBool,
) -> BTreeSet<(String, u64)> {
    let mut written = BTreeSet::new();
    for (second, id) in (FIRST..).zip(ids.iter().cycle()) {
        if stops.load(Ordering::SeqCst) {
            break;
        }
        let line = docker_line(Duration::from_secs(second), text);
        append(&container_log(containers, id), &line);
        written.insert((id.clone(), second));
        std::thread::sleep(PACE);
    }
    written
}
