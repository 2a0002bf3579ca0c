//! Runs the program, and plays the other end of its sockets.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

/// A directory of its own with a configuration that leads into it.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        std::fs::create_dir(dir.path().join("admin")).unwrap();
        let config = format!(
            "intents_socket = '{}'\nadmin_socket = '{}'\nstate_dir = '{}'\n\
             report_dir = '{}'\ndocker_socket = '{}'\n[http]\nlisten = 'off'\n",
            at("intents.sock"),
            at("admin/admin.sock"),
            at("state"),
            at("reports"),
            at("docker.sock"),
        );
        std::fs::write(dir.path().join("healer.toml"), config).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `healer ARGS` with this place's configuration.
    pub(crate) fn healer(&self, args: &[&str]) -> Command {
        let mut command = healer(args);
        command.env("HEALER_CONFIG", self.path("healer.toml"));
        command
    }
}

/// `healer ARGS` with nothing in its environment.
pub(crate) fn healer(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_healer"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

/// Runs it with this input to its end.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The program may end without reading it all.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    })
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Lines that a socket was sent.
pub(crate) type Sent = Arc<Mutex<Vec<serde_json::Value>>>;

/// Listens at `path` and answers each line by `answer`; none closes the connection.
pub(crate) fn serve(
    path: &Path,
    answer: impl Fn(&serde_json::Value) -> Option<serde_json::Value> + Send + 'static,
) -> Sent {
    let listener = UnixListener::bind(path).unwrap();
    let sent = Sent::default();
    let seen = Arc::clone(&sent);
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut writer = stream.try_clone().unwrap();
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { break };
                let message: serde_json::Value = serde_json::from_str(&line).unwrap();
                let answer = answer(&message);
                seen.lock().unwrap().push(message);
                let Some(answer) = answer else { break };
                if writeln!(writer, "{answer}").is_err() {
                    break;
                }
            }
        }
    });
    sent
}
