//! Containers of tests: what they do, and handles that remove them.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Engine, eventually};

/// What a test container does.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    command: Vec<String>,
    labels: Vec<(String, String)>,
    env: Vec<String>,
    tty: bool,
    stop_timeout: Option<i64>,
    health: Option<Value>,
    host: Value,
}

impl Spec {
    /// An application that ends at SIGTERM at once.
    pub(crate) fn app() -> Self {
        Self::command(&["/app"])
    }

    /// An application that hears no SIGTERM: only the stop timeout ends it.
    pub(crate) fn deaf_app() -> Self {
        Self::command(&["/app", "deaf"])
    }

    /// Any command of the image.
    pub(crate) fn command(words: &[&str]) -> Self {
        Self {
            command: words.iter().map(ToString::to_string).collect(),
            labels: Vec::new(),
            env: Vec::new(),
            tty: false,
            stop_timeout: None,
            health: None,
            host: json!({}),
        }
    }

    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// A variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// With a terminal: one stream, without frames.
    pub(crate) fn tty(mut self) -> Self {
        self.tty = true;
        self
    }

    /// `Config.StopTimeout`, seconds.
    pub(crate) fn stop_timeout(mut self, seconds: i64) -> Self {
        self.stop_timeout = Some(seconds);
        self
    }

    /// Healthy while the file `/sick` does not exist; asked every `interval`.
    pub(crate) fn health_check(self, interval: Duration) -> Self {
        self.health_command("test ! -e /sick", interval)
    }

    /// Healthy while this succeeds; asked every `interval`.
    pub(crate) fn health_command(mut self, command: &str, interval: Duration) -> Self {
        self.health = Some(json!({
            "Test": ["CMD-SHELL", command],
            "Interval": u64::try_from(interval.as_nanos()).expect("short"),
            "Retries": 1,
        }));
        self
    }

    /// Any field of `HostConfig`, such as `Binds`.
    pub(crate) fn host_config(mut self, field: &str, value: Value) -> Self {
        self.host[field] = value;
        self
    }

    pub(super) fn to_json(&self, image: &str) -> Value {
        let mut host = self.host.clone();
        // Private engines have no bridge, and the tests need no network.
        if host.get("NetworkMode").is_none() {
            host["NetworkMode"] = json!("none");
        }
        // Whatever the machine's default is: tests read this log.
        if host.get("LogConfig").is_none() {
            host["LogConfig"] = json!({"Type": "json-file"});
        }
        let labels: serde_json::Map<String, Value> = self
            .labels
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect();
        let mut body = json!({
            "Image": image, "Cmd": self.command, "Labels": labels, "HostConfig": host,
            "Env": self.env, "Tty": self.tty,
        });
        if let Some(seconds) = self.stop_timeout {
            body["StopTimeout"] = json!(seconds);
        }
        if let Some(health) = &self.health {
            body["Healthcheck"] = health.clone();
        }
        body
    }
}

/// A container of a test, removed with this handle.
#[derive(Debug)]
pub(crate) struct Container {
    engine: Engine,
    pub(crate) id: String,
    pub(crate) name: String,
}

impl Container {
    pub(super) fn new(engine: Engine, id: &str, name: &str) -> Self {
        Self {
            engine,
            id: id.to_owned(),
            name: name.to_owned(),
        }
    }

    /// `GET /containers/{id}/json`
    pub(crate) fn inspect(&self) -> Value {
        self.engine
            .request("GET", &format!("/containers/{}/json", self.id), None)
    }

    /// `State.StartedAt`, as the engine writes it.
    pub(crate) fn started_at(&self) -> String {
        let inspect = self.inspect();
        inspect["State"]["StartedAt"]
            .as_str()
            .expect("a time")
            .to_owned()
    }

    /// `State.Status`
    pub(crate) fn status(&self) -> String {
        let inspect = self.inspect();
        inspect["State"]["Status"]
            .as_str()
            .expect("a status")
            .to_owned()
    }

    /// The main process's id on the host.
    pub(crate) fn pid(&self) -> u32 {
        let pid = self.inspect()["State"]["Pid"].as_u64().expect("a number");
        u32::try_from(pid).expect("a process id")
    }

    /// The Docker JSON log file on this machine.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.inspect()["LogPath"].as_str().expect("a path").into()
    }

    pub(crate) fn start(&self) {
        self.post("start");
    }

    /// At once: the application is not asked.
    pub(crate) fn stop(&self) {
        self.post("stop?t=0");
    }

    pub(crate) fn pause(&self) {
        self.post("pause");
    }

    pub(crate) fn unpause(&self) {
        self.post("unpause");
    }

    fn post(&self, verb: &str) {
        self.engine
            .request("POST", &format!("/containers/{}/{verb}", self.id), None);
    }

    /// Prints a line to the container's log, as its main process would.
    pub(crate) fn print(&self, line: &str) {
        self.exec(&[
            "sh",
            "-c",
            r#"printf '%s\n' "$1" > /proc/1/fd/1"#,
            "sh",
            line,
        ]);
    }

    /// Runs a command inside and returns what it printed, once it has ended.
    pub(crate) fn exec(&self, command: &[&str]) -> String {
        let body = json!({"Cmd": command, "AttachStdout": true, "AttachStderr": true, "Tty": true});
        let created = self.engine.request(
            "POST",
            &format!("/containers/{}/exec", self.id),
            Some(&body),
        );
        let id = created["Id"].as_str().expect("an id");
        let path = format!("/exec/{id}/start");
        let (status, output) = self
            .engine
            .try_request("POST", &path, Some(&json!({"Detach": false, "Tty": true})))
            .expect("the engine runs it");
        let output = String::from_utf8_lossy(&output).into_owned();
        assert!(status == 200 || status == 101, "{status} {output}");
        let ended = self
            .engine
            .request("GET", &format!("/exec/{id}/json"), None);
        assert_eq!(ended["ExitCode"], json!(0), "{command:?}: {output}");
        output
    }

    /// Polls until `State` is as wanted; panics with the last one seen.
    pub(crate) fn eventually(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        eventually(&format!("{what} of {}", self.name), || {
            last = self.inspect();
            wanted(&last["State"]).then(|| last.clone())
        })
    }

    /// Removes it now, running or not.
    pub(crate) fn remove(&self) {
        let path = format!("/containers/{}?force=1&v=1", self.id);
        self.engine.request("DELETE", &path, None);
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may be gone, and so may its engine: both are fine.
        let path = format!("/containers/{}?force=1&v=1", self.id);
        let _gone = self.engine.try_request("DELETE", &path, None);
    }
}
