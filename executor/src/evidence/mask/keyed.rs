//! Values that a key in front of them calls secret: `password=x`, `token: x`,
//! `"api_key":"x"`, `--secret x`, `Authorization: Bearer x`.

use std::ops::Range;

/// Letters of a key that make it secret wherever they stand in it, without `-`, `_` and `.`.
const WITHIN: [&str; 19] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "credential",
    "authorization",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "accountkey",
    "sharedkey",
    "masterkey",
    "authkey",
    "storagekey",
    "licensekey",
    "sshkey",
    "cookie",
];
/// Words in front of `key` that make it secret.
const BEFORE_KEY: [&str; 10] = [
    "api",
    "access",
    "secret",
    "private",
    "signing",
    "encryption",
    "account",
    "master",
    "auth",
    "license",
];
/// Words that are no secret, whatever their key.
const NO_SECRET: [&str; 6] = ["none", "null", "nil", "true", "false", "undefined"];
/// Most characters that close what a key stands in: `"`, `']`, `\"`.
const CLOSING_MAX: usize = 4;

/// Adds the values that keys call secret.
pub(super) fn find(text: &str, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !is_key_byte(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && is_key_byte(bytes[at]) {
            at += 1;
        }
        let word = &text[start..at];
        let key = word.trim_start_matches('-');
        if !is_secret_key(key) && !is_key_of_two_words(text, start, key) {
            continue;
        }
        let is_flag = word.starts_with('-');
        if let Some(value) = value_of(text, start, at, key, is_flag)
            && !is_no_secret(&text[value.clone()], key)
        {
            found.push(value);
        }
    }
}

/// Whether what this names is a secret: a key, or a variable of an environment.
pub(super) fn is_secret_key(key: &str) -> bool {
    let bare: String = key
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let bare = bare.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_upper = !key.bytes().any(|b| b.is_ascii_lowercase());
    WITHIN.iter().any(|word| bare.contains(word))
        // Not the tokens of a language model, which are many: max_tokens, token_id.
        || bare.ends_with("token")
        || bare.ends_with("pwd")
        || (is_upper && key.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with("_KEY"))
        || ["_auth", "-auth"].iter().any(|end| key.ends_with(end))
        || bare == "sig"
}

/// `API key: x`
fn is_key_of_two_words(text: &str, start: usize, key: &str) -> bool {
    if !["key", "keys"]
        .iter()
        .any(|word| key.eq_ignore_ascii_case(word))
    {
        return false;
    }
    let before = text[..start].trim_end_matches(' ');
    let word = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next();
    let word = word.unwrap_or_default().to_ascii_lowercase();
    BEFORE_KEY.contains(&word.as_str())
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_no_secret(value: &str, key: &str) -> bool {
    let word = value.trim_end_matches([',', ';', ')', '}', ']']);
    if NO_SECRET.iter().any(|no| word.eq_ignore_ascii_case(no)) {
        return true;
    }
    // The working directory.
    key.to_ascii_lowercase().ends_with("pwd") && value.starts_with(['/', '~', '.'])
}

/// Where the value stands of a key that ends at `end`; none where there is none.
fn value_of(
    text: &str,
    start: usize,
    end: usize,
    key: &str,
    is_flag: bool,
) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let byte = |at: usize| bytes.get(at).copied();
    if byte(end) == Some(b'>') {
        // <password>x</password>
        return Some(end + 1..end_at(text, end + 1, |b| b == b'<'));
    }
    let mut at = end;
    while at < end + CLOSING_MAX
        && byte(at).is_some_and(|b| matches!(b, b'\\' | b'"' | b'\'' | b'`' | b']' | b')'))
    {
        at += 1;
    }
    let is_quoted = text[end..at].contains(['"', '\'']);
    let spaced = skip(text, at, |b| b == b' ' || b == b'\t');
    let separated = separator(bytes, spaced, is_quoted);
    let is_header = is_header(key);
    match separated {
        Some(behind) => {
            let value = skip(text, behind, |b| b == b' ' || b == b'\t');
            value_at(text, value, is_header.then(|| opening_before(text, start)))
        }
        None if is_flag && spaced > end && byte(spaced) != Some(b'-') => {
            value_at(text, spaced, None)
        }
        None => None,
    }
}

/// Behind what separates key and value.
fn separator(bytes: &[u8], at: usize, is_quoted: bool) -> Option<usize> {
    let rest = &bytes[at..];
    let length = match rest {
        // A path of a program's own names.
        [b':', b':', ..] => return None,
        [b':', b'=', ..] | [b'=', b'>', ..] | [b'=', b'=', ..] | [b'-', b'>', ..] => 2,
        [b':' | b'=', ..] => 1,
        // ("Authorization", "Bearer x")
        [b',', ..] if is_quoted => 1,
        _ => return None,
    };
    Some(at + length)
}

/// Keys whose value may be several words.
fn is_header(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with("authorization") || key.ends_with("cookie")
}

/// The quote in front of a key, where there is one: it ends the value.
fn opening_before(text: &str, start: usize) -> Option<u8> {
    let before = *text.as_bytes().get(start.checked_sub(1)?)?;
    matches!(before, b'"' | b'\'' | b'`').then_some(before)
}

/// The value that begins here; `header` for one of several words, with what
/// ends it before the line does.
fn value_at(text: &str, at: usize, header: Option<Option<u8>>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    // b'x', r"x", f"x"
    let letters = skip(text, at, |b| {
        matches!(b, b'b' | b'r' | b'u' | b'f' | b'B' | b'R')
    });
    let slashes = skip(text, letters, |b| b == b'\\');
    let quote = bytes
        .get(slashes)
        .filter(|b| matches!(b, b'"' | b'\'' | b'`'));
    if let Some(&quote) = quote
        && letters - at <= 2
    {
        let from = slashes + 1;
        return Some(from..closing(bytes, from, quote, slashes - letters));
    }
    let end = match (bytes.get(at)?, header) {
        (_, Some(Some(quote))) => end_at(text, at, |b| b == quote),
        (_, Some(None)) => end_at(text, at, |b| b == b'\n'),
        (b'[', None) => end_at(text, at, |b| b == b']'),
        (b'{', None) => end_at(text, at, |b| b == b'}'),
        (b'(', None) => end_at(text, at, |b| b == b')'),
        (_, None) => end_at(text, at, |b| b.is_ascii_whitespace()),
    };
    (end > at).then_some(at..end)
}

/// Where a quoted text ends that was opened by so many backslashes and a
/// quote: at the next one with no more of them.
fn closing(bytes: &[u8], from: usize, quote: u8, opened_by: usize) -> usize {
    let mut slashes = 0;
    for (at, &byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'\\' => slashes += 1,
            _ if byte == quote && slashes <= opened_by => return at - slashes,
            _ => slashes = 0,
        }
    }
    bytes.len()
}

fn skip(text: &str, from: usize, is_skipped: impl Fn(u8) -> bool) -> usize {
    end_at(text, from, |byte| !is_skipped(byte))
}

fn end_at(text: &str, from: usize, is_end: impl Fn(u8) -> bool) -> usize {
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    let length = rest.iter().position(|&byte| is_end(byte));
    length.map_or(text.len(), |length| from + length)
}
