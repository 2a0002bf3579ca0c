//! What stays on disk, for how long, and what is not ours.

use super::*;

#[test]
fn old_bundles_go_by_age_and_foreign_files_stay() {
    on_one_thread(false, async || {
        let mut bench = Bench::new();
        let whole = || Fake::answering(vec![inspect(), memory(), logs(20)]);
        bench.gather(1, &whole()).await;
        let put = |name: &str| std::fs::write(bench.dir().join(name), "x").expect("written");
        for name in [
            "notes.txt",
            "1-x-app.json",
            ".healer-1-2.tmp",
            "1-2-app.json",
        ] {
            put(name);
        }
        // Charged so long ago at the first sweep, 61 s later at the second.
        bench.gather(2, &whole()).await;
        let others = [".healer-1-2.tmp", "1-x-app.json"];
        let expected = |bundles: &[u64]| {
            let mut names = others.map(str::to_owned).to_vec();
            names.extend(bundles.iter().map(|attempt| name_of(*attempt)));
            names.push("notes.txt".into());
            names.sort();
            names
        };
        assert_eq!(bench.files(), expected(&[1, 2]));
        bench.time.advance(Duration::from_secs(57));
        bench.again();
        assert_eq!(bench.evidence.masked(1, "environment-secret"), None);
        assert!(bench.evidence.flush(Duration::from_secs(10)).await);
        assert_eq!(bench.files(), expected(&[2]));
        assert_eq!(bench.evidence.path(&view(1)), None);
        assert!(bench.evidence.path(&view(2)).is_some());
    });
}

#[test]
fn beyond_the_most_bundles_the_oldest_go() {
    on_one_thread(false, async || {
        let bench = Bench::new();
        assert!(bench.evidence.flush(Duration::from_secs(10)).await);
        for attempt in 1..=store::FILES_MAX as u64 {
            std::fs::write(bench.dir().join(name_of(attempt)), "x").expect("written");
        }
        let newest = store::FILES_MAX as u64 + 1;
        bench
            .gather(
                newest,
                &Fake::answering(vec![inspect(), memory(), logs(20)]),
            )
            .await;
        let files = bench.files();
        assert_eq!(files.len(), store::FILES_MAX);
        assert!(files.contains(&name_of(newest)) && !files.contains(&name_of(1)));
    });
}

#[test]
fn a_directory_that_is_not_ours_is_left_alone_told_once_and_made_good_later() {
    on_one_thread(false, async || {
        let state = tempfile::tempdir().expect("a directory");
        let elsewhere = tempfile::tempdir().expect("a directory");
        symlink(elsewhere.path(), dir(state.path())).expect("made");
        let bench = Bench::in_dir(state);
        for attempt in 1..=2 {
            let docker = Fake::answering(vec![inspect(), memory(), logs(20)]);
            bench.gather(attempt, &docker).await;
        }
        let reports = std::mem::take(&mut *bench.reports.lock());
        let first: Vec<_> = reports.iter().filter(|r| r.starts_with("true ")).collect();
        assert_eq!(first.len(), 1, "{reports:?}");
        assert!(first[0].contains("a link is not followed"), "{reports:?}");
        assert_eq!(reports.iter().filter(|r| *r == "Failed").count(), 2);
        let planted = std::fs::read_dir(elsewhere.path())
            .expect("a directory")
            .count();
        assert_eq!(planted, 0);
        assert_eq!(bench.evidence.path(&view(1)), None);

        std::fs::remove_file(bench.dir()).expect("removed");
        bench
            .gather(3, &Fake::answering(vec![inspect(), memory(), logs(20)]))
            .await;
        assert_eq!(*bench.reports.lock(), ["Whole"]);
    });
}

#[test]
fn a_directory_that_is_open_to_others_is_closed_and_a_missing_state_directory_stays_missing() {
    on_one_thread(false, async || {
        let state = tempfile::tempdir().expect("a directory");
        let evidence = dir(state.path());
        std::fs::create_dir(&evidence).expect("made");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&evidence, open).expect("set");
        let bench = Bench::in_dir(state);
        assert!(bench.evidence.flush(Duration::from_secs(10)).await);
        let mode = std::fs::metadata(&evidence)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o700);

        std::fs::remove_dir_all(bench.state.path()).expect("removed");
        bench
            .gather(1, &Fake::answering(vec![inspect(), memory(), logs(20)]))
            .await;
        assert!(!bench.state.path().exists());
        let reports = bench.reports.lock().join("\n");
        assert!(reports.contains("cannot create the directory"), "{reports}");
    });
}

#[test]
fn a_panic_costs_one_bundle_and_its_name_is_not_waited_for() {
    on_one_thread(false, async || {
        let state = tempfile::tempdir().expect("a directory");
        let (clock, _time) = Clock::manual(Now {
            at: Timestamp(0),
            wall_ms: CHARGED_S * 1_000,
        });
        let settings = config::Evidence {
            keep_ms: Some(60_000),
            log_lines: 20,
        };
        let reports = Arc::<Mutex<Vec<String>>>::default();
        let told = Arc::clone(&reports);
        let report = move |report: Report| {
            let report = format!("{report:?}");
            let is_first = told.lock().is_empty();
            told.lock().push(report);
            assert!(!is_first, "a fault of our own");
        };
        let metrics = crate::metrics::Metrics::new().evidence();
        let evidence = Evidence::start(&settings, state.path(), clock, metrics, report);
        let evidence = evidence.expect("a thread");
        for attempt in 1..=2 {
            let docker = Fake::answering(vec![inspect(), memory(), logs(20)]);
            let collector = evidence.begin(&view(attempt), None).expect("the first");
            let half = collector.before(&docker).await.expect("taken");
            half.after(&docker).await;
            assert!(evidence.flush(Duration::from_secs(10)).await);
        }
        let reports = reports.lock().join("\n");
        assert!(reports.contains("Fault"), "{reports}");
        assert!(reports.ends_with("Ended(Whole)"), "{reports}");
    });
}
