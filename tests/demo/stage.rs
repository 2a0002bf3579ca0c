//! The engine and the container that fails: real ones if they can be had.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::lines::docker_now;
use super::support::engine::image::import_program;
use super::support::engine::{Container, Engine, Options, PrivateEngine, Spec};
use super::support::fake_engine::FakeEngine;

/// What app.rs prints at once, for an engine without processes.
const SERVING: &str = "model loaded, serving";
/// And what it prints after [`FAILS_AFTER`].
const FAILURE: &str = "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB";

/// Of the real container, so that the demo is short.
const STOP_TIMEOUT_S: u32 = 1;
/// As in app.rs.
const FAILS_AFTER: Duration = Duration::from_secs(3);

pub(crate) struct Stage {
    dir: PathBuf,
    name: String,
    whose: String,
    id: String,
    kind: Kind,
    started: Instant,
}

enum Kind {
    /// In the order in which they have to go.
    Real {
        container: Container,
        image: String,
        engine: Engine,
        /// Bytes of its log that were copied; none where Fluent Bit reads the
        /// Engine's own file.
        copied: Option<usize>,
        _private: Option<Box<PrivateEngine>>,
    },
    Simulated {
        engine: FakeEngine,
        /// Lines that its application has printed.
        printed: usize,
    },
}

impl Stage {
    /// Creates the container, and does not start it.
    pub(crate) fn set(dir: &Path) -> Result<Self, String> {
        let name = format!("log-healer-demo-{}", std::process::id());
        let (engine, private, whose) = match Engine::of_the_machine() {
            Some(engine) => {
                let whose = format!("this machine's, {}", version(&engine));
                (engine, None, whose)
            }
            None => match PrivateEngine::start(Options::default()) {
                Ok(private) => {
                    let engine = private.engine().clone();
                    let whose = format!("none answers; a private dockerd, {}", version(&engine));
                    (engine, Some(private), whose)
                }
                Err(why) => return Self::simulated(dir, name, &why),
            },
        };
        let program = match app(dir) {
            Ok(program) => program,
            Err(why) => return Self::simulated(dir, name, &why),
        };
        let image = import_program(&engine, "log-healer-demo", &program);
        let spec = Spec::command(&["/app"])
            .label("log-healer-demo", "true")
            // It is process 1 and handles no signal: SIGTERM does nothing to it.
            .stop_timeout(STOP_TIMEOUT_S.into());
        let container = engine.create_from(&image, &name, &spec);
        Ok(Self {
            dir: dir.to_owned(),
            id: container.id.clone(),
            name,
            whose,
            started: Instant::now(),
            kind: Kind::Real {
                container,
                image,
                engine,
                copied: None,
                _private: private.map(Box::new),
            },
        })
    }

    fn simulated(dir: &Path, name: String, why: &str) -> Result<Self, String> {
        let engine = FakeEngine::start();
        let id = engine.add(&name);
        Ok(Self {
            dir: dir.to_owned(),
            whose: format!("SIMULATED ({why})"),
            name,
            id,
            started: Instant::now(),
            kind: Kind::Simulated { engine, printed: 0 },
        })
    }

    pub(crate) fn whose(&self) -> &str {
        &self.whose
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn socket(&self) -> PathBuf {
        match &self.kind {
            Kind::Real { engine, .. } => engine.socket().to_owned(),
            Kind::Simulated { engine, .. } => engine.socket(),
        }
    }

    /// How long the Engine waits for the application to stop.
    pub(crate) fn stop_timeout_s(&self) -> u32 {
        match &self.kind {
            Kind::Real { .. } => STOP_TIMEOUT_S,
            Kind::Simulated { .. } => 0,
        }
    }

    /// `State.StartedAt`
    pub(crate) fn started_at(&self) -> String {
        match &self.kind {
            Kind::Real { container, .. } => container.started_at(),
            Kind::Simulated { engine, .. } => engine.with(&self.id, |c| c.started_at.clone()),
        }
    }

    /// The container's log in Docker's form, where the demo's tail looks for it.
    pub(crate) fn log_file(&self, dir: &Path) -> PathBuf {
        dir.join(format!("containers/{0}/{0}-json.log", self.id))
    }

    /// Starts the container, and sees to it that its log can be read.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        let containers = self.dir.join("containers");
        fs::create_dir_all(&containers).map_err(|e| format!("{}: {e}", containers.display()))?;
        let ours = containers.join(&self.id);
        if let Kind::Real {
            container, copied, ..
        } = &mut self.kind
        {
            container.start();
            let theirs = container.log_path();
            let directory = theirs.parent().filter(|dir| fs::read_dir(dir).is_ok());
            if let Some(directory) = directory {
                std::os::unix::fs::symlink(directory, &ours)
                    .map_err(|e| format!("{}: {e}", ours.display()))?;
            } else {
                *copied = Some(0);
            }
        }
        if !ours.exists() {
            fs::create_dir(&ours).map_err(|e| format!("{}: {e}", ours.display()))?;
        }
        self.started = Instant::now();
        Ok(())
    }

    /// Copies the log where it cannot be read in place, and plays the
    /// application where there is none.
    pub(crate) fn tick(&mut self) -> Result<(), String> {
        let file = self.log_file(&self.dir);
        let mut new = Vec::new();
        match &mut self.kind {
            Kind::Simulated { engine, printed } => {
                let says = [
                    (SERVING, true),
                    (FAILURE, self.started.elapsed() > FAILS_AFTER),
                    (SERVING, engine.with(&self.id, |c| c.starts) > 0),
                ];
                if let Some((text, true)) = says.get(*printed) {
                    new.push((docker_now(), (*text).to_owned()));
                    *printed += 1;
                }
            }
            Kind::Real {
                copied: Some(copied),
                engine,
                ..
            } => {
                let all = log_lines(engine, &self.id)?;
                new.extend_from_slice(all.get(*copied..).unwrap_or_default());
                *copied = all.len();
            }
            Kind::Real { copied: None, .. } => {}
        }
        for (time, text) in new {
            let record = json!({"log": format!("{text}\n"), "stream": "stderr", "time": time});
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&file)
                .and_then(|mut file| writeln!(file, "{record}"))
                .map_err(|e| format!("{}: {e}", file.display()))?;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Kind::Real {
            container,
            image,
            engine,
            ..
        } = &self.kind
        {
            // Whatever is gone already is as good.
            for path in [
                format!("/containers/{}?force=1&v=1", container.id),
                format!("/images/{image}"),
            ] {
                let _ = engine.try_request("DELETE", &path, None);
            }
        }
    }
}

fn version(engine: &Engine) -> String {
    let version = engine.request("GET", "/version", None);
    let word = |key: &str| version[key].as_str().unwrap_or("?").to_owned();
    let socket = engine.socket().display();
    format!(
        "{} (API {}) at {socket}",
        word("Version"),
        word("ApiVersion")
    )
}

/// Builds app.rs so that it runs in an image without anything else.
fn app(dir: &Path) -> Result<Vec<u8>, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/demo/app.rs");
    let program = dir.join("app");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let out = Command::new(rustc)
        .args([
            "--edition",
            "2024",
            "-O",
            "-C",
            "target-feature=+crt-static",
        ])
        .args(["-C", "strip=symbols", "-o"])
        .args([&program, &source])
        .output()
        .map_err(|e| format!("rustc does not start: {e}"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        return Err(format!(
            "the demo's application cannot be linked statically: {said}"
        ));
    }
    fs::read(&program).map_err(|e| format!("{}: {e}", program.display()))
}

/// The whole log by the Engine's API: (time, text) of each line.
fn log_lines(engine: &Engine, id: &str) -> Result<Vec<(String, String)>, String> {
    let path = format!("/containers/{id}/logs?stdout=1&stderr=1&timestamps=1");
    let (_, bytes) = engine
        .try_request("GET", &path, None)
        .map_err(|e| format!("{path}: {e}"))?;
    let mut lines = Vec::new();
    // Frames: one byte for the stream, three zeros, four for the length.
    let mut rest = bytes.as_slice();
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let Some((frame, after)) = body.split_at_checked(length) else {
            break;
        };
        let text = String::from_utf8_lossy(frame);
        if let Some((time, text)) = text.trim_end().split_once(' ') {
            lines.push((time.to_owned(), text.to_owned()));
        }
        rest = after;
    }
    Ok(lines)
}
