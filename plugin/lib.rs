//! `out_healer.so`: the output plugin that Fluent Bit loads. It finds the
//! records that match a rule, works out which container each belongs to, and
//! hands *restart intents* to the executor over a Unix socket. It decides
//! nothing, never holds Fluent Bit up, never takes it down.
//!
//! The host's side of the contract, as far as it shapes the code:
//! - Flush runs on a coroutine stack of 24 KiB without a guard page, and the
//!   host's logger needs up to 10 KiB of it. So Flush takes at most 16 KiB in
//!   all and is at most 8 KiB deep at any call into the host: no recursion,
//!   regular expressions compiled in Init, lines printed from the entry point.
//! - Flush blocks the engine or one of several workers: every wait is bounded,
//!   and everything is shared by reference.
//! - After the last Exit the object is unloaded: no thread, no thread-local
//!   with a destructor, no exit handler.
//!
//! One flush, top to bottom: `ffi` (pointers to slices) → `guard` (the fence)
//! → `output` → `instance` → `scan` (`chunk`, `msgpack`, `target`, `intent`;
//! `pieces`, `lines` and `joins` for lines that came as several records) →
//! `delivery` (`sender`, `held`) → a verdict and lines to print.
//!
//! The crate is a library for its tests and benches only; nothing else may
//! depend on it.

#![deny(unsafe_code)]

pub mod chunk;
pub mod config;
pub mod delivery;
#[allow(unsafe_code)]
pub mod ffi;
pub mod guard;
pub mod held;
pub mod instance;
pub mod intent;
pub mod joins;
pub mod lines;
pub mod log;
pub mod metrics;
pub mod msgpack;
pub mod notes;
pub mod output;
pub mod pieces;
pub mod progress;
pub mod rejected;
pub mod reload;
pub mod scan;
pub mod sender;
pub mod target;
