//! The real `healer` program as a process: exit codes, words, pipes, sockets.
//! A thread that speaks the protocol stands in for the executor here.

#[path = "process/check.rs"]
mod check;
#[path = "process/doctor.rs"]
mod doctor;
#[path = "process/notify.rs"]
mod notify;
#[path = "process/replay.rs"]
mod replay;
#[path = "process/rules.rs"]
mod rules;
#[path = "process/run.rs"]
mod run;
#[path = "process/scan.rs"]
mod scan;
#[path = "process/support.rs"]
mod support;
#[path = "process/usage.rs"]
mod usage;

#[path = "process/admin.rs"]
mod admin;
