//! The slow, obvious matcher, written from the crate's documentation alone: escape sequences
//! removed by a regex, white space by splitting, literals as regexes, every line by itself.
//! The property tests and the fuzzers hold the real one against it.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;
use rules::{Origin, RuleSet, Scratch};

/// Rules in small words, so that chance often hits them: literals, a regex, excuses, a kernel
/// rule, words within words, and words that begin and end alike.
pub(crate) const TOML: &str = r#"
[[rule]]
name = "one"
summary = "s"
remedy = "restart"
literals = ["aba cab", "abacab"]

[[rule]]
name = "two"
summary = "s"
remedy = "note"
literals = ["caba", "a bbb c"]
unless = { literals = ["no"], regexes = ['o[ab]+o'], before = ['cc[ab]'] }

[[rule]]
name = "three"
summary = "s"
remedy = "note"
regexes = ['ab[ab] ?(?:ccc|coc)\b', '^ooo .*bab$']
unless = { literals = ["nn"] }

[[rule]]
name = "four"
summary = "s"
remedy = "escalate"
kernel = true
literals = ["bab", "boo"]
"#;

/// The same rules for the obvious matcher.
static RULES: LazyLock<[ObviousRule; 4]> = LazyLock::new(|| {
    [
        ObviousRule::new(&["aba cab", "abacab"], &[], false),
        ObviousRule::new(&["caba", "a bbb c"], &["no", "o[ab]+o"], false).unless_before("cc[ab]"),
        ObviousRule::new(&[r"ab[ab] ?(?:ccc|coc)\b", "^ooo .*bab$"], &["nn"], false),
        ObviousRule::new(&["bab", "boo"], &[], true),
    ]
});

/// The rules of [`TOML`], loaded.
pub(crate) static SET: LazyLock<RuleSet> =
    LazyLock::new(|| RuleSet::parse("test", TOML).unwrap_or_else(|error| panic!("{error}")));

struct ObviousRule {
    wanted: Regex,
    unless: Vec<Regex>,
    before: Vec<Regex>,
    kernel: bool,
}

impl ObviousRule {
    fn new(wanted: &[&str], unless: &[&str], kernel: bool) -> Self {
        let compile = |patterns: &[&str]| patterns.iter().map(|p| ascii_regex(p)).collect();
        Self {
            wanted: ascii_regex(&format!("(?:{})", wanted.join("|"))),
            unless: compile(unless),
            before: Vec::new(),
            kernel,
        }
    }

    fn unless_before(mut self, pattern: &str) -> Self {
        self.before.push(ascii_regex(pattern));
        self
    }

    fn matches(&self, text: &Text) -> bool {
        // After an excused match the search goes on behind its line.
        let mut at = 0;
        while let Some(found) = self.wanted.find_at(&text.bytes, at) {
            let lines = text.lines_of(found.range());
            let line = &text.bytes[lines.clone()];
            let front = &text.bytes[lines.start..found.start()];
            let here = self.unless.iter().any(|regex| regex.is_match(line));
            if !here && !self.before.iter().any(|regex| regex.is_match(front)) {
                return true;
            }
            at = lines.end;
        }
        false
    }
}

fn ascii_regex(pattern: &str) -> Regex {
    Regex::new(&format!("(?-u){pattern}")).expect("a valid pattern")
}

static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
    let csi = r"\x1b\[[0-?]*[ -/]*[@-~]?";
    let osc = r"\x1b\](?:[\x20-\xff]*(?:\x07|\x1b\\))?";
    let other = r"\x1b(?:[!-/]*(?:[0-~]|\z))?";
    ascii_regex(&format!("(?s:{csi}|{osc}|{other})"))
});

/// A text in normal form; each byte knows the words' line before and after it.
struct Text {
    bytes: Vec<u8>,
    lines: Vec<(usize, usize)>,
}

impl Text {
    fn new(raw: &[u8]) -> Self {
        let plain = ESCAPES.replace_all(raw, &b""[..]).to_ascii_lowercase();
        let mut text = Self {
            bytes: Vec::new(),
            lines: Vec::new(),
        };
        for (line, bytes) in plain.split(|&byte| byte == b'\n').enumerate() {
            let words = bytes.split(|byte| b" \t\x0b\x0c\r".contains(byte));
            for word in words.filter(|word| !word.is_empty()) {
                if let Some(&(_, before)) = text.lines.last() {
                    text.bytes.push(b' ');
                    text.lines.push((before, line));
                }
                text.bytes.extend(word);
                text.lines.extend(word.iter().map(|_| (line, line)));
            }
        }
        text
    }

    fn lines_of(&self, span: Range<usize>) -> Range<usize> {
        let first = self.lines[span.start].0;
        let last = self.lines[span.end - 1].1;
        let is_on = |&(before, after): &(usize, usize)| first <= before && after <= last;
        let start = self.lines.iter().position(is_on).expect("the span itself");
        let end = self.lines.iter().rposition(is_on).expect("the span itself") + 1;
        start..end
    }
}

/// The first rule that matches.
pub(crate) fn judge(raw: &[u8], origin: Origin) -> Option<usize> {
    let text = Text::new(raw);
    RULES.iter().position(|rule| {
        let applies = match origin {
            Origin::Any => true,
            Origin::Kernel => rule.kernel,
            Origin::Container => !rule.kernel,
        };
        applies && rule.matches(&text)
    })
}

/// What a caller of the plugin's kind finds in the texts at `spans` of a chunk: it judges the
/// text around each candidate and goes on behind it.
pub(crate) fn judge_by_candidates(
    chunk: &[u8],
    spans: &[Range<usize>],
    origin: Origin,
) -> Vec<Option<usize>> {
    let mut scratch = Scratch::default();
    let mut found = vec![None; spans.len()];
    let mut from = 0;
    while let Some(at) = SET.candidate(chunk, from) {
        assert!(at >= from, "candidates go forward");
        match spans.iter().position(|span| span.contains(&at)) {
            Some(index) => {
                found[index] = SET.judge(&chunk[spans[index].clone()], origin, &mut scratch);
                from = spans[index].end;
            }
            None => from = at + 1,
        }
    }
    found
}
