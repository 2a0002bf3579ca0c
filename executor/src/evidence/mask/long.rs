//! Long strings that are no words: keys without a name.

use std::ops::Range;

/// Shorter ones are left: names of models and versions look like them.
const LONG_BYTES_MIN: usize = 32;
/// Letters and digits of a part that may be anything beside real words: `x86`, `22T01`.
const ODD_BYTES_MAX: usize = 6;

/// Adds long strings of mixed classes that are neither words, hex nor paths.
pub(super) fn find(text: &str, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|b| is_part(**b)).count();
        if length >= LONG_BYTES_MIN {
            judge(text, at..at + length, found);
        }
        at += length.max(1);
    }
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-' | b'.')
}

fn judge(text: &str, run: Range<usize>, found: &mut Vec<Range<usize>>) {
    let word = &text[run.clone()];
    if !is_path(word) {
        if is_random(word) {
            found.push(run);
        }
        return;
    }
    let mut at = run.start;
    for segment in word.split('/') {
        if segment.len() >= LONG_BYTES_MIN && is_random(segment) {
            found.push(at..at + segment.len());
        }
        at += segment.len() + 1;
    }
}

/// Base64 has slashes, too: in a path at least half of the names are words.
fn is_path(word: &str) -> bool {
    let names: Vec<&str> = word.split('/').filter(|name| !name.is_empty()).collect();
    let words = names.iter().filter(|name| is_made_of_words(name)).count();
    word.contains('/') && words * 2 >= names.len()
}

fn is_random(word: &str) -> bool {
    let has = |is: fn(&u8) -> bool| usize::from(word.bytes().any(|b| is(&b)));
    let classes =
        has(u8::is_ascii_lowercase) + has(u8::is_ascii_uppercase) + has(u8::is_ascii_digit);
    // What a C++ compiler makes of a function's name.
    classes >= 2 && !word.starts_with("_ZN") && !is_made_of_words(word)
}

fn is_made_of_words(word: &str) -> bool {
    let pieces = word.split(|c: char| !c.is_ascii_alphanumeric());
    let (mut all, mut odd) = (0, 0);
    for piece in pieces {
        all += piece.len();
        if is_hex(piece) || is_plain(piece) {
            continue;
        }
        if piece.len() > ODD_BYTES_MAX {
            return false;
        }
        odd += piece.len();
    }
    odd * 3 <= all
}

/// Of one case, as ids and digests are written.
fn is_hex(piece: &str) -> bool {
    let all = |is: fn(u8) -> bool| piece.bytes().all(is);
    all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        || all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
}

/// Words of three letters on average, and no more than two numbers: `libc10`,
/// `LlamaForCausalLM`; or one of each: `cu121`.
fn is_plain(piece: &str) -> bool {
    let bytes = piece.as_bytes();
    let (mut at, mut words, mut numbers) = (0, 0, 0);
    while at < bytes.len() {
        let start = at;
        let run = |from: usize, is: fn(&u8) -> bool| {
            from + bytes[from..].iter().take_while(|b| is(b)).count()
        };
        let uppers = run(at, u8::is_ascii_uppercase);
        let digits = run(at, u8::is_ascii_digit);
        if digits > at {
            numbers += 1;
            at = digits;
        } else {
            at = run(uppers, u8::is_ascii_lowercase);
            let (upper, lower) = (uppers - start, at - uppers);
            // A capital alone, or with one letter, is no word.
            let is_word = match (upper, lower) {
                (0, 1) => start == 0,
                (0, _) => true,
                (1, 0) => at == bytes.len() || bytes[at].is_ascii_digit(),
                (_, 0) => true,
                (_, 1) => false,
                _ => upper <= 6,
            };
            if !is_word {
                return false;
            }
        }
        words += 1;
    }
    let is_short = words <= 2 && bytes.len() <= ODD_BYTES_MAX;
    numbers <= 2 && (is_short || words * 3 <= bytes.len())
}
