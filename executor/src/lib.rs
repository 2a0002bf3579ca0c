//! The executor of log-healer: decides, restarts, verifies and records.
#![forbid(unsafe_code)]

pub mod calendar;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod dependencies;
pub mod docker;
pub mod engine;
pub mod evidence;
mod groups;
pub mod http;
pub mod journal;
mod labels;
pub mod listen;
pub mod lock;
pub mod logging;
mod markers;
pub mod metrics;
pub mod notify;
pub mod pattern;
mod procs;
pub mod report;
pub mod resolve;
pub mod sockets;
pub mod triggers;
