//! `healer notify`, and a running executor that tells people: kill -9, SIGHUP.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::run::Running;
use super::support::{Place, err, out, run};

const PATIENCE: Duration = Duration::from_secs(20);

/// Adds to the configuration.
fn configure(place: &Place, more: &str) {
    let path = place.path("healer.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let kept = config.split("[notify.").next().unwrap();
    std::fs::write(&path, format!("{kept}{more}")).unwrap();
}

fn webhook(name: &str, port: u16, more: &str) -> String {
    format!(
        "[notify.{name}]\ntype = 'webhook'\nurl = 'http://127.0.0.1:{port}/secret-path'\n{more}\n"
    )
}

/// Answers 200 to all, and keeps the bodies.
fn serve(listener: TcpListener) -> Arc<Mutex<Vec<Value>>> {
    let bodies = Arc::<Mutex<Vec<Value>>>::default();
    let seen = Arc::clone(&bodies);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(body) = answer(stream) {
                seen.lock().unwrap().push(body);
            }
        }
    });
    bodies
}

fn answer(mut stream: TcpStream) -> Option<Value> {
    let mut text = String::new();
    let mut buffer = [0; 4_096];
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        text.push_str(std::str::from_utf8(&buffer[..count]).ok()?);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        if body.len() >= length? {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .ok()?;
            return serde_json::from_str(body).ok();
        }
    }
}

/// A port that nobody listens at.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A line that a restart cannot cure; it needs no engine to be told.
fn escalate(place: &Place, id: &str) {
    let mut socket = UnixStream::connect(place.path("intents.sock")).unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs();
    let intent = serde_json::json!({
        "v": 1, "type": "intent", "id": id, "target": {"name": format!("app-{id}")},
        "rule": "cuda-driver-mismatch", "remedy": "escalate", "times": [[now, 1]],
        "last": [now, null], "sample": "driver/library version mismatch", "tag": "", "source": "test",
    });
    writeln!(socket, "{intent}").unwrap();
    let mut answer = [0; 4_096];
    let count = socket.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(answer.contains("\"escalated\""), "{answer}");
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn queued(dir: &Path) -> usize {
    std::fs::read_dir(dir).map_or(0, |entries| entries.count())
}

#[test]
fn a_test_message_says_what_became_of_it_for_each() {
    let place = Place::new();
    let none = run(&mut place.healer(&["notify", "test"]), b"");
    assert_eq!(none.status.code(), Some(2));
    assert!(
        err(&none).contains("no notifier is configured"),
        "{}",
        err(&none)
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (up, down) = (listener.local_addr().unwrap().port(), free_port());
    let bodies = serve(listener);
    let config = webhook("up", up, "") + &webhook("down", down, "");
    configure(&place, &config);
    let both = run(&mut place.healer(&["notify", "test"]), b"");
    assert_eq!(both.status.code(), Some(1));
    let said = out(&both);
    let mut lines = said.lines();
    let down_says = lines.next().unwrap();
    let expected = format!(
        "FAIL  down (webhook, http://127.0.0.1:{down}): http://127.0.0.1:{down}: cannot connect: \
         Connection refused (os error 111)"
    );
    assert_eq!(down_says, expected);
    let up_says = lines.next().unwrap();
    let expected = format!("ok    up (webhook, http://127.0.0.1:{up}): sent in ");
    assert!(up_says.starts_with(&expected), "{up_says}");
    assert!(!said.contains("secret-path"));
    assert_eq!(bodies.lock().unwrap()[0]["step"], "test");

    assert_eq!(
        run(&mut place.healer(&["notify", "test", "up"]), b"")
            .status
            .code(),
        Some(0)
    );
    let unknown = run(&mut place.healer(&["notify", "test", "upp"]), b"");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("no notifier is called upp; there are down, up"));
    let list = out(&run(&mut place.healer(&["notify", "list"]), b""));
    assert!(list.starts_with("NAME  TYPE     TO "), "{list}");
    assert!(list.contains("info and above"), "{list}");
    let off = webhook("up", up, "enabled = false");
    configure(&place, &(off.clone() + &webhook("down", down, "")));
    let refused = run(&mut place.healer(&["notify", "test", "up"]), b"");
    assert_eq!(refused.status.code(), Some(2));
    assert!(err(&refused).contains("up is switched off"), "{refused:?}");
    let list = out(&run(&mut place.healer(&["notify", "list"]), b""));
    assert!(list.ends_with("switched off: up\n"), "{list}");
    configure(&place, &off);
    let refused = run(&mut place.healer(&["notify", "test"]), b"");
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        err(&refused).contains("all notifiers are switched off"),
        "{refused:?}"
    );
    configure(&place, "[notify.x]\ntype = 'webhook'\n");
    let wrong = run(&mut place.healer(&["notify", "list"]), b"");
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn check_looks_at_what_notifiers_need() {
    let place = Place::new();
    let said = |place: &Place| out(&run(&mut place.healer(&["check"]), b""));
    let line = "ok    notify: no notifier is configured: nobody is told";
    assert!(said(&place).contains(line));
    let open = place.path("open");
    std::fs::write(&open, "https://hooks.slack.com/services/T/B/x").unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (open, none) = (open.display(), place.path("none"));
    configure(
        &place,
        &format!(
            "[notify.open]\ntype = 'slack'\nurl_file = '{open}'\n\
             [notify.none]\ntype = 'slack'\nurl_file = '{}'\n\
             [notify.env]\ntype = 'discord'\nurl_env = 'HEALER_NO_SUCH'\n\
             [notify.well]\ntype = 'ntfy'\nurl = 'https://ntfy.sh/secret-topic'\n",
            none.display()
        ),
    );
    let said = said(&place);
    for line in [
        &*format!("warn  notify.open: {open} has mode 0644: every user of this host can read it"),
        &*format!("FAIL  notify.none: {}: cannot be opened", none.display()),
        "FAIL  notify.env: the variable HEALER_NO_SUCH is not set for this process",
        "ok    notify.well: ntfy to https://ntfy.sh; `healer notify test well` tries it",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    assert!(
        !said.contains("services/T") && !said.contains("secret-topic"),
        "{said}"
    );
}

#[test]
fn what_waits_when_the_executor_is_killed_goes_out_when_it_is_back() {
    let place = Place::new();
    let port = free_port();
    configure(&place, &webhook("hook", port, ""));
    let running = Running::start(&place, &[]);
    escalate(&place, "1");
    let fault = running.wait_for("a message did not go out");
    assert!(
        fault.contains("Connection refused") && !fault.contains("secret-path"),
        "{fault}"
    );
    let queue = place.path("state/notify/hook");
    until("a file in its queue", || queued(&queue) == 1);
    running.signal(Signal::KILL);
    running.ended();
    assert_eq!(queued(&queue), 1);
    let bodies = serve(TcpListener::bind(("127.0.0.1", port)).unwrap());
    let running = Running::start(&place, &[]);
    until("the message", || bodies.lock().unwrap().len() == 1);
    let body = bodies.lock().unwrap()[0].clone();
    assert_eq!(body["step"], "escalated");
    assert_eq!(body["target"], "app-1");
    assert_eq!(body["rule"], "cuda-driver-mismatch");
    assert_eq!(body["sample"], Value::Null);
    until("an empty queue", || queued(&queue) == 0);
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), Some(0));
}

#[test]
fn sighup_brings_notifiers_and_takes_them() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let bodies = serve(listener);
    let running = Running::start(&place, &[]);
    escalate(&place, "1");
    configure(&place, &webhook("hook", port, ""));
    running.signal(Signal::HUP);
    running.wait_for("configuration reloaded");
    escalate(&place, "2");
    until("the message", || bodies.lock().unwrap().len() == 1);
    assert_eq!(bodies.lock().unwrap()[0]["target"], "app-2");
    configure(&place, "");
    running.signal(Signal::HUP);
    running.wait_for("configuration reloaded");
    escalate(&place, "3");
    // A slow or broken configuration would show here: it ends in good order.
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), Some(0));
    assert_eq!(bodies.lock().unwrap().len(), 1);
}
