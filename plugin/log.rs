//! Lines for the host's logger, and how often each kind may be said.
//!
//! Kept true: a flood of events makes a trickle of lines, and each line says
//! how many were left out. A line never carries log text (Fluent Bit may tail
//! its own log: that would loop), only names, counts and the executor's words.
//!
//! Not here: printing. Lines travel up to the entry point, because the host's
//! logger needs most of the stack for itself.

use std::sync::Mutex;

/// Most bytes of one line.
pub const LINE_BYTES_MAX: usize = 1_000;

/// The host's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is lost or will be.
    Error,
    /// Someone should look.
    Warn,
    /// What was done.
    Info,
    /// For whoever searches a fault.
    Debug,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// See [`Level`].
    pub level: Level,
    /// Printable, at most [`LINE_BYTES_MAX`].
    pub text: String,
}

impl Line {
    /// Cuts the text and makes it printable.
    pub fn new(level: Level, text: impl Into<String>) -> Self {
        let mut text: String = text.into();
        executor_api::clamp_str(&mut text, LINE_BYTES_MAX);
        if text.contains(char::is_control) {
            text = text.replace(char::is_control, " ");
        }
        Self { level, text }
    }
}

/// At most `count` lines of a kind in each window of time.
#[derive(Debug)]
pub struct Limiter {
    count_max: u32,
    window_ms: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// None before the first line.
    began_ms: Option<u64>,
    said: u32,
    left_out: u64,
}

impl Limiter {
    /// `count_max` lines in `window_ms`.
    pub const fn new(count_max: u32, window_ms: u64) -> Self {
        Self {
            count_max,
            window_ms,
            state: Mutex::new(State {
                began_ms: None,
                said: 0,
                left_out: 0,
            }),
        }
    }

    /// Makes the line, with what was left out before it, unless too many were
    /// said. `text` is only asked for when it will be said.
    pub fn line(&self, now_ms: u64, level: Level, text: impl FnOnce() -> String) -> Option<Line> {
        let left_out = self.pass(now_ms)?;
        let mut text = text();
        if left_out > 0 {
            text = format!("{text} ({left_out} such lines left out)");
        }
        Some(Line::new(level, text))
    }

    fn pass(&self, now_ms: u64) -> Option<u64> {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_new = state
            .began_ms
            .is_none_or(|began| now_ms.saturating_sub(began) >= self.window_ms);
        if is_new {
            state.began_ms = Some(now_ms);
            state.said = 0;
        }
        if state.said >= self.count_max {
            state.left_out += 1;
            return None;
        }
        state.said += 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_makes_a_trickle_that_says_what_it_left_out() {
        let limiter = Limiter::new(2, 1_000);
        let said: Vec<String> = (0..1_002)
            .filter_map(|i| limiter.line(5_000 + i, Level::Info, || format!("line {i}")))
            .map(|line| line.text)
            .collect();
        assert_eq!(
            said,
            [
                "line 0",
                "line 1",
                "line 1000 (998 such lines left out)",
                "line 1001"
            ]
        );
    }

    #[test]
    fn a_line_is_printable_and_short() {
        let line = Line::new(Level::Warn, format!("a\nb\0c{}", "é".repeat(1_000)));
        assert!(line.text.starts_with("a b c"));
        assert_eq!(line.text.len(), LINE_BYTES_MAX - 1);
    }
}
