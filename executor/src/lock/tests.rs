//! The lock between tasks on a paused clock, and between real processes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

const CHILD_DIR: &str = "HEALER_TEST_LOCK_DIR";

fn state() -> (tempfile::TempDir, impl Fn() -> StateDir) {
    let keep = tempfile::tempdir().expect("a temporary directory");
    let path = keep.path().join("state");
    (keep, move || {
        StateDir::open(&path).expect("our own directory opens")
    })
}

async fn lock(dir: StateDir, role: Role) -> Result<StateLock, LockError> {
    StateLock::acquire(dir, role, |_| {}).await
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_run_gives_up_after_five_seconds_and_names_it() {
    for role in [Role::OneShot, Role::Run] {
        let (_keep, dir) = state();
        let held = lock(dir(), Role::Run).await.expect("free");
        let start = Instant::now();
        let error = lock(dir(), role).await.expect_err("held");
        assert!(start.elapsed() >= PATIENCE && start.elapsed() < 2 * PATIENCE);
        let expected = format!(
            "is held by `healer run` (pid {} on host ",
            std::process::id()
        );
        assert!(error.to_string().contains(&expected), "{error}");
        drop(held);
        lock(dir(), role).await.expect("free again");
    }
}

#[tokio::test(start_paused = true)]
async fn run_waits_for_a_one_shot_and_another_one_shot_does_not() {
    let (_keep, dir) = state();
    let held = lock(dir(), Role::OneShot).await.expect("free");
    let mut told = None;
    let run = StateLock::acquire(dir(), Role::Run, |holder| told = holder.cloned());
    let (error, _) = tokio::join!(lock(dir(), Role::OneShot), sleep(10 * PATIENCE));
    assert!(
        error
            .expect_err("held")
            .to_string()
            .contains("a one-shot such as")
    );
    let release = async {
        sleep(10 * PATIENCE).await;
        drop(held);
    };
    let (run, ()) = tokio::join!(run, release);
    let run = run.expect("waited for");
    assert_eq!(told.map(|holder| holder.role), Some(Role::OneShot));
    assert_eq!(run.dir().path(), dir().path());
}

#[tokio::test(start_paused = true)]
async fn run_does_not_wait_for_a_one_shot_for_ever() {
    let (_keep, dir) = state();
    let _held = lock(dir(), Role::OneShot).await.expect("free");
    let start = Instant::now();
    lock(dir(), Role::Run).await.expect_err("held");
    assert!(start.elapsed() >= ONE_SHOT_PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_holder_without_a_name_is_not_guessed_at() {
    let (_keep, dir) = state();
    let _held = lock(dir(), Role::OneShot).await.expect("free");
    std::fs::write(dir().path_of(LOCK), "?").expect("written");
    let error = lock(dir(), Role::Run).await.expect_err("held");
    assert!(
        error.to_string().contains("a process that left no name"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lock_on_a_directory_that_was_replaced_meanwhile_is_none() {
    let (keep, dir) = state();
    let held = lock(dir(), Role::OneShot).await.expect("free");
    let waiting = lock(dir(), Role::Run);
    let replace = async {
        sleep(PATIENCE).await;
        let path = keep.path().join("state");
        std::fs::rename(&path, keep.path().join("old")).expect("moved");
        drop(dir());
        drop(held);
    };
    let (result, ()) = tokio::join!(waiting, replace);
    assert!(
        matches!(result, Err(LockError::Dir(JournalError::Gone { .. }))),
        "{result:?}"
    );
}

/// Not a test: the process that the next one starts.
#[test]
#[ignore = "helper process"]
fn child_holds_the_lock_until_killed() {
    let Some(path) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let dir = StateDir::open(path.as_ref()).expect("our own directory opens");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let _held = runtime
        .expect("a runtime")
        .block_on(lock(dir, Role::Run))
        .expect("free");
    #[allow(clippy::print_stdout)]
    {
        println!("\nlocked");
    }
    loop {
        std::thread::park();
    }
}

#[tokio::test]
async fn a_killed_holder_leaves_no_lock_behind() {
    let (_keep, dir) = state();
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "lock::tests::child_holds_the_lock_until_killed"])
        .args(["--ignored", "--nocapture"])
        .env(CHILD_DIR, dir().path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let locked = output.lines().any(|line| line.expect("UTF-8") == "locked");
    assert!(locked, "the child ended without the lock");
    let mut told = None;
    let waiting = StateLock::acquire(dir(), Role::OneShot, |holder| {
        told = holder.cloned();
        child.kill().expect("killed");
        child.wait().expect("reaped");
    });
    waiting.await.expect("the kernel released it");
    assert_eq!(told.expect("named").role, Role::Run);
}
