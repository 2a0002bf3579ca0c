//! The fence between Rust and the host: what a panic becomes, and what a
//! verdict is called over there.
//!
//! Kept true: nothing unwinds out of an entry point; a panic's cost is one
//! chunk; while it is reported nothing is printed and little stack is used
//! (the standard hook with a backtrace takes 22 KB of the 24 that Flush has).
//!
//! Not here: counting and logging the panic (the instance does).

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use fluent_bit_sys::{FLB_ERROR, FLB_OK, FLB_RETRY};

/// What becomes of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done with it.
    Ok,
    /// Keep it and come again.
    Retry,
    /// Lost, and the host counts it.
    Error,
}

impl Verdict {
    /// The one table of return codes.
    pub fn code(self) -> i32 {
        let code = match self {
            Self::Ok => FLB_OK,
            Self::Retry => FLB_RETRY,
            Self::Error => FLB_ERROR,
        };
        code.cast_signed()
    }
}

/// A panic that was caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caught {
    /// What `panic!` was given.
    pub message: String,
    /// Source file and line, where the hook was in place.
    pub place: String,
}

/// Runs `work`; a panic in it comes back as a value.
pub fn fence<T>(work: impl FnOnce() -> T) -> Result<T, Caught> {
    // What the panic leaves half-done lies behind mutexes, whose users take a
    // poisoned lock for what it is.
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_string())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".into());
        Caught {
            message,
            place: PLACE.get().to_string(),
        }
    })
}

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Puts the quiet hook in place of the standard one. The hook belongs to this
/// object's own copy of the standard library, not to the host.
pub fn install_hook() {
    if !INSTALLED.swap(true, Ordering::SeqCst) {
        std::panic::set_hook(Box::new(|info| {
            if let Some(at) = info.location() {
                PLACE.set(Place::new(at.file(), at.line()));
            }
        }));
    }
}

/// Puts the standard hook back; after this the object can be unloaded.
pub fn remove_hook() {
    if INSTALLED.swap(false, Ordering::SeqCst) {
        drop(std::panic::take_hook());
    }
}

thread_local! {
    // Plain bytes: a thread-local with a destructor would outlive dlclose.
    static PLACE: Cell<Place> = const { Cell::new(Place { len: 0, file: [0; FILE_BYTES_MAX], line: 0 }) };
}

const FILE_BYTES_MAX: usize = 64;

/// The end of a source file's path, and a line.
#[derive(Clone, Copy)]
struct Place {
    len: usize,
    file: [u8; FILE_BYTES_MAX],
    line: u32,
}

impl Place {
    fn new(file: &str, line: u32) -> Self {
        let bytes = file.as_bytes();
        let tail = &bytes[bytes.len().saturating_sub(FILE_BYTES_MAX)..];
        let mut place = Self {
            len: tail.len(),
            file: [0; FILE_BYTES_MAX],
            line,
        };
        place.file[..tail.len()].copy_from_slice(tail);
        place
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = String::from_utf8_lossy(&self.file[..self.len]);
        write!(f, "{file}:{}", self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_the_hosts_numbers() {
        assert_eq!(Verdict::Error.code(), 0);
        assert_eq!(Verdict::Ok.code(), 1);
        assert_eq!(Verdict::Retry.code(), 2);
    }

    #[test]
    fn a_value_passes_the_fence() {
        assert_eq!(fence(|| 7), Ok(7));
    }

    #[test]
    fn a_long_path_keeps_its_end() {
        let place = Place::new(&format!("{}/plugin/chunk.rs", "x".repeat(200)), 12);
        let text = place.to_string();
        assert!(text.ends_with("/plugin/chunk.rs:12"), "{text}");
        assert_eq!(text.len(), FILE_BYTES_MAX + 3);
    }
}
