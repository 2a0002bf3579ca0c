//! The `healer` program.
fn main() {}
