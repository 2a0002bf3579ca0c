//! Rules: what a log line means.
//!
//! Interface used by the plugin, the executor and the CLI. Rule files are TOML;
//! built-in packs are compiled in.
#![forbid(unsafe_code)]

use std::path::Path;

/// What a match calls for. (Mirrors the wire's remedy; `rules` stands below the protocol.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// restart
    Restart,
    /// escalate
    Escalate,
    /// note
    Note,
}

/// Where a line comes from. Rules may apply to one only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A container's own output.
    Container,
    /// The kernel's log.
    Kernel,
    /// Both are tried: `healer scan`.
    Any,
}

/// `count` matches within `within_ms` before the remedy applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// matches, 1 or more
    pub count: u32,
    /// milliseconds
    pub within_ms: u64,
}

/// One rule, checked and compiled.
#[derive(Debug)]
pub struct Rule {
    /// unique in a set
    pub name: String,
    /// what it means, one sentence
    pub summary: String,
    /// see [`Remedy`]
    pub remedy: Remedy,
    /// none: the first match counts
    pub threshold: Option<Threshold>,
    // plus whatever the matcher needs (private)
}

/// Index of a rule in its [`RuleSet`]; below [`RuleSet::len`].
pub type RuleIndex = usize;

/// All rules of one `Rules` setting, compiled once; matching never compiles and never recurses.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
}

/// Reusable buffers of one matching thread: normalised text, regex state.
#[derive(Debug, Default)]
pub struct Scratch {
    _private: (),
}

/// Says what failed, in which pack or file, at which line and column, and what to do.
#[derive(Debug)]
pub struct Error {
    message: String,
}
impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for Error {}

impl RuleSet {
    /// Loads a comma-separated list of built-in pack names (`gpu`) and rule file paths
    /// (an entry with a `/` or ending in `.toml`).
    pub fn load(setting: &str) -> Result<Self, Error> {
        let _ = (setting, Path::new(""));
        Ok(Self { rules: Vec::new() })
    }
    /// The rules in order of precedence.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
    /// A rule by its name.
    pub fn find(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|r| r.name == name)
    }
    /// Whether raw bytes (a whole MessagePack chunk) may hold a match: no false negatives,
    /// no allocation. Returns the offset of the first candidate at or after `from`.
    pub fn candidate(&self, chunk: &[u8], from: usize) -> Option<usize> {
        let _ = (chunk, from);
        None
    }
    /// Judges one text (any bytes): ANSI escapes removed, white-space runs equal to one space,
    /// ASCII case ignored. The first matching rule in order of precedence.
    pub fn judge(&self, text: &[u8], origin: Origin, scratch: &mut Scratch) -> Option<RuleIndex> {
        let _ = (text, origin, scratch);
        None
    }
}
