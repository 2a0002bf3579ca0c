use std::cell::Cell;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::LocalSet;

use super::*;

/// Runs `test` against a served site whose clock stands at 1,000 s.
fn with_site<F: Future<Output = ()>>(test: impl FnOnce(SocketAddr, Rc<Site>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let site = Rc::new(Site::default());
        let server = spawn_local(serve(listener, Rc::clone(&site), || Timestamp(1_000_000)));
        test(address, site).await;
        server.abort();
    });
}

async fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A reset after a refusal is the server's right; what came before counts.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn get(address: SocketAddr, path: &str) -> String {
    ask(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes(),
    )
    .await
}

fn make_ready(site: &Site) {
    site.health.set_journal(Ok(()));
    site.health.set_listening("intents");
    site.health.set_listening("admin");
    site.health.set_engine(Ok(Timestamp(999_000)));
}

#[test]
fn pages_are_served() {
    with_site(|address, site| async move {
        assert!(
            get(address, "/healthz")
                .await
                .starts_with("HTTP/1.1 200 OK\r\n")
        );
        assert!(get(address, "/nothing").await.starts_with("HTTP/1.1 404 "));
        site.metrics.intent_received();
        let metrics = get(address, "/metrics").await;
        assert!(metrics.contains("content-type: application/openmetrics-text"));
        assert!(metrics.contains("\nhealer_intents_received_total 1\n"));
        let post = ask(address, b"POST /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
        assert!(post.contains("allow: GET, HEAD"));
        let head = ask(address, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(head.ends_with("\r\n\r\n"), "{head}");
    });
}

#[test]
fn not_ready_says_why() {
    with_site(|address, site| async move {
        let before = get(address, "/readyz").await;
        assert!(before.starts_with("HTTP/1.1 503 "), "{before}");
        for fault in [
            "journal: not open yet",
            "intents socket: not open",
            "admin socket: not open",
            "engine: not asked yet",
        ] {
            assert!(before.contains(fault), "{fault} is not in {before}");
        }
        make_ready(&site);
        let after = get(address, "/readyz").await;
        assert!(after.ends_with("\r\n\r\nready\n"), "{after}");
    });
}

#[test]
fn readiness_ends_with_each_fault_and_returns() {
    let health = Health::default();
    let now = Cell::new(Timestamp(1_000_000));
    let site = Site::default();
    make_ready(&site);
    drop(health);
    let health = &site.health;
    let faults = || health.faults(now.get());
    assert_eq!(faults(), Vec::<String>::new());

    health.set_policy(vec!["all counts as spent".into()]);
    assert_eq!(faults(), ["all counts as spent"]);
    health.set_policy(Vec::new());
    health.set_engine(Ok(now.get()));

    now.set(now.get().plus(health::ENGINE_MS_MAX));
    assert_eq!(faults(), Vec::<String>::new());
    now.set(now.get().plus(1));
    assert_eq!(faults(), ["engine: last answered 90 s ago"]);
    health.set_engine(Err("connection refused".into()));
    assert_eq!(faults(), ["engine: connection refused"]);
    health.set_engine(Ok(now.get()));

    health.set_journal(Err("no space left on device".into()));
    assert_eq!(faults(), ["journal: no space left on device"]);
    health.set_journal(Ok(()));
    health.set_stopping();
    assert_eq!(faults(), ["stopping: no new intents are taken"]);
}

#[test]
fn a_head_beyond_its_limits_is_refused() {
    with_site(|address, _| async move {
        let long = format!(
            "GET /healthz HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
            "a".repeat(2 * HEAD_BYTES_MAX)
        );
        let answer = ask(address, long.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let headers = |n: usize| format!("GET /healthz HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(n));
        let most = ask(address, headers(HEADERS_MAX).as_bytes()).await;
        assert!(most.starts_with("HTTP/1.1 200 "), "{most}");
        let more = ask(address, headers(HEADERS_MAX + 1).as_bytes()).await;
        assert!(more.starts_with("HTTP/1.1 431 "), "{more}");
        let rubbish = ask(address, b"\x16\x03\x01\x02\x00rubbish\r\n\r\n").await;
        assert!(rubbish.starts_with("HTTP/1.1 400 "), "{rubbish}");
    });
}

#[test]
fn silent_clients_take_no_more_than_their_share() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn_local(serve(listener, Rc::default(), || Timestamp(0)));
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        // Served once the time (virtual here) of the silent ones is over.
        let answer = get(address, "/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        server.abort();
    });
}

#[test]
fn a_taken_address_is_said_with_what_to_do() {
    with_site(|address, _| async move {
        let why = bind(address).await.unwrap_err();
        assert!(why.contains("cannot listen on 127.0.0.1:"), "{why}");
        assert!(why.contains("\"off\""), "{why}");
    });
}
