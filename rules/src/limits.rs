//! Every limit of this crate, in one place. Beyond one of them loading fails with an error that
//! names the limit; nothing is ever cut down silently.

/// Bytes of one rule file. A pack of a hundred documented rules takes a tenth of it.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// Files and packs in one `Rules` setting.
pub const SOURCES_MAX: usize = 64;

/// Bytes of all packs and files of one setting.
pub const SETTING_BYTES_MAX: usize = 4 << 20;

/// Literals of all rules of one set, and what stands in for regexes in the scan over raw bytes.
pub const NEEDS_MAX: usize = 20_000;

/// Regexes of all rules of one set, excusing ones included.
pub const REGEXES_MAX: usize = 2_000;

/// Rules in one set.
pub const RULES_MAX: usize = 2_000;

/// Literals, or regexes, or excusing literals, or excusing regexes, of one rule.
pub const PATTERNS_PER_RULE_MAX: usize = 256;

/// Bytes of a rule's name: it travels in intents and stands in metric labels.
pub const NAME_BYTES_MAX: usize = 64;

/// Bytes of one literal.
pub const LITERAL_BYTES_MAX: usize = 512;

/// Bytes of one regex as written.
pub const REGEX_BYTES_MAX: usize = 4 * 1024;

/// Bytes that one compiled regex may take.
pub const REGEX_COMPILED_BYTES_MAX: usize = 256 * 1024;

/// Bytes that all patterns of one rule, or of one set of excuses, may take compiled together.
pub const RULE_COMPILED_BYTES_MAX: usize = 8 << 20;

/// Bytes of one rule's matching cache, per thread; beyond it matching gets slower, not wrong.
pub const RULE_CACHE_BYTES_MAX: usize = 1 << 20;

/// The same of several sets of excuses that are read together.
pub const TOGETHER_CACHE_BYTES_MAX: usize = 2 << 20;

/// Levels of nesting in one regex.
pub const REGEX_NESTING_MAX: u32 = 50;

/// Fewest bytes, without white space, that every match of a rule must hold in a row: what the
/// scan over raw bytes looks for. Shorter words are everywhere, and the scan would help nobody.
pub const WORD_BYTES_MIN: usize = 3;

/// Matches that a threshold may ask for.
pub const THRESHOLD_COUNT_MAX: u32 = 1_000_000;

/// Longest time, in milliseconds, that a threshold may look back (one day).
pub const THRESHOLD_WITHIN_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Longest time, in milliseconds, that a confirmation may be waited for (one hour).
pub const CONFIRM_WITHIN_MS_MAX: u64 = 60 * 60 * 1_000;

/// Sets of excuses in one file.
pub const EXCUSE_SETS_MAX: usize = 64;

/// Bytes of text that a [`crate::Scratch`] keeps room for between two texts; the room for a
/// longer one is given back.
pub const SCRATCH_KEPT_BYTES_MAX: usize = 256 * 1024;
