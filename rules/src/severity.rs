//! The severity that a line shows at its start.
//!
//! Logging libraries put it there in a handful of shapes, behind times, process names and other
//! prefixes: one letter (`E0612 11:02:03.000 …`, `2024-05-01 11:02:03.000: E file.cc:12]`,
//! `[TRT] [E]`, `[E:onnxruntime:`), or a word (`ERROR 05-01 11:02:03 …`, `INFO:root:`,
//! `[WARNING]`, `level=warn`, `… - app - ERROR - …`). Letter and word are told apart: the letter
//! is written by the library that met the error itself, the word often by a wrapper that labels
//! all output of a program alike.
//!
//! What is not recognised has no severity. A guess would excuse a real failure.

/// How bad a line says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// `DEBUG`, `TRACE`.
    Debug,
    /// `INFO`, `NOTICE`.
    Info,
    /// `WARNING`, `WARN`.
    Warning,
    /// `ERROR`.
    Error,
    /// `FATAL`, `CRITICAL`.
    Fatal,
    /// A single `D` or `V`.
    LetterDebug,
    /// A single `I`.
    LetterInfo,
    /// A single `W`.
    LetterWarning,
    /// A single `E`.
    LetterError,
    /// A single `F`.
    LetterFatal,
}

/// What rule files call them.
const NAMES: [(&str, Severity); 10] = [
    ("debug", Severity::Debug),
    ("info", Severity::Info),
    ("warning", Severity::Warning),
    ("error", Severity::Error),
    ("fatal", Severity::Fatal),
    ("D", Severity::LetterDebug),
    ("I", Severity::LetterInfo),
    ("W", Severity::LetterWarning),
    ("E", Severity::LetterError),
    ("F", Severity::LetterFatal),
];

impl Severity {
    /// Every name that rule files know.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// By its name in rule files.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, severity)| *severity)
    }

    /// The name in rule files.
    pub fn as_str(self) -> &'static str {
        NAMES[self as usize].0
    }
}

/// A set of severities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Severities(u16);

impl Severities {
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn add(&mut self, severity: Severity) {
        self.0 |= 1 << severity as u16;
    }

    pub(crate) fn contains(self, severity: Severity) -> bool {
        self.0 & (1 << severity as u16) != 0
    }
}

/// Words in front of the severity that are looked at: time, process, thread, module.
const PREFIX_WORDS_MAX: usize = 12;

/// The severity at the start of a line in normal form.
pub(crate) fn shown(line: &[u8]) -> Option<Severity> {
    let mut words = line
        .split(|&byte| byte == b' ')
        .take(PREFIX_WORDS_MAX)
        .peekable();
    let mut before: &[u8] = b"";
    while let Some(word) = words.next() {
        let after = words.peek().copied().unwrap_or(b"");
        if let Some(found) = by_word(word, after).or_else(|| by_letter(before, word, after)) {
            return Some(found);
        }
        if !is_prefix(word, before, after) {
            return None;
        }
        before = word;
    }
    None
}

/// Whether a word can stand in front of a severity: it is no plain word of a sentence, or
/// separators stand around it.
fn is_prefix(word: &[u8], before: &[u8], after: &[u8]) -> bool {
    let separates = |word: &[u8]| matches!(word, b"-" | b"|" | b"::" | b"--");
    let plain = word.iter().all(u8::is_ascii_alphabetic);
    !plain || separates(after) || separates(before)
}

fn by_word(word: &[u8], after: &[u8]) -> Option<Severity> {
    let name = match strip_key(word) {
        Some(value) => value,
        None => {
            let bare = word.trim_ascii_start();
            let open = bare.strip_prefix(b"[").or_else(|| bare.strip_prefix(b"("));
            let bare = open.unwrap_or(bare);
            let end = bare.iter().position(|byte| !byte.is_ascii_alphabetic());
            let (name, rest) = bare.split_at(end.unwrap_or(bare.len()));
            // `error` alone may begin a sentence; a colon, a bracket, a time or a place
            // behind it make it a severity.
            let sets_off = |byte: &u8| b":])|,=(-".contains(byte);
            let is_set_off = rest.first().is_some_and(sets_off)
                || open.is_some()
                || after
                    .first()
                    .is_some_and(|byte| byte.is_ascii_digit() || b"[|-:(".contains(byte))
                || after.iter().any(|byte| b"/.:".contains(byte));
            if !is_set_off {
                return None;
            }
            name
        }
    };
    match name {
        b"trace" | b"debug" | b"dbg" => Some(Severity::Debug),
        b"info" | b"inf" | b"notice" => Some(Severity::Info),
        b"warning" | b"warn" | b"wrn" => Some(Severity::Warning),
        b"error" | b"err" => Some(Severity::Error),
        b"fatal" | b"critical" | b"crit" | b"panic" => Some(Severity::Fatal),
        _ => None,
    }
}

/// The value of `level=…` or `"level":"…"`.
fn strip_key(word: &[u8]) -> Option<&[u8]> {
    const KEYS: [&[u8]; 5] = [
        b"level=",
        b"\"level\":",
        b"severity=",
        b"\"severity\":",
        b"lvl=",
    ];
    let (at, key) = KEYS.iter().find_map(|key| {
        let at = word.windows(key.len()).position(|part| part == *key)?;
        Some((at, key))
    })?;
    let value = &word[at + key.len()..];
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let end = value.iter().position(|byte| !byte.is_ascii_alphabetic());
    Some(&value[..end.unwrap_or(value.len())])
}

fn by_letter(before: &[u8], word: &[u8], after: &[u8]) -> Option<Severity> {
    let bare = match word.iter().rposition(|&byte| byte == b'[') {
        Some(open) => &word[open + 1..],
        None => word,
    };
    let (&letter, rest) = bare.split_first()?;
    let severity = match letter {
        b'd' | b'v' => Severity::LetterDebug,
        b'i' => Severity::LetterInfo,
        b'w' => Severity::LetterWarning,
        b'e' => Severity::LetterError,
        b'f' => Severity::LetterFatal,
        _ => return None,
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let starts_with_digit = |word: &[u8]| word.first().is_some_and(u8::is_ascii_digit);
    // `E0612 11:02:03`, `[E227 16:30:43`
    let glog = (3..=8).contains(&digits) && digits == rest.len() && starts_with_digit(after);
    // `[E]`, `[E:onnxruntime:, …`
    let bracket = bare.len() < word.len() && matches!(rest.first(), Some(b']' | b':'));
    // `2024-05-01 11:02:03.000: E tensorflow/core/…`
    let stamped = before.ends_with(b":") && before.iter().any(u8::is_ascii_digit);
    let place = after.iter().any(|byte| b"/.]".contains(byte));
    let alone = rest.is_empty() && stamped && place;
    // Before the time, as in `[2024-06-28 18:30:50.171: W torch/…`; the word before ends in `:`.
    (glog || bracket || alone).then_some(severity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_shapes_are_recognised() {
        for (line, expected) in [
            ("info 07-09 02:08:44 [engine.py:12] up", Severity::Info),
            (
                "(engine pid=3) error 07-09 02:08:44 [core.py:1] x",
                Severity::Error,
            ),
            ("info: 10.0.0.1:80 - \"get / http/1.1\" 200", Severity::Info),
            ("warning:root:careful", Severity::Warning),
            ("[error] boom", Severity::Error),
            (
                "2024-05-01 11:02:03,004 - app - critical - boom",
                Severity::Fatal,
            ),
            (
                "2024-05-01 11:02:03.004 | warning | app:main:3 - x",
                Severity::Warning,
            ),
            (
                "time=2024-05-01t11:02:03z level=warn source=sched.go:1 msg=x",
                Severity::Warning,
            ),
            (
                "{\"ts\":1,\"level\":\"debug\",\"msg\":\"x\"}",
                Severity::Debug,
            ),
            ("2024-05-01t11:02:03.1z error shard: x", Severity::Error),
            (
                "e0612 11:02:03.000000 12 file.cc:7] x",
                Severity::LetterError,
            ),
            (
                "[rank1]:[w612 11:02:03.0 file.cpp:7] x",
                Severity::LetterWarning,
            ),
            (
                "2024-05-01 11:02:03.004: i external/xla/a.cc:7] x",
                Severity::LetterInfo,
            ),
            ("[05/01/2024-11:02:03] [trt] [e] x", Severity::LetterError),
            (
                "2024-05-01 11:02:03.0 [e:onnxruntime:, a.cc:7 f] x",
                Severity::LetterError,
            ),
        ] {
            assert_eq!(shown(line.as_bytes()), Some(expected), "{line}");
        }
    }

    #[test]
    fn words_of_a_sentence_are_no_severity() {
        for line in [
            "",
            "the error was here",
            "cuda out of memory",
            "runtimeerror: cuda error: out of memory",
            "i get an error",
            "i = 0, n = 3",
            "error while loading",
            "[engine] started",
            "e",
        ] {
            assert_eq!(shown(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for name in Severity::names() {
            let severity = Severity::by_name(name).expect("a name");
            assert_eq!(severity.as_str(), name);
            let mut set = Severities::default();
            assert!(set.is_empty());
            set.add(severity);
            assert!(set.contains(severity));
        }
        assert_eq!(Severity::by_name("i"), None, "letters are upper case");
    }
}
