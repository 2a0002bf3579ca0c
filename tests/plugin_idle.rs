//! The promise about chunks in which nothing matches: no allocation, no system
//! call, but for a rare question whether the executor answers.

use std::hint::black_box;
use std::time::{Duration, Instant};

use executor_api::Decision;
use out_healer::config::{Config, RawConfig};
use out_healer::delivery::PROBE_MS;
use out_healer::guard::Verdict;
use out_healer::instance::Instance;
use out_healer::metrics::NoMetrics;

use crate::support::allocations::allocations_of;
use crate::support::child;
use crate::support::events::Chunk;
use crate::support::executor::{Executor, Manner};
use crate::support::host::{FLB_OK, Plugin};

/// Ordinary lines of an inference server.
fn dull_chunk() -> Vec<u8> {
    (0..2_000)
        .fold(Chunk::default(), |chunk, i| {
            let line = format!("INFO 10.0.0.7 - \"POST /v1/completions HTTP/1.1\" 200 OK step {i}");
            chunk.log(1_000 + i, &line)
        })
        .0
}

#[test]
fn a_flush_without_a_match_allocates_nothing() {
    allocates_nothing(RawConfig::default());
    // Nor where progress is looked for, and there is none.
    allocates_nothing(RawConfig {
        progress: Some("Processed batch, epoch done".into()),
        ..RawConfig::default()
    });
    // The counter counts.
    assert_eq!(allocations_of(|| drop(black_box(Box::new(7_u64)))), 1);
}

fn allocates_nothing(raw: RawConfig) {
    let config = Config::new(&raw).expect("valid settings");
    let instance = Instance::new(config, Box::new(NoMetrics));
    let chunk = dull_chunk();
    let flush = |now_ms| instance.flush(now_ms, black_box(&chunk), b"tag").verdict;
    assert_eq!(flush(0), Verdict::Ok);
    let count = allocations_of(|| {
        for now_ms in 1..100 {
            assert_eq!(black_box(flush(now_ms)), Verdict::Ok);
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn a_flush_without_a_match_calls_no_kernel() {
    // The filter cannot be taken off again.
    if !child::is_child("plugin_idle::a_flush_without_a_match_calls_no_kernel") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("intents.sock");
    let _executor = Executor::start(&socket, Manner::Answer(Decision::Pending));
    let plugin = Plugin::load();
    plugin.start();
    let settings = [("Socket", socket.to_str().expect("UTF-8"))];
    let output = plugin.init("idle", &settings).expect("valid settings");
    let chunk = dull_chunk();
    assert_eq!(output.flush(&chunk, "tag"), FLB_OK);
    // Nobody is left to clean up.
    drop(dir);
    child::say_last_words();
    forbid_system_calls();
    let mut all_ok = true;
    let began = Instant::now();
    for _ in 0..200 {
        // Then it may ask whether the executor answers.
        if began.elapsed() >= Duration::from_millis(PROBE_MS / 2) {
            break;
        }
        all_ok &= output.flush(&chunk, "tag") == FLB_OK;
    }
    // SAFETY: ends the process.
    unsafe { libc::_exit(if all_ok { 0 } else { 1 }) };
}

#[test]
fn the_filter_of_the_test_above_kills() {
    use std::os::unix::process::ExitStatusExt;
    let name = "plugin_idle::the_filter_of_the_test_above_kills";
    let Some(out) = child::run(name) else {
        forbid_system_calls();
        // SAFETY: no arguments.
        unsafe { libc::getppid() };
        return;
    };
    assert_eq!(out.status.signal(), Some(libc::SIGSYS), "{}", out.status);
}

/// From now on the kernel kills the process when this thread calls it, except
/// to end, and for the time where the machine has no faster way to tell it.
fn forbid_system_calls() {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let allow_if = |number: libc::c_long| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: 1,
        k: number as u32,
    };
    let allow = || statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW);
    let mut filter = [
        // The system call's number is the first word.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        allow_if(libc::SYS_exit_group),
        allow(),
        allow_if(libc::SYS_clock_gettime),
        allow(),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: a valid program that lives through the call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(
            libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program),
            0
        );
    }
}
