//! Progress in the engine's own log stream, which is followed.

use std::time::Duration;

use policy::{Now, WallTime};
use tokio::time::{Instant, timeout};

use super::lines::Lines;
use super::{Quiet, is_of, spread};
use crate::docker::Streaming;
use crate::pattern::Pattern;
use crate::triggers::checks::subject::Running;
use crate::triggers::checks::verdict::Start;

/// Between two looks at a container that does not run.
const ASLEEP: Duration = Duration::from_secs(5);
/// Between two tries to follow: at first, and at most.
const BACK_OFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// Longest wait for the stream to begin.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// Longest wait for the engine to take what was found, while nothing is read.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn watch(mut quiet: Quiet, pattern: Option<Pattern>) {
    let mut back_off = BACK_OFF[0];
    // From here on: what was printed before is no news.
    let mut newest = quiet.context.clock.now().wall();
    tokio::time::sleep(spread(&quiet.subject.name, BACK_OFF[0])).await;
    loop {
        let running = match quiet.subject.look().await {
            Ok(Some(running)) => running,
            Ok(None) => {
                quiet.state.deaf();
                tokio::time::sleep(ASLEEP).await;
                continue;
            }
            Err(why) => {
                quiet.be_deaf(&why);
                tokio::time::sleep(back_off).await;
                back_off = (back_off * 2).min(BACK_OFF[1]);
                continue;
            }
        };
        // A start in the future is from before the clock was set back: nothing is later.
        let now = quiet.context.clock.now();
        let since = earlier(later(newest, running.start.started_at), now.wall());
        let began = Instant::now();
        let why = match follow(&mut quiet, &running, since).await {
            Ok(stream) => {
                newest = since;
                let read = read(&mut quiet, stream, pattern.as_ref(), &mut newest).await;
                let ended = || "the log stream ended while the container runs".to_owned();
                match read {
                    Err(why) => Some(why),
                    Ok(()) => still_runs(&quiet, &running).await.then(ended),
                }
            }
            Err(why) => Some(why),
        };
        match why {
            Some(why) => quiet.be_deaf(&why),
            None => quiet.state.deaf(),
        }
        if began.elapsed() > BACK_OFF[1] {
            back_off = BACK_OFF[0];
        }
        tokio::time::sleep(back_off).await;
        back_off = (back_off * 2).min(BACK_OFF[1]);
    }
}

/// The same start as before: its stream had no reason to end.
async fn still_runs(quiet: &Quiet, running: &Running) -> bool {
    let seen = quiet.subject.look().await;
    matches!(seen, Ok(Some(now)) if now.start == running.start)
}

async fn follow(
    quiet: &mut Quiet,
    running: &Running,
    since: WallTime,
) -> Result<Streaming, String> {
    let from = format!("{}.{:09}", since.secs, since.nanos.unwrap_or_default());
    let id = &running.start.container_id;
    let stream = quiet.context.docker.follow_logs(id, &from, HEAD_MAX).await;
    let stream = stream.map_err(|e| e.to_string())?;
    // The container may have started anew meanwhile: then the stream ends soon.
    let now = quiet.context.clock.now();
    quiet.look(now).await;
    Ok(stream)
}

/// Reads until the stream ends or there is nothing to listen to any more.
async fn read(
    quiet: &mut Quiet,
    mut stream: Streaming,
    pattern: Option<&Pattern>,
    newest: &mut WallTime,
) -> Result<(), String> {
    let mut lines = Lines::default();
    while quiet.state.listens_to().is_some() {
        let now = quiet.context.clock.now();
        let due = quiet.state.due().unwrap_or(now.at);
        let wait = Duration::from_millis(due.since(now.at));
        let next = timeout(wait, stream.next()).await;
        if quiet.deaf_if_slept(now.at, wait) {
            break;
        }
        match next {
            Ok(Ok(Some(bytes))) => {
                let now = quiet.context.clock.now();
                // Else, once the clock was set back, nothing would be new for as long.
                *newest = earlier(*newest, now.wall());
                if let Some(time) = lines.newest(&bytes, pattern, *newest) {
                    *newest = time;
                    quiet.hear_line(time, now).await;
                }
                // However much it prints that is no progress.
                quiet.poll(PATIENCE).await;
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(e)) => return Err(e.to_string()),
            Err(_) => quiet.poll(PATIENCE).await,
        }
    }
    Ok(())
}

impl Quiet {
    /// Heard now, and printed at `time`, by the same clock.
    async fn hear_line(&mut self, time: WallTime, now: Now) {
        let is_its = |start: &Start| is_of(time, start, now);
        if self.state.listens_to().is_none_or(|start| !is_its(start)) {
            return;
        }
        if let Some(verdict) = self.state.hear(now.at) {
            self.tell(verdict, now.at, found_at(time, now), PATIENCE)
                .await;
        }
    }
}

/// When a line was printed, to the nanosecond as it says itself: the first may be of the very
/// millisecond of the start that it belongs to. Never later than now.
fn found_at(line: WallTime, now: Now) -> WallTime {
    match WallTime::from_ms(now.wall_ms + 1).is_before(line) {
        true => now.wall(),
        false => line,
    }
}

fn earlier(a: WallTime, b: WallTime) -> WallTime {
    match b.is_before(a) {
        true => b,
        false => a,
    }
}

fn later(a: WallTime, b: WallTime) -> WallTime {
    match a.is_before(b) {
        true => b,
        false => a,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_when_it_was_printed_to_the_nanosecond_and_no_later_than_now() {
        let line = |secs, nanos| WallTime {
            secs,
            nanos: Some(nanos),
        };
        let now = Now {
            at: policy::Timestamp(7),
            wall_ms: 100_500,
        };
        for past in [line(99, 1), line(100, 500_000_001), line(100, 500_999_999)] {
            assert_eq!(found_at(past, now), past);
        }
        assert_eq!(found_at(line(100, 501_000_001), now), now.wall());
        assert_eq!(found_at(line(900, 0), now), now.wall());
    }
}
