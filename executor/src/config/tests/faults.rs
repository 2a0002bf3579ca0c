//! What is refused or warned of, and in which words.

use super::*;

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
