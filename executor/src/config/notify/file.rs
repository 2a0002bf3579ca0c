//! `[notify.NAME]` as written: every key optional, unknown keys refused. Which
//! keys belong to which type is `kinds`' part.

use std::path::PathBuf;

use serde::Deserialize;

use super::super::values::Millis;
use crate::notify::Severity;

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct NotifierSection {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) enabled: Option<bool>,
    pub(super) min_severity: Option<Severity>,
    pub(super) steps: Option<Vec<String>>,
    pub(super) targets: Option<Vec<String>>,
    pub(super) sample: Option<bool>,
    pub(super) cooldown: Option<Millis>,
    pub(super) quiet: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) max_per_hour: Option<u32>,
    pub(super) burst: Option<u32>,
    pub(super) timeout: Option<Millis>,
    pub(super) max_age: Option<Millis>,
    pub(super) queue_max: Option<u32>,
    pub(super) url: Option<String>,
    pub(super) url_file: Option<PathBuf>,
    pub(super) url_env: Option<String>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) token_env: Option<String>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) secret_env: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) password_env: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) chat_id: Option<ChatId>,
    pub(super) thread_id: Option<i64>,
    pub(super) body: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) tls: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<Vec<String>>,
    pub(super) username: Option<String>,
    pub(super) command: Option<Vec<String>>,
    pub(super) env: Option<Vec<String>>,
}

/// A number, or a name such as `@channel`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum ChatId {
    Number(i64),
    Name(String),
}

impl NotifierSection {
    /// The keys that only some types have, of those that are given.
    pub(super) fn own_keys(&self) -> Vec<&'static str> {
        let given = [
            ("url", self.url.is_some()),
            ("url_file", self.url_file.is_some()),
            ("url_env", self.url_env.is_some()),
            ("token_file", self.token_file.is_some()),
            ("token_env", self.token_env.is_some()),
            ("secret_file", self.secret_file.is_some()),
            ("secret_env", self.secret_env.is_some()),
            ("password_file", self.password_file.is_some()),
            ("password_env", self.password_env.is_some()),
            ("ca_file", self.ca_file.is_some()),
            ("chat_id", self.chat_id.is_some()),
            ("thread_id", self.thread_id.is_some()),
            ("body", self.body.is_some()),
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("tls", self.tls.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
            ("username", self.username.is_some()),
            ("command", self.command.is_some()),
            ("env", self.env.is_some()),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given);
        given.map(|(key, _)| key).collect()
    }
}
