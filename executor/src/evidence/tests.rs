//! Reading and storing: in time, once, private, and gone when its time is over.

use std::cell::RefCell;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use parking_lot::Mutex;
use policy::{Call, Called, Limits, Now, Timestamp};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::clock::ManualTime;
use crate::dependencies::Member;
use crate::docker::{ApiVersion, Docker, DockerError, EngineVersion, Inspected, Ran, Reading};

const CHARGED_S: u64 = 1_760_978_852;
const NEVER: Duration = Duration::from_secs(1_000_000);

/// What is asked for, by its first word, and the reply.
type Answered = (&'static str, Result<Vec<u8>, DockerError>);

/// Answers readings from a list; a reading without an answer hangs.
#[derive(Default)]
struct Fake {
    answers: RefCell<Vec<Answered>>,
    asked: RefCell<Vec<Reading>>,
}

impl Fake {
    fn answering(answers: Vec<Answered>) -> Self {
        Self {
            answers: RefCell::new(answers),
            ..Self::default()
        }
    }

    fn tails(&self) -> Vec<u32> {
        let tail = |reading: &Reading| match reading {
            Reading::Logs { tail, .. } => Some(*tail),
            _ => None,
        };
        self.asked.borrow().iter().filter_map(tail).collect()
    }
}

impl Docker for Fake {
    async fn read(&self, what: &Reading, _: Duration) -> Result<Vec<u8>, DockerError> {
        self.asked.borrow_mut().push(what.clone());
        let shown = what.to_string();
        let answer = {
            let mut answers = self.answers.borrow_mut();
            let at = answers.iter().position(|(of, _)| shown.starts_with(of));
            at.map(|at| answers.remove(at).1)
        };
        match answer {
            Some(answer) => answer,
            None => {
                tokio::time::sleep(NEVER).await;
                unreachable!("nobody waits so long")
            }
        }
    }

    async fn ping(&self, _: Duration) -> Result<ApiVersion, DockerError> {
        unreachable!("not asked for")
    }

    async fn version(&self, _: Duration) -> Result<EngineVersion, DockerError> {
        unreachable!("not asked for")
    }

    async fn inspect(&self, _: &str, _: Duration) -> Result<Option<Inspected>, DockerError> {
        unreachable!("not asked for")
    }

    async fn exec(&self, _: &str, _: &[String], _: Duration) -> Ran {
        unreachable!("no remedy runs a command here")
    }

    async fn members(&self, _: Duration) -> Result<Vec<Member>, DockerError> {
        unreachable!("not asked for")
    }

    async fn call(&self, _: Call, _: &str, _: Duration, _: Option<i64>) -> Called {
        unreachable!("not asked for")
    }
}

struct Bench {
    state: TempDir,
    time: ManualTime,
    clock: Clock,
    reports: Arc<Mutex<Vec<String>>>,
    evidence: Evidence,
}

impl Bench {
    fn new() -> Self {
        Self::in_dir(tempfile::tempdir().expect("a directory"))
    }

    fn in_dir(state: TempDir) -> Self {
        let (clock, time) = Clock::manual(Now {
            at: Timestamp(0),
            wall_ms: CHARGED_S * 1_000 + 5_000,
        });
        let reports = Arc::<Mutex<Vec<String>>>::default();
        let evidence = start(state.path(), &clock, &reports);
        Self {
            state,
            time,
            clock,
            reports,
            evidence,
        }
    }

    /// As after a restart of the executor.
    fn again(&mut self) {
        self.evidence = start(self.state.path(), &self.clock, &self.reports);
    }

    fn dir(&self) -> PathBuf {
        dir(self.state.path())
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir()).expect("a directory");
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<String> = entries
            .map(name)
            .map(|name| name.into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    fn bundle(&self, name: &str) -> Value {
        let text = std::fs::read(self.dir().join(name)).expect("it is there");
        serde_json::from_slice(&text).expect("JSON")
    }

    async fn gather(&self, attempt: u64, docker: &Fake) {
        let collector = self
            .evidence
            .begin(&view(attempt), None)
            .expect("the first");
        if let Some(half) = collector.before(docker).await {
            half.after(docker).await;
        }
        assert!(self.evidence.flush(Duration::from_secs(10)).await);
    }
}

fn start(state: &Path, clock: &Clock, reports: &Arc<Mutex<Vec<String>>>) -> Evidence {
    let settings = config::Evidence {
        keep_ms: Some(60_000),
        log_lines: 20,
    };
    let metrics = crate::metrics::Metrics::new().evidence();
    let reports = Arc::clone(reports);
    let report = move |report| {
        reports.lock().push(match report {
            Report::Ended(written) => format!("{written:?}"),
            Report::Problem { error, is_first } => format!("{is_first} {error}"),
        });
    };
    Evidence::start(&settings, state, clock.clone(), metrics, report).expect("a thread")
}

fn view(attempt: u64) -> AttemptView {
    AttemptView {
        attempt,
        target: "app".into(),
        container_id: "a5e0".repeat(16),
        rule: Some("cuda-oom".into()),
        line: None,
        charged_wall_ms: (CHARGED_S + attempt) * 1_000,
        sent_wall_ms: None,
        restarted_wall_ms: None,
        duration_ms: None,
        ended_wall_ms: None,
        what: "in-progress",
        outcome: None,
        gate: None,
        detail: String::new(),
        measures: vec![MeasureView::Exec("reload".into()), MeasureView::Restart],
        stepped: None,
        limits: Limits {
            cooldown_ms: 0,
            window_ms: 1_000,
            max_per_window: 1,
        },
        window_count: 1,
        window_epochs: Vec::new(),
        shadow: false,
    }
}

fn name_of(attempt: u64) -> String {
    format!("{}-{attempt}-app.json", CHARGED_S + attempt)
}

fn inspect() -> Answered {
    let json = r#"{"Config": {"Env": ["A_TOKEN=environment-secret"]}}"#;
    ("inspect", Ok(json.into()))
}

fn memory() -> Answered {
    ("memory", Ok(r#"{"memory_stats": {"usage": 1}}"#.into()))
}

fn logs(lines: usize) -> Answered {
    let line = |n| format!("2025-10-20T16:47:31Z {n} environment-secret\n");
    ("logs", Ok((0..lines).map(line).collect::<String>().into()))
}

fn too_large() -> Answered {
    let error = DockerError::TooLarge {
        what: "logs".into(),
        limit_bytes: 1,
    };
    ("logs", Err(error))
}

fn on_one_thread(paused: bool, test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(paused)
        .build()
        .expect("a runtime");
    runtime.block_on(test());
}

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
