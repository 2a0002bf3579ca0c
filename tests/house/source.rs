//! Reads Rust sources just well enough to measure them: comments, strings and
//! characters blanked, lines kept. Not a parser.

use std::path::{Path, PathBuf};

/// One source file.
pub(super) struct Source {
    /// Relative to the root.
    pub(super) path: PathBuf,
    /// As it is on disk.
    pub(super) text: String,
    /// The same without comments, literals and `#[cfg(test)]` items.
    code: String,
}

/// A function with a body.
pub(super) struct Function {
    pub(super) name: String,
    /// Of its `fn`, counted from 1.
    pub(super) line: usize,
    /// From its `fn` to its closing brace.
    pub(super) lines: usize,
}

impl Source {
    pub(super) fn read(root: &Path, path: PathBuf) -> Self {
        let text = std::fs::read_to_string(root.join(&path))
            .unwrap_or_else(|e| panic!("{} cannot be read: {e}", path.display()));
        let code = without_tests(&blank(&text));
        Self { path, text, code }
    }

    /// Whether the whole file is there for tests.
    pub(super) fn is_test(&self) -> bool {
        self.path
            .components()
            .any(|c| matches!(c.as_os_str().to_str(), Some("tests" | "benches")))
            || self.path.ends_with("tests.rs")
    }

    /// Whether it is the tests of the module beside it.
    pub(super) fn is_inner_test(&self) -> bool {
        self.path.ends_with("tests.rs") && !self.path.starts_with("tests")
    }

    pub(super) fn is_generated(&self) -> bool {
        self.path.ends_with("bindings.rs")
    }

    /// Whether its first line of prose is a module doc. A line or two need none.
    pub(super) fn has_module_docs(&self) -> bool {
        if self.text.lines().count() <= 2 {
            return true;
        }
        self.text
            .lines()
            .find(|line| !line.trim().is_empty() && !line.starts_with("#!["))
            .is_some_and(|line| line.starts_with("//!") || line.starts_with("/*!"))
    }

    pub(super) fn has_word(&self, word: &str) -> bool {
        words(&self.code).any(|(_, found)| found == word)
    }

    pub(super) fn lines_without_tests(&self) -> usize {
        let tests = self.text.lines().count() - self.code.lines().count();
        self.text.lines().count() - tests
    }

    pub(super) fn functions(&self) -> Vec<Function> {
        let code = self.code.as_str();
        let starts: Vec<(usize, &str)> = words(code).collect();
        starts
            .windows(2)
            .filter(|pair| pair[0].1 == "fn")
            .filter_map(|pair| {
                let start = pair[0].0;
                let end = body_end(code, start)?;
                let line_of = |at: usize| code[..at].matches('\n').count() + 1;
                Some(Function {
                    name: pair[1].1.to_owned(),
                    line: line_of(start),
                    lines: line_of(end) - line_of(start) + 1,
                })
            })
            .collect()
    }
}

/// Identifiers and keywords with their offsets.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let base = code.as_ptr() as usize;
    code.split(move |c| !is_word(c))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - base, word))
}

/// Where the body that follows `start` ends; none where `;` comes first.
fn body_end(code: &str, start: usize) -> Option<usize> {
    let mut round = 0_usize;
    let mut braces = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' if braces == 0 => round += 1,
            b')' | b']' if braces == 0 => round = round.checked_sub(1)?,
            b';' if braces == 0 && round == 0 => return None,
            b'{' => braces += 1,
            b'}' => {
                braces = braces.checked_sub(1)?;
                if braces == 0 && round == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Cuts `#[cfg(test)]` items out, lines and all.
fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::new();
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = body_end(item, "#[cfg(test)]".len()).or_else(|| item.find(';'));
        rest = end.map_or("", |end| &item[end + 1..]);
    }
    kept + rest
}

/// Puts a space for every byte of comments, strings and character literals.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let len = literal_len(&text[at..], bytes[..at].last().copied());
        if len == 0 {
            let width = text[at..].chars().next().map_or(1, char::len_utf8);
            out.extend_from_slice(&bytes[at..at + width]);
            at += width;
            continue;
        }
        out.extend(bytes[at..at + len].iter().map(|&b| match b {
            b'\n' => b'\n',
            _ => b' ',
        }));
        at += len;
    }
    String::from_utf8(out).expect("whole characters were copied or blanked")
}

/// The length of the comment or literal that `rest` begins with, else 0.
fn literal_len(rest: &str, before: Option<u8>) -> usize {
    let within_word = before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_len(rest);
    }
    if let Some(body) = rest.strip_prefix('"') {
        return 1 + escaped_len(body, '"');
    }
    if rest.starts_with('r') && !(within_word && before != Some(b'b')) {
        let hashes = rest[1..].bytes().take_while(|&b| b == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            let end = rest[body..].find(&close).map(|e| body + e + close.len());
            return end.unwrap_or(rest.len());
        }
    }
    if let Some(body) = rest.strip_prefix('\'') {
        let mut chars = body.chars();
        let first = chars.next();
        if first == Some('\\') || chars.next() == Some('\'') {
            return 1 + escaped_len(body, '\'');
        }
    }
    0
}

fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Bytes up to and with the closing `quote`.
fn escaped_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

#[test]
fn the_reader_sees_through_comments_literals_and_tests() {
    let text = "fn a() {\n  // }\n  let s = \"}\\\"\"; let c = '}'; let r = r#\"}\"#;\n}\n\
                fn b<'x>(f: [u8; 2]) -> &'x str { /* { /* */ */ '\\'' }\n\
                trait T { fn c(); }\n#[cfg(test)]\nmod tests {\n fn d() {}\n}\nfn e() {\n}\n";
    let code = without_tests(&blank(text));
    let source = Source {
        path: "x.rs".into(),
        text: text.into(),
        code,
    };
    let found: Vec<(String, usize)> = source
        .functions()
        .into_iter()
        .map(|f| (f.name, f.lines))
        .collect();
    assert_eq!(
        found,
        [("a".into(), 4), ("b".into(), 1), ("e".into(), 2)],
        "{}",
        source.code
    );
}
