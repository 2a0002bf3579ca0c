//! Maintenance on real parts: a window of the calendar, its end by a reload, the
//! label, and labels that mean nothing.

use serde_json::{Value, json};

use super::{assert_answer, assert_started, eventually_restarted, healing, plain};
use crate::support::engine::Spec;
use crate::support::healer::{Setup, by_id, oom};

/// A window that is open now, for the containers of this pattern.
fn open_now(pattern: &str) -> Value {
    json!([{
        "name": "new drivers",
        "reason": "by hand",
        "targets": [pattern],
        "from": "2026-01-01T00:00:00Z",
        "until": "2999-01-01T00:00:00Z",
    }])
}

#[test]
fn a_window_holds_back_what_it_names_until_it_is_over() {
    let with_window = |setup: Setup| setup.set("maintenance", open_now("*window-*"));
    let Some((engine, mut executor, container)) = healing("window-a", &Spec::app(), with_window)
    else {
        return;
    };
    let before = container.started_at();
    let answer = executor.decide(&oom(by_id(&container.id)));
    assert_answer(
        &answer,
        "pending",
        "maintenance",
        "Maintenance 'new drivers' for another",
    );
    assert_answer(&answer, "pending", "maintenance", ": by hand");
    let status = executor.status();
    assert_eq!(status["windows"][0]["name"], "new drivers", "{status}");
    assert!(status["windows"][0]["until"].is_u64(), "{status}");
    assert_eq!(status["held_back"][0]["target"], container.name.as_str());
    assert!(status["held_back"][0]["decided_at"].is_u64(), "{status}");
    assert_eq!(
        executor.target(&container.name)["blocked_by"],
        "maintenance"
    );
    let person = executor.cli(&["restart", &container.name]);
    assert_eq!(person.code, Some(3), "{person:?}");

    // What waits knows nothing of it across a restart of the executor, either.
    executor.kill();
    executor.start_again();
    executor.eventually_is(&container.name, "pending");
    assert_started(engine, &container, 1);

    executor.reconfigure(|setup| setup.set("maintenance", open_now("another")));
    executor.reload();
    eventually_restarted(&container, &before);
    executor.eventually_tells(&container.name, "recovered");
    assert_eq!(executor.status()["held_back"], json!([]));
    assert_started(engine, &container, 2);
}

#[test]
fn the_label_holds_back_and_a_mistyped_one_is_told_with_what_was_meant() {
    let spec = Spec::app()
        .label("healer.maintenance", "true")
        .label("healer.cooldwn", "1h");
    let Some((engine, executor, container)) = healing("window-label", &spec, plain) else {
        return;
    };
    let answer = executor.decide(&oom(by_id(&container.id)));
    assert_answer(
        &answer,
        "refused",
        "maintenance",
        "Label healer.maintenance of",
    );
    let log = executor.eventually_logs("healer.cooldwn is not known");
    assert!(log.contains("did you mean healer.cooldown?"), "{log}");
    let check = executor.cli(&["check"]);
    let said = "unknown label \"healer.cooldwn\"";
    assert!(check.stdout.contains(said), "{check:?}");
    assert_started(engine, &container, 1);
}
