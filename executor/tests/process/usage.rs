//! Wrong use: exit code 2, and words that say what is right.

use super::support::{Place, err, healer, out, run};

#[test]
fn wrong_use_exits_2_and_says_what_is_right() {
    for (args, said) in [
        (&["scann"][..], "a similar subcommand exists: 'scan'"),
        (&[], "Usage: healer"),
        (&["scan", "--send"], "--target <TARGET>"),
        (&["scan", "--jsn"], "--json"),
        (&["--set", "cooldown", "scan"], "not KEY=VALUE"),
        (
            &["--set", "defaults.cooldown=soon", "scan"],
            "--set defaults.cooldown: \"soon\" is not a duration",
        ),
        (
            &["--config", "/none.toml", "scan"],
            "/none.toml: cannot be opened",
        ),
        (&["scan", "--rules", "nopack"], "nopack"),
        (
            &["restart"],
            "no target: name a container, or set TARGET_CONTAINER",
        ),
        (&["history", "-n", "1001"], "1001"),
        (&["pause", "--for", "0s"], "is not between 1s and 365d"),
        (&["pause", "app", "--all"], "cannot be used with '--all'"),
        (&["resume", "app", "--all"], "cannot be used with '--all'"),
    ] {
        let output = run(&mut healer(args), b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(err(&output).contains(said), "{args:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{args:?}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let place = Place::new();
    std::fs::write(place.path("healer.toml"), "rules = 'gpu'\ncooldwn = 3\n").unwrap();
    let output = run(&mut place.healer(&["scan"]), b"");
    assert_eq!(output.status.code(), Some(2));
    let said = err(&output);
    assert!(
        said.contains("healer.toml:2:1: unknown field `cooldwn`"),
        "{said}"
    );
}

#[test]
fn a_rule_file_that_is_not_there_ends_run_and_restart_as_wrong_use() {
    let place = Place::new();
    for args in [&["run"][..], &["restart", "web"]] {
        let mut command = place.healer(args);
        command.env("HEALER_RULES", "/none/rules.toml");
        let output = run(&mut command, b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        let said = err(&output);
        assert!(
            said.contains("rules: ") && said.contains("/none/rules.toml"),
            "{said}"
        );
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    for (args, said) in [
        (&["--help"][..], "Usage: healer"),
        (&["--version"], "healer 0.1.0"),
    ] {
        let output = run(&mut healer(args), b"");
        assert_eq!(output.status.code(), Some(0));
        assert!(out(&output).contains(said), "{output:?}");
    }
}
