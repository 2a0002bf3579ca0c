//! Every way in which an engine may fail to answer, by a fake one.

use std::time::Duration;

use healer::docker::{Docker, DockerError, MESSAGE_BYTES_MAX, Phase, SocketProblem};
use policy::{Call, Called, ContainerState};
use serde_json::json;

use super::{Blocking, LONG, SHORT, block_on, within};
use crate::support::engine::eventually;
use crate::support::fake_engine::{FakeEngine, Fault, NEVER};

fn engine_with_web() -> (FakeEngine, Blocking, String) {
    let fake = FakeEngine::start();
    let client = Blocking::new(&fake.socket());
    let id = fake.add("web");
    client.ping().unwrap();
    (fake, client, id)
}

fn restarts(fake: &FakeEngine) -> usize {
    let requests = fake.requests();
    requests.iter().filter(|r| r.contains("/restart")).count()
}

fn unclear(called: Called) -> String {
    match called {
        Called::Unclear { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn refusals_carry_status_and_words() {
    let (fake, client, id) = engine_with_web();
    for (status, words) in [
        (500, "driver failed programming external connectivity"),
        (409, "container is marked for removal and cannot be started"),
        (503, "daemon is shutting down"),
    ] {
        let message = words.to_owned();
        let acts = false;
        let fault = Fault::Answer {
            status,
            message: message.clone(),
            acts,
        };
        fake.fault("/restart", 1, fault.clone());
        assert_eq!(client.restart(&id), Called::Refused { status, message });
        fake.fault("/json", 1, fault);
        let error = client.inspect("web").unwrap_err().to_string();
        assert!(
            error.contains(&format!("answered {status}: {words}")),
            "{error}"
        );
    }
    let message = "y".repeat(MESSAGE_BYTES_MAX + 1);
    let fault = Fault::Answer {
        status: 500,
        message,
        acts: false,
    };
    fake.fault("/restart", 1, fault);
    let cut = "y".repeat(MESSAGE_BYTES_MAX);
    let expected = Called::Refused {
        status: 500,
        message: cut,
    };
    assert_eq!(client.restart(&id), expected);
    assert_eq!(fake.with(&id, |web| web.starts), 0);
}

#[test]
fn a_slow_engine_runs_into_the_deadline_and_a_patient_caller_does_not() {
    let (fake, client, id) = engine_with_web();
    let by = Duration::from_millis(400);
    fake.fault("/json", 2, Fault::Delay(by));
    let error = within(SHORT, || block_on(client.0.inspect("web", SHORT))).unwrap_err();
    let expected = DockerError::TimedOut {
        what: "inspect of container 'web'".to_owned(),
        phase: Phase::Head,
        limit: SHORT,
    };
    assert_eq!(error, expected);
    assert!(
        error.to_string().contains("timed out after 200 ms"),
        "{error}"
    );
    assert_eq!(client.found("web").id, id);
}

#[test]
fn a_hung_engine_holds_up_neither_the_caller_nor_other_requests() {
    let (fake, client, id) = engine_with_web();
    fake.add("other");
    fake.fault("/restart", 1, Fault::Hang { acts: true });
    let (called, other) = within(SHORT, || {
        block_on(async {
            let hung = client.0.call(Call::Restart, &id, SHORT, None);
            let other = client.0.inspect("other", LONG);
            tokio::join!(hung, other)
        })
    });
    let why = unclear(called);
    assert!(
        why.contains("restart of container") && why.contains("200 ms"),
        "{why}"
    );
    assert_eq!(other.unwrap().unwrap().name, "other");
    // It was carried out: unclear is the truth.
    assert_eq!(fake.with(&id, |web| web.starts), 1);
}

#[test]
fn a_body_that_never_ends_runs_into_the_deadline() {
    let (fake, client, _id) = engine_with_web();
    fake.fault("/json", 1, Fault::HangInBody);
    let error = within(SHORT, || block_on(client.0.inspect("web", SHORT))).unwrap_err();
    let DockerError::TimedOut { phase, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*phase, Phase::Body);
}

#[test]
fn a_status_stands_even_if_the_body_never_ends() {
    let (fake, client, id) = engine_with_web();
    let head = "HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\n{";
    fake.fault("/restart", 1, Fault::Raw(head.into()));
    match client.restart(&id) {
        Called::Refused { status, message } => {
            assert_eq!(status, 500);
            assert!(message.contains("no words"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let head = "HTTP/1.1 204 No Content\r\n\r\n";
    fake.fault("/restart", 1, Fault::Raw(head.into()));
    assert_eq!(client.restart(&id), Called::Done);
}

#[test]
fn a_connection_that_ends_in_the_middle_is_unclear_and_nothing_is_sent_twice() {
    let (fake, client, id) = engine_with_web();
    let faults = [
        Fault::Close { acts: true },
        Fault::Close { acts: false },
        Fault::CutAfter(1),
        Fault::CutAfter(20),
    ];
    for (done, fault) in faults.into_iter().enumerate() {
        fake.fault("/restart", 1, fault.clone());
        let why = unclear(client.restart(&id));
        assert!(
            why.contains("the connection to the engine broke"),
            "{fault:?}: {why}"
        );
        assert_eq!(restarts(&fake), done + 1, "{fault:?}");
    }
    for fault in [
        Fault::Close { acts: false },
        Fault::CutAfter(20),
        Fault::CutAfter(300),
    ] {
        fake.fault("/containers/web/json", 1, fault.clone());
        let error = client.inspect("web").unwrap_err();
        assert!(
            matches!(error, DockerError::Broken { .. }),
            "{fault:?}: {error:?}"
        );
    }
    assert_eq!(client.found("web").id, id);
}

#[test]
fn a_restart_that_the_engine_gives_up_halfway_can_be_completed_by_a_start() {
    let (fake, client, id) = engine_with_web();
    let before = client.found("web").started_at;
    fake.fault("/restart", 1, Fault::StopOnly);
    unclear(client.restart(&id));
    let down = client.found("web");
    assert_eq!(
        (down.state, down.started_at),
        (ContainerState::Exited, before)
    );
    assert_eq!(client.call(Call::Start, &id, LONG), Called::Done);
    assert_eq!(client.found("web").state, ContainerState::Running);
}

#[test]
fn after_a_broken_connection_the_version_is_agreed_anew() {
    let (fake, client, _id) = engine_with_web();
    fake.fault("/json", 1, Fault::Close { acts: false });
    client.inspect("web").unwrap_err();
    assert_eq!(client.0.api_version(), None);
    client.found("web");
    let requests = fake.requests();
    let last: Vec<&str> = requests.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(last, ["GET /v1.52/containers/web/json", "GET /_ping"]);
}

#[test]
fn what_is_not_http_is_refused() {
    let (fake, client, id) = engine_with_web();
    for rubbish in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "\0\0\0\0",
        "HTTP/1.1 999999 x\r\n\r\n",
        "\r\n",
    ] {
        fake.fault("/json", 1, Fault::Raw(rubbish.into()));
        let error = client.inspect("web").unwrap_err();
        assert!(
            matches!(error, DockerError::Broken { .. }),
            "{rubbish:?}: {error:?}"
        );
        fake.fault("/restart", 1, Fault::Raw(rubbish.into()));
        unclear(client.restart(&id));
    }
}

#[test]
fn a_body_is_read_up_to_its_limit_and_not_beyond() {
    const LIMIT: usize = 4 << 20;
    let (fake, client, _id) = engine_with_web();
    let reply = |bytes: usize| {
        let mut reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n").into_bytes();
        reply.resize(reply.len() + bytes, b' ');
        Fault::Raw(reply)
    };
    fake.fault("/json", 1, reply(LIMIT));
    let blank = client.inspect("web").unwrap_err();
    assert!(matches!(blank, DockerError::Reply { .. }), "{blank:?}");
    fake.fault("/json", 1, reply(LIMIT + 1));
    let error = client.inspect("web").unwrap_err();
    let DockerError::TooLarge { limit_bytes, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(limit_bytes, LIMIT);
}

#[test]
fn lies_about_containers_are_not_believed() {
    let (fake, client, id) = engine_with_web();
    fake.with(&id, |web| web.status = "confused".to_owned());
    let error = client.inspect("web").unwrap_err().to_string();
    assert!(error.contains("State.Status is 'confused'"), "{error}");
    fake.with(&id, |web| {
        web.status = "running".to_owned();
        web.started_at = "just now".to_owned();
    });
    let error = client.inspect("web").unwrap_err().to_string();
    assert!(error.contains("State.StartedAt: 'just now'"), "{error}");

    let other = fake.add("other");
    let about_other = json!({
        "Id": other, "Name": "/other", "Config": {},
        "State": {"Status": "running", "StartedAt": NEVER, "FinishedAt": NEVER},
    });
    let body = about_other.to_string();
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    fake.fault("/json", 1, Fault::Raw(reply.into()));
    let error = client.inspect(&id).unwrap_err().to_string();
    assert!(error.contains("it is about 'other'"), "{error}");
}

#[test]
fn absence_is_only_what_the_engine_says_in_so_many_words() {
    let (fake, client, id) = engine_with_web();
    assert_eq!(client.inspect("nobody"), Ok(None));
    let fault = Fault::Answer {
        status: 404,
        message: "page not found".to_owned(),
        acts: false,
    };
    fake.fault("/json", 1, fault);
    let error = client.inspect("web").unwrap_err();
    assert!(
        matches!(error, DockerError::Status { status: 404, .. }),
        "{error:?}"
    );
    let refused = client.restart("nobody");
    let Called::Refused { status, message } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        (status, message.as_str()),
        (404, "No such container: nobody")
    );

    let before = fake.requests().len();
    for never_sent in ["", "a", "..", "a/b", "../../info", "a?all=1", "ä-container"] {
        assert_eq!(client.inspect(never_sent), Ok(None), "{never_sent}");
        let called = client.restart(never_sent);
        assert!(
            matches!(called, Called::Refused { status: 400, .. }),
            "{called:?}"
        );
    }
    assert_eq!(fake.requests().len(), before);
    // Too short a beginning of an id is nobody's name either.
    let id = {
        fake.remove(&id);
        assert_eq!(client.inspect("web"), Ok(None));
        fake.add("web")
    };
    assert_eq!(client.inspect(&id[..11]), Ok(None));
    assert_eq!(client.inspect(&id[..12]).unwrap().unwrap().id, id);
}

#[test]
fn a_stop_timeout_is_sent_only_if_it_is_set() {
    let (fake, client, id) = engine_with_web();
    for (stop_timeout, query) in [(None, ""), (Some(7), "?t=7"), (Some(-1), "?t=-1")] {
        let called = block_on(client.0.call(Call::Restart, &id, LONG, stop_timeout));
        assert_eq!(called, Called::Done);
        let expected = format!("POST /v1.52/containers/{id}/restart{query}");
        assert_eq!(*fake.requests().last().unwrap(), expected);
    }
    assert_eq!(
        client.call(Call::Start, &id, LONG),
        Called::Done,
        "it runs: 304"
    );
}

#[test]
fn a_socket_that_cannot_be_connected_to_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let problem = |file: &str| {
        let error = Blocking::new(&dir.path().join(file)).ping().unwrap_err();
        let DockerError::Socket { problem, .. } = &error else {
            panic!("{error:?}");
        };
        (problem.clone(), error.to_string())
    };
    let (missing, words) = problem("missing.sock");
    assert_eq!(missing, SocketProblem::Missing);
    assert!(
        words.contains("missing.sock") && words.contains("is Docker running"),
        "{words}"
    );

    std::fs::write(dir.path().join("file"), "").unwrap();
    assert_eq!(problem("file").0, SocketProblem::NotASocket);
    assert_eq!(problem("").0, SocketProblem::NotASocket, "a directory");

    let path = dir.path().join("left-behind.sock");
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    assert_eq!(problem("left-behind.sock").0, SocketProblem::Refused);

    let (too_long, words) = problem(&"x".repeat(108));
    assert!(matches!(too_long, SocketProblem::Other(_)), "{too_long:?}");
    assert!(words.contains("1 to 107 bytes"), "{words}");
    let error = Blocking::new(std::path::Path::new("")).ping().unwrap_err();
    assert!(error.to_string().contains("1 to 107 bytes"), "{error}");
}

#[test]
fn an_engine_that_takes_no_connections_runs_into_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let client = Blocking::new(&path);
    let error = within(SHORT, || block_on(client.0.inspect("web", SHORT))).unwrap_err();
    let DockerError::TimedOut { what, phase, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((what.as_str(), *phase), ("ping", Phase::Head));
}

#[test]
fn a_cancelled_request_leaves_no_connection_behind() {
    let (fake, client, id) = engine_with_web();
    fake.fault("/restart", 8, Fault::Hang { acts: false });
    let before = open_files();
    for _ in 0..8 {
        unclear(client.call(Call::Restart, &id, Duration::from_millis(20)));
    }
    // The other ends are in this process too: the fake's eight threads hang.
    eventually("our ends are closed", || {
        (open_files() <= before + 8).then_some(())
    });
    drop(fake);
}

fn open_files() -> usize {
    let sockets = std::fs::read_dir("/proc/self/fd").expect("procfs");
    sockets
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}
