//! Disks that are full, files that are damaged or somebody else's: what cannot
//! be made durable is not done, and a report never stands in a restart's way.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{assert_answer, assert_started, charge, eventually_restarted, healing, plain};
use crate::support::engine::{Spec, engine};
use crate::support::healer::{Executor, Setup, by_id, oom};
use crate::support::tools::{run, skipped};

fn is_root(what: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skipped(what, "only root can set it up");
    }
    is_root
}

/// A small file system of its own, unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn at(dir: &'a Path) -> Self {
        fs::create_dir(dir).expect("made");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=128k,mode=0700", "tmpfs"])
            .arg(dir));
        Self(dir)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _stays_mounted = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_means_retry_and_no_restart_until_there_is_room() {
    let Some(engine) = engine() else { return };
    if !is_root("an executor on a full disk") {
        return;
    }
    let container = engine.run("full-disk", &Spec::app());
    let setup = Setup::new(engine.socket())
        .target(&container.name)
        .with_http();
    let mut executor = Executor::not_started(setup);
    let state = executor.path("state");
    let _disk = SmallDisk::at(&state);
    executor.start_again();
    executor.eventually("readiness", |it| {
        (it.http("/readyz").0 == 200).then_some(())
    });
    let filler = state.join("filler");
    let full = fs::write(&filler, vec![0; 1 << 20]);
    assert!(full.is_err(), "128 KiB hold no megabyte");
    let started_before = container.started_at();
    let intent = oom(by_id(&container.id));

    // The page that the journal ends in has room for some lines more.
    let elsewhere = || executor.send(&oom(by_id(&"fe".repeat(32))));
    executor.eventually("the end of the room", |_| {
        (elsewhere()["decision"] == "retry").then_some(())
    });

    let answer = executor.send(&intent);

    assert_answer(&answer, "retry", "", "No space left on device");
    executor.eventually_logs("nothing can be decided until the journal can be written again");
    let (status, body) = executor.http("/readyz");
    assert!(status == 503 && body.contains("journal"), "{status} {body}");
    assert_eq!(container.started_at(), started_before);
    fs::remove_file(filler).expect("removed");
    // `retry` is not remembered: the same intent is decided now.
    assert_answer(&executor.decide(&intent), "restart", "", "");
    eventually_restarted(&container, &started_before);
    executor.eventually_logs("the journal can be written again");
    executor.eventually("readiness", |it| {
        (it.http("/readyz").0 == 200).then_some(())
    });
    assert!(executor.stop().success());
}

#[test]
fn a_damaged_journal_counts_everything_as_spent_until_a_person_says_otherwise() {
    let Some((engine, mut executor, container)) = healing("damaged", &Spec::app(), plain) else {
        return;
    };
    let started_before = container.started_at();
    charge(&executor, &container.id);
    let started = eventually_restarted(&container, &started_before);
    executor.eventually_tells(&container.name, "recovered");
    executor.kill();
    let journal = executor.path("state/journal");
    let mut bytes = fs::read(&journal).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&journal, bytes).expect("written");

    executor.start_again();

    executor.eventually_logs("ERROR");
    let answer = executor.decide(&oom(by_id(&container.id)));
    assert_answer(&answer, "pending", "window", "counted as spent");
    assert_eq!(container.started_at(), started);
    // That outlives a further crash.
    executor.kill();
    executor.start_again();
    let person = executor.cli(&["restart", &container.name]);
    assert_eq!(person.code, Some(3), "{person:?}");
    assert_started(engine, &container, 2);
    let resume = executor.cli(&["resume"]);
    assert_eq!(resume.code, Some(0), "{resume:?}");
    eventually_restarted(&container, &started);
    let aside = fs::read_dir(executor.path("state")).expect("read");
    let names: Vec<_> = aside
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert!(
        names.len() >= 3,
        "the damaged file is kept beside journal and lock: {names:?}"
    );
}

#[test]
fn a_report_file_of_somebody_else_is_left_alone_and_the_restart_done() {
    let Some(engine) = engine() else { return };
    if !is_root("report files of another user") {
        return;
    }
    let container = engine.run("foreign", &Spec::app());
    let executor = Executor::start(
        Setup::new(engine.socket())
            .target(&container.name)
            .set("defaults.cooldown", 0),
    );
    let reports = executor.path("reports");
    fs::create_dir_all(&reports).expect("made");
    let theirs = reports.join("last_restart.json");
    fs::write(&theirs, "theirs").expect("written");
    std::os::unix::fs::chown(&theirs, Some(65_534), None).expect("root may");
    for _ in 0..2 {
        let started_before = container.started_at();
        charge(&executor, &container.id);
        eventually_restarted(&container, &started_before);
        executor.eventually_is(&container.name, "idle");
    }
    assert_eq!(fs::read_to_string(&theirs).expect("read"), "theirs");
    executor.eventually("two lines in restarts.log", |it| {
        (it.report("restarts.log").lines().count() == 2).then_some(())
    });
    let log = executor.eventually_logs(&format!("type: chown 0 {}", theirs.display()));
    assert_eq!(
        log.matches("belongs to user id 65534").count(),
        1,
        "told once:\n{log}"
    );
}

#[test]
fn what_the_originals_files_say_counts_at_the_first_start() {
    let Some(engine) = engine() else { return };
    let container = engine.run("imported", &Spec::app());
    let setup = Setup::with_the_defaults(engine.socket()).set("policy.on_refusal", "drop");
    let mut executor = Executor::not_started(setup.target(&container.name));
    let reports = executor.path("reports");
    fs::create_dir_all(&reports).expect("made");
    let epoch = crate::support::healer::now().as_secs() - 100;
    let name = &container.name;
    fs::write(
        reports.join(format!("{name}.last_restart")),
        format!("{epoch}\n"),
    )
    .expect("written");
    fs::write(
        reports.join(format!("{name}.restart_hist")),
        format!("{epoch}\n"),
    )
    .expect("written");

    executor.start_again();

    let answer = executor.decide(&oom(by_id(&container.id)));
    assert_answer(&answer, "refused", "cooldown", "Cooldown active (10");
    assert_answer(&answer, "refused", "cooldown", "s < 300s)");
    assert_started(engine, &container, 1);
}
