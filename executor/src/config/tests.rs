use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use policy::OnRefusal;

use super::keys::{KEYS, TARGET_KEYS};
use super::*;

/// Sources of a file with this text, and of these variables and flags.
struct Case {
    _dir: tempfile::TempDir,
    sources: Sources,
}

fn case(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Case {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("healer.toml");
    std::fs::write(&path, text).unwrap();
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    Case {
        _dir: dir,
        sources: Sources {
            file: Some(path),
            environment: own(env).into_iter().collect::<BTreeMap<_, _>>(),
            flags: own(flags),
            original_variables: true,
        },
    }
}

fn load(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Config {
    Config::load(&case(text, env, flags).sources).unwrap()
}

/// The error, with the file's directory cut off.
fn error(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    let case = case(text, env, flags);
    let error = Config::load(&case.sources).unwrap_err().to_string();
    let dir = format!("{}/", case._dir.path().display());
    error.replace(&dir, "")
}

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

#[test]
fn later_layers_win() {
    let file = "[defaults]\ncooldown = '10s'\n";
    let env: &[(&str, &str)] = &[("HEALER_COOLDOWN", "20s")];
    let original = ("COOLDOWN_SEC", "15");
    let cooldown = |config: Config| config.policy.defaults.limits.cooldown_ms / 1000;
    assert_eq!(cooldown(load("", &[], &[])), 300);
    assert_eq!(cooldown(load(file, &[], &[])), 10);
    assert_eq!(cooldown(load(file, &[original], &[])), 15);
    assert_eq!(cooldown(load(file, &[original, env[0]], &[])), 20);
    assert_eq!(
        cooldown(load(file, env, &[("defaults.cooldown", "30s")])),
        30
    );
    assert_eq!(
        cooldown(load(
            file,
            env,
            &[("defaults.cooldown", "30s"), ("defaults.cooldown", "40")]
        )),
        40
    );
    assert_eq!(cooldown(load(file, &[("HEALER_COOLDOWN", "")], &[])), 10);
}

#[test]
fn durations_are_read_in_every_notation() {
    for (written, ms) in [
        ("'300s'", 300_000),
        ("'5m'", 300_000),
        ("'1h 30m'", 5_400_000),
        ("'1h30m'", 5_400_000),
        ("'250ms'", 250),
        ("'45'", 45_000),
        ("45", 45_000),
        ("0", 0),
        ("1.5", 1_500),
    ] {
        let config = load(&format!("[defaults]\ncooldown = {written}\n"), &[], &[]);
        assert_eq!(config.policy.defaults.limits.cooldown_ms, ms, "{written}");
    }
}

#[test]
fn faults_name_place_key_and_reason() {
    for (text, expected) in [
        (
            "rules = 'gpu'\ncool_down = 3\n",
            "healer.toml:2:1: unknown field `cool_down`, expected one of",
        ),
        (
            "[defaults]\nwindow = '600s'\n  cooldwn = 3\n",
            "healer.toml:3:3: unknown field `cooldwn`, expected one of",
        ),
        (
            "[targets.app]\nenable = true\n",
            "healer.toml:2:1: unknown field `enable`, expected one of `enabled`",
        ),
        (
            "[defaults]\ncooldown = '5 parsecs'\n",
            "healer.toml:2:12: \"5 parsecs\" is not a duration such as 300s, 5m, 1h",
        ),
        (
            "[defaults]\ncooldown = -5\n",
            "healer.toml:2:12: -5 seconds: a duration is 0 or more",
        ),
        (
            "[defaults]\n\nwindow = '31d'\n",
            "healer.toml:3:1: defaults.window: 31d is not between 1s and 30d",
        ),
        (
            "[defaults]\nmax_per_window = 0\n",
            "healer.toml:2:1: defaults.max_per_window: 0 is not between 1 and 1000",
        ),
        (
            "[targets.'my.app']\nbackoff = 0.5\n",
            "healer.toml:2:1: targets.my.app.backoff: 0.5 is not between 1 and 100",
        ),
        (
            "[targets.'/app']\n",
            "healer.toml:1:10: targets./app: \"/app\" is no container name",
        ),
        (
            "[defaults]\ncooldown = '2h'\ncooldown_max = '1h'\n",
            "healer.toml:3:1: defaults.cooldown_max: 1h is less than the cooldown, 2h",
        ),
        (
            "[defaults]\nstop_timeout = '1500ms'\n",
            "healer.toml:2:1: defaults.stop_timeout: the engine takes whole seconds only",
        ),
        (
            "admin_socket = '/run/healer/admin.sock'\n",
            "healer.toml:1:1: admin_socket: /run/healer/admin.sock is in the directory of intents_socket",
        ),
        (
            "docker_socket = 'tcp://10.0.0.1:2375'\n",
            "healer.toml:1:1: docker_socket: tcp://10.0.0.1:2375 is not a Unix socket",
        ),
        (
            "state_dir = 'state'\n",
            "healer.toml:1:1: state_dir: \"state\" is not an absolute path",
        ),
        (
            "[log]\nlevel = 'loud'\n",
            "healer.toml:2:9: \"loud\" is none of error, warn, info, debug, trace",
        ),
        (
            "intents_mode = '0770'\n",
            "healer.toml:1:1: intents_mode: 0770 is not one of",
        ),
        (
            "[http]\nlisten = 'here'\n",
            "healer.toml:2:10: \"here\" is not an address with a port",
        ),
        (
            "[[maintenance]]\nname = 'a'\nstart = '02:00'\nend = '25:00'\n",
            "healer.toml:4:1: maintenance[0].end: \"25:00\" is no time of the day",
        ),
        (
            "[[maintenance]]\nname = 'a'\nstart = '02:00'\n",
            "healer.toml:1:1: maintenance[0].end: is missing",
        ),
        ("rules = \n", "healer.toml:1:9: "),
    ] {
        let got = error(text, &[], &[]);
        assert!(
            got.starts_with(expected),
            "{text:?}\n gave {got}\n not  {expected}"
        );
    }
}

#[test]
fn of_a_key_that_there_is_not_the_one_that_was_meant_is_named() {
    for (text, flag, expected) in [
        ("[defaults]\ncooldwn = 3", "", "did you mean `cooldown`?"),
        ("cooldown = 3", "", "did you mean `defaults.cooldown`?"),
        (
            "[targets.app]\nhost_max = 3",
            "",
            "did you mean `policy.host_max`?",
        ),
        (
            "[notify.n]\ntype = 'ntfy'\ntoken = 'tk_very-secret'",
            "",
            "did you mean `token_file`?",
        ),
        ("", "cooldown", "did you mean defaults.cooldown?"),
        ("", "colour", "conf/healer.toml lists all"),
    ] {
        let flags = [(flag, "3")];
        let got = error(text, &[], &flags[..usize::from(!flag.is_empty())]);
        assert!(got.ends_with(expected), "{got}");
        assert!(!got.contains("very-secret"), "{got}");
    }
    let none = error("colour = 3", &[], &[]);
    assert!(none.contains("unknown field `colour`") && !none.contains("did you mean"));
}

#[test]
fn faults_from_the_environment_and_flags_name_them() {
    for (env, flags, expected) in [
        (
            &[("COOLDOWN_SEC", "soon")][..],
            &[][..],
            "COOLDOWN_SEC: defaults.cooldown: \"soon\" is not a duration",
        ),
        (
            &[("HEALER_HOST_MAX", "0")],
            &[],
            "HEALER_HOST_MAX: policy.host_max: 0 is not between 1 and 10000",
        ),
        (
            &[("DOCKER_HOST", "tcp://10.0.0.1:2375")],
            &[],
            "DOCKER_HOST: docker_socket: tcp://10.0.0.1:2375 is not a Unix socket",
        ),
        (
            &[("TARGET_CONTAINER", "a b")],
            &[],
            "TARGET_CONTAINER: targets.a b: \"a b\" is no container name",
        ),
        (
            &[],
            &[("defaults.cooldwn", "3")],
            "--set defaults.cooldwn: unknown key; did you mean defaults.cooldown?",
        ),
        (
            &[],
            &[("defaults.window", "0")],
            "--set defaults.window: 0s is not between 1s and 30d",
        ),
    ] {
        let got = error("", env, flags);
        assert!(got.starts_with(expected), "gave {got}\n not  {expected}");
    }
}

#[test]
fn the_originals_variables_enable_and_limit_their_target() {
    let file = "[targets.app]\ncooldown = '1h'\n";
    let env = &[
        ("TARGET_CONTAINER", "/app"),
        ("COOLDOWN_SEC", "0"),
        ("WINDOW_SEC", "60"),
        ("MAX_PER_WINDOW", "2"),
    ];
    let config = load(file, env, &[]);
    let app = &config.policy.targets["app"];
    assert!(app.enabled);
    for limits in [app.limits, config.policy.defaults.limits] {
        assert_eq!(
            (limits.cooldown_ms, limits.window_ms, limits.max_per_window),
            (0, 60_000, 2)
        );
    }
    // The one-shot restart takes them as its request's own limits instead.
    let mut case = case(file, env, &[]);
    case.sources.original_variables = false;
    let config = Config::load(&case.sources).unwrap();
    assert_eq!(config.policy.defaults.limits.cooldown_ms, 300_000);
}

#[test]
fn targets_inherit_what_they_do_not_state() {
    let config = load(
        "[defaults]\ncooldown = '10s'\nstop_timeout = 5\n[targets.app]\nwindow = '1m'\n[targets.db]\nprotect = true\nstop_timeout = 7\n",
        &[("HEALER_TARGETS", "web, api")],
        &[("targets.api.dry_run", "true")],
    );
    let targets = &config.policy.targets;
    assert_eq!(targets["app"].limits.cooldown_ms, 10_000);
    assert_eq!(targets["app"].limits.window_ms, 60_000);
    assert!(targets["db"].protected);
    assert!(targets["web"].enabled && !targets["web"].dry_run);
    assert!(targets["api"].enabled && targets["api"].dry_run);
    assert_eq!(config.stop_timeouts.of("app"), Some(5));
    assert_eq!(config.stop_timeouts.of("db"), Some(7));
}

#[test]
fn a_long_cooldown_lifts_the_default_ceiling() {
    let config = load("[defaults]\ncooldown = '2h'\n", &[], &[]);
    assert_eq!(config.policy.defaults.recovery.cooldown_max_ms, 7_200_000);
}

#[test]
fn docker_host_is_taken_where_nothing_more_exact_is_said() {
    let host = ("DOCKER_HOST", "unix:///run/user/1000/docker.sock");
    let socket = |config: Config| config.docker_socket.display().to_string();
    assert_eq!(socket(load("", &[host], &[])), "/run/user/1000/docker.sock");
    let own = ("HEALER_DOCKER_SOCKET", "/run/own.sock");
    assert_eq!(socket(load("", &[host, own], &[])), "/run/own.sock");
    let tcp = ("DOCKER_HOST", "tcp://10.0.0.1:2375");
    let flag = ("docker_socket", "/run/flag.sock");
    assert_eq!(socket(load("", &[tcp], &[flag])), "/run/flag.sock");
}

#[test]
fn what_is_hardly_meant_is_warned_of() {
    let warned = load(
        "",
        &[
            ("HEALER_COLDOWN", "5"),
            ("HEALER_HTTP_LISTEN", "0.0.0.0:9718"),
        ],
        &[],
    )
    .warnings;
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(warned[0].contains("did you mean HEALER_COOLDOWN?"));
    assert!(warned[1].contains("can be reached from other machines"));
}

#[test]
fn off_switches_are_understood() {
    let config = load("report_dir = 'off'\n[http]\nlisten = 'off'\n", &[], &[]);
    assert_eq!(config.reports.dir, None);
    assert_eq!(config.http_listen, None);
    let keep = |text: &str| {
        load(&format!("[evidence]\nkeep = {text}\n"), &[], &[])
            .evidence
            .keep_ms
    };
    assert_eq!(keep("'off'"), None);
    assert_eq!(keep("'1m'"), Some(60_000));
    assert_eq!(keep("86400"), Some(86_400_000));
    let env = [("HEALER_EVIDENCE_KEEP", "off")];
    assert_eq!(load("", &env, &[]).evidence.keep_ms, None);
    let why = error("[evidence]\nkeep = '59s'\n", &[], &[]);
    assert!(why.contains("59s is not between 1m and"), "{why}");
    let why = error("[evidence]\nkeep = 'soon'\n", &[], &[]);
    assert!(why.contains("\"soon\" is not a duration"), "{why}");
    let why = error("[evidence]\nlog_lines = 1001\n", &[], &[]);
    assert!(why.contains("1001 is not between 1 and 1000"), "{why}");
}

#[test]
fn limits_hold_at_the_edge() {
    let path = |bytes: usize| format!("intents_socket = '/{}'\n", "s".repeat(bytes - 1));
    load(&path(107), &[], &[]);
    assert!(error(&path(108), &[], &[]).contains("has 108 bytes; a socket's path may have 107"));

    let targets = |n: usize| -> String { (0..n).map(|i| format!("[targets.app{i}]\n")).collect() };
    assert_eq!(load(&targets(1000), &[], &[]).policy.targets.len(), 1000);
    assert!(error(&targets(1001), &[], &[]).contains("1001 are listed; 1000 are allowed"));

    let file = |bytes: usize| format!("#{}\n", "x".repeat(bytes - 2));
    load(&file(1024 * 1024), &[], &[]);
    assert!(error(&file(1024 * 1024 + 1), &[], &[]).contains("has more than 1048576 bytes"));
}

#[test]
fn a_file_that_is_named_must_be_there_and_be_text() {
    let mut case = case("", &[], &[]);
    let path = case.sources.file.clone().unwrap();
    std::fs::write(&path, b"rules = '\xff'\n").unwrap();
    let why = Config::load(&case.sources).unwrap_err().to_string();
    assert!(why.ends_with("healer.toml: is not UTF-8 (byte 9)"), "{why}");
    case.sources.file = Some(path.with_file_name("none.toml"));
    let why = Config::load(&case.sources).unwrap_err().to_string();
    assert!(why.contains("none.toml: cannot be opened"), "{why}");
}

#[test]
fn a_reload_changes_policy_and_names_what_needs_a_restart() {
    let old = load("", &[], &[]);
    let case = case(
        "rules = '/etc/r.toml'\nstate_dir = '/other'\n[defaults]\ncooldown = 5\n[log]\nlevel = 'debug'\nformat = 'json'\n",
        &[],
        &[],
    );
    let new = old.reload(&case.sources).unwrap();
    assert_eq!(new.needs_restart, ["state_dir", "log.format"]);
    assert_eq!(new.config.state_dir, old.state_dir);
    assert_eq!(new.config.log.format, LogFormat::Human);
    assert_eq!(new.config.log.level, LogLevel::Debug);
    assert_eq!(new.config.rules, "/etc/r.toml");
    assert_eq!(new.config.policy.defaults.limits.cooldown_ms, 5_000);

    std::fs::write(case.sources.file.as_ref().unwrap(), "bad = 1\n").unwrap();
    old.reload(&case.sources).unwrap_err();
}
