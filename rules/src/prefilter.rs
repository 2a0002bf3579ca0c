//! The scan over raw bytes: where may a match be?
//!
//! Every rule's match holds one of the rule's needs (see `need`). Each need is found by its
//! anchor word, all anchors at once by one automaton; around a hit the rest of the need is
//! compared, any white space standing for its spaces. So in raw bytes a need is found wherever
//! no escape sequence stands inside it.
//!
//! For those with an escape sequence inside there is a second look-out: at each `ESC`, the bytes
//! before and after the gap (escape sequences and white space) are joined as the normal form
//! would join them, and if such a pair stands next to each other in some need, the `ESC` is a
//! candidate itself. Colour codes around whole words seldom make such a pair.
//!
//! Anchors hold no other anchor, so that hits may overlap but never hide each other.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

use crate::ansi::{ESC, sequence_len};
use crate::need::Need;
use crate::normalise::is_space;
use crate::rule::RuleIndex;

/// Bytes that are scanned for anchors and then for `ESC`, in turn: what one call may do in vain
/// when a candidate of the other kind comes first.
const BLOCK_BYTES: usize = 4096;

/// Bytes of escape sequences and white space that are looked through at one `ESC`; a longer gap
/// is a candidate. Keeps the scan linear.
const GAP_BYTES_MAX: usize = 64;

/// Finds candidates, and rules whose anchors a normal text holds.
#[derive(Debug)]
pub(crate) struct Prefilter {
    automaton: AhoCorasick,
    /// By the automaton's pattern.
    anchors: Vec<Anchor>,
    anchor_bytes_max: usize,
    pairs: Pairs,
}

/// A word, the needs that it stands for, and the rules that have these needs.
#[derive(Debug)]
struct Anchor {
    word: Vec<u8>,
    surroundings: BTreeSet<Surrounding>,
    rules: BTreeSet<RuleIndex>,
}

impl Anchor {
    fn new(word: &[u8]) -> Self {
        Self {
            word: word.to_vec(),
            surroundings: BTreeSet::new(),
            rules: BTreeSet::new(),
        }
    }
}

/// A need without its anchor.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Surrounding {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Prefilter {
    pub(crate) fn new(needs: &[(RuleIndex, Need)]) -> Result<Self, BuildError> {
        let anchors = anchors(needs)?;
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(anchors.iter().map(|anchor| &anchor.word))?;
        let anchor_bytes_max = anchors
            .iter()
            .map(|anchor| anchor.word.len())
            .max()
            .unwrap_or(0);
        let pairs = Pairs::new(needs.iter().map(|(_, need)| need.text.as_slice()));
        Ok(Self {
            automaton,
            anchors,
            anchor_bytes_max,
            pairs,
        })
    }

    /// See [`crate::RuleSet::candidate`].
    pub(crate) fn candidate(&self, chunk: &[u8], from: usize) -> Option<usize> {
        let mut start = from;
        while start < chunk.len() {
            let end = chunk.len().min(start + BLOCK_BYTES);
            let word = self.word_candidate(chunk, start, end);
            let escape = self.escape_candidate(chunk, start, word.unwrap_or(end));
            if let Some(first) = escape.or(word) {
                return Some(first);
            }
            start = end;
        }
        None
    }

    /// The first anchor that begins in `start..end` and has its need around it.
    fn word_candidate(&self, chunk: &[u8], start: usize, end: usize) -> Option<usize> {
        // A word that begins in the block may end behind it.
        let reach = chunk
            .len()
            .min(end + self.anchor_bytes_max.saturating_sub(1));
        let mut from = start;
        while from < end {
            let hit = self.automaton.find(&chunk[from..reach])?;
            let span = from + hit.start()..from + hit.end();
            let anchor = &self.anchors[hit.pattern().as_usize()];
            if anchor
                .surroundings
                .iter()
                .any(|around| around.is_at(chunk, span.start, span.end))
            {
                return Some(span.start);
            }
            from = span.start + 1;
        }
        None
    }

    /// The first `ESC` in `start..end` that may stand inside a need.
    fn escape_candidate(&self, chunk: &[u8], start: usize, end: usize) -> Option<usize> {
        memchr::memchr_iter(ESC, &chunk[start..end])
            .map(|at| start + at)
            .find(|&at| self.may_split_a_need(chunk, at))
    }

    fn may_split_a_need(&self, chunk: &[u8], at: usize) -> bool {
        let Some(&before) = at.checked_sub(1).and_then(|before| chunk.get(before)) else {
            return false;
        };
        // One byte more than allowed, so that a longer gap is seen to be longer.
        let gap = &chunk[..chunk.len().min(at + GAP_BYTES_MAX + 1)];
        let mut space = is_space(before);
        let mut next = at;
        loop {
            if next - at > GAP_BYTES_MAX {
                return true;
            }
            match chunk.get(next) {
                None => return false,
                // Where an OSC ends depends on where its text ends, which is not known here.
                Some(&ESC) if chunk.get(next + 1) == Some(&b']') => return true,
                Some(&ESC) => next += sequence_len(&gap[next..]),
                Some(&byte) if is_space(byte) => {
                    space = true;
                    next += 1;
                }
                Some(&after) if is_space(before) => return self.pairs.has(b' ', after),
                Some(&after) if space => {
                    return self.pairs.has(before, b' ') && self.pairs.has(b' ', after);
                }
                Some(&after) => return self.pairs.has(before, after),
            }
        }
    }

    /// Sets the bit of each rule that has an anchor in a text in normal form.
    pub(crate) fn call(&self, normal: &[u8], called: &mut [u64]) {
        for hit in self.automaton.find_overlapping_iter(normal) {
            for &rule in &self.anchors[hit.pattern().as_usize()].rules {
                called[rule / 64] |= 1 << (rule % 64);
            }
        }
    }
}

/// The anchors of all needs, none of which holds another.
fn anchors(needs: &[(RuleIndex, Need)]) -> Result<Vec<Anchor>, BuildError> {
    let words: BTreeSet<&[u8]> = needs.iter().map(|(_, need)| need.anchor()).collect();
    let words: Vec<&[u8]> = words.into_iter().collect();
    let automaton = AhoCorasick::new(&words)?;
    // The shortest anchor within an anchor holds no other one.
    let shortest_in = |word: &[u8]| {
        let hits = automaton.find_overlapping_iter(word);
        hits.min_by_key(|hit| hit.len())
            .expect("each word holds at least itself")
    };
    let mut anchors: BTreeMap<&[u8], Anchor> = BTreeMap::new();
    for (rule, need) in needs {
        let hit = shortest_in(need.anchor());
        let word = words[hit.pattern().as_usize()];
        let start = need.anchor_start() + hit.start();
        let around = Surrounding {
            before: need.text[..start].to_vec(),
            after: need.text[start + word.len()..].to_vec(),
        };
        let anchor = anchors.entry(word).or_insert_with(|| Anchor::new(word));
        anchor.surroundings.insert(around);
        anchor.rules.insert(*rule);
    }
    Ok(anchors.into_values().collect())
}

impl Surrounding {
    /// Whether the need stands in raw bytes around its anchor at `start..end`.
    fn is_at(&self, raw: &[u8], start: usize, end: usize) -> bool {
        is_prefix(&self.after, &raw[end..])
            && is_prefix_of_reversed(self.before.iter().rev(), raw[..start].iter().rev())
    }
}

fn is_prefix(normal: &[u8], raw: &[u8]) -> bool {
    is_prefix_of_reversed(normal.iter(), raw.iter())
}

/// Whether `raw` goes on as `normal` does, both read in the same direction: a space is any run
/// of white space, letters have no case.
fn is_prefix_of_reversed<'a>(
    normal: impl Iterator<Item = &'a u8>,
    raw: impl Iterator<Item = &'a u8>,
) -> bool {
    let mut raw = raw.copied().peekable();
    for &wanted in normal {
        if wanted == b' ' {
            if raw.next_if(|&byte| is_space(byte)).is_none() {
                return false;
            }
            while raw.next_if(|&byte| is_space(byte)).is_some() {}
        } else if raw
            .next_if(|byte| byte.to_ascii_lowercase() == wanted)
            .is_none()
        {
            return false;
        }
    }
    true
}

/// Which bytes stand next to each other in some need.
#[derive(Debug)]
struct Pairs(Box<[u64]>);

impl Pairs {
    fn new<'a>(needs: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut bits = vec![0; 256 * 256 / 64].into_boxed_slice();
        for need in needs {
            for pair in need.windows(2) {
                let at = Self::index(pair[0], pair[1]);
                bits[at / 64] |= 1 << (at % 64);
            }
        }
        Self(bits)
    }

    fn index(before: u8, after: u8) -> usize {
        usize::from(before.to_ascii_lowercase()) << 8 | usize::from(after.to_ascii_lowercase())
    }

    fn has(&self, before: u8, after: u8) -> bool {
        let at = Self::index(before, after);
        self.0[at / 64] >> (at % 64) & 1 == 1
    }
}
