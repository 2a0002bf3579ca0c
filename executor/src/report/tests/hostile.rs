//! A directory where others plant things, and disks that fail.

use std::os::unix::fs::symlink;
use std::process::Stdio;

use super::*;
use crate::journal::tests::Tmpfs;

const CHILD_DIR: &str = "HEALER_TEST_REPORT_DIR";

/// All names that one restart writes.
fn names() -> [String; 5] {
    [
        "last_restart.json".into(),
        "restarts.log".into(),
        format!("{TARGET}.last_restart"),
        format!("{TARGET}.restart_hist"),
        format!("restart-{TARGET}-{EPOCH}.marker"),
    ]
}

/// Plants something in each file's place: it stays as it is, is told once with
/// what to type, and the other files are written.
fn check_planted(plant: impl Fn(&Path), words: &str, command: &str) {
    for name in names() {
        let bench = Bench::with_dir();
        let file = bench.file(&name);
        plant(&file);
        let before = fs::symlink_metadata(&file).expect("planted");
        let reports = bench.start();
        write_all(&reports, [input(EPOCH), input(EPOCH)]);
        let (told, repeated) = bench.told();
        let [told] = told.as_slice() else {
            panic!("{name}: {told:?}")
        };
        assert!(told.contains(words), "{name}: {told}");
        assert!(
            told.contains(&format!("type: {command} {}", file.display())),
            "{told}"
        );
        assert_eq!(repeated, 1, "{name}");
        let after = fs::symlink_metadata(&file).expect("still there");
        use std::os::unix::fs::MetadataExt;
        assert_eq!(
            (after.ino(), after.len()),
            (before.ino(), before.len()),
            "{name}"
        );
        assert_eq!(bench.names(), {
            let mut all = names();
            all.sort();
            all
        });
        for other in names().iter().filter(|other| **other != name) {
            assert!(
                fs::metadata(bench.file(other)).expect("written").len() > 0,
                "{other}"
            );
        }
    }
}

#[test]
fn links_are_not_followed() {
    let elsewhere = tempfile::NamedTempFile::new().expect("a file");
    fs::write(&elsewhere, "precious").expect("written");
    check_planted(
        |path| symlink(elsewhere.path(), path).expect("linked"),
        "is a symbolic link; left as it is",
        "rm",
    );
    assert_eq!(fs::read(&elsewhere).expect("there"), b"precious");
    // Nor is what a dangling one would create.
    let nowhere = elsewhere.path().with_extension("nowhere");
    check_planted(
        |path| symlink(&nowhere, path).expect("linked"),
        "is a symbolic link",
        "rm",
    );
    assert!(!nowhere.exists());
}

#[test]
fn a_fifo_blocks_nothing() {
    check_planted(make_fifo, "is no regular file; left as it is", "rm");
}

#[test]
fn a_directory_in_a_files_place_is_left() {
    check_planted(
        |path| fs::create_dir(path).expect("made"),
        "is no regular file",
        "rm",
    );
}

#[test]
fn a_second_name_of_another_file_of_ours_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let own = dir.path().join("own");
    check_planted(
        |path| {
            fs::write(&own, "precious").expect("written");
            fs::hard_link(&own, path).expect("linked");
        },
        "has a second name elsewhere",
        "rm",
    );
    assert_eq!(fs::read(&own).expect("there"), b"precious");
}

#[test]
fn a_file_of_somebody_else_is_left_with_the_chown_to_type() {
    let bench = Bench::with_dir();
    fs::write(bench.file("x"), "").expect("written");
    if !give_to_stranger(&bench.file("x")) {
        return;
    }
    check_planted(
        |path| {
            fs::write(path, "theirs").expect("written");
            assert!(give_to_stranger(path));
        },
        "belongs to user id 54321; left as it is",
        "chown 0",
    );
}

#[test]
fn what_was_cured_is_written_again_and_told_again_when_it_comes_back() {
    let bench = Bench::with_dir();
    let log = bench.file("restarts.log");
    let reports = bench.start();
    for _ in 0..2 {
        fs::create_dir(&log).expect("made");
        write_all(&reports, [input(EPOCH), input(EPOCH), input(EPOCH)]);
        assert_eq!((bench.told().0.len(), log.is_dir()), (1, true));
        fs::remove_dir(&log).expect("removed");
        write_all(&reports, [input(EPOCH)]);
        assert_eq!(bench.told(), (vec![], 0));
        fs::remove_file(&log).expect("removed");
    }
}

#[test]
fn a_link_in_the_directorys_place_is_not_followed() {
    let bench = Bench::new();
    let elsewhere = bench.keep.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("made");
    symlink(&elsewhere, &bench.path).expect("linked");
    write_all(&bench.start(), [input(EPOCH), input(EPOCH)]);
    let (told, repeated) = bench.told();
    assert!(
        told[0].contains("is no directory (a link is not followed)"),
        "{told:?}"
    );
    assert_eq!((told.len(), repeated), (1, 1));
    assert_eq!(fs::read_dir(&elsewhere).expect("there").count(), 0);
}

#[test]
fn names_that_are_no_container_names_become_no_file_names() {
    let bench = Bench::with_dir();
    let reports = bench.start();
    let longest = "a".repeat(NAME_BYTES_MAX);
    let too_long = "a".repeat(NAME_BYTES_MAX + 1);
    for target in [
        "", "../x", "a/b", ".hidden", "-x", "_x", "a b", "a\n", "é", &too_long,
    ] {
        write_all(
            &reports,
            [ReportInput {
                target: target.into(),
                ..input(EPOCH)
            }],
        );
    }
    assert_eq!(bench.names(), [""; 0]);
    assert!(bench.told().0[0].contains("is no container name"));
    write_all(
        &reports,
        [ReportInput {
            target: longest,
            charged_wall_ms: u64::MAX,
            ..input(EPOCH)
        }],
    );
    assert_eq!(bench.told(), (vec![], 0));
    assert_eq!(bench.names().len(), 5);
}

/// Not a test: the executor as an ordinary user.
#[test]
#[ignore = "helper process"]
fn child_writes_one_report() {
    let Some(path) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let settings = config::Reports {
        dir: Some(path.into()),
        rotate_bytes: 1 << 20,
        rotated_files: 2,
        marker_keep_ms: 3_600_000,
    };
    #[allow(clippy::print_stdout)]
    let reports = Reports::start(settings, |problem| println!("\ntold: {}", problem.error));
    write_all(&reports.expect("a thread"), [input(EPOCH)]);
}

#[test]
fn an_ordinary_user_writes_beside_what_the_originals_root_left() {
    let bench = Bench::with_dir();
    fs::write(bench.file("restarts.log"), "{}\n").expect("written");
    fs::set_permissions(bench.keep.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    use std::os::unix::process::CommandExt;
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "report::tests::hostile::child_writes_one_report"])
        .args(["--ignored", "--nocapture"])
        .env(CHILD_DIR, &bench.path)
        .uid(STRANGER)
        .gid(STRANGER)
        .stdout(Stdio::piped())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return skip(&format!("an ordinary user ({error})")),
    };
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}");
    let told: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("told: "))
        .collect();
    let [told] = told.as_slice() else {
        panic!("{text}")
    };
    assert!(
        told.contains("restarts.log belongs to user id 0; left as it is"),
        "{told}"
    );
    assert!(told.contains(&format!("type: chown {STRANGER} ")), "{told}");
    assert_eq!(bench.text("restarts.log"), "{}\n");
    assert_eq!(bench.names().len(), 5);
}

#[test]
fn on_a_full_disk_the_old_files_stay_whole_and_it_goes_on_afterwards() {
    let Some(disk) = Tmpfs::mount("size=64k") else {
        return;
    };
    let bench = Bench {
        path: disk.path().join("marie-healer"),
        ..Bench::new()
    };
    let reports = bench.start();
    write_all(&reports, [input(EPOCH)]);
    let before = bench.names();
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 1 << 20]).expect_err("it is smaller");
    // Until the log's last block is full too.
    let (epoch, full_log) = (EPOCH + 1..EPOCH + 100)
        .find_map(|epoch| {
            let log = bench.text("restarts.log");
            let target = "b".into();
            write_all(
                &reports,
                [ReportInput {
                    target,
                    ..input(epoch)
                }],
            );
            (bench.text("restarts.log") == log).then_some((epoch, log))
        })
        .expect("the disk is full");
    assert!(full_log.ends_with("}\n"), "no half line");
    let (told, repeated) = bench.told();
    let [told] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(
        told.contains("No space left on device") && repeated > 3,
        "{told}, {repeated}"
    );
    assert_eq!(bench.names(), before, "no half files");
    assert!(bench.text("last_restart.json").contains(&EPOCH.to_string()));
    fs::remove_file(&ballast).expect("removed");
    write_all(&reports, [input(epoch)]);
    assert_eq!(bench.told(), (vec![], 0));
    assert!(bench.text("last_restart.json").contains(&epoch.to_string()));
    drop(reports);
}

#[test]
fn a_read_only_directory_is_told_once() {
    let Some(disk) = Tmpfs::mount("size=64k") else {
        return;
    };
    let bench = Bench {
        path: disk.path().join("marie-healer"),
        ..Bench::new()
    };
    let reports = bench.start();
    write_all(&reports, [input(EPOCH)]);
    if !disk.make_read_only() {
        return;
    }
    write_all(&reports, [input(EPOCH + 1), input(EPOCH + 1)]);
    let (told, repeated) = bench.told();
    let [told] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(
        repeated, 9,
        "the other files, and all of the second restart"
    );
    let file = bench.file("restarts.log");
    let words = format!("cannot open {}: Read-only file system", file.display());
    assert!(told.contains(&words), "{told}");
}
