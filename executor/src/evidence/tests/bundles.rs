//! Each attempt has one bundle: whole, with its commands, under its name.

use super::*;

#[test]
fn a_bundle_is_whole_private_and_named_where_it_is() {
    on_one_thread(false, async || {
        let bench = Bench::new();
        let attempt = view(1);
        assert_eq!(bench.evidence.path(&attempt), None);
        let mention = bench.evidence.mention(&attempt).expect("it is on");
        assert_eq!(mention.path(Duration::ZERO), None);

        let docker = Fake::answering(vec![inspect(), memory(), logs(20)]);
        bench.gather(1, &docker).await;

        let path = bench.dir().join(name_of(1));
        assert_eq!(bench.evidence.path(&attempt), Some(path.clone()));
        assert_eq!(mention.path(Duration::ZERO), Some(path.clone()));
        assert_eq!(bench.files(), [name_of(1)]);
        for (path, mode) in [(bench.dir(), 0o700), (path, 0o600)] {
            let meta = std::fs::metadata(path).expect("it is there");
            assert_eq!(meta.permissions().mode() & 0o7777, mode);
        }
        let bundle = bench.bundle(&name_of(1));
        assert_eq!(bundle["missing"], serde_json::json!([]));
        assert_eq!(bundle["logs"]["lines"][19]["text"], "19 [masked]");
        assert_eq!(*bench.reports.lock(), ["Whole"]);
    });
}

fn command(output: &str) -> Measured {
    Measured {
        measure: "exec 'reload'".into(),
        ended: "exit code 1".into(),
        exit_code: Some(1),
        took: Duration::from_millis(7),
        output: output.into(),
        is_cut: false,
    }
}

fn outputs(bundle: &Value) -> Vec<&str> {
    let commands = bundle["commands"].as_array().into_iter().flatten();
    commands.filter_map(|c| c["output"].as_str()).collect()
}

#[test]
fn commands_come_into_their_bundle_before_it_is_whole_and_after_with_the_same_secrets_masked() {
    on_one_thread(false, async || {
        let mut bench = Bench::new();
        let docker = Fake::answering(vec![inspect(), memory(), logs(20)]);
        let collector = bench.evidence.begin(&view(1), None).expect("the first");
        let half = collector.before(&docker).await.expect("taken");
        bench
            .evidence
            .measured(&view(1), command("first environment-secret"));
        half.after(&docker).await;
        bench
            .evidence
            .measured(&view(1), command("second environment-secret"));
        assert!(bench.evidence.flush(Duration::from_secs(10)).await);
        let bundle = bench.bundle(&name_of(1));
        assert_eq!(outputs(&bundle), ["first [masked]", "second [masked]"]);
        let shown = bench.evidence.masked(1, "environment-secret");
        assert_eq!(shown.as_deref(), Some("[masked]"));
        assert_eq!(bundle["logs"]["lines"][19]["text"], "19 [masked]");
        // Another process knows no secrets of the environment any more; all else is as before.
        bench.again();
        assert_eq!(bench.evidence.masked(1, "environment-secret"), None);
        bench
            .evidence
            .measured(&view(1), command("third password=x"));
        assert!(bench.evidence.flush(Duration::from_secs(10)).await);
        let again = bench.bundle(&name_of(1));
        assert_eq!(
            outputs(&again)[1..],
            ["second [masked]", "third password=[masked]"]
        );
        assert_eq!(again["logs"], bundle["logs"]);
        assert_eq!(again["container"], bundle["container"]);
        assert_eq!(*bench.reports.lock(), ["Whole"]);
    });
}

#[test]
fn a_command_of_an_attempt_without_a_bundle_gets_one_and_what_is_damaged_is_left_as_it_is() {
    on_one_thread(false, async || {
        let bench = Bench::new();
        bench.evidence.measured(&view(1), command("alone"));
        assert!(bench.evidence.flush(Duration::from_secs(10)).await);
        let bundle = bench.bundle(&name_of(1));
        assert_eq!(outputs(&bundle), ["alone"]);
        let missing = bundle["missing"].as_array().map(Vec::len);
        assert_eq!(missing, Some(3), "{bundle}");
        let mode = std::fs::metadata(bench.dir().join(name_of(1))).expect("there");
        assert_eq!(mode.permissions().mode() & 0o7777, 0o600);

        let damaged = bench.dir().join(name_of(2));
        std::fs::write(&damaged, "{").expect("written");
        bench.evidence.measured(&view(2), command("lost"));
        assert!(bench.evidence.flush(Duration::from_secs(10)).await);
        assert_eq!(std::fs::read_to_string(&damaged).expect("there"), "{");
        let told = bench.reports.lock().join(" ");
        assert!(
            told.contains("cannot be read back") && !told.contains("lost"),
            "{told}"
        );
        // Where it is switched off no container's secrets are known, and nothing is shown.
        assert_eq!(Evidence::off().masked(1, "token=x fine"), None);
        Evidence::off().measured(&view(1), command("x"));
    });
}

#[test]
fn an_attempt_has_one_bundle() {
    on_one_thread(false, async || {
        let bench = Bench::new();
        bench
            .gather(1, &Fake::answering(vec![inspect(), memory(), logs(20)]))
            .await;
        assert!(bench.evidence.begin(&view(1), None).is_none());
        assert!(bench.evidence.begin(&view(2), None).is_some());
        assert!(Evidence::off().begin(&view(1), None).is_none());
    });
}

#[test]
fn names_hold_only_what_a_name_may_and_no_more_than_there_is_room_for() {
    let named = |target: &str| {
        name(&Subject {
            target: target.into(),
            ..subject(&view(7))
        })
    };
    let at = CHARGED_S + 7;
    assert_eq!(named("app"), format!("{at}-7-app.json"));
    assert_eq!(named("../a/b\n"), format!("{at}-7-..ab.json"));
    assert!(named(&"x".repeat(500)).len() < 255);
    assert_eq!(charged_s(&named("a-1-b")), Some(at));
    for other in [
        "x.json",
        "1-2.json",
        "1-a-b.json",
        "-1-2-x.json",
        "1-2-x.txt",
        "",
    ] {
        assert_eq!(charged_s(other), None, "{other}");
    }
}
