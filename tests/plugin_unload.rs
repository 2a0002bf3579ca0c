//! Loading and unloading in the host's real orders, a hundred times, and that
//! nothing of the plugin stays: no mapping, thread, descriptor or memory.

#![allow(clippy::print_stdout)] // Figures, seen with --nocapture.

use std::path::Path;

use executor_api::{Decision, TargetRef};

use crate::support::child;
use crate::support::events::Chunk;
use crate::support::executor::{Executor, Manner};
use crate::support::host::{self, FLB_ERROR, FLB_OK, FLB_RETRY, Plugin, STRUCT_SIZES};

const OOM: &str = "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB";

/// What a process holds.
#[derive(Debug, PartialEq, Eq)]
struct Holdings {
    threads: usize,
    descriptors: usize,
    /// Lines of the memory map.
    mappings: usize,
}

fn holdings() -> Holdings {
    let count = |dir: &str| std::fs::read_dir(dir).expect("procfs").count();
    Holdings {
        threads: count("/proc/self/task"),
        descriptors: count("/proc/self/fd"),
        mappings: maps().lines().count(),
    }
}

fn maps() -> String {
    std::fs::read_to_string("/proc/self/maps").expect("procfs")
}

/// Bytes in use in the C library's heap, which the plugin's allocator is.
fn heap_bytes() -> usize {
    // SAFETY: no arguments, a plain struct.
    unsafe { libc::mallinfo2() }.uordblks
}

fn is_mapped() -> bool {
    maps().contains("out_healer.so")
}

/// One whole life: load, register, two sections, four threads, exit, unload.
fn live(socket: &Path, struct_bytes: usize) {
    let plugin = Plugin::load();
    assert_eq!(plugin.announce_and_register(false, struct_bytes).code, 0);
    let socket = socket.to_str().expect("UTF-8");
    let settings = [
        ("Socket", socket),
        ("Ack_Timeout", "10s"),
        ("Target", "app"),
    ];
    let outputs = [
        plugin.init("one", &settings).expect("valid settings"),
        plugin.init("two", &settings).expect("valid settings"),
    ];
    assert!(is_mapped());
    std::thread::scope(|scope| {
        for worker in 0..4_u32 {
            let output = &outputs[worker as usize % 2];
            scope.spawn(move || {
                for i in 0..5 {
                    let chunk = Chunk::default().log(worker, OOM).log(i, "fine").0;
                    assert_eq!(output.flush(&chunk, "t"), FLB_OK);
                }
            });
        }
    });
    // This thread lives on: a thread-local destructor of the plugin's here would
    // keep it mapped.
    assert_eq!(
        outputs[0].flush(&Chunk::default().log(9, OOM).0, "t"),
        FLB_OK
    );
    assert!(plugin.init("bad", &[("Dry_Run", "perhaps")]).is_err());
}

#[test]
fn a_hundred_lives_leave_nothing_behind() {
    // Looks at the whole process.
    if !child::is_child("plugin_unload::a_hundred_lives_leave_nothing_behind") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("intents.sock");
    let executor = Executor::start(&socket, Manner::Answer(Decision::Pending));
    // The first lives also set up what the C library and the test keep.
    for bytes in STRUCT_SIZES {
        live(&socket, bytes);
    }
    drop(executor);
    host::forget_log();
    assert!(!is_mapped(), "{}", maps());
    let before = holdings();
    let heap_before = heap_bytes();
    let mut received = 0;
    for round in 0..100 {
        let executor = Executor::start(&socket, Manner::Answer(Decision::Pending));
        live(&socket, STRUCT_SIZES[round % STRUCT_SIZES.len()]);
        received += executor.received().len();
        drop(executor);
        host::forget_log();
        assert!(!is_mapped(), "round {round}: {}", maps());
    }
    assert_eq!(received, 100 * 21);
    let after = holdings();
    assert_eq!(after.threads, before.threads);
    assert_eq!(after.descriptors, before.descriptors);
    // Threads' stacks and arenas come and go by a few mappings.
    assert!(
        after.mappings <= before.mappings + 8,
        "{before:?} {after:?}"
    );
    let grown = heap_bytes().saturating_sub(heap_before);
    println!("heap grown by {grown} bytes");
    // A leak of a kilobyte in each life would be seen.
    assert!(grown < 100 * 1_024, "{grown} bytes");
}

#[test]
fn a_cold_plugin_that_never_flushed_unloads_too() {
    if !child::is_child("plugin_unload::a_cold_plugin_that_never_flushed_unloads_too") {
        return;
    }
    let plugin = Plugin::load();
    plugin.start();
    drop(plugin);
    assert!(!is_mapped());
    let plugin = Plugin::load();
    plugin.start();
    assert!(plugin.init("bad", &[("Ack_Timeout", "soon")]).is_err());
    drop(plugin);
    assert!(!is_mapped());
}

/// Register as a reload does it, with or without the host's saying so.
fn register(plugin: &Plugin, announced: bool) {
    let registration = if announced {
        plugin.announce_and_register(true, 48)
    } else {
        plugin.register(48)
    };
    assert_eq!(registration.code, 0);
}

#[test]
fn a_bad_setting_in_a_hot_reload_disables_the_instance_until_the_next() {
    // Statics are shared by all that is loaded in a process.
    if !child::is_child(
        "plugin_unload::a_bad_setting_in_a_hot_reload_disables_the_instance_until_the_next",
    ) {
        return;
    }
    for announced in [true, false] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = dir.path().join("intents.sock");
        let executor = Executor::start(&socket, Manner::Answer(Decision::Pending));
        let good = [
            ("Socket", socket.to_str().expect("UTF-8")),
            ("Target", "app"),
        ];
        let bad = [good[0], ("Ack_Timeout", "soon")];
        let chunk = Chunk::default().log(1, OOM).0;

        let first = Plugin::load();
        first.start();
        let output = first.init("old", &good).expect("valid settings");
        assert_eq!(output.flush(&chunk, "t"), FLB_OK);

        // As in the host: load, Register, the old Exit, dlclose, Init.
        let second = Plugin::load();
        register(&second, announced);
        drop(output);
        drop(first);
        let disabled = second
            .init(&format!("disabled {announced}"), &bad)
            .expect("a reload never fails");
        for _ in 0..100 {
            assert_eq!(disabled.flush(&chunk, "t"), FLB_ERROR);
        }
        assert_eq!(disabled.metric("disabled", ""), 1.0);
        assert_eq!(disabled.metric("refused_chunks_total", ""), 100.0);
        let said: Vec<String> = disabled.lines();
        assert_eq!(said.len(), 1, "once a minute: {said:?}");
        assert!(
            said[0].starts_with("1 disabled by a bad setting"),
            "{said:?}"
        );
        assert!(said[0].contains("Ack_Timeout \"soon\""), "{said:?}");

        let third = Plugin::load();
        register(&third, announced);
        drop(disabled);
        drop(second);
        let mended = third.init("mended", &good).expect("valid settings");
        assert_eq!(mended.flush(&chunk, "t"), FLB_OK);
        assert_eq!(mended.metric("disabled", ""), 0.0);
        assert_eq!(executor.received().len(), 2);
        drop(mended);
        drop(third);
        assert!(!is_mapped(), "{}", maps());
    }
}

#[test]
fn what_was_folded_outlives_a_hot_reload() {
    if !child::is_child("plugin_unload::what_was_folded_outlives_a_hot_reload") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("intents.sock");
    let settings = [
        ("Socket", socket.to_str().expect("UTF-8")),
        ("Target", "app"),
    ];
    let first = Plugin::load();
    first.start();
    let old = first.init("before", &settings).expect("valid settings");
    // Nobody listens: the first chunk goes back, two more are folded.
    let chunk = |second| Chunk::default().log(second, OOM).0;
    assert_eq!(old.flush(&chunk(1), "t"), FLB_RETRY);
    assert_eq!(old.flush(&chunk(2), "t"), FLB_OK);
    assert_eq!(old.flush(&chunk(3), "t"), FLB_OK);
    assert_eq!(old.metric("folded_total", ""), 2.0);

    let second = Plugin::load();
    register(&second, true);
    drop(old);
    drop(first);
    let executor = Executor::start(&socket, Manner::Answer(Decision::Pending));
    let new = second.init("after", &settings).expect("valid settings");
    assert_eq!(new.metric("held_intents", ""), 1.0);
    // Any flush takes it along, also one without a match.
    assert_eq!(new.flush(&Chunk::default().log(4, "fine").0, "t"), FLB_OK);
    let received = executor.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!(received[0].times, [(2, 1), (3, 1)]);
    assert_eq!(received[0].target, TargetRef::Name("app".into()));
    assert_eq!(new.metric("held_intents", ""), 0.0);
}

#[test]
fn what_is_still_folded_at_the_last_exit_is_told() {
    if !child::is_child("plugin_unload::what_is_still_folded_at_the_last_exit_is_told") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("intents.sock");
    let settings = [
        ("Socket", socket.to_str().expect("UTF-8")),
        ("Target", "app"),
    ];
    let plugin = Plugin::load();
    plugin.start();
    let output = plugin.init("last", &settings).expect("valid settings");
    for second in 1..=3 {
        output.flush(&Chunk::default().log(second, OOM).0, "t");
    }
    let lines = output.exit_and_lines();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("1 2 matches of 1 containers and rules are lost")),
        "{lines:#?}"
    );
}

/// Settings with which everything is one container's.
fn one_target(socket: &Path) -> [(&str, &str); 2] {
    [
        ("Socket", socket.to_str().expect("UTF-8")),
        ("Target", "app"),
    ]
}

#[test]
fn the_exit_tries_once_more_what_was_just_found_away() {
    if !child::is_child("plugin_unload::the_exit_tries_once_more_what_was_just_found_away") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("intents.sock");
    let plugin = Plugin::load();
    plugin.start();
    let output = plugin
        .init("once-more", &one_target(&socket))
        .expect("valid");
    for second in 1..=3 {
        output.flush(&Chunk::default().log(second, OOM).0, "t");
    }
    let executor = Executor::start(&socket, Manner::Answer(Decision::Pending));
    let lines = output.exit_and_lines();
    let received = executor.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!(received[0].times, [(2, 1), (3, 1)]);
    assert!(
        !lines.iter().any(|line| line.contains("lost")),
        "{lines:#?}"
    );
}

#[test]
fn what_was_folded_for_a_socket_that_a_hot_reload_drops_is_told_and_counted() {
    if !child::is_child(
        "plugin_unload::what_was_folded_for_a_socket_that_a_hot_reload_drops_is_told_and_counted",
    ) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (first_socket, second_socket) = (dir.path().join("1.sock"), dir.path().join("2.sock"));
    let first = Plugin::load();
    first.start();
    let old = first
        .init("dropped", &one_target(&first_socket))
        .expect("valid");
    for second in 1..=3 {
        old.flush(&Chunk::default().log(second, OOM).0, "t");
    }
    let second = Plugin::load();
    register(&second, true);
    let said = old.exit_and_lines();
    assert!(
        said.iter().any(
            |line| line.starts_with("2 2 matches of 1 containers and rules wait")
                && line.contains("1.sock")
        ),
        "{said:#?}"
    );

    let executor = Executor::start(&second_socket, Manner::Answer(Decision::Pending));
    let new = second
        .init("other", &one_target(&second_socket))
        .expect("valid");
    for _ in 0..2 {
        assert_eq!(new.flush(&Chunk::default().log(4, "fine").0, "t"), FLB_OK);
    }
    let lines = new.lines();
    let told = |line: &&String| line.starts_with("1 2 matches of 1 containers and rules are lost");
    assert_eq!(lines.iter().filter(told).count(), 1, "{lines:#?}");
    assert_eq!(new.metric("lost_matches_total", ""), 2.0);
    assert_eq!(executor.received(), [], "it was for another executor");
}
