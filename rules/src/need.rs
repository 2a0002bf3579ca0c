//! What every match of a pattern must hold: strings that the scan over raw bytes can look for.
//!
//! A *need* is a string in normal form, with no white space at its ends; a pattern has a set of
//! needs, and every text that it matches holds at least one of them. A literal needs itself. For
//! a regex the set is worked out from its structure, in the manner of trigram indexes for code
//! search: exact strings are multiplied out while they are few, and the most telling of the sets
//! met on the way is kept.
//!
//! How a need is found in raw bytes is the business of `prefilter`.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::limits::WORD_BYTES_MIN;

/// Exact strings that may be multiplied out for one piece of a regex.
const EXACT_STRINGS_MAX: usize = 64;
/// Bytes of one class that are told apart; of a larger one nothing is known.
const CLASS_BYTES_MAX: usize = 8;
/// Needs of one regex.
const NEEDS_MAX: usize = 128;
/// Bytes of one need: beyond this a longer one tells nothing more.
const NEED_BYTES_MAX: usize = 96;

/// A string that stands for a pattern in the scan over raw bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    /// The whole string in normal form.
    pub(crate) text: Vec<u8>,
}

impl Need {
    /// None if the string has no word that is long enough to be looked for.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        (telling(text) > 0).then(|| Self {
            text: text.to_vec(),
        })
    }
}

/// The needs of a regex over normal texts; None if it has none.
pub(crate) fn of_regex(hir: &Hir) -> Option<Vec<Need>> {
    let mut needs: Vec<Need> = Info::of(hir)
        .into_needs()?
        .iter()
        .filter_map(|text| Need::new(text))
        .collect();
    needs.sort();
    needs.dedup();
    Some(needs)
}

type Strings = Vec<Vec<u8>>;

/// What is known of the strings that an expression matches.
struct Info {
    /// All of them, if they are few.
    exact: Option<Strings>,
    /// At least one of these is in each of them.
    needs: Option<Strings>,
}

impl Info {
    fn unknown() -> Self {
        Self {
            exact: None,
            needs: None,
        }
    }

    fn exactly(strings: Strings) -> Self {
        Self {
            exact: Some(strings),
            needs: None,
        }
    }

    fn into_needs(self) -> Option<Strings> {
        better(self.exact, self.needs)
    }

    fn of(hir: &Hir) -> Self {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::exactly(vec![Vec::new()]),
            HirKind::Literal(literal) => Self::exactly(vec![literal.0.to_vec()]),
            HirKind::Class(Class::Bytes(class)) => {
                let bytes: Vec<u8> = class
                    .ranges()
                    .iter()
                    .flat_map(|range| range.start()..=range.end())
                    .collect();
                if bytes.len() <= CLASS_BYTES_MAX {
                    Self::exactly(bytes.into_iter().map(|byte| vec![byte]).collect())
                } else {
                    Self::unknown()
                }
            }
            HirKind::Class(Class::Unicode(_)) => Self::unknown(),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Repetition(repetition) => {
                Self::of_repetition(repetition.min, repetition.max, Self::of(&repetition.sub))
            }
            HirKind::Concat(parts) => Self::of_concat(parts.iter().map(Self::of)),
            HirKind::Alternation(parts) => Self::of_alternation(parts.iter().map(Self::of)),
        }
    }

    fn of_repetition(min: u32, max: Option<u32>, part: Self) -> Self {
        match (min, max, part.exact) {
            (0, Some(1), Some(mut strings)) => {
                strings.push(Vec::new());
                Self::exactly(strings)
            }
            (0, _, _) => Self::unknown(),
            (1, Some(1), exact) => Self {
                exact,
                needs: part.needs,
            },
            (_, _, exact) => Self {
                exact: None,
                needs: better(exact, part.needs),
            },
        }
    }

    fn of_concat(parts: impl Iterator<Item = Self>) -> Self {
        let mut whole = true;
        let mut run: Strings = vec![Vec::new()];
        let mut needs = None;
        for part in parts {
            needs = better(needs, part.needs);
            let longer = part
                .exact
                .as_ref()
                .and_then(|strings| product(&run, strings));
            if let Some(longer) = longer {
                run = longer;
            } else {
                whole = false;
                needs = better(needs, Some(run));
                run = part.exact.unwrap_or_else(|| vec![Vec::new()]);
            }
        }
        if whole {
            Self {
                exact: Some(run),
                needs,
            }
        } else {
            Self {
                exact: None,
                needs: better(needs, Some(run)),
            }
        }
    }

    fn of_alternation(parts: impl Iterator<Item = Self>) -> Self {
        let parts: Vec<Self> = parts.collect();
        let exact: Option<Strings> = parts
            .iter()
            .map(|part| part.exact.clone())
            .collect::<Option<Vec<Strings>>>()
            .map(|sets| sets.concat())
            .filter(|strings| strings.len() <= EXACT_STRINGS_MAX);
        let needs: Option<Vec<Strings>> = parts.into_iter().map(Self::into_needs).collect();
        Self {
            exact,
            needs: needs.map(|sets| sets.concat()),
        }
    }
}

/// Every string of `heads` followed by every one of `tails`, unless that is too much.
fn product(heads: &Strings, tails: &Strings) -> Option<Strings> {
    let longest = |strings: &Strings| strings.iter().map(Vec::len).max().unwrap_or(0);
    if heads.len() * tails.len() > EXACT_STRINGS_MAX
        || longest(heads) + longest(tails) > NEED_BYTES_MAX
    {
        return None;
    }
    let both = |head: &Vec<u8>| {
        let head = head.clone();
        tails
            .iter()
            .map(move |tail| [head.as_slice(), tail].concat())
    };
    Some(heads.iter().flat_map(both).collect())
}

/// The more telling of two sets; a set is as telling as its least telling string.
fn better(one: Option<Strings>, other: Option<Strings>) -> Option<Strings> {
    let worth = |set: &Option<Strings>| match set {
        Some(strings) if strings.len() <= NEEDS_MAX => {
            let least = strings.iter().map(|text| telling(text)).min().unwrap_or(0);
            (least, usize::MAX - strings.len())
        }
        _ => (0, 0),
    };
    let best = if worth(&other) > worth(&one) {
        other
    } else {
        one
    };
    best.filter(|strings| strings.iter().all(|text| telling(text) > 0) && !strings.is_empty())
}

/// How seldom a string is met in logs, roughly; 0 for one that cannot be looked for. Common
/// words in a row are rarer than each of them.
fn telling(text: &[u8]) -> usize {
    if words(text).all(|word| word_telling(word) == 0) {
        return 0;
    }
    words(text)
        .filter(|word| !word.is_empty())
        .map(|word| word_telling(word) + 1)
        .sum()
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b' ')
}

/// How seldom a word is met in logs, roughly: more letters are rarer, and words that every GPU
/// server prints all day count for little, as digits do.
fn word_telling(word: &[u8]) -> usize {
    const EVERYWHERE: [&[u8]; 22] = [
        b"and", b"cuda", b"cuda:", b"device", b"error", b"error:", b"failed", b"failed:", b"for",
        b"from", b"gpu", b"info", b"kernel", b"memory", b"memory.", b"not", b"of", b"out", b"rank",
        b"the", b"with", b"warn",
    ];
    let letters = || {
        word.iter()
            .filter(|&&byte| byte.is_ascii_alphabetic() || byte == b'_')
            .count()
    };
    match word.len() {
        short if short < WORD_BYTES_MIN => 0,
        _ if EVERYWHERE.contains(&word) => 2,
        _ => letters().clamp(1, 16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(pattern: &str) -> Option<Vec<String>> {
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .build()
            .parse(pattern)
            .expect("a pattern of this test");
        let texts = of_regex(&hir)?
            .into_iter()
            .map(|need| String::from_utf8(need.text));
        Some(texts.collect::<Result<_, _>>().expect("ASCII"))
    }

    #[test]
    fn needs_are_read_from_the_structure() {
        let cases: [(&str, &[&str]); 12] = [
            ("out of memory", &["out of memory"]),
            (
                r"failed to allocate .* device memory",
                &["failed to allocate"],
            ),
            (
                r"cu(?:blas|dnn)_status_alloc_failed",
                &["cublas_status_alloc_failed", "cudnn_status_alloc_failed"],
            ),
            (r"(?:xid|sxid)\b.*\d+", &["sxid", "xid"]),
            (r"[a-z]+ watchdog", &["watchdog"]),
            (
                r"(?:illegal )?memory access fault",
                &["illegal memory access fault", "memory access fault"],
            ),
            (r"\bhang\b", &["hang"]),
            (r"(?:abc)+", &["abc"]),
            (r"[xy]id", &["xid", "yid"]),
            (r"abc|def.*ghijk", &["abc", "ghijk"]),
            (r"cuda error [0-9]+: misaligned", &[": misaligned"]),
            (r"(?:nvlink|pcie){2} up", &["nvlink", "pcie"]),
        ];
        for (pattern, expected) in cases {
            assert_eq!(needs(pattern).unwrap_or_default(), expected, "{pattern}");
        }
    }

    #[test]
    fn a_regex_without_a_word_has_none() {
        for pattern in [
            r"\d+",
            "ab",
            r"a b c",
            r"(?:abc)?\d",
            r"abc|\d+",
            "[a-z]{9}",
            "(?:abc)*x",
        ] {
            assert_eq!(needs(pattern), None, "{pattern}");
        }
    }
}
