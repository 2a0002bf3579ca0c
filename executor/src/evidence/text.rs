//! Text that comes from containers, made fit to be shown. Pure.

use std::borrow::Cow;

/// Without ANSI escapes; what else controls a terminal is replaced.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' if rest.peek() == Some(&'[') => {
                rest.next();
                // Parameters, then one letter.
                while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
                rest.next_if(|c| matches!(c, '@'..='~'));
            }
            '\t' => shown.push(c),
            c if c.is_control() => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// At most so many bytes, said so by `…` where it was more.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    const MORE: &str = "…";
    if text.len() > bytes_max {
        let mut end = bytes_max.saturating_sub(MORE.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(MORE);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_go_and_control_characters_are_replaced() {
        for (text, shown) in [
            ("plain\tté", "plain\tté"),
            ("\u{1b}[1;31mpass\u{1b}[0mword", "password"),
            ("\u{1b}]0;title\u{7}", "\u{fffd}]0;title\u{fffd}"),
            ("a\u{1b}[", "a"),
            ("a\u{9b}31m", "a\u{fffd}31m"),
            ("a\r\u{0}", "a\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn a_text_is_cut_at_the_limit_on_a_character() {
        for (text, bytes_max, cut_to) in [
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abc…"),
            ("ééé", 5, "é…"),
            ("abc", 2, "…"),
        ] {
            assert_eq!(cut(text.to_owned(), bytes_max), cut_to);
        }
    }
}
