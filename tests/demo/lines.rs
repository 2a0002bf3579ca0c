//! Reading logs while they are written, and their times.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// What has been added to a file since the last look, line by line.
pub(crate) struct Follower {
    file: PathBuf,
    read: u64,
}

impl Follower {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file, read: 0 }
    }

    /// Whole new lines; none where there is no file yet.
    pub(crate) fn plain_lines(&mut self) -> Vec<String> {
        let Ok(mut file) = File::open(&self.file) else {
            return Vec::new();
        };
        let mut new = Vec::new();
        let read = file
            .seek(SeekFrom::Start(self.read))
            .and_then(|_| file.read_to_end(&mut new));
        if read.is_err() {
            return Vec::new();
        }
        let whole = new.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        self.read += whole as u64;
        let text = String::from_utf8_lossy(&new[..whole]);
        text.lines().map(str::to_owned).collect()
    }

    /// The same from a file of Docker's, the texts alone.
    pub(crate) fn docker_lines(&mut self) -> Vec<String> {
        let text = |line: String| {
            let record: Value = serde_json::from_str(&line).ok()?;
            Some(record["log"].as_str()?.trim_end().to_owned())
        };
        self.plain_lines().into_iter().filter_map(text).collect()
    }
}

/// When the line that calls for a restart was printed, as Docker noted it.
pub(crate) fn failure_time(file: &Path) -> Option<String> {
    let lines = Follower::new(file.to_owned()).plain_lines();
    let line = lines
        .iter()
        .find(|line| line.contains("CUDA out of memory"))?;
    let record: Value = serde_json::from_str(line).ok()?;
    Some(record["time"].as_str()?.to_owned())
}

/// When the executor wrote that it restarts: `[healer] TIME Restarting container ...`.
pub(crate) fn request_time(log: &str) -> Option<String> {
    let line = log
        .lines()
        .find(|line| line.contains("Restarting container"))?;
    Some(line.split(' ').nth(1)?.to_owned())
}

/// Seconds and nanoseconds since the epoch of an RFC 3339 time in UTC.
pub(crate) fn epoch(time: &str) -> Option<(u32, u32)> {
    let at = healer::docker::parse_rfc3339(time).ok()??;
    Some((u32::try_from(at.secs).ok()?, at.nanos?))
}

/// Milliseconds from one such time to another, not before it.
pub(crate) fn millis_between(from: &str, to: &str) -> Option<u64> {
    let nanos = |time| epoch(time).map(|(s, n)| u64::from(s) * 1_000_000_000 + u64::from(n));
    Some(nanos(to)?.saturating_sub(nanos(from)?) / 1_000_000)
}

/// The time of day in UTC, to the millisecond.
pub(crate) fn now() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let (s, ms) = (now.as_secs() % 86_400, now.subsec_millis());
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

/// The moment as Docker writes it: RFC 3339, UTC, nanoseconds.
pub(crate) fn docker_now() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let iso = healer::report::iso_utc(now.as_secs());
    format!("{}.{:09}Z", iso.trim_end_matches('Z'), now.subsec_nanos())
}
