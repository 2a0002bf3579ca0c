//! Tests of the public interface of `rules`, one file a subject.

mod disguise;
mod equality;
mod excuses;
mod files;
mod judging;
#[path = "support/obvious.rs"]
mod obvious;
mod packs;
mod schema;
mod stack;
mod support;
