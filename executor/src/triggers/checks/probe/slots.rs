//! How many probes run together.
//!
//! Keeps true: at most [`PROBES_AT_ONCE`]; of those no more than [`SLOW_AT_ONCE`] that were slow
//! when they were last tried. However many hang, over and over, the others have the rest, and
//! wait for no more than what begins to hang just then.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Most probes under way at once.
const PROBES_AT_ONCE: usize = 32;
/// Most of them that took half of their time-out or more when they were last tried.
const SLOW_AT_ONCE: usize = 20;

/// See the module.
#[derive(Debug)]
pub(in super::super) struct Slots {
    all: Semaphore,
    slow: Semaphore,
}

/// Room for one probe, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    _one: Option<SemaphorePermit<'a>>,
    _slow: Option<SemaphorePermit<'a>>,
}

impl Slots {
    pub(in super::super) fn new() -> Self {
        Self {
            all: Semaphore::new(PROBES_AT_ONCE),
            slow: Semaphore::new(SLOW_AT_ONCE),
        }
    }

    /// Waits for room, in the order of asking among its kind.
    pub(super) async fn take(&self, was_slow: bool) -> Slot<'_> {
        // Neither is ever closed. What is slow first waits among its own: it must not stand in
        // the others' way while it waits.
        let slow = match was_slow {
            true => self.slow.acquire().await.ok(),
            false => None,
        };
        Slot {
            _one: self.all.acquire().await.ok(),
            _slow: slow,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use tokio::task::{LocalSet, spawn_local};
    use tokio::time::{Instant, sleep};

    use super::*;

    const HANGS: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn what_hangs_all_the_time_leaves_room_for_the_others() {
        let test = async {
            let slots = Rc::new(Slots::new());
            for _ in 0..100 {
                let slots = Rc::clone(&slots);
                spawn_local(async move {
                    let mut was_slow = false;
                    loop {
                        let slot = slots.take(was_slow).await;
                        // Its time-out is its interval.
                        sleep(HANGS).await;
                        drop(slot);
                        was_slow = true;
                    }
                });
            }
            // Each of them is found out at its first time.
            sleep(4 * HANGS).await;
            for _ in 0..50 {
                let asked = Instant::now();
                drop(slots.take(false).await);
                assert_eq!(asked.elapsed(), Duration::ZERO);
                sleep(Duration::from_millis(900)).await;
            }
            assert_eq!(slots.slow.available_permits(), 0);
        };
        LocalSet::new().run_until(test).await;
    }
}
