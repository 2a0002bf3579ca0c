//! The whole suite of the root package as one binary: quick to link, one place
//! for shared support.

// What a failing test has to say goes there.
#![allow(clippy::print_stderr)]

mod checklist;
mod conf;
mod crash;
mod docker;
mod docs;
mod fluent_bit;
mod house;
mod images;
mod plugin_abi;
mod plugin_contact;
mod plugin_delivery;
mod plugin_doctor;
mod plugin_fluent_bit;
mod plugin_host;
mod plugin_hostile;
mod plugin_idle;
mod plugin_pieces;
mod plugin_progress;
mod plugin_stack;
mod plugin_unload;
mod plugin_wrapped;
mod real_engine;
mod release;
mod support;
