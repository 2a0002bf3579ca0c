//! What outlives one configuration: the order of a hot reload.
//!
//! A hot reload loads and registers the new configuration *before* the old one
//! exits, in the same process with this object mapped once, and its statics
//! shared. A failing Init in a reload makes Fluent Bit exit, so Init must know
//! whether it is in one. The host says so before Register (PreRegister); where
//! it does not call that, a live instance at Register says it too.
//!
//! Also here: what an instance kept for the executor, handed to its successor
//! on the same socket. It dies with Fluent Bit, not with a configuration. Where
//! the new one has no section with that socket nobody takes it: intents for one
//! executor are not for another. The first flush, which comes after every Init,
//! finds it and says so.
//!
//! Kept true: nothing is left behind when the last instance of the last
//! configuration has gone.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use executor_api::Intent;

static GENERATIONS: Mutex<Generations> = Mutex::new(Generations::new());

/// The process's one account of configurations come and gone.
pub fn generations() -> MutexGuard<'static, Generations> {
    GENERATIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// See [`generations`].
#[derive(Debug)]
pub struct Generations {
    announced: Option<bool>,
    is_hot: bool,
    /// Registered, and no Init since: the old configuration's exits fall here.
    is_between: bool,
    live: usize,
    /// Inits since the last Register.
    inits: usize,
    estate: Vec<(PathBuf, Vec<Intent>)>,
}

impl Generations {
    const fn new() -> Self {
        Self {
            announced: None,
            is_hot: false,
            is_between: false,
            live: 0,
            inits: 0,
            estate: Vec::new(),
        }
    }

    /// PreRegister.
    pub fn announce(&mut self, hot_reloading: bool) {
        self.announced = Some(hot_reloading);
    }

    /// Register.
    pub fn register(&mut self) {
        self.is_hot = self.announced.take().unwrap_or(self.live > 0);
        self.is_between = true;
        self.inits = 0;
    }

    /// Init begins; gives its number in this configuration.
    pub fn begin_init(&mut self) -> usize {
        self.is_between = false;
        self.inits += 1;
        self.inits - 1
    }

    /// Whether a bad setting must not fail Init.
    pub fn is_hot(&self) -> bool {
        self.is_hot
    }

    /// An instance was made.
    pub fn opened(&mut self) {
        self.live += 1;
    }

    /// An instance went; true when it was the last one.
    pub fn closed(&mut self) -> bool {
        self.live = self.live.saturating_sub(1);
        self.live == 0
    }

    /// Whether a successor of the instances that now exit is registered.
    pub fn has_successor(&self) -> bool {
        self.is_between && self.is_hot
    }

    /// Leaves what an instance kept to its successor.
    pub fn bequeath(&mut self, socket: &Path, intents: Vec<Intent>) {
        if !intents.is_empty() {
            self.estate.push((socket.into(), intents));
        }
    }

    /// What earlier instances left for this socket.
    pub fn inherit(&mut self, socket: &Path) -> Vec<Intent> {
        let (ours, others) = std::mem::take(&mut self.estate)
            .into_iter()
            .partition(|(path, _)| path == socket);
        self.estate = others;
        let ours: Vec<(PathBuf, Vec<Intent>)> = ours;
        ours.into_iter().flat_map(|(_, intents)| intents).collect()
    }

    /// What nobody has inherited, once every instance of the new configuration
    /// has had its Init; nothing before that.
    pub fn take_unclaimed(&mut self) -> Vec<(PathBuf, Vec<Intent>)> {
        if self.is_between {
            return Vec::new();
        }
        std::mem::take(&mut self.estate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cold_start_is_not_hot() {
        let mut cold = Generations::new();
        cold.announce(false);
        cold.register();
        assert!(!cold.is_hot());
        let mut silent = Generations::new();
        silent.register();
        assert!(!silent.is_hot());
    }

    #[test]
    fn a_reload_is_known_from_the_announcement_or_from_a_live_instance() {
        for announcement in [Some(true), None] {
            let mut generations = Generations::new();
            generations.register();
            generations.begin_init();
            generations.opened();
            if let Some(hot) = announcement {
                generations.announce(hot);
            }
            generations.register();
            assert!(generations.is_hot(), "{announcement:?}");
            assert!(generations.has_successor());
            assert!(generations.closed());
            assert_eq!(generations.begin_init(), 0);
            assert!(!generations.has_successor());
        }
    }

    #[test]
    fn an_announcement_counts_once() {
        let mut generations = Generations::new();
        generations.announce(true);
        generations.register();
        generations.register();
        assert!(!generations.is_hot());
    }
}
