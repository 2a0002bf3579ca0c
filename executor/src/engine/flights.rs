//! One look at a time for each container: who asks while one is under way
//! shares the next.
//!
//! Keeps true:
//! - a look is shared only by those who asked before it began, so its facts are
//!   fresh for each of them;
//! - a container that Docker does not answer for holds one slot, however many
//!   ask for it: the others' looks go on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use policy::Look;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use super::looks::Reference;

/// Looks under way, and who waits for the next.
#[derive(Debug)]
pub(super) struct Flights {
    slots: Semaphore,
    /// An entry from the first who asks until nobody waits any more.
    waiting: RefCell<BTreeMap<Reference, Vec<Waiter>>>,
}

#[derive(Debug)]
struct Waiter {
    until: Instant,
    reply: oneshot::Sender<Look>,
}

impl Flights {
    /// At most `slots` looks at once.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: Semaphore::new(slots),
            waiting: RefCell::default(),
        }
    }

    /// Waits for a look that begins from now on, at most `until`. True where it
    /// is the first to ask and has to see to [`Flights::fly`].
    pub(super) fn join(
        &self,
        reference: &Reference,
        until: Instant,
    ) -> (oneshot::Receiver<Look>, bool) {
        let (reply, look) = oneshot::channel();
        let mut waiting = self.waiting.borrow_mut();
        let is_first = !waiting.contains_key(reference);
        let waiters = waiting.entry(reference.clone()).or_default();
        waiters.push(Waiter { until, reply });
        (look, is_first)
    }

    /// Looks, one after the other, until nobody waits any more. `look` is given
    /// the time that is left for it.
    pub(super) async fn fly(&self, reference: &Reference, look: impl AsyncFn(Duration) -> Look) {
        loop {
            // Never closed; without a slot the look would still be right.
            let _slot = self.slots.acquire().await;
            let waiters = self.board(reference);
            let Some(until) = waiters.iter().map(|waiter| waiter.until).max() else {
                return;
            };
            let found = look(until.saturating_duration_since(Instant::now())).await;
            for waiter in waiters {
                let _gave_up = waiter.reply.send(found.clone());
            }
        }
    }

    /// All who wait and have not given up; where there are none, the flight ends.
    fn board(&self, reference: &Reference) -> Vec<Waiter> {
        let mut waiting = self.waiting.borrow_mut();
        let mut waiters = waiting
            .get_mut(reference)
            .map(std::mem::take)
            .unwrap_or_default();
        waiters.retain(|waiter| !waiter.reply.is_closed());
        if waiters.is_empty() {
            waiting.remove(reference);
        }
        waiters
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::task::{LocalSet, spawn_local};
    use tokio::time::{sleep, timeout};

    use super::*;

    const LOOK: Duration = Duration::from_millis(50);

    fn reference(name: &str) -> Reference {
        Reference::Name(name.to_owned())
    }

    /// Waits for a look that takes [`LOOK`] and says which one it was; for
    /// `slow` it never ends.
    async fn ask(flights: &Rc<Flights>, looks: &Rc<Cell<u32>>, name: &str) -> Option<String> {
        let until = Instant::now() + 2 * LOOK;
        let (look, is_first) = flights.join(&reference(name), until);
        if is_first {
            let (flights, looks, name) = (flights.clone(), looks.clone(), name.to_owned());
            spawn_local(async move {
                let look = async |left| {
                    looks.set(looks.get() + 1);
                    let why = looks.get().to_string();
                    let time = if name == "slow" { left } else { LOOK };
                    sleep(time).await;
                    Look::Unavailable { why }
                };
                flights.fly(&reference(&name), look).await;
            });
        }
        match timeout(2 * LOOK, look).await {
            Ok(Ok(Look::Unavailable { why })) => Some(why),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_during_a_look_shares_the_next() {
        let test = async {
            let (flights, looks) = (Rc::new(Flights::new(1)), Rc::<Cell<u32>>::default());
            let asked = |after_ms| {
                let (flights, looks) = (flights.clone(), looks.clone());
                spawn_local(async move {
                    sleep(Duration::from_millis(after_ms)).await;
                    ask(&flights, &looks, "a").await
                })
            };
            let all = [0, 0, 10, 20, 49, 200].map(asked);
            let mut answers = Vec::new();
            for one in all {
                answers.push(one.await.expect("no panic").expect("in time"));
            }
            assert_eq!(answers, ["1", "1", "2", "2", "2", "3"]);
            assert!(flights.waiting.borrow().is_empty(), "nothing is left");
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_holds_one_slot_and_who_gave_up_is_not_looked_for() {
        let test = async {
            let (flights, looks) = (Rc::new(Flights::new(2)), Rc::<Cell<u32>>::default());
            let hung: Vec<_> = (0..100)
                .map(|_| {
                    let (flights, looks) = (flights.clone(), looks.clone());
                    spawn_local(async move { ask(&flights, &looks, "slow").await })
                })
                .collect();
            sleep(Duration::from_millis(1)).await;
            assert_eq!(ask(&flights, &looks, "quick").await.as_deref(), Some("2"));
            for one in hung {
                // At the very end of its time it may be one or the other.
                assert!(matches!(
                    one.await.expect("no panic").as_deref(),
                    None | Some("1")
                ));
            }
            sleep(LOOK).await;
            assert_eq!(looks.get(), 2, "one look for a hundred, one for the other");
            assert!(flights.waiting.borrow().is_empty(), "nothing is left");
        };
        LocalSet::new().run_until(test).await;
    }
}
