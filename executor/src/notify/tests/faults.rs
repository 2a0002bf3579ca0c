//! Receivers that are down, slow, hostile or busy; crashes; and what the queue
//! makes of it.

use super::server::{OK, Reply, Server};
use super::*;

fn ntfy(name: &str, url: &str, more: &str) -> String {
    format!("[notify.{name}]\ntype = 'ntfy'\nurl = '{url}/topic'\n{more}\n")
}

/// What a try of the only notifier fails with.
fn fault(config: &str) -> Failure {
    let dir = tempfile::tempdir().unwrap();
    let notifier = notifiers(dir.path(), config).remove(0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local
        .block_on(&runtime, trial(&notifier, "h", START_MS))
        .unwrap_err()
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
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let begun = Instant::now();
        let local = tokio::task::LocalSet::new();
        let sent = local.block_on(&runtime, trial(&notifier, "h", START_MS));
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
fn a_wall_clock_that_is_set_mutes_nobody_and_gives_nothing_up() {
    let server = Server::start(&[]);
    let office = Office::open(&ntfy("n", &server.url(""), "max_age = '1h'"));
    office.tell("a", Step::Relapsed);
    server.wait_for(1);
    // Set back by a day: ten minutes later the cooldown is over.
    office.time.set_wall_ms(START_MS - 24 * 3_600_000);
    office.time.advance(Duration::from_secs(600));
    office.tell("a", Step::Relapsed);
    server.wait_for(2);
    // Set forward while something waits.
    let down = Server::start(&[Reply::With(500, "", "")]);
    let office = Office::open_in(
        tempfile::tempdir().unwrap(),
        &ntfy("n", &down.url(""), "max_age = '1h'"),
        1_000,
    );
    office.tell("b", Step::Held);
    until("a try was made", || office.count("n", "failed") == "1");
    office.time.set_wall_ms(START_MS);
    office.time.advance(Duration::from_secs(5));
    office.tell("c", Step::Held);
    let seen = down.wait_for(3);
    assert_eq!(seen[1].json()["title"], "b held on gpu-host");
    assert_eq!(office.count("n", "expired"), "0");
}

#[test]
fn a_new_incident_is_told_within_the_cooldown_of_the_last() {
    let server = Server::start(&[]);
    let office = Office::open(&ntfy("n", &server.url(""), "cooldown = '1h'"));
    let steps = [
        ("a", Step::Escalated),
        ("a", Step::Released),
        ("a", Step::Escalated),
        ("", Step::Storm),
        ("", Step::StormEnded),
        ("", Step::Storm),
        ("b", Step::Detected),
        ("b", Step::Recovered),
        ("b", Step::Detected),
    ];
    for (target, step) in steps {
        office.tell(target, step);
    }
    assert!(futures_flush(&office));
    assert_eq!(server.seen().len(), steps.len());
    assert_eq!(office.count("n", "repeated"), "0");
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
    assert!(futures_flush(&office));
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
    assert!(futures_flush(&office));
    assert_eq!(server.seen().len(), 2, "the bucket is empty");
}

#[test]
fn what_waits_for_one_that_is_switched_off_stays_and_of_one_that_is_gone_is_counted() {
    let server = Server::start(&vec![Reply::With(503, "", ""); 2]);
    let url = server.url("");
    let office = Office::open(&(ntfy("n", &url, "") + &ntfy("other", &url, "")));
    office.tell("a", Step::Held);
    until("both tried", || {
        office.count("n", "failed") == "1" && office.count("other", "failed") == "1"
    });
    let configure = |config: &str| {
        let config = configured(office.dir.path(), config);
        let (on, off) = (&config.notifiers, &config.notifiers_off);
        office.notifications.configure(on, off).unwrap();
        assert!(futures_flush(&office));
    };
    configure(&ntfy("n", &url, "enabled = false"));
    assert_eq!(office.queued("n"), 1, "it waits");
    assert!(!super::super::dir(office.dir.path()).join("other").exists());
    assert_eq!(office.count("other", "dropped"), "1");
    configure(&ntfy("n", &url, ""));
    assert_eq!(server.wait_for(3)[2].json()["title"], "a held on gpu-host");
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
        assert!(futures_flush(&office));
        let seen = server.seen().len();
        assert_eq!(seen == 1, requests == 1, "{seen} requests");
    }
}

/// Waits until all that can be sent now is.
fn futures_flush(office: &Office) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(office.notifications.flush(WAIT_MAX))
}

#[test]
fn what_waits_outlives_the_executor_and_arrives_in_order_with_the_same_ids() {
    let down = Server::start(&[Reply::With(500, "", "")]);
    let config = ntfy("n", &down.url(""), "");
    let office = Office::open(&config);
    office.tell("a", Step::Held);
    office.tell("b", Step::Held);
    office.tell("c", Step::Held);
    until("all are on disk", || office.queued("n") == 3);
    until("a try was made", || office.count("n", "failed") == "1");
    let first = down.seen().remove(0).json()["sequence_id"].clone();
    let dir = office.close();
    // A file that a power cut has torn, and one of nobody's.
    let queue = super::super::dir(dir.path()).join("n");
    let newest = std::fs::read_dir(&queue)
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .max();
    std::fs::write(newest.unwrap(), "{\"message\": {").unwrap();
    std::fs::write(queue.join("notes.txt"), "mine").unwrap();

    let office = Office::open_in(dir, &config, START_MS + 60_000);
    let seen = down.wait_for(3);
    until("two are out", || office.count("n", "sent") == "2");
    until("one is dropped", || office.count("n", "dropped") == "1");
    assert_eq!(seen[1].json()["sequence_id"], first);
    assert_eq!(seen[2].json()["title"], "b held on gpu-host");
    office.tell("d", Step::Held);
    let last = down.wait_for(4).remove(3).json()["message"].clone();
    let last = last.as_str().unwrap();
    assert!(
        last.starts_with("(1 message before this one never arrived"),
        "{last}"
    );
    until("what is not ours stays", || office.queued("n") == 1);
}

#[test]
fn what_cannot_be_put_into_a_digest_is_counted_and_mentioned_in_it() {
    let server = Server::start(&[Reply::With(500, "", "")]);
    let office = Office::open(&ntfy("n", &server.url(""), "burst = 1"));
    office.tell("a", Step::Held);
    until("a try was made", || office.count("n", "failed") == "1");
    for target in ["b", "c", "d"] {
        office.tell(target, Step::Held);
    }
    assert!(futures_flush(&office));
    let queue = super::super::dir(office.dir.path()).join("n");
    let torn = std::fs::read_dir(&queue).unwrap().flatten();
    let torn = torn.map(|entry| entry.path()).max();
    std::fs::write(torn.unwrap(), "{").unwrap();
    office.time.advance(Duration::from_secs(5));
    office.tell("e", Step::Held);
    let body = server.wait_for(2).remove(1).json();
    assert_eq!(body["title"], "4 messages of gpu-host");
    let text = body["message"].as_str().unwrap();
    assert!(
        text.starts_with("(1 message before this one never arrived"),
        "{text}"
    );
    assert_eq!(office.count("n", "dropped"), "1");
    until("the queue is empty", || office.queued("n") == 0);
}

#[test]
fn a_full_queue_loses_the_oldest_of_the_least_severe_and_says_so_once() {
    let server = Server::start(&[Reply::With(500, "", "")]);
    let office = Office::open(&ntfy("n", &server.url(""), "queue_max = 3"));
    office.tell("a", Step::Held);
    until("a try was made", || office.count("n", "failed") == "1");
    office.tell("b", Step::Restarting);
    office.tell("c", Step::Failed);
    office.tell("d", Step::Restarting);
    // Its own turn: there is nothing less severe.
    office.tell("e", Step::Recovered);
    assert!(futures_flush(&office));
    assert_eq!(office.count("n", "dropped"), "2");
    assert_eq!(office.queued("n"), 3);
    office.time.advance(Duration::from_secs(5));
    office.tell("f", Step::Storm);
    let seen = server.wait_for(3);
    let text = |n: usize| seen[n].json()["message"].as_str().unwrap().to_owned();
    assert!(
        text(1).starts_with("(3 messages before this one never arrived"),
        "{}",
        text(1)
    );
    assert!(!text(2).contains("never arrived"), "{}", text(2));
}

#[test]
fn what_cannot_go_out_for_too_long_is_given_up_and_told() {
    let server = Server::start(&[Reply::With(500, "", ""), OK]);
    let office = Office::open(&ntfy("n", &server.url(""), "max_age = '1m'"));
    office.tell("a", Step::Held);
    until("a try was made", || office.count("n", "failed") == "1");
    office.time.advance(Duration::from_millis(60_001));
    office.tell("b", Step::Held);
    let seen = server.wait_for(2);
    until("it is counted", || office.count("n", "expired") == "1");
    let body = seen[1].json();
    assert_eq!(body["title"], "b held on gpu-host");
    let text = body["message"].as_str().unwrap();
    assert!(
        text.contains("1 message before this one never arrived"),
        "{text}"
    );
    until("the queue is empty", || office.queued("n") == 0);
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

#[test]
fn a_reload_takes_up_new_notifiers_and_lets_old_ones_go() {
    let (old, new) = (Server::start(&[]), Server::start(&[]));
    let wrong = Server::start(&[Reply::With(401, "", "")]);
    let office = Office::open("");
    assert!(!office.notifications.is_on());
    let configure = |config: &[String]| {
        let config = configured(office.dir.path(), &config.concat());
        let (on, off) = (&config.notifiers, &config.notifiers_off);
        office.notifications.configure(on, off).unwrap();
    };
    configure(&[
        ntfy("old", &old.url(""), ""),
        ntfy("token", &wrong.url(""), ""),
    ]);
    assert!(office.notifications.is_on());
    office.tell("a", Step::Held);
    old.wait_for(1);
    until("the failure is counted", || {
        office.count("token", "failed") == "1"
    });
    // What waits for the mended one goes out at once; the other's queue goes.
    configure(&[
        ntfy("new", &new.url(""), ""),
        ntfy("token", &new.url(""), ""),
    ]);
    office.tell("b", Step::Held);
    let titles: Vec<_> = new
        .wait_for(3)
        .iter()
        .map(|s| s.json()["title"].clone())
        .collect();
    assert!(titles.contains(&"a held on gpu-host".into()), "{titles:?}");
    assert_eq!(old.seen().len(), 1);
    assert_eq!(office.count("old", "sent"), "", "its series are gone");
    until("its queue is gone", || {
        !super::super::dir(office.dir.path()).join("old").exists()
    });
    configure(&[]);
    assert!(!office.notifications.is_on());
}

#[test]
fn more_than_can_be_taken_in_is_left_out_and_counted() {
    let server = Server::start(&[]);
    let office = Office::open(&ntfy(
        "n",
        &server.url(""),
        "queue_max = 10000\nburst = 1000",
    ));
    let told = 20_000;
    for n in 0..told {
        office.tell(&format!("t{n}"), Step::Held);
    }
    server.wait_for(1);
    office.tell("last", Step::Held);
    until("it is counted", || {
        office.metric("healer_notifications_left_out_total") != "0"
    });
}
