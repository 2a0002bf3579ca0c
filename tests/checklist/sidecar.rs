//! A real Fluent Bit with `conf/fluent-bit.conf`, following one container.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::engine::{Container, eventually};
use crate::support::healer::tell;
use crate::support::ports::free_port;
use crate::support::tools::{plugin_so, repository_file};

/// Ends with the test.
pub(super) struct FluentBit {
    dir: tempfile::TempDir,
    port: u16,
    process: Child,
}

impl FluentBit {
    /// The shipped configuration, with places of its own.
    pub(super) fn start(program: &Path, socket: &Path, container: &Container) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let log: PathBuf = container.log_path();
        let log_dir = log.parent().expect("it lies in a directory");
        let state = dir.path().join("state");
        std::fs::create_dir(&state).expect("made");
        let places = [
            ("/etc/healer", dir.path().display().to_string()),
            ("${HEALER_CONTAINERS}/*", log_dir.display().to_string()),
            ("/var/lib/fluent-bit", state.display().to_string()),
            ("/run/healer/intents.sock", socket.display().to_string()),
            ("HTTP_PORT=2020", format!("HTTP_PORT={port}")),
            (
                "/usr/local/lib/log-healer/out_healer.so",
                plugin_so().display().to_string(),
            ),
        ];
        for name in ["fluent-bit.conf", "parsers.conf", "plugins.conf"] {
            let text = repository_file(&format!("conf/{name}"));
            let text = places
                .iter()
                .fold(text, |text, (from, to)| text.replace(from, to));
            std::fs::write(dir.path().join(name), text).expect("written");
        }
        let log = File::create(dir.path().join("log")).expect("made");
        let process = Command::new(program)
            .arg("-c")
            .arg(dir.path().join("fluent-bit.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Fluent Bit starts");
        Self { dir, port, process }
    }

    /// Waits until a page of its HTTP server holds these words.
    pub(super) fn eventually_answers(&mut self, path: &str, words: &str) {
        eventually(path, || {
            let ended = self.process.try_wait().expect("our child");
            assert_eq!(ended, None, "Fluent Bit ended");
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
            write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply).ok()?;
            let (_, body) = reply.split_once("\r\n\r\n")?;
            body.contains(words).then_some(())
        });
    }
}

impl Drop for FluentBit {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _reaped = self.process.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            tell(&format!("---- log of Fluent Bit\n{log}----"));
        }
    }
}
