//! Commands that ask a running executor.

use serde_json::{Value, json};

use super::support::{Place, err, out, run, serve};

/// Runs a command against an executor that answers with this; the request, too.
fn ask(args: &[&str], answer: Value) -> (i32, String, String, Value) {
    let place = Place::new();
    let sent = serve(&place.path("admin/admin.sock"), move |_| {
        Some(answer.clone())
    });
    let output = run(&mut place.healer(args), b"");
    let request = sent.lock().unwrap()[0].clone();
    (
        output.status.code().unwrap(),
        out(&output),
        err(&output),
        request,
    )
}

#[test]
fn requests_say_what_was_asked_for() {
    for (args, expected) in [
        (&["status"][..], json!({"v":1,"type":"status"})),
        (
            &["history"],
            json!({"v":1,"type":"history","target":null,"limit":20}),
        ),
        (
            &["history", "app", "-n", "5"],
            json!({"v":1,"type":"history","target":"app","limit":5}),
        ),
        (
            &[
                "history",
                "--target",
                "app",
                "--rule",
                "oom",
                "--outcome",
                "failed",
                "--since",
                "2026-01-01T00:00:00Z",
            ],
            json!({"v":1,"type":"history","target":"app","limit":20,"rule":"oom","what":"failed","since":1767225600}),
        ),
        (
            &["stats"],
            json!({"v":1,"type":"stats","target":null,"rule":null,"since":null}),
        ),
        (
            &["pause", "--all", "--for", "2h", "--reason", "new driver"],
            json!({"v":1,"type":"pause","target":null,"seconds":7200,"reason":"new driver"}),
        ),
        (
            &["pause"],
            json!({"v":1,"type":"pause","target":null,"seconds":null}),
        ),
        (
            &["pause", "app", "--for", "1h"],
            json!({"v":1,"type":"pause","target":"app","seconds":3600}),
        ),
        (
            &["resume", "app"],
            json!({"v":1,"type":"resume","target":"app"}),
        ),
        (
            &["resume", "--all"],
            json!({"v":1,"type":"resume","target":null}),
        ),
        (
            &["pause", "/app"],
            json!({"v":1,"type":"pause","target":"app","seconds":null}),
        ),
        (
            &["resume", "/app"],
            json!({"v":1,"type":"resume","target":"app"}),
        ),
        (
            &["history", "/app"],
            json!({"v":1,"type":"history","target":"app","limit":20}),
        ),
        (
            &["stats", "--target", "/app"],
            json!({"v":1,"type":"stats","target":"app","rule":null,"since":null}),
        ),
        (
            &[
                "restart",
                "/app",
                "--cooldown",
                "0",
                "--max-per-window",
                "2",
            ],
            json!({"v":1,"type":"restart","target":"app","cooldown_sec":0,"window_sec":null,"max_per_window":2}),
        ),
    ] {
        let answer = json!({"v":1,"code":0,"message":"done","data":null});
        let (code, _, said, request) = ask(args, answer);
        assert_eq!(code, 0, "{args:?}: {said}");
        assert_eq!(request, expected);
    }
}

#[test]
fn the_answers_code_is_the_exit_code() {
    for (code, on_stdout) in [(0, true), (1, false), (2, false), (3, true)] {
        let answer = json!({"v":1,"code":code,"message":"Cooldown active (45s < 300s)"});
        let (got, out, err, _) = ask(&["restart", "app"], answer);
        assert_eq!(got, code);
        let said = if on_stdout { out } else { err };
        assert!(said.contains("Cooldown active (45s < 300s)"), "{said}");
        assert_eq!(said.ends_with("— skipping.\n"), code == 3, "{said}");
    }
}

#[test]
fn json_gives_the_whole_answer() {
    let answer = json!({"v":1,"code":3,"message":"no","data":{"gate":"cooldown"}});
    let (code, out, _, _) = ask(&["restart", "--json", "app"], answer);
    assert_eq!(code, 3);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        shown,
        json!({"code":3,"message":"no","data":{"gate":"cooldown"}})
    );
}

#[test]
fn an_answer_that_is_not_understood_is_a_failure() {
    let (code, _, err, _) = ask(&["status"], json!({"v":1,"id":"","decision":"error"}));
    assert_eq!(code, 1);
    assert!(err.contains("the answer is not understood"), "{err}");
}

#[test]
fn an_executor_that_does_not_run_is_said() {
    let place = Place::new();
    for args in [&["status"][..], &["history"], &["pause"], &["resume"]] {
        let output = run(&mut place.healer(args), b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(
            err(&output).contains("is `healer run` running?"),
            "{}",
            err(&output)
        );
    }
}
