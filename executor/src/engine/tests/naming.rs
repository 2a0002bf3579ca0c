//! `healer pause` and `healer resume` of names that nobody knows.

use executor_api::{AdminAnswer, ExitCode};
use serde_json::json;

use super::*;

async fn pause(bench: &Bench, name: &str) -> AdminAnswer {
    let request = AdminRequest::Pause {
        target: Some(name.to_owned()),
        seconds: Some(60),
        reason: None,
    };
    bench.handle.admin(request).await
}

async fn resume(bench: &Bench, name: &str) -> AdminAnswer {
    let target = Some(name.to_owned());
    bench.handle.admin(AdminRequest::Resume { target }).await
}

#[test]
fn a_mistyped_name_is_paused_and_told_with_the_one_that_was_meant() {
    on_one_thread(async || {
        let bench = Bench::start();
        bench.site.watched.borrow_mut().insert("gpu-worker".into());
        let known = pause(&bench, "gpu-worker").await;
        assert_eq!(known.message, "Paused 'gpu-worker' for 60s.");
        let data = json!({"target": "gpu-worker", "known": true, "nearest": null});
        assert_eq!((known.code, known.data), (ExitCode::Done, data));

        let unknown = pause(&bench, "gpu-wroker").await;
        let (first, hint) = unknown.message.split_once('\n').expect("two lines");
        assert_eq!(first, "Paused 'gpu-wroker' for 60s.");
        assert!(hint.contains("Did you mean 'gpu-worker'?"), "{hint}");
        let data = json!({"target": "gpu-wroker", "known": false, "nearest": "gpu-worker"});
        assert_eq!((unknown.code, unknown.data), (ExitCode::Done, data));

        // Once more: being paused makes it no better known.
        let again = pause(&bench, "gpu-wroker").await;
        assert_eq!(again.message, unknown.message);
    });
}

#[test]
fn resuming_a_name_that_nobody_knows_is_told_unless_its_pause_was_ended() {
    on_one_thread(async || {
        let bench = Bench::start();
        bench.site.watched.borrow_mut().insert("gpu-worker".into());
        pause(&bench, "gpu-wroker").await;
        pause(&bench, "gpu-worker").await;
        let ended = resume(&bench, "gpu-wroker").await;
        assert_eq!(ended.message, "Ended the pause of 'gpu-wroker'.");
        assert_eq!(ended.data["known"], false);

        let nothing = resume(&bench, "gpu-wroker").await;
        assert_eq!(
            (nothing.code, &*nothing.message),
            (
                ExitCode::Done,
                "'gpu-wroker' is neither paused nor held.\nNo target or watched container by the \
                 name 'gpu-wroker' is known now. Did you mean 'gpu-worker'?"
            )
        );
        assert_eq!(nothing.data["nearest"], "gpu-worker");
        resume(&bench, "gpu-worker").await;
        let known = resume(&bench, "gpu-worker").await;
        assert_eq!(known.message, "'gpu-worker' is neither paused nor held.");
        // A container that its label has off is known, too.
        let off = policy::Off {
            gate: policy::Gate::NotEnabled,
            why: String::new(),
        };
        bench.site.off.borrow_mut().insert("left-alone".into(), off);
        let off = resume(&bench, "left-alone").await;
        assert_eq!(off.data["known"], true);
        assert_eq!(off.message, "'left-alone' is neither paused nor held.");
    });
}
