//! `conf/healer.toml`: all keys, with their defaults.

use super::*;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/healer.toml")
}

/// The shipped file with every setting that is commented out made live.
fn shipped_with_all_keys() -> String {
    std::fs::read_to_string(shipped())
        .unwrap()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_defaults_are_those_of_the_design() {
    let config = Config::default();
    let defaults = &config.policy.defaults;
    assert_eq!(defaults.limits.cooldown_ms, 300_000);
    assert_eq!(defaults.limits.window_ms, 600_000);
    assert_eq!(defaults.limits.max_per_window, 4);
    assert_eq!(defaults.recovery.stable_for_ms, 60_000);
    assert_eq!(defaults.recovery.backoff, 2_000);
    assert_eq!(defaults.recovery.cooldown_max_ms, 3_600_000);
    assert_eq!(defaults.recovery.max_attempts, 5);
    assert!(!defaults.enabled, "no container is enabled by default");
    assert_eq!(config.policy.max_age_ms, 900_000);
    assert_eq!(config.policy.pending_max_ms, None);
    assert_eq!(config.policy.host_max, 10);
    assert_eq!(config.policy.host_window_ms, 600_000);
    assert_eq!(config.policy.attempts_parallel, 4);
    assert_eq!(config.policy.on_refusal, OnRefusal::Pending);
    assert_eq!(config.stop_timeouts.of("any"), None);
    assert_eq!(config.shutdown_grace_ms, 25_000);
    assert_eq!(config.sockets.intents_mode, 0o660);
    assert_eq!(config.http_listen.unwrap().to_string(), "127.0.0.1:9718");
    assert!(config.warnings.is_empty());
}

#[test]
fn the_shipped_file_states_the_defaults() {
    let sources = Sources {
        file: Some(shipped()),
        ..Sources::default()
    };
    let mut config = Config::load(&sources).unwrap();
    config.file = None;
    assert_eq!(config, Config::default());
}

#[test]
fn the_shipped_file_documents_every_key_and_variable() {
    let text = shipped_with_all_keys();
    let document: toml::Table = text.parse().unwrap();
    let find = |path: &str| {
        path.split('.')
            .try_fold(toml::Value::Table(document.clone()), |at, name| {
                at.get(name).cloned()
            })
    };
    for key in KEYS {
        assert!(find(key.path).is_some(), "{} is not documented", key.path);
        assert!(text.contains(key.env), "{} is not documented", key.env);
    }
    for key in TARGET_KEYS {
        let path = format!("targets.marieai-dev-server.{}", key.path);
        assert!(find(&path).is_some(), "{path} is not documented");
    }
    load(&text, &[], &[]);
}

#[test]
fn the_key_table_covers_all_that_a_file_may_say() {
    // Each key set by --set to the value in the documented file gives the same as the file.
    let mut document: toml::Table = shipped_with_all_keys().parse().unwrap();
    // Remedies are for the file alone.
    let remedies = document.remove("actions").is_some()
        && remove(&mut document, &["defaults", "remedies"])
        && remove(
            &mut document,
            &["targets", "marieai-dev-server", "remedies"],
        )
        && remove(
            &mut document,
            &["targets", "marieai-dev-server", "depends_on"],
        );
    assert!(remedies, "the file shows them");
    let text = document.to_string();
    let mut flags = Vec::new();
    flatten("", &document, &mut flags);
    assert_eq!(flags.len(), KEYS.len() + TARGET_KEYS.len());
    let borrowed: Vec<_> = flags.iter().map(|(k, v)| (&**k, &**v)).collect();
    let mut by_flags = load("", &[], &borrowed);
    let mut by_file = load(&text, &[], &[]);
    by_file.checks.clear();
    (by_flags.file, by_file.file) = (None, None);
    assert!(!std::mem::take(&mut by_file.maintenance).is_empty());
    let shown = std::mem::take(&mut by_file.watch.unfinished);
    let file = "/data/progress.json".to_owned();
    let (after_ms, gap) = (60_000, Gap::Tell);
    let expected = Unfinished {
        file,
        after_ms,
        gap,
    };
    assert_eq!(shown["marieai-dev-server"], expected, "the defaults");
    assert!(!std::mem::take(&mut by_file.notifiers).is_empty());
    assert!(by_file.warnings.is_empty(), "{:?}", by_file.warnings);
    assert_eq!(by_flags, by_file);
}

/// Whether the key at the end of `path` was there.
fn remove(table: &mut toml::Table, path: &[&str]) -> bool {
    match path {
        [] => false,
        [key] => table.remove(*key).is_some(),
        [first, rest @ ..] => {
            let inner = table.get_mut(*first).and_then(toml::Value::as_table_mut);
            inner.is_some_and(|inner| remove(inner, rest))
        }
    }
}

fn flatten(prefix: &str, table: &toml::Table, out: &mut Vec<(String, String)>) {
    for (name, value) in table {
        match value {
            // Lists of tables, and checks, can be given by the file only.
            toml::Value::Array(_) => {}
            toml::Value::Table(_) if ["silence", "activity", "unfinished"].contains(&&**name) => {}
            // Lists and secrets' places: the file's, too.
            toml::Value::Table(_) if name == "notify" => {}
            toml::Value::Table(inner) => flatten(&format!("{prefix}{name}."), inner, out),
            toml::Value::String(text) => out.push((format!("{prefix}{name}"), text.clone())),
            other => out.push((format!("{prefix}{name}"), other.to_string())),
        }
    }
}
