use std::path::Path;

use super::*;
use crate::config::{Config, Sources};

fn load(text: &str) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("healer.toml");
    std::fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    let place = format!("{}/", dir.path().display());
    Config::load(&sources).map_err(|e| e.to_string().replace(&place, ""))
}

/// The checks of the target `web`, written in this way.
fn checks(text: &str) -> TargetChecks {
    load(text).unwrap().checks["web"].clone()
}

fn probe(keys: &str) -> Probe {
    let text = format!("[[targets.web.probes]]\nname = 'a'\n{keys}");
    checks(&text).probes.remove(0)
}

fn fault(keys: &str) -> String {
    load(&format!("[[targets.web.probes]]\nname = 'a'\n{keys}")).unwrap_err()
}

#[test]
fn a_probe_takes_its_defaults() {
    let probe = probe("type = 'tcp'\nport = 80");
    let expected = Probe {
        name: "a".to_owned(),
        kind: ProbeKind::Outside(Outside::Tcp(Endpoint {
            host: None,
            port: 80,
        })),
        pace: Pace {
            interval_ms: 30_000,
            timeout_ms: 5_000,
            failures: 3,
            successes: 1,
            start_period_ms: 60_000,
        },
        remedy: RuleRemedy::Restart,
    };
    assert_eq!(probe, expected);
}

#[test]
fn a_short_interval_shortens_the_time_out() {
    let pace = |keys: &str| probe(&format!("type = 'tcp'\nport = 80\n{keys}")).pace;
    assert_eq!(pace("interval = '2s'").timeout_ms, 2_000);
    assert_eq!(pace("interval = '1h'\ntimeout = '5m'").timeout_ms, 300_000);
    let why = fault("type = 'tcp'\nport = 80\ninterval = '2s'\ntimeout = '2001ms'");
    assert!(
        why.contains("healer.toml:6:1: targets.web.probes[0].timeout: "),
        "{why}"
    );
    assert!(why.ends_with("2s 1ms is not between 10ms and 2s"), "{why}");
}

#[test]
fn an_http_probe_is_a_url_or_its_parts() {
    let http = |keys: &str| match probe(&format!("type = 'http'\n{keys}")).kind {
        ProbeKind::Outside(Outside::Http(http)) => {
            (http.endpoint.host, http.endpoint.port, http.path)
        }
        other => panic!("{other:?}"),
    };
    let at = |host: &str, port, path: &str| (Some(host.to_owned()), port, path.to_owned());
    for (keys, expected) in [
        ("port = 8080", (None, 8080, "/".to_owned())),
        (
            "port = 8080\npath = '/a?b=c'\nhost = 'db'",
            at("db", 8080, "/a?b=c"),
        ),
        (
            "url = 'http://localhost:9000/x/y?z'",
            at("localhost", 9000, "/x/y?z"),
        ),
        ("url = 'http://[::1]'", at("::1", 80, "/")),
    ] {
        assert_eq!(http(keys), expected, "{keys}");
    }
}

#[test]
fn statuses_are_lists_of_ranges() {
    let status = |keys: &str| match probe(&format!("type = 'http'\nport = 1\n{keys}")).kind {
        ProbeKind::Outside(Outside::Http(http)) => http.status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status(""), [200..=399]);
    assert_eq!(status("status = 204"), [204..=204]);
    assert_eq!(status("status = '200-299, 304'"), [200..=299, 304..=304]);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (keys, expected) in [
        ("", "healer.toml:1:1: targets.web.probes[0]: has no type"),
        (
            "type = 'htpp'",
            "healer.toml:3:1: targets.web.probes[0].type: \"htpp\" is none of http, tcp, \
             process, exec; did you mean http?",
        ),
        ("type = 'custom'", "did you mean exec?"),
        ("type = 'tcp'", "has no port from 1 to 65535"),
        ("type = 'tcp'\nport = 0", "has no port from 1 to 65535"),
        ("type = 'tcp'\nport = 65536", "healer.toml:4:8: "),
        (
            "type = 'tcp'\nport = 1\nhost = 'a b'",
            "neither a name nor an address",
        ),
        (
            "type = 'tcp'\nport = 1\npath = '/'",
            "healer.toml:5:1: targets.web.probes[0].path: is for type http only, and this is tcp",
        ),
        ("type = 'http'\nurl = 'https://a/'", "needs TLS"),
        (
            "type = 'http'\nurl = 'http://u:secret@a/'",
            "a URL with a user or a password",
        ),
        (
            "type = 'http'\nurl = 'ftp://a/'",
            "does not begin with http://",
        ),
        (
            "type = 'http'\nurl = 'http://a/'\nport = 1",
            "no host, port or path beside it",
        ),
        ("type = 'http'\nport = 1\npath = 'x'", "no path of a URL"),
        (
            "type = 'http'\nport = 1\nstatus = '600'",
            "no list of statuses",
        ),
        (
            "type = 'http'\nport = 1\nstatus = '299-200'",
            "no list of statuses",
        ),
        ("type = 'http'\nport = 1\nbody = '('", "unclosed group"),
        (
            "type = 'http'\nport = 1\nredirects = 6",
            "6 is not between 0 and 5",
        ),
        ("type = 'process'", "has no pattern"),
        ("type = 'exec'", "has no command"),
        ("type = 'exec'\ncommand = []", "has no command"),
        (
            "type = 'exec'\ncommand = ['a', \"b\\u0000\"]",
            "word 1 has a NUL",
        ),
        (
            "type = 'tcp'\nport = 1\nfailures = 0",
            "0 is not between 1 and 100",
        ),
        (
            "type = 'tcp'\nport = 1\ninterval = '999ms'",
            "999ms is not between 1s and 1d",
        ),
        (
            "type = 'tcp'\nport = 1\nremedy = 'restrt'",
            "did you mean restart?",
        ),
        (
            "type = 'tcp'\nport = 1\nretries = 3",
            "unknown field `retries`",
        ),
    ] {
        let why = fault(keys);
        assert!(why.contains(expected), "{keys}: {why}");
        assert!(!why.contains("secret"), "{why}");
    }
}

#[test]
fn names_are_distinct_and_simple() {
    let two = |other: &str| {
        let probe = |name: &str| {
            format!("[[targets.'my.web'.probes]]\nname = '{name}'\ntype = 'tcp'\nport = 1\n")
        };
        load(&(probe("a") + &probe(other)))
    };
    assert!(two("b").is_ok());
    let why = two("a").unwrap_err();
    let place = "healer.toml:6:1: targets.my.web.probes[1].name: ";
    assert_eq!(why, format!("{place}\"a\" is the name of two probes"));
    for bad in ["", "A", "a_b", &"a".repeat(33)] {
        assert!(two(bad).is_err(), "{bad}");
    }
}

#[test]
fn sixteen_probes_are_allowed() {
    let probes = |n: usize| -> String {
        (0..n)
            .map(|i| format!("[[targets.web.probes]]\nname='p{i}'\ntype='tcp'\nport=1\n"))
            .collect()
    };
    assert_eq!(checks(&probes(PROBES_MAX)).probes.len(), PROBES_MAX);
    let why = load(&probes(PROBES_MAX + 1)).unwrap_err();
    assert!(why.contains("17 are listed; 16 are allowed"), "{why}");
}

#[test]
fn silence_needs_to_know_what_progress_is() {
    let silence = |keys: &str| load(&format!("[targets.web.silence]\n{keys}"));
    let given = silence("pattern = 'Processed batch'").unwrap().checks["web"]
        .silence
        .clone();
    let expected = Silence {
        pattern: Some(Pattern::new("Processed batch").unwrap()),
        first_ms: 1_200_000,
        then_ms: 300_000,
        source: OutputSource::Engine,
        remedy: RuleRemedy::Restart,
    };
    assert_eq!(given, Some(expected));
    let by_plugin = "any = true\nsource = 'plugin'\n";
    assert!(silence(&format!("{by_plugin}then = '20s'\nfirst = '20s'")).is_ok());
    for key in ["first", "then"] {
        let why = silence(&format!("{by_plugin}{key} = '19s'")).unwrap_err();
        let expected = format!("targets.web.silence.{key}: must be at least 20s where a plugin");
        assert!(why.contains(&expected), "{why}");
    }
    for (keys, expected) in [
        ("", "healer.toml:1:14: targets.web.silence: needs either"),
        ("any = true\npattern = 'x'", "needs either"),
        ("any = true\nthen = '0s'", "0s is not between 1s and 30d"),
        ("any = true\nsource = 'docker'", "none of engine, plugin"),
        (
            "pattern = 'a, b'\nsource = 'plugin'",
            "silence.pattern: holds a comma",
        ),
        (
            "pattern = ' a'\nsource = 'plugin'",
            "begins or ends with white space",
        ),
    ] {
        let why = silence(keys).unwrap_err();
        assert!(why.contains(expected), "{keys}: {why}");
    }
    // What the plugin's setting can hold, and one byte more.
    let long = |bytes: usize| {
        silence(&format!(
            "pattern = '{}'\nsource = 'plugin'",
            "x".repeat(bytes)
        ))
    };
    assert!(long(512).is_ok());
    assert!(long(513).unwrap_err().contains("is too long"));
    assert!(silence("pattern = 'a, b'").is_ok());
}

#[test]
fn a_first_beat_may_take_as_long_as_any_other() {
    let activity = |keys: &str| checks(&format!("[targets.web.activity]\n{keys}")).activity;
    let expected = Activity {
        within_ms: 60_000,
        start_period_ms: 60_000,
        remedy: RuleRemedy::Note,
    };
    assert_eq!(activity("within = '1m'\nremedy = 'note'"), Some(expected));
}

#[test]
fn the_shipped_file_shows_every_kind() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/healer.toml");
    let text = std::fs::read_to_string(shipped).unwrap();
    for kind in ["http", "tcp", "process", "exec"] {
        assert!(text.contains(&format!("\n#type = \"{kind}\"\n")), "{kind}");
    }
}
