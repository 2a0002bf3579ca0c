//! From an intent to what people are told of it, through the whole engine.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::config::Sources;
use crate::notify::Notifications;

/// One container, which starts anew when it is told to.
#[derive(Debug)]
struct Obedient {
    started_at: Cell<WallTime>,
}

impl Docker for Obedient {
    async fn ping(&self, _: Duration) -> Result<ApiVersion, DockerError> {
        Ok(ApiVersion::OLDEST)
    }

    async fn version(&self, _: Duration) -> Result<EngineVersion, DockerError> {
        std::future::pending().await
    }

    async fn inspect(&self, _: &str, _: Duration) -> Result<Option<Inspected>, DockerError> {
        Ok(Some(Inspected {
            id: "a5e0".repeat(16),
            name: "app".into(),
            state: ContainerState::Running,
            started_at: Some(self.started_at.get()),
            finished_at: None,
            health: None,
            labels: BTreeMap::from([("healer.enable".into(), "true".into())]),
            stop_timeout_s: None,
            network: Default::default(),
            exit: Default::default(),
        }))
    }

    async fn exec(&self, _: &str, _: &[String], _: Duration) -> crate::docker::Ran {
        unreachable!("no remedy runs a command here")
    }

    async fn members(&self, _: Duration) -> Result<Vec<Member>, DockerError> {
        Ok(Vec::new())
    }

    async fn read(&self, _: &Reading, _: Duration) -> Result<Vec<u8>, DockerError> {
        std::future::pending().await
    }

    async fn call(&self, _: Call, _: &str, _: Duration, _: Option<i64>) -> Called {
        self.started_at.set(WallTime {
            secs: now_s(),
            nanos: Some(0),
        });
        Called::Done
    }
}

/// A notifier that appends each message to a file, and that file.
fn notifications(state: &State, clock: crate::clock::Clock) -> (Notifications, std::path::PathBuf) {
    let dir = state.path.join("desk");
    std::fs::create_dir(&dir).expect("new");
    let (script, told) = (dir.join("note"), dir.join("told"));
    std::fs::write(&script, "#!/bin/sh\n{ cat; echo; } >> \"$1\"\n").expect("written");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&script, mode).expect("ours");
    let file = dir.join("healer.toml");
    let (script, shown) = (script.display(), told.display());
    let config = format!(
        "[notify.desk]\ntype = 'command'\ncommand = ['{script}', '{shown}']\nsample = true\ncooldown = 0\n"
    );
    std::fs::write(&file, config).expect("written");
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    let config = Config::load(&sources).expect("valid");
    let metrics = crate::metrics::Metrics::new().notify();
    let started = Notifications::start(
        &config.notifiers,
        &config.notifiers_off,
        &state.path,
        "gpu-host".into(),
        clock,
        metrics,
    );
    (started.expect("a thread"), told)
}

fn told(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().map(serde_json::from_str);
    lines.map_while(Result::ok).collect()
}

fn steps(file: &Path) -> Vec<String> {
    let step = |m: &Value| m["step"].as_str().map(str::to_owned);
    told(file).iter().filter_map(step).collect()
}

fn line(n: usize) -> Intent {
    Intent {
        target: TargetRef::Name("app".into()),
        sample: "RuntimeError: CUDA out of memory".into(),
        ..intent(n)
    }
}

#[test]
fn each_step_of_an_incident_is_told_with_its_figures() {
    on_one_thread(async || {
        let state = State::new();
        let opened = state.open();
        let clock = opened.clock.clone();
        let docker = Rc::new(Obedient {
            started_at: Cell::new(WallTime {
                secs: 1_760_000_000,
                nanos: Some(0),
            }),
        });
        let plain = parts(opened, Rc::default());
        let (notifications, file) = notifications(&state, clock);
        let mut settings = plain.settings;
        settings.policy.defaults.recovery.stable_for_ms = 200;
        let parts = Parts {
            settings,
            docker,
            journal: plain.journal,
            journal_failing: false,
            records: plain.records,
            clock: plain.clock,
            procs: plain.procs,
            site: plain.site,
            reports: plain.reports,
            evidence: plain.evidence,
            notifications,
        };
        let (handle, inbox) = Engine::<Obedient>::inbox();
        let (stop, stopped) = oneshot::channel::<()>();
        let engine = spawn_local(Engine::new(parts).run(inbox, async {
            let _ = stopped.await;
        }));
        let answer = handle.intent(line(1), peer()).await;
        assert_eq!(answer.decision, Decision::Restart);
        eventually("recovery is told", || steps(&file).len() == 3).await;
        let first = told(&file);
        assert_eq!(steps(&file), ["detected", "restarting", "recovered"]);
        let incident = &first[0]["incident"];
        assert!(first.iter().all(|m| m["incident"] == *incident));
        for message in &first {
            assert_eq!(message["target"], "app");
            assert_eq!(message["sample"], "RuntimeError: CUDA out of memory");
            assert_eq!(message["host"], "gpu-host");
        }
        assert_eq!(first[0]["rule"], "cuda-oom");
        assert_eq!(
            first[1]["figures"],
            serde_json::json!(["attempt 1 of 5", "restart 1 of 4 within 10m"])
        );
        // Another match within the cooldown is put off, and says until when.
        let answer = handle.intent(line(2), peer()).await;
        assert_eq!(answer.decision, Decision::Pending);
        eventually("the delay is told", || steps(&file).len() >= 4).await;
        let last = told(&file).remove(3);
        assert_ne!(last["incident"], *incident);
        let detail = last["detail"].as_str().expect("text");
        assert!(
            detail.starts_with("Rule cuda-oom matches; put off: Cooldown active ("),
            "{detail}"
        );
        let next = last["next"].as_str().expect("text");
        assert!(next.starts_with("decided again in "), "{next}");
        assert_eq!(last["step"], "detected", "of a new incident");
        // And once more: a step of that one.
        handle.intent(line(3), peer()).await;
        eventually("it is told", || steps(&file).len() == 5).await;
        assert_eq!(steps(&file)[4], "pending");
        drop(stop);
        engine.await.expect("no panic");
    });
}
