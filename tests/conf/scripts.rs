//! conf/restart.sh and conf/trigger_restart.sh: what they hand to `healer`,
//! what they print, and what they exit with. A `healer` of three lines stands in
//! here; the original's checklist runs them with the real one.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use crate::support::tools::{program, repository_file, run, skipped};

/// Runs a script with a `healer` that notes its arguments, prints `says` and
/// exits with `code`. Gives the output and the arguments.
fn script(name: &str, env: &[(&str, &str)], says: &str, code: u8) -> (Output, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let healer = dir.path().join("healer");
    let body =
        "#!/bin/sh\nprintf '%s|' \"$@\" > \"$NOTES\"\nprintf '%s' \"$SAYS\"\nexit \"$CODE\"\n";
    std::fs::write(&healer, body).expect("written");
    std::fs::set_permissions(&healer, PermissionsExt::from_mode(0o755)).expect("made executable");
    let notes = dir.path().join("notes");
    let file = format!("{}/conf/{name}", env!("CARGO_MANIFEST_DIR"));
    let out = Command::new("sh")
        .arg(file)
        .env_remove("TARGET_CONTAINER")
        .env_remove("TARGET_CONTAINER_ID")
        .env("HEALER", &healer)
        .env("NOTES", &notes)
        .env("SAYS", says)
        .env("CODE", code.to_string())
        .envs(env.iter().copied())
        .output()
        .expect("sh runs");
    let arguments = std::fs::read_to_string(notes).unwrap_or_default();
    (out, arguments)
}

fn lines(out: &Output) -> Vec<String> {
    String::from_utf8_lossy(&out.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

const TARGET: [(&str, &str); 1] = [("TARGET_CONTAINER", "marieai-dev-server")];

#[test]
fn restart_prints_the_lines_of_the_original() {
    let says = "Restarting container 'marieai-dev-server' ...\nRestart complete.\n";
    let (out, arguments) = script("restart.sh", &TARGET, says, 0);
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(arguments, "restart|--|marieai-dev-server|");
    let lines = lines(&out);
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, text) in lines.iter().zip(says.lines()) {
        // [restart.sh] 2025-10-20T21:07:32Z Restart complete.
        let rest = line.strip_prefix("[restart.sh] ").expect("its prefix");
        let (time, rest) = rest.split_once(' ').expect("a time");
        assert_eq!((time.len(), time.ends_with('Z')), (20, true), "{line}");
        assert_eq!(rest, text);
    }
}

#[test]
fn a_refusal_is_told_word_for_word_and_is_no_failure() {
    for says in [
        "Cooldown active (45s < 300s) — skipping.",
        "Max restarts (4) in last 600s reached — skipping.",
    ] {
        let (out, _) = script("restart.sh", &TARGET, &format!("{says}\n"), 3);
        assert_eq!(out.status.code(), Some(0), "Fluentd would call again");
        assert_eq!(lines(&out), [format!("[restart.sh] {says}")]);
    }
}

#[test]
fn restart_fails_only_where_nothing_could_be_decided() {
    for (code, expected) in [(0, 0), (1, 1), (2, 1), (3, 0), (127, 1)] {
        let (out, _) = script("restart.sh", &TARGET, "x\n", code);
        assert_eq!(out.status.code(), Some(expected), "healer exited {code}");
    }
    let gone = [TARGET[0], ("HEALER", "/nonexistent/healer")];
    assert_eq!(script("restart.sh", &gone, "", 0).0.status.code(), Some(1));
    let (out, arguments) = script("restart.sh", &[], "", 0);
    assert_eq!((out.status.code(), arguments.as_str()), (Some(1), ""));
}

#[test]
fn a_target_reaches_healer_as_one_argument() {
    let odd = [("TARGET_CONTAINER", "-x $(touch /tmp/x); 'y'")];
    let (_, arguments) = script("restart.sh", &odd, "", 0);
    assert_eq!(arguments, "restart|--|-x $(touch /tmp/x); 'y'|");
    let id = [("TARGET_CONTAINER_ID", "a5e01e0d66b8")];
    let (_, arguments) = script("restart.sh", &id, "", 0);
    assert_eq!(arguments, "restart|--|a5e01e0d66b8|");
}

#[test]
fn trigger_hands_the_records_on() {
    let (out, arguments) = script("trigger_restart.sh", &TARGET, "1 sent\n", 0);
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(
        arguments,
        "scan|--send|--target|marieai-dev-server|--rules|gpu|--|-|"
    );
    assert_eq!(lines(&out), ["1 sent"]);
    let rules = [("HEALER_RULES", "gpu,/etc/healer/own.toml")];
    let (_, arguments) = script("trigger_restart.sh", &rules, "", 0);
    assert_eq!(
        arguments,
        "scan|--send|--target|auto|--rules|gpu,/etc/healer/own.toml|--|-|"
    );
}

#[test]
fn trigger_fails_only_where_the_executor_could_not_be_told() {
    for (code, expected) in [(0, 0), (1, 1), (2, 1), (3, 0), (127, 1)] {
        let (out, _) = script("trigger_restart.sh", &TARGET, "", code);
        assert_eq!(out.status.code(), Some(expected), "healer exited {code}");
    }
}

#[test]
fn the_shell_scripts_are_clean() {
    let scripts = [
        ("sh", "conf/restart.sh"),
        ("sh", "conf/trigger_restart.sh"),
        ("bash", "docker/release"),
        ("bash", "tests/run"),
        ("bash", ".ci/run"),
    ];
    let shellcheck = program("shellcheck");
    if shellcheck.is_none() {
        skipped("shellcheck of the scripts", "shellcheck is not installed");
    }
    for (shell, script) in scripts {
        let text = repository_file(script);
        assert!(
            text.starts_with(&format!("#!/usr/bin/env {shell}\n"))
                || text.starts_with("#!/bin/sh\n")
        );
        let file = format!("{}/{script}", env!("CARGO_MANIFEST_DIR"));
        run(Command::new(shell).arg("-n").arg(&file));
        if let Some(shellcheck) = &shellcheck {
            run(Command::new(shellcheck)
                .args(["-s", shell, "-e", "SC1091"])
                .arg(&file));
        }
    }
}
