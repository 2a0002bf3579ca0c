//! `healer check` against nothing, against a real `healer run`, and against
//! listeners that answer wrongly.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::run::Running;
use super::support::{Place, out, run};

#[test]
fn what_is_missing_fails_with_what_to_do() {
    let place = Place::new();
    let output = run(&mut place.healer(&["check"]), b"");
    assert_eq!(output.status.code(), Some(1));
    let said = out(&output);
    for line in [
        "ok    config: ",
        "ok    rules: gpu (",
        "max_per_window is never reached (only with a cooldown under 3m 20s)",
        "kernel records: /proc ",
        "FAIL  engine: ",
        "docker.sock",
        "FAIL  intents socket: ",
        "FAIL  admin socket: ",
        "      -> start the executor: `healer run`, by systemd or compose",
        "ok    http: off",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    let state = place.path("state");
    assert!(
        !state.exists(),
        "a look has left {} behind",
        state.display()
    );
}

#[test]
fn kernel_records_that_cannot_be_resolved_are_told() {
    let place = Place::new();
    let procfs = place.path("proc");
    std::fs::create_dir_all(procfs.join("2")).unwrap();
    let said = |kernel_records: &str, rules: &str| {
        let mut healer = place.healer(&["check"]);
        healer.env("HEALER_PROCFS", &procfs);
        healer.env("HEALER_KERNEL_RECORDS", kernel_records);
        healer.env("HEALER_RULES", rules);
        let said = out(&run(&mut healer, b""));
        let mut lines = said.lines().skip_while(|l| !l.contains("kernel records: "));
        lines.next().unwrap_or_default().to_owned()
    };
    let hidden = "/proc does not show the host's processes";
    for (kernel_records, rules, level, words) in [
        ("true", "gpu", "FAIL  ", hidden),
        ("false", "gpu", "warn  ", hidden),
        ("true", "cuda", "warn  ", "no rule looks at them"),
    ] {
        let line = said(kernel_records, rules);
        assert!(line.starts_with(level) && line.contains(words), "{line}");
    }
    assert_eq!(said("false", "cuda"), "");
    std::fs::write(procfs.join("2/comm"), "kthreadd\n").unwrap();
    let line = said("true", "gpu");
    assert!(line.ends_with("are remembered from the start"), "{line}");
    let line = said("false", "gpu");
    assert!(line.starts_with("ok    "), "{line}");
}

#[test]
fn evidence_that_cannot_be_written_or_is_open_to_others_is_told() {
    let place = Place::new();
    let state = place.path("state");
    let evidence = state.join("evidence");
    let said = |keep: &str| {
        let mut healer = place.healer(&["check"]);
        healer.env("HEALER_EVIDENCE_KEEP", keep);
        let said = out(&run(&mut healer, b""));
        let mut lines = said.lines().skip_while(|l| !l.contains(" evidence: "));
        lines.next().unwrap_or_default().to_owned()
    };
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    assert!(said("7d").ends_with(": none yet"));
    std::fs::create_dir_all(&evidence).unwrap();
    mode(&state, 0o700);
    mode(&evidence, 0o755);
    let line = said("7d");
    assert!(
        line.starts_with("warn  ") && line.contains("open to others (mode 0755)"),
        "{line}"
    );
    assert_eq!(said("off"), "ok    evidence: off");
    mode(&evidence, 0o700);
    let line = said("7d");
    assert!(
        line.starts_with("ok    ") && line.ends_with("/state/evidence"),
        "{line}"
    );
    std::fs::remove_dir(&evidence).unwrap();
    std::os::unix::fs::symlink("/tmp", &evidence).unwrap();
    let line = said("7d");
    assert!(
        line.contains("is no directory, and nothing is written"),
        "{line}"
    );
}

#[test]
fn findings_can_be_had_as_json() {
    let place = Place::new();
    std::fs::write(place.path("healer.toml"), "[defaults]\nwindow = 0\n").unwrap();
    let output = run(&mut place.healer(&["check", "--json"]), b"");
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["level"], "fail");
    assert_eq!(found[0]["about"], "config");
    let text = found[0]["text"].as_str().unwrap();
    assert!(
        text.contains("healer.toml:2:1: defaults.window: 0s is not between 1s and 30d"),
        "{text}"
    );
}

#[test]
fn a_running_executor_is_found_and_asked_how_it_is() {
    let place = Place::new();
    let _running = Running::start(&place, &[]);
    let live = run(&mut place.healer(&["check", "--live"]), b"");
    assert!(out(&live).contains("admin.sock answers"), "{live:?}");

    let said = out(&run(&mut place.healer(&["check"]), b""));
    assert!(
        said.contains("intents.sock takes intents of root and user"),
        "{said}"
    );
    assert!(said.contains("ok    admin socket: "), "{said}");
    assert!(
        said.contains("FAIL  executor: not ready: engine: "),
        "{said}"
    );

    let status = out(&run(&mut place.healer(&["status"]), b""));
    assert!(
        status.starts_with("healer 0.1.0: not ready\n  engine: "),
        "{status}"
    );
}

#[test]
fn a_socket_that_was_opened_to_others_is_said() {
    let place = Place::new();
    let _running = Running::start(&place, &[]);
    let admin = place.path("admin/admin.sock");
    std::fs::set_permissions(&admin, PermissionsExt::from_mode(0o666)).unwrap();
    let said = out(&run(&mut place.healer(&["check"]), b""));
    assert!(
        said.contains("admin.sock has mode 0666, not 0600"),
        "{said}"
    );
}

#[test]
fn live_asks_the_http_endpoint_where_there_is_one() {
    let place = Place::new();
    for (answer, code) in [
        ("HTTP/1.1 200 OK\r\n\r\nok\n", 0),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", 1),
        ("rubbish", 1),
        ("", 1),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let output = run(
            place
                .healer(&["check", "--live"])
                .env("HEALER_HTTP_LISTEN", format!("0.0.0.0:{port}")),
            b"",
        );
        assert_eq!(output.status.code(), Some(code), "{answer:?}: {output:?}");
        let request = answering.join().unwrap();
        assert!(
            request.starts_with("GET /healthz HTTP/1.1\r\n"),
            "{request}"
        );
    }
}

#[test]
fn fluent_bits_configuration_is_judged_alone() {
    let place = Place::new();
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf");
    let shipped = conf.join("fluent-bit.conf");
    let check = |path: &Path| {
        let path = path.to_str().unwrap();
        // Without this place's sockets, which the shipped file does not lead to.
        let mut command = place.healer(&["check", "--fluent-bit", path]);
        run(command.env_remove("HEALER_CONFIG"), b"")
    };
    let output = check(&shipped);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        out(&output).ends_with("2 ok, 0 to look at, 0 failed\n"),
        "{output:?}"
    );

    let text = std::fs::read_to_string(&shipped).unwrap();
    let mistyped = place.path("mistyped.conf");
    std::fs::write(&mistyped, text.replace("    Target  ", "    Taregt  ")).unwrap();
    let output = check(&mistyped);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(out(&output).contains("unknown key Taregt"), "{output:?}");
    assert!(
        out(&output).contains("-> did you mean target?"),
        "{output:?}"
    );
}
