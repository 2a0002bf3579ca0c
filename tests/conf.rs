//! Every file of `conf/` and `docker/` is loaded by what will load it, or held
//! against what the code says.

mod fluent_bit;
mod observability;
mod packaging;
mod scripts;
