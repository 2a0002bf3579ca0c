//! What the engine is asked for, and for how long.

use super::*;

fn too_large() -> Answered {
    let error = DockerError::TooLarge {
        what: "logs".into(),
        limit_bytes: 1,
    };
    ("logs", Err(error))
}

#[test]
fn a_reading_that_hangs_is_given_up_and_the_other_kept() {
    on_one_thread(true, async || {
        for (answers, missing) in [
            (vec![inspect()], vec!["memory"]),
            (vec![memory()], vec!["container"]),
            (vec![], vec!["container", "memory"]),
        ] {
            let bench = Bench::new();
            let collector = bench.evidence.begin(&view(1), None).expect("the first");
            let begin = Instant::now();
            let half = collector.before(&Fake::answering(answers)).await;
            assert_eq!(begin.elapsed(), BEFORE_MAX);
            assert!(half.is_some());
            let mention = bench.evidence.mention(&view(1)).expect("it is on");
            mention.path(Duration::from_secs(10)).expect("written");
            let bundle = bench.bundle(&name_of(1));
            let found = bundle["missing"].as_array().expect("a list");
            let found: Vec<_> = found.iter().filter_map(|m| m["what"].as_str()).collect();
            assert_eq!(found, [missing, vec!["logs"]].concat());
            let why = bundle["missing"][0]["why"].as_str().expect("words");
            assert!(why.contains("timed out after 200 ms"), "{why}");
            assert_eq!(bundle["read_ms"]["before_the_call"], 200);
        }
    });
}

#[test]
fn logs_that_hang_are_given_up() {
    on_one_thread(true, async || {
        let bench = Bench::new();
        let docker = Fake::answering(vec![inspect(), memory()]);
        let collector = bench.evidence.begin(&view(1), None).expect("the first");
        let half = collector.before(&docker).await.expect("taken");
        let begin = Instant::now();
        half.after(&docker).await;
        assert_eq!(begin.elapsed(), read::LOGS_MAX);
        tokio::time::resume();
        assert!(bench.evidence.flush(Duration::from_secs(10)).await);
        let why = bench.bundle(&name_of(1))["missing"][0]["why"].to_string();
        assert!(why.contains("timed out after 5000 ms"), "{why}");
        assert_eq!(*bench.reports.lock(), ["Partly"]);
    });
}

#[test]
fn logs_are_asked_for_until_there_are_enough_lines_that_are_not_too_long() {
    let gone = || {
        let error = DockerError::Status {
            what: "logs".into(),
            status: 500,
            message: "configured logging driver does not support reading".into(),
        };
        ("logs", Err(error))
    };
    for (answers, tails, lines) in [
        (vec![logs(20)], vec![20], Some(20)),
        (vec![logs(0), logs(25)], vec![20, 200], Some(20)),
        (
            vec![logs(3), logs(3), logs(3), logs(3)],
            vec![20, 200, 2_000, 10_000],
            Some(3),
        ),
        (
            vec![too_large(), too_large(), logs(1)],
            vec![20, 2, 1],
            Some(1),
        ),
        (
            vec![too_large(), too_large(), too_large()],
            vec![20, 2, 1],
            None,
        ),
        (vec![logs(3), too_large()], vec![20, 200], Some(3)),
        (vec![gone()], vec![20], None),
    ] {
        on_one_thread(false, async || {
            let bench = Bench::new();
            let docker = Fake::answering([vec![inspect(), memory()], answers].concat());
            bench.gather(1, &docker).await;
            assert_eq!(docker.tails(), tails);
            let bundle = bench.bundle(&name_of(1));
            let found = bundle["logs"]["lines"].as_array().map(Vec::len);
            assert_eq!(found, lines, "{bundle}");
        });
    }
}
