//! What tests of several topics share.

pub(crate) mod allocations;
pub(crate) mod child;
pub(crate) mod engine;
pub(crate) mod engine_proxy;
pub(crate) mod events;
pub(crate) mod executor;
pub(crate) mod fake_engine;
pub(crate) mod fluent_bit;
pub(crate) mod healer;
pub(crate) mod host;
pub(crate) mod ports;
pub(crate) mod random;
pub(crate) mod recorder;
pub(crate) mod shipped;
pub(crate) mod stack;
pub(crate) mod tools;
