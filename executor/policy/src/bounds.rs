//! Every limit of the policy's memory and patience, named, with its unit and
//! what happens beyond it.

/// Charges are kept at least this long, ms: 7 days.
pub const KEEP_MS: u64 = 7 * 24 * 3_600_000;

/// Attempts remembered. Beyond it the oldest finished ones that no limit counts
/// any more are forgotten early; where all still count, `host-limit` refuses.
pub const ATTEMPTS_MAX: usize = 20_000;

/// Intent ids remembered. Beyond it the one that would be forgotten soonest is
/// forgotten at once, counted in [`crate::Counts::ids_forgotten`] and told by
/// [`crate::Policy::not_ready`].
pub const IDS_MAX: usize = 16_384;

/// An id is kept for the configured `max_age` and this much more, ms.
pub const ID_GRACE_MS: u64 = 5 * 60_000;

/// A line's time may lie ahead of our clock; its id is kept longer by that
/// much, but by no more than this, ms: a day.
pub const ID_AHEAD_MAX_MS: u64 = 24 * 3_600_000;

/// Targets pending at once. Beyond it a refusal by time stays a refusal, and
/// its answer says so.
pub const PENDINGS_MAX: usize = 4_096;

/// Ids that the journal's entry of a pending target names, the newest ones;
/// all are answered alike.
pub const PENDING_IDS_MAX: usize = 64;

/// Looks for pending targets under way at once; the others wait their turn.
pub const PENDING_LOOKS_MAX: usize = 16;

/// With no setting for it a target stays pending for the largest limit in
/// force and this much more, ms.
pub const PENDING_MARGIN_MS: u64 = 15 * 60_000;

/// While a storm is on, what waits for its end is given up by so much later at
/// most, ms: a day; `pending_max`, where it is set, holds all the same.
pub const STORM_PENDING_MS: u64 = 24 * 3_600_000;

/// (Target, rule) pairs with counted matches. Beyond it the pair whose newest
/// match is oldest is forgotten.
pub const COUNTED_MAX: usize = 1_024;

/// Seconds with matches per (target, rule); beyond it the oldest is forgotten.
/// A threshold of up to this many matches is therefore exact; a higher one is
/// reached only by matches that come closer together.
pub const COUNT_SECONDS_MAX: usize = 256;

/// (Rule, target) pairs whose calls for a restart are remembered for the storm
/// breaker; beyond it the oldest is forgotten.
pub const CALLED_MAX: usize = 4_096;

/// Attempts in a row that the storm breaker can be set to.
pub const STORM_ATTEMPTS_MAX: usize = 100;

/// How long an attempt that did not cure counts towards a storm at least, ms; a
/// longer `storm_quiet` or host window is how long.
pub const STORM_UNCURED_MS: u64 = 3_600_000;

/// Targets of one storm that are named and looked at. What matches beyond it puts
/// the all-clear off, too.
pub const STORM_TARGETS_MAX: usize = 1_000;

/// Targets that are held, or in a storm that may be over, are looked at this
/// often, ms.
pub const TARGET_LOOK_MS: u64 = 10_000;

/// What such a look found clear counts as clear for so long, ms: longer than a look that is
/// lost takes to be made again.
pub const CLEAR_FOR_MS: u64 = 60_000;

/// Looks for such targets under way at once; the others wait their turn.
pub const TARGET_LOOKS_MAX: usize = 16;

/// A match that its container's health or end could confirm has it looked at
/// this often, ms.
pub const CONFIRM_LOOK_MS: u64 = 5_000;

/// A match that waits for a parent of its container has both looked at this often, ms.
pub const DEPENDENCY_LOOK_MS: u64 = 5_000;

/// Escalations remembered as told; beyond it all are told again.
pub const ESCALATIONS_TOLD_MAX: usize = 4_096;

/// Pauses of single targets; beyond it `healer pause` is refused.
pub const PAUSES_MAX: usize = 4_096;

/// Refusals that `healer history` shows, like ones in a row told as one.
pub const REFUSALS_MAX: usize = 1_000;

/// Holds, storms, pauses and their ends that `healer history` shows.
pub const HAPPENED_MAX: usize = 200;

/// Targets of which is remembered what maintenance holds back; beyond it the one
/// that has not matched for longest is forgotten.
pub const HELD_BACK_MAX: usize = 1_000;

/// Ignored labels remembered as told; beyond it all are told again.
pub const LABELS_TOLD_MAX: usize = 4_096;

/// Docker's own default where a container names no stop timeout, ms.
pub const STOP_TIMEOUT_DEFAULT_MS: u64 = 10_000;

/// A negative stop timeout, or one above this, counts as this, ms.
pub const STOP_TIMEOUT_MAX_MS: u64 = 10 * 60_000;

/// What a restart call may take beyond the stop timeout, ms: the kill, the
/// clean-up and the start.
pub const STOP_MARGIN_MS: u64 = 10_000;

/// Waits between looks that told nothing grow from this, ms,
pub const LOOK_WAIT_MIN_MS: u64 = 1_000;

/// doubling, to this, ms.
pub const LOOK_WAIT_MAX_MS: u64 = 30_000;

/// A look whose result never came is asked for again after this, ms. Longer
/// than any inspect may take.
pub const LOOK_LOST_MS: u64 = 60_000;

/// How long Docker may answer nothing about an attempt's container before the
/// attempt is given up, ms.
pub const SILENCE_MAX_MS: u64 = 10 * 60_000;

/// A container under verification is looked at this often, ms, and at the end.
pub const VERIFY_LOOK_MS: u64 = 15_000;

/// `healthz` and `readyz` mention an unknown rule for this long, ms.
pub const UNKNOWN_RULE_MS: u64 = 10 * 60_000;

/// `readyz` mentions ids that were forgotten before their time for this long, ms.
pub const IDS_FORGOTTEN_MS: u64 = 10 * 60_000;

/// The wait before look number `looks` (0 = the first repeat), ms.
pub(crate) fn look_wait_ms(looks: u32) -> u64 {
    LOOK_WAIT_MIN_MS
        .saturating_mul(1 << looks.min(10))
        .min(LOOK_WAIT_MAX_MS)
}

/// How long a restart call of a container may take, ms.
pub fn stop_wait_ms(stop_timeout_s: Option<i64>) -> u64 {
    let timeout = match stop_timeout_s {
        None => STOP_TIMEOUT_DEFAULT_MS,
        Some(s) => u64::try_from(s)
            .ok()
            .and_then(|s| s.checked_mul(1_000))
            .filter(|&ms| ms <= STOP_TIMEOUT_MAX_MS)
            .unwrap_or(STOP_TIMEOUT_MAX_MS),
    };
    timeout + STOP_MARGIN_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_wait_is_the_timeout_with_a_margin_and_a_ceiling() {
        for (timeout_s, want_ms) in [
            (None, 20_000),
            (Some(0), 10_000),
            (Some(30), 40_000),
            (Some(600), 610_000),
            (Some(601), 610_000),
            (Some(-1), 610_000),
            (Some(i64::MAX), 610_000),
        ] {
            assert_eq!(stop_wait_ms(timeout_s), want_ms, "{timeout_s:?}");
        }
    }

    #[test]
    fn look_waits_grow_from_one_second_to_thirty() {
        let waits: Vec<u64> = (0..7).map(look_wait_ms).collect();
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(look_wait_ms(u32::MAX), 30_000);
    }
}
