//! `healer run` as a process: its log, SIGHUP and SIGTERM. Without an engine,
//! so that nothing here depends on one.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::support::{Place, err, run};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running executor and the lines of its log.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    /// Started, and listening.
    pub(crate) fn start(place: &Place, args: &[&str]) -> Self {
        let args = [&["run"], args].concat();
        let mut command = place.healer(&args);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = sync_channel(10_000);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        let running = Self { child, lines };
        let start = Instant::now();
        let live = || run(&mut place.healer(&["check", "--live"]), b"").status;
        while !live().success() {
            assert!(start.elapsed() < PATIENCE, "it does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        running
    }

    /// The next line of its log that holds these words.
    pub(crate) fn wait_for(&self, words: &str) -> String {
        let start = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(start.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(words) => return line,
                Ok(_) => {}
                Err(e) => panic!("no line with {words:?}: {e}"),
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code.
    pub(crate) fn ended(mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    /// However the test ends.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn sigterm_ends_it_in_good_order() {
    let place = Place::new();
    let running = Running::start(&place, &[]);
    running.signal(Signal::TERM);
    running.wait_for("SIGTERM: stopping");
    assert_eq!(running.ended(), Some(0));
    assert!(!place.path("intents.sock").exists());
    let live = run(&mut place.healer(&["check", "--live"]), b"");
    assert_eq!(live.status.code(), Some(1));
    assert!(err(&live).contains("is `healer run` running?"), "{live:?}");
}

#[test]
fn it_answers_a_ping() {
    let place = Place::new();
    let _running = Running::start(&place, &[]);
    let mut stream = UnixStream::connect(place.path("intents.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    writeln!(stream, r#"{{"v":1,"type":"ping","id":"p-1"}}"#).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert_eq!(answer, "{\"v\":1,\"id\":\"p-1\",\"decision\":\"noted\"}\n");
}

#[test]
fn bad_settings_keep_it_from_starting() {
    let place = Place::new();
    for (args, said) in [
        (
            &["--log-level", "loud"][..],
            "--set log.level: \"loud\" is none of",
        ),
        (&["--set", "rules=nopack"], "nopack"),
    ] {
        let args = [&["run"], args].concat();
        let output = run(&mut place.healer(&args), b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(err(&output).contains(said), "{args:?}: {}", err(&output));
    }
}

#[test]
fn a_bad_file_at_sighup_leaves_the_old_one_in_force() {
    let place = Place::new();
    let file = place.path("healer.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    let running = Running::start(&place, &[]);

    std::fs::write(&file, "rules = 'gpu'\ncooldwn = 3\n").unwrap();
    running.signal(Signal::HUP);
    let line = running.wait_for("not reloaded, the old configuration stays in force");
    assert!(
        line.contains("healer.toml:2:1: unknown field `cooldwn`"),
        "{line}"
    );

    let state = place.path("state").display().to_string();
    std::fs::write(&file, good.replace(&state, "/elsewhere")).unwrap();
    running.signal(Signal::HUP);
    let line = running.wait_for("takes effect only at the next start");
    assert!(line.contains("key=\"state_dir\""), "{line}");
    running.wait_for("configuration reloaded");
}

#[test]
fn the_log_can_be_json_and_changes_its_level_at_sighup() {
    let place = Place::new();
    let file = place.path("healer.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let level = |level| std::fs::write(&file, format!("{text}[log]\nlevel = '{level}'\n")).unwrap();
    level("error");
    let running = Running::start(&place, &["--log-format", "json"]);

    level("info");
    running.signal(Signal::HUP);
    // Of this level, so it is there only because the level has changed.
    let line = running.wait_for("configuration reloaded");
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["level"], "INFO");
    assert_eq!(event["message"], "configuration reloaded");
    assert!(
        event["timestamp"].as_str().unwrap().ends_with('Z'),
        "{line}"
    );
}
