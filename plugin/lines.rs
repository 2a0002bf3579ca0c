//! Lines in the making: texts of one stream that came as several records.
//!
//! Kept true: what is kept of one line has a bound; a line counts at most once.
//!
//! Not here: which records belong together (`pieces`), where a line waits for
//! the next chunk (`joins`), what it means (`scan`).

use crate::chunk::Time;

/// Most bytes kept of one line. Of a longer one the older half goes, after it
/// was judged: what matches within that half's length is seen all the same.
pub const LINE_BYTES_MAX: usize = 256 * 1_024;

/// How much later than a record the next one of its line may be, in seconds by
/// the records' own times. Docker writes the pieces of a line at once.
pub const JOIN_SECONDS_MAX: u64 = 5;

/// A line whose end has not come yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// All pieces, or the newest bytes of them.
    pub text: Vec<u8>,
    /// Of the first piece: what the line's age is judged by.
    pub first: Time,
    /// Of the newest piece.
    pub last: Time,
    /// It has matched: what follows of it does not count again.
    pub is_counted: bool,
}

impl Broken {
    /// With its first piece.
    pub fn new(time: Time, text: &[u8]) -> Self {
        Self {
            text: text.into(),
            first: time,
            last: time,
            is_counted: false,
        }
    }

    /// Whether a record of `time` may go on with it.
    pub fn may_go_on_at(&self, time: Time) -> bool {
        is_soon_after(self.last, time)
    }

    /// Adds a piece.
    pub fn push(&mut self, time: Time, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.last = time;
    }

    /// Whether the older half has to go.
    pub fn is_full(&self) -> bool {
        self.text.len() > LINE_BYTES_MAX
    }

    /// Forgets all but the newest half of [`LINE_BYTES_MAX`].
    pub fn forget_head(&mut self) {
        let excess = self.text.len().saturating_sub(LINE_BYTES_MAX / 2);
        self.text.drain(..excess);
        self.text.shrink_to(LINE_BYTES_MAX);
    }
}

/// Most lines kept of a message that may be wrapped: the one that holds a
/// rule's word, and the most that are looked at before and behind it.
pub const WRAPPED_LINES_MAX: usize = 2 * WRAPPED_AWAY_MAX + 1;
/// How many lines away from the one with the word the rest may be.
pub const WRAPPED_AWAY_MAX: usize = 3;
/// Most bytes of a line of a wrapped message: programs wrap for people to read.
pub const WRAPPED_LINE_BYTES_MAX: usize = 4 * 1_024;
/// Within how many records of all containers the next line has to come.
pub const WRAPPED_RECORDS_MAX: usize = 64;

/// Whole lines of one stream, one of which holds a word of a rule and not the
/// rest. No one of them matches, and none two or more together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wrapped {
    /// With a newline between any two.
    pub text: Vec<u8>,
    /// The oldest first.
    pub lines: Vec<WrappedLine>,
    /// How many more lines are to be looked at.
    pub wanted: usize,
}

/// One line of a [`Wrapped`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrappedLine {
    /// Offset in the text.
    pub start: usize,
    /// The record's.
    pub time: Time,
    /// The record's number in its chunk; none if that chunk is gone.
    pub event: Option<usize>,
}

impl Wrapped {
    /// Whether a line of `time` may follow.
    pub fn may_go_on_at(&self, time: Time) -> bool {
        self.lines
            .last()
            .is_none_or(|last| is_soon_after(last.time, time))
    }

    /// Adds a line; beyond [`WRAPPED_LINES_MAX`] the oldest goes.
    pub fn push(&mut self, time: Time, event: usize, line: &[u8]) {
        if self.lines.len() == WRAPPED_LINES_MAX {
            let cut = self.lines[1].start;
            self.text.drain(..cut);
            self.lines.remove(0);
            self.lines.iter_mut().for_each(|line| line.start -= cut);
        }
        if !self.lines.is_empty() {
            self.text.push(b'\n');
        }
        self.lines.push(WrappedLine {
            start: self.text.len(),
            time,
            event: Some(event),
        });
        self.text.extend_from_slice(line.trim_ascii_end());
    }
}

/// What may be kept of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line whose end has not come.
    Broken(Broken),
    /// Lines that something may follow.
    Wrapped(Wrapped),
}

impl Line {
    /// Bytes of text.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Broken(broken) => broken.text.len(),
            Self::Wrapped(wrapped) => wrapped.text.len(),
        }
    }
}

/// Not earlier, and within [`JOIN_SECONDS_MAX`]; to the second where one of
/// the two has no more.
pub fn is_soon_after(before: Time, after: Time) -> bool {
    let is_earlier = match (before.nanos, after.nanos) {
        (Some(_), Some(_)) => after < before,
        _ => after.seconds < before.seconds,
    };
    !is_earlier && after.seconds - before.seconds <= JOIN_SECONDS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, nanos: u32) -> Time {
        let nanos = (nanos > 0).then_some(nanos);
        Time { seconds, nanos }
    }

    #[test]
    fn a_record_goes_on_with_one_that_is_not_later_nor_much_earlier() {
        for (before, after, expected) in [
            (at(10, 5), at(10, 5), true),
            (at(10, 5), at(10, 4), false),
            (at(10, 5), at(10, 0), true),
            (at(10, 0), at(10, 4), true),
            (at(10, 0), at(9, 9), false),
            (at(10, 5), at(15, 9), true),
            (at(10, 5), at(16, 1), false),
        ] {
            assert_eq!(
                is_soon_after(before, after),
                expected,
                "{before:?} {after:?}"
            );
        }
    }

    #[test]
    fn the_oldest_line_of_too_many_goes() {
        let mut wrapped = Wrapped::default();
        for number in 0..=WRAPPED_LINES_MAX {
            assert!(wrapped.may_go_on_at(at(1, 0)));
            wrapped.push(at(1, 0), number, format!("l{number} \n").as_bytes());
        }
        assert_eq!(wrapped.text, b"l1\nl2\nl3\nl4\nl5\nl6\nl7");
        let starts: Vec<usize> = wrapped.lines.iter().map(|line| line.start).collect();
        assert_eq!(starts, [0, 3, 6, 9, 12, 15, 18]);
        assert_eq!(wrapped.lines[0].event, Some(1));
        assert!(!wrapped.may_go_on_at(at(7, 0)));
    }

    #[test]
    fn the_newest_half_of_a_giant_line_is_kept() {
        let mut line = Broken::new(at(1, 0), &vec![b'a'; LINE_BYTES_MAX]);
        assert!(!line.is_full());
        line.push(at(1, 0), b"b");
        assert!(line.is_full());
        line.forget_head();
        assert_eq!(line.text.len(), LINE_BYTES_MAX / 2);
        assert_eq!(line.text.last(), Some(&b'b'));
        assert!(line.text.capacity() <= LINE_BYTES_MAX);
    }
}
