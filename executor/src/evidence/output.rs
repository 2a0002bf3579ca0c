//! What commands and triggers say beside a container's log: masked, and cut to what a
//! bundle has room for. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mask::{InPem, Mask};
use super::text::{cut, plain};

/// Longest single output that is kept, bytes.
pub(super) const OUTPUT_BYTES_MAX: usize = 4 * 1024;
/// Most bytes of all of them in one bundle; the first ones come first.
pub(super) const OUTPUTS_BYTES_MAX: usize = 8 * 1024;
/// Longest text of our own beside them, bytes.
const WORDS_BYTES_MAX: usize = 256;

/// A command of a remedy that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// `exec 'reload'`.
    pub measure: String,
    /// `exit code 1`.
    pub ended: String,
    /// None where it is not known.
    pub exit_code: Option<i64>,
    /// From its begin until its end was known, or nobody waited for it any longer.
    pub took: Duration,
    /// As it came; opaque.
    pub output: Vec<u8>,
    /// It printed more than that.
    pub is_cut: bool,
}

/// What a trigger said when it fired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Our own words and figures.
    pub why: String,
    /// What the container said to it, as it came; opaque.
    pub output: String,
}

/// As a bundle has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Command {
    measure: String,
    ended: String,
    exit_code: Option<i64>,
    took_ms: u64,
    /// Masked and cut.
    output: String,
}

/// As a bundle has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Trigger {
    why: String,
    /// Masked and cut.
    output: String,
}

impl Command {
    /// With no more of its output than `room` bytes.
    pub(super) fn of(measured: &Measured, mask: &Mask, room: usize) -> Self {
        let words = |text: &str| cut(mask.text(&plain(text)), WORDS_BYTES_MAX);
        let output = String::from_utf8_lossy(&measured.output);
        Self {
            measure: words(&measured.measure),
            ended: words(&measured.ended),
            exit_code: measured.exit_code,
            took_ms: u64::try_from(measured.took.as_millis()).unwrap_or(u64::MAX),
            output: printed(&output, measured.is_cut, mask, room.min(OUTPUT_BYTES_MAX)),
        }
    }

    pub(super) fn output_bytes(&self) -> usize {
        self.output.len()
    }
}

impl Trigger {
    pub(super) fn of(said: &Said, mask: &Mask) -> Self {
        // What fills its place may have been cut there.
        let is_cut = said.output.len() >= crate::triggers::TEXT_BYTES_MAX;
        Self {
            why: cut(mask.text(&plain(&said.why)), WORDS_BYTES_MAX),
            output: printed(&said.output, is_cut, mask, OUTPUT_BYTES_MAX),
        }
    }

    pub(super) fn output_bytes(&self) -> usize {
        self.output.len()
    }
}

/// Several lines, each masked as one of a stream. A secret that was cut in two might not
/// look like one, so what was cut loses its last word.
pub(super) fn printed(output: &str, is_cut: bool, mask: &Mask, bytes_max: usize) -> String {
    let whole = match is_cut {
        true => &output[..output.rfind(char::is_whitespace).unwrap_or(0)],
        false => output,
    };
    let mut in_pem = InPem::default();
    let lines = whole
        .trim_end()
        .split('\n')
        .map(|line| mask.line(&plain(line.trim_end_matches('\r')), &mut in_pem));
    let mut masked = lines.collect::<Vec<String>>().join("\n");
    if is_cut {
        masked.push('…');
    }
    cut(masked, bytes_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(output: impl Into<Vec<u8>>, is_cut: bool) -> Measured {
        Measured {
            measure: "exec 'reload'".into(),
            ended: "exit code 1".into(),
            exit_code: Some(1),
            took: Duration::from_micros(1_900),
            output: output.into(),
            is_cut,
        }
    }

    fn kept(output: impl Into<Vec<u8>>, is_cut: bool, room: usize) -> String {
        let mask = Mask::knowing(["A_PASSWORD=known-secret"].into_iter());
        Command::of(&measured(output, is_cut), &mask, room).output
    }

    #[test]
    fn output_is_masked_line_by_line_and_binary_made_readable() {
        for (output, text) in [
            (&b"two\r\nlines\n\n"[..], "two\nlines"),
            (b"", ""),
            (b"\xff\xfe\0x", "\u{fffd}\u{fffd}\u{fffd}x"),
            (b"\x1b[31mred\x1b[0m", "red"),
            (
                b"the known-secret\npassword=x",
                "the [masked]\npassword=[masked]",
            ),
            (
                b"-----BEGIN KEY-----\nabc\n-----END KEY-----\nbehind",
                "[masked]\n[masked]\n[masked]\nbehind",
            ),
        ] {
            assert_eq!(kept(output, false, OUTPUT_BYTES_MAX), text);
        }
    }

    #[test]
    fn what_was_cut_loses_the_word_that_may_be_half_a_secret() {
        assert_eq!(kept("fine hf_abcdefgh", true, 100), "fine…");
        assert_eq!(kept("hf_abcdefgh", true, 100), "…");
        assert_eq!(kept("", true, 100), "…");
        assert_eq!(kept("fine\nnext", true, 100), "fine…");
    }

    #[test]
    fn output_is_cut_at_its_limit_and_at_the_room_that_is_left() {
        let most = OUTPUT_BYTES_MAX;
        let words = |bytes: usize| "a ".repeat(bytes / 2 - 1) + "b.";
        assert_eq!(kept(words(most), false, most), words(most));
        let cut_to = kept(words(most + 2), false, most + 2);
        assert_eq!(cut_to.len(), most);
        assert!(cut_to.ends_with('…'));
        assert_eq!(kept(words(10), false, 10), words(10));
        assert_eq!(kept(words(12), false, 10).len(), 10);
        assert!(kept(words(12), false, 0).len() <= 3, "the mark alone");
        // Each byte that is no text takes three.
        assert!(kept(vec![0xff; most], false, most).len() <= most);
    }
}
