//! What failures in a row mean: how long to pause, whether a message is dropped,
//! and what is worth telling. Pure, with the policy's clock as an argument.

use super::failure::{Failure, FailureKind};
use super::plan::backoff_ms;

/// Messages in a row that a receiver may refuse and be believed. After them it is
/// the settings that are wrong (a body template, a wrong URL), and what follows is
/// kept.
const REFUSALS_MAX: u32 = 3;

/// One notifier's.
#[derive(Debug, Default)]
pub(super) struct Setbacks {
    /// In a row, of whatever kind but refusals.
    failures: u32,
    /// In a row.
    refusals: u32,
    /// No try before, ms.
    not_before_ms: u64,
    /// The shape of what was told last, while it lasts.
    told: String,
    /// Somebody may have mended it: if not, they want to know.
    is_asked: bool,
}

impl Setbacks {
    /// How long nothing is to be tried, ms.
    pub(super) fn pause_ms(&self, now_ms: u64) -> u64 {
        self.not_before_ms.saturating_sub(now_ms)
    }

    /// Somebody may have mended it: tried at once, and told again where it lasts.
    pub(super) fn try_again(&mut self) {
        self.not_before_ms = 0;
        self.is_asked = true;
    }

    /// A message is out; `but` says what is wrong all the same. True where that is
    /// another state than was told.
    pub(super) fn over(&mut self, but: Option<&str>) -> bool {
        let told = std::mem::take(self).told;
        self.told = but.map(shape).unwrap_or_default();
        self.told != told
    }

    /// What to do about a failure: the pause that it asks for, ms; none where the
    /// message is to be dropped. Of too many refusals it makes a fault of the
    /// settings.
    pub(super) fn judge(&mut self, failure: &mut Failure) -> Option<u64> {
        let retry_after = match failure.kind {
            FailureKind::Refused if self.refusals < REFUSALS_MAX => {
                self.refusals += 1;
                return None;
            }
            FailureKind::Refused => {
                failure.kind = FailureKind::Setup;
                failure.is_answer = true;
                failure.advice = format!(
                    "the {REFUSALS_MAX} messages before it were refused, too, so it is kept: see \
                     the settings (url, body), then `healer notify test`"
                );
                None
            }
            FailureKind::Setup => None,
            FailureKind::Later(retry_after) => retry_after,
        };
        let failures = self.failures.saturating_add(1);
        Some(backoff_ms(failures, retry_after))
    }

    /// Everything waits for so long.
    pub(super) fn pause(&mut self, now_ms: u64, pause_ms: u64) {
        self.failures = self.failures.saturating_add(1);
        self.not_before_ms = now_ms.saturating_add(pause_ms);
    }

    /// Whether a fault is another than the one that was told last: numbers and ids
    /// in it do not count.
    pub(super) fn is_news(&mut self, fault: &str) -> bool {
        let shape = shape(fault);
        let is_news = self.told != shape || self.is_asked;
        self.told = shape;
        self.is_asked = false;
        is_news
    }
}

/// The words that have no digit in them.
fn shape(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let plain = words.filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    plain.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_believed_three_times_in_a_row_and_no_more() {
        let mut setbacks = Setbacks::default();
        let refused = || Failure::refused("answers 400", "");
        for _ in 0..REFUSALS_MAX {
            assert_eq!(setbacks.judge(&mut refused()), None);
        }
        let mut failure = refused();
        assert_eq!(setbacks.judge(&mut failure), Some(5_000));
        assert_eq!(failure.kind, FailureKind::Setup);
        assert!(failure.to_string().contains("it is kept"), "{failure}");
        setbacks.pause(0, 5_000);
        assert_eq!(setbacks.pause_ms(1_000), 4_000);
        assert_eq!(setbacks.judge(&mut refused()), Some(10_000));
        // A reload lets it try, and does not let it drop.
        setbacks.try_again();
        assert_eq!(setbacks.pause_ms(1_000), 0);
        assert!(setbacks.judge(&mut refused()).is_some());
        assert!(!setbacks.over(None), "nothing was told");
        assert_eq!(setbacks.judge(&mut refused()), None, "believed again");
    }

    #[test]
    fn a_fault_is_told_once_while_it_lasts_whatever_number_is_in_it() {
        let mut setbacks = Setbacks::default();
        assert!(setbacks.is_news("h answers 500: request 7f3a-11 failed"));
        assert!(!setbacks.is_news("h answers 500: request 88b2-12 failed"));
        assert!(!setbacks.is_news("h answers 502: request 1 failed"));
        assert!(setbacks.is_news("h: cannot connect"));
        assert!(setbacks.over(None));
        assert!(setbacks.is_news("h: cannot connect"));
        // Whoever has reloaded the settings wants to know whether that has helped.
        setbacks.try_again();
        assert!(setbacks.is_news("h: cannot connect"));
        assert!(!setbacks.is_news("h: cannot connect"));
        let but = Some("not to a@example.org");
        assert!(setbacks.over(but));
        assert!(!setbacks.over(but), "once");
        assert!(setbacks.over(None));
    }
}
