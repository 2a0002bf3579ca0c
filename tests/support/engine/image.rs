//! The image that test containers run: busybox and a little application.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use super::{Engine, http};
use crate::support::tools::program;

/// Prints `started`, then runs until it is told to end; ends at SIGTERM at
/// once, with `deaf` as argument never.
const APP: &str = r#"#!/bin/sh
if [ "$1" = deaf ]; then trap '' TERM; else trap 'exit 0' TERM; fi
echo started
while :; do sleep 3600 & wait $!; done
"#;

/// The test image: busybox with [`APP`], imported where it is not there yet.
pub(super) fn import(engine: &Engine) -> String {
    import_tar(engine, "log-healer-test", image_tar())
}

/// An image of one program, `/app`, under this repository name. The demo's.
#[allow(dead_code)]
pub(crate) fn import_program(engine: &Engine, repository: &str, program: &[u8]) -> String {
    let mut tar = Vec::new();
    add_to_tar(&mut tar, "app", b'0', "", program);
    tar.resize(tar.len() + 1024, 0);
    import_tar(engine, repository, &tar)
}

/// Imported where an image of just this content is not there yet; its name.
fn import_tar(engine: &Engine, repository: &str, tar: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    tar.hash(&mut hasher);
    let tag = format!("{:016x}", hasher.finish());
    let image = format!("{repository}:{tag}");
    let there = engine
        .try_request("GET", &format!("/images/{image}/json"), None)
        .is_ok_and(|(status, _)| status == 200);
    if !there {
        let path = format!("/images/create?fromSrc=-&repo={repository}&tag={tag}");
        let reply = http(&engine.socket, "POST", &path, "application/x-tar", tar);
        let (status, words) = reply.expect("the engine takes the image");
        let words = String::from_utf8_lossy(&words);
        assert!(
            status == 200 && !words.contains("error"),
            "{status} {words}"
        );
    }
    image
}

/// A tar of busybox, links to the applets that tests use, and the application.
fn image_tar() -> &'static [u8] {
    static TAR: OnceLock<Vec<u8>> = OnceLock::new();
    TAR.get_or_init(|| {
        let busybox = program("busybox")
            .expect("busybox is installed, linked statically (Debian: busybox-static)");
        let program = fs::read(&busybox).expect("busybox can be read");
        let mut tar = Vec::new();
        add_to_tar(&mut tar, "bin/busybox", b'0', "", &program);
        for applet in [
            "sh", "sleep", "cat", "echo", "touch", "rm", "test", "kill", "id", "hostname",
        ] {
            add_to_tar(&mut tar, &format!("bin/{applet}"), b'2', "busybox", b"");
        }
        add_to_tar(&mut tar, "app", b'0', "", APP.as_bytes());
        add_to_tar(&mut tar, "tmp/", b'5', "", b"");
        tar.resize(tar.len() + 1024, 0);
        tar
    })
}

/// One entry in the ustar format: a file (`0`), a symbolic link (`2`) or a directory (`5`).
fn add_to_tar(tar: &mut Vec<u8>, name: &str, kind: u8, link: &str, content: &[u8]) {
    let mut header = [0_u8; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000755\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(157, link);
    put(257, "ustar\x0000");
    header[156] = kind;
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}
