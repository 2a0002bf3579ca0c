//! The policy as a whole, driven in the real calling order.

mod act;
mod confirm;
mod dependency;
mod dry_run;
mod escalate;
mod gates;
mod held;
mod labels;
mod maintenance;
mod measures;
mod off;
mod owner;
mod pending;
mod repeat;
mod request;
mod resolve;
mod shadow;
mod signs;
mod snapshot;
mod stats;
mod storm;
