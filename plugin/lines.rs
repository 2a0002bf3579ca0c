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
