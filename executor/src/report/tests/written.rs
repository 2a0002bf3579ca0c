//! What is written, and what becomes of it.

use super::*;

#[test]
fn the_files_are_those_of_the_original_with_our_keys_after_its_own() {
    let bench = Bench::new();
    write_all(&bench.start(), [input(EPOCH)]);
    assert_eq!(bench.told(), (vec![], 0));
    let marker = format!("restart-{TARGET}-{EPOCH}.marker");
    assert_eq!(
        bench.names(),
        [
            "last_restart.json",
            &format!("{TARGET}.last_restart"),
            &format!("{TARGET}.restart_hist"),
            &marker,
            "restarts.log",
        ]
    );
    let expected = r#"{
  "timestamp": 1760978852,
  "iso_time": "2025-10-20T16:47:32Z",
  "host": "asp-gpu002",
  "target": "marieai-dev-server",
  "container_id": "a5e01e0d66b8",
  "cooldown_sec": 300,
  "window_sec": 600,
  "window_count": 2,
  "attempt": 7,
  "result": "restarted",
  "rule": "cuda-oom",
  "duration_ms": 2000
}
"#;
    assert_eq!(bench.text("last_restart.json"), expected);
    let log = bench.text("restarts.log");
    assert_eq!(log.lines().count(), 1);
    let parsed: serde_json::Value = serde_json::from_str(&log).expect("JSON");
    assert_eq!(
        parsed,
        serde_json::from_str::<serde_json::Value>(expected).expect("JSON")
    );
    assert_eq!(bench.text(&marker), log);
    assert_eq!(
        bench.text(&format!("{TARGET}.last_restart")),
        "1760978852\n"
    );
    assert_eq!(
        bench.text(&format!("{TARGET}.restart_hist")),
        "1760978452\n1760978852\n"
    );
}

#[test]
fn everybody_may_read_them_and_use_the_directory() {
    let bench = Bench::new();
    write_all(&bench.start(), [input(EPOCH)]);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    assert_eq!(mode(&bench.path), 0o1777);
    for name in bench.names() {
        assert_eq!(mode(&bench.file(&name)), 0o644, "{name}");
    }
}

#[test]
fn a_persons_request_leaves_out_what_is_not_known() {
    let bench = Bench::new();
    let mut request = input(EPOCH);
    (request.rule, request.duration_ms) = (None, None);
    request.container_id = "short".into();
    write_all(&bench.start(), [request]);
    let text = bench.text("last_restart.json");
    assert!(text.ends_with("\"result\": \"restarted\"\n}\n"), "{text}");
    assert!(text.contains("\"container_id\": \"short\""), "{text}");
}

#[test]
fn a_charge_that_restarted_nothing_counts_and_is_told_and_is_no_restart() {
    for (result, word) in [
        (CallResult::Failed, "failed"),
        (CallResult::Unknown, "unknown"),
        (CallResult::Aborted, "aborted"),
    ] {
        let bench = Bench::new();
        let mut charge = input(EPOCH + 300);
        charge.result = result;
        charge.hist = vec![EPOCH, EPOCH + 300];
        write_all(&bench.start(), [input(EPOCH), charge]);
        assert_eq!(bench.told(), (vec![], 0));
        let log = bench.text("restarts.log");
        let newest = log.lines().last().expect("two lines");
        let newest: serde_json::Value = serde_json::from_str(newest).expect("JSON");
        assert_eq!(newest["result"], word);
        assert_eq!(newest["timestamp"], EPOCH + 300);
        let of_target = |end: &str| bench.text(&format!("{TARGET}{end}"));
        let both = format!("{EPOCH}\n{}\n", EPOCH + 300);
        assert_eq!(of_target(".restart_hist"), both);
        assert_eq!(of_target(".last_restart"), format!("{}\n", EPOCH + 300));
        let last: serde_json::Value =
            serde_json::from_str(&bench.text("last_restart.json")).expect("JSON");
        assert_eq!(last["timestamp"], EPOCH);
        let marker = format!("restart-{TARGET}-{}.marker", EPOCH + 300);
        assert!(!bench.names().contains(&marker));
    }
}

#[test]
fn times_are_utc_and_never_overflow() {
    assert_eq!(iso_utc(0), "1970-01-01T00:00:00Z");
    assert_eq!(iso_utc(EPOCH), "2025-10-20T16:47:32Z");
    assert_eq!(iso_utc(253_402_300_799), "9999-12-31T23:59:59Z");
    assert_eq!(iso_utc(u64::MAX), "9999-12-31T23:59:59Z");
}

#[test]
fn the_log_is_rotated_just_before_it_would_grow_beyond_its_size() {
    let bench = Bench::new();
    write_all(&bench.start(), [input(EPOCH)]);
    let line = bench.text("restarts.log").len() as u64;
    for (rotate_bytes, lines) in [(2 * line, [2, 2, 1]), (2 * line - 1, [1, 1, 1])] {
        let bench = Bench::new();
        let settings = config::Reports {
            rotate_bytes,
            ..bench.settings()
        };
        write_all(
            &bench.start_with(settings),
            (0..5).map(|n| input(EPOCH + n)),
        );
        assert_eq!(bench.told(), (vec![], 0));
        let epochs = |name: &str| -> Vec<u64> {
            let parse = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
            let epoch = |line| parse(line)["timestamp"].as_u64().expect("a number");
            bench.text(name).lines().map(epoch).collect()
        };
        let files = ["restarts.log.2", "restarts.log.1", "restarts.log"];
        let found: Vec<u64> = files.iter().flat_map(|name| epochs(name)).collect();
        assert_eq!(files.map(|name| epochs(name).len()), lines);
        let kept = found.len() as u64;
        assert_eq!(found, (EPOCH + 5 - kept..EPOCH + 5).collect::<Vec<_>>());
        assert!(!bench.file("restarts.log.3").exists());
    }
}

#[test]
fn without_rotated_files_the_log_begins_anew() {
    let bench = Bench::new();
    let settings = config::Reports {
        rotate_bytes: 1,
        rotated_files: 0,
        ..bench.settings()
    };
    write_all(
        &bench.start_with(settings),
        (0..3).map(|n| input(EPOCH + n)),
    );
    assert_eq!(bench.text("restarts.log").lines().count(), 1);
    assert!(
        !bench
            .names()
            .iter()
            .any(|name| name.starts_with("restarts.log."))
    );
}

#[test]
fn half_a_line_of_somebody_else_stays_theirs() {
    let bench = Bench::with_dir();
    fs::write(bench.file("restarts.log"), "half").expect("written");
    write_all(&bench.start(), [input(EPOCH)]);
    let log = bench.text("restarts.log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[0], "half");
    assert!(lines[1].starts_with('{') && log.ends_with("}\n"), "{log}");
}

#[test]
fn markers_are_removed_when_older_than_they_are_kept_and_other_files_are_not() {
    let bench = Bench::with_dir();
    let marker = |epoch: u64| format!("restart-other-{epoch}.marker");
    // The input's own clock stands 2 s after its epoch.
    let edge = EPOCH + 2 - 3600;
    let others = [
        "restart-x.marker",
        "restart-other-1.marker.bak",
        "x.stopped",
        "resume-x",
    ];
    for name in others
        .iter()
        .map(|n| (*n).to_owned())
        .chain([marker(edge), marker(edge - 1)])
    {
        fs::write(bench.file(&name), "").expect("written");
    }
    write_all(&bench.start(), [input(EPOCH)]);
    assert!(bench.file(&marker(edge)).exists());
    assert!(!bench.file(&marker(edge - 1)).exists());
    for name in others {
        assert!(bench.file(name).exists(), "{name}");
    }
    assert_eq!(bench.told(), (vec![], 0));
}

#[test]
fn forgotten_temporary_files_are_removed_after_an_hour() {
    let bench = Bench::with_dir();
    let set = |name: &str, age_s: u64| {
        let file = fs::File::create(bench.file(name)).expect("made");
        let modified = std::time::UNIX_EPOCH + Duration::from_secs(EPOCH + 2 - age_s);
        file.set_modified(modified).expect("set");
    };
    set(".healer-1-1.tmp", 3601);
    set(".healer-1-2.tmp", 3600);
    write_all(&bench.start(), [input(EPOCH)]);
    assert!(!bench.file(".healer-1-1.tmp").exists());
    assert!(bench.file(".healer-1-2.tmp").exists());
}

#[test]
fn a_directory_that_was_cleaned_away_is_made_again() {
    let bench = Bench::new();
    let reports = bench.start();
    write_all(&reports, [input(EPOCH)]);
    fs::remove_dir_all(&bench.path).expect("removed");
    write_all(&reports, [input(EPOCH + 1)]);
    assert_eq!(
        bench.text(&format!("{TARGET}.last_restart")),
        "1760978853\n"
    );
    assert_eq!(bench.told(), (vec![], 0));
}

#[test]
fn switched_off_nothing_is_written() {
    let bench = Bench::new();
    let reports = bench.start_with(config::Reports {
        dir: None,
        ..bench.settings()
    });
    write_all(&reports, [input(EPOCH)]);
    assert!(!bench.path.exists());
}

#[test]
fn a_slow_disk_holds_nobody_up_and_what_is_left_out_is_told() {
    let bench = Bench::with_dir();
    let (held, gate) = (Arc::new(Mutex::new(())), Arc::clone(&bench.problems));
    let waiting = Arc::clone(&held);
    let blocked = held.lock();
    // The thread stands still in the first problem that it tells.
    fs::create_dir(bench.file("restarts.log")).expect("made");
    let reports = Reports::start(bench.settings(), move |problem| {
        drop(waiting.lock());
        gate.lock().push(problem);
    })
    .expect("a thread");
    let handed_over = 3 * QUEUE_MAX as u64;
    for n in 0..handed_over {
        reports.write(input(EPOCH + n));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let brief = reports.flush(Duration::from_millis(20));
    assert!(
        !runtime.expect("a runtime").block_on(brief),
        "nothing moves"
    );
    drop(blocked);
    assert!(flush(&reports));
    fs::remove_dir(bench.file("restarts.log")).expect("removed");
    write_all(&reports, [input(EPOCH)]);
    let left_out: u64 = bench
        .problems
        .lock()
        .iter()
        .filter_map(|problem| match problem.error {
            ReportError::Behind { left_out } => Some(left_out as u64),
            _ => None,
        })
        .sum();
    let taken = handed_over - left_out;
    let queue = QUEUE_MAX as u64;
    assert!((queue..=queue + 1).contains(&taken), "{taken} were taken");
    let (told, _) = bench.told();
    let words = |words: &&String| words.contains("restarts were left out");
    assert!(
        (1..=2).contains(&told.iter().filter(words).count()),
        "{told:?}"
    );
}
