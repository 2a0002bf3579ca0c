//! File, environment and flags together, and what they mean.

use super::*;

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
