//! The decisions of the executor, pure: facts and time come in, entries for the
//! journal and actions come out. No I/O, no clock, no async, no randomness.
//!
//! State is a fold: [`Policy::apply`] of every journal record in order gives
//! the state, at start and while running alike, so memory and disk cannot
//! drift. The `handle_*` methods do not change it; they return a [`Step`] that
//! proposes entries. (Those that take `&mut self` keep transient notes: which
//! looks and calls are out, which labels were told.) Calling order:
//!
//! 1. `step = policy.handle_…(now, …)`
//! 2. write `step.entries` to the journal (fsync first when `step.durable`)
//! 3. `policy.apply(&record)` for each record written
//! 4. answer, then perform `step.actions` in order
//!
//! Where 2 fails nothing has happened: the intent is answered `retry`, and
//! anything else comes back by [`Policy::poll_timeout`]. After all records are
//! read, [`Policy::handle_start`] comes first.
//!
//! What is where: `intent`, `told`, `request` and `pending` decide, by
//! `gates` and `judge`; `act`, `measures`, `resolve` and `verify` see an attempt through, by the plan of `remedy`; `timeout`
//! brings what is due; `worse` and `well` know when a storm begins and what ends it and a hold; `state` is the fold, `live` the transient notes,
//! `snapshot` compaction, `status`, `history` and `stats` the views; `windows` is the calendar; `bounds` names every limit.
//!
//! Deliberately not here: HTTP, files, clocks, notifications, and any knowledge
//! of what a log line says.
#![forbid(unsafe_code)]

mod act;
mod bounds;
mod clear;
mod config;
mod draft;
mod entry;
mod facts;
mod figures;
mod gate;
mod gates;
mod history;
mod intent;
mod judge;
mod labels;
mod live;
mod measures;
mod off;
mod pending;
mod people;
mod policy;
mod possible;
mod remedy;
mod request;
mod resolve;
mod sign;
mod snapshot;
mod state;
mod stats;
mod status;
mod step;
#[cfg(test)]
mod testing;
mod time;
mod timeout;
mod told;
mod verify;
mod waits;
mod well;
mod windows;
mod worse;

#[cfg(test)]
mod tests;

pub use bounds::*;
pub use config::*;
pub use entry::*;
pub use facts::*;
pub use gate::*;
pub use history::*;
pub use labels::{
    LABEL_COOLDOWN, LABEL_DIED, LABEL_DRILL, LABEL_DRY_RUN, LABEL_ENABLE, LABEL_MAINTENANCE,
    LABEL_MAX_PER_WINDOW, LABEL_PROTECT, LABEL_WINDOW, LABELS, Standing, is_died_off, standing,
};
pub use off::*;
pub use policy::*;
pub use possible::*;
pub use remedy::*;
pub use resolve::*;
pub use sign::*;
pub use state::{Happened, HeldBack};
pub use stats::*;
pub use status::*;
pub use step::*;
pub use time::*;
pub use waits::*;
pub use windows::*;
