//! `healer check --fluent-bit` and the plugin judge a value alike: what the
//! plugin would refuse at Init the doctor finds before, and nothing else.

use std::process::Command;

use out_healer::config::{Config, RawConfig};

use crate::support::healer;

/// Key and value; what is meant by each stands in the plugin's own tests.
fn values() -> Vec<(&'static str, String)> {
    let names = |count: usize| {
        let names: Vec<String> = (0..count).map(|i| format!("k{i}")).collect();
        names.join(",")
    };
    let mut values = Vec::new();
    for text in [
        "250ms",
        "250 ms",
        "250MS",
        "2s",
        "2",
        "30s",
        "30001ms",
        "31s",
        "0",
        "0ms",
        "1ms",
        "soon",
        "-1s",
        "1.5s",
        "1m",
        "1s 500ms",
        "250millis",
        "2sec",
        "ms",
    ] {
        values.push(("Ack_Timeout", text.to_string()));
    }
    for text in [
        "auto", "AUTO", "record", "kernel", "app", "/app", "//app", "my app", "-app", "a/b",
        "app_1.x",
    ] {
        values.push(("Target", text.to_string()));
    }
    for text in ["on", "Off", "TRUE", "no", "1", "0", "maybe", "2"] {
        values.push(("Dry_Run", text.to_string()));
    }
    for text in ["log", "*", "log,*", "log,,msg", ",", "log, msg"] {
        values.push(("Log_Key", text.to_string()));
    }
    values.extend([32, 33, 64].map(|count| ("Log_Key", names(count))));
    for text in ["*", "a, b", "a,,b", ",", "a,a"] {
        values.push(("Progress", text.to_string()));
    }
    values.extend([8, 9].map(|count| ("Progress", names(count))));
    values.extend([512, 513].map(|bytes| ("Progress", "p".repeat(bytes))));
    for bytes in [107, 108] {
        values.push(("Socket", format!("/{}", "s".repeat(bytes - 1))));
    }
    for text in ["gpu", "nopack", "gpu,nopack", "/none.toml"] {
        values.push(("Rules", text.to_string()));
    }
    values
}

fn plugin_takes(key: &str, value: &str) -> bool {
    let raw = RawConfig::read(|asked| (asked == key).then(|| value.to_string()));
    Config::new(&raw).is_ok()
}

/// The line of each value that the doctor fails.
fn doctor_fails(values: &[(&str, String)]) -> Vec<usize> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("x.conf");
    // One section each, so that no key is given twice.
    let sections = values
        .iter()
        .map(|(key, value)| format!("[OUTPUT]\n Name healer\n Match *\n {key} {value}\n"));
    std::fs::write(&file, sections.collect::<String>()).expect("written");
    let out = Command::new(healer::program())
        .args(["check", "--json", "--fluent-bit"])
        .arg(&file)
        .env_clear()
        .output()
        .expect("it runs");
    let findings: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let of_value = |finding: &serde_json::Value| {
        let (_, line) = finding["about"].as_str()?.rsplit_once(':')?;
        let line: usize = line.parse().ok()?;
        // The fourth line of each section is the one.
        (finding["level"] == "fail" && line.is_multiple_of(4)).then(|| line / 4 - 1)
    };
    let findings = findings.as_array().expect("a list");
    findings.iter().filter_map(of_value).collect()
}

#[test]
fn the_doctor_finds_what_the_plugin_refuses_and_nothing_else() {
    let values = values();
    let fails = doctor_fails(&values);
    for (index, (key, value)) in values.iter().enumerate() {
        let (takes, passes) = (plugin_takes(key, value), !fails.contains(&index));
        assert_eq!(
            takes, passes,
            "{key} {value:?}: plugin {takes}, doctor {passes}"
        );
    }
    assert!(!fails.is_empty());
}
