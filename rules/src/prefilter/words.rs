//! Needs found by their anchor words, in raw bytes without escape sequences.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::automaton::OverlappingState;
use aho_corasick::{AhoCorasick, BuildError, Input, MatchKind};

use crate::ansi::ESC;
use crate::need::Need;
use crate::normalise::is_space;
use crate::rule::RuleIndex;

/// All anchor words and what must stand around them.
#[derive(Debug)]
pub(super) struct Words {
    automaton: AhoCorasick,
    /// By the automaton's pattern.
    anchors: Vec<Anchor>,
    anchor_bytes_max: usize,
}

/// What one anchor word stands for.
#[derive(Debug, Default)]
struct Anchor {
    surroundings: BTreeSet<Surrounding>,
    rules: BTreeSet<RuleIndex>,
}

/// A need without its anchor.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Surrounding {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Words {
    pub(super) fn new(needs: &[(RuleIndex, Need)]) -> Result<Self, BuildError> {
        let mut anchors: BTreeMap<&[u8], Anchor> = BTreeMap::new();
        for (rule, need) in needs {
            let span = need.anchor();
            let anchor = anchors.entry(&need.text[span.clone()]).or_default();
            anchor.rules.insert(*rule);
            anchor.surroundings.insert(Surrounding {
                before: need.text[..span.start].to_vec(),
                after: need.text[span.end..].to_vec(),
            });
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(anchors.keys())?;
        let anchor_bytes_max = anchors.keys().map(|word| word.len()).max().unwrap_or(0);
        Ok(Self {
            automaton,
            anchors: anchors.into_values().collect(),
            anchor_bytes_max,
        })
    }

    /// An anchor that begins in `start..end` and has its need around it: of all these the one
    /// that ends first.
    pub(super) fn find(&self, chunk: &[u8], start: usize, end: usize) -> Option<usize> {
        // A word that begins in time may end later.
        let reach = chunk
            .len()
            .min(end + self.anchor_bytes_max.saturating_sub(1));
        let mut state = OverlappingState::start();
        loop {
            let input = Input::new(chunk).range(start..reach);
            self.automaton.find_overlapping(input, &mut state);
            let hit = state.get_match()?;
            let anchor = &self.anchors[hit.pattern().as_usize()];
            if hit.start() < end
                && anchor
                    .surroundings
                    .iter()
                    .any(|around| around.is_at(chunk, hit.range()))
            {
                return Some(hit.start());
            }
        }
    }

    /// Sets the bit of each rule that has an anchor in a text in normal form.
    pub(super) fn call(&self, normal: &[u8], called: &mut [u64]) {
        for hit in self.automaton.find_overlapping_iter(normal) {
            for &rule in &self.anchors[hit.pattern().as_usize()].rules {
                called[rule / 64] |= 1 << (rule % 64);
            }
        }
    }
}

impl Surrounding {
    /// Whether the need stands in raw bytes around its anchor.
    fn is_at(&self, raw: &[u8], anchor: std::ops::Range<usize>) -> bool {
        goes_on_as(raw[anchor.end..].iter(), self.after.iter(), false)
            && goes_on_as(
                raw[..anchor.start].iter().rev(),
                self.before.iter().rev(),
                false,
            )
    }
}

/// Whether raw bytes go on as a normal text does, both read in the same direction: a space is
/// any run of white space, letters have no case. What an escape sequence on the way means is
/// for the caller to say: `at_escape` is the answer then.
pub(super) fn goes_on_as<'a>(
    raw: impl Iterator<Item = &'a u8>,
    normal: impl Iterator<Item = &'a u8>,
    at_escape: bool,
) -> bool {
    let mut raw = raw.copied().peekable();
    for &wanted in normal {
        match raw.next() {
            Some(ESC) => return at_escape,
            Some(byte) if wanted == b' ' && is_space(byte) => {
                while raw.next_if(|&byte| is_space(byte)).is_some() {}
            }
            Some(byte) if wanted != b' ' && byte.to_ascii_lowercase() == wanted => {}
            _ => return false,
        }
    }
    true
}
