//! Flush on Fluent Bit's small coroutine stack: 16 KiB in all, at most 8 KiB
//! deep at any call into the host, in the profile that the tests run in. The
//! stack is painted and has a guard page; the host's own has none.

#![allow(clippy::print_stdout)] // Figures, seen with --nocapture.

use executor_api::Decision;

use crate::support::child;
use crate::support::events::{Chunk, Stamp, Value, map};
use crate::support::executor::{Executor, Manner};
use crate::support::host::{self, FLB_ERROR, FLB_OK, FLB_RETRY, Plugin};
use crate::support::stack::{SmallStack, depth_of};

/// What Fluent Bit gives a flush before 5.1, bytes.
const HOST_STACK: usize = 24 * 1_024;
/// Ours, of that.
const BUDGET: usize = 16 * 1_024;
/// Deepest call into the host.
const CALL_DEPTH_MAX: usize = 8 * 1_024;

const OOM: &str = "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB";

/// Chunks that reach every part of Flush, and what it says to them.
fn chunks() -> Vec<(&'static str, Vec<u8>, i32)> {
    let long = format!("{} {OOM}", "lorem ipsum ".repeat(50_000));
    let many = (0..300).fold(Chunk::default(), |chunk, i| {
        let body = map(&[
            ("log", OOM.into()),
            ("container_name", format!("/c{i}").as_str().into()),
        ]);
        chunk.v2(Stamp::EventTime(1, 1), &body)
    });
    let deep = (0..200).fold(Value::from(OOM), |inner, _| Value::Array(vec![inner]));
    let deep = map(&[
        ("deep", deep),
        ("log", OOM.into()),
        ("container_name", "a".into()),
    ]);
    let named = map(&[("log", OOM.into()), ("container_name", "a".into())]);
    let ansi = format!("\u{1b}[1m{}\u{1b}[0m", OOM.replace(' ', "\u{1b}[0m  \t"));
    let ansi = map(&[
        ("log", ansi.as_str().into()),
        ("container_name", "a".into()),
    ]);
    let long = map(&[
        ("log", long.as_str().into()),
        ("container_name", "a".into()),
    ]);
    let at = Stamp::EventTime(1, 1);
    vec![
        ("nothing", Chunk::default().log(1, "all is well").0, FLB_OK),
        ("match", Chunk::default().v2(at, &named).0, FLB_OK),
        ("long line", Chunk::default().v2(at, &long).0, FLB_OK),
        ("escapes", Chunk::default().v2(at, &ansi).0, FLB_OK),
        ("nested", Chunk::default().v2(at, &deep).0, FLB_OK),
        ("many targets", many.0, FLB_OK),
        ("no target", Chunk::default().log(1, OOM).0, FLB_OK),
        (
            "damage",
            Chunk::default().log(1, OOM).raw(&[0xc1]).log(1, OOM).0,
            FLB_ERROR,
        ),
        (
            "bomb",
            {
                let bomb = vec![0x91; 100_000];
                Chunk::default()
                    .log(1, OOM)
                    .raw(&bomb)
                    .raw(OOM.as_bytes())
                    .0
            },
            FLB_ERROR,
        ),
    ]
}

const SETTINGS: [(&str, &str); 4] = [
    ("Target", "record"),
    ("Log_Key", "*"),
    ("Ack_Timeout", "5s"),
    ("Progress", "RuntimeError, *"),
];

#[test]
fn flush_keeps_within_its_stack_budget() {
    // The logger's depth is one figure for the process.
    if !child::is_child("plugin_stack::flush_keeps_within_its_stack_budget") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("intents.sock");
    let executor = Executor::start(&socket, Manner::AnswerBackwards);
    let plugin = Plugin::load();
    plugin.start();
    let mut settings = vec![("Socket", socket.to_str().expect("UTF-8"))];
    settings.extend(SETTINGS);
    let output = plugin.init("stack", &settings).expect("valid settings");
    // Room to measure more than is allowed.
    let stack = SmallStack::new(256 * 1_024);
    let mut worst = 0;
    let mut measure = |what: &str, chunk: &[u8], expected: i32| {
        let (code, used) = stack.run(|| output.flush(chunk, "t"));
        let logged_at = host::take_log_depth();
        let counted_at = host::depth_of_metrics_calls(|address| stack.depth(address)).unwrap_or(0);
        println!("{what}: {used} bytes of stack, logger at {logged_at}, metrics at {counted_at}");
        assert_eq!(code, expected, "{what}");
        assert!(used <= BUDGET, "{what}: {used} bytes of stack");
        assert!(
            logged_at <= CALL_DEPTH_MAX,
            "{what}: the logger was called {logged_at} deep"
        );
        assert!(
            counted_at <= CALL_DEPTH_MAX,
            "{what}: metrics were called {counted_at} deep"
        );
        worst = worst.max(used);
    };
    for (what, chunk, expected) in chunks() {
        measure(what, &chunk, expected);
    }
    // Answers made to make the reader dig: nesting, and errors.
    let deep = format!("{{\"v\":1,\"id\":{}", "[".repeat(10_000));
    for answer in [
        deep.as_str(),
        &"[".repeat(10_000),
        "{\"v\":1,\"decision\":[[[[",
        "\u{0}",
    ] {
        executor.behave(Manner::Say(format!("{answer}\n").into()));
        let chunk = &chunks()[1].1;
        measure("rubbish", chunk, FLB_RETRY);
        std::thread::sleep(std::time::Duration::from_millis(1_050));
    }
    executor.behave(Manner::Answer(Decision::Error));
    measure("error", &chunks()[1].1, FLB_ERROR);
    drop(executor);
    measure("away", &chunks()[1].1, FLB_RETRY);
    println!("worst: {worst} of {BUDGET}");
    assert!(worst > 512, "nothing was measured");
}

#[test]
fn flush_and_a_hungry_logger_fit_fluent_bits_stack() {
    if !child::is_child("plugin_stack::flush_and_a_hungry_logger_fit_fluent_bits_stack") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("intents.sock");
    let _executor = Executor::start(&socket, Manner::Answer(Decision::Refused));
    let plugin = Plugin::load();
    plugin.start();
    let mut settings = vec![("Socket", socket.to_str().expect("UTF-8"))];
    settings.extend(SETTINGS);
    let output = plugin.init("hungry", &settings).expect("valid settings");
    host::let_logger_burn(true);
    let stack = SmallStack::new(HOST_STACK);
    for (what, chunk, expected) in chunks() {
        let (code, used) = stack.run(|| output.flush(&chunk, "t"));
        println!("{what}: {used} of {HOST_STACK}");
        assert_eq!(code, expected, "{what}");
    }
    assert!(output.lines().len() > 3, "the logger was not called");
}

#[test]
fn a_panic_is_fenced_within_the_stack_budget() {
    // Puts another panic hook in place: not in the process of other tests.
    if !child::is_child("plugin_stack::a_panic_is_fenced_within_the_stack_budget") {
        return;
    }
    use out_healer::guard::{fence, install_hook, remove_hook};
    // SAFETY: no other thread reads the environment meanwhile.
    unsafe { std::env::set_var("RUST_BACKTRACE", "full") };
    install_hook();
    let stack = SmallStack::new(256 * 1_024);
    let bytes: &[u8] = std::hint::black_box(&[]);
    let (caught, used) = stack.run(|| fence(|| bytes[3]));
    remove_hook();
    let caught = caught.expect_err("an index out of bounds");
    println!("{used} bytes of stack for {caught:?}");
    assert!(caught.message.contains("index out of bounds"), "{caught:?}");
    assert!(caught.place.contains("plugin_stack.rs:"), "{caught:?}");
    // On top of what the deepest panicking code may have used, half the budget.
    assert!(used <= BUDGET / 2, "{used} bytes of stack");
    assert!(depth_of(0).is_none(), "back on the ordinary stack");
}
