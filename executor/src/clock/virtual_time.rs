//! For tests on one thread: the system's clocks are those of Tokio's runtime, whose
//! time is paused and passes only where everybody waits for it.

use std::cell::RefCell;

use tokio::time::Instant;

use super::Reading;

thread_local! {
    static SET: RefCell<Option<Set>> = const { RefCell::new(None) };
}

struct Set {
    begun: Instant,
    boots: u32,
    /// The wall clock at the beginning, with all its jumps since, ms.
    wall_ms: u64,
}

/// Until it is dropped.
pub(crate) struct VirtualTime(());

/// Begins now; the wall clock shows `wall_ms`.
pub(crate) fn begin(wall_ms: u64) -> VirtualTime {
    let set = Set {
        begun: Instant::now(),
        boots: 1,
        wall_ms,
    };
    SET.with_borrow_mut(|old| *old = Some(set));
    VirtualTime(())
}

impl VirtualTime {
    /// A person or NTP sets the wall clock.
    pub(crate) fn jump_wall(&self, by_ms: i64) {
        SET.with_borrow_mut(|set| {
            let set = set.as_mut().expect("it has begun");
            set.wall_ms = set.wall_ms.saturating_add_signed(by_ms);
        });
    }

    /// The machine starts anew.
    pub(crate) fn reboot(&self) {
        SET.with_borrow_mut(|set| set.as_mut().expect("it has begun").boots += 1);
    }
}

impl Drop for VirtualTime {
    fn drop(&mut self) {
        SET.with_borrow_mut(|set| *set = None);
    }
}

/// None where no virtual time has begun on this thread.
pub(super) fn reading() -> Option<Reading> {
    SET.with_borrow(|set| {
        let set = set.as_ref()?;
        let passed_ms = u64::try_from(set.begun.elapsed().as_millis()).expect("not for ever");
        Some(Reading {
            boot_id: format!("boot {}", set.boots),
            boot_ms: 1_000_000 + passed_ms,
            wall_ms: set.wall_ms + passed_ms,
        })
    })
}
