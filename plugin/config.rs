//! The settings of one `[OUTPUT]` section: as written, then as meant.
//!
//! Kept true: every error names the key, what stands there and what may stand
//! there; rules are compiled here, on the host's main stack, never in Flush.
//!
//! Not here: keys that the plugin does not know. The host gives a value for a
//! key but no list of keys, so a mistyped key cannot be seen; `healer check
//! --fluent-bit FILE` finds those.

use std::path::PathBuf;
use std::time::Duration;

use rules::RuleSet;

use crate::pieces::FLAGS;
use crate::progress::Patterns;
use crate::target::TargetMode;

/// Most fields that `Log_Key` may name.
pub const LOG_KEYS_MAX: usize = 32;
/// Most bytes of the socket's path: what a Unix socket address holds.
pub const SOCKET_BYTES_MAX: usize = 107;
/// Least `Ack_Timeout`: below it no answer could ever be in time.
pub const ACK_TIMEOUT_MIN: Duration = Duration::from_millis(1);
/// Greatest `Ack_Timeout`: Flush blocks Fluent Bit's thread for as long.
pub const ACK_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// The section as written; `None` where a key is absent or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawConfig {
    /// `Socket`
    pub socket: Option<String>,
    /// `Rules`
    pub rules: Option<String>,
    /// `Log_Key`
    pub log_key: Option<String>,
    /// `Target`
    pub target: Option<String>,
    /// `Path_Key`
    pub path_key: Option<String>,
    /// `Ack_Timeout`
    pub ack_timeout: Option<String>,
    /// `Dry_Run`
    pub dry_run: Option<String>,
    /// `Progress`
    pub progress: Option<String>,
}

impl RawConfig {
    /// Asks for each key once. The host matches keys without regard to case.
    pub fn read(mut property: impl FnMut(&str) -> Option<String>) -> Self {
        let mut get = |key| property(key).filter(|value| !value.trim().is_empty());
        Self {
            socket: get("Socket"),
            rules: get("Rules"),
            log_key: get("Log_Key"),
            target: get("Target"),
            path_key: get("Path_Key"),
            ack_timeout: get("Ack_Timeout"),
            dry_run: get("Dry_Run"),
            progress: get("Progress"),
        }
    }
}

/// The section as meant.
#[derive(Debug)]
pub struct Config {
    /// The executor's intent socket.
    pub socket: PathBuf,
    /// Compiled rules.
    pub rules: RuleSet,
    /// Where text is looked for.
    pub log_keys: LogKeys,
    /// How a record's container is found.
    pub target: TargetMode,
    /// Longest wait for the executor in one flush.
    pub ack_timeout: Duration,
    /// Match and count, send nothing.
    pub dry_run: bool,
    /// What counts as progress; empty = nobody asks.
    pub progress: Patterns,
}

/// `Log_Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogKeys {
    /// `*`
    Every,
    /// Top-level keys, compared byte by byte.
    Named(Vec<Vec<u8>>),
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    key: &'static str,
    value: String,
    why: String,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}: {}", self.key, self.value, self.why)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Checks the settings and compiles the rules.
    pub fn new(raw: &RawConfig) -> Result<Self, ConfigError> {
        let socket = parse(
            "Socket",
            &raw.socket,
            "/run/healer/intents.sock",
            read_socket,
        )?;
        let log_keys = parse(
            "Log_Key",
            &raw.log_key,
            "log,message,MESSAGE,msg,body",
            read_log_keys,
        )?;
        let path_key = parse("Path_Key", &raw.path_key, "filepath", |text| {
            Ok(text.as_bytes().to_vec())
        })?;
        let target = parse("Target", &raw.target, "auto", |text| {
            TargetMode::from_setting(text, path_key)
        })?;
        let ack_timeout = parse("Ack_Timeout", &raw.ack_timeout, "250ms", read_ack_timeout)?;
        let dry_run = parse("Dry_Run", &raw.dry_run, "off", read_bool)?;
        let rules = parse("Rules", &raw.rules, "gpu", |text| {
            RuleSet::load_with_words(text, &FLAGS).map_err(|e| e.to_string())
        })?;
        Ok(Self {
            socket,
            rules,
            log_keys,
            ack_timeout,
            dry_run,
            progress: progress(raw, &target)?,
            target,
        })
    }
}

fn parse<T>(
    key: &'static str,
    given: &Option<String>,
    default: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, ConfigError> {
    let value = given.as_deref().unwrap_or(default).trim();
    read(value).map_err(|why| ConfigError {
        key,
        value: value.into(),
        why,
    })
}

fn progress(raw: &RawConfig, target: &TargetMode) -> Result<Patterns, ConfigError> {
    if raw.progress.is_none() {
        return Ok(Patterns::default());
    }
    parse("Progress", &raw.progress, "", |text| match target {
        TargetMode::Kernel => {
            Err("is for containers; the kernel's records name none for it".into())
        }
        _ => Patterns::read(text),
    })
}

fn read_socket(text: &str) -> Result<PathBuf, String> {
    if text.len() > SOCKET_BYTES_MAX {
        return Err(format!(
            "the path has {} bytes, a Unix socket's holds at most {SOCKET_BYTES_MAX}",
            text.len()
        ));
    }
    Ok(text.into())
}

fn read_log_keys(text: &str) -> Result<LogKeys, String> {
    if text == "*" {
        return Ok(LogKeys::Every);
    }
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for key in text.split(',').map(str::trim) {
        match key {
            "" => return Err("there is an empty name between commas".into()),
            "*" => return Err("\"*\" stands alone or not at all".into()),
            _ if keys.iter().any(|known| known == key.as_bytes()) => {}
            _ => keys.push(key.into()),
        }
    }
    if keys.len() > LOG_KEYS_MAX {
        return Err(format!(
            "{} names, at most {LOG_KEYS_MAX} are allowed; \"*\" searches every string",
            keys.len()
        ));
    }
    Ok(LogKeys::Named(keys))
}

fn read_ack_timeout(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "not a duration: write one such as 250ms or 2s".to_string())?;
    let wait = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" => Duration::from_millis(number),
        "" | "s" => Duration::from_secs(number),
        _ => {
            return Err(format!(
                "unknown unit {unit:?}: write one such as 250ms or 2s"
            ));
        }
    };
    if !(ACK_TIMEOUT_MIN..=ACK_TIMEOUT_MAX).contains(&wait) {
        return Err(format!(
            "that is {wait:?}; from {ACK_TIMEOUT_MIN:?} to {ACK_TIMEOUT_MAX:?} are allowed, \
             as Fluent Bit waits as long"
        ));
    }
    Ok(wait)
}

fn read_bool(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err("write on or off".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: impl FnOnce(&mut RawConfig)) -> Result<Config, String> {
        let mut raw = RawConfig::default();
        set(&mut raw);
        Config::new(&raw).map_err(|e| e.to_string())
    }

    #[test]
    fn an_empty_section_has_the_documented_defaults() {
        let config = with(|_| {}).expect("defaults are valid");
        assert_eq!(config.socket, PathBuf::from("/run/healer/intents.sock"));
        assert_eq!(config.ack_timeout, Duration::from_millis(250));
        assert!(!config.dry_run);
        assert_eq!(
            config.target,
            TargetMode::Auto {
                path_key: b"filepath".to_vec()
            }
        );
        let names: Vec<Vec<u8>> = ["log", "message", "MESSAGE", "msg", "body"]
            .map(|key| key.as_bytes().to_vec())
            .into();
        assert_eq!(config.log_keys, LogKeys::Named(names));
    }

    #[test]
    fn an_empty_value_counts_as_absent() {
        let raw = RawConfig::read(|_| Some("  ".into()));
        assert_eq!(raw, RawConfig::default());
    }

    #[test]
    fn every_key_is_asked_for_by_its_name() {
        let raw = RawConfig::read(|key| Some(key.to_string()));
        assert_eq!(raw.socket.as_deref(), Some("Socket"));
        assert_eq!(raw.rules.as_deref(), Some("Rules"));
        assert_eq!(raw.log_key.as_deref(), Some("Log_Key"));
        assert_eq!(raw.target.as_deref(), Some("Target"));
        assert_eq!(raw.path_key.as_deref(), Some("Path_Key"));
        assert_eq!(raw.ack_timeout.as_deref(), Some("Ack_Timeout"));
        assert_eq!(raw.dry_run.as_deref(), Some("Dry_Run"));
        assert_eq!(raw.progress.as_deref(), Some("Progress"));
    }

    #[test]
    fn durations_take_a_unit_or_mean_seconds() {
        for (text, millis) in [
            ("1ms", 1),
            ("250ms", 250),
            ("2s", 2_000),
            ("3", 3_000),
            ("30 s", 30_000),
        ] {
            let config = with(|raw| raw.ack_timeout = Some(text.into())).expect(text);
            assert_eq!(config.ack_timeout, Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn booleans_are_on_and_off_in_any_case() {
        for (text, meant) in [
            ("On", true),
            ("TRUE", true),
            ("1", true),
            ("off", false),
            ("No", false),
        ] {
            assert_eq!(
                with(|raw| raw.dry_run = Some(text.into()))
                    .expect(text)
                    .dry_run,
                meant
            );
        }
    }

    #[test]
    fn a_bad_value_is_an_error_that_names_key_and_value() {
        type Set = fn(&mut RawConfig, String);
        let cases: [(&str, &str, Set); 13] = [
            ("Ack_Timeout", "soon", |raw, v| raw.ack_timeout = Some(v)),
            ("Ack_Timeout", "5m", |raw, v| raw.ack_timeout = Some(v)),
            ("Ack_Timeout", "0ms", |raw, v| raw.ack_timeout = Some(v)),
            ("Ack_Timeout", "31s", |raw, v| raw.ack_timeout = Some(v)),
            ("Ack_Timeout", "99999999999999999999s", |raw, v| {
                raw.ack_timeout = Some(v)
            }),
            ("Dry_Run", "maybe", |raw, v| raw.dry_run = Some(v)),
            ("Log_Key", "log,,msg", |raw, v| raw.log_key = Some(v)),
            ("Log_Key", "log,*", |raw, v| raw.log_key = Some(v)),
            ("Target", "two words", |raw, v| raw.target = Some(v)),
            ("Target", "-leading", |raw, v| raw.target = Some(v)),
            ("Rules", "no-such-pack", |raw, v| raw.rules = Some(v)),
            ("Progress", "a,,b", |raw, v| raw.progress = Some(v)),
            ("Rules", "/no/such/file.toml", |raw, v| raw.rules = Some(v)),
        ];
        for (key, value, set) in cases {
            let error = with(|raw| set(raw, value.into())).expect_err(value);
            assert!(error.starts_with(&format!("{key} {value:?}: ")), "{error}");
        }
    }

    #[test]
    fn the_limits_are_met_exactly() {
        let path = "/".repeat(SOCKET_BYTES_MAX);
        assert!(with(|raw| raw.socket = Some(path.clone())).is_ok());
        assert!(with(|raw| raw.socket = Some(path + "x")).is_err());
        let keys = |n: usize| {
            (0..n)
                .map(|i| format!("k{i}"))
                .collect::<Vec<_>>()
                .join(",")
        };
        assert!(with(|raw| raw.log_key = Some(keys(LOG_KEYS_MAX))).is_ok());
        assert!(with(|raw| raw.log_key = Some(keys(LOG_KEYS_MAX + 1))).is_err());
    }
}
