//! Tests of the public interface of `rules`, one file a subject.

mod equality;
mod files;
mod judging;
mod packs;
mod stack;
mod support;
