//! What `healer stats` shows, from the policy's figures; bounded, since names of
//! targets come and go.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use executor_api::{Figures, Stats};

/// Most targets, and most rules, of one answer.
const ROWS_MAX: usize = 100;

/// `since`: seconds since the epoch, as asked for.
pub(super) fn stats_view(stats: policy::Stats, since: Option<u64>) -> Stats {
    let (targets, more_targets) = rows(stats.by_target);
    let (rules, more_rules) = rows(stats.by_rule);
    Stats {
        since,
        known_from: stats.known_from_wall_ms / 1_000,
        all: figures(String::new(), &stats.all),
        targets,
        more_targets,
        rules,
        more_rules,
    }
}

/// Those with most attempts first, then most refusals; and how many are left out.
fn rows(by_name: BTreeMap<String, policy::Figures>) -> (Vec<Figures>, u32) {
    let mut rows: Vec<Figures> = by_name
        .into_iter()
        .map(|(name, of)| figures(name, &of))
        .collect();
    rows.sort_by_key(|row| Reverse((row.attempts, row.refused)));
    let more = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    (rows, u32::try_from(more).unwrap_or(u32::MAX))
}

fn figures(name: String, of: &policy::Figures) -> Figures {
    Figures {
        name,
        attempts: of.attempts,
        recovered: of.recovered,
        relapsed: of.relapsed,
        failed: of.failed,
        aborted: of.aborted,
        unknown: of.unknown,
        stopped: of.stopped,
        open: of.open,
        // Thousandths, so exact enough for one digit.
        success_percent: of.success_milli().map(|milli| milli as f64 / 10.0),
        recoveries: of.recoveries_ms.len() as u64,
        mean_recovery_ms: of.mean_ms(),
        median_recovery_ms: of.median_ms(),
        refused: of.refused,
        dry_runs: of.dry_runs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_come_first_and_the_rest_is_counted() {
        let named = |n: u64| {
            let figures = policy::Figures {
                attempts: n,
                ..policy::Figures::default()
            };
            (format!("t{n:03}"), figures)
        };
        let (rows, more) = rows((0..=ROWS_MAX as u64 + 4).map(named).collect());
        assert_eq!((rows.len(), more), (ROWS_MAX, 5));
        assert_eq!(rows[0].name, "t104");
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let none = figures("web".into(), &policy::Figures::default());
        assert_eq!((none.success_percent, none.mean_recovery_ms), (None, None));
        let some = policy::Figures {
            recovered: 2,
            relapsed: 1,
            unknown: 5,
            recoveries_ms: vec![1_000, 2_000],
            ..policy::Figures::default()
        };
        let some = figures("web".into(), &some);
        assert_eq!(some.success_percent, Some(66.7));
        assert_eq!((some.recoveries, some.median_recovery_ms), (2, Some(1_500)));
    }
}
