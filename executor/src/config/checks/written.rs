//! Checks as written: every key optional, unknown keys refused.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::config::values::Millis;

/// `[[targets.NAME.probes]]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct ProbeSection {
    pub(super) name: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) url: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) path: Option<String>,
    #[serde(deserialize_with = "statuses")]
    pub(super) status: Option<String>,
    pub(super) body: Option<String>,
    pub(super) redirects: Option<u32>,
    pub(super) pattern: Option<String>,
    pub(super) command: Option<Vec<String>>,
    pub(super) interval: Option<Millis>,
    pub(super) timeout: Option<Millis>,
    pub(super) failures: Option<u32>,
    pub(super) successes: Option<u32>,
    pub(super) start_period: Option<Millis>,
    pub(super) remedy: Option<String>,
}

/// `[targets.NAME.silence]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct SilenceSection {
    pub(super) pattern: Option<String>,
    pub(super) any: Option<bool>,
    pub(super) first: Option<Millis>,
    pub(super) then: Option<Millis>,
    pub(super) source: Option<String>,
    pub(super) remedy: Option<String>,
}

/// `[targets.NAME.activity]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct ActivitySection {
    pub(super) within: Option<Millis>,
    pub(super) start_period: Option<Millis>,
    pub(super) remedy: Option<String>,
}

/// A single status may be written as a number.
fn statuses<'de, D: Deserializer<'de>>(de: D) -> Result<Option<String>, D::Error> {
    match toml::Value::deserialize(de)? {
        toml::Value::Integer(status) => Ok(Some(status.to_string())),
        toml::Value::String(text) => Ok(Some(text)),
        _ => Err(D::Error::custom(
            "expected statuses such as \"200-299, 304\"",
        )),
    }
}
