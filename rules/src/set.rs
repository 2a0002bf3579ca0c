//! All rules of one setting, and the two questions asked of them.

use crate::error::{Error, Text};
use crate::loading::Loading;
use crate::normalise::Scratch;
use crate::prefilter::Prefilter;
use crate::rule::{Origin, Rule, RuleIndex};
use crate::source::{self, Source};

/// All rules of one `Rules` setting, compiled once; matching never compiles and never recurses.
#[derive(Debug)]
pub struct RuleSet {
    pub(crate) rules: Vec<Rule>,
    pub(crate) prefilter: Prefilter,
}

impl RuleSet {
    /// Loads a comma-separated list of built-in pack names ([`crate::pack_names`]) and rule file
    /// paths (an entry with a `/` or ending in `.toml`).
    ///
    /// The order of the list, and in each file the order of the rules, is their precedence.
    ///
    /// # Errors
    ///
    /// An unknown pack, a file that cannot be read, a rule that is wrong in itself, one name
    /// twice; the error names the place and says what to do.
    pub fn load(setting: &str) -> Result<Self, Error> {
        Self::from_sources(&source::read_all(setting)?)
    }

    /// As [`Self::load`], and [`Self::candidate`] points at `words`, too, wherever they stand:
    /// bytes in normal form, with three of them in a row and no white space at their ends. They
    /// belong to no rule and match nothing.
    ///
    /// # Errors
    ///
    /// As for [`Self::load`].
    pub fn load_with_words(setting: &str, words: &[&[u8]]) -> Result<Self, Error> {
        Self::from_sources_and_words(&source::read_all(setting)?, words)
    }

    /// Loads rules from the text of one rule file; `name` stands in errors for its path.
    ///
    /// # Errors
    ///
    /// As for [`Self::load`].
    pub fn parse(name: &str, toml: &str) -> Result<Self, Error> {
        Self::from_sources(&[Source {
            name: name.to_owned(),
            is_pack: false,
            toml: toml.to_owned(),
        }])
    }

    pub(crate) fn from_sources(sources: &[Source]) -> Result<Self, Error> {
        Self::from_sources_and_words(sources, &[])
    }

    fn from_sources_and_words(sources: &[Source], words: &[&[u8]]) -> Result<Self, Error> {
        let mut loading = Loading::new()?;
        for source in sources {
            loading.add(Text {
                source: &source.name,
                toml: &source.toml,
            })?;
        }
        loading.finish(words)
    }

    /// The rules in order of precedence.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// A rule by its name.
    pub fn find(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    /// Whether raw bytes (a whole MessagePack chunk) may hold a match: no allocation, linear in
    /// time. Returns the offset of the first candidate at or after `from`.
    ///
    /// No false negatives: for every text at `chunk[a..b]` with `a >= from` that [`Self::judge`]
    /// accepts, the answer is an offset below `b`; and with `from == a`, one within the text. So
    /// a caller judges the record around the answer and asks again from that record's end. (One
    /// exception: where the bytes before a text and its first ones together happen to be a colour
    /// sequence, a word that begins within that sequence and is cut by another one behind it.)
    pub fn candidate(&self, chunk: &[u8], from: usize) -> Option<usize> {
        self.prefilter.candidate(chunk, from)
    }

    /// Judges one text (any bytes): ANSI escapes removed, white-space runs equal to one space,
    /// ASCII case ignored. The first matching rule in order of precedence.
    pub fn judge(&self, text: &[u8], origin: Origin, scratch: &mut Scratch) -> Option<RuleIndex> {
        self.call(text, scratch);
        called_rules(&scratch.called).find(|&index| {
            let rule = &self.rules[index];
            rule.applies_to(origin) && rule.matcher.matches(&scratch.text)
        })
    }

    /// Whether the text that was judged last, with this `scratch`, holds a word of a rule whose
    /// patterns stand nowhere in it: the rest of them may stand on the line before or behind it.
    pub fn wants_more(&self, origin: Origin, scratch: &Scratch) -> bool {
        called_rules(&scratch.called).any(|index| {
            let rule = &self.rules[index];
            rule.applies_to(origin) && !rule.matcher.stands_in(&scratch.text)
        })
    }

    /// Brings a text into normal form and marks the rules that have to look at it.
    pub(crate) fn call(&self, text: &[u8], scratch: &mut Scratch) {
        let Scratch {
            text: normal,
            called,
        } = scratch;
        normal.set(text);
        called.clear();
        called.resize(self.rules.len().div_ceil(64), 0);
        self.prefilter.call(normal.bytes(), called);
    }
}

/// The rules whose bits are set, ascending.
pub(crate) fn called_rules(words: &[u64]) -> impl Iterator<Item = usize> {
    let bits_of = |&word: &u64| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let lowest = rest.trailing_zeros() as usize;
            rest &= rest.wrapping_sub(1);
            (lowest < 64).then_some(lowest)
        })
    };
    words
        .iter()
        .map(bits_of)
        .enumerate()
        .flat_map(|(at, bits)| bits.map(move |bit| at * 64 + bit))
}
