//! conf/systemd/healer.service, conf/systemd/sysusers.conf,
//! conf/systemd/tmpfiles.conf, conf/ansible/log-healer.yml, and of docker/:
//! docker/compose.yaml, docker/.env, docker/plugin.Dockerfile,
//! docker/executor.Dockerfile, docker/release.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::images::compose::compose;
use crate::support::tools::{program, repository_file, run, skipped};

/// Copies a file of the repository to where a program looks for it.
fn put(root: &Path, from: &str, to: &str) {
    let to = root.join(to);
    std::fs::create_dir_all(to.parent().expect("a file in a directory")).expect("made");
    std::fs::write(to, repository_file(from)).expect("written");
}

fn is_root() -> bool {
    let out = run(Command::new("id").arg("-u"));
    out.stdout == b"0\n"
}

#[test]
fn systemd_takes_the_unit() {
    let Some(analyze) = program("systemd-analyze") else {
        return skipped("the systemd unit", "systemd-analyze is not installed");
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let unit = dir.path().join("healer.service");
    // What it starts is not installed here.
    let text = repository_file("conf/systemd/healer.service")
        .replace("/usr/local/bin/healer", "/bin/true");
    std::fs::write(&unit, text).expect("written");
    let out = run(Command::new(analyze)
        .arg("verify")
        .arg("--man=no")
        .arg(&unit));
    let said = String::from_utf8_lossy(&out.stderr);
    let ours: Vec<&str> = said.lines().filter(|l| l.contains("healer")).collect();
    assert_eq!(ours, Vec::<&str>::new());
}

#[test]
fn the_unit_stops_later_than_the_executor() {
    let unit = repository_file("conf/systemd/healer.service");
    let seconds = |text: &str, key: &str| -> u64 {
        let line = text
            .lines()
            .map(str::trim)
            .find_map(|l| l.strip_prefix(key));
        let value = line.unwrap_or_else(|| panic!("no {key}"));
        value.trim_end_matches('s').parse().expect("seconds")
    };
    let grace = healer::config::Config::default().shutdown_grace_ms / 1000;
    assert!(seconds(&unit, "TimeoutStopSec=") > grace);
    let compose = repository_file("docker/compose.yaml");
    let executor = &services(&compose)["executor"];
    assert!(seconds(executor, "stop_grace_period: ") > grace);
}

#[test]
fn systemd_makes_user_and_directories() {
    let (Some(sysusers), Some(tmpfiles)) =
        (program("systemd-sysusers"), program("systemd-tmpfiles"))
    else {
        return skipped(
            "user and directories of the unit",
            "systemd is not installed",
        );
    };
    if !is_root() {
        return skipped(
            "user and directories of the unit",
            "only root may make them",
        );
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = dir.path();
    put(
        root,
        "conf/systemd/sysusers.conf",
        "usr/lib/sysusers.d/log-healer.conf",
    );
    put(
        root,
        "conf/systemd/tmpfiles.conf",
        "usr/lib/tmpfiles.d/log-healer.conf",
    );
    std::fs::create_dir_all(root.join("etc")).expect("made");
    std::fs::write(root.join("etc/group"), "root:x:0:\ndocker:x:990:\n").expect("written");
    std::fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").expect("written");
    let at_root = format!("--root={}", root.display());
    run(Command::new(sysusers).arg(&at_root).arg("log-healer.conf"));
    let groups = std::fs::read_to_string(root.join("etc/group")).expect("read");
    assert!(groups.contains("docker:x:990:healer\n"), "{groups}");
    run(Command::new(tmpfiles).args(["--create", &at_root, "log-healer.conf"]));
    let mode = |path: &str| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(root.join(path)).expect(path).mode() & 0o7777
    };
    assert_eq!(mode("tmp/marie-healer"), 0o1777);
    assert_eq!(mode("var/lib/fluent-bit"), 0o750);
}

/// The services of a compose file by name, as text without comments.
fn services(compose: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut section = "";
    let mut service = String::new();
    for line in compose.lines().filter(|l| !l.trim_start().starts_with('#')) {
        let indent = line.len() - line.trim_start().len();
        match indent {
            0 if !line.is_empty() => section = line,
            2 if section == "services:" => service = line.trim().trim_end_matches(':').into(),
            _ if section == "services:" => {
                let text = found.entry(service.clone()).or_default();
                text.push_str(line);
                text.push('\n');
            }
            _ => {}
        }
    }
    found
}

#[test]
fn compose_gives_the_docker_socket_to_the_executor_alone() {
    let services = services(&repository_file("docker/compose.yaml"));
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(names, ["app", "executor", "fluent-bit"]);
    let mounts = |service: &str| services[service].contains("/docker.sock:/");
    assert_eq!(
        (mounts("executor"), mounts("fluent-bit"), mounts("app")),
        (true, false, false)
    );
    for service in ["executor", "fluent-bit"] {
        let text = &services[service];
        assert!(text.contains("<<: *hardened"), "{service}");
        assert!(text.contains("- intents:/run/healer"), "{service}");
    }
    let compose = repository_file("docker/compose.yaml");
    let hardened = compose.split("x-hardened:").nth(1).expect("there");
    for line in [
        "read_only: true",
        "cap_drop: [ALL]",
        "no-new-privileges:true",
        "healer.protect: \"true\"",
    ] {
        let head = hardened.split("services:").next().expect("its block");
        assert!(head.contains(line), "{line}");
    }
}

/// A kernel line names a process of the host. Its text is read by the executor,
/// which has more power anyway; not by what reads untrusted text.
#[test]
fn the_executor_sees_the_hosts_processes_and_nobody_else_does() {
    let services = services(&repository_file("docker/compose.yaml"));
    let executor = &services["executor"];
    assert!(executor.contains("- /proc:/host/proc:ro\n"), "{executor}");
    assert!(
        executor.contains("HEALER_PROCFS: /host/proc\n"),
        "{executor}"
    );
    for service in ["fluent-bit", "app"] {
        assert!(!services[service].contains("/proc"), "{service}");
    }
    let unit = repository_file("conf/systemd/healer.service");
    for hides in ["ProtectProc=", "ProcSubset=", "PrivatePIDs="] {
        assert!(!unit.lines().any(|l| l.starts_with(hides)), "{hides}");
    }
}

#[test]
fn compose_takes_its_file() {
    let Some(compose) = compose() else {
        return skipped("docker/compose.yaml", "no docker compose is installed");
    };
    let directory = format!("{}/docker", env!("CARGO_MANIFEST_DIR"));
    let config = |gid: &str| {
        let mut command = Command::new(&compose[0]);
        command
            .args(&compose[1..])
            .args(["--profile", "demo", "config"]);
        command.current_dir(&directory).env("DOCKER_GID", gid);
        command
    };
    let shown = String::from_utf8(run(&mut config("990")).stdout).expect("UTF-8");
    assert!(shown.contains("log-healer/executor"), "{shown}");
    let refused = config("").output().expect("runs");
    assert!(
        !refused.status.success(),
        "without the socket's group it must not start"
    );
    assert!(String::from_utf8_lossy(&refused.stderr).contains("stat -c %g"));
}

#[test]
fn ansible_takes_the_tasks() {
    let tasks = repository_file("conf/ansible/log-healer.yml");
    for place in [
        "/var/lib/docker/containers",
        "/var/run/docker.sock",
        "/tmp/marie-healer",
        "mode: \"1777\"",
    ] {
        assert!(tasks.contains(place), "{place}");
    }
    let Some(ansible) = program("ansible-playbook") else {
        return skipped("conf/ansible/log-healer.yml", "ansible is not installed");
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let playbook = dir.path().join("playbook.yml");
    let file = format!("{}/conf/ansible/log-healer.yml", env!("CARGO_MANIFEST_DIR"));
    let play = format!(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - ansible.builtin.import_tasks: {file}\n"
    );
    std::fs::write(&playbook, play).expect("written");
    run(Command::new(ansible)
        .args(["--syntax-check", "-i", "localhost,"])
        .arg(playbook));
}

#[test]
fn images_are_built_from_what_release_leaves() {
    let release = repository_file("docker/release");
    for (dockerfile, product) in [
        ("docker/executor.Dockerfile", "target/dist/executor.tar"),
        ("docker/plugin.Dockerfile", "target/dist/out_healer.so"),
    ] {
        let text = repository_file(dockerfile);
        assert!(text.contains(product), "{dockerfile} takes {product}");
        let name = product.rsplit('/').next().expect("a name");
        assert!(
            release.contains(&format!("$dist/{name}")),
            "release leaves {name}"
        );
    }
    let ignored = repository_file(".dockerignore");
    assert!(ignored.lines().any(|l| l == "!target/dist"));
    assert!(repository_file("docker/.env").contains("COMPOSE_PROJECT_NAME=log-healer"));
}
