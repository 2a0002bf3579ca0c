//! A real Fluent Bit with the built plugin, in a directory of its own. Every
//! wait is bounded; where there is no Fluent Bit the test says so and is
//! skipped.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::ports::free_port;
use super::tools;

/// Longest wait for anything that Fluent Bit is to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running Fluent Bit. Killed when dropped.
pub(crate) struct FluentBit {
    child: Child,
    dir: PathBuf,
    port: u16,
}

/// What the `[SERVICE]` section is given besides the usual.
pub(crate) const QUICK: &str = "Flush 0.05\n    Grace 1";

impl FluentBit {
    /// Starts one with `sections` (inputs, filters, outputs in the classic
    /// format; `{dir}` stands for `dir`), HTTP server and hot reload on, and
    /// waits until it runs. None, said loudly, where there is no Fluent Bit.
    pub(crate) fn start(what: &str, dir: &Path, service: &str, sections: &str) -> Option<Self> {
        let Some(program) = tools::fluent_bit() else {
            tools::skipped(
                what,
                "no fluent-bit was found (FLUENT_BIT, PATH, /opt/fluent-bit/bin)",
            );
            return None;
        };
        let port = free_port();
        write_config(dir, port, service, sections);
        let mut fluent_bit = Self {
            child: command(&program, dir).spawn().expect("fluent-bit starts"),
            dir: dir.into(),
            port,
        };
        fluent_bit.wait("it to answer", |it| it.get("/api/v1/uptime").is_some());
        Some(fluent_bit)
    }

    /// Starts one with a configuration that it must refuse; gives what it said.
    /// To be called where [`Self::start`] has found a Fluent Bit.
    pub(crate) fn start_expecting_failure(dir: &Path, service: &str, sections: &str) -> String {
        let program = tools::fluent_bit().expect("found before");
        write_config(dir, free_port(), service, sections);
        let mut refusing = Self {
            child: command(&program, dir).spawn().expect("fluent-bit starts"),
            dir: dir.into(),
            port: 0,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = refusing.child.try_wait().expect("a child") {
                assert!(!status.success(), "{}", refusing.log());
                return refusing.log();
            }
            assert!(Instant::now() < deadline, "it runs:\n{}", refusing.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Writes another configuration, for the next reload.
    pub(crate) fn configure(&self, service: &str, sections: &str) {
        write_config(&self.dir, self.port, service, sections);
    }

    /// The directory that it was given.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// All that it printed so far.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(self.dir.join("fluent-bit.log")).expect("its log is there");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `is_so`, or fails with the log.
    pub(crate) fn wait(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!(
                    "waiting for {what}: it ended with {status}:\n{}",
                    self.log()
                );
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The body of a page of its HTTP server; none where it does not answer.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        let mut buffer = [0; 64 * 1_024];
        // It keeps the connection open: its own length says where it ends.
        loop {
            let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
            answer.extend(&buffer[..count]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length: usize = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse().ok())?
            })?;
            if body.len() >= length {
                return head.starts_with("HTTP/1.1 200").then(|| body.to_string());
            }
        }
    }

    /// One figure of `/api/v2/metrics/prometheus`, by the line up to its value.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let page = self.get("/api/v2/metrics/prometheus")?;
        page.lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    /// Reloads by SIGHUP and waits until that is done.
    pub(crate) fn reload(&mut self) {
        let count = |log: &str| log.matches("successful reload done").count();
        let before = count(&self.log());
        self.signal(libc::SIGHUP);
        self.wait("the reload", |it| {
            count(&it.log()) > before && it.get("/api/v1/uptime").is_some()
        });
    }

    /// Stops it as an operator would, and gives how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                assert_ne!(status.signal(), Some(libc::SIGSEGV), "{}", self.log());
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not stop:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL, and waits for its end.
    pub(crate) fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        self.child.wait().expect("a child");
    }

    fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        // SAFETY: our own child, not yet waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }
}

impl Drop for FluentBit {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_config(dir: &Path, port: u16, service: &str, sections: &str) {
    let plugins = format!("[PLUGINS]\n    Path {}\n", tools::plugin_so().display());
    std::fs::write(dir.join("plugins.conf"), plugins).expect("written");
    let path = dir.to_str().expect("UTF-8");
    let text = format!(
        "[SERVICE]\n    {service}\n    Log_Level info\n    HTTP_Server On\n    \
         HTTP_Listen 127.0.0.1\n    HTTP_Port {port}\n    Hot_Reload On\n    \
         Plugins_File {path}/plugins.conf\n{}",
        sections.replace("{dir}", path)
    );
    std::fs::write(dir.join("fluent-bit.conf"), text).expect("written");
}

fn command(program: &Path, dir: &Path) -> Command {
    let log = File::create(dir.join("fluent-bit.log")).expect("created");
    let mut command = Command::new(program);
    command
        .arg("-c")
        .arg(dir.join("fluent-bit.conf"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("duplicated"))
        .stderr(log);
    command
}
