//! Patterns that people write for text from outside: bounded in size, linear in time.

use std::fmt;

use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;

/// Longest pattern, bytes.
pub const PATTERN_BYTES_MAX: usize = 1_024;
/// Most memory of one compiled pattern, bytes.
const COMPILED_BYTES_MAX: usize = 512 << 10;
/// Most memory of its cache while it searches, bytes.
const CACHE_BYTES_MAX: usize = 256 << 10;

/// A regular expression over bytes, ASCII classes; `(?i)` for letters of either case.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty, and would be found in anything".to_owned());
        }
        if text.len() > PATTERN_BYTES_MAX {
            let bytes = text.len();
            return Err(format!(
                "has {bytes} bytes; {PATTERN_BYTES_MAX} are allowed"
            ));
        }
        let limits = Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(COMPILED_BYTES_MAX))
            .hybrid_cache_capacity(CACHE_BYTES_MAX);
        let regex = Regex::builder()
            .configure(limits)
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .build(text)
            .map_err(|e| format!("\"{text}\" is no regular expression: {}", causes(&e)))?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }

    /// Whether it is found anywhere in there.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.regex.is_match(bytes)
    }
}

/// On one line, with what lies below.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_found_in_any_bytes() {
        let pattern = Pattern::new("(?i)processed batch [0-9]+").unwrap();
        assert!(pattern.is_in(b"\xff Processed Batch 7\n"));
        assert!(!pattern.is_in(b"processed batch"));
        assert!(Pattern::new("^a|[^b]").unwrap().is_in(b"\xff"));
    }

    #[test]
    fn what_is_none_or_too_large_is_refused_with_a_reason() {
        let long = "x".repeat(PATTERN_BYTES_MAX);
        assert!(Pattern::new(&long).is_ok());
        for (text, why) in [
            (format!("{long}x"), "1025 bytes"),
            (String::new(), "is empty"),
            ("(".to_owned(), "unclosed group"),
            ("(x{500}){500}".to_owned(), "exceeded limit"),
            (r"(a)\1".to_owned(), "backreferences are not supported"),
        ] {
            let got = Pattern::new(&text).unwrap_err();
            assert!(got.contains(why), "{got}");
        }
    }
}
