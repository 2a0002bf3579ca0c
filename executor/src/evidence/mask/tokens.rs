//! Tokens that are known by how they begin.

use std::ops::Range;

/// How tokens of widespread services begin.
const BEGINNINGS: [&str; 31] = [
    "hf_",
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "xoxa-",
    "xoxb-",
    "xoxe-",
    "xoxp-",
    "xoxr-",
    "xoxs-",
    "xapp-",
    "AKIA",
    "ASIA",
    "glpat-",
    "eyJ",
    "AIza",
    "ya29.",
    "npm_",
    "pypi-",
    "dop_v1_",
    "nvapi-",
    "SG.",
    "hooks.slack.com/services/",
];
/// Characters behind the beginning that make it a token.
const REST_BYTES_MIN: usize = 8;
/// Schemes of HTTP's authorization, and whether anything may follow them.
const SCHEMES: [(&str, bool); 2] = [("bearer", true), ("basic", false)];

/// Adds what begins like a token, and what follows `Bearer` or `Basic`.
pub(super) fn find(text: &str, found: &mut Vec<Range<usize>>) {
    for beginning in BEGINNINGS {
        for (start, _) in text.match_indices(beginning) {
            let end = run_end(text, start + beginning.len());
            let rest = &text[start + beginning.len()..end];
            if is_word_start(text, start) && rest.len() >= REST_BYTES_MIN && is_no_word(rest) {
                found.push(start..end);
            }
        }
    }
    let lower = text.to_ascii_lowercase();
    for (scheme, any) in SCHEMES {
        for (start, _) in lower.match_indices(scheme) {
            let behind = start + scheme.len();
            let gap = text[behind..].bytes().take_while(|b| *b == b' ').count();
            let from = behind + gap;
            let end = run_end(text, from);
            let credentials = &text[from..end];
            let fits = any || (credentials.len() >= REST_BYTES_MIN && is_no_word(credentials));
            if gap > 0 && is_word_start(text, start) && fits {
                found.push(from..end);
            }
        }
    }
}

fn is_word_start(text: &str, at: usize) -> bool {
    let before = text[..at].bytes().next_back();
    !before.is_some_and(|b| b.is_ascii_alphanumeric())
}

/// `hf_hub_download` is one, a token is not.
fn is_no_word(rest: &str) -> bool {
    rest.bytes()
        .any(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

fn run_end(text: &str, from: usize) -> usize {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"-_.~+/=".contains(b);
    from + text.as_bytes()[from..]
        .iter()
        .take_while(|b| is_part(b))
        .count()
}
