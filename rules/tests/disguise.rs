//! The built-in packs' own examples in other clothes: any case, white space of any kind and
//! length, escape sequences anywhere. Each is found by the scan and judged as before.

use proptest::prelude::*;
use rules::{Origin, RuleIndex, RuleSet, Scratch};
use std::sync::LazyLock;

static GPU: LazyLock<RuleSet> =
    LazyLock::new(|| RuleSet::load("gpu").unwrap_or_else(|error| panic!("{error}")));

/// Every example of one plain line, and what it is judged as.
static EXAMPLES: LazyLock<Vec<(&'static str, Option<RuleIndex>)>> = LazyLock::new(|| {
    let examples = GPU.rules().iter().flat_map(|rule| &rule.examples);
    // An escape sequence within another one would make text of its rest.
    let one_line = examples.filter(|text| !text.contains(['\n', '\x1b']));
    one_line
        .map(|text| (text.as_str(), judge(text.as_bytes())))
        .collect()
});

fn judge(text: &[u8]) -> Option<RuleIndex> {
    GPU.judge(text, Origin::Any, &mut Scratch::default())
}

/// What may be done to one byte: a change of its case, an escape sequence before it, and what
/// stands for it where it is white space.
fn change() -> impl Strategy<Value = (bool, &'static str, &'static str)> {
    let escape = prop_oneof![
        30 => Just(""),
        1 => proptest::sample::select(&["\x1b[0m", "\x1b[1;31m", "\x1b[m\x1b[2m", "\x1b(B"][..]),
    ];
    let space = proptest::sample::select(&[" ", " ", "\t", "  ", " \t  "][..]);
    (any::<bool>(), escape, space)
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: default.cases.max(2_000),
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_example_in_other_clothes_is_found_and_judged_the_same(
        which in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec(change(), 64),
        around in 0..100_usize,
    ) {
        let (example, expected) = EXAMPLES[which.index(EXAMPLES.len())];
        let mut text = Vec::new();
        for (byte, (turned, escape, space)) in example.bytes().zip(changes.iter().cycle()) {
            text.extend(escape.bytes());
            match byte {
                b' ' => text.extend(space.bytes()),
                _ if *turned && byte.is_ascii_lowercase() => text.push(byte.to_ascii_uppercase()),
                _ if *turned => text.push(byte.to_ascii_lowercase()),
                _ => text.push(byte),
            }
        }
        prop_assert!(expected.is_some());
        prop_assert_eq!(judge(&text), expected, "{}", String::from_utf8_lossy(&text));
        let mut chunk = vec![0xda; around];
        chunk.extend(&text);
        let at = GPU.candidate(&chunk, around);
        prop_assert!(at.is_some_and(|at| (around..chunk.len()).contains(&at)));
        chunk.extend([0xda; 70]);
        let end = around + text.len();
        let at = GPU.candidate(&chunk, around);
        prop_assert!(at.is_some_and(|at| (around..end).contains(&at)));
    }
}
