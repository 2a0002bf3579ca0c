//! When a notifier's queue is sent on, and in which form: one by one, or several
//! in one. Pure: what waits, the settings and the time are arguments.

use super::message::Severity;
use super::quiet::Quiet;
use crate::config::Rate;

/// Fewer than this are sent one by one when the rate is too high.
const DIGEST_MIN: usize = 3;
/// Messages that one digest holds at most; further ones go into the next.
pub(super) const DIGEST_MAX: usize = 50;
/// One token, in parts: tokens come in fractions.
const TOKEN: u64 = 3_600_000;

/// First pause after a failure; each further one is twice as long,
const BACKOFF_MS_MIN: u64 = 5_000;
/// up to this.
const BACKOFF_MS_MAX: u64 = 15 * 60_000;

/// One message that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Its place in the queue; smaller ones came first.
    pub(super) seq: u64,
    pub(super) severity: Severity,
    /// When it happened, ms since the epoch.
    pub(super) at_ms: u64,
    /// Several in one already.
    pub(super) is_digest: bool,
    /// 0, or how far behind the others it is: its receiver does not take it.
    pub(super) rank: u32,
    /// Not tried before, by a clock that only goes forward, ms.
    pub(super) not_before_ms: u64,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Send this one.
    Send(u64),
    /// Make one of these.
    Digest(Vec<u64>),
    /// Nothing for so long, ms; none: until something comes.
    Wait(Option<u64>),
}

/// A bucket of tokens, one for each message.
#[derive(Debug)]
pub(super) struct Bucket {
    /// In parts of a token; see [`TOKEN`].
    parts: u64,
    /// When it was last filled up, by a clock that only goes forward.
    at_ms: u64,
}

impl Bucket {
    /// Full.
    pub(super) fn new(rate: Rate, now_ms: u64) -> Self {
        Self {
            parts: u64::from(rate.burst) * TOKEN,
            at_ms: now_ms,
        }
    }

    fn fill(&mut self, rate: Rate, now_ms: u64) {
        // As many tokens an hour as there are ms in TOKEN: one part each ms.
        let gained = now_ms
            .saturating_sub(self.at_ms)
            .saturating_mul(u64::from(rate.per_hour));
        let most = u64::from(rate.burst) * TOKEN;
        self.parts = self.parts.saturating_add(gained).min(most);
        self.at_ms = self.at_ms.max(now_ms);
    }

    fn tokens(&self) -> usize {
        usize::try_from(self.parts / TOKEN).unwrap_or(usize::MAX)
    }

    /// Until there is a token, ms.
    fn next_ms(&self, rate: Rate) -> u64 {
        TOKEN
            .saturating_sub(self.parts)
            .div_ceil(u64::from(rate.per_hour))
    }

    /// A message went out.
    pub(super) fn take(&mut self) {
        self.parts = self.parts.saturating_sub(TOKEN);
    }
}

/// What to do with what waits. `now_ms` is of a clock that only goes forward,
/// `wall_ms` of the one that people go by.
pub(super) fn plan(
    waiting: &[Waiting],
    quiet: Option<&Quiet>,
    rate: Rate,
    bucket: &mut Bucket,
    (now_ms, wall_ms): (u64, u64),
) -> Plan {
    bucket.fill(rate, now_ms);
    let quiet_until = quiet.and_then(|quiet| quiet.until_ms(wall_ms));
    let may_go = |w: &&Waiting| quiet_until.is_none() || w.severity == Severity::Critical;
    let is_due = |w: &&Waiting| may_go(w) && w.not_before_ms <= now_ms;
    let ready: Vec<&Waiting> = waiting.iter().filter(is_due).collect();
    // A digest came last and is about what came first.
    let Some(first) = ready.iter().min_by_key(|w| (w.rank, w.at_ms, w.seq)) else {
        let until = waiting.iter().map(|w| match may_go(&w) {
            true => w.not_before_ms.saturating_sub(now_ms),
            false => quiet_until.unwrap_or(0).saturating_sub(wall_ms),
        });
        return Plan::Wait(until.min());
    };
    if bucket.tokens() == 0 {
        return Plan::Wait(Some(bucket.next_ms(rate).max(1)));
    }
    // What is in one message already is not put into another, nor is what would
    // have the others refused with it.
    let single = ready.iter().filter(|w| !w.is_digest && w.rank == 0);
    let is_kept = |w: &&Waiting| {
        quiet.is_some_and(|quiet| quiet.until_ms(w.at_ms).is_some())
            && w.severity < Severity::Critical
    };
    let kept: Vec<u64> = single
        .clone()
        .filter(|w| is_kept(w))
        .map(|w| w.seq)
        .collect();
    if kept.len() > 1 {
        return Plan::Digest(kept.into_iter().take(DIGEST_MAX).collect());
    }
    let single: Vec<u64> = single.map(|w| w.seq).collect();
    if ready.len() > bucket.tokens() && single.len() >= DIGEST_MIN {
        return Plan::Digest(single.into_iter().take(DIGEST_MAX).collect());
    }
    Plan::Send(first.seq)
}

/// Pause after so many failures in a row, at least 1, ms; longer where the
/// receiver asks for it, never shorter.
pub(super) fn backoff_ms(failures: u32, retry_after_ms: Option<u64>) -> u64 {
    let doublings = failures.saturating_sub(1).min(16);
    let own = (BACKOFF_MS_MIN << doublings).min(BACKOFF_MS_MAX);
    own.max(retry_after_ms.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::quiet::zone;
    use super::*;

    const RATE: Rate = Rate {
        per_hour: 60,
        burst: 5,
    };
    const HOUR: u64 = 3_600_000;

    fn waiting(seq: u64, severity: Severity, at_ms: u64) -> Waiting {
        Waiting {
            seq,
            severity,
            at_ms,
            is_digest: false,
            rank: 0,
            not_before_ms: 0,
        }
    }

    fn night() -> Quiet {
        Quiet::parse("22:00-07:00", &zone("UTC").unwrap()).unwrap()
    }

    #[test]
    fn messages_go_out_one_by_one_in_order() {
        let mut bucket = Bucket::new(RATE, 0);
        let queue = [
            waiting(3, Severity::Info, 0),
            waiting(4, Severity::Critical, 0),
        ];
        let plan = plan(&queue, None, RATE, &mut bucket, (0, 0));
        assert_eq!(plan, Plan::Send(3));
        assert_eq!(
            super::plan(&[], None, RATE, &mut bucket, (0, 0)),
            Plan::Wait(None)
        );
    }

    #[test]
    fn in_quiet_hours_only_what_is_critical_goes_out_and_the_rest_after_them_in_one() {
        let night = night();
        let quiet = Some(&night);
        let mut bucket = Bucket::new(RATE, 0);
        let kept = [
            waiting(1, Severity::Error, 23 * HOUR),
            waiting(2, Severity::Info, 24 * HOUR),
            waiting(3, Severity::Critical, 25 * HOUR),
        ];
        let at = |hour: u64| (hour * HOUR, hour * HOUR);
        let mut plan = |queue: &[Waiting], hour| plan(queue, quiet, RATE, &mut bucket, at(hour));
        assert_eq!(plan(&kept, 25), Plan::Send(3));
        assert_eq!(plan(&kept[..2], 25), Plan::Wait(Some(6 * HOUR)));
        assert_eq!(plan(&kept[..2], 31), Plan::Digest(vec![1, 2]));
        assert_eq!(plan(&kept[..1], 31), Plan::Send(1), "one needs no digest");
        let digest = Waiting {
            is_digest: true,
            ..kept[0]
        };
        assert_eq!(
            plan(&[digest, kept[1]], 31),
            Plan::Send(1),
            "and none is made of one"
        );
    }

    #[test]
    fn a_rush_goes_out_as_one_message_and_at_the_rate_after_it() {
        let mut bucket = Bucket::new(RATE, 0);
        let queue: Vec<Waiting> = (0..60).map(|n| waiting(n, Severity::Critical, 0)).collect();
        // Five may go at once: as many as that go one by one,
        assert_eq!(
            plan(&queue[..5], None, RATE, &mut bucket, (0, 0)),
            Plan::Send(0)
        );
        // more in one, up to what one holds.
        let Plan::Digest(in_one) = plan(&queue[..6], None, RATE, &mut bucket, (0, 0)) else {
            panic!("no digest");
        };
        assert_eq!(in_one, [0, 1, 2, 3, 4, 5]);
        let Plan::Digest(in_one) = plan(&queue, None, RATE, &mut bucket, (0, 0)) else {
            panic!("no digest");
        };
        assert_eq!(in_one.len(), DIGEST_MAX);
        for _ in 0..5 {
            bucket.take();
        }
        // One a minute from now on.
        let next = |bucket: &mut Bucket, now| plan(&queue[..1], None, RATE, bucket, (now, 0));
        assert_eq!(next(&mut bucket, 0), Plan::Wait(Some(60_000)));
        assert_eq!(next(&mut bucket, 59_999), Plan::Wait(Some(1)));
        assert_eq!(next(&mut bucket, 60_000), Plan::Send(0));
        // However long it is quiet, never more than the burst.
        bucket.fill(RATE, 100 * HOUR);
        assert_eq!(bucket.tokens(), 5);
    }

    #[test]
    fn pauses_grow_to_a_bound_and_the_receivers_wish_only_makes_them_longer() {
        let pauses: Vec<u64> = (1..=10).map(|n| backoff_ms(n, None) / 1_000).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(backoff_ms(u32::MAX, None), BACKOFF_MS_MAX);
        assert_eq!(backoff_ms(1, Some(7_000)), 7_000);
        assert_eq!(backoff_ms(3, Some(7_000)), 20_000);
        assert_eq!(backoff_ms(9, Some(3_600_000)), 3_600_000);
        for n in 1..=10 {
            assert_eq!(backoff_ms(n, Some(0)), backoff_ms(n, None), "{n}");
        }
    }

    #[test]
    fn what_is_not_taken_comes_behind_the_others_and_into_no_digest() {
        let behind = |seq, rank, not_before_ms| Waiting {
            rank,
            not_before_ms,
            ..waiting(seq, Severity::Critical, 0)
        };
        let mut bucket = Bucket::new(RATE, 0);
        let mut plan = |queue: &[Waiting], now| plan(queue, None, RATE, &mut bucket, (now, 0));
        let young = waiting(9, Severity::Info, 500);
        assert_eq!(plan(&[behind(1, 1, 0), young], 0), Plan::Send(9));
        assert_eq!(plan(&[behind(1, 2, 0), behind(2, 1, 0)], 0), Plan::Send(2));
        assert_eq!(plan(&[behind(1, 1, 70)], 60), Plan::Wait(Some(10)));
        assert_eq!(plan(&[behind(1, 1, 70)], 70), Plan::Send(1));
        assert_eq!(plan(&[behind(1, 1, 70), young], 60), Plan::Send(9));
        let mut many: Vec<Waiting> = (2..9).map(|n| waiting(n, Severity::Info, n)).collect();
        many.push(behind(1, 1, 0));
        let Plan::Digest(in_one) = plan(&many, 0) else {
            panic!("no digest");
        };
        assert_eq!(in_one, [2, 3, 4, 5, 6, 7, 8]);
    }
}
