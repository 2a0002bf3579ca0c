//! The prefilter and the matcher together equal the slow, obvious matcher.

use proptest::prelude::*;
use rules::{Origin, Scratch};

use crate::obvious::{self, SET};

/// Pieces of text out of which matches, near misses and nuisances are made.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed =
        |texts: &'static [&'static [u8]]| proptest::sample::select(texts).prop_map(<[u8]>::to_vec);
    prop_oneof![
        8 => fixed(&[b"a", b"b", b"c", b"A", b"B", b"C", b"o", b"n", b"O"]),
        6 => fixed(&[b"aba", b"cab", b"CABA", b"bbb", b"bab", b"ccc", b"boo", b"ooo", b"abacab", b"aba cab"]),
        4 => fixed(&[b" ", b"  ", b"\t", b"\r", b" \x0b\x0c", b"\n", b" \n "]),
        2 => fixed(&[b"no", b"nn", b"oabo", b"n"]),
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
    let space = proptest::collection::vec(proptest::sample::select(&b" \t\r\x0b\n"[..]), 1..3);
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
    pieces.prop_map(|pieces| pieces.concat())
}

fn origin() -> impl Strategy<Value = Origin> {
    proptest::sample::select(&[Origin::Container, Origin::Kernel, Origin::Any][..])
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
        prop_assert_eq!(judged, obvious::judge(&text, origin));
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
        let expected: Vec<_> = texts.iter().map(|(text, _)| obvious::judge(text, origin)).collect();
        prop_assert_eq!(obvious::judge_by_candidates(&chunk, &spans, origin), expected);
    }

    #[test]
    fn any_bytes_at_all_are_judged_and_searched(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let judged = SET.judge(&bytes, Origin::Any, &mut Scratch::default());
        if judged.is_some() {
            prop_assert!(SET.candidate(&bytes, 0).is_some());
        }
    }
}
