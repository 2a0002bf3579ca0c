//! A rule as others see it.

use crate::matcher::Matcher;

/// What a match calls for. (Mirrors the wire's remedy; `rules` stands below the protocol.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// A restart cures it.
    Restart,
    /// A restart cannot cure it: tell a person.
    Escalate,
    /// Count it.
    Note,
}

impl Remedy {
    /// The word for it in rule files, on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Escalate => "escalate",
            Self::Note => "note",
        }
    }
}

impl std::fmt::Display for Remedy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a line comes from. A rule applies to containers' lines or to the kernel's, never to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A container's own output.
    Container,
    /// The kernel's log.
    Kernel,
    /// Both are tried: `healer scan`.
    Any,
}

/// `count` matches within `within_ms` before the remedy applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Threshold {
    /// matches, 1 to [`crate::THRESHOLD_COUNT_MAX`]
    pub count: u32,
    /// milliseconds, 1 to [`crate::THRESHOLD_WITHIN_MS_MAX`]
    pub within_ms: u64,
}

/// Something else that must happen before the remedy applies: one of `by`, within a time of the
/// match, before or after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    /// any of these will do; never empty
    pub by: Vec<Confirmation>,
    /// milliseconds, 1 to [`crate::CONFIRM_WITHIN_MS_MAX`]
    pub within_ms: u64,
}

/// What can confirm a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// A match of another rule of the same set, by its name.
    Rule(String),
    /// The container's own health check says unhealthy.
    Unhealthy,
    /// The container's process ended.
    Exit,
}

/// One rule, checked and compiled.
#[derive(Debug)]
pub struct Rule {
    /// Unique in a set: lower-case ASCII letters, digits and `-`, at most
    /// [`crate::NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// What it means, one sentence.
    pub summary: String,
    /// See [`Remedy`].
    pub remedy: Remedy,
    /// Why this remedy; may be empty in rule files of users.
    pub why: String,
    /// Where the vendor says so.
    pub links: Vec<String>,
    /// None: the first match counts.
    pub threshold: Option<Threshold>,
    /// None: the match alone is enough.
    pub confirm: Option<Confirm>,
    /// The failure cannot be recovered from by the program itself: the shared set `recovery`
    /// does not excuse it.
    pub sticky: bool,
    /// The shared sets that excuse a match, in force.
    pub excuses: Vec<String>,
    /// True: looks at kernel records only. False: at containers' lines only.
    pub kernel: bool,
    /// Lines that this rule must match; see [`crate::RuleSet::check_examples`].
    pub examples: Vec<String>,
    /// Lines that this rule must not match.
    pub counter_examples: Vec<String>,
    /// The pack's name or the file's path.
    pub source: String,
    pub(crate) matcher: Matcher,
}

impl Rule {
    /// Its literals, in the form in which texts are compared, and its regexes.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        let patterns = self.matcher.wanted.each.iter();
        patterns.map(|pattern| pattern.written.clone())
    }

    /// Whether this rule looks at lines of that origin.
    pub fn applies_to(&self, origin: Origin) -> bool {
        match origin {
            Origin::Any => true,
            Origin::Kernel => self.kernel,
            Origin::Container => !self.kernel,
        }
    }
}

/// Index of a rule in its [`crate::RuleSet`]; below `rules().len()`.
pub type RuleIndex = usize;
