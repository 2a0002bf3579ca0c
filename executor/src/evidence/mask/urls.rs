//! What stands before the host in a URL: `https://user:password@host`.

use std::ops::Range;

/// Adds the user and password of every URL.
pub(super) fn find(text: &str, found: &mut Vec<Range<usize>>) {
    for (at, scheme) in text.match_indices("://") {
        let start = at + scheme.len();
        let rest = &text[start..];
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>');
        let run = &rest[..rest.find(is_end).unwrap_or(rest.len())];
        let host_end = run.find(['/', '?', '#']).unwrap_or(run.len());
        // A password may hold what should have been encoded.
        let within = match run[..host_end].split_once(':') {
            Some((_, port)) if !is_port(port) && !run[..host_end].contains('@') => run,
            _ => &run[..host_end],
        };
        if let Some(end) = within.rfind('@') {
            found.push(start..start + end);
        }
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}
