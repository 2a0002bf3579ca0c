//! The TOML format of rule files, as written. Meaning is given to it in `compile`.
//!
//! ```toml
//! [[rule]]
//! name = "cuda-oom"                       # required; a-z, 0-9, -
//! summary = "CUDA ran out of GPU memory"  # required
//! remedy = "restart"                      # required; restart, escalate or note
//! why = "A restart frees it."
//! links = ["https://docs.nvidia.com/…"]
//! literals = ["CUDA out of memory"]       # literals, regexes or both
//! regexes = ['cuda error \d+: out of memory']
//! kernel = false                          # true: kernel records only
//! threshold = { count = 3, within = "60s" }
//! examples = ["RuntimeError: CUDA out of memory."]
//! counter_examples = ["CUDA out of memory, retrying"]
//!
//! severity = ["error", "E"]                # the line must show one of these
//! sticky = true                           # the set `recovery` does not excuse it
//! excuses = ["talk", "mine"]              # shared sets; instead of the file's
//! confirm = { by = ["unhealthy", "exit", "rule:other"], within = "60s" }
//!
//! [rule.unless]                           # on the same line
//! literals = ["retrying"]
//! regexes = ['falling back to \w+']
//! before = ['how (?:to|do|can)']          # in front of the match
//! severity = ["debug", "I"]
//! ```
//!
//! Beside the rules a file may hold `excuses = […]`, the sets that excuse each of its rules,
//! and sets of its own: `[excuse.mine]` with the keys of `unless`.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::duration::parse_ms;
use crate::error::{Error, Text};
use crate::rule::Remedy;

/// A string and where it stands.
pub(crate) type Written = Spanned<String>;

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Names of the sets that excuse each rule that does not say otherwise.
    #[serde(default)]
    pub(crate) excuses: Vec<Written>,
    /// Sets that this file brings.
    #[serde(default)]
    pub(crate) excuse: BTreeMap<String, Spanned<WrittenUnless>>,
    #[serde(default)]
    pub(crate) rule: Vec<Spanned<WrittenRule>>,
}

/// One `[[rule]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenRule {
    pub(crate) name: Written,
    pub(crate) summary: Written,
    #[serde(deserialize_with = "remedy")]
    pub(crate) remedy: Remedy,
    #[serde(default)]
    pub(crate) why: String,
    #[serde(default)]
    pub(crate) links: Vec<String>,
    #[serde(default)]
    pub(crate) literals: Vec<Written>,
    #[serde(default)]
    pub(crate) regexes: Vec<Written>,
    #[serde(default)]
    pub(crate) severity: Vec<Written>,
    #[serde(default)]
    pub(crate) sticky: bool,
    pub(crate) excuses: Option<Vec<Written>>,
    pub(crate) confirm: Option<Spanned<WrittenConfirm>>,
    #[serde(default)]
    pub(crate) unless: WrittenUnless,
    #[serde(default)]
    pub(crate) kernel: bool,
    pub(crate) threshold: Option<Spanned<WrittenThreshold>>,
    #[serde(default)]
    pub(crate) examples: Vec<String>,
    #[serde(default)]
    pub(crate) counter_examples: Vec<String>,
}

/// What excuses a match on its line.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenUnless {
    #[serde(default)]
    pub(crate) literals: Vec<Written>,
    #[serde(default)]
    pub(crate) regexes: Vec<Written>,
    #[serde(default)]
    pub(crate) before: Vec<Written>,
    #[serde(default)]
    pub(crate) severity: Vec<Written>,
}

/// One of `by` within a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenConfirm {
    pub(crate) by: Vec<Written>,
    pub(crate) within: WrittenDuration,
}

/// `count` matches `within` a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenThreshold {
    pub(crate) count: i64,
    pub(crate) within: WrittenDuration,
}

/// `"60s"` or `60`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a duration such as \"60s\", or whole seconds")]
pub(crate) enum WrittenDuration {
    Seconds(i64),
    Text(String),
}

impl WrittenDuration {
    /// Milliseconds, if it is a duration.
    pub(crate) fn ms(&self) -> Option<u64> {
        match self {
            Self::Seconds(seconds) => u64::try_from(*seconds).ok()?.checked_mul(1_000),
            Self::Text(text) => parse_ms(text),
        }
    }
}

fn remedy<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Remedy, D::Error> {
    let word = String::deserialize(input)?;
    [Remedy::Restart, Remedy::Escalate, Remedy::Note]
        .into_iter()
        .find(|remedy| remedy.as_str() == word)
        .ok_or_else(|| {
            serde::de::Error::custom(format!(
                "unknown remedy `{word}`, expected `restart`, `escalate` or `note`"
            ))
        })
}

/// One file; the rules are in its order.
pub(crate) fn parse(text: Text<'_>) -> Result<File, Error> {
    let file: File = toml::from_str(text.toml).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        // The parser's message may have several lines; ours is one.
        let problem = error
            .message()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        text.error(
            &span,
            problem,
            "mend it there (the format is described in docs/rules.md)",
        )
    })?;
    if file.rule.is_empty() && !text.is_sets() {
        return Err(Error::source(
            text.source,
            "it holds no rule",
            "write at least one [[rule]] with name, summary, remedy, and literals or regexes",
        ));
    }
    Ok(file)
}
