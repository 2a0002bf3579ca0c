//! What tests of several topics share.

pub(crate) mod engine;
pub(crate) mod fake_engine;
pub(crate) mod tools;
