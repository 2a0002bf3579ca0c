//! SIGTERM and SIGINT as a question that the demo asks itself, so that it can
//! take everything down again.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: libc::c_int) {
    ASKED.store(true, Ordering::SeqCst);
}

/// From now on a signal no longer ends the process at once.
pub(crate) fn watch() {
    let handler = note as extern "C" fn(libc::c_int);
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

pub(crate) fn asked_to_end() -> bool {
    ASKED.load(Ordering::SeqCst)
}
