//! Literals and regexes as written, checked and brought into the form in which texts are
//! compared: lower case, white space as one space.

use std::ops::Range;

use regex_automata::meta::{BuildError, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::ast::{self, Ast, Flag, Flags, GroupKind};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind};

use crate::ansi::ESC;
use crate::error::{Error, Text};
use crate::format::Written;
use crate::limits::{
    LITERAL_BYTES_MAX, REGEX_BYTES_MAX, REGEX_COMPILED_BYTES_MAX, REGEX_NESTING_MAX,
    RULE_CACHE_BYTES_MAX, RULE_COMPILED_BYTES_MAX, TOGETHER_CACHE_BYTES_MAX,
};
use crate::matcher::{Pattern, Patterns};
use crate::normalise::is_space;

/// Where a class may be all but some letters, or an intersection, letters have to be taken for
/// both cases before that. Elsewhere it is enough to do so afterwards, which is quicker.
const NOT_OF_LETTERS: [&str; 4] = ["^", "&&", "--", "~~"];

/// A regex of no more [`parts`] than this compiles to far less than the limit.
const PARTS_SURELY_SMALL: usize = 1_000;

/// A literal in normal form; never empty, no white space at its ends.
pub(crate) fn literal(text: Text<'_>, written: &Written) -> Result<Vec<u8>, Error> {
    let literal = written.get_ref().as_bytes();
    let refuse = |problem: String, advice: &str| Err(text.error(&written.span(), problem, advice));
    if literal.len() > LITERAL_BYTES_MAX {
        return refuse(
            format!(
                "a literal of {} bytes (at most {LITERAL_BYTES_MAX})",
                literal.len()
            ),
            "keep the part that tells the failure",
        );
    }
    if literal.iter().all(|&byte| is_space(byte)) {
        return refuse(
            "an empty literal would match every line, an empty one too".into(),
            "write the words to look for, or remove it",
        );
    }
    if is_space(literal[0]) || is_space(literal[literal.len() - 1]) {
        return refuse(
            "white space at the end of a literal".into(),
            "remove it: texts are compared without white space at their ends",
        );
    }
    if literal.contains(&ESC) {
        return refuse(
            "an escape character in a literal".into(),
            "remove the escape sequence: texts are compared without them",
        );
    }
    let words = literal
        .split(|&byte| is_space(byte))
        .filter(|word| !word.is_empty());
    Ok(words.collect::<Vec<_>>().join(&b' ').to_ascii_lowercase())
}

/// A regex's structure over normal texts: ASCII only, without case, within limits, never matching
/// an empty text.
pub(crate) fn regex(text: Text<'_>, written: &Written) -> Result<Hir, Error> {
    let refuse = Refuse { text, written };
    let pattern = written.get_ref();
    if pattern.len() > REGEX_BYTES_MAX {
        return Err(refuse.with(
            format!(
                "a regex of {} bytes (at most {REGEX_BYTES_MAX})",
                pattern.len()
            ),
            "split it into several regexes of the same rule",
        ));
    }
    let ast = parse(pattern, refuse)?;
    if let Some(span) = forbidden_flag(&ast) {
        return Err(refuse.at(
            "a regex that changes how letters are compared",
            &span,
            "remove the flag `u` or `-i`: texts are compared in ASCII and without case",
        ));
    }
    let hir = translate(pattern, &ast, refuse)?;
    if hir.properties().minimum_len().unwrap_or(0) == 0 {
        return Err(refuse.with(
            "a regex that can match an empty line",
            "make at least one word of it obligatory (`+` in place of `*`, no `?` around it all)",
        ));
    }
    // Compiling takes most of the time that loading takes, and is done once more for all
    // patterns of the rule together.
    let hir = in_lower_case(&hir);
    if parts(&hir) > PARTS_SURELY_SMALL {
        check_size(&hir, refuse)?;
    }
    Ok(hir)
}

/// Compiles patterns over normal texts into one; None if there are none. Each of them is
/// within its limit by itself, so what can fail here is their sum.
pub(crate) fn any(
    text: Text<'_>,
    span: &Range<usize>,
    patterns: Vec<(Hir, String)>,
) -> Result<Option<Patterns>, Error> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let each: Vec<Pattern> = patterns
        .iter()
        .map(|(hir, written)| Pattern {
            hir: hir.clone(),
            written: written.clone(),
        })
        .collect();
    let all = Hir::alternation(patterns.into_iter().map(|(hir, _)| hir).collect());
    let any = compiled(&all, RULE_COMPILED_BYTES_MAX, RULE_CACHE_BYTES_MAX).map_err(|error| {
        text.error(
            span,
            format!(
                "the patterns cannot be compiled together: {}",
                because(&error)
            ),
            "split the rule, or lower counted repetitions (`{n,m}`)",
        )
    })?;
    Ok(Some(Patterns { any, each }))
}

/// The patterns of several sets in one, to read a text once for all of them. None where there
/// are none, or where they are too large together.
pub(crate) fn together<'a>(sets: impl IntoIterator<Item = &'a Patterns>) -> Option<Regex> {
    let each = sets.into_iter().flat_map(|set| &set.each);
    let all: Vec<Hir> = each.map(|pattern| pattern.hir.clone()).collect();
    if all.is_empty() {
        return None;
    }
    compiled(
        &Hir::alternation(all),
        RULE_COMPILED_BYTES_MAX,
        TOGETHER_CACHE_BYTES_MAX,
    )
    .ok()
}

/// Makes errors at one pattern of a rule file.
#[derive(Clone, Copy)]
struct Refuse<'a> {
    text: Text<'a>,
    written: &'a Written,
}

impl Refuse<'_> {
    fn with(self, problem: impl Into<String>, advice: &str) -> Error {
        self.text.error(&self.written.span(), problem, advice)
    }

    fn at(self, problem: &str, span: &ast::Span, advice: &str) -> Error {
        let column = span.start.column;
        self.with(
            format!("{problem}, at character {column} of the regex"),
            advice,
        )
    }
}

fn parse(pattern: &str, refuse: Refuse<'_>) -> Result<Ast, Error> {
    let mut parser = ast::parse::ParserBuilder::new()
        .nest_limit(REGEX_NESTING_MAX)
        .build();
    parser.parse(pattern).map_err(|error| {
        refuse.at(
            &format!("a regex that cannot be read: {}", error.kind()),
            error.span(),
            "mend it (syntax: https://docs.rs/regex, without look-around and back-references)",
        )
    })
}

fn translate(pattern: &str, ast: &Ast, refuse: Refuse<'_>) -> Result<Hir, Error> {
    regex_syntax::hir::translate::TranslatorBuilder::new()
        .case_insensitive(NOT_OF_LETTERS.iter().any(|sign| pattern.contains(sign)))
        .unicode(false)
        .utf8(false)
        .build()
        .translate(pattern, ast)
        .map_err(|error| {
            refuse.at(
                &format!("a regex that cannot be used: {}", error.kind()),
                error.span(),
                "write it in ASCII; other letters may stand in it outside of brackets",
            )
        })
}

/// Bytes to be told apart, counted as often as they are repeated.
fn parts(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Bytes(class)) => class.ranges().len() + 1,
        HirKind::Class(Class::Unicode(class)) => 4 * class.ranges().len() + 1,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1) as usize + 1;
            times.saturating_mul(parts(&repetition.sub))
        }
        HirKind::Capture(capture) => parts(&capture.sub) + 2,
        HirKind::Concat(all) | HirKind::Alternation(all) => all
            .iter()
            .map(|part| parts(part) + 1)
            .fold(0, usize::saturating_add),
    }
}

/// A regex over normal texts that compiles to no more than so many bytes.
pub(crate) fn compiled(
    hir: &Hir,
    bytes_max: usize,
    cache_max: usize,
) -> Result<Regex, Box<BuildError>> {
    let config = Regex::config()
        .utf8_empty(false)
        .which_captures(WhichCaptures::Implicit)
        .nfa_size_limit(Some(bytes_max))
        .hybrid_cache_capacity(cache_max);
    let regex = Regex::builder().configure(config).build_from_hir(hir);
    regex.map_err(Box::new)
}

fn because(error: &BuildError) -> String {
    match error.size_limit() {
        Some(limit) => format!("they compile to more than {limit} bytes"),
        None => error.to_string(),
    }
}

/// Only to see that it can be compiled, within its limit.
fn check_size(hir: &Hir, refuse: Refuse<'_>) -> Result<(), Error> {
    let compiled = compiled(hir, REGEX_COMPILED_BYTES_MAX, RULE_CACHE_BYTES_MAX).map(drop);
    compiled.map_err(|error| match error.size_limit() {
        Some(limit) => refuse.with(
            format!("a regex that compiles to more than {limit} bytes"),
            "lower its counted repetitions (`{n,m}`) or split it into several regexes",
        ),
        None => refuse.with(
            format!("a regex that cannot be compiled: {error}"),
            "mend it",
        ),
    })
}

/// The place of the first flag that would turn on Unicode or turn off case folding.
fn forbidden_flag(ast: &Ast) -> Option<ast::Span> {
    struct Finder;
    impl ast::Visitor for Finder {
        type Output = ();
        type Err = ast::Span;
        fn finish(self) -> Result<(), ast::Span> {
            Ok(())
        }
        fn visit_pre(&mut self, ast: &Ast) -> Result<(), ast::Span> {
            match ast {
                Ast::Flags(set) => refuse_flags(&set.flags),
                Ast::Group(group) => match &group.kind {
                    GroupKind::NonCapturing(flags) => refuse_flags(flags),
                    _ => Ok(()),
                },
                _ => Ok(()),
            }
        }
    }
    fn refuse_flags(flags: &Flags) -> Result<(), ast::Span> {
        let unicode = flags.flag_state(Flag::Unicode) == Some(true);
        let with_case = flags.flag_state(Flag::CaseInsensitive) == Some(false);
        if unicode || with_case {
            Err(flags.span)
        } else {
            Ok(())
        }
    }
    ast::visit(ast, Finder).err()
}

/// The same expression without case for texts that hold no upper-case ASCII letter: `C` and
/// `[Cc]` become `c`, so that words can be read from it.
fn in_lower_case(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0.to_ascii_lowercase()),
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Class(Class::Bytes(class)) => Hir::class(Class::Bytes(class_in_lower_case(class))),
        HirKind::Class(Class::Unicode(class)) => Hir::class(Class::Unicode(class.clone())),
        HirKind::Repetition(repetition) => {
            Hir::repetition(repetition.with(in_lower_case(&repetition.sub)))
        }
        HirKind::Capture(capture) => in_lower_case(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(in_lower_case).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(in_lower_case).collect()),
    }
}

fn class_in_lower_case(class: &ClassBytes) -> ClassBytes {
    let mut class = class.clone();
    let is_upper = |range: &ClassBytesRange| range.start() <= b'Z' && range.end() >= b'A';
    if class.ranges().iter().any(is_upper) {
        class.case_fold_simple();
        class.difference(&ClassBytes::new([ClassBytesRange::new(b'A', b'Z')]));
    }
    class
}

#[cfg(test)]
mod tests {
    use regex::bytes::RegexBuilder;
    use regex_automata::Input;

    use super::*;

    #[test]
    fn case_does_not_count_in_classes_either() {
        let patterns = [
            "xA",
            "x[A-C]",
            "x[a-c]",
            "x[^A]",
            "x[^b-z]",
            "x[^B-Z]",
            "x[[:upper:]]",
            "x[[:^upper:]]",
            "x[[:lower:]--[C-Z]]",
            "x[a-z&&[^B]]",
            "x[A-C~~B-D]",
            r"x\x41",
            r"x\W",
            r"x[\x40-\x42]",
            "x(?:A|[^C])",
            "(?i)xB",
            "x[@-`]",
            "(?x)x[ ^A]",
        ];
        for written in patterns {
            let expected = RegexBuilder::new(written)
                .case_insensitive(true)
                .unicode(false)
                .build()
                .expect(written);
            let toml = format!("regexes = ['{written}']");
            let file: std::collections::BTreeMap<String, Vec<Written>> =
                toml::from_str(&toml).expect("TOML");
            let source = "test";
            let text = Text {
                source,
                toml: &toml,
            };
            let hir = regex(text, &file["regexes"][0]).expect(written);
            let regex =
                compiled(&hir, REGEX_COMPILED_BYTES_MAX, RULE_CACHE_BYTES_MAX).expect(written);
            for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_uppercase()) {
                let subject = [b'x', byte];
                assert_eq!(
                    regex.is_match(Input::new(&subject)),
                    expected.is_match(&subject),
                    "{written} on {byte:#x}"
                );
            }
        }
    }
}
