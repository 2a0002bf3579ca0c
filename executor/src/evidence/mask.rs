//! Secrets in text that containers and their health checks print: found by what
//! stands around them or by what they look like, and masked. Pure.
//!
//! Keeps true: what is found is masked whole; in doubt it is masked. Container
//! ids, digests, UUIDs, paths and names made of words stay readable.
//!
//! What it cannot do: find a secret that looks like a word and stands alone.

mod keyed;
mod long;
mod tokens;
mod urls;

use std::ops::Range;

/// Stands where a secret stood.
pub(super) const MASKED: &str = "[masked]";

/// Shorter values of an environment are masked only by what stands around
/// them: they would occur in words.
const KNOWN_BYTES_MIN: usize = 6;

const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_END: &str = "-----END ";

/// What to mask beside what every text is searched for.
#[derive(Debug, Default)]
pub(super) struct Mask {
    /// Secrets of this container, from its environment; never written anywhere.
    known: Vec<String>,
}

/// Whether the lines of one stream are in the middle of a PEM block.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct InPem(bool);

impl Mask {
    /// `environment` as the engine gives it: `NAME=value`. The values whose
    /// names say that they are secret are masked wherever they occur.
    pub(super) fn knowing<'a>(environment: impl Iterator<Item = &'a str>) -> Self {
        let secrets = environment
            .filter_map(|entry| entry.split_once('='))
            .filter(|(name, _)| keyed::is_secret_key(name));
        let mut known: Vec<String> = secrets
            .flat_map(|(_, value)| value.lines())
            .map(str::trim)
            .filter(|value| value.len() >= KNOWN_BYTES_MIN)
            .map(str::to_owned)
            .collect();
        known.sort();
        known.dedup();
        Self { known }
    }

    /// One text by itself.
    pub(super) fn text(&self, text: &str) -> String {
        self.line(text, &mut InPem::default())
    }

    /// The next line of a stream.
    pub(super) fn line(&self, text: &str, in_pem: &mut InPem) -> String {
        let mut found = pem(text, in_pem);
        for value in &self.known {
            found.extend(
                text.match_indices(value.as_str())
                    .map(|(at, _)| at..at + value.len()),
            );
        }
        keyed::find(text, &mut found);
        urls::find(text, &mut found);
        tokens::find(text, &mut found);
        long::find(text, &mut found);
        for range in &mut found {
            keep_masked(text, range);
        }
        render(text, found)
    }

    /// A command line. A word that says what the next one is counts as in text.
    pub(super) fn words(&self, words: &[&str]) -> Vec<String> {
        let mut masked = Vec::with_capacity(words.len());
        let mut names_a_secret = false;
        for word in words {
            let is_value = names_a_secret && !word.starts_with('-');
            masked.push(match is_value {
                true => MASKED.to_owned(),
                false => self.text(word),
            });
            names_a_secret = word.starts_with('-')
                && !word.contains(['=', ':', ' '])
                && keyed::is_secret_key(word.trim_start_matches('-'));
        }
        masked
    }
}

/// PEM blocks, begun here or in an earlier line.
fn pem(text: &str, in_pem: &mut InPem) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let start = match in_pem.0 {
            true => at,
            false => match text[at..].find(PEM_BEGIN) {
                Some(begin) => at + begin,
                None => return found,
            },
        };
        let end = text[start..].find(PEM_END).map(|end| start + end);
        in_pem.0 = end.is_none();
        // With the rest of the end's own line.
        at = end.map_or(text.len(), |end| {
            let rest = &text[end + PEM_END.len()..];
            let closing = rest.find("-----").map_or(rest.len(), |closing| closing + 5);
            end + PEM_END.len() + closing
        });
        found.push(start..at);
        if at >= text.len() {
            return found;
        }
    }
}

/// What is masked already stays as it is: a value ends before a closing bracket.
fn keep_masked(text: &str, range: &mut Range<usize>) {
    let is_masked = text[range.start..].starts_with(MASKED);
    if is_masked && range.len() + 1 == MASKED.len() {
        range.end += 1;
    }
}

fn render(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.retain(|range| !range.is_empty());
    found.sort_by_key(|range| range.start);
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    for range in found {
        if range.end <= at {
            continue;
        }
        // What overlaps is one.
        if range.start >= at && !(range.start == at && masked.ends_with(MASKED)) {
            masked.push_str(&text[at..range.start]);
            masked.push_str(MASKED);
        }
        at = range.end;
    }
    masked.push_str(&text[at..]);
    masked
}

#[cfg(test)]
mod tests;
