//! What is read from the directory: the original's state, and people's markers.

use std::os::unix::fs::symlink;

use super::*;
use crate::report::dir::ENTRIES_MAX;
use crate::report::import::IMPORT_BYTES_MAX;
use crate::report::marks::{IGNORED_MAX, MARKS_MAX};

fn put(bench: &Bench, name: &str, content: &str) -> PathBuf {
    let path = bench.file(name);
    fs::write(&path, content).expect("written");
    path
}

fn imported(bench: &Bench) -> (Vec<(String, u64)>, Vec<String>) {
    let found = import(&bench.path, EPOCH).expect("readable");
    (
        found.restarts,
        found.ignored.iter().map(ToString::to_string).collect(),
    )
}

fn restarts(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter()
        .map(|(target, epoch)| ((*target).to_owned(), *epoch))
        .collect()
}

#[test]
fn the_originals_restarts_are_taken_over_each_once() {
    let bench = Bench::with_dir();
    put(&bench, "a.last_restart", "1760978852\n");
    put(
        &bench,
        "a.restart_hist",
        "1760978252\n 1760978852 \n\n1760977000",
    );
    put(&bench, "b.c-d.last_restart", "1760970000");
    put(
        &bench,
        "restarts.log",
        "{\"timestamp\":1760978852,\"iso_time\":\"x\",\"target\":\"a\"}\n\
         {\"target\":\"e\",\"timestamp\":1760960000,\"more\":[1]}\n",
    );
    // Not part of the state.
    put(&bench, "last_restart.json", "{}");
    put(&bench, ".last_restart", "1");
    put(&bench, "-x.last_restart", "1");
    let expected = [
        ("a", 1_760_977_000),
        ("a", 1_760_978_252),
        ("a", EPOCH),
        ("b.c-d", 1_760_970_000),
        ("e", 1_760_960_000),
    ];
    assert_eq!(imported(&bench), (restarts(&expected), vec![]));
}

#[test]
fn what_we_write_is_what_we_take_over() {
    let bench = Bench::new();
    write_all(&bench.start(), [input(EPOCH - 400), input(EPOCH)]);
    let expected = [
        (TARGET, EPOCH - 800),
        (TARGET, EPOCH - 400),
        (TARGET, EPOCH),
    ];
    let (found, ignored) = imported(&bench);
    // The history file holds the window only; the log knows the older one.
    assert_eq!(found, restarts(&expected[1..]));
    assert_eq!(ignored, [""; 0]);
}

#[test]
fn no_directory_is_no_state() {
    let bench = Bench::new();
    assert_eq!(imported(&bench), (vec![], vec![]));
    assert!(marks(&bench.path).expect("fine").found.is_empty());
}

#[test]
fn future_epochs_and_what_is_no_epoch_are_ignored_and_told() {
    let bench = Bench::with_dir();
    put(
        &bench,
        "a.restart_hist",
        "1760978852\n1760978853\n99999999999999999999\n-5\nx\n",
    );
    put(
        &bench,
        "restarts.log",
        "{\"timestamp\":1760978000,\"target\":\"../x\"}\n{half\n",
    );
    put(&bench, "bin.last_restart", "");
    fs::write(bench.file("bin.restart_hist"), [0xff, 0xfe]).expect("written");
    let (found, ignored) = imported(&bench);
    assert_eq!(found, restarts(&[("a", EPOCH)]));
    let words = |name: &str, what: &str| {
        let starts = format!("{}: {what}", bench.file(name).display());
        assert!(ignored.contains(&starts), "{starts} is not in {ignored:?}");
    };
    words(
        "a.restart_hist",
        "ignored 3 lines that are no restart, 1 restarts in the future",
    );
    words("restarts.log", "ignored 2 lines that are no restart");
    assert_eq!(ignored.len(), 3, "{ignored:?}");
}

#[test]
fn only_small_regular_files_of_root_or_our_own_count() {
    let bench = Bench::with_dir();
    let outside = bench.keep.path().join("outside");
    fs::write(&outside, "1760978852\n").expect("written");
    symlink(&outside, bench.file("link.last_restart")).expect("linked");
    fs::hard_link(&outside, bench.file("hard.last_restart")).expect("linked");
    make_fifo(&bench.file("fifo.last_restart"));
    fs::create_dir(bench.file("dir.last_restart")).expect("made");
    let size = usize::try_from(IMPORT_BYTES_MAX).expect("small");
    put(
        &bench,
        "large.restart_hist",
        &("1760978852\n".to_owned() + &"\n".repeat(size - 11)),
    );
    put(
        &bench,
        "larger.restart_hist",
        &("1760978852\n".to_owned() + &"\n".repeat(size - 10)),
    );
    let mut ignored_max = 5;
    if give_to_stranger(&put(&bench, "theirs.last_restart", "1760978852\n")) {
        ignored_max = 6;
    } else {
        fs::remove_file(bench.file("theirs.last_restart")).expect("removed");
    }
    let (found, ignored) = imported(&bench);
    assert_eq!(found, restarts(&[("large", EPOCH)]));
    assert_eq!(ignored.len(), ignored_max, "{ignored:?}");
}

#[test]
fn the_newest_thousand_of_a_target_are_taken_over_and_ten_thousand_in_all() {
    let lines = |from: u64| -> String { (0..1001).map(|n| format!("{}\n", from - n)).collect() };
    let bench = Bench::with_dir();
    put(&bench, "a.restart_hist", &lines(EPOCH));
    let (found, _) = imported(&bench);
    assert_eq!((found.len(), found[0].1), (1000, EPOCH - 999));
    for n in 0..10 {
        put(
            &bench,
            &format!("b{n}.restart_hist"),
            &lines(EPOCH - 10 + n),
        );
    }
    let (found, _) = imported(&bench);
    assert_eq!(found.len(), 10_000);
    assert!(found.is_sorted());
    let oldest = found.iter().map(|(_, epoch)| *epoch).min().expect("some");
    // 11,000 were there, spread evenly but for the ends.
    assert!(oldest > EPOCH - 930, "{}", EPOCH - oldest);
}

#[test]
fn markers_say_what_they_want_by_their_names() {
    let bench = Bench::with_dir();
    for name in [
        "resume-a",
        "b.stopped",
        "resume-c.stopped",
        "resume",
        "resume-",
        ".stopped",
        "resume-/",
        "x",
    ] {
        // One of them is no file name at all.
        let _not_made = fs::write(bench.file(name), "");
    }
    let found = marks(&bench.path).expect("readable");
    assert!(found.ignored.is_empty(), "{:?}", found.ignored);
    let seen: Vec<(MarkKind, &str)> = found
        .found
        .iter()
        .map(|mark| (mark.kind, mark.target.as_str()))
        .collect();
    let expected = [
        (MarkKind::Stopped, "b"),
        (MarkKind::ResumeAll, ""),
        (MarkKind::Resume, "a"),
        (MarkKind::Stopped, "resume-c"),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn files_in_the_directory_of_manual_stops_mean_a_stop() {
    let bench = Bench::with_dir();
    let stops = bench.path.join("manual-stop");
    let targets = || {
        let seen = marks(&bench.path).expect("readable");
        let found = seen.found.into_iter().map(|mark| (mark.kind, mark.target));
        (found.collect::<Vec<_>>(), seen.ignored.len())
    };
    // A link is not followed, and hides nothing else.
    put(&bench, "a.stopped", "");
    symlink("/tmp", &stops).expect("linked");
    assert_eq!(targets(), (vec![(MarkKind::Stopped, "a".to_owned())], 1));
    fs::remove_file(&stops).expect("ours");
    fs::create_dir(&stops).expect("made");
    for name in ["b.stopped", "c", "resume-d", ".hidden"] {
        fs::write(stops.join(name), "").expect("written");
    }
    let expected = ["a", "b", "c", "resume-d"].map(|name| (MarkKind::Stopped, name.to_owned()));
    assert_eq!(targets(), (expected.to_vec(), 0));
    let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(&stops, open_to_all).expect("ours");
    assert_eq!(targets(), (expected[..1].to_vec(), 3));
}

#[test]
fn an_obeyed_marker_is_removed_unless_it_was_set_anew() {
    let bench = Bench::with_dir();
    let set = |epoch: u64| {
        let file = fs::File::create(bench.file("resume-a")).expect("made");
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_millis(epoch))
            .expect("set");
    };
    set(EPOCH * 1000 + 5);
    let mark = marks(&bench.path).expect("readable").found.remove(0);
    assert_eq!(mark.set_wall_ms, EPOCH * 1000 + 5);
    set(EPOCH * 1000 + 6);
    mark.remove(&bench.path).expect("nothing to do");
    let mark = marks(&bench.path).expect("readable").found.remove(0);
    mark.remove(&bench.path).expect("removed");
    assert_eq!(bench.names(), [""; 0]);
    mark.remove(&bench.path).expect("it is gone already");
}

#[test]
fn markers_count_only_where_nobody_else_can_have_set_them() {
    let bench = Bench::with_dir();
    put(&bench, "resume-a", "");
    symlink("/dev/null", bench.file("resume-link")).expect("linked");
    make_fifo(&bench.file("fifo.stopped"));
    let seen = |bench: &Bench| {
        let seen = marks(&bench.path).expect("readable");
        let ignored: Vec<String> = seen.ignored.iter().map(ToString::to_string).collect();
        (
            seen.found
                .into_iter()
                .map(|mark| mark.target)
                .collect::<Vec<_>>(),
            ignored,
        )
    };
    let (found, ignored) = seen(&bench);
    assert_eq!(found, ["a"]);
    assert_eq!(ignored.len(), 2, "{ignored:?}");

    let mode = |mode| fs::set_permissions(&bench.path, fs::Permissions::from_mode(mode));
    for (bits, counts) in [
        (0o777, false),
        (0o775, false),
        (0o755, true),
        (0o1777, true),
    ] {
        mode(bits).expect("chmod");
        assert_eq!(seen(&bench).0.len(), usize::from(counts), "{bits:o}");
    }
    mode(0o777).expect("chmod");
    let words = &seen(&bench).1[0];
    assert!(
        words.contains("others can rename files in the directory (mode 0777"),
        "{words}"
    );
    mode(0o1777).expect("chmod");

    if !give_to_stranger(&bench.file("resume-a")) {
        return;
    }
    let (found, ignored) = seen(&bench);
    assert_eq!(found, [""; 0]);
    assert!(
        ignored
            .iter()
            .any(|w| w.contains("it belongs to user id 54321")),
        "{ignored:?}"
    );

    let bench = Bench::with_dir();
    put(&bench, "resume-a", "");
    assert!(give_to_stranger(&bench.path));
    let (found, ignored) = seen(&bench);
    assert_eq!(found, [""; 0]);
    assert!(
        ignored[0].contains("the directory belongs to user id 54321"),
        "{ignored:?}"
    );
}

#[test]
fn planted_files_cannot_hide_a_persons_marker() {
    let bench = Bench::with_dir();
    put(&bench, "web.stopped", "");
    for n in 0..MARKS_MAX {
        symlink("/dev/null", bench.file(&format!("{n}.stopped"))).expect("linked");
    }
    let seen = marks(&bench.path).expect("readable");
    let found: Vec<&str> = seen.found.iter().map(|mark| mark.target.as_str()).collect();
    assert_eq!(found, ["web"]);
    assert_eq!(seen.ignored.len(), IGNORED_MAX);

    // So many that not all can be looked at: not one is taken for gone.
    for n in 0..ENTRIES_MAX {
        put(&bench, &format!("{n}"), "");
    }
    let words = marks(&bench.path).expect_err("crowded").to_string();
    assert!(words.contains("holds more than 20000 files"), "{words}");
    let words = import(&bench.path, EPOCH).expect_err("crowded").to_string();
    assert!(words.contains("holds more than 20000 files"), "{words}");
}

#[test]
fn markers_beyond_the_limit_are_told() {
    let bench = Bench::with_dir();
    for n in 0..=MARKS_MAX {
        put(&bench, &format!("t{n}.stopped"), "");
    }
    let seen = marks(&bench.path).expect("readable");
    assert_eq!(seen.found.len(), MARKS_MAX);
    let words = seen.ignored[0].to_string();
    assert!(words.contains("more than 1000 markers are set"), "{words}");
}
