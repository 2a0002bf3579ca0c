//! Reading and storing: in time, once, private, and gone when its time is over.

mod bundles;
mod files;
mod reading;

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

fn on_one_thread(paused: bool, test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(paused)
        .build()
        .expect("a runtime");
    runtime.block_on(test());
}
