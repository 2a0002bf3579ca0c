//! The configuration of an executor under test.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::ports::free_port;

/// What to configure. Every key of `conf/healer.toml` can be set.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// Key to value; a JSON string, number or bool is a TOML one too.
    keys: BTreeMap<String, Value>,
    pub(super) http_port: Option<u16>,
    pub(super) uid: Option<u32>,
}

impl Setup {
    /// Limits so short that tests are quick, and no others in the way.
    pub(crate) fn new(docker_socket: &Path) -> Self {
        Self::with_the_defaults(docker_socket)
            .set("defaults.cooldown", "1s")
            .set("defaults.window", "60s")
            .set("defaults.max_per_window", 100)
            .set("defaults.stable_for", "1s")
            .set("defaults.backoff", 1)
            .set("defaults.max_attempts", 1_000)
            .set("policy.host_max", 10_000)
            .set("policy.storm_attempts", 0)
            .set("policy.storm_targets", 0)
            .without_triggers()
    }

    /// What Docker says about containers is no trigger.
    fn without_triggers(self) -> Self {
        self.set("defaults.unhealthy_checks", 0)
            .set("defaults.died", "off")
            .set("defaults.oom_killed", false)
            .set("defaults.crash_loop_starts", 0)
    }

    /// The limits that are in force where none are set.
    pub(crate) fn with_the_defaults(docker_socket: &Path) -> Self {
        let setup = Self {
            keys: BTreeMap::new(),
            http_port: None,
            uid: None,
        };
        setup
            .set("docker_socket", docker_socket.to_str().expect("UTF-8"))
            .set("http.listen", "off")
    }

    /// Sets a key, as in `defaults.cooldown`.
    pub(crate) fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.keys.insert(key.to_owned(), value.into());
        self
    }

    /// Takes a key back.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.keys.remove(key);
        self
    }

    /// Lists a target.
    pub(crate) fn target(self, name: &str) -> Self {
        self.set_for(name, "enabled", true)
    }

    /// Sets a key of one target.
    pub(crate) fn set_for(self, name: &str, key: &str, value: impl Into<Value>) -> Self {
        self.set(&format!("targets.{}.{key}", json!(name)), value)
    }

    /// With the HTTP endpoint, on a port that was free just now.
    pub(crate) fn with_http(mut self) -> Self {
        let port = free_port();
        self.http_port = Some(port);
        self.set("http.listen", format!("127.0.0.1:{port}"))
    }

    /// Runs as another user. Only root can ask for that.
    pub(crate) fn run_by(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// The file, for an executor whose directory this is.
    pub(super) fn to_toml(&self, dir: &Path) -> String {
        let at = |name: &str| dir.join(name).to_str().expect("UTF-8").to_owned();
        let places = [
            ("intents_socket", at("intents/intents.sock")),
            ("admin_socket", at("admin/admin.sock")),
            ("state_dir", at("state")),
            ("report_dir", at("reports")),
        ];
        let places = places.map(|(key, path)| (key.to_owned(), json!(path)));
        let mut keys: BTreeMap<String, Value> = places.into();
        keys.extend(self.keys.clone());
        keys.iter()
            .map(|(key, value)| format!("{key} = {}\n", inline(value)))
            .collect()
    }
}

/// A JSON value in TOML's notation.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| format!("{key} = {}", inline(value));
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        simple => simple.to_string(),
    }
}
