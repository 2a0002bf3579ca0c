//! A charge without an outcome: what to do next, given what Docker shows.
