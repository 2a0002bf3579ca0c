//! docker/executor.Dockerfile, built and run as docker/compose.yaml runs it: the
//! executor as a container that restarts its sibling through the mounted socket.
//!
//! Built from the very binary under test by docker/executor-tar; that the
//! published one is static is the business of `release.rs`.

pub(crate) mod compose;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::engine::{Engine, Spec, engine, eventually, unique_name};
use crate::support::healer;
use crate::support::tools::{program, repository_file, run, skipped};

/// The docker command line, speaking to the engine of the tests.
struct Cli {
    docker: PathBuf,
    host: String,
}

impl Cli {
    fn new(engine: &Engine) -> Option<Self> {
        Some(Self {
            docker: program("docker")?,
            host: format!("unix://{}", engine.socket().display()),
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.docker);
        command.env("DOCKER_HOST", &self.host).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        let out = run(&mut self.command(arguments));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }
}

/// The image, and the container that runs it; both go with this handle.
struct Executor<'a> {
    cli: &'a Cli,
    name: String,
}

impl<'a> Executor<'a> {
    /// As in docker/compose.yaml, with a quicker health check.
    fn start(cli: &'a Cli, engine: &Engine, reports: &Path, targets: &str) -> Self {
        let name = unique_name("executor");
        build(cli, &name);
        let executor = Self { cli, name };
        let socket = engine.socket();
        let gid = gid(socket);
        let volume = |kind: &str, at: &str| format!("{}-{kind}:{at}", executor.name);
        let mut command = cli.command(&["run", "--detach", "--read-only", "--network=none"]);
        command
            .args(["--name", &executor.name, "--label", "healer.protect=true"])
            .args(["--cap-drop=ALL", "--security-opt=no-new-privileges:true"])
            .args(["--health-interval=1s", "--log-driver=local"])
            .args(["--group-add", &gid.to_string()])
            .args(["--tmpfs", "/run/healer-admin:uid=10001,gid=10001,mode=0700"])
            .args(["--env", "TARGET_CONTAINER="])
            .args(["--env", "HEALER_PROCFS=/host/proc"])
            .args(["-v", "/proc:/host/proc:ro"])
            .args(["--env", &format!("HEALER_TARGETS={targets}")])
            .args(["-v", &format!("{}:/var/run/docker.sock", socket.display())])
            .args(["-v", &format!("{}:/tmp/marie-healer", reports.display())])
            .args(["-v", &volume("intents", "/run/healer")])
            .args(["-v", &volume("state", "/var/lib/log-healer")])
            .arg(&executor.name);
        run(&mut command);
        executor
    }

    /// `docker exec ... healer ARGUMENTS`
    fn healer(&self, arguments: &[&str]) -> Output {
        self.cli
            .command(&["exec", &self.name, "healer"])
            .args(arguments)
            .output()
            .expect("docker runs")
    }

    /// Hands a failure's line to `healer scan --send` inside; what it says.
    fn scan(&self, target: &str) -> String {
        let line = "echo 'RuntimeError: CUDA out of memory' | \
                    \"$0\" exec -i \"$1\" healer scan --send --target \"$2\"";
        let mut shell = Command::new("sh");
        shell
            .env("DOCKER_HOST", &self.cli.host)
            .args(["-c", line])
            .arg(&self.cli.docker)
            .args([&self.name, target]);
        String::from_utf8_lossy(&run(&mut shell).stdout).into_owned()
    }

    fn inspect(&self, what: &str) -> String {
        self.cli.run(&[
            "inspect",
            "--format",
            &format!("{{{{{what}}}}}"),
            &self.name,
        ])
    }
}

impl Drop for Executor<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.cli.command(&["logs", &self.name]).output();
            eprintln!("---- docker logs: {logs:?}");
        }
        // Whatever is gone already is as good.
        let volumes = [
            format!("{}-intents", self.name),
            format!("{}-state", self.name),
        ];
        for arguments in [
            vec!["rm", "--force", &self.name],
            vec!["volume", "rm", "--force", &volumes[0], &volumes[1]],
            vec!["rmi", "--force", &self.name],
        ] {
            let _ = self.cli.command(&arguments).output();
        }
    }
}

/// The group that may use a socket.
fn gid(socket: &Path) -> u32 {
    std::fs::metadata(socket).expect("the socket").gid()
}

/// `docker build` of the repository's Dockerfile, with the files of this build.
fn build(cli: &Cli, image: &str) {
    let context = tempfile::tempdir().expect("a temporary directory");
    let dist = context.path().join("target/dist");
    std::fs::create_dir_all(&dist).expect("made");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    run(Command::new(root.join("docker/executor-tar"))
        .arg(healer::program())
        .arg(dist.join("executor.tar")));
    let ignore = repository_file(".dockerignore");
    std::fs::write(context.path().join(".dockerignore"), ignore).expect("written");
    let dockerfile = root.join("docker/executor.Dockerfile");
    run(cli
        .command(&["build", "--quiet", "--tag", image, "--file"])
        .args([&dockerfile, context.path()]));
}

fn stdout(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

#[test]
fn the_executor_as_a_container_restarts_its_sibling() {
    let Some(engine) = engine() else { return };
    let Some(cli) = Cli::new(engine) else {
        return skipped("the executor as a container", "no docker command line");
    };
    let reports = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(reports.path(), PermissionsExt::from_mode(0o1777)).expect("ours");
    let by_hand = engine.run("by-hand", &Spec::app());
    let by_line = engine.run("by-line", &Spec::app());
    let other = engine.run("other", &Spec::app());
    let targets = format!("{},{}", by_hand.name, by_line.name);
    let executor = Executor::start(&cli, engine, reports.path(), &targets);

    eventually("the health check", || {
        (executor.inspect(".State.Health.Status") == "healthy").then_some(())
    });
    assert_eq!(executor.inspect(".Config.User"), "10001:10001");

    let check = stdout(&executor.healer(&["check"]));
    let found = "ok    kernel records: /host/proc shows the host's processes";
    assert!(check.contains(found), "{check}");

    // A person asks.
    let before = by_hand.started_at();
    let out = executor.healer(&["restart", &by_hand.name]);
    assert_eq!(out.status.code(), Some(0), "{}", stdout(&out));
    assert!(
        stdout(&out).contains("Restart complete."),
        "{}",
        stdout(&out)
    );
    assert_ne!(by_hand.started_at(), before);
    let out = executor.healer(&["restart", &by_hand.name]);
    assert_eq!(out.status.code(), Some(3), "{}", stdout(&out));
    assert!(
        stdout(&out).contains("Cooldown active ("),
        "{}",
        stdout(&out)
    );

    // Never itself.
    let out = executor.healer(&["restart", &executor.name]);
    assert_eq!(out.status.code(), Some(3), "{}", stdout(&out));
    assert!(stdout(&out).contains("own container"), "{}", stdout(&out));

    // A line asks; and one of a container that nobody listed.
    let before = by_line.started_at();
    executor.scan(&by_line.name);
    eventually("the restart", || {
        (by_line.started_at() != before).then_some(())
    });
    let before = other.started_at();
    let said = executor.scan(&other.name);
    assert!(said.contains("refused"), "{said}");
    assert_eq!(other.started_at(), before);

    let last = eventually("its report", || {
        let text = std::fs::read_to_string(reports.path().join("last_restart.json")).ok()?;
        text.contains(&by_line.name).then_some(text)
    });
    assert!(last.contains(&by_line.id[..12]), "{last}");

    cli.run(&["stop", "--time", "30", &executor.name]);
    assert_eq!(executor.inspect(".State.ExitCode"), "0");
}
