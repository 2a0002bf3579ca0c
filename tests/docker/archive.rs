//! Files in containers that are down, on a real engine: their own, a volume's, a bind mount's,
//! links to them, and what counts as none.

use std::path::Path;

use healer::docker::{AtPath, DockerError};
use serde_json::json;

use super::{Blocking, LONG, block_on};
use crate::support::engine::{Container, Engine, Spec, engine, unique_name};

impl Blocking {
    fn at(&self, container: &str, path: &str) -> Result<Option<AtPath>, DockerError> {
        block_on(self.0.at_path(container, path, LONG))
    }
}

const SCRIPT: &str = "
    printf 12345 > /own; : > /empty; mkdir /dir /dir/in; mkfifo /pipe
    printf 123 > '/a b?&c=%41'
    printf 1234567 > /volume/file; printf 12 > /tmpfs/file
    ln -s /own /link; ln -s ../../own /dir/in/up; ln -s /dir/in/up /link-to-link
    ln -s /volume/file /link-to-volume; ln -s ../../../../volume/file /dir/in/out
    ln -s /bound/file /link-to-bound; ln -s /nothing /dangling
    ln -s /round /round; ln -s ../../../../../../../../../etc/hostname /escapes";

/// A container that has run this, with a volume and this directory of the host.
fn ended(engine: &Engine, bound: &Path) -> Container {
    let name = unique_name("archive");
    let binds = [
        format!("{name}:/volume"),
        format!("{}:/bound", bound.display()),
    ];
    let spec = Spec::command(&["sh", "-c", SCRIPT])
        .host_config("Binds", json!(binds))
        .host_config("Tmpfs", json!({"/tmpfs": ""}));
    let container = engine.create(&name, &spec);
    container.start();
    container.eventually("its end", |state| state["Status"] == "exited");
    container
}

#[test]
fn what_a_container_has_left_is_found_when_it_is_down() {
    let Some(engine) = engine() else { return };
    let bound = tempfile::tempdir().expect("a directory");
    std::fs::write(bound.path().join("file"), "1").expect("written");
    let container = ended(engine, bound.path());
    let client = Blocking::new(engine.socket());
    let file = |size| Some(AtPath::File { size });
    for (path, found) in [
        ("/own", file(5)),
        ("/dir/../own", file(5)),
        ("/a b?&c=%41", file(3)),
        ("/empty", file(0)),
        ("/volume/file", file(7)),
        ("/bound/file", file(1)),
        ("/link", file(5)),
        ("/dir/in/up", file(5)),
        ("/link-to-link", file(5)),
        ("/link-to-volume", file(7)),
        ("/dir/in/out", file(7)),
        ("/link-to-bound", file(1)),
        ("/dir", Some(AtPath::Directory)),
        ("/dir/", Some(AtPath::Directory)),
        ("/pipe", Some(AtPath::Special)),
        ("/nothing", Some(AtPath::Nothing)),
        ("/nothing/at/all", Some(AtPath::Nothing)),
        ("/dangling", Some(AtPath::Nothing)),
        // Gone with the container's end.
        ("/tmpfs/file", Some(AtPath::Nothing)),
    ] {
        assert_eq!(client.at(&container.id, path), Ok(found), "{path}");
    }
    // The engine looks for it in the container, never on the host.
    let host = std::fs::metadata("/etc/hostname").map_or(0, |meta| meta.len());
    let inside = client.at(&container.id, "/escapes").expect("an answer");
    assert_ne!(inside, file(host.max(1)), "out of the container");
    // Neither is an answer.
    for path in ["/round", "/own/through", "/own/"] {
        let error = client.at(&container.id, path).expect_err(path).to_string();
        assert!(
            error.contains("answered 500") && error.contains(path),
            "{error}"
        );
    }
    // A volume may be in another container's use, and a container may run.
    container.remove();
    assert_eq!(client.at(&container.id, "/own"), Ok(None));
    engine.request("DELETE", &format!("/volumes/{}", container.name), None);
}

#[test]
fn one_that_is_gone_or_was_never_there_is_told_from_a_missing_file() {
    let Some(engine) = engine() else { return };
    let client = Blocking::new(engine.socket());
    let running = engine.run("archive-up", &Spec::app());
    assert_eq!(
        client.at(&running.id, "/nothing"),
        Ok(Some(AtPath::Nothing))
    );
    for nobody in ["0".repeat(64), unique_name("nobody"), "..".to_owned()] {
        assert_eq!(client.at(&nobody, "/app"), Ok(None), "{nobody}");
    }
}
