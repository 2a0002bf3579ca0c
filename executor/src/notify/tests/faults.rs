//! Receivers that are down, slow, hostile or busy.

use super::server::{OK, Reply, Server};
use super::*;

/// What a try of the only notifier fails with.
fn fault(config: &str) -> Failure {
    let dir = tempfile::tempdir().unwrap();
    tried(&notifiers(dir.path(), config)[0]).unwrap_err()
}

#[test]
fn a_receiver_that_hangs_sends_without_end_or_breaks_off_is_given_up_in_time() {
    for (reply, is_fine) in [
        (Reply::Hang, false),
        // Its status was 200, and no more is wanted of it.
        (Reply::Endless, true),
        (Reply::Stall(200), true),
        (Reply::Stall(500), false),
        (Reply::EndlessHead, false),
        (Reply::Break, false),
    ] {
        let server = Server::start(std::slice::from_ref(&reply));
        let dir = tempfile::tempdir().unwrap();
        let config = ntfy("n", &server.url(""), "timeout = '4s'");
        let notifier = notifiers(dir.path(), &config).remove(0);
        let begun = Instant::now();
        let sent = tried(&notifier);
        assert!(begun.elapsed() < Duration::from_secs(10), "{reply:?}");
        assert_eq!(sent.is_ok(), is_fine, "{reply:?}: {sent:?}");
        if let Err(failure) = sent {
            assert_eq!(failure.kind, FailureKind::Later(None), "{failure}");
            let has_status = failure.to_string().contains("answers 500: begun");
            assert_eq!(has_status, matches!(reply, Reply::Stall(_)), "{failure}");
        }
    }
}

#[test]
fn one_message_that_a_receiver_cannot_take_does_not_keep_the_others() {
    let oops = Reply::With(500, "", "oops");
    let server = Server::start(&vec![oops; 5]);
    let office = Office::open(&ntfy("n", &server.url(""), ""));
    office.tell("poison", Step::Held);
    for (tried, pause) in [(1, 5), (2, 10), (3, 20), (4, 40)] {
        let count = tried.to_string();
        until("it is tried", || office.count("n", "failed") == count);
        office.time.advance(Duration::from_secs(pause));
        office.tell(&format!("t{tried}"), Step::Held);
    }
    // No time passes: the others do not wait for it, and it has its turn then.
    let seen = server.wait_for(10);
    let titles: Vec<_> = seen.iter().map(|s| s.json()["title"].clone()).collect();
    let order = [
        "poison", "poison", "poison", "poison", "poison", "t1", "t2", "t3", "t4", "poison",
    ];
    assert_eq!(titles, order.map(|t| format!("{t} held on gpu-host")));
    until("nothing is left", || office.queued("n") == 0);
}

#[test]
fn a_receiver_that_refuses_everything_costs_three_messages_and_no_more() {
    let no = Reply::With(400, "", "invalid_payload");
    let server = Server::start(&vec![no; 4]);
    let office = Office::open(&ntfy("n", &server.url(""), ""));
    for n in 0..6 {
        office.tell(&format!("t{n}"), Step::Held);
    }
    until("the fourth is kept", || office.count("n", "failed") == "1");
    assert_eq!(office.count("n", "refused"), "3");
    assert!(office.flush());
    assert_eq!(office.queued("n"), 3);
    assert_eq!(server.seen().len(), 4);
    // Somebody has mended it.
    let config = configured(office.dir.path(), &ntfy("n", &server.url(""), ""));
    office
        .notifications
        .configure(&config.notifiers, &[])
        .unwrap();
    let seen = server.wait_for(7);
    assert_eq!(seen[4].json()["title"], "t3 held on gpu-host");
    until("nothing is left", || office.queued("n") == 0);
}

#[test]
fn a_refusal_takes_a_token() {
    let no = Reply::With(400, "", "");
    let server = Server::start(&[no.clone(), no]);
    let office = Office::open(&ntfy("n", &server.url(""), "burst = 2\nmax_per_hour = 60"));
    for n in 1..3 {
        office.tell(&format!("t{n}"), Step::Held);
        until("it is refused", || {
            office.count("n", "refused") == n.to_string()
        });
    }
    office.tell("t3", Step::Held);
    assert!(office.flush());
    assert_eq!(server.seen().len(), 2, "the bucket is empty");
}

#[test]
fn faults_say_what_failed_on_what_and_never_where_the_token_is() {
    let refused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let said = fault(&ntfy(
        "n",
        &format!("http://127.0.0.1:{refused}/secret-path"),
        "",
    ));
    assert_eq!(said.kind, FailureKind::Later(None));
    let said = said.to_string();
    assert!(
        said.contains("cannot connect: Connection refused"),
        "{said}"
    );
    assert!(
        !said.contains("secret-path") && !said.contains("topic"),
        "{said}"
    );

    // A receiver that repeats what it was sent.
    let echo = Reply::With(403, "", "bad token tk_abcdef at /services/T0/B0/abcdef");
    let server = Server::start(&[echo, Reply::With(302, "location: /elsewhere\r\n", "")]);
    let dir = tempfile::tempdir().unwrap();
    let token = secret(dir.path(), "token", "tk_abcdef");
    let url = secret(dir.path(), "url", &server.url("/services/T0/B0/abcdef"));
    let config =
        format!("[notify.n]\ntype = 'webhook'\nurl_file = '{url}'\ntoken_file = '{token}'\n");
    let said = fault(&config);
    assert_eq!(said.kind, FailureKind::Setup);
    let (shown, port) = (said.to_string(), server.port);
    let expected = format!(
        "http://127.0.0.1:{port} answers 403: bad token *** at ***; see the token, and what it \
         may do"
    );
    assert_eq!(shown, expected);
    let said = fault(&config).to_string();
    assert!(said.contains("a redirect, which is not followed"), "{said}");
    assert_eq!(server.seen().len(), 2);

    let said = fault("[notify.n]\ntype = 'slack'\nurl_file = '/no/such/file'\n").to_string();
    assert!(
        said.starts_with("/no/such/file: cannot be opened"),
        "{said}"
    );
}

#[test]
fn one_that_is_down_is_tried_again_later_and_holds_up_no_other() {
    let down = Server::start(&[
        Reply::With(500, "", "oops"),
        Reply::With(503, "", ""),
        OK,
        OK,
    ]);
    let slow = Server::start(&[Reply::Hang]);
    let up = Server::start(&[]);
    let config = [
        ntfy("down", &down.url(""), ""),
        ntfy("slow", &slow.url(""), "timeout = '2m'"),
        ntfy("up", &up.url(""), ""),
    ];
    let office = Office::open(&config.concat());
    office.tell("a", Step::Held);
    office.tell("b", Step::Held);
    assert_eq!(up.wait_for(2).len(), 2);
    slow.wait_for(1);
    down.wait_for(1);
    until("the failure is counted", || {
        office.count("down", "failed") == "1"
    });
    // Not again before its time, however much comes.
    office.tell("c", Step::Held);
    up.wait_for(3);
    assert_eq!(down.seen().len(), 1);
    office.time.advance(Duration::from_secs(5));
    office.tell("d", Step::Held);
    down.wait_for(2);
    until("again", || office.count("down", "failed") == "2");
    office.time.advance(Duration::from_secs(10));
    office.tell("e", Step::Held);
    let seen = down.wait_for(7);
    until("all are out", || office.count("down", "sent") == "5");
    // The same message, until it was taken; then the others in their order.
    let ids: Vec<_> = seen
        .iter()
        .map(|s| s.json()["sequence_id"].clone())
        .collect();
    assert_eq!((&ids[0], &ids[1]), (&ids[1], &ids[2]));
    let titles: Vec<_> = seen[2..]
        .iter()
        .map(|s| s.json()["title"].clone())
        .collect();
    let order = ["a", "b", "c", "d", "e"].map(|t| format!("{t} held on gpu-host"));
    assert_eq!(titles, order);
    assert_eq!(office.queued("down"), 0);
}

#[test]
fn a_receiver_that_asks_to_wait_is_waited_for() {
    let busy = Reply::With(429, "retry-after: 120\r\n", "");
    let server = Server::start(&[busy]);
    let office = Office::open(&ntfy("n", &server.url(""), ""));
    office.tell("a", Step::Held);
    until("the failure is counted", || {
        office.count("n", "failed") == "1"
    });
    for (seconds, requests) in [(119, 1), (1, 2)] {
        office.time.advance(Duration::from_secs(seconds));
        office.tell("b", Step::Held);
        office.tell("c", Step::Released);
        server.wait_for(requests);
        assert!(office.flush());
        let seen = server.seen().len();
        assert_eq!(seen == 1, requests == 1, "{seen} requests");
    }
}

#[test]
fn what_the_receiver_does_not_want_is_not_tried_again() {
    let server = Server::start(&[Reply::With(400, "", "invalid_payload"), OK]);
    let office = Office::open(&ntfy("n", &server.url(""), ""));
    office.tell("a", Step::Held);
    until("it is counted", || office.count("n", "refused") == "1");
    office.tell("b", Step::Held);
    let seen = server.wait_for(2);
    assert_eq!(seen[1].json()["title"], "b held on gpu-host");
}
