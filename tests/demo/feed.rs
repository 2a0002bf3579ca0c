//! What reads the container's log and calls the plugin: a real Fluent Bit with
//! the files of conf/, or the test suite's plugin host in this very process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::lines::{Follower, epoch};
use super::support::events::{self, Chunk, Stamp};
use super::support::host::{FLB_RETRY, Output, Plugin};
use super::support::ports::free_port;
use super::support::tools::{fluent_bit, repository_file};

/// When Fluent Bit, with scheduler.base 1, would try a chunk again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What this machine has.
pub(crate) enum Source {
    FluentBit { program: PathBuf, version: String },
    Host,
}

/// The same, running.
pub(crate) enum Feed {
    FluentBit { child: Child, log: PathBuf },
    Host(Host),
}

impl Source {
    pub(crate) fn find() -> Self {
        let Some(program) = fluent_bit() else {
            return Self::Host;
        };
        let out = Command::new(&program).arg("--version").output();
        let text = out.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
        let text = text.unwrap_or_default();
        Self::FluentBit {
            version: text.lines().next().unwrap_or("version unknown").to_owned(),
            program,
        }
    }

    pub(crate) fn whose(&self) -> String {
        match self {
            Self::FluentBit { program, version } => {
                format!(
                    "{version} at {}, with conf/fluent-bit.conf",
                    program.display()
                )
            }
            Self::Host => "NONE FOUND (set FLUENT_BIT): the tests' plugin host loads the plugin \
                           in its place"
                .to_owned(),
        }
    }

    /// `log` is the container's log file, which may not be there yet.
    pub(crate) fn start(
        &self,
        dir: &Path,
        plugin: &Path,
        socket: &Path,
        log: PathBuf,
    ) -> Result<Feed, String> {
        match self {
            Self::FluentBit { program, .. } => start_fluent_bit(program, dir, plugin, socket),
            Self::Host => Host::start(plugin, socket, log).map(Feed::Host),
        }
    }
}

fn start_fluent_bit(
    program: &Path,
    dir: &Path,
    plugin: &Path,
    socket: &Path,
) -> Result<Feed, String> {
    install(dir, plugin, socket)?;
    let log = dir.join("fluent-bit.log");
    let failed = |e: std::io::Error| format!("{}: {e}", log.display());
    let stderr = File::create(&log).map_err(failed)?;
    let child = Command::new(program)
        .arg("-c")
        .arg(dir.join("demo.conf"))
        .stdin(Stdio::null())
        .stdout(stderr.try_clone().map_err(failed)?)
        .stderr(stderr)
        .spawn()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    Ok(Feed::FluentBit { child, log })
}

impl Feed {
    /// Hands on what is new, where nobody else does; fails where nobody can.
    pub(crate) fn tick(&mut self) -> Result<(), String> {
        match self {
            Self::Host(host) => {
                host.tick();
                Ok(())
            }
            Self::FluentBit { child, .. } => match child.try_wait() {
                Ok(None) => Ok(()),
                Ok(Some(status)) => Err(format!("Fluent Bit ended ({status}):\n{}", self.log())),
                Err(e) => Err(format!("Fluent Bit: {e}")),
            },
        }
    }

    pub(crate) fn log(&self) -> String {
        match self {
            Self::FluentBit { log, .. } => fs::read_to_string(log).unwrap_or_default(),
            Self::Host(host) => host.output.lines().join("\n"),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Self::FluentBit { child, .. } = self {
            // Nothing of it is kept; gone already is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Tail and engine of Fluent Bit in a few lines: reads the log, makes chunks,
/// flushes them, and tries again what the plugin wants tried again.
pub(crate) struct Host {
    output: Output<'static>,
    log: PathBuf,
    follower: Follower,
    retry: Vec<(Vec<u8>, Instant)>,
}

impl Host {
    fn start(plugin: &Path, socket: &Path, log: PathBuf) -> Result<Self, String> {
        let plugin = fs::canonicalize(plugin).map_err(|e| format!("{}: {e}", plugin.display()))?;
        // Stays loaded until the process ends, as in a Fluent Bit.
        let plugin: &'static Plugin = Box::leak(Box::new(Plugin::load_from(&plugin)));
        plugin.start();
        let socket = socket.display().to_string();
        let output = plugin.init("healer.0", &[("Socket", &socket), ("Rules", "gpu")])?;
        Ok(Self {
            output,
            follower: Follower::new(log.clone()),
            log,
            retry: Vec::new(),
        })
    }

    fn tick(&mut self) {
        let mut due: Vec<Vec<u8>> = Vec::new();
        self.retry.retain(|(chunk, since)| {
            let is_due = since.elapsed() >= RETRY_AFTER;
            if is_due {
                due.push(chunk.clone());
            }
            !is_due
        });
        let path = self.log.display().to_string();
        let lines = self.follower.plain_lines();
        let events = lines.iter().filter_map(|line| event(line, &path));
        let chunk = events.fold(Chunk::default(), |chunk, (at, body)| chunk.v2(at, &body));
        if !chunk.0.is_empty() {
            due.push(chunk.0);
        }
        let tag = format!("docker{}", path.replace('/', "."));
        for chunk in due {
            if self.output.flush(&chunk, &tag) == FLB_RETRY {
                self.retry.push((chunk, Instant::now()));
            }
        }
    }
}

/// What tail with the parser `docker` makes of one line.
fn event(line: &str, path: &str) -> Option<(Stamp, events::Value)> {
    let record: Value = serde_json::from_str(line).ok()?;
    let (seconds, nanos) = epoch(record["time"].as_str()?)?;
    let body = events::map(&[
        ("log", record["log"].as_str()?.into()),
        ("stream", record["stream"].as_str()?.into()),
        ("filepath", path.into()),
    ]);
    Some((Stamp::EventTime(seconds, nanos), body))
}

/// The files of conf/, with places in the demo's directory.
fn install(dir: &Path, plugin: &Path, socket: &Path) -> Result<(), String> {
    let plugin = fs::canonicalize(plugin).map_err(|e| format!("{}: {e}", plugin.display()))?;
    let port = free_port();
    let demo = format!(
        "@INCLUDE fluent-bit.conf\n@SET HEALER_CONF={0}\n\
         @SET HEALER_CONTAINERS={0}/containers\n\
         @SET HEALER_STATE={0}/fluent-bit\n@SET HEALER_SOCKET={1}\n@SET HEALER_HTTP_PORT={port}\n",
        dir.display(),
        socket.display()
    );
    let plugins = format!("[PLUGINS]\n    Path {}\n", plugin.display());
    fs::create_dir(dir.join("fluent-bit")).map_err(|e| format!("fluent-bit: {e}"))?;
    for (name, text) in [
        ("fluent-bit.conf", repository_file("conf/fluent-bit.conf")),
        ("parsers.conf", repository_file("conf/parsers.conf")),
        ("plugins.conf", plugins),
        ("demo.conf", demo),
    ] {
        fs::write(dir.join(name), text).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}
