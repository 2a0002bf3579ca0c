//! The scan over raw bytes together with the matcher equals the slow, obvious matcher, whatever
//! the texts and whatever lies between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rules::{Origin, Scratch};

#[path = "../../rules/tests/support/obvious.rs"]
mod obvious;

/// Separates texts from what lies between them, in turn.
const SEPARATOR: u8 = 0xC1;

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let origin = [Origin::Any, Origin::Container, Origin::Kernel][usize::from(first % 3)];
    let mut chunk = Vec::new();
    let mut spans = Vec::new();
    for (index, piece) in rest.split(|&byte| byte == SEPARATOR).enumerate() {
        let start = chunk.len();
        chunk.extend(piece);
        if index % 2 == 0 {
            spans.push(start..chunk.len());
        }
    }
    let mut scratch = Scratch::default();
    let texts = || spans.iter().map(|span| &chunk[span.clone()]);
    let expected: Vec<_> = texts().map(|text| obvious::judge(text, origin)).collect();
    let judged: Vec<_> = texts()
        .map(|text| obvious::SET.judge(text, origin, &mut scratch))
        .collect();
    assert_eq!(judged, expected);
    assert_eq!(
        obvious::judge_by_candidates(&chunk, &spans, origin),
        expected
    );
});
