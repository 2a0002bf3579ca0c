//! Puts the layers together: file < environment < flags.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Place, locate};
use super::file::ConfigFile;
use super::keys::{KEYS, nearest, set};
use super::{Config, resolve};

/// Read where no file is named, if it is there.
pub const CONFIG_PATH: &str = "/etc/healer/healer.toml";

/// Most bytes of a configuration file: far above what 1,000 targets need.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The variables of the original sidecar, and the keys that they set.
const ORIGINAL: [(&str, &str); 3] = [
    ("COOLDOWN_SEC", "cooldown"),
    ("WINDOW_SEC", "window"),
    ("MAX_PER_WINDOW", "max_per_window"),
];

/// Variables with our prefix that are not keys: the flag `--config`, and the
/// list of targets.
const OTHER_VARIABLES: [&str; 2] = ["HEALER_CONFIG", "HEALER_TARGETS"];

/// Where settings come from, apart from the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`; must exist. None = [`CONFIG_PATH`] where that exists.
    pub file: Option<PathBuf>,
    /// The environment; variables that are not ours may be in it.
    pub environment: BTreeMap<String, String>,
    /// `KEY=VALUE` pairs from flags, later ones win.
    pub flags: Vec<(String, String)>,
    /// Whether `TARGET_CONTAINER`, `COOLDOWN_SEC`, `WINDOW_SEC` and
    /// `MAX_PER_WINDOW` are settings. Not for `healer restart`, where they are
    /// the request's.
    pub original_variables: bool,
}

impl Sources {
    /// The process's environment, the original's variables included.
    pub fn from_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        Self {
            file,
            environment: std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
            flags,
            original_variables: true,
        }
    }
}

/// What the layers say together, and who said what last.
pub(super) struct Layers {
    pub(super) file: ConfigFile,
    /// Key to the variable or flag that set it.
    origins: BTreeMap<String, String>,
    /// The file's path and text.
    text: Option<(PathBuf, String)>,
    warnings: Vec<String>,
}

impl Config {
    /// Reads and checks all sources.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut layers = Layers::read(sources.file.as_deref())?;
        layers.environment(sources)?;
        for (key, value) in &sources.flags {
            layers.set(key, value, &format!("--set {key}"))?;
        }
        let mut config = resolve::resolve(&layers.file, layers.text.as_ref().map(|t| &*t.0))
            .map_err(|fault| layers.place(fault))?;
        config.warnings.splice(0..0, layers.warnings);
        Ok(config)
    }
}

impl Layers {
    fn read(named: Option<&Path>) -> Result<Self, ConfigError> {
        let mut layers = Self {
            file: ConfigFile::default(),
            origins: BTreeMap::new(),
            text: None,
            warnings: Vec::new(),
        };
        let path = named.unwrap_or(Path::new(CONFIG_PATH));
        let fault = |why: String| ConfigError {
            place: Place::File(path.to_owned(), None),
            key: String::new(),
            why,
        };
        let mut bytes = Vec::new();
        match std::fs::File::open(path) {
            Ok(file) => {
                file.take(FILE_BYTES_MAX + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|e| fault(format!("cannot be read: {e}")))?;
            }
            Err(e) if named.is_none() && e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(layers);
            }
            Err(e) => return Err(fault(format!("cannot be opened: {e}"))),
        }
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(fault(format!(
                "has more than {FILE_BYTES_MAX} bytes; is it a configuration file?"
            )));
        }
        let text = String::from_utf8(bytes).map_err(|e| {
            fault(format!(
                "is not UTF-8 (byte {})",
                e.utf8_error().valid_up_to()
            ))
        })?;
        layers.file = toml::from_str(&text).map_err(|e| ConfigError::in_toml(path, &text, &e))?;
        layers.text = Some((path.to_owned(), text));
        Ok(layers)
    }

    fn environment(&mut self, sources: &Sources) -> Result<(), ConfigError> {
        let env = &sources.environment;
        let get = |name: &str| env.get(name).map(|v| v.trim()).filter(|v| !v.is_empty());
        if sources.original_variables {
            self.original(&get)?;
        }
        if let Some(host) = get("DOCKER_HOST")
            && get("HEALER_DOCKER_SOCKET").is_none()
            && !sources.flags.iter().any(|(key, _)| key == "docker_socket")
        {
            self.set("docker_socket", host, "DOCKER_HOST")?;
        }
        for name in get("HEALER_TARGETS").unwrap_or("").split(',') {
            if !name.trim().is_empty() {
                let key = format!("targets.{}.enabled", name.trim());
                self.set(&key, "true", "HEALER_TARGETS")?;
            }
        }
        for key in KEYS {
            if let Some(value) = get(key.env) {
                self.set(key.path, value, key.env)?;
            }
        }
        for name in env.keys().filter(|n| n.starts_with("HEALER_")) {
            let known = || KEYS.iter().map(|k| k.env).chain(OTHER_VARIABLES);
            if !known().any(|k| k == name) {
                let hint = nearest(name, known())
                    .map(|near| format!("; did you mean {near}?"))
                    .unwrap_or_default();
                self.warnings.push(format!(
                    "the variable {name} is not known and has no effect{hint}"
                ));
            }
        }
        Ok(())
    }

    /// The original's variables: limits of every target, and of the one it names.
    fn original<'a>(&mut self, get: &impl Fn(&str) -> Option<&'a str>) -> Result<(), ConfigError> {
        let target = get("TARGET_CONTAINER").map(|name| name.trim_start_matches('/'));
        if let Some(name) = target {
            let key = format!("targets.{name}.enabled");
            self.set(&key, "true", "TARGET_CONTAINER")?;
        }
        for (variable, key) in ORIGINAL {
            let Some(value) = get(variable) else { continue };
            self.set(&format!("defaults.{key}"), value, variable)?;
            if let Some(name) = target {
                self.set(&format!("targets.{name}.{key}"), value, variable)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str, by: &str) -> Result<(), ConfigError> {
        set(&mut self.file, key, value).map_err(|why| ConfigError {
            place: Place::Named(by.to_owned()),
            key: key.to_owned(),
            why,
        })?;
        self.origins.insert(key.to_owned(), by.to_owned());
        Ok(())
    }

    /// Adds to a fault where its value was set.
    fn place(&self, (key, why): (String, String)) -> ConfigError {
        let inside = |set: &str| set.strip_prefix(&*key).is_some_and(|r| r.starts_with('.'));
        let origin = self.origins.get(&key);
        let origin = origin.or_else(|| {
            self.origins
                .iter()
                .find(|(set, _)| inside(set))
                .map(|o| o.1)
        });
        let place = match (origin, &self.text) {
            (Some(by), _) => Place::Named(by.clone()),
            (None, Some((path, text))) => Place::File(path.clone(), locate(text, &key)),
            (None, None) => Place::Default,
        };
        ConfigError { place, key, why }
    }
}
