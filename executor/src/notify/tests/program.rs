//! A program of the user's own: real processes.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::*;

/// A script in the directory, and the notifier that runs it with this time-out.
fn notifier(dir: &Path, script: &str, more: &str) -> Notifier {
    let path = dir.join("page");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (program, place) = (path.display(), dir.display());
    let config = format!(
        "[notify.n]\ntype = 'command'\ncommand = ['{program}', '{place}', '$(id); `id`']\n{more}\n"
    );
    notifiers(dir, &config).remove(0)
}

#[test]
fn a_program_gets_the_message_and_nothing_goes_through_a_shell() {
    let dir = tempfile::tempdir().unwrap();
    let script = "cat > \"$1/stdin\"; env > \"$1/env\"; printf %s \"$2\" > \"$1/argument\"";
    tried(&notifier(
        dir.path(),
        script,
        "env = ['CARGO_MANIFEST_DIR', 'NO_SUCH']",
    ))
    .unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let body: Value = serde_json::from_str(&read("stdin")).unwrap();
    assert_eq!(body["step"], "test");
    assert_eq!(body["host"], "gpu-host");
    assert_eq!(read("argument"), "$(id); `id`");
    let env = read("env");
    let id = body["id"].as_str().unwrap();
    for line in [
        &*format!("HEALER_MESSAGE_ID={id}"),
        "HEALER_STEP=test",
        "HEALER_SEVERITY=info",
        "HEALER_TITLE=log-healer on gpu-host: a test message",
    ] {
        assert!(env.lines().any(|l| l == line), "{line} is not in\n{env}");
    }
    assert!(env.contains("CARGO_MANIFEST_DIR="));
    assert!(
        !env.contains("CARGO_PKG_NAME"),
        "nothing else of ours:\n{env}"
    );
}

#[test]
fn its_exit_code_says_what_becomes_of_the_message() {
    let dir = tempfile::tempdir().unwrap();
    for (script, kind, said) in [
        ("exit 75", FailureKind::Later(None), "exit status: 75"),
        (
            "echo no pager >&2; exit 3",
            FailureKind::Setup,
            "exit status: 3: no pager",
        ),
        ("kill -9 $$", FailureKind::Later(None), "signal: 9"),
    ] {
        let failure = tried(&notifier(dir.path(), script, "")).unwrap_err();
        assert_eq!(failure.kind, kind, "{script}");
        assert!(failure.to_string().contains(said), "{failure}");
    }
    // It need not read what it is given, nor be quiet,
    tried(&notifier(
        dir.path(),
        "head -c 10000000 /dev/zero; exit 0",
        "",
    ))
    .unwrap();
    // nor end what it has begun.
    let begun = Instant::now();
    tried(&notifier(dir.path(), "sleep 30 & exit 0", "")).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    let missing = notifiers(
        dir.path(),
        "[notify.n]\ntype = 'command'\ncommand = ['/no/such/program']\n",
    );
    let failure = tried(&missing[0]).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Setup);
    assert!(
        failure
            .to_string()
            .starts_with("/no/such/program cannot be run")
    );
}

#[test]
fn a_program_that_does_not_end_is_killed_with_all_it_has_started() {
    let dir = tempfile::tempdir().unwrap();
    for script in [
        "sleep 60 & echo $! > \"$1/pid\"; wait",
        "sleep 60 & echo $! > \"$1/pid\"; yes",
    ] {
        let begun = Instant::now();
        let failure = tried(&notifier(dir.path(), script, "timeout = '1s'")).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(
            failure
                .to_string()
                .contains("has not ended within 1 s and was killed")
        );
        let pid = std::fs::read_to_string(dir.path().join("pid")).unwrap();
        let proc = std::path::PathBuf::from(format!("/proc/{}/stat", pid.trim()));
        until("its child is gone", || {
            // Gone, or a zombie that nobody reaps here.
            std::fs::read_to_string(&proc).map_or(true, |stat| stat.contains(") Z "))
        });
    }
}
