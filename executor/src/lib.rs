//! The executor of log-healer: decides, restarts, verifies and records.
#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod config;
pub mod docker;
pub mod http;
pub mod journal;
pub mod listen;
pub mod lock;
pub mod logging;
pub mod metrics;
pub mod resolve;
