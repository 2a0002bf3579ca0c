//! The whole suite of the root package as one binary: quick to link, one place
//! for shared support.

// What a failing test has to say goes there.
#![allow(clippy::print_stderr)]

mod conf;
mod docker;
mod house;
mod images;
mod release;
mod support;
