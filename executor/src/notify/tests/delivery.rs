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
         Log line: CUDA out of memory; api_key=[masked]\n\
         Next: next possible restart in 5m"
    );
    until("the queue is empty", || office.queued("phone") == 0);
    until("it is counted", || office.count("phone", "sent") == "1");
    assert_eq!(
        office.metric("healer_notifications_queued{notifier=\"phone\"}"),
        "0"
    );
}
