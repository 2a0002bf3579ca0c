//! The prefilter and the matcher together equal the slow, obvious matcher.
//!
//! The obvious one is written from the crate's documentation alone: escape sequences removed by
//! a regex, white space by splitting, literals by comparing at every place.

use proptest::prelude::*;
use regex::bytes::Regex;
use rules::{Origin, RuleSet, Scratch};
use std::sync::LazyLock;

/// Rules in small words, so that chance often hits them: literals, a regex, excuses, a kernel
/// rule, words within words, and words that begin and end alike.
const TOML: &str = r#"
[[rule]]
name = "one"
summary = "s"
remedy = "restart"
literals = ["aba cab", "abacab"]

[[rule]]
name = "two"
summary = "s"
remedy = "note"
literals = ["caba", "a bbb c"]
unless = { literals = ["no"], regexes = ['o[ab]+o'] }

[[rule]]
name = "three"
summary = "s"
remedy = "note"
regexes = ['ab[ab] ?(?:ccc|coc)\b', '^ooo .*bab$']
unless = { literals = ["nn"] }

[[rule]]
name = "four"
summary = "s"
remedy = "escalate"
kernel = true
literals = ["bab", "boo"]
"#;

static SET: LazyLock<RuleSet> =
    LazyLock::new(|| RuleSet::parse("test", TOML).unwrap_or_else(|error| panic!("{error}")));

/// Literals, regexes, excusing literals, excusing regexes, kernel.
type Obvious = (
    &'static [&'static str],
    Vec<Regex>,
    &'static [&'static str],
    Vec<Regex>,
    bool,
);

static OBVIOUS: LazyLock<Vec<Obvious>> = LazyLock::new(|| {
    let regexes = |patterns: &[&str]| -> Vec<Regex> {
        patterns
            .iter()
            .map(|p| Regex::new(&format!("(?-u){p}")).expect("valid"))
            .collect()
    };
    vec![
        (&["aba cab", "abacab"], vec![], &[], vec![], false),
        (
            &["caba", "a bbb c"],
            vec![],
            &["no"],
            regexes(&["o[ab]+o"]),
            false,
        ),
        (
            &[],
            regexes(&["ab[ab] ?(?:ccc|coc)\\b", "^ooo .*bab$"]),
            &["nn"],
            vec![],
            false,
        ),
        (&["bab", "boo"], vec![], &[], vec![], true),
    ]
});

static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
    let csi = r"\x1b\[[0-?]*[ -/]*[@-~]?";
    let osc = r"\x1b\](?:[\x20-\xff]*(?:\x07|\x1b\\))?";
    let other = r"\x1b(?:[!-/]*(?:[0-~]|\z))?";
    Regex::new(&format!("(?s-u)(?:{csi}|{osc}|{other})")).expect("valid")
});

fn obvious_words(line: &[u8]) -> Vec<u8> {
    let words = line
        .split(|byte| b" \t\n\x0b\x0c\r".contains(byte))
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ').to_ascii_lowercase()
}

fn found(text: &[u8], literals: &[&str], regexes: &[Regex]) -> bool {
    literals
        .iter()
        .any(|l| text.windows(l.len()).any(|window| window == l.as_bytes()))
        || regexes.iter().any(|regex| regex.is_match(text))
}

/// The first rule that matches a text without newlines.
fn obvious(raw: &[u8], origin: Origin) -> Option<usize> {
    let text = obvious_words(&ESCAPES.replace_all(raw, &b""[..]));
    OBVIOUS
        .iter()
        .position(|(literals, regexes, unless, unless_regexes, kernel)| {
            (origin == Origin::Any || (origin == Origin::Kernel) == *kernel)
                && found(&text, literals, regexes)
                && !found(&text, unless, unless_regexes)
        })
}

/// Pieces of text out of which matches, near misses and nuisances are made.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed =
        |texts: &'static [&'static [u8]]| proptest::sample::select(texts).prop_map(<[u8]>::to_vec);
    prop_oneof![
        8 => fixed(&[b"a", b"b", b"c", b"A", b"B", b"C", b"o", b"n", b"O"]),
        6 => fixed(&[b"aba", b"cab", b"CABA", b"bbb", b"bab", b"ccc", b"boo", b"ooo", b"abacab", b"aba cab"]),
        4 => fixed(&[b" ", b"  ", b"\t", b"\r", b" \x0b\x0c"]),
        3 => fixed(&[b"\x1b[31m", b"\x1b[m", b"\x1b[0;1m", b"\x1bM", b"\x1b(B", b"\x1b]0;a\x07", b"\x1b]8;;b\x1b\\"]),
        2 => fixed(&[b"\x1b", b"\x1b[", b"\x1b[3", b"\x1b]", b"\x1b]ab", b"\x1b(", b"\x07", b"\\", b"\x1b[ ", b"\x1b\x1b"]),
        1 => fixed(&[b"\xe2\x84\xaa", b"\0", b"\xff", b"\x9b31m", b"m"]),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ]
}

const PHRASES: [&[u8]; 8] = [
    b"aba cab", b"abacab", b"caba", b"a bbb c", b"aba ccc", b"abbcoc", b"bab", b"boo",
];

const ESCAPES_WITHIN: [&[u8]; 7] = [
    b"\x1b[31m",
    b"\x1b[m",
    b"\x1bM",
    b"\x1b(B",
    b"\x1b]0;a\x07",
    b"\x1b]\x1b\\",
    b"\x1b[",
];

/// A phrase that some rule looks for, in any case, with escape sequences anywhere in it and any
/// white space in its gaps.
fn disguised() -> impl Strategy<Value = Vec<u8>> {
    let escape = proptest::sample::select(&ESCAPES_WITHIN[..]);
    let gap = prop_oneof![
        20 => Just(Vec::new()),
        3 => escape.clone().prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(escape, 0..20).prop_map(|escapes| escapes.concat()),
    ];
    let space = proptest::collection::vec(proptest::sample::select(&b" \t\r\x0b"[..]), 1..3);
    let space = prop_oneof![20 => space, 1 => Just(b" ".repeat(150))];
    let phrase = proptest::sample::select(&PHRASES[..]);
    let byte = (gap, space, any::<bool>());
    (phrase, proptest::collection::vec(byte, 9)).prop_map(|(phrase, disguise)| {
        let mut text = Vec::new();
        for (&byte, (gap, space, upper)) in phrase.iter().zip(disguise) {
            match byte {
                b' ' => {
                    text.extend(&space);
                    text.extend(gap);
                    text.extend(&space[1..]);
                }
                letter => {
                    text.extend(gap);
                    text.push(if upper {
                        letter.to_ascii_uppercase()
                    } else {
                        letter
                    });
                }
            }
        }
        text
    })
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let long_gap = prop_oneof![Just(b"\x1b[0m".repeat(20)), Just(b" ".repeat(150))];
    let any_piece = prop_oneof![50 => piece(), 1 => long_gap, 9 => disguised()];
    let pieces = prop_oneof![
        2 => proptest::collection::vec(any_piece.clone(), 0..14),
        1 => proptest::collection::vec(any_piece, 0..2),
        1 => disguised().prop_map(|text| vec![text]),
    ];
    pieces.prop_map(|pieces| {
        let mut text = pieces.concat();
        // Newlines have a meaning of their own, tested below and in `judging`.
        text.iter_mut()
            .filter(|byte| **byte == b'\n')
            .for_each(|byte| *byte = b'\t');
        text
    })
}

fn origin() -> impl Strategy<Value = Origin> {
    proptest::sample::select(&[Origin::Container, Origin::Kernel, Origin::Any][..])
}

/// What a caller of the plugin's kind finds in the text at `span` of a chunk: it judges the
/// record around each candidate and goes on behind it.
fn by_candidates(
    chunk: &[u8],
    spans: &[std::ops::Range<usize>],
    origin: Origin,
) -> Vec<Option<usize>> {
    let mut scratch = Scratch::default();
    let mut found = vec![None; spans.len()];
    let mut from = 0;
    while let Some(at) = SET.candidate(chunk, from) {
        assert!(at >= from, "goes forward");
        match spans.iter().position(|span| span.contains(&at)) {
            Some(index) => {
                found[index] = SET.judge(&chunk[spans[index].clone()], origin, &mut scratch);
                from = spans[index].end;
            }
            None => from = at + 1,
        }
    }
    found
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: default.cases.max(4_000),
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn judging_equals_the_obvious(text in text(), origin in origin()) {
        let judged = SET.judge(&text, origin, &mut Scratch::default());
        prop_assert_eq!(judged, obvious(&text, origin));
    }

    #[test]
    fn candidates_and_judging_equal_the_obvious(
        texts in proptest::collection::vec((text(), proptest::collection::vec(any::<u8>(), 0..6)), 1..5),
        padding in prop_oneof![6 => Just(0_usize), 1 => 4_070..4_110_usize],
        origin in origin(),
    ) {
        let mut chunk = vec![b'.'; padding];
        let mut spans = Vec::new();
        for (text, between) in &texts {
            let start = chunk.len();
            chunk.extend(text);
            spans.push(start..chunk.len());
            chunk.extend(between);
        }
        let expected: Vec<_> = texts.iter().map(|(text, _)| obvious(text, origin)).collect();
        prop_assert_eq!(by_candidates(&chunk, &spans, origin), expected);
    }

    /// With newlines, an excuse counts on the lines of the match. For literals without white
    /// space these are the text's lines one by one.
    #[test]
    fn lines_are_excused_one_by_one(texts in proptest::collection::vec(text(), 1..4)) {
        let set = RuleSet::parse("test", "
            [[rule]]
            name = 'a'
            summary = 's'
            remedy = 'note'
            literals = ['caba']
            unless = { literals = ['no'] }
        ").expect("valid");
        // Without escapes: one could swallow the newline's neighbour.
        let texts: Vec<Vec<u8>> = texts
            .into_iter()
            .map(|text| text.into_iter().filter(|&byte| byte != 0x1b).collect())
            .collect();
        let expected = texts.iter().any(|text| {
            let line = obvious_words(text);
            found(&line, &["caba"], &[]) && !found(&line, &["no"], &[])
        });
        let judged = set.judge(&texts.join(&b'\n'), Origin::Any, &mut Scratch::default());
        prop_assert_eq!(judged.is_some(), expected);
    }

    #[test]
    fn any_bytes_at_all_are_judged_and_searched(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let judged = SET.judge(&bytes, Origin::Any, &mut Scratch::default());
        if judged.is_some() {
            prop_assert!(SET.candidate(&bytes, 0).is_some());
        }
    }
}
