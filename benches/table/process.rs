//! A child process with the CPU time that it took.

use std::io;
use std::process::{Child, Command, Stdio};

/// Runs to the end; seconds of CPU, user and system together.
#[expect(clippy::zombie_processes, reason = "wait4 reaps it")]
pub(crate) fn cpu_seconds(command: &mut Command) -> f64 {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    let (status, seconds) = wait(&child).expect("it is our child");
    assert_eq!(status, 0, "{command:?} failed");
    seconds
}

/// Waits for a child; its raw status and CPU seconds.
fn wait(child: &Child) -> io::Result<(i32, f64)> {
    let pid = i32::try_from(child.id()).expect("a process id");
    let mut status = 0;
    // SAFETY: all zeros is a valid rusage, and both pointers live to the end of the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::wait4(pid, &raw mut status, 0, &raw mut usage) != pid {
            return Err(io::Error::last_os_error());
        }
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    Ok((status, seconds(usage.ru_utime) + seconds(usage.ru_stime)))
}
