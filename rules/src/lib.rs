//! Rules: what a log line means.
//!
//! A [`RuleSet`] is loaded once from built-in packs and TOML rule files, then asked about log
//! text from any number of threads. The plugin, the executor and the CLI use this same crate,
//! so one line means the same everywhere. A [`RuleBook`] is the same rules without their
//! patterns, for the executor, which is told a rule's name and asks what it calls for.
//!
//! # Two steps
//!
//! [`RuleSet::candidate`] looks at raw bytes (a whole MessagePack chunk) and says where a match
//! *may* be; [`RuleSet::judge`] looks at one text and says which rule it matches. For every
//! text that `judge` accepts, `candidate` points into that text wherever it lies in a chunk.
//!
//! # What a text is compared as
//!
//! * ANSI escape sequences are gone, also one that is cut off by the end of the text;
//! * a run of ASCII white space is one space, and none at either end;
//! * ASCII letters are lower case, so patterns match without case; nothing else is folded, and
//!   the Kelvin sign is not a `k`;
//! * everything else is bytes: a text need not be UTF-8.
//!
//! # What holds
//!
//! * Judging allocates nothing once its [`Scratch`] has seen a text as long, never recurses,
//!   never compiles, and takes time linear in the text.
//! * A set that loaded has no rule that matches an empty text, and no two rules of one name.
//!
//! # What this crate does not do
//!
//! It knows nothing of containers, thresholds over time or Fluent Bit: it carries a rule's
//! threshold and remedy, and others apply them.
#![deny(unsafe_code)]

mod ansi;
mod book;
mod compile;
mod duration;
mod error;
mod examples;
mod excuses;
mod explain;
mod format;
mod limits;
mod loading;
mod matcher;
mod need;
mod normalise;
mod packs;
mod pattern;
mod prefilter;
mod rarity;
mod rule;
mod set;
mod severity;
mod source;
mod window;

pub use book::{Call, RuleBook};
pub use error::Error;
pub use examples::ExampleFailure;
pub use explain::{Excused, Explanation, Finding};
pub use limits::*;
pub use normalise::Scratch;
pub use packs::names as pack_names;
pub use rule::{Confirm, Confirmation, Origin, Remedy, Rule, RuleIndex, Threshold};
pub use set::RuleSet;
pub use severity::Severity;
