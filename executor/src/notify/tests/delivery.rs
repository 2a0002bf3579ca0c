//! What goes out to whom, and how it looks there.

use serde_json::json;

use super::server::Server;
use super::*;

#[test]
fn a_step_reaches_ntfy_with_all_that_it_says() {
    let server = Server::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let token = secret(dir.path(), "token", "tk_secret\n");
    let url = server.url("/base/gpu-alerts");
    let config = format!(
        "[notify.phone]\ntype = 'ntfy'\nurl = '{url}'\ntoken_file = '{token}'\nsample = true\n"
    );
    let office = Office::open_in(dir, &config, START_MS);
    office.notifications.hear(Notice {
        at_ms: START_MS,
        container_id: Some("a5e0a5e0a5e0".into()),
        rule: Some("cuda-oom".into()),
        sample: Some("CUDA out of memory; api_key=abcdef0123456789".into()),
        figures: vec!["attempt 2 of 5".into()],
        next: "next possible restart in 5m".into(),
        ..notice("app", Step::Relapsed)
    });
    let seen = server.wait_for(1).remove(0);
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/base/"));
    assert_eq!(seen.header("authorization"), "Bearer tk_secret");
    assert_eq!(seen.header("content-type"), "application/json");
    let body = seen.json();
    assert_eq!(body["topic"], "gpu-alerts");
    assert_eq!(body["title"], "app relapsed on gpu-host");
    assert_eq!(body["priority"], 3);
    assert_eq!(body["tags"], json!(["warning", "relapsed"]));
    assert_eq!(body["sequence_id"].as_str().map(str::len), Some(32));
    assert_eq!(
        body["message"],
        "It has happened\n\
         Container: app (a5e0a5e0a5e0)\n\
         Rule: cuda-oom\n\
         Figures: attempt 2 of 5\n\
         Output: CUDA out of memory; api_key=[masked]\n\
         Next: next possible restart in 5m"
    );
    until("the queue is empty", || office.queued("phone") == 0);
    until("it is counted", || office.count("phone", "sent") == "1");
    assert_eq!(
        office.metric("healer_notifications_queued{notifier=\"phone\"}"),
        "0"
    );
}

fn ntfy(name: &str, server: &Server, more: &str) -> String {
    let url = server.url("/topic");
    format!("[notify.{name}]\ntype = 'ntfy'\nurl = '{url}'\n{more}\n")
}

#[test]
fn log_text_goes_only_to_those_who_may_have_it_and_is_not_even_stored_for_others() {
    let (may, may_not) = (
        Server::start(&[]),
        Server::start(&[super::server::Reply::With(500, "", "")]),
    );
    let config = ntfy("may", &may, "sample = true") + &ntfy("maynot", &may_not, "");
    let office = Office::open(&config);
    assert!(office.notifications.wants_samples());
    office.notifications.remember_sample(
        "app",
        "oom",
        &format!("token=abcdef0123456789 {}", "x".repeat(4_000)),
    );
    assert_eq!(
        office.notifications.sample("app", "xid"),
        None,
        "another rule"
    );
    assert_eq!(office.notifications.sample("ap", "oom"), None);
    let sample = office.notifications.sample("app", "oom");
    office.notifications.forget_samples("ap");
    assert!(office.notifications.sample("app", "oom").is_some());
    office.notifications.forget_samples("app");
    assert_eq!(
        office.notifications.sample("app", "oom"),
        None,
        "another incident"
    );
    office.notifications.hear(Notice {
        at_ms: START_MS,
        sample,
        ..notice("app", Step::Held)
    });
    let text = may.wait_for(1)[0].json()["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.contains("Output: token=[masked] x"), "{text}");
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix("Output: "))
        .unwrap();
    assert_eq!(line.chars().count(), 400);
    assert!(!may_not.wait_for(1)[0].body.contains("Output"));
    until("it waits", || office.queued("maynot") == 1);
    let queue = dir(office.dir.path()).join("maynot");
    let file = std::fs::read_dir(queue).unwrap().flatten().next().unwrap();
    let stored = std::fs::read_to_string(file.path()).unwrap();
    assert!(
        !stored.contains("masked") && !stored.contains("xxx"),
        "{stored}"
    );
    // Where nobody may have one, none is kept.
    let none = Office::open(&ntfy("n", &may_not, ""));
    none.notifications.remember_sample("app", "oom", "text");
    assert_eq!(none.notifications.sample("app", "oom"), None);
}

#[test]
fn in_quiet_hours_what_is_critical_goes_out_and_the_rest_follows_in_one_message() {
    let server = Server::start(&[]);
    // It is 16:47:30 UTC.
    let office = Office::open(&ntfy(
        "n",
        &server,
        "quiet = '16:00-17:00'\nmin_severity = 'info'",
    ));
    office.tell("a", Step::Failed);
    office.tell("b", Step::Relapsed);
    office.tell("c", Step::Held);
    office.tell("d", Step::Recovered);
    assert_eq!(server.wait_for(1)[0].json()["title"], "c held on gpu-host");
    until("the rest waits on disk", || office.queued("n") == 3);
    office.time.advance(Duration::from_secs(13 * 60));
    office.tell("e", Step::Recovered);
    let seen = server.wait_for(3);
    let digest = seen[1].json();
    assert_eq!(digest["title"], "3 messages of gpu-host");
    assert_eq!(digest["priority"], 4, "as the most severe in it");
    let text = digest["message"].as_str().unwrap();
    let lines: Vec<&str> = text.lines().take(3).collect();
    assert_eq!(
        lines[0],
        "2025-10-20T16:47:30Z a failed on gpu-host: It has happened"
    );
    assert!(lines[2].contains("d recovered on gpu-host"));
    assert_eq!(seen[2].json()["title"], "e recovered on gpu-host");
    until("nothing is left", || office.queued("n") == 0);
}

#[test]
fn a_rush_arrives_whole_in_few_messages() {
    let server = Server::start(&[super::server::Reply::With(500, "", "")]);
    let office = Office::open(&ntfy("n", &server, "burst = 3\nmax_per_hour = 60"));
    office.tell("t0", Step::Held);
    server.wait_for(1);
    for n in 1..120 {
        office.tell(&format!("t{n}"), Step::Held);
    }
    until("all are on disk", || office.queued("n") == 120);
    office.time.advance(Duration::from_secs(5));
    office.tell("last", Step::Held);
    // As many in each as a digest shows: the bucket has three tokens.
    let seen = server.wait_for(4);
    let texts: Vec<String> = seen[1..]
        .iter()
        .map(|s| s.json()["message"].as_str().unwrap().to_owned())
        .collect();
    for n in 0..120 {
        let title = format!(" t{n} held on gpu-host: It has happened");
        assert!(texts.iter().any(|text| text.contains(&title)), "t{n}");
    }
    until("nothing is left", || office.queued("n") == 0);
    assert_eq!(office.count("n", "dropped"), "0");
    office.tell("next", Step::Held);
    until("it waits for its token", || office.queued("n") == 1);
    office.time.advance(Duration::from_secs(60));
    office.tell("more", Step::Restarting);
    server.wait_for(5);
}

#[test]
fn what_repeats_is_told_once_in_its_cooldown_and_then_with_its_number() {
    let server = Server::start(&[]);
    let office = Office::open(&ntfy("n", &server, "cooldown = '5m'"));
    for _ in 0..3 {
        office.tell("a", Step::Relapsed);
    }
    office.tell("b", Step::Relapsed);
    server.wait_for(2);
    until("they are counted", || office.count("n", "repeated") == "2");
    office.time.advance(Duration::from_secs(300));
    office.tell("a", Step::Relapsed);
    let text = server.wait_for(3)[2].json()["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        text.contains("2 messages like this left out before it"),
        "{text}"
    );
}
