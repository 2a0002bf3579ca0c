//! A real Fluent Bit with the configuration that is shipped, for tests of the whole
//! path; [`super::fluent_bit`] is for those of the plugin alone.
//!
//! What it keeps true: the configuration under test is the one in `conf/`, with
//! its places replaced and what a test adds; nothing of the machine's own
//! set-up is used; every wait has an end; a failed test shows Fluent Bit's log.

mod lines;
mod setup;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::engine::eventually;
use super::healer::tell;
use super::tools::{fluent_bit, skipped};

pub(crate) use lines::{Load, docker_line};
pub(crate) use setup::Setup;

/// Longest wait for one page of its HTTP server.
const ANSWER: Duration = Duration::from_secs(5);

/// A Fluent Bit, alive or dead, and what it leaves behind.
pub(crate) struct FluentBit {
    dir: tempfile::TempDir,
    program: PathBuf,
    setup: Setup,
    process: Option<Child>,
}

/// What a process holds, as the kernel counts it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) resident_kib: u64,
    /// Mappings of the plugin's file.
    pub(crate) mappings: usize,
}

impl FluentBit {
    /// Starts one and waits until its server answers; none, said loudly, where
    /// there is no Fluent Bit.
    pub(crate) fn start(setup: Setup) -> Option<Self> {
        let mut fluent_bit = Self::not_started(setup)?;
        fluent_bit.start_again();
        Some(fluent_bit)
    }

    /// Its directory and configuration without a process.
    pub(crate) fn not_started(setup: Setup) -> Option<Self> {
        let Some(program) = fluent_bit() else {
            skipped("tests in a real Fluent Bit", "no fluent-bit was found");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("fluent-bit-").tempdir();
        let dir = dir.expect("a directory");
        for name in ["containers", "state"] {
            fs::create_dir(dir.path().join(name)).expect("an empty directory");
        }
        setup.install(dir.path());
        Some(Self {
            dir,
            program,
            setup,
            process: None,
        })
    }

    /// Starts it, be it the first time or after [`Self::kill`] or [`Self::stop`].
    pub(crate) fn start_again(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("fluent-bit.log"))
            .expect("a log");
        let mut command = Command::new(&self.program);
        command
            .arg("-c")
            .arg(self.path("fluent-bit.conf"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.process = Some(command.spawn().expect("Fluent Bit starts"));
        // Its own page of figures comes a moment after its health.
        self.eventually("its server", |this| {
            this.get("/api/v2/metrics/prometheus")
                .filter(|page| page.contains("healer_plugin_executor_up"))
        });
    }

    /// kill -9. Returns when it is gone.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it is our child");
        process.wait().expect("it is our child");
    }

    /// SIGTERM, and the exit status.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let mut process = self.process.take().expect("it runs");
        eventually("the end of Fluent Bit", || {
            process.try_wait().expect("our child")
        })
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        let pid = rustix::process::Pid::from_child(process);
        rustix::process::kill_process(pid, signal).expect("it is our child");
    }

    /// Changes the configuration on disk; a reload or start reads it.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(Setup) -> Setup) {
        self.setup = change(self.setup.clone());
        self.setup.install(self.dir.path());
    }

    // ---- hot reload --------------------------------------------------------------

    /// SIGHUP; returns when the new configuration runs.
    pub(crate) fn reload_by_signal(&mut self) {
        self.reload(|this| this.signal(Signal::HUP));
    }

    /// `POST /api/v2/reload`; returns when the new configuration runs.
    pub(crate) fn reload_by_http(&mut self) {
        self.reload(|this| {
            let reply = this.request("POST /api/v2/reload", "{}");
            let reply = reply.expect("its server answers");
            assert!(reply.contains("\"status\":0"), "{reply}");
        });
    }

    fn reload(&mut self, ask: impl FnOnce(&Self)) {
        let done = |log: &str| log.matches("successful reload done").count();
        let (before, count) = (done(&self.log()), self.reloads());
        let count = count.expect("its server answers");
        ask(self);
        self.eventually("a reload", |this| {
            (done(&this.log()) > before && this.reloads()? > count).then_some(())
        });
    }

    /// Hot reloads so far.
    fn reloads(&self) -> Option<u64> {
        let page = self.get("/api/v2/reload")?;
        let digits = page.split_once("\"hot_reload_count\":")?.1;
        digits.trim_end().trim_end_matches('}').parse().ok()
    }

    // ---- what it shows -----------------------------------------------------------

    /// The body of a page; none while its server does not answer.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        self.request(&format!("GET {path}"), "").ok()
    }

    fn request(&self, line: &str, body: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.setup.port))?;
        stream.set_read_timeout(Some(ANSWER))?;
        write!(
            stream,
            "{line} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        let (_, body) = reply
            .split_once("\r\n\r\n")
            .ok_or(std::io::ErrorKind::InvalidData)?;
        Ok(body.to_owned())
    }

    /// The sum of a metric's series whose labels contain these words; none
    /// where there is no such series.
    pub(crate) fn metric(&self, name: &str, labels: &str) -> Option<f64> {
        let page = self.get("/api/v2/metrics/prometheus")?;
        let values = page.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (its_name, its_labels) = series.split_once('{')?;
            (its_name == name && its_labels.contains(labels)).then(|| value.parse::<f64>().ok())?
        });
        values.reduce(|sum, value| sum + value)
    }

    /// Waits until [`Self::metric`] is as wanted.
    pub(crate) fn eventually_counts(
        &mut self,
        name: &str,
        labels: &str,
        wanted: impl Fn(f64) -> bool,
    ) -> f64 {
        self.eventually(&format!("{name}{{{labels}}}"), |this| {
            this.metric(name, labels).filter(|value| wanted(*value))
        })
    }

    /// Polls until there is a value; its end is the test's.
    pub(crate) fn eventually<T>(
        &mut self,
        what: &str,
        mut poll: impl FnMut(&Self) -> Option<T>,
    ) -> T {
        eventually(&format!("{what} of Fluent Bit"), || {
            self.assert_alive();
            poll(self)
        })
    }

    /// Fails if it has ended.
    pub(crate) fn assert_alive(&mut self) {
        let process = self.process.as_mut().expect("it runs");
        let ended = process.try_wait().expect("our child");
        assert_eq!(ended, None, "Fluent Bit ended by itself");
    }

    /// What it holds now.
    pub(crate) fn held(&self) -> Held {
        let process = self.process.as_ref().expect("it runs");
        let proc = PathBuf::from(format!("/proc/{}", process.id()));
        let count = |dir: &str| fs::read_dir(proc.join(dir)).expect("it runs").count();
        let text = |file: &str| fs::read_to_string(proc.join(file)).expect("it runs");
        let status = text("status");
        let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let resident = resident.expect("the kernel says so");
        Held {
            descriptors: count("fd"),
            threads: count("task"),
            resident_kib: resident
                .trim()
                .trim_end_matches(" kB")
                .parse()
                .expect("KiB"),
            mappings: text("maps").matches("out_healer.so").count(),
        }
    }

    // ---- files -------------------------------------------------------------------

    /// A path in its own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// All that it has logged, over all starts.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("fluent-bit.log")).unwrap_or_default()
    }

    /// Where the log of a container with this id is expected; made if need be.
    pub(crate) fn container_log(&self, id: &str) -> PathBuf {
        container_log(&self.path("containers"), id)
    }

    /// Appends a line to a container's log, as Docker does, as of now.
    pub(crate) fn print(&self, id: &str, text: &str) {
        append(
            &self.container_log(id),
            &docker_line(super::healer::now(), text),
        );
    }

    /// What the second output has written, see [`Setup::with_a_second_output`].
    pub(crate) fn second_output(&self) -> String {
        fs::read_to_string(self.path("second-output.txt")).unwrap_or_default()
    }

    /// Prints a line of its own and waits until the second output has it:
    /// whatever the executor does, the others flow.
    pub(crate) fn assert_flowing(&mut self, id: &str) {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let word = format!("tick-{}.", COUNT.fetch_add(1, Ordering::Relaxed));
        self.print(id, &word);
        self.eventually("the second output", |this| {
            this.second_output().contains(&word).then_some(())
        });
    }
}

impl Drop for FluentBit {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _gone_already = process.kill();
            let _reaped = process.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let from = log.lines().count().saturating_sub(100);
            let tail: Vec<&str> = log.lines().skip(from).collect();
            tell(&format!(
                "---- log of Fluent Bit\n{}\n----",
                tail.join("\n")
            ));
        }
    }
}

fn container_log(containers: &Path, id: &str) -> PathBuf {
    let dir = containers.join(id);
    fs::create_dir_all(&dir).expect("a directory");
    dir.join(format!("{id}-json.log"))
}

/// Appends one line in one write.
pub(crate) fn append(file: &Path, line: &str) {
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(file)
        .expect("the file can be opened");
    file.write_all(format!("{line}\n").as_bytes())
        .expect("the file can be written");
}
