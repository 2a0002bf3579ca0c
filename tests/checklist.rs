//! The original sidecar's checklist: its seven scenarios, each with what a user
//! types here, on a real engine, the real executor and a real Fluent Bit.
//!
//! Limits are the defaults, as they were the original's. Rate limiting is tried
//! with the cooldown set to 0: with the defaults the cooldown answers first.

mod sidecar;

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::engine::{Container, Engine, Spec, engine};
use crate::support::healer::{Executor, Setup, now};
use crate::support::tools::{fluent_bit, program, run, skipped};
use sidecar::FluentBit;

struct Checklist {
    engine: &'static Engine,
    executor: Executor,
    /// `marieai-dev-server`
    target: Container,
}

#[test]
fn the_originals_seven_scenarios() {
    let Some(engine) = engine() else { return };
    let target = engine.run("marieai-dev-server", &Spec::app());
    let by_fluent_bit = engine.run("by-fluent-bit", &Spec::app());
    let by_fluentd = engine.run("by-fluentd", &Spec::app());
    let setup = [&target, &by_fluent_bit, &by_fluentd]
        .into_iter()
        .fold(Setup::with_the_defaults(engine.socket()), |setup, c| {
            setup.target(&c.name)
        });
    let executor = Executor::start(setup.with_http());
    let checklist = Checklist {
        engine,
        executor,
        target,
    };

    let fluent_bit = checklist.health_endpoint(&by_fluent_bit);
    checklist.engine_access();
    checklist.manual_restart();
    checklist.rate_limit();
    if fluent_bit.is_some() {
        checklist.gpu_error_in_the_log(&by_fluent_bit);
    }
    checklist.gpu_error_from_fluentd(&by_fluentd);
    checklist.persistent_state(&by_fluentd);
    checklist.cooldown();
}

impl Checklist {
    /// 1. `curl -s http://127.0.0.1:2020/api/v1/health`
    fn health_endpoint(&self, container: &Container) -> Option<FluentBit> {
        assert_eq!(self.executor.http("/healthz"), (200, "ok\n".into()));
        let Some(program) = fluent_bit() else {
            skipped(
                "the checklist's scenarios 1 and 5 with Fluent Bit",
                "no fluent-bit was found",
            );
            return None;
        };
        let socket = self.executor.path("intents/intents.sock");
        let mut fluent_bit = FluentBit::start(&program, &socket, container);
        fluent_bit.eventually_answers("/api/v1/health", "ok");
        Some(fluent_bit)
    }

    /// 2. `healer check`, and what the original's user typed:
    ///    `curl --unix-socket /var/run/docker.sock http://localhost/_ping`
    fn engine_access(&self) {
        let check = self.executor.cli(&["check"]);
        assert_eq!(check.code, Some(0), "{check:?}");
        let engine = format!("ok    engine: {}: Docker ", self.engine.socket().display());
        assert!(check.stdout.contains(&engine), "{check:?}");
        let Some(curl) = program("curl") else {
            return skipped(
                "the checklist's scenario 2 with curl",
                "curl is not installed",
            );
        };
        let out = run(Command::new(curl)
            .args(["-s", "--unix-socket"])
            .arg(self.engine.socket())
            .arg("http://localhost/_ping"));
        assert_eq!(out.stdout, b"OK");
    }

    /// 3. `TARGET_CONTAINER=marieai-dev-server COOLDOWN_SEC=0 restart.sh`
    fn manual_restart(&self) {
        let started_before = self.target.started_at();
        let lines = self.restart_sh(&[("COOLDOWN_SEC", "0")]);
        let restarting = format!("Restarting container '{}' ...", self.target.name);
        assert_eq!(lines.len(), 2, "{lines:?}");
        for (line, words) in lines.iter().zip([restarting.as_str(), "Restart complete."]) {
            assert!(
                line.starts_with("[restart.sh] 20") && line.ends_with(words),
                "{lines:?}"
            );
        }
        assert_ne!(self.target.started_at(), started_before);
        // ls -l /tmp/marie-healer/ && tail -n 3 /tmp/marie-healer/restarts.log
        let log = self.executor.report("restarts.log");
        let last: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("JSON");
        assert_eq!(last["target"], self.target.name.as_str());
        assert_eq!(last["cooldown_sec"], 0, "the request's own limit");
    }

    /// 4. The same, five times within a few seconds.
    fn rate_limit(&self) {
        for attempt in 2..=6 {
            let lines = self.restart_sh(&[("COOLDOWN_SEC", "0")]);
            match attempt {
                2..=4 => assert_eq!(lines.len(), 2, "restart {attempt}: {lines:?}"),
                _ => assert_eq!(
                    lines,
                    ["[restart.sh] Max restarts (4) in last 600s reached — skipping."]
                ),
            }
        }
    }

    /// 5. A line in the container's log.
    fn gpu_error_in_the_log(&self, container: &Container) {
        let started_before = container.started_at();
        let line = r#"{"log": "RuntimeError: CUDA out of memory", "stream": "stderr"}"#;
        let script = r#"printf '%s\n' "$1" >> "$2""#;
        let log = container.log_path();
        run(Command::new("sh")
            .args(["-c", script, "sh", line])
            .arg(&log));
        container.eventually("a restart", |state| {
            state["Status"] == "running" && state["StartedAt"] != *started_before
        });
        self.executor
            .eventually_logs(&format!("Restarting container '{}' ...", container.name));
    }

    /// 5, for those who keep Fluentd: its exec output calls `trigger_restart.sh`.
    fn gpu_error_from_fluentd(&self, container: &Container) {
        let started_before = container.started_at();
        let records = self.executor.path("records.json");
        let line = "{\"log\": \"RuntimeError: CUDA out of memory\", \"stream\": \"stderr\"}\n";
        std::fs::write(&records, line).expect("written");
        let mut script = self.script(
            "trigger_restart.sh",
            &[("TARGET_CONTAINER", &container.name)],
        );
        run(script.arg(&records));
        container.eventually("a restart", |state| {
            state["Status"] == "running" && state["StartedAt"] != *started_before
        });
    }

    /// 6. `cat /tmp/marie-healer/last_restart.json | jq`, `ls -l /tmp/marie-healer/restart-*`
    fn persistent_state(&self, latest: &Container) {
        let last = self
            .executor
            .eventually("the report of the latest restart", |it| {
                let last: Value =
                    serde_json::from_str(&it.report("last_restart.json")).expect("JSON");
                (last["target"] == latest.name.as_str()).then_some(last)
            });
        let epoch = last["timestamp"].as_u64().expect("seconds");
        assert!(
            now() - Duration::from_secs(epoch) < Duration::from_secs(60),
            "{last}"
        );
        for (key, value) in [
            ("cooldown_sec", 300),
            ("window_sec", 600),
            ("window_count", 1),
        ] {
            assert_eq!(last[key], value, "{last}");
        }
        assert_eq!(last["container_id"], latest.id[..12]);
        assert!(
            last["iso_time"].is_string() && last["host"].is_string(),
            "{last}"
        );
        let reports = self.executor.reports();
        let marker = format!("restart-{}-{epoch}.marker", latest.name);
        assert!(reports.contains(&marker), "{reports:?}");
    }

    /// 7. Again, at once: the cooldown is active.
    fn cooldown(&self) {
        let lines = self.restart_sh(&[]);
        let line = lines.join("\n");
        assert!(line.starts_with("[restart.sh] Cooldown active ("), "{line}");
        assert!(line.ends_with("s < 300s) — skipping."), "{line}");
    }

    fn restart_sh(&self, env: &[(&str, &str)]) -> Vec<String> {
        let mut script = self.script("restart.sh", env);
        let out = run(script.env("TARGET_CONTAINER", &self.target.name));
        String::from_utf8_lossy(&out.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// A script of `conf/`, run as the sidecar of the original ran its own.
    fn script(&self, name: &str, env: &[(&str, &str)]) -> Command {
        let mut command = Command::new("sh");
        command
            .arg(format!("{}/conf/{name}", env!("CARGO_MANIFEST_DIR")))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HEALER", self.executor.program())
            .env("HEALER_CONFIG", self.executor.path("healer.toml"))
            .envs(env.iter().copied());
        command
    }
}
