//! The whole suite of the root package as one binary: quick to link, one place
//! for shared support.

mod conf;
mod docker;
mod house;
mod images;
mod release;
mod support;
