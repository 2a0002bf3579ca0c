//! Long strings that are no words: keys without a name.

use std::ops::Range;

/// Shorter ones are left: names of models and versions look like them.
const LONG_BYTES_MIN: usize = 32;
/// In a path, names from this length on have to be words.
const NAME_BYTES_MIN: usize = 20;
/// Letters and digits of a part that may be anything beside real words: `x86`, `22T01`.
const ODD_BYTES_MAX: usize = 6;
/// Longest word, and longest row of capitals.
const WORD_BYTES_MAX: usize = 16;
const CAPITALS_MAX: usize = 8;
/// Longest word without a vowel, of which a part may have one: `Grpc`.
const BARE_BYTES_MAX: usize = 4;
/// Longest row of consonants in a word: `torchscript`.
const CONSONANTS_MAX: usize = 6;

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
    for name in word.split('/') {
        if name.len() >= NAME_BYTES_MIN && is_random(name) {
            found.push(at..at + name.len());
        }
        at += name.len() + 1;
    }
}

/// Base64 has slashes, too: in a path two thirds of the letters are in words.
fn is_path(word: &str) -> bool {
    let names = word.split('/');
    let words = names.filter(|name| is_made_of_words(name));
    let in_words: usize = words.map(str::len).sum();
    let all = word.len() - word.matches('/').count();
    all < word.len() && in_words * 3 >= all * 2
}

fn is_random(word: &str) -> bool {
    let has = |is: fn(&u8) -> bool| usize::from(word.bytes().any(|b| is(&b)));
    let classes =
        has(u8::is_ascii_lowercase) + has(u8::is_ascii_uppercase) + has(u8::is_ascii_digit);
    classes >= 2 && !is_symbol(word) && !is_made_of_words(word)
}

/// What a C++ compiler makes of a function's name: `_ZN3c104cuda`.
fn is_symbol(word: &str) -> bool {
    let behind = word
        .strip_prefix("_ZN")
        .map(|rest| rest.trim_start_matches('K'));
    behind.is_some_and(|rest| {
        rest.starts_with("St") || rest.starts_with(|c: char| c.is_ascii_digit())
    })
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
    let mut rest = piece;
    let (mut words, mut numbers, mut bare) = (0, 0, 0);
    while !rest.is_empty() {
        let run = |is: fn(&u8) -> bool| rest.bytes().take_while(is).count();
        let digits = run(u8::is_ascii_digit);
        let capitals = run(u8::is_ascii_uppercase);
        let small = rest[capitals..]
            .bytes()
            .take_while(u8::is_ascii_lowercase)
            .count();
        let is_first = rest.len() == piece.len();
        let (word, behind) = rest.split_at(digits.max(capitals + small));
        rest = behind;
        words += 1;
        if digits > 0 {
            numbers += 1;
        } else if !can_be_word(capitals, small, is_first, rest) {
            return false;
        } else if small >= 2 {
            match has_vowels(word) {
                Some(true) => {}
                Some(false) => bare += 1,
                None => return false,
            }
        }
    }
    let is_short = words <= 2 && piece.len() <= ODD_BYTES_MAX;
    numbers <= 2 && bare <= 1 && (is_short || words * 3 <= piece.len())
}

/// A capital alone, or with one letter, is no word but at an end.
fn can_be_word(capitals: usize, small: usize, is_first: bool, rest: &str) -> bool {
    let ends = rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit());
    capitals <= CAPITALS_MAX
        && small <= WORD_BYTES_MAX
        && match (capitals, small) {
            (0, 1) => is_first,
            (1, 0) => ends,
            (1.., 1) => false,
            _ => true,
        }
}

/// Whether a word has vowels as words do, or is a short one with none; none
/// where it cannot be one.
fn has_vowels(word: &str) -> Option<bool> {
    let is_vowel = |c: char| "aeiouyAEIOUY".contains(c);
    let longest = word.split(is_vowel).map(str::len).max().unwrap_or(0);
    match word.contains(is_vowel) {
        true => (longest <= CONSONANTS_MAX).then_some(true),
        false => (word.len() <= BARE_BYTES_MAX).then_some(false),
    }
}
