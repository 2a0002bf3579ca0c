//! What tests of several topics share.

pub(crate) mod tools;
