//! A second opinion: a naive model of the policy that keeps nothing but the full
//! history of what was written, and works out every answer from it anew, the
//! slow and obvious way: cooldown, window, host limit, ids seen, what is pending,
//! what is held. Each step of the policy is compared with it.
//!
//! It shares types with the policy and nothing else. What it leaves open: words
//! for people, and the order of looks.

mod attempts;
mod course;
mod decide;
mod gates;
mod past;
mod pending;
mod storm;

use policy::{Config, Now, Record};

pub(crate) use attempts::Seen;
use past::Past;

/// The model over a history. Made for each question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Model<'a> {
    past: Past<'a>,
    now: Now,
}

impl<'a> Model<'a> {
    pub(crate) fn new(records: &'a [Record], config: &'a Config, now: Now) -> Self {
        let past = Past { records, config };
        Self { past, now }
    }
}
