//! docker/compose.yaml, up for real: a line of a container goes through Fluent
//! Bit in its container and the executor in its own, and the container is
//! restarted. What this is about are users, groups, volumes and capabilities.
//!
//! Fluent Bit's image cannot be pulled here, so one is made of the machine's
//! Fluent Bit. On the way names and ports are replaced, and of the machine's
//! containers only the test's own can be seen: nobody else's is touched.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Cli, build};
use crate::support::engine::{Spec, engine, eventually, unique_name};
use crate::support::tools::{fluent_bit, plugin_so, program, repository_file, run, skipped};

const WHAT: &str = "docker/compose.yaml, up for real";

/// `docker compose` or `docker-compose`, with its first arguments.
pub(crate) fn compose() -> Option<Vec<String>> {
    let docker = program("docker").filter(|docker| {
        let out = Command::new(docker).args(["compose", "version"]).output();
        out.is_ok_and(|out| out.status.success())
    });
    match (docker, program("docker-compose")) {
        (Some(docker), _) => Some(vec![docker.display().to_string(), "compose".into()]),
        (None, Some(compose)) => Some(vec![compose.display().to_string()]),
        (None, None) => None,
    }
}

/// A running project, taken down with this handle.
struct Project<'a> {
    cli: &'a Cli,
    compose: Vec<String>,
    dir: tempfile::TempDir,
    name: String,
    gid: u32,
}

impl Project<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let (program, first) = self.compose.split_first().expect("a program");
        let mut command = Command::new(program);
        command
            .args(first)
            .args(arguments)
            .current_dir(self.dir.path())
            .env("DOCKER_HOST", &self.cli.host)
            .env("COMPOSE_PROJECT_NAME", &self.name)
            .env("DOCKER_GID", self.gid.to_string())
            .env("HEALER_HOSTNAME", "asp-gpu002")
            .env("HEALER_IMAGE", format!("{}-executor", self.name))
            .env(
                "HEALER_FLUENT_BIT_IMAGE",
                format!("{}-fluent-bit", self.name),
            )
            .env("HEALER_REPORT_DIR", self.dir.path().join("reports"))
            .env("HEALER_CONF_DIR", repository("conf"));
        command
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.command(&["logs"]).output();
            eprintln!("---- compose logs: {logs:?}");
        }
        // Whatever is gone already is as good.
        let _ = self.command(&["down", "--volumes"]).output();
        for image in ["executor", "fluent-bit"] {
            let image = format!("{}-{image}", self.name);
            let _ = self.cli.command(&["rmi", "--force", &image]).output();
        }
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The shipped file with names and ports of this test, and a view of one
/// container's log alone.
fn adapted(project: &str, container_id: &str) -> String {
    let containers = "/var/lib/docker/containers";
    let replaced = [
        (
            "container_name: log-healer",
            format!("container_name: {project}"),
        ),
        ("127.0.0.1:2020:2020", "127.0.0.1::2020".into()),
        ("127.0.0.1:9718:9718", "127.0.0.1::9718".into()),
        (
            "/var/lib/docker/containers:/var/lib/docker/containers:ro",
            format!("{containers}/{container_id}:{containers}/{container_id}:ro"),
        ),
    ];
    let text = repository_file("docker/compose.yaml");
    replaced.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "docker/compose.yaml lacks {from}");
        text.replace(from, to)
    })
}

/// An image like the published one: Fluent Bit, its libraries and the plugin.
fn fluent_bit_image(cli: &Cli, fluent_bit: &Path, name: &str) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let put = |from: &Path, to: &str| {
        let to = root.path().join(to.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().expect("in a directory")).expect("made");
        std::fs::copy(from, &to).expect("copied");
    };
    let plugin = plugin_so();
    put(fluent_bit, "/fluent-bit/bin/fluent-bit");
    put(&plugin, "/usr/local/lib/log-healer/out_healer.so");
    for file in [fluent_bit, &plugin] {
        let out = run(Command::new("ldd").arg(file));
        for word in String::from_utf8_lossy(&out.stdout).split_whitespace() {
            if word.starts_with('/') && Path::new(word).is_file() {
                put(Path::new(word), word);
            }
        }
    }
    let dockerfile = repository_file("docker/plugin.Dockerfile");
    let last = |word: &str| {
        let line = dockerfile.lines().rev().find(|line| line.starts_with(word));
        line.unwrap_or_else(|| panic!("no {word}")).to_owned()
    };
    let tar = root.path().join("image.tar");
    run(Command::new("tar")
        .args([
            "-C",
            &root.path().display().to_string(),
            "--exclude=image.tar",
            "-cf",
        ])
        .args([tar.as_path(), Path::new(".")]));
    run(cli
        .command(&[
            "import",
            "--change",
            &last("ENTRYPOINT"),
            "--change",
            &last("CMD"),
        ])
        .args([&tar.display().to_string(), name]));
}

#[test]
fn the_compose_file_heals_a_container() {
    let (Some(engine), Some(fluent_bit), Some(compose)) = (engine(), fluent_bit(), compose())
    else {
        return skipped(WHAT, "it takes an engine, a Fluent Bit and docker compose");
    };
    let Some(cli) = Cli::new(engine) else {
        return skipped(WHAT, "no docker command line");
    };
    let info = engine.request("GET", "/info", None);
    if info["DockerRootDir"] != "/var/lib/docker" {
        return skipped(
            WHAT,
            "this engine does not keep its logs in /var/lib/docker",
        );
    }
    let app = engine.run("composed", &Spec::app().label("healer.enable", "true"));

    let name = unique_name("compose");
    let project = Project {
        cli: &cli,
        compose,
        dir: tempfile::tempdir().expect("a temporary directory"),
        gid: super::gid(engine.socket()),
        name,
    };
    build(&cli, &format!("{}-executor", project.name));
    fluent_bit_image(&cli, &fluent_bit, &format!("{}-fluent-bit", project.name));
    let reports = project.dir.path().join("reports");
    std::fs::create_dir(&reports).expect("made");
    std::fs::set_permissions(&reports, PermissionsExt::from_mode(0o1777)).expect("ours");
    let file = project.dir.path().join("docker-compose.yaml");
    std::fs::write(file, adapted(&project.name, &app.id)).expect("written");

    run(&mut project.command(&["up", "--detach", "--no-build"]));
    let before = app.started_at();
    app.print("RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB");
    eventually("the restart", || (app.started_at() != before).then_some(()));
    let last = eventually("its report", || {
        std::fs::read_to_string(reports.join("last_restart.json")).ok()
    });
    assert!(last.contains(&app.id[..12]), "{last}");
    assert!(last.contains("\"asp-gpu002\""), "{last}");
}
