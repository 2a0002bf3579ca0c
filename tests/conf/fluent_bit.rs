//! conf/fluent-bit.conf, conf/fluent-bit.yaml, conf/fluent-bit.compose.conf,
//! conf/plugins.conf, conf/parsers.conf, and conf/fluentd.conf.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::healer;
use crate::support::ports::free_port;
use crate::support::tools::{fluent_bit, plugin_so, repository_file, run, skipped};

/// Longest wait for anything that Fluent Bit does on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A section's name and its settings, in order, keys and names in lower case.
type Section = (String, Vec<(String, String)>);

/// Puts what the two forms write differently the same way.
fn pair(key: &str, value: &str) -> (String, String) {
    let value = value.trim().trim_matches('"');
    let value = match value {
        "On" => "on",
        "Off" => "off",
        other => other,
    };
    (key.trim().to_lowercase(), value.to_owned())
}

fn classic(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = vec![("env".into(), Vec::new())];
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(set) = line.strip_prefix("@SET ") {
            let (key, value) = set.split_once('=').expect("@SET KEY=VALUE");
            sections[0].1.push(pair(key, value));
        } else if let Some(name) = line.strip_prefix('[') {
            sections.push((name.trim_end_matches(']').to_lowercase(), Vec::new()));
        } else {
            let (key, value) = line.split_once(char::is_whitespace).expect("KEY VALUE");
            sections.last_mut().expect("one").1.push(pair(key, value));
        }
    }
    sections
}

/// The few forms of YAML that the file uses.
fn yaml(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut list = String::new();
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        match (indent, bare.strip_prefix("- ")) {
            (0, _) => sections.push((bare.trim_end_matches(':').into(), Vec::new())),
            (2, _) if bare.ends_with(':') => list = bare.trim_end_matches("s:").into(),
            (4, Some(first)) => {
                let (key, value) = first.split_once(": ").expect("key: value");
                sections.push((list.clone(), vec![pair(key, value)]));
            }
            _ => {
                let (key, value) = bare.split_once(": ").expect("key: value");
                sections.last_mut().expect("one").1.push(pair(key, value));
            }
        }
    }
    sections.retain(|(name, _)| name != "pipeline");
    sections
}

#[test]
fn both_forms_say_the_same() {
    assert_eq!(
        classic(&repository_file("conf/fluent-bit.conf")),
        yaml(&repository_file("conf/fluent-bit.yaml"))
    );
}

#[test]
fn the_one_for_compose_changes_the_listener_and_nothing_else() {
    let text = repository_file("conf/fluent-bit.compose.conf");
    let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(
        lines,
        ["@INCLUDE fluent-bit.conf", "@SET HEALER_HTTP_HOST=0.0.0.0"]
    );
}

#[test]
fn no_variable_means_one_thing_here_and_another_to_the_executor() {
    let executors = repository_file("conf/healer.toml");
    let is_of_a_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let executors: Vec<&str> = executors.split(|c| !is_of_a_name(c)).collect();
    assert!(executors.contains(&"HEALER_HTTP_LISTEN"), "it is read");
    let sections = classic(&repository_file("conf/fluent-bit.conf"));
    let ours = sections[0].1.iter().map(|(name, _)| name.to_uppercase());
    let shared: Vec<String> = ours
        .filter(|name| executors.contains(&name.as_str()))
        .collect();
    // The same packs and rule files for both.
    assert_eq!(shared, ["HEALER_RULES"]);
}

#[test]
fn fluentd_sections_are_closed_in_order() {
    let mut open: Vec<&str> = Vec::new();
    let text = repository_file("conf/fluentd.conf");
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if let Some(name) = line.strip_prefix("</") {
            assert_eq!(
                open.pop(),
                Some(name.trim_end_matches('>')),
                "line {}",
                number + 1
            );
        } else if let Some(head) = line.strip_prefix('<') {
            let name = head.trim_end_matches('>').split(' ').next();
            open.push(name.expect("split gives one"));
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn fluentd_answers_where_the_original_did() {
    let text = repository_file("conf/fluentd.conf");
    let monitor = text
        .split("<source>")
        .find(|part| part.contains("@type monitor_agent"))
        .expect("there is a monitor");
    assert!(monitor.contains("bind 127.0.0.1") && monitor.contains("port 24220"));
}

/// Copies the files to `dir` with places of their own. Gives the HTTP port.
fn install(dir: &Path) -> u16 {
    let port = free_port();
    let at = |name: &str| dir.join(name).display().to_string();
    let places = [
        ("/etc/healer", dir.display().to_string()),
        ("/var/lib/docker/containers", at("containers")),
        ("/var/lib/fluent-bit", at("state")),
        ("/run/healer/intents.sock", at("intents.sock")),
        ("HTTP_PORT=2020", format!("HTTP_PORT={port}")),
        ("\"2020\"", format!("\"{port}\"")),
        (
            "/usr/local/lib/log-healer/out_healer.so",
            plugin_so().display().to_string(),
        ),
    ];
    for name in [
        "fluent-bit.conf",
        "fluent-bit.compose.conf",
        "fluent-bit.yaml",
        "parsers.conf",
        "plugins.conf",
    ] {
        let text = repository_file(&format!("conf/{name}"));
        let text = places
            .iter()
            .fold(text, |text, (from, to)| text.replace(from, to));
        std::fs::write(dir.join(name), text).expect("written");
    }
    for name in ["containers", "state"] {
        std::fs::create_dir(dir.join(name)).expect("made");
    }
    port
}

/// Answers every intent, and gives the first.
fn first_intent(listener: UnixListener) -> std::sync::mpsc::Receiver<Value> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(16);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let reader = BufReader::new(stream.try_clone().expect("cloned"));
            for line in reader.lines() {
                let Ok(line) = line else { break };
                let message: Value = serde_json::from_str(&line).expect("JSON");
                let answer = json!({"v": 1, "id": message["id"], "decision": "noted"});
                let _ = writeln!(stream, "{answer}");
                // Not the question whether somebody answers.
                if message["type"] == "intent" {
                    let _ = sender.try_send(message);
                }
            }
        }
    });
    receiver
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    Some(reply)
}

/// With `name` as its configuration: a line in a container's file becomes an
/// intent for that container, with the line's own time to the nanosecond.
fn runs_with(fluent_bit: &Path, name: &str) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let port = install(dir.path());
    let listener = UnixListener::bind(dir.path().join("intents.sock")).expect("bound");
    let intents = first_intent(listener);
    let log = std::fs::File::create(dir.path().join("log")).expect("made");
    let command = Command::new(fluent_bit)
        .arg("-c")
        .arg(dir.path().join(name))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    let mut running = Running(command.expect("Fluent Bit starts"));
    let said = || std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();

    let id = "a5e0".repeat(16);
    let file = dir.path().join(format!("containers/{id}/{id}-json.log"));
    std::fs::create_dir(file.parent().expect("its directory")).expect("made");
    let line = r#"{"log":"RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB\n","stream":"stderr","time":"2025-10-20T21:07:32.912345678Z"}"#;
    std::fs::write(&file, format!("{line}\n")).expect("written");

    let start = Instant::now();
    let intent = loop {
        if let Ok(intent) = intents.recv_timeout(Duration::from_millis(50)) {
            break intent;
        }
        let ended = running.0.try_wait().expect("our child");
        assert_eq!(ended, None, "{name}: Fluent Bit ended:\n{}", said());
        assert!(start.elapsed() < PATIENCE, "{name}: no intent:\n{}", said());
    };
    assert_eq!(intent["target"], json!({"id": id}));
    assert_eq!(intent["last"], json!([1_760_994_452, 912_345_678]));
    assert_eq!(intent["remedy"], "restart");

    // It takes the server a moment to know all its pages.
    let page = |path: &str, wanted: &str| {
        let mut reply = None;
        while !reply
            .as_ref()
            .is_some_and(|text: &String| text.contains(wanted))
        {
            assert!(start.elapsed() < PATIENCE, "{name}: {path}: {reply:?}");
            std::thread::sleep(Duration::from_millis(20));
            reply = get(port, path);
        }
    };
    page("/api/v1/health", "\r\n\r\nok");
    let up = "healer_plugin_executor_up{name=\"healer.0\"} 1";
    page("/api/v2/metrics/prometheus", up);
}

#[test]
fn every_form_carries_a_line_from_its_file_to_the_socket() {
    let Some(fluent_bit) = fluent_bit() else {
        return skipped("conf/ in a real Fluent Bit", "no fluent-bit was found");
    };
    for name in [
        "fluent-bit.conf",
        "fluent-bit.yaml",
        "fluent-bit.compose.conf",
    ] {
        runs_with(&fluent_bit, name);
    }
}

#[test]
fn what_fluentd_runs_carries_a_record_from_its_buffer_to_the_socket() {
    let text = repository_file("conf/fluentd.conf");
    let command = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("command "))
        .expect("an exec output has a command");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("intents.sock");
    let intents = first_intent(UnixListener::bind(&socket).expect("bound"));
    // One record as tail with path_key and keep_time_key makes it of Docker's line.
    let id = "a5e0".repeat(16);
    let record = json!({
        "log": "RuntimeError: CUDA out of memory\n",
        "stream": "stderr",
        "time": "2025-10-20T21:07:32.912345678Z",
        "filepath": format!("/var/lib/docker/containers/{id}/{id}-json.log"),
    });
    let buffer = dir.path().join("buffer.b5ef.log");
    std::fs::write(&buffer, format!("{record}\n")).expect("written");

    // Fluentd appends the path and leaves the rest to a shell.
    let program = healer::program();
    let path = program.parent().expect("it lies in a directory");
    run(Command::new("/bin/sh")
        .args(["-c", &format!("{command} {}", buffer.display())])
        .env("PATH", path)
        .env("HEALER_INTENTS_SOCKET", &socket));
    let intent = intents.recv_timeout(PATIENCE).expect("it was sent");
    assert_eq!(intent["target"], json!({"id": id}));
    assert_eq!(intent["last"], json!([1_760_994_452, 912_345_678]));

    std::fs::remove_file(&socket).expect("it was there");
    let away = Command::new("/bin/sh")
        .args(["-c", &format!("{command} {}", buffer.display())])
        .env("PATH", path)
        .env("HEALER_INTENTS_SOCKET", &socket)
        .output()
        .expect("sh runs");
    assert_eq!(
        away.status.code(),
        Some(1),
        "Fluentd keeps the chunk: {away:?}"
    );
}
