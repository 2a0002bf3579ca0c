//! What every match of a pattern must hold: strings that the scan over raw bytes can look for.
//!
//! A *need* is a string in normal form, with no white space at its ends; a pattern has a set of
//! needs, and every text that it matches holds at least one of them. A literal needs itself. For
//! a regex the set is worked out from its structure, in the manner of trigram indexes for code
//! search: exact strings are multiplied out while they are few, and of the sets met on the way the
//! one is kept that costs the scan the least.
//!
//! How a need is found in raw bytes is the business of `prefilter`.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::limits::WORD_BYTES_MIN;
use crate::rarity::{Packed, Rarity, packed};
use crate::window::windows;

/// Exact strings that may be multiplied out for one piece of a regex.
const EXACT_STRINGS_MAX: usize = 64;
/// Bytes of one class that are told apart; of a larger one nothing is known.
const CLASS_BYTES_MAX: usize = 8;
/// Needs of one regex.
const NEEDS_MAX: usize = 128;
/// Bytes of one need: beyond this a longer one tells nothing more.
pub(crate) const NEED_BYTES_MAX: usize = 96;

/// A string that stands for a pattern in the scan over raw bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    /// The whole string in normal form.
    pub(crate) text: Vec<u8>,
}

impl Need {
    /// None if the string has no word that is long enough to be looked for. Of a long string a
    /// part that has one will do.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let first_word = text
            .split(|&byte| byte == b' ')
            .find(|word| word.len() >= WORD_BYTES_MIN)?;
        let mut part = text;
        if text.len() > NEED_BYTES_MAX {
            let start = text
                .windows(first_word.len())
                .position(|at| at == first_word);
            part = &text[start.unwrap_or(0)..];
            part = &part[..part.len().min(NEED_BYTES_MAX)];
        }
        let text = part.trim_ascii().to_vec();
        Some(Self { text })
    }
}

/// The needs of a regex over normal texts; None if it has none.
pub(crate) fn of_regex(hir: &Hir, rarity: &Rarity) -> Option<Vec<Need>> {
    let mut needs: Vec<Need> = Info::of(rarity, hir)
        .into_needs(rarity)?
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

    fn into_needs(self, rarity: &Rarity) -> Option<Strings> {
        better(rarity, self.exact, self.needs)
    }

    fn of(rarity: &Rarity, hir: &Hir) -> Self {
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
            HirKind::Capture(capture) => Self::of(rarity, &capture.sub),
            HirKind::Repetition(repetition) => Self::of_repetition(
                rarity,
                repetition.min,
                repetition.max,
                Self::of(rarity, &repetition.sub),
            ),
            HirKind::Concat(parts) => {
                Self::of_concat(rarity, parts.iter().map(|part| Self::of(rarity, part)))
            }
            HirKind::Alternation(parts) => {
                Self::of_alternation(rarity, parts.iter().map(|part| Self::of(rarity, part)))
            }
        }
    }

    fn of_repetition(rarity: &Rarity, min: u32, max: Option<u32>, part: Self) -> Self {
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
                needs: better(rarity, exact, part.needs),
            },
        }
    }

    fn of_concat(rarity: &Rarity, parts: impl Iterator<Item = Self>) -> Self {
        let mut whole = true;
        let mut run: Strings = vec![Vec::new()];
        let mut needs = None;
        for part in parts {
            needs = better(rarity, needs, part.needs);
            let longer = part
                .exact
                .as_ref()
                .and_then(|strings| product(&run, strings));
            if let Some(longer) = longer {
                run = longer;
            } else {
                whole = false;
                needs = better(rarity, needs, Some(run));
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
                needs: better(rarity, needs, Some(run)),
            }
        }
    }

    fn of_alternation(rarity: &Rarity, parts: impl Iterator<Item = Self>) -> Self {
        let parts: Vec<Self> = parts.collect();
        let exact: Option<Strings> = parts
            .iter()
            .map(|part| part.exact.clone())
            .collect::<Option<Vec<Strings>>>()
            .map(|sets| sets.concat())
            .filter(|strings| strings.len() <= EXACT_STRINGS_MAX);
        let needs: Option<Vec<Strings>> = parts
            .into_iter()
            .map(|part| part.into_needs(rarity))
            .collect();
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

/// How long a text's longest word is decides whether it can be looked for at all.
fn has_word(text: &[u8]) -> bool {
    let mut words = text.split(|&byte| byte == b' ');
    words.any(|word| word.len() >= WORD_BYTES_MIN)
}

/// Of two sets the one that costs the scan less. Strings with the same rarest window share it.
fn better(rarity: &Rarity, one: Option<Strings>, other: Option<Strings>) -> Option<Strings> {
    let usable = |set: &Strings| {
        !set.is_empty() && set.len() <= NEEDS_MAX && set.iter().all(|text| has_word(text))
    };
    match (one.filter(usable), other.filter(usable)) {
        (Some(one), Some(other)) => {
            let less = cost_ns(rarity, &other) < cost_ns(rarity, &one);
            Some(if less { other } else { one })
        }
        (one, other) => one.or(other),
    }
}

fn cost_ns(rarity: &Rarity, set: &Strings) -> u64 {
    let rarest = |text: &Vec<u8>| {
        let windows = windows(text.trim_ascii()).map(|(_, window)| window);
        windows
            .map(|window| (rarity.cost_ns(window), packed(window)))
            .min()
    };
    let mut distinct: Vec<(u64, Packed)> = set.iter().filter_map(rarest).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let looking: u64 = distinct.iter().map(|(cost, _)| cost).sum();
    let judging = set.iter().map(|text| rarity.judging_ns(text));
    looking.saturating_add(judging.fold(0, u64::saturating_add))
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
        let texts = of_regex(&hir, &Rarity::default())?
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
    fn a_long_need_is_cut_where_it_still_has_a_word() {
        for (text, expected) in [
            ("long ".repeat(40), format!("{}l", "long ".repeat(19))),
            (format!("{}word", "a b ".repeat(40)), "word".to_owned()),
            ("x".repeat(500), "x".repeat(NEED_BYTES_MAX)),
        ] {
            let need = Need::new(text.as_bytes()).expect("it has a word");
            assert_eq!(String::from_utf8_lossy(&need.text), expected);
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
