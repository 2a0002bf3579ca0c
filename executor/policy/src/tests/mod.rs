//! The policy as a whole, driven in the real calling order.

mod act;
mod dry_run;
mod gates;
mod held;
mod labels;
mod pending;
mod repeat;
mod request;
mod resolve;
mod snapshot;
mod storm;
