//! The scan over raw bytes: where may a match be?
//!
//! Every match of a rule holds one of the rule's needs (see [`crate::need`]). Raw bytes hide a
//! need in two ways only: white space may be any run where the need has one space, and escape
//! sequences may stand anywhere in it. One pass ([`scan`]) finds the places that deserve a
//! second look, and then there are two look-outs:
//!
//! * [`words`]: for needs without an escape sequence inside. A few bytes of each need, its
//!   [`fragment`], are found by the pass; around them the rest of the need is compared.
//! * [`splits`]: for needs with one inside. At an `ESC` the bytes on both sides of the gap are
//!   looked up; only the *first* such gap of a need must be found, and before it the need is
//!   plain, so it can be compared backwards without knowing where earlier sequences began.
//!
//! Neither needs to know where texts begin and end: what is taken together over the end of a
//! text gives a candidate too many, never one too few (but for one that [`splits`] names).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::need::Need;
use crate::rarity::Rarity;
use crate::rule::RuleIndex;

mod filter;
mod fragment;
mod frequencies;
mod masks;
mod neighbours;
mod scan;
mod splits;
#[cfg(target_arch = "x86_64")]
mod vectors;
mod words;

use scan::{Scan, Stretch};
use splits::Splits;
use words::Words;

/// Finds candidates, and rules whose needs a normal text holds.
#[derive(Debug)]
pub(crate) struct Prefilter {
    scan: Scan,
    words: Words,
    splits: Splits,
}

impl Prefilter {
    /// For the needs of rules, and for `words` that belong to none.
    pub(crate) fn new(needs: &[(RuleIndex, Need)], words: &[Need], rarity: &Rarity) -> Self {
        let mut distinct: BTreeMap<&Need, Vec<RuleIndex>> =
            words.iter().map(|word| (word, Vec::new())).collect();
        for (rule, need) in needs {
            distinct.entry(need).or_default().push(*rule);
        }
        let texts: Vec<&[u8]> = distinct.keys().map(|need| need.text.as_slice()).collect();
        let fragments = fragment::choose(&texts, rarity);
        let bytes: Vec<&[u8]> = fragments.iter().map(|one| one.bytes.as_slice()).collect();
        Self {
            scan: Scan::new(masks::of(&bytes, rarity)),
            splits: Splits::new(texts.into_iter()),
            words: Words::new(distinct, &fragments),
        }
    }

    /// See [`crate::RuleSet::candidate`].
    pub(crate) fn candidate(&self, chunk: &[u8], from: usize) -> Option<usize> {
        let mut found: Option<usize> = None;
        self.scan.each(chunk, from, |Stretch { words, escapes }| {
            let word = words.iter().find(|&at| self.words.stand_at(chunk, at));
            let escape = escapes.iter().find(|&at| self.splits.may_split(chunk, at));
            found = word.into_iter().chain(escape).min();
            match found {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        });
        found
    }

    /// Sets the bit of each rule that has a need in a text in normal form.
    pub(crate) fn call(&self, normal: &[u8], called: &mut [u64]) {
        self.scan.each(normal, 0, |Stretch { words, .. }| {
            for at in words.iter() {
                self.words.call_at(normal, at, called);
            }
            ControlFlow::Continue(())
        });
    }
}
