//! Agreeing the API version, with engines that cannot be had.

use healer::docker::{Docker, DockerError};
use policy::Called;

use super::{Blocking, LONG, block_on};
use crate::support::fake_engine::{FakeEngine, Fault};

fn targets(fake: &FakeEngine) -> Vec<String> {
    fake.requests()
}

#[test]
fn the_newest_version_that_both_speak_is_spoken_after_one_ping() {
    for (oldest, newest, spoken) in [
        ((1, 12), (1, 41), "1.41"),
        ((1, 44), (1, 44), "1.44"),
        ((1, 44), (1, 52), "1.52"),
        ((1, 44), (1, 99), "1.52"),
    ] {
        let fake = FakeEngine::speaking(oldest, newest);
        let client = Blocking::new(&fake.socket());
        fake.add("web");
        client.found("web");
        client.found("web");
        let path = format!("GET /v{spoken}/containers/web/json");
        assert_eq!(targets(&fake), ["GET /_ping", &path, &path]);
    }
}

#[test]
fn an_engine_upgraded_under_us_refuses_the_old_version_and_is_asked_again() {
    let fake = FakeEngine::speaking((1, 12), (1, 41));
    let client = Blocking::new(&fake.socket());
    let id = fake.add("web");
    client.found("web");
    fake.now_speaks((1, 44), (1, 52));
    // A restart too: what was refused has not happened.
    assert_eq!(client.restart(&id), Called::Done);
    assert_eq!(fake.with(&id, |web| web.starts), 1);
    assert_eq!(
        targets(&fake)[2..],
        [
            format!("POST /v1.41/containers/{id}/restart"),
            "GET /_ping".to_owned(),
            format!("POST /v1.52/containers/{id}/restart"),
        ]
    );
    client.found("web");
    assert_eq!(
        targets(&fake).last().unwrap(),
        "GET /v1.52/containers/web/json"
    );
}

#[test]
fn an_engine_downgraded_under_us_is_asked_again_too() {
    let fake = FakeEngine::speaking((1, 44), (1, 52));
    let client = Blocking::new(&fake.socket());
    fake.add("web");
    client.found("web");
    fake.now_speaks((1, 12), (1, 41));
    client.found("web");
    assert_eq!(
        targets(&fake).last().unwrap(),
        "GET /v1.41/containers/web/json"
    );
}

#[test]
fn where_the_ping_does_not_tell_the_refusal_does() {
    let fake = FakeEngine::speaking((1, 44), (1, 52));
    fake.without_api_header();
    fake.add("web");
    let client = Blocking::new(&fake.socket());
    client.found("web");
    assert_eq!(
        targets(&fake),
        [
            "GET /_ping",
            "GET /v1.41/containers/web/json",
            "GET /_ping",
            "GET /v1.44/containers/web/json",
        ]
    );
}

#[test]
fn engines_with_no_common_version_are_named_as_such() {
    for (oldest, newest, words) in [
        ((1, 12), (1, 40), "the engine speaks API 1.40 or older"),
        ((1, 60), (1, 61), "the engine speaks API 1.60 or newer"),
    ] {
        let fake = FakeEngine::speaking(oldest, newest);
        let client = Blocking::new(&fake.socket());
        let error = client.inspect("web").unwrap_err();
        assert!(matches!(error, DockerError::Version { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        match client.restart("web") {
            Called::Unclear { why } => assert!(why.contains(words), "{why}"),
            other => panic!("{other:?}"),
        }
        let restarts = fake
            .requests()
            .iter()
            .filter(|r| r.starts_with("POST"))
            .count();
        let refused = if newest < (1, 41) { 0 } else { 1 };
        assert_eq!(restarts, refused, "{:?}", fake.requests());
    }
}

#[test]
fn an_engine_that_refuses_every_version_is_not_asked_for_ever() {
    let fake = FakeEngine::start();
    let words = "client version 1.52 is too old. Minimum supported API version is 1.44";
    fake.fault(
        "/v1.",
        u32::MAX,
        Fault::Answer {
            status: 400,
            message: words.to_owned(),
            acts: false,
        },
    );
    let client = Blocking::new(&fake.socket());
    let error = client.inspect("web").unwrap_err();
    assert!(matches!(error, DockerError::Version { .. }), "{error:?}");
    assert_eq!(targets(&fake).len(), 4, "{:?}", targets(&fake));
}

#[test]
fn the_engine_says_what_it_is() {
    let fake = FakeEngine::start();
    let client = Blocking::new(&fake.socket());
    let version = block_on(client.0.version(LONG)).unwrap();
    assert_eq!(version.version, "29.0.0-fake");
    assert_eq!(version.api_version_min, "1.44");
    assert_eq!(client.0.api_version().unwrap().to_string(), "1.52");
}
