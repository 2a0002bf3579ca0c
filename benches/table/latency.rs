//! How long it takes from a line's being written to the intent's arrival, and
//! from the intent's arrival to the request that restarts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::executor::Healer;
use super::stats::quantile;
use super::support::fake_engine::FakeEngine;
use super::support::tools::{plugin_so, repository_file};

/// Lines written, one after the other.
const LINES: usize = 300;
/// Intents sent, each for a container of its own, so that no limit answers.
const INTENTS: usize = 300;
/// Longest wait for one of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// Through a real Fluent Bit with conf/fluent-bit.conf.
pub(crate) fn line_to_intent(fluent_bit: &Path) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let id = "a5e0".repeat(16);
    let containers = dir.path().join("containers");
    std::fs::create_dir_all(containers.join(&id)).expect("made");
    std::fs::create_dir(dir.path().join("state")).expect("made");
    let socket = dir.path().join("intents.sock");
    let arrivals = arrivals(UnixListener::bind(&socket).expect("bound"));
    install(dir.path(), &socket);
    let file = containers.join(&id).join(format!("{id}-json.log"));
    let mut log = File::create(&file).expect("made");
    let command = Command::new(fluent_bit)
        .arg("-c")
        .arg(dir.path().join("main.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _fluent_bit = Ends(command.expect("Fluent Bit starts"));

    let mut taken = Vec::new();
    for number in 0..LINES {
        let written = Instant::now();
        writeln!(
            log,
            r#"{{"log":"RuntimeError: CUDA out of memory. Tried to allocate {number} MiB\n","stream":"stderr","time":"2025-10-20T21:07:32.{number:09}Z"}}"#
        )
        .expect("written");
        let arrived = arrivals
            .recv_timeout(PATIENCE)
            .expect("Fluent Bit hands the line to the plugin");
        // The first ones wait for the file to be found.
        if number >= LINES / 10 {
            taken.push((arrived - written).as_secs_f64() * 1e3);
        }
        // Not in step with Fluent Bit's own timer.
        std::thread::sleep(Duration::from_micros(
            20_000 + number as u64 * 7919 % 10_000,
        ));
    }
    println!();
    println!(
        "Line written to intent received, Flush 0.01, {} lines",
        taken.len()
    );
    tell("whole way", &taken, "ms");
}

/// Through a real executor and an engine that only pretends, at once: its own
/// code, the journal's fsync, one inspect, and the evidence that is read before
/// the call.
pub(crate) fn intent_to_restart() {
    let engine = FakeEngine::start();
    let ids: Vec<String> = (0..INTENTS)
        .map(|n| engine.add(&format!("bench-{n}")))
        .collect();
    for id in &ids {
        engine.with(id, |c| {
            c.labels.insert("healer.enable".into(), "true".into());
        });
    }
    let healer = Healer::start(engine.socket());
    let mut stream = UnixStream::connect(healer.intents()).expect("it listens");
    let mut answers = BufReader::new(stream.try_clone().expect("cloned"));
    let (mut to_answer, mut to_restart) = (Vec::new(), Vec::new());
    for (number, id) in ids.iter().enumerate() {
        let sent = Instant::now();
        writeln!(stream, "{}", intent(number, id)).expect("sent");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("answered");
        to_answer.push(sent.elapsed().as_secs_f64() * 1e3);
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["decision"], "restart", "{answer}");
        while engine.with(id, |c| c.starts) == 0 {
            assert!(sent.elapsed() < PATIENCE, "no restart of {id}");
            std::thread::sleep(Duration::from_micros(20));
        }
        to_restart.push(sent.elapsed().as_secs_f64() * 1e3);
    }
    println!();
    println!("Intent to executor, simulated engine, {INTENTS} containers");
    tell("to the answer (charge durable)", &to_answer, "ms");
    tell("to the restart at the engine", &to_restart, "ms");
    tell("of it: one fsync here", &fsyncs(healer.dir()), "ms");
    tell("of it: one inspect here", &inspects(&engine, &ids), "ms");
    tell("of it: evidence here", &evidence(&engine, &ids), "ms");
}

fn tell(what: &str, figures: &[f64], unit: &str) {
    println!(
        "  {what:32} p50 {:.2} {unit}   p99 {:.2} {unit}",
        quantile(figures, 0.5),
        quantile(figures, 0.99)
    );
}

fn intent(number: usize, id: &str) -> Value {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let (secs, nanos) = (now.as_secs(), now.subsec_nanos());
    json!({
        "v": 1, "type": "intent", "id": format!("bench-{number}"), "target": {"id": id},
        "rule": "cuda-oom", "remedy": "restart", "times": [[secs, 1]], "last": [secs, nanos],
        "sample": "RuntimeError: CUDA out of memory", "source": "bench",
    })
}

/// Appends as small as the journal's, in the directory of the journal.
fn fsyncs(dir: &Path) -> Vec<f64> {
    let mut file = File::create(dir.join("fsync")).expect("made");
    let once = |_| {
        let start = Instant::now();
        file.write_all(&[b'x'; 300]).expect("written");
        file.sync_data().expect("on disk");
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..100).map(once).collect()
}

fn inspects(engine: &FakeEngine, ids: &[String]) -> Vec<f64> {
    let once = |id: &String| {
        let start = Instant::now();
        ask(engine, &[&format!("/containers/{id}/json")]);
        start.elapsed().as_secs_f64() * 1e3
    };
    ids.iter().take(100).map(once).collect()
}

/// Inspect and memory at once, as the executor asks for them.
fn evidence(engine: &FakeEngine, ids: &[String]) -> Vec<f64> {
    let once = |id: &String| {
        let start = Instant::now();
        let stats = format!("/containers/{id}/stats?stream=false&one-shot=true");
        ask(engine, &[&format!("/containers/{id}/json"), &stats]);
        start.elapsed().as_secs_f64() * 1e3
    };
    ids.iter().take(100).map(once).collect()
}

/// Sends all requests before it reads the first reply.
fn ask(engine: &FakeEngine, paths: &[&str]) {
    let send = |path: &&str| {
        let mut stream = UnixStream::connect(engine.socket()).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n").expect("sent");
        stream
    };
    let sent: Vec<UnixStream> = paths.iter().map(send).collect();
    for stream in sent {
        let reply = std::io::read_to_string(stream).expect("answered");
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    }
}

/// When each intent came; every one is answered at once.
fn arrivals(listener: UnixListener) -> Receiver<Instant> {
    let (sender, receiver) = sync_channel(LINES);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let reader = BufReader::new(stream.try_clone().expect("cloned"));
            for line in reader.lines().map_while(Result::ok) {
                let arrived = Instant::now();
                let message: BTreeMap<String, Value> = serde_json::from_str(&line).expect("JSON");
                let answer = json!({"v": 1, "id": message["id"], "decision": "noted"});
                // The plugin may have given up on a slow machine; it sends again.
                let _ = writeln!(stream, "{answer}");
                // Not the question whether somebody answers.
                if message["type"] == "intent" {
                    let _ = sender.send(arrived);
                }
            }
        }
    });
    receiver
}

fn install(dir: &Path, socket: &Path) {
    let put = |name: &str, text: &str| std::fs::write(dir.join(name), text).expect("written");
    put("fluent-bit.conf", &repository_file("conf/fluent-bit.conf"));
    put("parsers.conf", &repository_file("conf/parsers.conf"));
    put(
        "plugins.conf",
        &format!("[PLUGINS]\n    Path {}\n", plugin_so().display()),
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("bound").port();
    put(
        "main.conf",
        &format!(
            "@INCLUDE fluent-bit.conf\n@SET HEALER_CONF={0}\n@SET HEALER_CONTAINERS={0}/containers\n\
             @SET HEALER_STATE={0}/state\n@SET HEALER_SOCKET={1}\n@SET HEALER_HTTP_PORT={port}\n",
            dir.display(),
            socket.display()
        ),
    );
}

/// A process that ends with its handle.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
