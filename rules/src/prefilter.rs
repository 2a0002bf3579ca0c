//! The scan over raw bytes: where may a match be?
//!
//! Every match of a rule holds one of the rule's needs (see [`crate::need`]). Raw bytes hide a
//! need in two ways only: white space may be any run where the need has one space, and escape
//! sequences may stand anywhere in it. So there are two look-outs:
//!
//! * [`Words`]: for needs without an escape sequence inside. All anchor words at once by one
//!   automaton; around a hit the rest of the need is compared.
//! * [`Splits`]: for needs with one inside. At an `ESC` the bytes on both sides of the gap are
//!   looked up; only the *first* such gap of a need must be found, and before it the need is
//!   plain, so it can be compared backwards without knowing where earlier sequences began.
//!
//! Neither needs to know where texts begin and end: what is taken together over the end of a
//! text gives a candidate too many, never one too few.

use aho_corasick::BuildError;

use crate::need::Need;
use crate::rule::RuleIndex;

mod splits;
mod words;

use splits::Splits;
use words::Words;

/// Bytes that are searched by one look-out before the other: what a call may do in vain when
/// the other one's candidate comes first.
const BLOCK_BYTES: usize = 4096;

/// Finds candidates, and rules whose anchors a normal text holds.
#[derive(Debug)]
pub(crate) struct Prefilter {
    words: Words,
    splits: Splits,
}

impl Prefilter {
    pub(crate) fn new(needs: &[(RuleIndex, Need)]) -> Result<Self, BuildError> {
        let splits = Splits::new(needs.iter().map(|(_, need)| need.text.as_slice()));
        Ok(Self {
            words: Words::new(needs)?,
            splits,
        })
    }

    /// See [`crate::RuleSet::candidate`].
    pub(crate) fn candidate(&self, chunk: &[u8], from: usize) -> Option<usize> {
        let mut start = from;
        while start < chunk.len() {
            let end = chunk.len().min(start + BLOCK_BYTES);
            let escape = self.splits.find(chunk, start, end);
            let word = self.words.find(chunk, start, escape.unwrap_or(end));
            if let Some(first) = word.or(escape) {
                return Some(first);
            }
            start = end;
        }
        None
    }

    /// Sets the bit of each rule that has an anchor in a text in normal form.
    pub(crate) fn call(&self, normal: &[u8], called: &mut [u64]) {
        self.words.call(normal, called);
    }
}
