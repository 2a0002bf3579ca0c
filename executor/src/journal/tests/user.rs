//! The executor as an ordinary user, played by a child process where the tests
//! run as root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;

use super::*;

const CHILD_DIR: &str = "HEALER_TEST_USER_DIR";
/// A user that is not there.
const ORDINARY: u32 = 54_321;

/// Not a test: opens and says how that went.
#[test]
#[ignore = "helper process"]
#[allow(clippy::print_stdout)]
fn child_opens_as_an_ordinary_user() {
    let Some(path) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let opened = StateDir::open(path.as_ref()).and_then(|dir| Journal::open(&dir, FAIL_CLOSED_MS));
    match opened {
        Ok(opened) => println!("\nsaid: {:?} {:?}", opened.damage, opened.records),
        Err(error) => println!("\nsaid: {} {error}", error.kind()),
    }
}

/// What an ordinary user's child says; none, and said so, where there is none.
fn said(path: &Path) -> Option<String> {
    let child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "journal::tests::user::child_opens_as_an_ordinary_user",
        ])
        .args(["--ignored", "--nocapture"])
        .env(CHILD_DIR, path)
        .uid(ORDINARY)
        .gid(ORDINARY)
        .output();
    let Ok(output) = child else {
        skip("an ordinary user (needs root)");
        return None;
    };
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let line = text.lines().find_map(|line| line.strip_prefix("said: "));
    Some(line.unwrap_or_else(|| panic!("{text}")).to_owned())
}

/// A directory that an ordinary user can get to.
fn reachable() -> State {
    let state = State::new();
    let parent = state.path.parent().expect("a parent");
    fs::set_permissions(parent, fs::Permissions::from_mode(0o755)).expect("chmod");
    drop(state.dir());
    state
}

#[test]
fn a_journal_that_another_user_wrote_fails_closed() {
    let state = reachable();
    fs::write(state.file(), "theirs").expect("written");
    fs::set_permissions(state.file(), fs::Permissions::from_mode(0o600)).expect("chmod");
    if chown(&state.path, Some(ORDINARY), Some(ORDINARY)).is_err() {
        return skip("an ordinary user (needs root)");
    }
    let Some(said) = said(&state.path) else {
        return;
    };
    assert!(said.starts_with("Some(SetAside"), "{said}");
    assert!(
        said.contains("it cannot be opened: Permission denied"),
        "{said}"
    );
    assert!(said.contains("FailClosed"), "{said}");
}

#[test]
fn a_state_directory_of_root_is_refused_to_an_ordinary_user_with_the_chown_to_type() {
    let state = reachable();
    fs::set_permissions(&state.path, fs::Permissions::from_mode(0o755)).expect("chmod");
    let Some(said) = said(&state.path) else {
        return;
    };
    assert!(said.starts_with("unsafe "), "{said}");
    let fix = format!("; type: chown -R {ORDINARY} {}", state.path.display());
    assert!(said.ends_with(&fix), "{said}");
}

#[test]
fn a_directory_that_cannot_be_made_or_entered_is_named() {
    let state = reachable();
    let Some(said) = said(&state.path.join("deeper")) else {
        return;
    };
    assert!(said.starts_with("permission "), "{said}");
    assert!(
        said.contains(state.path.join("deeper").to_str().expect("UTF-8")),
        "{said}"
    );
}
