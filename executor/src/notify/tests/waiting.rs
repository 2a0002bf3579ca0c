//! What waits: over crashes, reloads and clocks that are set, and where there is too much.

use super::server::{OK, Reply, Server};
use super::*;

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
    assert!(office.flush());
    assert_eq!(server.seen().len(), steps.len());
    assert_eq!(office.count("n", "repeated"), "0");
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
        assert!(office.flush());
    };
    configure(&ntfy("n", &url, "enabled = false"));
    assert_eq!(office.queued("n"), 1, "it waits");
    assert!(!super::super::dir(office.dir.path()).join("other").exists());
    assert_eq!(office.count("other", "dropped"), "1");
    configure(&ntfy("n", &url, ""));
    assert_eq!(server.wait_for(3)[2].json()["title"], "a held on gpu-host");
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
    assert!(office.flush());
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
    assert!(office.flush());
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
